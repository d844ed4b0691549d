/* SPDX-License-Identifier: BSD-2-Clause
 *
 * results.c - one journaled outcome for each recipient that was tried.
 *
 * Callback of delivery. Roles: queue, spool. Every recipient that was handed to
 * delivery gets exactly one journaled outcome here; what a block sends back is
 * journaled as waiting, so that its attempt is no doubt after a crash.
 */
#include "sluiced/results.h"

#include <stdio.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/clock.h"

#define RELAYED "relayed without DSN: "

/* NOTIFY=SUCCESS was dropped: the outcome says so for the DSN to come. */
static void accepted_reply(struct result_context *c, struct spool_outcome *o,
			   const struct delivery_result *r)
{
	uint32_t at = r->relayed ? (uint32_t)strlen(RELAYED) : 0;

	memcpy(c->reply, RELAYED, at);
	if (r->reply != NULL)
		at += reply_format(r->reply, c->reply + at,
				   sizeof(c->reply) - at);
	o->reply.data = c->reply;
	o->reply.len =
		at < REPLY_KEPT_ACCEPTED_BYTES ? at : REPLY_KEPT_ACCEPTED_BYTES;
}

static void detail_to_outcome(struct spool_outcome *o, const char *detail)
{
	o->reply.data = detail ? detail : "";
	o->reply.len = (uint32_t)strlen(o->reply.data);
	if (o->reply.len > REPLY_KEPT_BYTES)
		o->reply.len = REPLY_KEPT_BYTES;
}

/* Our side cannot send it: a permanent fact of the message only if it has a
 * status code for it ("5.6.7 ..."); a damaged record is for the operator. */
static void unsendable(struct spool_outcome *o, const char *detail)
{
	detail_to_outcome(o, detail);
	o->state = detail != NULL && strncmp(detail, "5.", 2) == 0
			   ? RCPT_FAILED
			   : RCPT_NEEDS_DECISION;
	o->reply_class = CLASS_UNKNOWN;
}

static void result_one(struct result_context *c, struct spool_outcome *o,
		       const struct delivery_result *r)
	RUNS_ON(role_queue, role_spool)
{
	struct engine *en = c->en;

	switch (r->kind) {
	case DELIVERY_ACCEPTED:
		o->state = RCPT_DELIVERED;
		c->answered = true;
		attempt_charge(o);
		accepted_reply(c, o, r);
		en->providers[c->provider].delivered++;
		en->delivered++;
		break;
	case DELIVERY_REFUSED:
		refused(c, o, r);
		break;
	case DELIVERY_NOT_TRIED:
		o->state = RCPT_WAITING;
		break;
	case DELIVERY_LOST:
	case DELIVERY_IN_DOUBT:
		attempt_charge(o);
		o->in_doubt = r->kind == DELIVERY_IN_DOUBT;
		o->reply_class = CLASS_TEMPORARY_REMOTE_ERROR;
		outcome_defer(en, o, 0);
		detail_to_outcome(o, r->detail);
		break;
	default:
		unsendable(o, r->detail);
		break;
	}
}

static void result_count(struct publish_results *sum,
			 const struct spool_outcome *o, uint8_t kind)
{
	sum->accepted += o->state == RCPT_DELIVERED;
	sum->failed += o->state == RCPT_FAILED;
	sum->deferred += o->state != RCPT_DELIVERED && o->state != RCPT_FAILED;
	sum->lost += kind == DELIVERY_LOST || kind == DELIVERY_IN_DOUBT;
}

static void outcome_settle(struct engine *en, const struct spool_outcome *o,
			   uint32_t source) RUNS_ON(role_queue, role_spool)
{
	outcome_journal(en, o);
	if (o->state == RCPT_WAITING)
		queue_put_back(en->queue, o->id, o->rcpt);
	else
		queue_apply_outcome(en->queue, o);
	outcome_heard(en, o, source);
}

void result_done(void *user, uint32_t provider, uint32_t source, uint64_t id,
		 uint32_t batch, const struct delivery_result *results,
		 uint32_t count)
{
	struct engine *en = user;
	struct result_context c = {.en = en,
				   .provider = provider,
				   .source = source,
				   .batch = batch};
	uint32_t now_s = clock_realtime_s();
	bool accepted = false;

	role_assert(&role_queue);
	role_assert(&role_spool);
	sluice_assert(count > 0);
	c.domain = queue_rcpt_domain(en->queue, id, results[0].rcpt);
	/* From the last, so that put_back() to the front keeps the order. */
	for (uint32_t i = count; i-- > 0;) {
		struct spool_outcome o = {
			.id = id,
			.rcpt = results[i].rcpt,
			.attempts =
				queue_attempts(en->queue, id, results[i].rcpt),
			.when_s = now_s,
		};

		result_one(&c, &o, &results[i]);
		accepted |= results[i].kind == DELIVERY_ACCEPTED;
		result_count(&c.sum, &o, results[i].kind);
		outcome_settle(en, &o, source);
	}
	if (c.answered && c.domain != QUEUE_NONE)
		reach_answered(en, c.domain);
	reflex_content(en, provider, count, c.content);
	publish_answered(en->publish, provider, source, batch, &c.sum);
	release_done(en->release, provider, source, batch, accepted,
		     io_now_ns(en->io));
}
