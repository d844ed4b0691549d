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
#include "sluiced/replies.h"

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

bool reflex_apply(struct engine *en, uint32_t provider, uint32_t source,
		  uint32_t batch, uint64_t id, const struct verdict *v,
		  uint8_t reflex)
{
	uint64_t wait_ns = (uint64_t)v->wait_s * NS_PER_S;
	uint64_t now_ns = io_now_ns(en->io);
	const char *why = reason_of(v);

	switch ((enum reaction_reflex)reflex) {
	case REFLEX_NONE:
		break;
	case REFLEX_EASE:
		release_ease(en->release, provider, source, batch, wait_ns, why,
			     now_ns);
		break;
	case REFLEX_STOP_PATH:
		release_block(en->release, provider, source, wait_ns,
			      v->from_last, why, now_ns);
		delivery_drop_idle(en->delivery, provider, source);
		break;
	case REFLEX_STOP_SOURCE:
		release_block(en->release, RELEASE_NONE, source, wait_ns,
			      v->from_last, why, now_ns);
		break;
	case REFLEX_STOP_PROVIDER:
		release_block(en->release, provider, RELEASE_NONE, wait_ns,
			      v->from_last, why, now_ns);
		break;
	case REFLEX_HOLD_SENDER:
		return hold_sender(en, provider, id, v);
	}
	return true;
}

void reflex_unknown_text(struct engine *en, uint32_t provider, uint32_t source,
			 uint32_t batch, const char *text, uint32_t len)
{
	uint64_t hash = reply_text_hash(text, len);
	struct text_fact *f = NULL;

	for (uint32_t i = 0; i < TEXT_FACTS && f == NULL; i++)
		if (en->facts[i].hash == hash && en->facts[i].batch == batch &&
		    en->facts[i].provider == provider &&
		    en->facts[i].source == source)
			f = &en->facts[i];
	if (f == NULL) {
		f = &en->facts[en->fact_next++ % TEXT_FACTS];
		*f = (struct text_fact){hash, batch, 0, provider, source};
	}
	if (++f->count != TEXT_FACT_LIMIT)
		return;
	release_block(en->release, provider, source, 0, false,
		      "the same unknown answer for several recipients",
		      io_now_ns(en->io));
}
