/* SPDX-License-Identifier: BSD-2-Clause
 *
 * audit.h - who did what, to how many, and why: spool.dir/audit.jsonl.
 *
 * Role: command. One JSON line per acting request, written and synced after
 * the act is durable and before it is answered: an answered act is in the
 * file. A crash between the two leaves an act without a line. Bound:
 * AUDIT_BYTES_MAX per file, AUDIT_FILES files; the oldest goes.
 */
#ifndef SLUICED_AUDIT_H
#define SLUICED_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "sluice/err.h"

struct audit;
struct client;
struct io;

#define AUDIT_BYTES_MAX  (8u << 20)
#define AUDIT_FILES      5
#define AUDIT_LINE_BYTES 16384u /* a longer selection is cut short */

int audit_create(struct audit **out, struct io *io, const char *dir,
		 struct err *e);
/* Turns the loop until what was written is on disk, a few seconds at most. */
void audit_destroy(struct audit **a);
/* Writes what was gathered; once a turn. */
void audit_step(struct audit *a);
bool audit_idle(const struct audit *a);

/* A line with time, peer and verb; `c` NULL: a signal. NULL without memory. */
json_t *audit_line(struct client *c, const char *verb);
/* Takes the line. `done` (may be NULL) is always called: 0 when the line is on
 * disk, else -errno, without memory at once. */
void audit_write(struct audit *a, json_t *line,
		 void (*done)(void *user, int res), void *user);
/* The n-th file, 0 = the oldest there may be, AUDIT_FILES - 1 = the one that
 * is written. -1 and errno; the caller closes it. */
int audit_open(const struct audit *a, uint32_t n);

#endif
