/* SPDX-License-Identifier: BSD-2-Clause
 *
 * results.c - attempts before the dot, outcomes after the reply.
 *
 * Callbacks of delivery. Roles: queue, spool. Every recipient that was handed
 * to delivery gets exactly one journaled outcome here; what a block sends back
 * is journaled as waiting, so that its attempt is no doubt after a crash.
 * Attempts wait in a pool of a few per connection.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/board.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"
#include "sluiced/publish.h"
#include "sluiced/reaction.h"
#include "sluiced/replies.h"

#define POOL_SHARE                4 /* attempts on their way, per connection */
#define REPLY_KEPT_BYTES          512
#define REFUSAL_TEXT_BYTES        (REFUSAL_BYTES - 32)
#define REPLY_KEPT_ACCEPTED_BYTES 64
#define RELAYED                   "relayed without DSN: "

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

/* As it came: "550 5.1.1 text". Returns the length, less than `room`. */
static uint32_t reply_format(const struct smtp_reply *r, char *buf, size_t room)
{
	int n;

	if (r->enhanced[0] != 0)
		n = snprintf(buf, room, "%u %u.%u.%u %.*s", r->code,
			     r->enhanced[0], r->enhanced[1], r->enhanced[2],
			     REFUSAL_TEXT_BYTES, r->text);
	else
		n = snprintf(buf, room, "%u %.*s", r->code, REFUSAL_TEXT_BYTES,
			     r->text);
	return n < (int)room ? (uint32_t)n : (uint32_t)room - 1;
}

static void refusal_remember(struct engine *en, uint32_t provider,
			     uint32_t source, const struct smtp_reply *r,
			     uint8_t reply_class) RUNS_ON(role_queue)
{
	struct provider *p = &en->providers[provider];

	p->refused++;
	p->by_class[reply_class]++;
	p->refusal_s = clock_realtime_s();
	p->refusal_class = reply_class;
	p->refusal_source = source;
	reply_format(r, p->refusal, sizeof(p->refusal));
}

static void refusal_event(struct engine *en, uint32_t provider, uint32_t source,
			  uint64_t id, const struct smtp_reply *r,
			  uint8_t phase, const char *remote,
			  const struct verdict *v) RUNS_ON(role_queue)
{
	char hex[17];
	json_t *reply;

	if (!event_wanted(en))
		return;
	message_id_format(id, hex);
	reply = json_pack("{s:i,s:[i,i,i],s:s#,s:s}", "code", r->code,
			  "enhanced", r->enhanced[0], r->enhanced[1],
			  r->enhanced[2], "text", r->text, (int)r->text_len,
			  "phase", phase_name(phase));
	event_emit(en,
		   json_pack("{s:s,s:s,s:s,s:s,s:o?,s:s,s:s,s:s}", "type",
			     "refused", "id", hex, "provider",
			     en->providers[provider].name, "source",
			     en->config->sources[source].name, "reply", reply,
			     "class", class_name(v->reply_class), "rule",
			     v->rule, "remote", remote ? remote : ""));
}

static void verdict_of(struct engine *en, uint32_t provider,
		       const struct smtp_reply *r, uint8_t phase,
		       const char *remote, struct verdict *v)
	RUNS_ON(role_queue)
{
	struct reply in = {
		.code = r->code,
		.phase = phase,
		.enhanced = {r->enhanced[0], r->enhanced[1], r->enhanced[2]},
		.text = r->text,
		.text_len = r->text_len,
		.provider = en->providers[provider].name,
		.remote = remote ? remote : "",
	};

	classify_reply(en->rules, en->scratch, &in, v);
}

static void outcome_defer(struct engine *en, struct spool_outcome *o,
			  uint32_t wait_s)
{
	const struct config *c = en->config;

	o->state = RCPT_DEFERRED;
	if (wait_s == 0)
		wait_s = reaction_backoff_s(
			o->attempts, (uint32_t)(c->retry.first_ns / NS_PER_S),
			(uint32_t)(c->retry.max_ns / NS_PER_S));
	o->due_s = o->when_s + wait_s;
}

static void outcome_of_reaction(struct engine *en, struct spool_outcome *o,
				const struct verdict *v,
				enum reaction_rcpt what, uint32_t source)
{
	o->reply_class = v->reply_class;
	switch (what) {
	case REACT_PUT_BACK:
		o->state = RCPT_WAITING;
		break;
	case REACT_DEFER:
		o->attempts++;
		outcome_defer(en, o, v->wait_s);
		break;
	case REACT_GREYLIST:
		o->source = (uint16_t)(source + 1);
		outcome_defer(en, o,
			      v->wait_s ? v->wait_s : REACTION_GREYLIST_S);
		break;
	case REACT_HOLD:
		o->state = RCPT_HELD;
		break;
	case REACT_DECIDE:
		o->state = RCPT_NEEDS_DECISION;
		break;
	case REACT_FAIL:
		o->attempts++;
		o->state = RCPT_FAILED;
		break;
	}
}

/* Whose message, over which path, in which batch. */
struct result_context {
	struct engine *en;
	uint32_t provider;
	uint32_t source;
	uint32_t batch;
	struct publish_results sum;
	char reply[REPLY_KEPT_BYTES]; /* of the recipient at hand */
};

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

