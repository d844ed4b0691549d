/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reach.c - domains that cannot be reached: left alone, tried again, given up.
 *
 * Called with delivery's failures and answers, and once a second. Roles: queue,
 * spool. No route (DNS), no connection, no address of a family that we have:
 * facts of the domain, not of a path. The domain is left alone for retry.first,
 * doubling to retry.max, then ONE connection is tried. No attempt is charged
 * to its messages, but their lifetime goes on: when it is over they expire,
 * with the last failure as the reason.
 * Bound: one record per domain that fails; a second expires EXPIRE_SLICE
 * recipients, and looks through the waiting ones of a domain once in a while.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"
#include "sluiced/reaction.h"

/* Until then a receiver that restarts is only tried by delivery's own
 * back-off, which is quick. */
#define PATIENCE_S    10u
#define PATIENCE_FAIL 2u
#define EXPIRE_SLICE  256u
#define EXPIRE_GAP_S  60u /* between two looks at the same waiting mail */

struct reach {
	uint32_t domain;
	uint32_t since_s;  /* first failure of this row */
	uint32_t failures; /* of this row */
	uint32_t tries;    /* back-offs of this row */
	uint32_t until_s;
	uint32_t expire_s; /* when to look for what expires */
	bool holding;      /* left alone until `until_s` */
	char detail[256];
};

static struct reach *reach_find(struct engine *en, uint32_t domain)
	RUNS_ON(role_queue)
{
	uint32_t at = domain < en->reach_of_room ? en->reach_of[domain] : 0;

	return at != 0 ? &en->reach[at - 1] : NULL;
}

static int reach_grow(struct engine *en, uint32_t domain) RUNS_ON(role_queue)
{
	uint32_t room = en->reach_of_room;

	if (domain >= room) {
		uint32_t *of;

		while (domain >= room)
			room = room ? room * 2 : 256;
		of = realloc(en->reach_of, room * sizeof(*of));
		if (of == NULL)
			return -1;
		memset(of + en->reach_of_room, 0,
		       (room - en->reach_of_room) * sizeof(*of));
		en->reach_of = of;
		en->reach_of_room = room;
	}
	if (en->reach_count == en->reach_room) {
		uint32_t more = en->reach_room ? en->reach_room * 2 : 16;
		struct reach *r = realloc(en->reach, more * sizeof(*r));

		if (r == NULL)
			return -1;
		en->reach = r;
		en->reach_room = more;
	}
	return 0;
}

static struct reach *reach_add(struct engine *en, uint32_t domain,
			       uint32_t now_s) RUNS_ON(role_queue)
{
	struct reach *r;

	if (reach_grow(en, domain) != 0)
		return NULL;
	sluice_assert(en->reach != NULL);
	r = &en->reach[en->reach_count++];
	*r = (struct reach){.domain = domain, .since_s = now_s};
	en->reach_of[domain] = en->reach_count;
	return r;
}

/* The last record takes its place. */
static void reach_remove(struct engine *en, struct reach *r) RUNS_ON(role_queue)
{
	struct reach *last = &en->reach[en->reach_count - 1];
	bool holding = r->holding;
	uint32_t domain = r->domain;

	en->reach_of[last->domain] = (uint32_t)(r - en->reach) + 1;
	en->reach_of[domain] = 0;
	*r = *last;
	en->reach_count--;
	if (holding)
		release_domain_hold(en->release, domain, false);
}

void reach_destroy(struct engine *en)
{
	role_assert(&role_queue);
	free(en->reach);
	free(en->reach_of);
	en->reach = NULL;
	en->reach_of = NULL;
	en->reach_count = en->reach_room = en->reach_of_room = 0;
}

static void leave_alone(struct engine *en, struct reach *r, uint32_t now_s)
	RUNS_ON(role_queue)
{
	uint32_t wait_s = reaction_backoff_s(
		++r->tries, (uint32_t)(en->config->retry.first_ns / NS_PER_S),
		(uint32_t)(en->config->retry.max_ns / NS_PER_S));

	r->until_s = now_s + (wait_s > 0 ? wait_s : 1);
	r->holding = true;
	release_domain_hold(en->release, r->domain, true);
	log_warn("unreachable", "%s: %s; trying again in %u s",
		 queue_domain_name(en->queue, r->domain), r->detail, wait_s);
}

/* A blip is no row of failures yet. */
static bool is_patient(const struct engine *en, const struct reach *r,
		       uint32_t now_s)
{
	uint32_t first_s = (uint32_t)(en->config->retry.first_ns / NS_PER_S);
	uint32_t patience_s = first_s < PATIENCE_S ? first_s : PATIENCE_S;

	return r->tries == 0 &&
	       (r->failures < PATIENCE_FAIL || now_s - r->since_s < patience_s);
}

static void domain_failed(struct engine *en, uint32_t domain, bool at_once,
			  const char *detail) RUNS_ON(role_queue)
{
	uint32_t now_s = clock_realtime_s();
	struct reach *r = reach_find(en, domain);

	if (r == NULL)
		r = reach_add(en, domain, now_s);
	if (r == NULL || r->holding)
		return;
	r->failures++;
	snprintf(r->detail, sizeof(r->detail), "%s", detail);
	if (at_once || !is_patient(en, r, now_s))
		leave_alone(en, r, now_s);
}

