/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_queue.h - one queue of a Postfix, to put files into.
 *
 * One thread. Errors: -errno.
 */
#ifndef SLUICE_CLI_EXPORT_QUEUE_H
#define SLUICE_CLI_EXPORT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sluice/err.h"

#define QUEUE_PATH_BYTES 64
#define QUEUE_DEPTH_MAX  3

struct queue_target {
	int dir; /* hold/, incoming/ or deferred/ */
	const char *name;
	bool long_names;
	unsigned depth; /* folders by the first characters of the name */
	uid_t uid;
	char dirty[64][2 * QUEUE_DEPTH_MAX + 2]; /* folders to be synced */
	uint32_t dirty_count;
};

/* Is `dir` a Postfix queue directory with that queue? With what to do. */
int queue_target_check(const char *dir, const char *queue, struct err *e);
int queue_target_open(struct queue_target *q, int base, const char *queue,
		      struct err *e);
void queue_target_close(struct queue_target *q);
/* Moves `name` out of `from` to a free name of the queue; `path` says which,
 * "hold/A1B2C3". -ENOENT: it is not there. */
int queue_target_place(struct queue_target *q, int from, const char *name,
		       char path[QUEUE_PATH_BYTES]);
/* What was placed stays. */
int queue_target_sync(struct queue_target *q, struct err *e);
/* A queue id; `hash` = the folders it belongs to come from it. */
void queue_id_format(bool long_name, uint64_t seconds, uint32_t microseconds,
		     uint64_t inode, char id[32], char hash[8]);

#endif
