/* SPDX-License-Identifier: BSD-2-Clause
 *
 * providers.c - which receiving operator a domain belongs to.
 *
 * Configured sets come first and keep their config number; all others have
 * the settings of `default` and the name of an MX site (sites.c), or of a
 * domain. Role: queue.
 * Bound: a name and one struct per provider; lookups are one hash.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/intern.h"
#include "sluiced/engine_priv.h"

static int provider_add(struct engine *en, const char *name, uint32_t config,
			enum provider_kind kind, uint32_t *number)
	RUNS_ON(role_queue)
{
	struct provider *p;
	uint32_t n;

	if (en->provider_count == en->provider_room) {
		uint32_t room = en->provider_room ? en->provider_room * 2 : 64;

		p = realloc(en->providers, room * sizeof(*p));
		if (p == NULL)
			return -ENOMEM;
		en->providers = p;
		en->provider_room = room;
	}
	n = intern_add(en->provider_names, name, strlen(name));
	if (n == INTERN_NONE)
		return -ENOMEM;
	sluice_assert(n == en->provider_count);
	p = &en->providers[n];
	memset(p, 0, sizeof(*p));
	p->name = strdup(name);
	if (p->name == NULL)
		return -ENOMEM;
	p->config = config;
	p->kind = (uint8_t)kind;
	en->provider_count++;
	*number = n;
	return 0;
}

static int provider_register(struct engine *en, uint32_t number)
	RUNS_ON(role_queue)
{
	const struct provider *p = &en->providers[number];
	const struct config_provider *c = &en->config->providers[p->config];
	const struct config_pool *pool = &en->config->pools[c->pool];
	struct release_provider_config rc = {
		.pace_max = c->pace_max,
		.pace_per_source = c->pace_per_source,
		.pace_start = c->pace_start,
		.batch_interval_ns = c->batch_interval_ns,
		.batch_max = c->batch_max,
		.count_recipients = c->count == COUNT_RECIPIENTS,
		.live_share = c->live_share,
		.hash = spool_hash(p->name, strlen(p->name)),
	};
	int rc_set;

	/* before recovery nobody knows which number is whose */
	for (uint32_t i = 0; en->sources_settled && i < pool->source_count;
	     i++) {
		if (rc.source_count == RELEASE_SOURCES_MAX)
			break;
		rc.sources[rc.source_count++] = pool->sources[i];
	}
	rc_set = release_provider_set(en->release, number, &rc,
				      clock_monotonic_ns());
	if (rc_set != 0)
		return rc_set;
	rc_set = queue_provider_set(en->queue, number, p->name, c->order,
				    c->recipients_per_message);
	queue_provider_shared_hop_set(en->queue, number,
				      p->route != NULL || c->route != NULL);
	return rc_set;
}

int provider_make(struct engine *en, const char *name, uint32_t *number)
{
	int rc;

	*number = provider_find(en, name);
	if (*number != QUEUE_NONE)
		return 0;
	rc = provider_add(en, name, 0, PROVIDER_DOMAIN, number);
	return rc == 0 ? provider_register(en, *number) : rc;
}

int providers_register(struct engine *en)
{
	int rc = 0, rc_one;

	for (uint32_t i = 0; i < en->provider_count; i++) {
		rc_one = provider_register(en, i);
		if (rc == 0)
			rc = rc_one;
	}
	return rc;
}

int fixed_domains_make(const struct engine *en, const struct config *c,
		       struct fixed_domains *out)
{
	struct fixed_domains f = {intern_create(), NULL};
	uint32_t total = 0, n = 0;

