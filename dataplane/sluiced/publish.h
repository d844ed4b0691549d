/* SPDX-License-Identifier: BSD-2-Clause
 *
 * publish.h - what sluiced writes to the board: demand halves and events.
 *
 * Role: queue. Four times a second the counters of active providers and paths
 * go to their slots; refusals and batch results go to their rings as they
 * come. Nothing here waits: a full table or ring is counted and passed over.
 */
#ifndef SLUICED_PUBLISH_H
#define SLUICED_PUBLISH_H

#include <stdint.h>

#include "sluice/classify.h"
#include "sluice/err.h"
#include "sluice/role.h"

struct engine;
struct publish;
struct smtp_reply;
struct delivery_result;

int publish_create(struct engine *en, struct publish **out, struct err *e);
void publish_destroy(struct publish **p);
/* The sources of the present config, at their numbers. */
void publish_sources(struct publish *p);
void publish_step(struct publish *p, uint64_t now_ns) RUNS_ON(role_queue);

/* A refusal; `id` 0 before any message. */
struct publish_refusal {
	uint64_t id;
	uint32_t rcpt;
	uint32_t provider;
	uint32_t source;
	uint32_t batch;
	uint8_t phase;
	const struct smtp_reply *reply;
	const struct verdict *verdict;
	const char *remote;
};
void publish_refusal(struct publish *p, const struct publish_refusal *r)
	RUNS_ON(role_queue);

/* A message of a batch went out; its results are in. */
void publish_sent(struct publish *p, uint32_t provider, uint32_t source,
		  uint32_t batch, uint64_t bytes) RUNS_ON(role_queue);
struct publish_results {
	uint32_t accepted, deferred, failed; /* recipients */
	uint32_t path_refusals;
	uint32_t lost;
};
void publish_answered(struct publish *p, uint32_t provider, uint32_t source,
		      uint32_t batch, const struct publish_results *r)
	RUNS_ON(role_queue);

#endif
