/* SPDX-License-Identifier: BSD-2-Clause
 *
 * domain.c - where a domain stands: in its provider's ring, or waiting.
 *
 * Called by the owner (counts, holds, paces) and by the turn of a provider.
 * Owner's thread. Bound: O(1). Errors: -EINVAL for a number out of range,
 * -ENOMEM for a new chunk of domains.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "release_priv.h"

/* The backlog of the domain; its live mail follows. */
static struct domain *domain_at(const struct release *r, uint32_t domain)
{
	uint32_t at = domain * 2 % DOMAIN_CHUNK;

	if (domain >= r->limits.domains_max)
		return NULL;
	struct domain *chunk = r->domains[domain / (DOMAIN_CHUNK / 2)];
	if (chunk == NULL || chunk[at].provider == NULL)
		return NULL;
	return &chunk[at];
}

/* Takes the domain out of wherever it stands. */
static void domain_unlink(struct release *r, struct domain *d)
{
	if (d->place == DOMAIN_RING || d->place == DOMAIN_WAITS)
		d->provider->wanting[d->live]--;
	wheel_cancel(&r->wheel, &d->timer.entry);
	link_remove(&d->link);
	d->place = DOMAIN_IDLE;
}

void rel_domain_to_ring(struct release *r, struct domain *d)
{
	domain_unlink(r, d);
	d->place = DOMAIN_RING;
	d->provider->wanting[d->live]++;
	link_append(&d->provider->ring[d->live], &d->link);
	rel_provider_schedule(r, d->provider);
}

void rel_domain_out(struct release *r, struct domain *d)
{
	domain_unlink(r, d);
	d->visited = false;
	d->deficit = 0;
	rel_connection_pass_on(r, d);
}

void rel_domain_wait_until(struct release *r, struct domain *d, uint64_t due_ns)
{
	rel_domain_out(r, d);
	d->place = DOMAIN_TIMED;
	if (due_ns != CLOCK_NEVER_NS)
		wheel_insert(&r->wheel, &d->timer.entry, due_ns);
}

void rel_domain_wait_connection(struct release *r, struct domain *d,
				struct path *path, uint64_t due_ns)
{
	domain_unlink(r, d);
	d->visited = false;
	d->deficit = 0;
	d->place = DOMAIN_WAITS;
	d->provider->wanting[d->live]++;
	d->waits_since = ++r->waits;
	link_append(path != NULL ? &path->waiters[d->live]
				 : &d->provider->waiters[d->live],
		    &d->link);
	wheel_insert(&r->wheel, &d->timer.entry, due_ns);
	rel_connection_pass_on(r, d);
}

void rel_domain_timer_expired(struct release *r, struct domain *d)
{
	struct provider *p = d->provider;

	sluice_assert(d->place == DOMAIN_TIMED || d->place == DOMAIN_WAITS);
	/* it could have sent from its exact time on: a late loop must not
	 * cost the provider that much of its pace; nor the domain, when that
	 * of another woke the provider in the same tick */
	if (d->place == DOMAIN_TIMED && !p->held &&
	    rel_gate_may_send(&p->gate)) {
		uint64_t due_ns = d->timer.entry.due_ns;
		if (p->idle || (p->woken && due_ns < p->resumed_ns))
			p->resumed_ns = due_ns;
		p->woken |= p->idle;
		p->idle = false;
	}
	rel_domain_to_ring(r, d);
}

/* Into the ring or out of it, after mail, a hold or a pace has changed. */
static void domain_review(struct release *r, struct domain *d)
{
	bool may_send = d->waiting > 0 && !d->held;

	if (!may_send) {
		if (d->place != DOMAIN_IDLE)
			rel_domain_out(r, d);
		rel_provider_schedule(r, d->provider);
		return;
	}
	if (d->place == DOMAIN_IDLE) {
		const struct domain *other = domain_sibling(d);

		/* of a token, it does not matter whose mail waited for it */
		d->resumed_ns = other->place == DOMAIN_IDLE ? r->now_ns
							    : other->resumed_ns;
		rel_domain_to_ring(r, d);
	}
}

static struct domain *domain_make(struct release *r, uint32_t domain)
{
	struct domain **chunk = &r->domains[domain / (DOMAIN_CHUNK / 2)];

	if (*chunk == NULL) {
		*chunk = calloc(DOMAIN_CHUNK, sizeof(**chunk));
		if (*chunk == NULL)
			return NULL;
		for (uint32_t i = 0; i < DOMAIN_CHUNK; i++) {
			struct domain *d = &(*chunk)[i];
			d->number =
				domain - domain % (DOMAIN_CHUNK / 2) + i / 2;
			d->live = i % 2 == 1;
			link_init(&d->link);
			rel_timer_init(&d->timer, TIMER_DOMAIN);
		}
	}
	return &(*chunk)[domain * 2 % DOMAIN_CHUNK];
}

static void domain_move(struct release *r, struct domain *d, struct provider *p)
{
	struct provider *before = d->provider;

	if (before == p)
		return;
	if (before != NULL) {
		rel_domain_out(r, d);
		rel_provider_schedule(r, before);
	}
	d->provider = p;
	d->woken = false;
	d->ready_seen = p->ready_seq;
	d->marked_ns = 0;
	memset(d->no_connection, 0, sizeof(d->no_connection));
}

/* A token that is due may wait a whole interval for its domain's turn: what is
 * sent is one message off the rate at most, and the next is still on time. With
 * more than that in hand the provider's share is the limit, not the cap. */
static uint64_t domain_lag_ns(struct pace pace)
{
	uint64_t interval_ns = pace.count > 0 ? pace.period_ns / pace.count : 0;

	return interval_ns > RELEASE_LAG_MAX_NS ? interval_ns
						: RELEASE_LAG_MAX_NS;
}

int release_domain_set(struct release *r, uint32_t domain, uint32_t provider,
		       struct pace pace, uint64_t now_ns)
{
	struct provider *p;
	struct domain *d;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	release_now(r, now_ns);
	p = rel_provider_at(r, provider);
	if (domain >= r->limits.domains_max || p == NULL)
		return -EINVAL;
	d = domain_make(r, domain);
	if (d == NULL)
		return -ENOMEM;
	if (d->provider == NULL)
		pace_bucket_init(&d->bucket, pace, r->now_ns, 0);
	else
		pace_bucket_set(&d->bucket, pace, r->now_ns);
	d->bucket.lag_max_ns = domain_lag_ns(pace);
	for (uint32_t i = 0; i < 2; i++) {
		domain_move(r, &d[i], p);
		if (d[i].place == DOMAIN_TIMED) /* its time may be another */
			rel_domain_to_ring(r, &d[i]);
		domain_review(r, &d[i]);
	}
	return 0;
}

void release_domain_waiting(struct release *r, uint32_t domain, bool live,
			    uint32_t waiting, uint64_t now_ns)
{
	struct domain *d;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	release_now(r, now_ns);
	d = domain_at(r, domain);
	if (d == NULL)
		return;
	d += live;
	d->waiting = waiting;
	domain_review(r, d);
}

void release_domain_hold(struct release *r, uint32_t domain, bool hold)
{
	struct domain *d;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	d = domain_at(r, domain);
	if (d == NULL)
		return;
	for (uint32_t i = 0; i < 2; i++) {
		d[i].held = hold;
		domain_review(r, &d[i]);
	}
}