	for (uint32_t i = 0; i < c->provider_count; i++)
		total += c->providers[i].domain_count;
	f.provider = calloc(total + 1, sizeof(*f.provider));
	for (uint32_t i = 0; f.names && f.provider && i < c->provider_count;
	     i++) {
		const struct config_provider *p = &c->providers[i];

		for (uint32_t d = 0; d < p->domain_count && n != INTERN_NONE;
		     d++) {
			n = intern_add(f.names, p->domains[d],
				       strlen(p->domains[d]));
			if (n != INTERN_NONE)
				f.provider[n] = provider_find(en, p->name);
		}
	}
	if (f.names == NULL || f.provider == NULL || n == INTERN_NONE) {
		intern_destroy(&f.names);
		free(f.provider);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

bool config_pool_has(const struct config *c, uint32_t pool, uint32_t source)
{
	const struct config_pool *p = &c->pools[pool];

	for (uint32_t i = 0; i < p->source_count; i++)
		if (p->sources[i] == source)
			return true;
	return false;
}

int providers_create(struct engine *en, struct err *e)
{
	struct fixed_domains f = {NULL, NULL};
	uint32_t number;
	int rc = 0;

	role_assert(&role_queue);
	en->unresolved = QUEUE_NONE;
	rc = sites_create(en, e);
	if (rc != 0)
		return rc;
	en->provider_names = intern_create();
	if (en->provider_names == NULL)
		return err_set(e, -ENOMEM, "out of memory for providers");
	for (uint32_t i = 0; rc == 0 && i < en->config->provider_count; i++) {
		rc = provider_add(en, en->config->providers[i].name, i,
				  PROVIDER_CONFIGURED, &number);
		if (rc == 0)
			rc = provider_register(en, number);
	}
	if (rc == 0 && en->by_mx)
		en->unresolved =
			provider_named(en, UNRESOLVED, PROVIDER_UNRESOLVED);
	if (rc == 0)
		rc = fixed_domains_make(en, en->config, &f);
	if (rc != 0)
		return err_set(e, rc, "cannot set up providers: %s",
			       err_name(rc));
	en->fixed_domains = f.names;
	en->fixed_provider = f.provider;
	return 0;
}

void providers_destroy(struct engine *en)
{
	role_assert(&role_queue);
	sites_destroy(en);
	for (uint32_t i = 0; i < en->provider_count; i++) {
		free(en->providers[i].name);
		free(en->providers[i].route);
	}
	free(en->providers);
	free(en->fixed_provider);
	intern_destroy(&en->provider_names);
	intern_destroy(&en->fixed_domains);
	en->providers = NULL;
	en->provider_count = en->provider_room = 0;
}

uint32_t provider_of_domain(const struct engine *en, const char *domain)
{
	uint32_t n = intern_find(en->fixed_domains, domain, strlen(domain));

	return n != INTERN_NONE ? en->fixed_provider[n] : QUEUE_NONE;
}

uint32_t provider_named(struct engine *en, const char *name,
			enum provider_kind kind)
{
	uint32_t n = intern_find(en->provider_names, name, strlen(name));

	if (n != INTERN_NONE) {
		if (kind == PROVIDER_SITE &&
		    en->providers[n].kind == PROVIDER_DOMAIN)
			en->providers[n].kind = PROVIDER_SITE;
		return n;
	}
	if (provider_add(en, name, 0, kind, &n) != 0)
		return 0; /* out of memory: the default paces it */
	if (provider_register(en, n) != 0)
		return 0;
	return n;
}

/* A configured provider with the same route has the paces for it; else one is
 * made, with those of `default`. */
uint32_t provider_of_route(struct engine *en, const char *route)
{
	const struct config *c = en->config;
	char name[300];
	uint32_t n;

	for (uint32_t i = 0; i < c->provider_count; i++)
		if (c->providers[i].route != NULL && i > 0 &&
		    strcmp(c->providers[i].route, route) == 0)
			return provider_find(en, c->providers[i].name);
	snprintf(name, sizeof(name), "via %s", route);
	n = intern_find(en->provider_names, name, strlen(name));
	if (n == INTERN_NONE &&
	    provider_add(en, name, 0, PROVIDER_ROUTE, &n) != 0)
		return QUEUE_NONE;
	if (en->providers[n].route == NULL)
		en->providers[n].route = strdup(route);
	if (en->providers[n].route == NULL || provider_register(en, n) != 0)
		return QUEUE_NONE;
	return n;
}

const char *provider_kind_name(uint8_t kind)
{
	static const char *const names[] = {
		[PROVIDER_CONFIGURED] = "config",
		[PROVIDER_SITE] = "mx",
		[PROVIDER_DOMAIN] = "domain",
		[PROVIDER_ROUTE] = "route",
		[PROVIDER_UNRESOLVED] = "unresolved",
	};

	sluice_assert(kind < sizeof(names) / sizeof(*names));
	return names[kind];
}

uint32_t provider_find(const struct engine *en, const char *name)
{
	uint32_t n = intern_find(en->provider_names, name, strlen(name));

	return n == INTERN_NONE ? QUEUE_NONE : n;
}

const struct config_provider *provider_config(const struct engine *en,
					      uint32_t provider)
{
	sluice_assert(provider < en->provider_count);
	return &en->config->providers[en->providers[provider].config];
}

/* Once a second: remembers the counters, so that rates are differences. */
void provider_second(struct engine *en)
{
	uint32_t at = en->second_at++ % RATE_SECONDS;

	for (uint32_t i = 0; i < en->provider_count; i++)
		en->providers[i].seconds[at] = en->providers[i].delivered;
	en->seconds[at] = en->delivered;
}

static double rate_of(const uint64_t *seconds, uint32_t taken)
{
	uint32_t newest, oldest, span;

	if (taken < 2)
		return 0.0;
	span = taken < RATE_SECONDS ? taken : RATE_SECONDS;
	newest = (taken - 1) % RATE_SECONDS;
	oldest = (taken - span) % RATE_SECONDS;
	return (double)(seconds[newest] - seconds[oldest]) / (span - 1);
}

double provider_rate(const struct engine *en, uint32_t provider)
{
	return rate_of(en->providers[provider].seconds, en->second_at);
}

double engine_rate(const struct engine *en)
{
	return rate_of(en->seconds, en->second_at);
}
