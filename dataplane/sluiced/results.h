/* SPDX-License-Identifier: BSD-2-Clause
 *
 * results.h - what results.c and refusals.c share. Roles: queue, spool.
 */
#ifndef SLUICED_RESULTS_H
#define SLUICED_RESULTS_H

#include "sluiced/engine_priv.h"
#include "sluiced/publish.h"

#define REPLY_KEPT_BYTES          512
#define REPLY_KEPT_ACCEPTED_BYTES 64

/* Whose message, over which path, in which batch; what was said. */
struct result_context {
	struct engine *en;
	uint32_t provider;
	uint32_t source;
	uint32_t batch;
	uint32_t domain;  /* of its first recipient */
	uint32_t content; /* recipients refused for the content */
	bool answered;    /* by a receiver that works */
	struct publish_results sum;
	char reply[REPLY_KEPT_BYTES]; /* of the recipient at hand */
};

/* As many as the journal can count. */
static inline void attempt_charge(struct spool_outcome *o)
{
	if (o->attempts < UINT8_MAX)
		o->attempts++;
}

/* refusals.c: as it came, "550 5.1.1 text"; the length, less than `room`. */
uint32_t reply_format(const struct smtp_reply *r, char *buf, size_t room);
/* `o` is given state, due time, class and reply. */
void outcome_defer(struct engine *en, struct spool_outcome *o, uint32_t wait_s)
	RUNS_ON(role_queue);
void refused(struct result_context *c, struct spool_outcome *o,
	     const struct delivery_result *r) RUNS_ON(role_queue, role_spool);

#endif
