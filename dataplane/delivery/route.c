/* SPDX-License-Identifier: BSD-2-Clause
 *
 * route.c - from a destination domain to its next hop.
 *
 * Called by delivery_offer() and by the resolver's answers. Role: worker.
 * A provider's `route` (or that of the default provider) replaces the MX
 * lookup; an address literal needs no lookup at all. Otherwise: MX records by
 * preference, the domain itself where there are none (RFC 5321 5.1), nothing
 * where the MX is "." (RFC 7505). Answers are kept for their TTL within
 * limits; an expired one is used on while a new one is fetched.
 * Bound: MX_HOSTS_MAX hosts, two questions each, HOP_ADDRESSES_MAX addresses.
 * Errors: temporary ones are asked again after 15 s, doubling to 5 min.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/delivery_priv.h"
#include "delivery/route.h"

#define TTL_MIN_NS     (60 * NS_PER_S)
#define TTL_MAX_NS     (3600 * NS_PER_S)
#define RETRY_FIRST_NS (15 * NS_PER_S)
#define RETRY_MAX_NS   (300 * NS_PER_S)

int domain_set(struct delivery *d, uint32_t number, const char *name,
	       uint32_t provider)
{
	struct domain *dom;

	if (number >= d->domain_size) {
		uint32_t size = d->domain_size ? d->domain_size : 256;
		struct domain **grown;

		while (size <= number)
			size *= 2;
		grown = realloc(d->domains, size * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		memset(grown + d->domain_size, 0,
		       (size - d->domain_size) * sizeof(*grown));
		d->domains = grown;
		d->domain_size = size;
	}
	dom = d->domains[number];
	if (dom && strcmp(dom->name, name) == 0) {
		if (dom->provider != provider)
			dom->expires_ns = 0; /* the route may differ */
		dom->provider = provider;
		return 0;
	}
	if (dom)
		return -EEXIST; /* numbers are never reused */
	dom = calloc(1, sizeof(*dom));
	if (!dom)
		return -ENOMEM;
	dom->name = strdup(name);
	if (!dom->name) {
		free(dom);
		return -ENOMEM;
	}
	dom->number = number;
	dom->provider = provider;
	link_init(&dom->tell_link);
	d->domains[number] = dom;
	return 0;
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

void domains_tell(struct delivery *d)
{
	while (!link_empty(&d->tell)) {
		struct domain *dom =
			LINK_OWNER(d->tell.next, struct domain, tell_link);

		link_remove(&dom->tell_link);
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
	for (uint32_t s = 0; waiting && s < d->config->source_count; s++)
		if (waiting >> (s % 64) & 1)
			d->ops->ready(d->user, dom->provider, s);
}

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high)
{
	return v < low ? low : v > high ? high : v;
}

void domain_routed(struct delivery *d, struct domain *dom, struct hop *h,
		   uint32_t ttl_s)
{
	dom->state = DOMAIN_ROUTED;
	dom->asking = false;
	dom->failures = 0;
	dom->hop = h;
	dom->expires_ns = io_now_ns(d->io) +
			  clamp(ttl_s * NS_PER_S, TTL_MIN_NS, TTL_MAX_NS);
	domain_wake(d, dom);
}

void domain_unroutable(struct delivery *d, struct domain *dom, bool permanent,
		       const char *fmt, ...)
{
	uint32_t doublings = dom->failures < 8 ? dom->failures : 8;
	uint64_t wait_ns = RETRY_FIRST_NS << doublings;
	va_list args;

	dom->asking = false;
	dom->expires_ns =
		io_now_ns(d->io) +
		(permanent ? RETRY_MAX_NS : clamp(wait_ns, 0, RETRY_MAX_NS));
	if (!permanent) {
		dom->failures++;
		/* What was right until now is better than nothing. */
		if (dom->state == DOMAIN_ROUTED)
			return;
	}
	va_start(args, fmt);
	(void)vsnprintf(dom->why, sizeof(dom->why), fmt, args);
	va_end(args);
	dom->state = DOMAIN_UNROUTABLE;
	dom->permanent = permanent;
	dom->waiting = 0;
	domain_tell_later(d, dom);
}

struct hop *domain_hop(struct delivery *d, struct domain *dom, uint32_t source)
{
	bool fresh = io_now_ns(d->io) < dom->expires_ns;

	if (!fresh && !dom->asking) {
		dom->asking = true;
		route_query(d, dom);
	}
	if (dom->state == DOMAIN_ROUTED)
		return dom->hop;
	if (dom->state == DOMAIN_UNROUTABLE && !dom->asking)
		domain_tell_later(d, dom);
	else
		dom->waiting |= 1ULL << (source % 64);
	return NULL;
}
