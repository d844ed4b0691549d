/* SPDX-License-Identifier: BSD-2-Clause
 *
 * walker.h - goes through a selection in slices, with envelopes if wanted.
 *
 * Role: command. The index matches senders and recipients by hash, and knows
 * neither account nor client nor header; before the walker hands out such an
 * entry it has read the record from the spool and compared. Slices are bounded,
 * so the mail goes on in between, and states may have changed since.
 */
#ifndef SLUICED_WALKER_H
#define SLUICED_WALKER_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/queue.h"

struct engine;
struct walker;

struct walker_entry {
	struct queue_entry index;
	struct text sender; /* only with envelopes; valid in the call */
	struct text recipient;
	bool unreadable; /* the record is damaged: no envelope */
	const struct spool_record *record; /* likewise; NULL when unreadable */
};

struct walker_ops {
	/* Entries of one message come together, in order of their number. */
	void (*slice)(void *user, const struct walker_entry *e, uint32_t n);
	/* More can be done at once (a read has completed). */
	void (*wake)(void *user);
};

/* Takes the selection. `envelopes`: every entry comes with its addresses. */
struct walker *walker_create(struct engine *en, struct selection *s,
			     bool envelopes, const struct walker_ops *ops,
			     void *user);
void walker_destroy(struct walker **w);
/* One slice: true while there is more to do at once; when false and not
 * walker_over(), it waits for reads. */
bool walker_step(struct walker *w);
bool walker_over(const struct walker *w);
/* Messages that were passed over: the index could not tell whether they are in
 * the selection, and their record is damaged. */
uint64_t walker_unreadable(const struct walker *w);
/* Out of memory on the way: what was handed out is not all. */
bool walker_failed(const struct walker *w);
/* Texts that a pattern of the selection gave up on: taken as no match. */
uint64_t walker_gave_up(const struct walker *w);

#endif
