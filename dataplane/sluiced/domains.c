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

static struct pace domain_pace(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->domain_count; i++)
		if (strcmp(c->domains[i].name, name) == 0)
			return c->domains[i].pace;
	return PACE_UNLIMITED;
}

uint32_t domain_new(void *user, uint32_t domain, const char *name)
{
	struct engine *en = user;
	uint32_t provider;

	role_assert(&role_queue);
	provider = provider_of_domain(en, name);
	release_domain_set(en->release, domain, provider,
			   domain_pace(en->config, name), clock_monotonic_ns());
	if (en->delivery_up)
		delivery_domain_set(en->delivery, domain, name, provider);
	return provider;
}

void domains_to_delivery(struct engine *en)
{
	uint32_t count = queue_domain_count(en->queue);

	en->delivery_up = true;
	for (uint32_t d = 0; d < count; d++)
		delivery_domain_set(en->delivery, d,
				    queue_domain_name(en->queue, d),
				    queue_domain_provider(en->queue, d));
}

void domain_waiting(void *user, uint32_t domain, uint32_t waiting)
{
	struct engine *en = user;

	release_domain_waiting(en->release, domain, waiting,
			       clock_monotonic_ns());
}

static struct unroutable *unroutable_find(struct engine *en, uint32_t domain)
	RUNS_ON(role_queue)
{
	for (uint32_t i = 0; i < en->unroutable_count; i++)
		if (en->unroutable[i].domain == domain)
			return &en->unroutable[i];
	return NULL;
}

static struct unroutable *unroutable_add(struct engine *en, uint32_t domain)
	RUNS_ON(role_queue)
{
	struct unroutable *u;

	if (en->unroutable_count == en->unroutable_room) {
		uint32_t room =
			en->unroutable_room ? en->unroutable_room * 2 : 16;

		u = realloc(en->unroutable, room * sizeof(*u));
		if (u == NULL)
			return NULL;
		en->unroutable = u;
		en->unroutable_room = room;
	}
	u = &en->unroutable[en->unroutable_count++];
	*u = (struct unroutable){.domain = domain};
	return u;
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
	struct unroutable *u;
	uint32_t wait_s;

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (permanent) {
		log_info("unroutable", "%s: %s", name, detail);
		domain_fail(en, domain, detail);
		return;
	}
	u = unroutable_find(en, domain);
	if (u == NULL)
		u = unroutable_add(en, domain);
	if (u == NULL || u->holding)
		return;
	wait_s = unroutable_wait_s(en->config, u->tries++);
	u->until_s = clock_realtime_s() + wait_s;
	u->holding = true;
	release_domain_hold(en->release, domain, true);
	log_warn("unroutable", "%s: %s; asking again in %u s", name, detail,
		 wait_s);
}

void domains_second(struct engine *en, uint32_t now_s)
{
	for (uint32_t i = 0; i < en->unroutable_count; i++) {
		struct unroutable *u = &en->unroutable[i];

		if (!u->holding || u->until_s > now_s)
			continue;
		u->holding = false;
		release_domain_hold(en->release, u->domain, false);
	}
}
