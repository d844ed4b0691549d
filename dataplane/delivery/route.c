/* SPDX-License-Identifier: BSD-2-Clause
 *
 * route.c - from a destination domain to its next hop.
 *
 * Called by delivery_offer() and by the resolver's answers. Role: worker.
 * A provider's `route` (or that of the default provider) replaces the MX
 * lookup; an address literal needs no lookup at all. Otherwise: MX records by
 * preference, the domain itself where there are none (RFC 5321 5.1), nothing
 * where the MX is "." (RFC 7505). Answers are used for their TTL, an expired
 * one never: who asks waits for the new one. With a TTL of 0 the answer is for
 * those that wait for it.
 * Bound: QUERIES_MAX domains are being asked for at a time, others wait in
 * line; of those that failed before, a quarter.
 * Errors: temporary ones are asked again after 5 s, doubling to 5 min.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/delivery_priv.h"
#include "delivery/route.h"

#define RETRY_FIRST_NS (5 * NS_PER_S)
#define RETRY_MAX_NS   (300 * NS_PER_S)
#define NEGATIVE_MAX   (3600 * NS_PER_S)
#define GRANT_NS       NS_PER_S
#define TELL_NS        (10 * NS_PER_S)
#define QUERIES_MAX    2048u /* each takes some KiB */
#define SUSPECTS_MAX   (QUERIES_MAX / 4)

const char *provider_route(const struct delivery *d, uint32_t provider)
{
	const char *route = NULL;

	if (d->ops->route != NULL)
		route = d->ops->route(d->user, provider);
	if (route == NULL)
		route = path_config(d, provider)->route;
	return route ? route : d->config->providers[0].route;
}

static int domains_grow(struct delivery *d, uint32_t number)
{
	uint32_t size = d->domain_size ? d->domain_size : 256;
	struct domain **grown;

	if (number < d->domain_size)
		return 0;
	while (size <= number)
		size *= 2;
	grown = realloc(d->domains, size * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + d->domain_size, 0,
	       (size - d->domain_size) * sizeof(*grown));
	d->domains = grown;
	d->domain_size = size;
	return 0;
}

static struct domain *domain_new(uint32_t number, const char *name,
				 uint32_t provider)
{
	struct domain *dom = calloc(1, sizeof(*dom));

	if (!dom)
		return NULL;
	dom->name = strdup(name);
	if (!dom->name) {
		free(dom);
		return NULL;
	}
	dom->number = number;
	dom->provider = provider;
	link_init(&dom->tell_link);
	link_init(&dom->ask_link);
	return dom;
}

void domain_forget(struct domain *dom)
{
	dom->expires_ns = 0;
	dom->granted = 0;
	dom->renew = dom->asking && link_empty(&dom->ask_link);
}

/* What is known, or being asked for, is of the old provider's route. */
static void domain_move(struct delivery *d, struct domain *dom,
			uint32_t provider)
{
	const char *was = provider_route(d, dom->provider);
	const char *is = provider_route(d, provider);

	dom->provider = provider;
	if (was == is || (was && is && strcmp(was, is) == 0))
		return;
	domain_forget(dom);
}

int domain_set(struct delivery *d, uint32_t number, const char *name,
	       uint32_t provider)
{
	struct domain *dom = domain_find(d, number);

	if (dom && strcmp(dom->name, name) == 0) {
		domain_move(d, dom, provider);
		return 0;
	}
	if (dom)
		return -EEXIST; /* numbers are never reused */
	if (domains_grow(d, number))
		return -ENOMEM;
	d->domains[number] = domain_new(number, name, provider);
	return d->domains[number] ? 0 : -ENOMEM;
}

struct domain *domain_find(const struct delivery *d, uint32_t number)
{
	return number < d->domain_size ? d->domains[number] : NULL;
}

void domains_destroy(struct delivery *d)
{
	for (uint32_t i = 0; i < d->domain_size; i++) {
		if (!d->domains[i])
			continue;
		free(d->domains[i]->name);
		free(d->domains[i]);
	}
	free(d->domains);
	d->domains = NULL;
	d->domain_size = 0;
}

static void domain_tell_later(struct delivery *d, struct domain *dom)
{
	if (link_empty(&dom->tell_link))
		link_append(&d->tell, &dom->tell_link);
	delivery_kick(d);
}

void domain_failure_told(struct delivery *d, struct domain *dom)
{
	dom->told_ns = io_now_ns(d->io) + TELL_NS;
}

void domain_failure_tell(struct delivery *d, struct domain *dom,
			 uint32_t source)
{
	if (io_now_ns(d->io) < dom->told_ns)
		return;
	domain_failure_told(d, dom);
	dom->owes_failure = true;
	dom->failed_source = source;
	domain_tell_later(d, dom);
}

static void tell_failure(struct delivery *d, struct domain *dom)
{
	dom->owes_failure = false;
	if (dom->state == DOMAIN_ROUTED)
		d->ops->connect_failed(d->user, dom->provider,
				       dom->failed_source, dom->number,
				       PHASE_CONNECT, NULL, dom->hop->hosts[0],
				       "all its hosts have just failed for "
				       "others, they are tried again soon");
}

void domains_tell(struct delivery *d)
{
	while (!link_empty(&d->tell)) {
		struct domain *dom =
			LINK_OWNER(d->tell.next, struct domain, tell_link);

		link_remove(&dom->tell_link);
		if (dom->owes_failure)
			tell_failure(d, dom);
		if (dom->state == DOMAIN_UNROUTABLE)
			d->ops->unroutable(d->user, dom->number, dom->permanent,
					   dom->why);
	}
}

