/* SPDX-License-Identifier: BSD-2-Clause
 *
 * history.h - what the journal holds of one message, while the spool works.
 *
 * Role: spool. Reads the journal files that count, oldest first, a piece at a
 * time; a commit that is added meanwhile is not waited for. Bound: one buffer
 * of HISTORY_BUFFER_BYTES and one read in flight; all of the journal is read,
 * so it takes as long as that takes.
 */
#ifndef SLUICE_SPOOL_HISTORY_H
#define SLUICE_SPOOL_HISTORY_H

#include "spool/spool.h"

#define HISTORY_BUFFER_BYTES (1u << 20)

struct spool_history;

/* Called from spool_history_step(), in the order of the journal. */
struct spool_history_ops {
	/* Where its record lies; only if the journal told of it. */
	void (*stored)(void *user, const struct spool_place *place);
	void (*attempt)(void *user, uint32_t rcpt_first, uint32_t rcpt_count,
			uint32_t when_s, uint16_t source);
	void (*outcome)(void *user, const struct spool_outcome *o);
	/* An item that speaks of the message. */
	void (*set)(void *user, enum spool_set_kind kind, uint32_t when_s,
		    const struct spool_set_item *item);
	/* Every note, whatever it speaks of. */
	void (*note)(void *user, const char *key, struct text value);
	/* A read has ended: more can be done. */
	void (*wake)(void *user);
};

/* -ENOMEM, or what the storage says of the files. */
int spool_history_open(struct spool *sp, uint64_t id,
		       const struct spool_history_ops *ops, void *user,
		       struct spool_history **out);
/* Looks at what was read, and reads on. True: call again at once. False: waits
 * for a read, or spool_history_over(). */
bool spool_history_step(struct spool_history *h);
/* 1: the end; -errno: a file could not be read on; 0: not yet. */
int spool_history_over(const struct spool_history *h);
/* Also while a read is in flight. No callback comes any more. */
void spool_history_close(struct spool_history **h);

#endif
