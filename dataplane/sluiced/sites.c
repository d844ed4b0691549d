/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sites.c - domains follow their MX hosts to a provider.
 *
 * Called by delivery when DNS has told a domain's best hosts, and at start.
 * Role: queue. A configured `mx` pattern decides first, then the MX site (or
 * the domain, with `by: domain`). A change is made only after two TTLs. What a
 * domain is counted under is noted in the journal as its hosts, so that a
 * restart goes on with it, under the config of that day, and needs no DNS to
 * know a provider. Nothing is sent for a domain before it has been told: until
 * then it stands under UNRESOLVED.
 * Bound: one note per change; memory for the notes until the start is over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/intern.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"

#define NOTE_KEY_BYTES (DOMAIN_BYTES + 8)
#define NOTE_BYTES     1024
#define HOSTS_MAX      16

/* Notes as the journal has them, until the rooms are up. */
struct sites {
	struct site_rules *rules;
	struct intern *domains;
	char **hosts; /* by number of `domains`; NULL: taken back */
	uint32_t room;
};

static bool some_patterns(const struct config *c)
{
	for (uint32_t i = 0; i < c->provider_count; i++)
		if (c->providers[i].mx_count > 0)
			return true;
	return false;
}

static bool by_mx(const struct config *c)
{
	return c->providers[0].route == NULL &&
	       (c->providers[0].by == BY_MX || some_patterns(c));
}

int sites_create(struct engine *en, struct err *e)
{
	en->by_mx = by_mx(en->config);
	en->sites = calloc(1, sizeof(*en->sites));
	if (en->sites == NULL)
		return err_set(e, -ENOMEM, "out of memory for MX sites");
	en->sites->rules = site_rules_create();
	en->sites->domains = intern_create();
	if (en->sites->rules == NULL || en->sites->domains == NULL)
		return err_set(e, -ENOENT,
			       "libpsl has no list of public suffixes; install "
			       "the Debian package publicsuffix");
	return 0;
}

static void notes_drop(struct sites *s)
{
	for (uint32_t i = 0; i < s->room; i++)
		free(s->hosts[i]);
	free(s->hosts);
	s->hosts = NULL;
	s->room = 0;
	intern_destroy(&s->domains);
}

void sites_destroy(struct engine *en)
{
	if (en->sites == NULL)
		return;
	notes_drop(en->sites);
	site_rules_destroy(&en->sites->rules);
	free(en->sites);
	en->sites = NULL;
}

/* The configured provider with a pattern for one of the hosts; 0 = none. */
static uint32_t provider_by_pattern(const struct engine *en,
				    const char *const *hosts, uint32_t count)
	RUNS_ON(role_queue)
{
	const struct config *c = en->config;

	for (uint32_t p = 1; p < c->provider_count; p++)
		for (uint32_t i = 0; i < c->providers[p].mx_count; i++)
			for (uint32_t h = 0; h < count; h++)
				if (domain_match(c->providers[p].mx[i],
						 hosts[h]))
					return provider_find(
						en, c->providers[p].name);
	return 0;
}

static uint32_t provider_by_hosts(struct engine *en, const char *domain,
				  const char *const *hosts, uint32_t count)
	RUNS_ON(role_queue)
{
	uint32_t p = provider_by_pattern(en, hosts, count);
	char site[DOMAIN_BYTES];

	if (p != 0)
		return p;
	if (en->config->providers[0].by == BY_DOMAIN)
		return provider_named(en, domain, PROVIDER_DOMAIN);
	site_of_hosts(en->sites->rules, hosts, count, site);
	return provider_named(en, site, PROVIDER_SITE);
}

/* Mail in flight is finished and counted where it began. */
void domain_assign(struct engine *en, uint32_t domain, uint32_t provider)
{
	const char *name = queue_domain_name(en->queue, domain);

	release_domain_set(en->release, domain, provider,
			   domain_pace(en->config, name), clock_monotonic_ns());
	en->providers[queue_domain_provider(en->queue, domain)].domains--;
	en->providers[provider].domains++;
	queue_domain_provider_set(en->queue, domain, provider);
	if (en->delivery_up)
		delivery_domain_set(en->delivery, domain, name, provider);
}

static void site_note(struct engine *en, const char *domain,
		      const char *const *hosts, uint32_t count)
	RUNS_ON(role_spool)
{
	char key[NOTE_KEY_BYTES], text[NOTE_BYTES];
	uint32_t len = 0;

	for (uint32_t i = 0; i < count; i++) {
		size_t n = strlen(hosts[i]);

		if (len + n + 2 > sizeof(text))
			break;
		if (len > 0)
			text[len++] = ' ';
		memcpy(text + len, hosts[i], n);
		len += (uint32_t)n;
	}
	snprintf(key, sizeof(key), "site/%s", domain);
	if (spool_note(en->spool, key, (struct text){text, len}, NULL, NULL) !=
	    0)
		log_debug("site", "%s: not noted", key);
}