/* Wakes the paths that were turned away while the answer was missing. */
static void domain_wake(struct delivery *d, struct domain *dom)
{
	uint64_t waiting = dom->waiting;

	dom->waiting = 0;
	dom->granted = waiting;
	dom->answered_ns = io_now_ns(d->io);
	for (uint32_t s = 0; waiting && s < d->config->source_count; s++)
		if (waiting >> (s % 64) & 1)
			d->ops->ready(d->user, dom->provider, s);
}

static void query_begin(struct delivery *d, struct domain *dom)
{
	link_remove(&dom->ask_link);
	dom->suspect = dom->failures > 0;
	d->queries++;
	d->suspects += dom->suspect;
	route_query(d, dom);
}

void domains_ask(struct delivery *d)
{
	while (d->queries < QUERIES_MAX && !d->stopping) {
		struct link *line = &d->ask[1];

		if (link_empty(line) || d->suspects >= SUSPECTS_MAX)
			line = &d->ask[0];
		if (link_empty(line))
			return;
		query_begin(d, LINK_OWNER(line->next, struct domain, ask_link));
	}
}

/* True if the answer is of no use any more: it is asked for once more. */
static bool query_over(struct delivery *d, struct domain *dom)
{
	bool renew = dom->renew;

	sluice_assert(dom->asking && d->queries);
	d->queries--;
	d->suspects -= dom->suspect;
	dom->asking = false;
	dom->renew = false;
	if (renew)
		domain_ask(d, dom);
	return renew;
}

static void tell_hosts(struct delivery *d, struct domain *dom,
		       const struct mx_list *mx, uint64_t ttl_ns)
{
	const char *best[MX_HOSTS_MAX];
	uint32_t count = 0;

	if (!d->ops->routed)
		return;
	while (count < mx->count && mx->hosts[count].rank == 0) {
		best[count] = mx->hosts[count].name;
		count++;
	}
	d->ops->routed(d->user, dom->number, best, count, ttl_ns);
}

void domain_routed(struct delivery *d, struct domain *dom, struct hop *h,
		   uint64_t expires_ns, const struct mx_list *mx)
{
	uint64_t now_ns = io_now_ns(d->io);

	if (query_over(d, dom))
		return;
	dom->state = DOMAIN_ROUTED;
	dom->failures = 0;
	dom->hop = h;
	dom->expires_ns = expires_ns;
	if (mx)
		tell_hosts(d, dom, mx,
			   expires_ns > now_ns ? expires_ns - now_ns : 0);
	domain_wake(d, dom);
	delivery_kick(d);
}

static uint64_t retry_ns(const struct domain *dom)
{
	uint32_t doublings = dom->failures < 8 ? dom->failures : 8;
	uint64_t wait_ns = RETRY_FIRST_NS << doublings;

	return wait_ns < RETRY_MAX_NS ? wait_ns : RETRY_MAX_NS;
}

void domain_unroutable(struct delivery *d, struct domain *dom, bool permanent,
		       uint64_t expires_ns, const char *fmt, ...)
{
	uint64_t now_ns = io_now_ns(d->io);
	va_list args;

	if (query_over(d, dom))
		return;
	if (!permanent) {
		expires_ns = now_ns + retry_ns(dom);
		dom->failures++;
	} else if (expires_ns > now_ns + NEGATIVE_MAX) {
		expires_ns = now_ns + NEGATIVE_MAX;
	}
	va_start(args, fmt);
	(void)vsnprintf(dom->why, sizeof(dom->why), fmt, args);
	va_end(args);
	dom->expires_ns = expires_ns;
	dom->state = DOMAIN_UNROUTABLE;
	dom->permanent = permanent;
	dom->waiting = 0;
	domain_tell_later(d, dom);
}

static bool domain_is_fresh(const struct domain *dom, uint64_t now_ns)
{
	if (now_ns >= dom->expires_ns)
		return false;
	return dom->state != DOMAIN_ROUTED || now_ns < dom->hop->expires_ns;
}

/* Once, for a source that has waited for this answer. */
static bool domain_grant(struct delivery *d, struct domain *dom,
			 uint32_t source)
{
	uint64_t now_ns = io_now_ns(d->io), bit = 1ULL << (source % 64);

	if (dom->state != DOMAIN_ROUTED)
		return false;
	if (now_ns == dom->used_ns)
		return true;
	if (!(dom->granted & bit) || now_ns - dom->answered_ns > GRANT_NS)
		return false;
	dom->granted &= ~bit;
	dom->used_ns = now_ns;
	return true;
}

void domain_ask(struct delivery *d, struct domain *dom)
{
	if (dom->asking)
		return;
	if (domain_is_fresh(dom, io_now_ns(d->io))) {
		if (dom->state == DOMAIN_UNROUTABLE)
			domain_tell_later(d, dom);
		return;
	}
	dom->asking = true;
	link_append(&d->ask[dom->failures > 0], &dom->ask_link);
	delivery_kick(d);
}

struct hop *domain_hop(struct delivery *d, struct domain *dom, uint32_t source)
{
	bool fresh = domain_is_fresh(dom, io_now_ns(d->io));

	if (dom->state == DOMAIN_ROUTED &&
	    (fresh || domain_grant(d, dom, source)))
		return dom->hop;
	domain_ask(d, dom);
	if (dom->asking)
		dom->waiting |= 1ULL << (source % 64);
	return NULL;
}
