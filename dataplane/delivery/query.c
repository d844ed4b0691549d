/* SPDX-License-Identifier: BSD-2-Clause
 *
 * query.c - the DNS questions behind one domain.
 *
 * Called by route.c when an answer is missing or has expired. Role: worker.
 * Allocates one struct per query. Bound: 1 + 2 x MX_HOSTS_MAX questions.
 * Errors: end as domain_unroutable(), permanent only when DNS itself says that
 * there is nothing (NXDOMAIN, no address and no MX, null MX).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/mx.h"
#include "delivery/route.h"

#define FOUND_MAX   64u /* addresses of all hosts before the best are kept */
#define TTL_START_S 3600u

struct query;

struct host_question {
	struct query *query;
	uint8_t host;
	uint16_t type;
};

struct query {
	struct delivery *d;
	struct domain *dom;
	uint16_t port;
	bool implicit; /* no MX: the domain itself */
	bool routed;   /* by config: a missing host is our mistake */
	bool failed;   /* some answer is missing */
	bool no_name;  /* the only host does not exist */
	char why[96];
	uint32_t open; /* questions */
	uint32_t ttl_s;
	struct mx_list mx;
	uint32_t found_count;
	struct hop_address found[FOUND_MAX];
	struct host_question questions[MX_HOSTS_MAX * 2];
};

bool route_split(const char *route, uint16_t port_default,
		 char host[DOMAIN_BYTES], uint16_t *port, struct addr *literal)
{
	const char *colon = strrchr(route, ':');
	size_t len = colon ? (size_t)(colon - route) : strlen(route);
	long number = port_default;

	if (addr_parse(route, port_default, literal) == 0)
		return true;
	if (colon) {
		char *end;

		number = strtol(colon + 1, &end, 10);
		if (*end || end == colon + 1 || number < 1 || number > 65535)
			number = port_default;
	}
	if (len >= DOMAIN_BYTES)
		len = DOMAIN_BYTES - 1;
	memcpy(host, route, len);
	host[len] = '\0';
	*port = (uint16_t)number;
	return false;
}

static int compare_found(const void *pa, const void *pb)
{
	const struct hop_address *a = pa, *b = pb;
	char ta[ADDR_TEXT_BYTES], tb[ADDR_TEXT_BYTES];

	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	if (a->host != b->host)
		return a->host < b->host ? -1 : 1;
	return strcmp(addr_format(&a->addr, false, ta),
		      addr_format(&b->addr, false, tb));
}

/* The same hosts in the same order make the same hop, whatever the domain. */
static struct hop *query_hop(const struct query *q)
{
	char key[MX_HOSTS_MAX * (DOMAIN_BYTES + 8) + 16];
	int n = snprintf(key, sizeof(key), "%u", q->port);

	for (uint32_t i = 0; i < q->mx.count; i++)
		n += snprintf(key + n, sizeof(key) - (size_t)n, " %u %s",
			      q->mx.hosts[i].preference, q->mx.hosts[i].name);
	sluice_assert((size_t)n < sizeof(key));
	return hop_get(q->d, key, (size_t)n);
}

static void query_routed(struct query *q)
{
	char *hosts[MX_HOSTS_MAX];
	struct hop *h = query_hop(q);
	uint32_t count = q->found_count;

	for (uint32_t i = 0; i < q->mx.count; i++)
		hosts[i] = q->mx.hosts[i].name;
	qsort(q->found, count, sizeof(q->found[0]), compare_found);
	if (count > HOP_ADDRESSES_MAX)
		count = HOP_ADDRESSES_MAX;
	if (!h || hop_set(h, hosts, q->mx.count, q->found, count))
		domain_unroutable(q->d, q->dom, false, "out of memory");
	else
		domain_routed(q->d, q->dom, h, q->ttl_s);
}

/* An MX host without an address is the domain's mistake, but one that is often
 * repaired: temporary. Only a domain that is not there is a fact. */
static void query_unroutable(struct query *q)
{
	const char *name = q->dom->name;

	if (q->failed)
		domain_unroutable(q->d, q->dom, false, "%s", q->why);
	else if (q->routed)
		domain_unroutable(q->d, q->dom, false,
				  "route: %s has no address",
				  q->mx.hosts[0].name);
	else if (q->implicit)
		domain_unroutable(q->d, q->dom, true,
				  q->no_name ? "5.1.2 domain %s does not exist"
					     : "5.1.2 domain %s has neither "
					       "MX nor address",
				  name);
	else
		domain_unroutable(q->d, q->dom, false,
				  "no MX host of %s has an address", name);
}

static void query_end(struct query *q)
{
	if (q->found_count)
		query_routed(q);
	else
		query_unroutable(q);
	free(q);
}

static void query_failed(struct query *q, const char *name, const char *why)
{
	q->failed = true;
	(void)snprintf(q->why, sizeof(q->why), "DNS: %.60s: %s", name, why);
}

static void query_ttl(struct query *q, const struct resolver_answer *a)
{
	if (a->ttl_s < q->ttl_s)
		q->ttl_s = a->ttl_s;
}

static void take_address(struct query *q, const struct host_question *hq,
			 const char *data, int len)
{
	struct hop_address *f = &q->found[q->found_count];

	if (q->found_count == FOUND_MAX)
		return;
	memset(f, 0, sizeof(*f));
	if (hq->type == RESOLVER_A && len == 4) {
		f->addr.in.sin_family = AF_INET;
		memcpy(&f->addr.in.sin_addr, data, 4);
	} else if (hq->type == RESOLVER_AAAA && len == 16) {
		f->addr.in6.sin6_family = AF_INET6;
		memcpy(&f->addr.in6.sin6_addr, data, 16);
	} else {
		return;
	}
	addr_port_set(&f->addr, q->port);
	f->host = hq->host;
	f->preference = q->mx.hosts[hq->host].preference;
	q->found_count++;
}

