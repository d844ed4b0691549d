/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_provider.c - receiving operators: which domains, how fast, how.
 *
 * Called while a config is read, after the pools. Provider 0 is "default"; all
 * others begin as a copy of it, so that a key which is not given is inherited.
 * Errors: -EINVAL with the place, -ENOMEM.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_priv.h"
#include "sluice/clock.h"
#include "sluice/domain.h"

#define PROVIDER_DEFAULT "default"
#define ROUTE_NONE       "none"
#define RECIPIENTS_MAX   1000 /* one transaction of the queue */
#define CONNECTIONS_MAX  10000
#define BATCH_MAX        1000000
#define AT(member)       offsetof(struct config_provider, member)

static int read_batch_count(struct config_reader *r,
			    const struct config_node *n, void *to)
{
	return config_read_number(r, n, 1, BATCH_MAX, to);
}

static int read_connections(struct config_reader *r,
			    const struct config_node *n, void *to)
{
	return config_read_number(r, n, 1, CONNECTIONS_MAX, to);
}

static int read_messages(struct config_reader *r, const struct config_node *n,
			 void *to)
{
	return config_read_number(r, n, 0, BATCH_MAX, to);
}

static int read_recipients(struct config_reader *r, const struct config_node *n,
			   void *to)
{
	return config_read_number(r, n, 1, RECIPIENTS_MAX, to);
}

static int read_live_share(struct config_reader *r, const struct config_node *n,
			   void *to)
{
	uint32_t share;
	int res = config_read_number(r, n, 0, 100, &share);
	if (res == 0)
		*(uint8_t *)to = (uint8_t)share;
	return res;
}

static int read_order(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	static const char *const words[] = {"oldest", "newest", "smallest",
					    NULL};
	uint32_t i;
	int res = config_read_word(r, n, words, &i);
	if (res == 0)
		*(uint8_t *)to = (uint8_t)i;
	return res;
}

static int read_count(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	static const char *const words[] = {"messages", "recipients", NULL};
	uint32_t i;
	int res = config_read_word(r, n, words, &i);
	if (res == 0)
		*(uint8_t *)to = (uint8_t)i;
	return res;
}

static int read_by(struct config_reader *r, const struct config_node *n,
		   void *to)
{
	static const char *const words[] = {"mx", "domain", NULL};
	uint32_t i;
	int res = config_read_word(r, n, words, &i);
	if (res == 0)
		*(uint8_t *)to = (uint8_t)i;
	return res;
}

static int read_pool_name(struct config_reader *r, const struct config_node *n,
			  void *to)
{
	const struct config *c = r->config;
	const char **names =
		config_alloc(r->arena, (c->pool_count + 1) * sizeof(*names));
	if (names == NULL)
		return config_out_of_memory(r);
	for (uint32_t i = 0; i < c->pool_count; i++)
		names[i] = c->pools[i].name;
	return config_read_word(r, n, names, to);
}

/* A host, if need be in brackets, and maybe ":PORT". */
bool config_route_valid(const char *text)
{
	struct addr a;
	char name[DOMAIN_BYTES];
	if (addr_parse(text, 25, &a) == 0)
		return addr_port(&a) != 0;
	const char *colon = strchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
	if (domain_normalise(text, len, name) != 0 || name[0] == '[')
		return false;
	if (colon == NULL)
		return true;
	char with_port[32];
	int n = snprintf(with_port, sizeof(with_port), "127.0.0.1%s", colon);
	return n > 0 && (size_t)n < sizeof(with_port) &&
	       addr_parse(with_port, 25, &a) == 0 && addr_port(&a) != 0;
}

static int read_route(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	if (strcmp(n->text, ROUTE_NONE) == 0) {
		*(char **)to = NULL;
		return 0;
	}
	if (!config_route_valid(n->text))
		return config_fail(r, n,
				   "'%s' is no route; write HOST or "
				   "HOST:PORT, or 'none' for MX look-up",
				   n->text);
	return config_read_text(r, n, to);
}

