/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import.h - one import session with sluiced.
 *
 * Files are handed over as descriptors, a bounded window of them at a time;
 * each comes back as taken (durable), known (taken before) or refused. One
 * thread.
 */
#ifndef SLUICE_CLI_IMPORT_H
#define SLUICE_CLI_IMPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli.h"

enum import_verdict { IMPORT_TAKEN, IMPORT_KNOWN, IMPORT_REFUSED };

struct import_ops {
	/* Once before descriptors of a batch are sent: what was claimed for
	 * it has to be durable by now. 0 or a sysexits code. */
	int (*batch)(void *user);
	/* The answer for `item`; `error` only when refused. */
	void (*settled)(void *user, void *item, enum import_verdict v,
			const char *error);
};

struct import_session;

int import_open(struct cli *cli, const char *kind, const struct import_ops *ops,
		void *user, uint64_t expected, struct import_session **out);
/* Hands over `fd` (closed here, also on error). `envelope` may be NULL; its
 * reference is taken. `item` comes back through settled(). Returns 0 or a
 * sysexits code: then the session is broken, and what is unsettled stays
 * unsettled. */
int import_add(struct import_session *s, int fd, const char *name,
	       json_t *envelope, void *item);
/* Counts and names a file that was refused before it was handed over. */
void import_refuse(struct import_session *s, const char *name,
		   const char *error);
/* Waits for all answers, prints the summary. `rc`: 0, or the code that broke
 * the session off. Returns the exit status. */
int import_close(struct import_session **s, int rc);

#endif