void engine_routed(void *user, uint32_t domain, const char *const *hosts,
		   uint32_t count, uint64_t ttl_ns)
{
	struct engine *en = user;
	const char *name = queue_domain_name(en->queue, domain);
	struct domain_state *st;
	uint32_t present = queue_domain_provider(en->queue, domain), told;

	role_assert(&role_queue);
	role_assert(&role_spool);
	st = domain_state(en, domain);
	if (st == NULL)
		return;
	if (!st->follows || count == 0)
		return;
	told = provider_by_hosts(en, name, hosts, count);
	if (st->anew && told == present)
		st->anew = false;
	if (present != en->unresolved && !st->anew &&
	    !site_watch_step(&st->watch, present, told, ttl_ns,
			     io_now_ns(en->io)))
		return;
	if (present != en->unresolved)
		log_info("site", "%s: from %s to %s, by its MX hosts (%s)",
			 name, en->providers[present].name,
			 en->providers[told].name, hosts[0]);
	st->watch = (struct site_watch){0};
	st->anew = false;
	domain_assign(en, domain, told);
	site_note(en, name, hosts, count);
}

static const struct config_provider *same_name(const struct config *c,
					       const char *name)
{
	for (uint32_t i = 0; i < c->provider_count; i++)
		if (strcmp(c->providers[i].name, name) == 0)
			return &c->providers[i];
	return NULL;
}

static bool patterns_known(const struct config *a, const struct config *b)
{
	for (uint32_t i = 0; i < a->provider_count; i++) {
		const struct config_provider *p = &a->providers[i];
		const struct config_provider *q = same_name(b, p->name);

		if (p->mx_count != (q != NULL ? q->mx_count : 0))
			return false;
		for (uint32_t m = 0; m < p->mx_count; m++)
			if (strcmp(p->mx[m], q->mx[m]) != 0)
				return false;
	}
	return true;
}

bool sites_review(struct engine *en, const struct config *before)
{
	en->by_mx = by_mx(en->config);
	if (en->by_mx && en->unresolved == QUEUE_NONE)
		en->unresolved =
			provider_named(en, UNRESOLVED, PROVIDER_UNRESOLVED);
	return before->providers[0].by != en->config->providers[0].by ||
	       !patterns_known(before, en->config) ||
	       !patterns_known(en->config, before);
}

int site_from_note(struct engine *en, const char *key, struct text value)
{
	struct sites *s = en->sites;
	const char *domain = key + strlen("site/");
	uint32_t n = intern_add(s->domains, domain, strlen(domain));
	char *copy = strndup(value.data, value.len);

	if (n == INTERN_NONE || copy == NULL) {
		free(copy);
		return -ENOMEM;
	}
	if (n >= s->room) {
		uint32_t room = s->room ? s->room * 2 : 256;
		char **hosts = realloc(s->hosts, room * sizeof(*hosts));

		if (hosts == NULL) {
			free(copy);
			return -ENOMEM;
		}
		memset(hosts + s->room, 0,
		       (room - s->room) * sizeof(*s->hosts));
		s->hosts = hosts;
		s->room = room;
	}
	free(s->hosts[n]);
	s->hosts[n] = copy;
	return 0;
}

static uint32_t hosts_split(char *text, const char *hosts[HOSTS_MAX])
{
	uint32_t count = 0;
	char *rest = NULL;

	for (char *t = strtok_r(text, " ", &rest);
	     t != NULL && count < HOSTS_MAX; t = strtok_r(NULL, " ", &rest))
		hosts[count++] = t;
	return count;
}

static void site_restore(struct engine *en, uint32_t domain) RUNS_ON(role_queue)
{
	const char *name = queue_domain_name(en->queue, domain);
	uint32_t n = intern_find(en->sites->domains, name, strlen(name));
	const char *hosts[HOSTS_MAX];
	uint32_t count = 0;

	if (n != INTERN_NONE && en->sites->hosts[n] != NULL)
		count = hosts_split(en->sites->hosts[n], hosts);
	if (count > 0)
		domain_assign(en, domain,
			      provider_by_hosts(en, name, hosts, count));
}

void sites_restore(struct engine *en)
{
	uint32_t count = queue_domain_count(en->queue);

	for (uint32_t d = 0; d < count; d++) {
		const struct domain_state *st = domain_state(en, d);

		if (st != NULL && st->follows)
			site_restore(en, d);
	}
	notes_drop(en->sites);
}
