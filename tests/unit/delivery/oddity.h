/* SPDX-License-Identifier: BSD-2-Clause
 *
 * oddity.h - what a receiver does wrong, and what that must mean.
 *
 * Each oddity is played by a fake receiver to a delivery of its own. Then the
 * next message must go through as if nothing had been.
 */
#ifndef ODDITY_H
#define ODDITY_H

#include "delivery_room.h"

#define ODDITY_RULES 5

struct oddity {
	const char *name;
	uint32_t rcpts;     /* up to 5 */
	const char *offers; /* NULL = with PIPELINING */
	struct fake_rule rules[ODDITY_RULES];
	const char *results; /* NULL = the message is not taken */
	const char *failure; /* of connect_failed(); NULL = none */
	/* How many connections there were when the next message had been
	 * accepted: 1 = the same one was good enough. 0 = not looked at. */
	uint32_t connections;
};

void oddities_run(const struct oddity *list, size_t count);
/* `change` may change the config before delivery starts. */
void oddities_run_with(const struct oddity *list, size_t count,
		       void (*change)(struct room *r));

#endif
