/* SPDX-License-Identifier: BSD-2-Clause
 *
 * outcome.h - states of a recipient. Stored in the journal: never renumber.
 */
#ifndef SLUICE_OUTCOME_H
#define SLUICE_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

enum rcpt_state {
	/* still ours */
	RCPT_WAITING = 1,        /* may go as soon as its path is due */
	RCPT_DEFERRED = 2,       /* waits for a time */
	RCPT_HELD = 3,           /* taken over and not released, or held */
	RCPT_NEEDS_DECISION = 4, /* an operator has to say what happens */
	RCPT_IN_FLIGHT = 5,      /* in memory only, never journaled */
	RCPT_EXPORTING = 6,      /* being handed back; journaled once a copy
				  * elsewhere is durable and may go out */
	/* done: an outcome */
	RCPT_DELIVERED = 16,
	RCPT_FAILED = 17,
	RCPT_EXPIRED = 18,
	RCPT_PURGED = 19,
	RCPT_SUPPRESSED = 20,
	RCPT_EXPORTED = 21
};

static inline bool rcpt_state_is_done(uint8_t s)
{
	return s >= RCPT_DELIVERED;
}

/* An outcome that nobody was told of: the recipient stays in custody, is not
 * tried again by itself, and can be requeued, purged or exported. */
static inline bool rcpt_state_is_kept(uint8_t s)
{
	return s == RCPT_FAILED || s == RCPT_EXPIRED;
}

/* "waiting", "needs-decision", ...; NULL for a number that is none. */
const char *rcpt_state_name(uint8_t s);
/* 0 when `name` is none. */
uint8_t rcpt_state_parse(const char *name);

#endif