static int read_domain_names(struct config_reader *r,
			     const struct config_node *n, void *to)
{
	struct config_provider *p = to;
	int res = config_read_text_list(r, n, &p->domains, &p->domain_count);
	if (res != 0 || config_node_empty(n))
		return res;
	uint32_t i = 0;
	for (const struct config_node *it = n->first; it; it = it->next) {
		char name[DOMAIN_BYTES];
		if (domain_normalise(it->text, strlen(it->text), name) != 0)
			return config_fail(r, it,
					   "'%s' is no domain; write a "
					   "name like example.org "
					   "(patterns go under 'mx')",
					   it->text);
		p->domains[i] = config_strdup(r->arena, name);
		if (p->domains[i++] == NULL)
			return config_out_of_memory(r);
	}
	return 0;
}

static int read_mx(struct config_reader *r, const struct config_node *n,
		   void *to)
{
	struct config_provider *p = to;
	int res = config_read_text_list(r, n, &p->mx, &p->mx_count);
	if (res != 0 || config_node_empty(n))
		return res;
	uint32_t i = 0;
	for (const struct config_node *it = n->first; it; it = it->next) {
		char name[DOMAIN_BYTES], text[DOMAIN_BYTES + 2];
		bool wild = strncmp(it->text, "*.", 2) == 0;
		const char *rest = it->text + (wild ? 2 : 0);
		if (domain_normalise(rest, strlen(rest), name) != 0)
			return config_fail(r, it,
					   "'%s' is no MX pattern; write "
					   "a host name or '*.' and a "
					   "name",
					   it->text);
		(void)snprintf(text, sizeof(text), "%s%s", wild ? "*." : "",
			       name);
		p->mx[i] = config_strdup(r->arena, text);
		if (p->mx[i++] == NULL)
			return config_out_of_memory(r);
	}
	return 0;
}

static const struct config_key keys_pace[] = {
	{"start", config_read_pace, AT(pace_start), NULL},
	{"max", config_read_pace, AT(pace_max), NULL},
	{"per_source", config_read_pace, AT(pace_per_source), NULL},
	{NULL, NULL, 0, NULL},
};

static const struct config_key keys_batch[] = {
	{"interval", config_read_duration, AT(batch_interval_ns), NULL},
	{"first", read_batch_count, AT(batch_first), NULL},
	{"max", read_batch_count, AT(batch_max), NULL},
	{NULL, NULL, 0, NULL},
};

static const struct config_key keys_connections[] = {
	{"max", read_connections, AT(connections_max), NULL},
	{"messages", read_messages, AT(connection_messages), NULL},
	{NULL, NULL, 0, NULL},
};

static const struct config_key keys_provider[] = {
	{"domains", read_domain_names, 0, NULL},
	{"mx", read_mx, 0, NULL},
	{"route", read_route, AT(route), NULL},
	{"pool", read_pool_name, AT(pool), NULL},
	{"pace", NULL, 0, keys_pace},
	{"batch", NULL, 0, keys_batch},
	{"connections", NULL, 0, keys_connections},
	{"recipients_per_message", read_recipients, AT(recipients_per_message),
	 NULL},
	{"order", read_order, AT(order), NULL},
	{"count", read_count, AT(count), NULL},
	{"live_share", read_live_share, AT(live_share), NULL},
	{"by", read_by, AT(by), NULL},
	{NULL, NULL, 0, NULL},
};

static void provider_defaults(struct config_provider *p)
{
	p->pace_start = (struct pace){1, NS_PER_S};
	p->pace_max = (struct pace){20, NS_PER_S};
	p->pace_per_source = (struct pace){5, NS_PER_S};
	p->batch_interval_ns = 10 * NS_PER_S;
	p->batch_first = 5;
	p->batch_max = 500;
	p->connections_max = 5;
	p->connection_messages = 50;
	p->recipients_per_message = 100;
	p->order = ORDER_OLDEST;
	p->count = COUNT_MESSAGES;
	p->by = BY_MX;
	p->live_share = 50;
}

/* What was inherited must not exceed what was given. */
static void provider_clamp(struct config_provider *p)
{
	if (pace_compare(p->pace_start, p->pace_per_source) > 0)
		p->pace_start = p->pace_per_source;
	if (pace_compare(p->pace_start, p->pace_max) > 0)
		p->pace_start = p->pace_max;
	if (p->batch_first > p->batch_max)
		p->batch_first = p->batch_max;
}

