/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reflex.c - stops what a reply says is blocked, without waiting for anybody.
 *
 * Called by results.c for each refusal whose scope is larger than the
 * recipient. Roles: queue, spool. The texts given to release are static or
 * live in the rule set, which outlives it.
 */
#include <stdio.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"
#include "sluiced/reaction.h"

/* Lists that receivers have named; 0 when the table is full. */
static uint64_t list_bit(struct engine *en, const char *list)
	RUNS_ON(role_queue)
{
	if (list == NULL || *list == '\0')
		return 0;
	for (uint32_t i = 0; i < en->list_count; i++)
		if (strncmp(en->lists[i], list, LIST_BYTES - 1) == 0)
			return 1ULL << i;
	if (en->list_count == LISTS_MAX)
		return 0;
	snprintf(en->lists[en->list_count], LIST_BYTES, "%s", list);
	return 1ULL << en->list_count++;
}

static const char *reason_of(const struct verdict *v)
{
	static const char *const by_class[CLASS_COUNT_] = {
		[CLASS_RATE_LIMITED] = "the receiver limits the rate",
		[CLASS_BLOCK_IP_TEMPORARY] = "address blocked for a time",
		[CLASS_BLOCK_IP_LIST] = "address blocked via a list",
		[CLASS_BLOCK_DOMAIN_POLICY] = "refused by policy",
		[CLASS_AUTH_REQUIRED] = "authentication is missing",
		[CLASS_PROTOCOL_TLS] = "the dialogue failed",
		[CLASS_TEMPORARY_REMOTE_ERROR] = "the receiver has a problem",
	};
	const char *s =
		v->reply_class < CLASS_COUNT_ ? by_class[v->reply_class] : NULL;

	return s != NULL ? s : "refused for a reason that no rule knows";
}

/* SPF, DKIM, DMARC: this sender domain is held at this provider. False: there
 * is nothing to hold it by (the null sender, a domain that is no text). Without
 * room in the journal the next refusal tries again. */
static bool hold_sender(struct engine *en, uint32_t provider, uint64_t id,
			const struct verdict *v) RUNS_ON(role_queue, role_spool)
{
	const char *domain = queue_sender_domain(en->queue, id);
	struct selection *s = NULL;
	json_t *j;
	uint32_t number = 0;
	bool named;

	if (domain == NULL || *domain == '\0')
		return false;
	j = json_pack("{s:[s],s:[s]}", "provider", en->providers[provider].name,
		      "sender_domain", domain);
	if (j == NULL)
		return false;
	named = selection_from_json(j, &s, NULL) == 0;
	if (named && queue_hold_find(en->queue, s) == 0 &&
	    hold_place(en, s, reason_of(v), "reflex", &number, NULL, NULL) ==
		    0) {
		log_warn("hold", "%s: mail from %s is held (hold %u): %s",
			 en->providers[provider].name, domain, number,
			 reason_of(v));
		s = NULL;
	}
	selection_destroy(&s);
	json_decref(j);
	return named;
}

/* Of a list that is named only those providers are concerned that use it: so
 * far as they have told. One that has not refused goes on. */
static void stop_listed(struct engine *en, const struct reflex_on *on,
			const struct verdict *v, uint64_t wait_ns)
	RUNS_ON(role_queue)
{
	uint64_t bit = list_bit(en, v->list);
	const char *why = reason_of(v);

	if (bit == 0) { /* no name, or too many of them */
		release_block(en->release,
			      v->list == NULL ? on->provider : RELEASE_NONE,
			      on->source, wait_ns, v->from_last, why,
			      io_now_ns(en->io));
		return;
	}
	en->providers[on->provider].lists |= bit;
	for (uint32_t p = 0; p < en->provider_count; p++)
		if (en->providers[p].lists & bit)
			release_block(en->release, p, on->source, wait_ns,
				      v->from_last, why, io_now_ns(en->io));
	log_warn("block", "%s is on the list %s: stopped where it is used%s%s",
		 en->config->sources[on->source].name, v->list,
		 v->delist != NULL ? "; " : "",
		 v->delist != NULL ? v->delist : "");
}

static void ease(struct engine *en, const struct reflex_on *on,
		 const struct verdict *v, uint64_t wait_ns) RUNS_ON(role_queue)
{
	uint32_t provider = on->provider, source = on->source;

	if (v->scope == SCOPE_PROVIDER)
		source = RELEASE_NONE;
	if (v->scope == SCOPE_SOURCE)
		provider = RELEASE_NONE;
	release_ease(en->release, provider, source, on->batch, wait_ns,
		     reason_of(v), io_now_ns(en->io));
}

static void stop_source(struct engine *en, const struct reflex_on *on,
			const struct verdict *v, uint64_t wait_ns)
	RUNS_ON(role_queue)
{
	if (v->reply_class == CLASS_BLOCK_IP_LIST) {
		stop_listed(en, on, v, wait_ns);
		return;
	}
	release_block(en->release, RELEASE_NONE, on->source, wait_ns,
		      v->from_last, reason_of(v), io_now_ns(en->io));
	log_warn("block", "%s is stopped at every provider: %s",
		 en->config->sources[on->source].name, reason_of(v));
}

