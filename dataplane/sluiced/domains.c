/* SPDX-License-Identifier: BSD-2-Clause
 *
 * domains.c - a domain appears, waits, or cannot be routed.
 *
 * Callbacks of queue and delivery. Role: queue. A domain whose DNS fails is
 * asked again after retry.first, doubling to retry.max, at most 1 h; its
 * messages are not touched. One that has no host at all fails its messages (a
 * recipient fact).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"
#include "sluiced/reaction.h"

#define UNROUTABLE_MAX_S 3600u
#define FAIL_SLICE       256 /* messages of an unroutable domain per second */

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
	uint32_t provider = 0; /* out of memory: the default paces it */

	role_assert(&role_queue);
	if (states_grow(en, domain) == 0)
		provider =
			first_provider(en, name, &en->domains[domain].follows);
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
	free(en->waiting);
	en->domains = NULL;
	en->waiting = NULL;
	en->domain_room = en->waiting_count = en->waiting_room = 0;
}

void domain_waiting(void *user, uint32_t domain, uint32_t waiting)
{
	struct engine *en = user;

	release_domain_waiting(en->release, domain, waiting,
			       clock_monotonic_ns());
}

/* False: no memory to remember it. Its mail is then offered again at once. */
static bool waiting_add(struct engine *en, uint32_t domain) RUNS_ON(role_queue)
{
	if (en->waiting_count == en->waiting_room) {
		uint32_t room = en->waiting_room ? en->waiting_room * 2 : 64;
		uint32_t *grown = realloc(en->waiting, room * sizeof(*grown));

		if (grown == NULL)
			return false;
		en->waiting = grown;
		en->waiting_room = room;
	}
	en->waiting[en->waiting_count++] = domain;
	return true;
}

/* Fails what waits for a domain that does not exist. */
static void domain_fail(struct engine *en, uint32_t domain, const char *detail)
	RUNS_ON(role_queue, role_spool)
{
	static struct queue_taken t;
	uint32_t now_s = clock_realtime_s();

	for (uint32_t n = 0; n < FAIL_SLICE; n++) {
		if (queue_take(en->queue, domain, now_s, &t) != 0)
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
		}
	}
}

/* Like a recipient's, but an hour at most: one question asks for all of its
 * mail. */
static uint32_t unroutable_wait_s(const struct config *c, uint32_t tries)
{
	uint32_t wait_s = reaction_backoff_s(
		tries + 1, (uint32_t)(c->retry.first_ns / NS_PER_S),
		(uint32_t)(c->retry.max_ns / NS_PER_S));

	return wait_s < UNROUTABLE_MAX_S ? wait_s : UNROUTABLE_MAX_S;
}

void engine_unroutable(void *user, uint32_t domain, bool permanent,
		       const char *detail)
{
	struct engine *en = user;
	const char *name = queue_domain_name(en->queue, domain);
	struct domain_state *st;
	uint32_t wait_s;

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (permanent) {
		log_info("unroutable", "%s: %s", name, detail);
		domain_fail(en, domain, detail);
		return;
	}
	st = domain_state(en, domain);
	if (st == NULL || st->waits || !waiting_add(en, domain))
		return;
	wait_s = unroutable_wait_s(en->config, st->tries++);
	st->until_s = clock_realtime_s() + wait_s;
	st->waits = true;
	release_domain_hold(en->release, domain, true);
	log_warn("unroutable", "%s: %s; asking again in %u s", name, detail,
		 wait_s);
}

/* Mail that may go asks for itself; a domain that nobody has told of yet is
 * asked for, so that its mail can be selected by provider before it goes. */
static void domain_resume(struct engine *en, uint32_t domain)
	RUNS_ON(role_queue)
{
	en->domains[domain].waits = false;
	release_domain_hold(en->release, domain, false);
	if (queue_domain_provider(en->queue, domain) == en->unresolved)
		delivery_domain_ask(en->delivery, domain);
}

void domains_second(struct engine *en, uint32_t now_s)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < en->waiting_count; i++) {
		uint32_t domain = en->waiting[i];

		if (en->domains[domain].until_s > now_s)
			en->waiting[kept++] = domain;
		else
			domain_resume(en, domain);
	}
	en->waiting_count = kept;
}
