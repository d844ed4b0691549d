/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reload.c - another config for connections that go on.
 *
 * Called by the owner, outside of callbacks. Role: worker. What can fail comes
 * first; then everything changes within one call. A connection of a source
 * that is gone, or that has another address or name now, ends after its
 * message; a domain whose route is another one is looked up anew.
 * Bound: paths and domains. Errors: -errno with a sentence; the old config
 * stays.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/delivery_priv.h"
#include "delivery/route.h"

struct change {
	struct path **paths; /* by provider and the new number of sources */
	uint32_t path_size;
	uint32_t *config_of;
	struct resolver *resolver; /* NULL: it stays */
};

static void change_drop(struct change *n)
{
	free(n->paths);
	free(n->config_of);
	resolver_close(&n->resolver);
}

/* The table with room for more sources per provider. */
static int paths_spread(const struct delivery *d, uint32_t stride,
			struct change *n)
{
	uint64_t providers = d->path_size / d->source_stride + 1u;
	uint64_t size = providers * stride;

	if (stride == d->source_stride)
		return 0;
	if (size >= UINT32_MAX / 2)
		return -E2BIG;
	n->paths = calloc(size, sizeof(*n->paths));
	if (!n->paths)
		return -ENOMEM;
	n->path_size = (uint32_t)size;
	for (uint32_t i = 0; i < d->path_size; i++) {
		struct path *p = d->paths[i];

		if (p)
			n->paths[(uint64_t)p->provider * stride + p->source] =
				p;
	}
	return 0;
}

static bool servers_differ(char *const *a, uint32_t a_count, char *const *b,
			   uint32_t b_count)
{
	if (a_count != b_count)
		return true;
	for (uint32_t i = 0; i < a_count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return true;
	return false;
}

static bool resolver_differs(const struct config *a, const struct config *b)
{
	if (a->resolver.timeout_ns != b->resolver.timeout_ns ||
	    a->resolver.zone_count != b->resolver.zone_count ||
	    servers_differ(a->resolver.servers, a->resolver.server_count,
			   b->resolver.servers, b->resolver.server_count))
		return true;
	for (uint32_t i = 0; i < a->resolver.zone_count; i++) {
		const struct config_zone *za = &a->resolver.zones[i];
		const struct config_zone *zb = &b->resolver.zones[i];

		if (strcmp(za->name, zb->name) != 0 ||
		    servers_differ(za->servers, za->server_count, zb->servers,
				   zb->server_count))
			return true;
	}
	return false;
}

static int change_prepare(const struct delivery *d, const struct config *c,
			  const uint32_t *config_of, uint32_t count,
			  struct change *n, struct err *e)
{
	int res = paths_spread(d, c->source_count, n);

	n->config_of = malloc((count + 1u) * sizeof(*n->config_of));
	if (!n->config_of && !res)
		res = -ENOMEM;
	if (res)
		return err_set(e, res, "delivery: %s", err_name(res));
	if (count)
		memcpy(n->config_of, config_of, count * sizeof(*config_of));
	if (resolver_differs(d->config, c))
		res = delivery_resolver_open(d, c, &n->resolver, e);
	return res;
}

/* What a domain's route was, and what it is to be. */
static const char *route_of(const struct config *c, const uint32_t *config_of,
			    uint32_t count, uint32_t provider)
{
	uint32_t at = provider < count ? config_of[provider] : 0;
	const char *route = c->providers[at].route;

	return route ? route : c->providers[0].route;
}

static bool text_differs(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

static void domains_review(struct delivery *d, const struct config *c,
			   const uint32_t *config_of, uint32_t count)
{
	bool port = d->config->delivery.port != c->delivery.port;

	for (uint32_t i = 0; i < d->domain_size; i++) {
		struct domain *dom = d->domains[i];

		if (dom &&
		    (port ||
		     text_differs(
			     route_of(d->config, d->config_of, d->config_count,
				      dom->provider),
			     route_of(c, config_of, count, dom->provider))))
			domain_forget(dom);
	}
}

static bool source_differs(const struct config_source *a,
			   const struct config_source *b)
{
	return a->gone != b->gone ||
	       !addr_equal_host(&a->address, &b->address) ||
	       !addr_equal_host(&a->public_address, &b->public_address) ||
	       text_differs(a->helo, b->helo);
}

static void path_review(struct delivery *d, struct path *p)
{
	const struct config_source *from = &d->config->sources[p->source];
	bool other = source_differs(p->from, from);
	uint32_t max, over;

	p->from = from;
	p->config = path_config(d, p->provider);
	if (other)
		p->epoch++;
	max = path_connections_max(p);
	over = p->open > max ? p->open - max : 0;
	while (!link_empty(&p->idle) && (other || over-- > 0))
		connection_quit(
			LINK_OWNER(p->idle.next, struct connection, path_link));
}

static void change_apply(struct delivery *d, const struct config *c,
			 uint32_t count, struct change *n)
{
	domains_review(d, c, n->config_of, count);
	if (n->paths) {
		free(d->paths);
		d->paths = n->paths;
		d->path_size = n->path_size;
		d->source_stride = c->source_count;
	}
	free(d->config_of);
	d->config_of = n->config_of;
	d->config_count = count;
	d->config = c;
	if (n->resolver) {
		/* questions under way end with the one they were put to */
		d->retired[d->retired_count++] = d->resolver;
		d->resolver = n->resolver;
	}
	delivery_families_note(d);
	for (struct link *k = d->path_list.next; k != &d->path_list;
	     k = k->next)
		path_review(d, LINK_OWNER(k, struct path, all_link));
	delivery_serve(d);
}

int delivery_config_set(struct delivery *d, const struct config *c,
			const uint32_t *config_of, uint32_t count,
			struct err *e)
{
	struct change n = {0};
	int res;

	MAGIC_CHECK(d, DELIVERY_MAGIC);
	sluice_assert(c->source_count >= d->config->source_count);
	delivery_tidy(d);
	if (d->retired_count == RETIRED_MAX)
		return err_set(e, -EBUSY,
			       "earlier resolver.servers still owe answers; "
			       "try again in a minute");
	res = change_prepare(d, c, config_of, count, &n, e);
	if (res) {
		change_drop(&n);
		return res;
	}
	change_apply(d, c, count, &n);
	return 0;
}

void delivery_tidy(struct delivery *d)
{
	for (uint32_t i = d->retired_count; i-- > 0;) {
		if (!resolver_idle(d->retired[i]))
			continue;
		resolver_close(&d->retired[i]);
		d->retired[i] = d->retired[--d->retired_count];
	}
}
