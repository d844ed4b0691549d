/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_resolver.c - whom to ask for DNS: servers, private zones, patience.
 *
 * Called while a config is read. Errors: -EINVAL with the place, -ENOMEM.
 */
#include <errno.h>
#include <string.h>

#include "config_priv.h"
#include "sluice/clock.h"
#include "sluice/domain.h"

#define AT(member)  offsetof(struct config, member)
#define TIMEOUT_MAX (120 * NS_PER_S)

static int check_server(struct config_reader *r, const struct config_node *n)
{
	struct addr a;
	if (addr_parse(n->text, 53, &a) == 0 && addr_port(&a) != 0)
		return 0;
	return config_fail(r, n,
			   "'%s' is no address; write an IP address, if need "
			   "be with a port, like 127.0.0.1:53",
			   n->text);
}

static int read_list(struct config_reader *r, const struct config_node *n,
		     char ***servers, uint32_t *count)
{
	int res = config_read_text_list(r, n, servers, count);
	if (res != 0 || config_node_empty(n))
		return res;
	for (const struct config_node *it = n->first; it && res == 0;
	     it = it->next)
		res = check_server(r, it);
	return res;
}

static int read_servers(struct config_reader *r, const struct config_node *n,
			void *to)
{
	struct config *c = to;
	return read_list(r, n, &c->resolver.servers, &c->resolver.server_count);
}

static int read_timeout(struct config_reader *r, const struct config_node *n,
			void *to)
{
	uint64_t ns;
	int res = config_read_duration(r, n, &ns);
	if (res != 0)
		return res;
	if (ns < NS_PER_S || ns > TIMEOUT_MAX)
		return config_fail(r, n,
				   "'%s' is no time to wait for DNS; write 1s "
				   "to 2m",
				   n->text);
	*(uint64_t *)to = ns;
	return 0;
}

static int read_zone(struct config_reader *r, const struct config_node *n,
		     struct config_zone *z)
{
	char name[DOMAIN_BYTES];
	if (domain_normalise(n->key, strlen(n->key), name) != 0 ||
	    name[0] == '[')
		return config_fail_key(r, n,
				       "'%s' is no zone; write a name like "
				       "corp.example",
				       n->key);
	z->name = config_strdup(r->arena, name);
	if (z->name == NULL)
		return config_out_of_memory(r);
	int res = read_list(r, n, &z->servers, &z->server_count);
	if (res == 0 && z->server_count == 0)
		res = config_fail_key(r, n,
				      "zone '%s' has no name server; name one, "
				      "like [10.0.0.53]",
				      n->key);
	return res;
}

static int read_zones(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	struct config *c = to;
	if (config_node_empty(n))
		return 0;
	int res = config_want(r, n, NODE_MAP);
	if (res != 0)
		return res;
	c->resolver.zones =
		config_alloc(r->arena, n->count * sizeof(*c->resolver.zones));
	if (c->resolver.zones == NULL)
		return config_out_of_memory(r);
	for (const struct config_node *it = n->first; it && res == 0;
	     it = it->next)
		res = read_zone(r, it,
				&c->resolver.zones[c->resolver.zone_count++]);
	return res;
}

int config_read_resolver(struct config_reader *r, const struct config_node *n,
			 void *to)
{
	static const struct config_key keys[] = {
		{"servers", read_servers, 0, NULL},
		{"zones", read_zones, 0, NULL},
		{"timeout", read_timeout, AT(resolver.timeout_ns), NULL},
		{NULL, NULL, 0, NULL},
	};
	return config_read_map(r, n, keys, to, "resolver");
}