static void refused(struct result_context *c, struct spool_outcome *o,
		    const struct delivery_result *r)
	RUNS_ON(role_queue, role_spool)
{
	struct engine *en = c->en;
	struct verdict v;
	struct reaction react;

	verdict_of(en, c->provider, r->reply, r->phase, r->remote, &v);
	react = reaction_of(&v, r->phase, r->reply->code);
	outcome_of_reaction(en, o, &v, react.rcpt, c->source);
	o->reply.data = c->reply;
	o->reply.len = reply_format(r->reply, c->reply, sizeof(c->reply));
	refusal_remember(en, c->provider, c->source, r->reply, v.reply_class);
	refusal_event(en, c->provider, c->source, o->id, r->reply, r->phase,
		      r->remote, &v);
	publish_refusal(en->publish,
			&(struct publish_refusal){o->id, r->rcpt, c->provider,
						  c->source, c->batch, r->phase,
						  r->reply, &v, r->remote});
	c->sum.path_refusals += react.reflex != REFLEX_NONE;
	if (react.reflex != REFLEX_NONE) {
		/* Put back with nothing stopped, it would go again at once. */
		if (!reflex_apply(en, c->provider, c->source, c->batch, o->id,
				  &v, (uint8_t)react.reflex))
			outcome_of_reaction(en, o, &v, REACT_HOLD, c->source);
	} else if (v.reply_class == CLASS_UNKNOWN) {
		reflex_unknown_text(en, c->provider, c->source, c->batch,
				    r->reply->text, r->reply->text_len);
	}
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
		o->attempts++;
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
		o->attempts++;
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
	struct result_context c = {
		.en = en,
		.provider = provider,
		.source = source,
		.batch = batch,
	};
	uint32_t now_s = clock_realtime_s();
	bool accepted = false;

	role_assert(&role_queue);
	role_assert(&role_spool);
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
	publish_answered(en->publish, provider, source, batch, &c.sum);
	release_done(en->release, provider, source, batch, accepted,
		     io_now_ns(en->io));
}

/* Shown by `status` as the last thing that was heard of the provider. */
static void no_connection(struct engine *en, uint32_t provider, uint32_t source,
			  const char *detail) RUNS_ON(role_queue)
{
	struct provider *p = &en->providers[provider];

	snprintf(p->refusal, sizeof(p->refusal), "no connection: %.*s",
		 REFUSAL_TEXT_BYTES, detail ? detail : "no reason given");
	p->refusal_s = clock_realtime_s();
	p->refusal_class = CLASS_TEMPORARY_REMOTE_ERROR;
	p->refusal_source = source;
	log_info("connect", "%s from %s: %s", p->name,
		 en->config->sources[source].name,
		 detail ? detail : "no connection");
}

/* A refused connection speaks of what is being sent at the time. */
static uint32_t batch_now(const struct engine *en, uint32_t provider,
			  uint32_t source)
{
	struct release_path_status st;

	if (release_path_status(en->release, provider, source, &st) != 0)
		return 0;
	return st.batch;
}

/* What was just remembered of the provider, refused before any message. */
static void connect_heard(struct engine *en, uint32_t provider, uint32_t source)
	RUNS_ON(role_queue)
{
	const struct provider *p = &en->providers[provider];
	struct reply_entry what = {
		.provider = provider,
		.source = source,
		.reply_class = p->refusal_class,
		.last_s = p->refusal_s,
	};

	replies_hear(en->replies, &what,
		     (struct text){p->refusal, (uint32_t)strlen(p->refusal)});
}

void result_connect_failed(void *user, uint32_t provider, uint32_t source,
			   uint32_t domain, uint8_t phase,
			   const struct smtp_reply *reply, const char *remote,
			   const char *detail)
{
	struct engine *en = user;
	struct verdict v;
	struct reaction react;

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (reply == NULL) {
		no_connection(en, provider, source, detail);
		return;
	}
	verdict_of(en, provider, reply, phase, remote, &v);
	react = reaction_of(&v, phase, reply->code);
	refusal_remember(en, provider, source, reply, v.reply_class);
	connect_heard(en, provider, source);
	refusal_event(en, provider, source, 0, reply, phase, remote, &v);
	publish_refusal(en->publish, &(struct publish_refusal){
					     0, BOARD_NONE, provider, source, 0,
					     phase, reply, &v, remote});
	/* A refusal before any message speaks of the path at least. */
	if (react.reflex == REFLEX_NONE || react.reflex == REFLEX_HOLD_SENDER)
		react.reflex = REFLEX_STOP_PATH;
	reflex_apply(en, provider, source, batch_now(en, provider, source), 0,
		     &v, (uint8_t)react.reflex);
}

void result_expired(void *user, uint64_t id, uint32_t rcpt)
{
	struct engine *en = user;
	struct spool_outcome o = {
		.id = id,
		.rcpt = rcpt,
		.state = RCPT_EXPIRED,
		.reply_class = CLASS_TEMPORARY_REMOTE_ERROR,
		.when_s = clock_realtime_s(),
		.reply = {"lifetime is over", 16},
	};

	role_assert(&role_queue);
	role_assert(&role_spool);
	outcome_settle(en, &o, RELEASE_NONE);
}