/* With a configured route one failure speaks of all domains of the provider. */
static bool shares_route(const struct engine *en, uint32_t provider)
	RUNS_ON(role_queue)
{
	return provider_config(en, provider)->route != NULL;
}

void reach_failed(struct engine *en, uint32_t domain, bool at_once,
		  const char *detail)
{
	uint32_t provider = queue_domain_provider(en->queue, domain);
	struct queue_counts c;

	domain_failed(en, domain, at_once, detail);
	if (!shares_route(en, provider))
		return;
	for (uint32_t d = 0; d < queue_domain_count(en->queue); d++) {
		if (d == domain ||
		    queue_domain_provider(en->queue, d) != provider ||
		    queue_domain_counts(en->queue, d, &c) != 0 ||
		    c.waiting == 0)
			continue;
		domain_failed(en, d, at_once, detail);
	}
}

void reach_answered(struct engine *en, uint32_t domain)
{
	uint32_t provider;
	struct reach *r;

	if (en->reach_count == 0)
		return;
	provider = queue_domain_provider(en->queue, domain);
	r = reach_find(en, domain);
	if (r != NULL)
		reach_remove(en, r);
	if (!shares_route(en, provider))
		return;
	sluice_assert(en->reach != NULL);
	for (uint32_t i = en->reach_count; i-- > 0;)
		if (queue_domain_provider(en->queue, en->reach[i].domain) ==
		    provider)
			reach_remove(en, &en->reach[i]);
}

/* What stood in the way may be gone: all are tried in the next second. */
void reach_again(struct engine *en)
{
	for (uint32_t i = 0; i < en->reach_count; i++)
		en->reach[i].until_s = 0;
}

/* The connection was refused while others of the domain work: too many of
 * them, not a domain out of reach. */
void reach_no_connection(struct engine *en, uint32_t domain, const char *detail)
{
	struct queue_counts c;

	if (queue_domain_counts(en->queue, domain, &c) == 0 && c.in_flight > 0)
		return;
	reach_failed(en, domain, false, detail);
}

/* Its hosts are known, but `source` has no address of their family. That is a
 * failure of the domain when it is true of the whole pool. */
void reach_no_family(struct engine *en, uint32_t provider, uint32_t domain)
{
	const struct config *c = en->config;
	const struct config_pool *pool =
		&c->pools[provider_config(en, provider)->pool];
	char detail[160];

	for (uint32_t i = 0; i < pool->source_count; i++)
		if (!delivery_family_missing(en->delivery, provider,
					     pool->sources[i], domain))
			return;
	snprintf(detail, sizeof(detail),
		 "its hosts have no address of a family (IPv4, IPv6) that a "
		 "source of pool %s has",
		 pool->name);
	reach_failed(en, domain, true, detail);
}

struct expiry {
	struct engine *en;
	const char *detail;
};

static void expired(void *user, uint64_t id, uint32_t rcpt)
{
	const struct expiry *x = user;
	struct spool_outcome o = {
		.id = id,
		.rcpt = rcpt,
		.state = RCPT_EXPIRED,
		.reply_class = CLASS_TEMPORARY_REMOTE_ERROR,
		.attempts = queue_attempts(x->en->queue, id, rcpt),
		.when_s = clock_realtime_s(),
		.reply = {x->detail, (uint32_t)strlen(x->detail)},
	};

	role_assert(&role_queue);
	role_assert(&role_spool);
	outcome_journal(x->en, &o);
	queue_apply_outcome(x->en->queue, &o);
}

static void reach_expire(struct engine *en, struct reach *r, uint32_t now_s)
	RUNS_ON(role_queue, role_spool)
{
	uint32_t lifetime_s =
		(uint32_t)(en->config->retry.lifetime_ns / NS_PER_S);
	uint32_t gap_s =
		lifetime_s / 16 < EXPIRE_GAP_S ? lifetime_s / 16 : EXPIRE_GAP_S;
	struct expiry x = {en, r->detail};
	uint32_t next_s;

	if (r->tries == 0 || now_s < r->expire_s)
		return;
	next_s = queue_expire_waiting(en->queue, r->domain, now_s, lifetime_s,
				      EXPIRE_SLICE, expired, &x);
	if (next_s <= now_s) /* there are more */
		r->expire_s = now_s + 1;
	else if (next_s - now_s > lifetime_s) /* what comes until then */
		r->expire_s = now_s + lifetime_s;
	else
		r->expire_s = next_s > now_s + gap_s ? next_s : now_s + gap_s;
}

void reach_second(struct engine *en, uint32_t now_s)
{
	struct queue_counts c;

	for (uint32_t i = en->reach_count; i-- > 0;) {
		struct reach *r = &en->reach[i];

		reach_expire(en, r, now_s);
		if (!r->holding || now_s < r->until_s)
			continue;
		r->holding = false;
		release_domain_hold(en->release, r->domain, false);
		/* Mail that may go asks for itself; a domain that DNS has not
		 * told of yet is asked for, so that what is held of it can be
		 * selected by provider. */
		if (queue_domain_provider(en->queue, r->domain) ==
		    en->unresolved)
			delivery_domain_ask(en->delivery, r->domain);
		if (queue_domain_counts(en->queue, r->domain, &c) == 0 &&
		    c.recipients == 0)
			reach_remove(en, r);
	}
}