static void leave_alone(struct engine *en, const struct reflex_on *on)
	RUNS_ON(role_queue)
{
	char text[200];

	snprintf(text, sizeof(text), "%.*s", (int)on->text_len, on->text);
	if (on->domain == QUEUE_NONE)
		return;
	if (on->id == 0)
		reach_no_connection(en, on->domain, text);
	else
		reach_failed(en, on->domain, false, text);
}

bool reflex_apply(struct engine *en, const struct reflex_on *on,
		  const struct verdict *v, uint8_t reflex)
{
	uint64_t wait_ns = (uint64_t)v->wait_s * NS_PER_S;

	switch ((enum reaction_reflex)reflex) {
	case REFLEX_NONE:
		break;
	case REFLEX_EASE:
		ease(en, on, v, wait_ns);
		break;
	case REFLEX_STOP_PATH:
		release_block(en->release, on->provider, on->source, wait_ns,
			      v->from_last, reason_of(v), io_now_ns(en->io));
		delivery_drop_idle(en->delivery, on->provider, on->source);
		break;
	case REFLEX_STOP_SOURCE:
		stop_source(en, on, v, wait_ns);
		break;
	case REFLEX_STOP_PROVIDER:
		release_block(en->release, on->provider, RELEASE_NONE, wait_ns,
			      v->from_last, reason_of(v), io_now_ns(en->io));
		log_warn("block", "%s is stopped over all sources: %s",
			 en->providers[on->provider].name, reason_of(v));
		break;
	case REFLEX_HOLD_SENDER:
		return hold_sender(en, on->provider, on->id, v);
	case REFLEX_LEAVE_ALONE:
		leave_alone(en, on);
		break;
	}
	return true;
}

/* Those that were judged by themselves before it was seen to be a fact of the
 * path go back to their place, and nothing is charged (promise 2). */
static void fact_put_back(struct engine *en, const struct text_fact *f)
	RUNS_ON(role_queue, role_spool)
{
	for (uint32_t i = 0; i < TEXT_FACT_LIMIT - 1; i++) {
		struct spool_outcome o = {
			.id = f->rcpts[i].id,
			.rcpt = f->rcpts[i].rcpt,
			.state = RCPT_WAITING,
			.attempts = f->rcpts[i].attempts,
			.when_s = clock_realtime_s(),
		};
		uint8_t state = queue_rcpt_state(en->queue, o.id, o.rcpt);

		if (state != RCPT_DEFERRED && state != RCPT_NEEDS_DECISION)
			continue; /* decided by somebody else since */
		outcome_journal(en, &o);
		queue_apply_outcome(en->queue, &o);
	}
}

bool reflex_unknown_text(struct engine *en, const struct reflex_on *on)
{
	uint64_t hash = reaction_text_hash(on->text, on->text_len);
	struct text_fact *f = NULL;

	for (uint32_t i = 0; i < TEXT_FACTS && f == NULL; i++)
		if (en->facts[i].hash == hash &&
		    en->facts[i].batch == on->batch &&
		    en->facts[i].provider == on->provider &&
		    en->facts[i].source == on->source)
			f = &en->facts[i];
	if (f == NULL) {
		f = &en->facts[en->fact_next++ % TEXT_FACTS];
		*f = (struct text_fact){.hash = hash,
					.batch = on->batch,
					.provider = on->provider,
					.source = on->source};
	}
	if (++f->count < TEXT_FACT_LIMIT) {
		f->rcpts[f->count - 1] =
			(struct text_fact_rcpt){on->id, on->rcpt, on->attempts};
		return false;
	}
	if (f->count > TEXT_FACT_LIMIT)
		return true;
	release_block(en->release, on->provider, on->source, 0, false,
		      "the same unknown answer for several recipients",
		      io_now_ns(en->io));
	fact_put_back(en, f);
	return true;
}

/* Many refusals for the content: what we send still has spam in it. */
void reflex_content(struct engine *en, uint32_t provider, uint32_t rcpts,
		    uint32_t refusals)
{
	struct provider *p = &en->providers[provider];
	struct selection *s = NULL;
	uint32_t number = 0;
	char reason[160];
	json_t *j;

	if (!reaction_content_alarm(&p->content, rcpts, refusals))
		return;
	snprintf(reason, sizeof(reason),
		 "%u of the last %u recipients were refused for the content: "
		 "look for spam in the backlog",
		 p->content.refused, p->content.answered);
	p->content = (struct reaction_content){0, 0};
	j = json_pack("{s:[s]}", "provider", p->name);
	if (j != NULL && selection_from_json(j, &s, NULL) == 0 &&
	    queue_hold_find(en->queue, s) == 0 &&
	    hold_place(en, s, reason, "reflex", &number, NULL, NULL) == 0) {
		log_warn("hold", "%s is held (hold %u): %s", p->name, number,
			 reason);
		s = NULL;
	}
	selection_destroy(&s);
	json_decref(j);
}