static void address_answered(void *user, const struct resolver_answer *a)
{
	struct host_question *hq = user;
	struct query *q = hq->query;

	query_ttl(q, a);
	if (a->status == RESOLVER_FAILED)
		query_failed(q, q->mx.hosts[hq->host].name, a->why);
	if (a->status == RESOLVER_NO_NAME)
		q->no_name = true;
	for (uint32_t i = 0; a->status == RESOLVER_OK && i < a->count; i++)
		take_address(q, hq, a->data[i], a->len[i]);
	if (--q->open == 0)
		query_end(q);
}

static void ask_address(struct query *q, uint8_t host, enum resolver_type type)
{
	uint32_t at = (uint32_t)host * 2 + (type == RESOLVER_AAAA);
	struct host_question *hq = &q->questions[at];

	*hq = (struct host_question){q, host, (uint16_t)type};
	q->open++;
	if (resolver_ask(q->d->resolver, q->mx.hosts[host].name, type,
			 address_answered, hq)) {
		query_failed(q, q->mx.hosts[host].name, "cannot ask");
		q->open--;
	}
}

/* Only families that some source could use. */
static void ask_addresses(struct query *q)
{
	q->open++; /* until all have been asked */
	for (uint32_t i = 0; i < q->mx.count; i++) {
		if (q->d->has_ipv4)
			ask_address(q, (uint8_t)i, RESOLVER_A);
		if (q->d->has_ipv6)
			ask_address(q, (uint8_t)i, RESOLVER_AAAA);
	}
	if (--q->open == 0)
		query_end(q);
}

static void single_host(struct query *q, const char *name)
{
	q->mx.count = 1;
	q->mx.hosts[0].preference = 0;
	(void)snprintf(q->mx.hosts[0].name, DOMAIN_BYTES, "%s", name);
}

static void mx_answered(void *user, const struct resolver_answer *a)
{
	struct query *q = user;

	query_ttl(q, a);
	if (a->status == RESOLVER_FAILED) {
		query_failed(q, q->dom->name, a->why);
		query_end(q);
		return;
	}
	mx_list_parse(&q->mx, a->data, a->len,
		      a->status == RESOLVER_OK ? a->count : 0);
	if (q->mx.null) {
		domain_unroutable(q->d, q->dom, true,
				  "5.1.10 %s takes no mail (null MX)",
				  q->dom->name);
		free(q);
		return;
	}
	if (!q->mx.count) {
		q->implicit = true;
		single_host(q, q->dom->name);
	}
	ask_addresses(q);
}

static void query_literal(struct query *q, const struct addr *a)
{
	char text[ADDR_TEXT_BYTES];

	single_host(q, addr_format(a, false, text));
	q->port = addr_port(a);
	q->found[0] = (struct hop_address){.addr = *a};
	q->found_count = 1;
	query_end(q);
}

static const char *provider_route(const struct delivery *d, uint32_t provider)
{
	const struct config *c = d->config;
	const char *route = NULL;

	if (d->ops->route != NULL)
		route = d->ops->route(d->user, provider);
	if (route != NULL)
		return route;
	if (provider < c->provider_count && c->providers[provider].route)
		return c->providers[provider].route;
	return c->provider_count ? c->providers[0].route : NULL;
}

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]" as destination domains. */
static bool domain_literal(const struct query *q, struct addr *out)
{
	char text[ADDR_TEXT_BYTES];
	const char *name = q->dom->name;
	size_t len = strlen(name);

	if (len < 3 || name[0] != '[' || name[len - 1] != ']')
		return false;
	name++;
	len -= 2;
	if (len > 5 && strncasecmp(name, "ipv6:", 5) == 0) {
		name += 5;
		len -= 5;
	}
	if (len >= sizeof(text))
		return false;
	memcpy(text, name, len);
	text[len] = '\0';
	return addr_parse(text, q->port, out) == 0;
}

static void ask_mx(struct query *q)
{
	if (resolver_ask(q->d->resolver, q->dom->name, RESOLVER_MX, mx_answered,
			 q) == 0)
		return;
	query_failed(q, q->dom->name, "cannot ask");
	query_end(q);
}

void route_query(struct delivery *d, struct domain *dom)
{
	const char *route = provider_route(d, dom->provider);
	struct query *q = calloc(1, sizeof(*q));
	char host[DOMAIN_BYTES];
	struct addr literal;

	if (!q) {
		domain_unroutable(d, dom, false, "out of memory");
		return;
	}
	q->d = d;
	q->dom = dom;
	q->port = d->config->delivery.port;
	q->ttl_s = TTL_START_S;
	if (route) {
		q->routed = true;
		if (route_split(route, q->port, host, &q->port, &literal)) {
			query_literal(q, &literal);
			return;
		}
		single_host(q, host);
		ask_addresses(q);
	} else if (domain_literal(q, &literal)) {
		query_literal(q, &literal);
	} else if (dom->name[0] == '[') {
		domain_unroutable(d, dom, true, "5.1.2 %s is no address",
				  dom->name);
		free(q);
	} else {
		ask_mx(q);
	}
}
