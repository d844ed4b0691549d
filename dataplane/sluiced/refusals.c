/* SPDX-License-Identifier: BSD-2-Clause
 *
 * refusals.c - what a refusal makes of a recipient, and of more than it.
 *
 * Called by results.c for each refused recipient, and by delivery for
 * connections that were refused or could not be made. Roles: queue, spool.
 * Bound: the rule set, once per refusal. Errors: none.
 */
#include <stdio.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/board.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/reaction.h"
#include "sluiced/replies.h"
#include "sluiced/results.h"

#define REFUSAL_TEXT_BYTES (REFUSAL_BYTES - 32)

uint32_t reply_format(const struct smtp_reply *r, char *buf, size_t room)
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

/* Once more, unless its lifetime is over: then it has expired, and this answer
 * is the reason. */
void outcome_defer(struct engine *en, struct spool_outcome *o, uint32_t wait_s)
{
	const struct config *c = en->config;

	if (queue_lifetime_is_over(
		    en->queue, o->id, o->rcpt, o->when_s,
		    (uint32_t)(c->retry.lifetime_ns / NS_PER_S))) {
		o->state = RCPT_EXPIRED;
		o->source = 0;
		return;
	}
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
	RUNS_ON(role_queue)
{
	o->reply_class = v->reply_class;
	switch (what) {
	case REACT_PUT_BACK:
		o->state = RCPT_WAITING;
		break;
	case REACT_DEFER:
		attempt_charge(o);
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
		attempt_charge(o);
		o->state = RCPT_FAILED;
		break;
	}
}

static void refusal_tell(struct result_context *c, uint64_t id,
			 const struct delivery_result *r,
			 const struct verdict *v) RUNS_ON(role_queue)
{
	struct engine *en = c->en;

	refusal_remember(en, c->provider, c->source, r->reply, v->reply_class);
	refusal_event(en, c->provider, c->source, id, r->reply, r->phase,
		      r->remote, v);
	publish_refusal(en->publish,
			&(struct publish_refusal){id, r->rcpt, c->provider,
						  c->source, c->batch, r->phase,
						  r->reply, v, r->remote});
}

void refused(struct result_context *c, struct spool_outcome *o,
	     const struct delivery_result *r)
{
	struct engine *en = c->en;
	struct reflex_on on = {c->provider, c->source,      c->batch,
			       c->domain,   o->id,          o->rcpt,
			       o->attempts, r->reply->text, r->reply->text_len};
	struct verdict v;
	struct reaction react;

	verdict_of(en, c->provider, r->reply, r->phase, r->remote, &v);
	react = reaction_of(&v, r->phase, r->reply->code);
	refusal_tell(c, o->id, r, &v);
	c->sum.path_refusals += react.reflex != REFLEX_NONE;
	c->content += v.reply_class == CLASS_CONTENT_REJECTED;
	c->answered |= react.reflex != REFLEX_LEAVE_ALONE;
	o->reply.data = c->reply;
	o->reply.len = reply_format(r->reply, c->reply, sizeof(c->reply));
	if (react.reflex != REFLEX_NONE) {
		/* Put back with nothing stopped, it would go again at once. */
		if (!reflex_apply(en, &on, &v, (uint8_t)react.reflex))
			react.rcpt = REACT_HOLD;
	} else if (v.reply_class == CLASS_UNKNOWN && !v.permanent &&
		   reflex_unknown_text(en, &on)) {
		react.rcpt = REACT_PUT_BACK;
	}
	outcome_of_reaction(en, o, &v, react.rcpt, c->source);
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
	struct reflex_on on;
	struct verdict v;
	struct reaction react;

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (reply == NULL) {
		no_connection(en, provider, source, detail);
		reach_no_connection(en, domain,
				    detail ? detail : "no connection");
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
	if (react.reflex != REFLEX_LEAVE_ALONE)
		reach_answered(en, domain);
	on = (struct reflex_on){.provider = provider,
				.source = source,
				.batch = batch_now(en, provider, source),
				.domain = domain,
				.text = reply->text,
				.text_len = reply->text_len};
	reflex_apply(en, &on, &v, (uint8_t)react.reflex);
}
