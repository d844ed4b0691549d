/* SPDX-License-Identifier: BSD-2-Clause
 *
 * attempts.c - an attempt becomes durable before its final dot.
 *
 * Callback of delivery when MAIL is written; delivery_go() when the journal
 * has it. Role: spool. Attempts wait in a pool of a few per connection, beyond
 * it on the heap. Errors: -errno to delivery, which ends the transaction.
 */
#include <errno.h>
#include <stdlib.h>

#include "sluice/assert.h"
#include "sluiced/engine_priv.h"

#define POOL_SHARE 4 /* attempts on their way, per connection */

struct attempt_wait {
	struct engine *en;
	struct attempt_wait *next;
	uint64_t token;
	uint32_t left; /* journal records still to commit */
	int res;
	bool pooled;
};

int results_create(struct engine *en)
{
	uint32_t count = en->config->delivery.connections_total * POOL_SHARE;

	role_assert(&role_spool);
	en->attempt_pool = calloc(count, sizeof(*en->attempt_pool));
	if (en->attempt_pool == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		en->attempt_pool[i].en = en;
		en->attempt_pool[i].pooled = true;
		en->attempt_pool[i].next = en->attempt_free;
		en->attempt_free = &en->attempt_pool[i];
	}
	return 0;
}

void results_destroy(struct engine *en)
{
	role_assert(&role_spool);
	outcomes_destroy(en);
	free(en->attempt_pool);
	en->attempt_pool = en->attempt_free = NULL;
}

/* A receiver that refuses faster than the disk commits can have more attempts
 * on their way than there are connections: beyond the pool, from the heap. */
static struct attempt_wait *attempt_take(struct engine *en) RUNS_ON(role_spool)
{
	struct attempt_wait *w = en->attempt_free;

	if (w != NULL) {
		en->attempt_free = w->next;
		return w;
	}
	w = calloc(1, sizeof(*w));
	if (w != NULL)
		w->en = en;
	return w;
}

static void attempt_give(struct engine *en, struct attempt_wait *w)
	RUNS_ON(role_spool)
{
	if (!w->pooled) {
		free(w);
		return;
	}
	w->next = en->attempt_free;
	en->attempt_free = w;
}

static void attempt_part_done(struct attempt_wait *w, int res)
	RUNS_ON(role_spool)
{
	struct engine *en = w->en;
	uint64_t token = w->token;

	if (res != 0)
		w->res = res;
	if (--w->left > 0)
		return;
	res = w->res;
	attempt_give(en, w);
	/* It would be tried again at once: not without a disk. */
	if (res != 0 && res != -EAGAIN && res != -ENOSPC)
		engine_broken(en, res, "an attempt cannot be journaled");
	/* At the end of the program the spool outlives delivery. */
	if (en->delivery != NULL)
		delivery_go(en->delivery, token, res);
}

static void attempt_durable(void *user, int res)
{
	role_assert(&role_spool);
	attempt_part_done(user, res);
}

/* Runs of consecutive recipients share a journal record. */
void result_attempt(void *user, uint64_t id, const uint32_t *rcpts,
		    uint32_t count, uint32_t source, uint64_t token)
{
	struct engine *en = user;
	struct attempt_wait *w;
	uint32_t from = 0;
	int rc;

	role_assert(&role_spool);
	sluice_assert(count > 0);
	w = attempt_take(en);
	if (w == NULL) {
		delivery_go(en->delivery, token, -ENOMEM);
		return;
	}
	w->token = token;
	w->res = 0;
	w->left = 1; /* ours, until all runs are written */
	while (from < count) {
		uint32_t run = 1;

		while (from + run < count &&
		       rcpts[from + run] == rcpts[from] + run)
			run++;
		w->left++;
		rc = spool_attempt(en->spool, id, rcpts[from], run,
				   (uint16_t)(source + 1), attempt_durable, w);
		if (rc != 0) { /* this part never comes back */
			w->left--;
			w->res = rc;
		}
		from += run;
	}
	attempt_part_done(w, 0);
}
