/* SPDX-License-Identifier: BSD-2-Clause
 *
 * domains.c - a domain appears, waits, or cannot be routed.
 *
 * Callbacks of queue and delivery. Role: queue. A domain whose DNS fails
 * cannot be reached for now (reach.c). One that has no host at all fails its
 * messages (a recipient fact).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"

#define FAIL_SLICE 256 /* messages of an unroutable domain per second */

struct pace domain_pace(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->domain_count; i++)
		if (strcmp(c->domains[i].name, name) == 0)
			return c->domains[i].pace;
	return PACE_UNLIMITED;
}

static int states_grow(struct engine *en, uint32_t domain) RUNS_ON(role_queue)
{
	uint32_t room = en->domain_room ? en->domain_room * 2 : 256;
	struct domain_state *grown;

	if (domain < en->domain_room)
		return 0;
	while (room <= domain)
		room *= 2;
	grown = realloc(en->domains, room * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	memset(grown + en->domain_room, 0,
	       (room - en->domain_room) * sizeof(*grown));
	en->domains = grown;
	en->domain_room = room;
	return 0;
}

struct domain_state *domain_state(struct engine *en, uint32_t domain)
{
	return domain < en->domain_room ? &en->domains[domain] : NULL;
}

/* By name, as the config has it; else DNS will tell. */
static uint32_t first_provider(struct engine *en, const char *name,
			       bool *follows) RUNS_ON(role_queue)
{
	uint32_t provider = provider_of_domain(en, name);

	*follows = false;
	if (provider != QUEUE_NONE)
		return provider;
	if (!en->by_mx || name[0] == '[')
		return provider_named(en, name, PROVIDER_DOMAIN);
	*follows = true;
	return en->unresolved;
}

static void domain_to_delivery(struct engine *en, uint32_t domain,
			       const char *name, uint32_t provider)
	RUNS_ON(role_queue)
{
	delivery_domain_set(en->delivery, domain, name, provider);
	if (provider == en->unresolved)
		delivery_domain_ask(en->delivery, domain);
}

uint32_t domain_new(void *user, uint32_t domain, const char *name)
{
	struct engine *en = user;
	uint32_t provider;

	role_assert(&role_queue);
	provider = queue_via_provider(name);
	if (provider != QUEUE_NONE) { /* its name, without the mark */
		name = queue_domain_name(en->queue, domain);
	} else {
		provider = 0; /* out of memory: the default paces it */
		if (states_grow(en, domain) == 0)
			provider = first_provider(en, name,
						  &en->domains[domain].follows);
	}
	en->providers[provider].domains++;
	release_domain_set(en->release, domain, provider,
			   domain_pace(en->config, name), clock_monotonic_ns());
	if (en->delivery_up)
		domain_to_delivery(en, domain, name, provider);
	return provider;
}

void domains_to_delivery(struct engine *en)
{
	uint32_t count = queue_domain_count(en->queue);

	en->delivery_up = true;
	for (uint32_t d = 0; d < count; d++)
		domain_to_delivery(en, d, queue_domain_name(en->queue, d),
				   queue_domain_provider(en->queue, d));
}

void domain_states_destroy(struct engine *en)
{
	role_assert(&role_queue);
	free(en->domains);
	en->domains = NULL;
	en->domain_room = 0;
}

/* Where the new config puts it; `anew`: MX hosts may lead elsewhere now. */
static void domain_review(struct engine *en, uint32_t domain, bool anew)
	RUNS_ON(role_queue)
{
	struct domain_state *st = domain_state(en, domain);
	bool follows, did = st != NULL && st->follows;
	uint32_t provider = first_provider(
		en, queue_domain_name(en->queue, domain), &follows);

	if (st == NULL)
		return; /* there was no memory for it */
	st->follows = follows;
	st->anew = follows && did && anew;
	if (st->anew) {
		delivery_domain_forget(en->delivery, domain);
		return;
	}
	if ((follows && did) ||
	    provider == queue_domain_provider(en->queue, domain))
		return;
	st->watch = (struct site_watch){0};
	domain_assign(en, domain, provider);
	if (!follows)
		return;
	delivery_domain_forget(en->delivery, domain);
	delivery_domain_ask(en->delivery, domain);
}

static void pace_review(struct engine *en, uint32_t domain) RUNS_ON(role_queue)
{
	release_domain_set(
		en->release, domain, queue_domain_provider(en->queue, domain),
		domain_pace(en->config, queue_domain_name(en->queue, domain)),
		clock_monotonic_ns());
}

/* Domains that have, or had, a pace of their own. */
static void paces_review(struct engine *en, const struct config *c)
	RUNS_ON(role_queue)
{
	for (uint32_t i = 0; i < c->domain_count; i++) {
		uint32_t d = queue_domain_find(en->queue, c->domains[i].name);

		if (d != QUEUE_NONE)
			pace_review(en, d);
	}
}

void domains_review(struct engine *en, const struct config *before)
{
	uint32_t count = queue_domain_count(en->queue);
	bool anew = sites_review(en, before);

	for (uint32_t d = 0; d < count; d++) {
		if (!queue_domain_is_via(en->queue, d))
			domain_review(en, d, anew);
		else if (before->domain_count + en->config->domain_count > 0)
			pace_review(en, d); /* an operator's word stays */
	}
	paces_review(en, before);
	paces_review(en, en->config);
	/* what could not be reached may be reached now */
	reach_again(en);
}

void domain_waiting(void *user, uint32_t domain, bool live, uint32_t waiting)
{
	struct engine *en = user;

	release_domain_waiting(en->release, domain, live, waiting,
			       clock_monotonic_ns());
}

/* Fails what waits for a domain that does not exist. */
static void domain_fail(struct engine *en, uint32_t domain, const char *detail)
	RUNS_ON(role_queue, role_spool)
{
	static struct queue_taken t;
	uint32_t now_s = clock_realtime_s();

	for (uint32_t n = 0; n < FAIL_SLICE; n++) {
		if (queue_take(en->queue, domain, true, now_s, &t) != 0 &&
		    queue_take(en->queue, domain, false, now_s, &t) != 0)
			break;
		for (uint32_t i = 0; i < t.rcpt_count; i++) {
			struct spool_outcome o = {
				.id = t.id,
				.rcpt = t.rcpts[i],
				.state = RCPT_FAILED,
				.reply_class =
					CLASS_HOST_UNKNOWN_OR_RELAY_DENIED,
				.attempts = t.attempts[i],
				.when_s = now_s,
				.reply = {detail, (uint32_t)strlen(detail)},
			};

			outcome_journal(en, &o);
			queue_apply_outcome(en->queue, &o);
			outcome_heard(en, &o, RELEASE_NONE);
		}
	}
}

void engine_unroutable(void *user, uint32_t domain, bool permanent,
		       const char *detail)
{
	struct engine *en = user;

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (!permanent) {
		reach_failed(en, domain, true, detail);
		return;
	}
	log_info("unroutable", "%s: %s", queue_domain_name(en->queue, domain),
		 detail);
	domain_fail(en, domain, detail);
}
