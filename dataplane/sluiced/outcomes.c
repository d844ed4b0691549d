/* SPDX-License-Identifier: BSD-2-Clause
 *
 * outcomes.c - an outcome is journaled, if need be a little later.
 *
 * Called for every result. Role: spool. The spool takes no more than fits into
 * its buffers; what does not fit waits here, in order, and while something
 * waits nothing new is released. So the list is bounded by what was in flight.
 * Allocates only then.
 * With `spool.outcome_sync: message` a connection waits here too, for the
 * commit of what it has just delivered: after a crash each one is in doubt with
 * one message at most. Allocates when more wait than ever before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/log.h"
#include "sluiced/engine_priv.h"
#include "sluiced/replies.h"

struct late_outcome {
	struct late_outcome *next;
	struct spool_outcome outcome;
	char reply[];
};

/* A connection that waits for a commit. */
struct settle_wait {
	struct settle_wait *next;
	struct engine *en;
	uint64_t token;
};

/* An outcome that cannot be journaled: stop sending rather than deliver twice
 * without knowing. */
static void broken(struct engine *en, int rc)
{
	engine_broken(en, rc, "an outcome cannot be journaled");
}

static void outcome_keep(struct engine *en, const struct spool_outcome *o)
	RUNS_ON(role_spool)
{
	struct late_outcome *l = malloc(sizeof(*l) + o->reply.len);

	if (l == NULL) {
		broken(en, -ENOMEM);
		return;
	}
	l->next = NULL;
	l->outcome = *o;
	if (o->reply.len > 0)
		memcpy(l->reply, o->reply.data, o->reply.len);
	l->outcome.reply.data = l->reply;
	if (en->outcomes_late == NULL)
		en->outcomes_end = &en->outcomes_late;
	*en->outcomes_end = l;
	en->outcomes_end = &l->next;
	en->outcomes_waiting++;
}

static void expired_event(struct engine *en, const struct spool_outcome *o)
{
	char hex[17];

	if (o->state != RCPT_EXPIRED || !event_wanted(en))
		return;
	message_id_format(o->id, hex);
	event_emit(en,
		   json_pack("{s:s,s:s,s:i,s:i,s:s%}", "type", "expired", "id",
			     hex, "rcpt", (int)o->rcpt, "attempts", o->attempts,
			     "reason", o->reply.data, (size_t)o->reply.len));
}

void outcome_journal(struct engine *en, const struct spool_outcome *o)
{
	int rc = -EAGAIN;

	expired_event(en, o);
	if (en->outcomes_late == NULL)
		rc = spool_outcome(en->spool, o, NULL, NULL);
	if (rc == -EAGAIN)
		outcome_keep(en, o);
	else if (rc != 0)
		broken(en, rc);
}

void outcome_heard(struct engine *en, const struct spool_outcome *o,
		   uint32_t source)
{
	struct reply_entry what = {
		.provider = queue_provider_of(en->queue, o->id, o->rcpt),
		.source = source,
		.reply_class = o->reply_class,
		.id = o->id,
		.last_s = o->when_s,
	};
	uint32_t tag;

	if (o->reply.len == 0 || o->state == RCPT_DELIVERED ||
	    what.provider == QUEUE_NONE)
		return;
	tag = replies_hear(en->replies, &what, o->reply);
	queue_tag_set(en->queue, o->id, o->rcpt, tag);
}

static void settle_give(struct settle_wait *w) RUNS_ON(role_spool)
{
	w->next = w->en->settle_free;
	w->en->settle_free = w;
}

static void settle_durable(void *user, int res)
{
	struct settle_wait *w = user;
	struct engine *en = w->en;

	role_assert(&role_spool);
	/* A commit that failed is repeated later. The connection is not kept
	 * for that long: it ends by its own deadline, without a next message.
	 * At the end of the program the spool outlives delivery. */
	if (res == 0 && en->delivery != NULL)
		delivery_settle(en->delivery, w->token);
	settle_give(w);
}

/* False: the spool cannot say now when. */
static bool settle_ask(struct settle_wait *w) RUNS_ON(role_spool)
{
	int rc = spool_barrier(w->en->spool, settle_durable, w);

	if (rc == -EALREADY)
		settle_durable(w, 0);
	return rc != -EAGAIN;
}

/* Once all outcomes are in the journal, their connections can be asked for. */
static void settle_late(struct engine *en) RUNS_ON(role_spool)
{
	while (en->settle_late != NULL) {
		struct settle_wait *w = en->settle_late;
		struct settle_wait *next = w->next;

		if (!settle_ask(w))
			return;
		en->settle_late = next;
	}
}

static void settle_after_commit(struct engine *en, uint64_t token)
	RUNS_ON(role_spool)
{
	struct settle_wait *w = en->settle_free;

	if (w != NULL)
		en->settle_free = w->next;
	else
		w = malloc(sizeof(*w));
	if (w == NULL)
		return; /* it ends by its deadline */
	*w = (struct settle_wait){.en = en, .token = token};
	if (en->outcomes_late == NULL && settle_ask(w))
		return;
	w->next = en->settle_late;
	en->settle_late = w;
}

void outcomes_done(void *user, uint32_t provider, uint32_t source, uint64_t id,
		   uint32_t batch, const struct delivery_result *results,
		   uint32_t count)
{
	struct engine *en = user;

	role_assert(&role_spool);
	result_done(user, provider, source, id, batch, results, count);
	if (en->config->spool.outcome_sync_message && en->delivery != NULL)
		settle_after_commit(en, delivery_keep(en->delivery));
}

bool outcomes_step(struct engine *en)
{
	while (en->outcomes_late != NULL) {
		struct late_outcome *l = en->outcomes_late;
		int rc = spool_outcome(en->spool, &l->outcome, NULL, NULL);

		if (rc == -EAGAIN)
			return false;
		if (rc != 0)
			broken(en, rc);
		en->outcomes_late = l->next;
		en->outcomes_waiting--;
		free(l);
	}
	settle_late(en);
	return true;
}

static void settles_free(struct settle_wait *w)
{
	while (w != NULL) {
		struct settle_wait *next = w->next;

		free(w);
		w = next;
	}
}

void outcomes_destroy(struct engine *en)
{
	while (en->outcomes_late != NULL) {
		struct late_outcome *l = en->outcomes_late;

		en->outcomes_late = l->next;
		free(l);
	}
	en->outcomes_waiting = 0;
	settles_free(en->settle_free);
	settles_free(en->settle_late);
	en->settle_free = en->settle_late = NULL;
}