static int read_provider(struct config_reader *r, const struct config_node *n,
			 struct config_provider *p)
{
	char what[96];
	int res = config_check_name(r, n, "provider");
	if (res != 0)
		return res;
	(void)snprintf(what, sizeof(what), "provider '%s'", n->key);
	res = config_read_map(r, n, keys_provider, p, what);
	if (res != 0)
		return res;
	p->name = config_strdup(r->arena, n->key);
	return p->name != NULL ? 0 : config_out_of_memory(r);
}

static const struct config_node *item_at(const struct config_node *list,
					 uint32_t i)
{
	const struct config_node *n = list->first;
	while (i-- > 0)
		n = n->next;
	return n;
}

/* Is the name of provider `k`, item `i`, claimed by an earlier one? */
static int check_claim(struct config_reader *r, const struct config_node *n,
		       const char *key, uint32_t k, uint32_t i)
{
	const struct config *c = r->config;
	bool mx = strcmp(key, "mx") == 0;
	const struct config_provider *mine = &c->providers[k];
	const char *name = mx ? mine->mx[i] : mine->domains[i];
	for (uint32_t o = 1; o <= k; o++) {
		const struct config_provider *p = &c->providers[o];
		char **names = mx ? p->mx : p->domains;
		uint32_t count = o == k ? i
				 : mx   ? p->mx_count
					: p->domain_count;
		for (uint32_t d = 0; d < count; d++) {
			if (strcmp(names[d], name) != 0)
				continue;
			return config_fail(
				r, item_at(config_node_find(n, key), i),
				"'%s' belongs to provider '%s' already; remove "
				"one",
				name, p->name);
		}
	}
	return 0;
}

static int check_claims(struct config_reader *r, const struct config_node *n,
			uint32_t k)
{
	const struct config_provider *p = &r->config->providers[k];
	int res = 0;
	for (uint32_t i = 0; i < p->domain_count && res == 0; i++)
		res = check_claim(r, n, "domains", k, i);
	for (uint32_t i = 0; i < p->mx_count && res == 0; i++)
		res = check_claim(r, n, "mx", k, i);
	return res;
}

static int read_default(struct config_reader *r, const struct config_node *n,
			struct config_provider *p)
{
	static const char *const never[] = {"domains", "mx"};
	provider_defaults(p);
	p->name = config_strdup(r->arena, PROVIDER_DEFAULT);
	if (p->name == NULL)
		return config_out_of_memory(r);
	for (size_t i = 0; i < 2; i++) {
		const struct config_node *bad = config_node_find(n, never[i]);
		if (bad != NULL)
			return config_fail_key(r, bad,
					       "provider 'default' is for all "
					       "that no other names; remove "
					       "'%s'",
					       never[i]);
	}
	return n != NULL ? read_provider(r, n, p) : 0;
}

/* It says what becomes of domains that no provider names. */
static int check_by(struct config_reader *r, const struct config_node *n)
{
	const struct config_node *by = config_node_find(n, "by");
	if (by == NULL)
		return 0;
	return config_fail_key(r, by,
			       "'by' is for provider 'default' only; move it "
			       "there");
}

int config_read_providers(struct config_reader *r, const struct config_node *n,
			  void *to)
{
	struct config *c = to;
	bool none = config_node_empty(n);
	int res = none ? 0 : config_want(r, n, NODE_MAP);
	if (res != 0)
		return res;
	if (c->pool_count == 0)
		res = config_read_pools(r, NULL, c);
	uint32_t count = none ? 0 : n->count;
	c->providers =
		config_alloc(r->arena, (count + 1) * sizeof(*c->providers));
	if (c->providers == NULL)
		return config_out_of_memory(r);
	const struct config_node *first = config_node_find(n, PROVIDER_DEFAULT);
	c->provider_count = 1;
	if (res == 0)
		res = read_default(r, first, &c->providers[0]);
	for (const struct config_node *it = none ? NULL : n->first;
	     it && res == 0; it = it->next) {
		if (it == first)
			continue;
		uint32_t k = c->provider_count++;
		c->providers[k] = c->providers[0];
		res = check_by(r, it);
		if (res == 0)
			res = read_provider(r, it, &c->providers[k]);
		if (res == 0)
			res = check_claims(r, it, k);
	}
	for (uint32_t k = 0; k < c->provider_count; k++)
		provider_clamp(&c->providers[k]);
	return res;
}
