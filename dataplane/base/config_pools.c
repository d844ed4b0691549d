/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_pools.c - pools of sources, and paces of single domains.
 *
 * Called while a config is read, after the sources. Pool 0 is "default": as
 * given, else all sources. Errors: -EINVAL with the place, -ENOMEM.
 */
#include <errno.h>
#include <string.h>

#include "config_priv.h"
#include "sluice/domain.h"
#include "sluice/nearest.h"

#define POOL_DEFAULT "default"

static int source_unknown(struct config_reader *r, const struct config_node *n)
{
	const struct config *c = r->config;
	const char **names =
		config_alloc(r->arena, (c->source_count + 1) * sizeof(*names));
	if (names == NULL)
		return config_out_of_memory(r);
	for (uint32_t i = 0; i < c->source_count; i++)
		names[i] = c->sources[i].name;
	const char *near = text_nearest(n->text, names);
	if (near != NULL)
		return config_fail(r, n,
				   "unknown source '%s'; did you mean "
				   "'%s'?",
				   n->text, near);
	return config_fail(r, n, "unknown source '%s'; add it under 'sources'",
			   n->text);
}

static int pool_add(struct config_reader *r, const struct config_node *n,
		    struct config_pool *p)
{
	const struct config *c = r->config;
	uint32_t i = 0;
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	while (i < c->source_count && strcmp(c->sources[i].name, n->text) != 0)
		i++;
	if (i == c->source_count)
		return source_unknown(r, n);
	for (uint32_t k = 0; k < p->source_count; k++) {
		if (p->sources[k] == i)
			return config_fail(r, n,
					   "source '%s' is in this pool "
					   "already; remove one",
					   n->text);
	}
	p->sources[p->source_count++] = i;
	return 0;
}

static int read_pool(struct config_reader *r, const struct config_node *n,
		     struct config_pool *p)
{
	int res = config_check_name(r, n, "pool");
	if (res != 0)
		return res;
	if (config_node_empty(n))
		return config_fail_key(r, n,
				       "pool '%s' has no sources; name at "
				       "least one",
				       n->key);
	res = config_want(r, n, NODE_LIST);
	if (res != 0)
		return res;
	p->name = config_strdup(r->arena, n->key);
	p->sources = config_alloc(r->arena, n->count * sizeof(*p->sources));
	if (p->name == NULL || p->sources == NULL)
		return config_out_of_memory(r);
	for (const struct config_node *it = n->first; it; it = it->next) {
		res = pool_add(r, it, p);
		if (res != 0)
			return res;
	}
	return 0;
}

static int pool_of_all(struct config_reader *r, struct config_pool *p)
{
	uint32_t count = r->config->source_count;
	p->name = config_strdup(r->arena, POOL_DEFAULT);
	p->sources = config_alloc(r->arena, (count + 1) * sizeof(*p->sources));
	if (p->name == NULL || p->sources == NULL)
		return config_out_of_memory(r);
	for (uint32_t i = 0; i < count; i++)
		p->sources[p->source_count++] = i;
	return 0;
}

int config_read_pools(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	struct config *c = to;
	bool none = config_node_empty(n);
	int res = none ? 0 : config_want(r, n, NODE_MAP);
	if (res != 0)
		return res;
	uint32_t count = none ? 0 : n->count;
	c->pools = config_alloc(r->arena, (count + 1) * sizeof(*c->pools));
	if (c->pools == NULL)
		return config_out_of_memory(r);
	const struct config_node *first = config_node_find(n, POOL_DEFAULT);
	res = first != NULL ? read_pool(r, first, &c->pools[0])
			    : pool_of_all(r, &c->pools[0]);
	c->pool_count = 1;
	if (none)
		return res;
	for (const struct config_node *it = n->first; it && res == 0;
	     it = it->next) {
		if (it != first)
			res = read_pool(r, it, &c->pools[c->pool_count++]);
	}
	return res;
}

static const struct config_key keys_domain[] = {
	{"pace", config_read_pace, offsetof(struct config_domain, pace), NULL},
	{NULL, NULL, 0, NULL},
};

static int read_domain(struct config_reader *r, const struct config_node *n,
		       struct config_domain *d)
{
	char name[DOMAIN_BYTES];
	if (domain_normalise(n->key, strlen(n->key), name) != 0)
		return config_fail_key(r, n,
				       "'%s' is no domain; write a name "
				       "like example.org",
				       n->key);
	d->name = config_strdup(r->arena, name);
	if (d->name == NULL)
		return config_out_of_memory(r);
	d->pace = PACE_UNLIMITED;
	int res = config_want(r, n, NODE_MAP);
	return res != 0 ? res : config_read_map(r, n, keys_domain, d, "domain");
}

int config_read_domains(struct config_reader *r, const struct config_node *n,
			void *to)
{
	struct config *c = to;
	if (config_node_empty(n))
		return 0;
	int res = config_want(r, n, NODE_MAP);
	if (res != 0)
		return res;
	c->domains = config_alloc(r->arena, n->count * sizeof(*c->domains));
	if (c->domains == NULL)
		return config_out_of_memory(r);
	for (const struct config_node *it = n->first; it; it = it->next) {
		struct config_domain *d = &c->domains[c->domain_count];
		res = read_domain(r, it, d);
		if (res != 0)
			return res;
		for (uint32_t i = 0; i < c->domain_count; i++) {
			if (strcmp(c->domains[i].name, d->name) == 0)
				return config_fail_key(r, it,
						       "domain '%s' was given "
						       "before; remove one",
						       it->key);
		}
		c->domain_count++;
	}
	return 0;
}
