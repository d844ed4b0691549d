/* SPDX-License-Identifier: BSD-2-Clause
 *
 * query.c - the DNS questions behind one domain.
 *
 * Called by route.c when an answer is missing or has expired. Role: worker.
 * Allocates one struct per query. Bound: 1 + 2 x MX_HOSTS_MAX questions.
 * Errors: end as domain_unroutable(), permanent only when DNS itself says that
 * there is nothing (NXDOMAIN, no address and no MX, null MX), or that we are
 * the ones who take the mail. What is made of the answers holds no longer than
 * the first of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/mx.h"
#include "delivery/route.h"

#define EXPIRES_MAX_NS (3600 * NS_PER_S)
#define PART_NS        (15 * NS_PER_S) /* when some answer is missing */
#define RANK_NONE      UINT16_MAX

struct query;

struct host_question {
	struct query *query;
	uint8_t host;
	uint16_t type;
};

struct query {
	struct link link; /* in d->query_list */
	struct delivery *d;
	struct domain *dom;
	uint16_t port;
	bool implicit; /* no MX: the domain itself */
	bool routed;   /* by config: a missing host is our mistake */
	bool failed;   /* some answer is missing */
	bool no_name;  /* the only host does not exist */
	bool useless;  /* some address is none, like 0.0.0.0 */
	bool asked_mx;
	uint16_t own_rank; /* of the best host that is us */
	char own[160];     /* its name and address */
	char why[96];
	uint32_t open; /* questions */
	uint64_t expires_ns;
	struct mx_list mx;
	struct found found;
	struct host_question questions[MX_HOSTS_MAX * 2];
};

/* The same hosts in the same order make the same hop, whatever the domain and
 * the numbers that it gives as preferences. */
static struct hop *query_hop(const struct query *q)
{
	char key[MX_HOSTS_MAX * (DOMAIN_BYTES + 8) + 16];
	int n = snprintf(key, sizeof(key), "%u", q->port);

	for (uint32_t i = 0; i < q->mx.count; i++)
		n += snprintf(key + n, sizeof(key) - (size_t)n, " %u %s",
			      q->mx.hosts[i].rank, q->mx.hosts[i].name);
	sluice_assert((size_t)n < sizeof(key));
	return hop_get(q->d, key, (size_t)n);
}

static void query_routed(struct query *q)
{
	char *hosts[MX_HOSTS_MAX];
	struct hop *h = query_hop(q);
	uint32_t version = h ? h->version : 0;

	for (uint32_t i = 0; i < q->mx.count; i++)
		hosts[i] = q->mx.hosts[i].name;
	found_choose(&q->found);
	if (!h || hop_set(h, hosts, q->mx.count, q->found.list, q->found.count,
			  q->expires_ns)) {
		domain_unroutable(q->d, q->dom, false, 0, "out of memory");
		return;
	}
	if (h->version != version)
		lanes_leave_old_hosts(q->d, h);
	domain_routed(q->d, q->dom, h, q->expires_ns,
		      q->asked_mx ? &q->mx : NULL);
}

static void no_host(struct query *q)
{
	const char *name = q->dom->name;

	if (q->no_name)
		domain_unroutable(q->d, q->dom, true, q->expires_ns,
				  "5.1.2 domain %s does not exist", name);
	else
		domain_unroutable(q->d, q->dom, true, q->expires_ns,
				  "5.1.2 domain %s has neither MX nor address",
				  name);
}

/* An MX host without an address is the domain's mistake, but one that is often
 * repaired: temporary. Only a domain that is not there is a fact, and one
 * whose mail would come back to us. */
static void query_unroutable(struct query *q)
{
	const char *name = q->dom->name;

	if (q->failed)
		domain_unroutable(q->d, q->dom, false, 0, "%s", q->why);
	else if (q->routed)
		domain_unroutable(q->d, q->dom, false, 0,
				  "route: %s has no address",
				  q->mx.hosts[0].name);
	else if (q->own_rank != RANK_NONE)
		domain_unroutable(q->d, q->dom, true, q->expires_ns,
				  "5.4.6 mail for %s loops back to us: %s",
				  name, q->own);
	else if (q->useless)
		domain_unroutable(q->d, q->dom, false, 0,
				  "no MX host of %s has an address that can "
				  "be reached",
				  name);
	else if (q->implicit)
		no_host(q);
	else
		domain_unroutable(q->d, q->dom, false, 0,
				  "no MX host of %s has an address", name);
}

static void query_free(struct query *q)
{
	link_remove(&q->link);
	free(q);
}

/* Those whose answers will not come any more: the resolver is closed. */
void queries_destroy(struct delivery *d)
{
	while (!link_empty(&d->query_list)) {
		struct query *q =
			LINK_OWNER(d->query_list.next, struct query, link);

		link_remove(&q->link);
		free(q);
	}
}

static void query_end(struct query *q)
{
	uint64_t max_ns =
		io_now_ns(q->d->io) + (q->failed ? PART_NS : EXPIRES_MAX_NS);

	if (q->expires_ns > max_ns)
		q->expires_ns = max_ns;
	if (q->own_rank != RANK_NONE)
		found_truncate(&q->found, q->own_rank);
	if (q->found.count)
		query_routed(q);
	else
		query_unroutable(q);
	query_free(q);
}

static void query_failed(struct query *q, const char *name, const char *why)
{
	q->failed = true;
	(void)snprintf(q->why, sizeof(q->why), "DNS: %.60s: %s", name, why);
}

static void query_expires(struct query *q, const struct resolver_answer *a)
{
	if (a->status != RESOLVER_FAILED && a->expires_ns < q->expires_ns)
		q->expires_ns = a->expires_ns;
}

static void take_own(struct query *q, const struct hop_address *a)
{
	char text[ADDR_TEXT_BYTES];

	if (a->rank >= q->own_rank)
		return;
	q->own_rank = a->rank;
	(void)snprintf(q->own, sizeof(q->own), "%.90s is %s",
		       q->mx.hosts[a->host].name,
		       addr_format(&a->addr, false, text));
}

static void take_address(struct query *q, const struct host_question *hq,
			 const char *data, int len)
{
	struct hop_address f = {.host = hq->host,
				.rank = q->mx.hosts[hq->host].rank};

	if (hq->type == RESOLVER_A && len == 4) {
		f.addr.in.sin_family = AF_INET;
		memcpy(&f.addr.in.sin_addr, data, 4);
	} else if (hq->type == RESOLVER_AAAA && len == 16) {
		f.addr.in6.sin6_family = AF_INET6;
		memcpy(&f.addr.in6.sin6_addr, data, 16);
	} else {
		return;
	}
	addr_port_set(&f.addr, q->port);
	if (!addr_is_host(&f.addr))
		q->useless = true;
	else if (!q->routed && own_address(q->d->config, &f.addr))
		take_own(q, &f);
	else
		(void)found_add(&q->found, &f);
}

static void address_answered(void *user, const struct resolver_answer *a)
{
	struct host_question *hq = user;
	struct query *q = hq->query;

	query_expires(q, a);
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
	int res;

	*hq = (struct host_question){q, host, (uint16_t)type};
	res = resolver_ask(q->d->resolver, q->mx.hosts[host].name, type,
			   q->dom->failures > 0, address_answered, hq);
	if (!res)
		q->open++;
	else if (res == -EINVAL)
		q->no_name = true;
	else
		query_failed(q, q->mx.hosts[host].name, "cannot ask");
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
	(void)snprintf(q->mx.hosts[0].name, DOMAIN_BYTES, "%s", name);
}

static void mx_answered(void *user, const struct resolver_answer *a)
{
	struct query *q = user;

	query_expires(q, a);
	if (a->status == RESOLVER_FAILED) {
		query_failed(q, q->dom->name, a->why);
		query_end(q);
		return;
	}
	mx_list_parse(&q->mx, a->data, a->len,
		      a->status == RESOLVER_OK ? a->count : 0);
	if (q->mx.null) {
		domain_unroutable(q->d, q->dom, true, q->expires_ns,
				  "5.1.10 %s takes no mail (null MX)",
				  q->dom->name);
		query_free(q);
		return;
	}
	if (!q->mx.count && !q->mx.bad) {
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
	(void)found_add(&q->found, &(struct hop_address){.addr = *a});
	query_end(q);
}

static void ask_mx(struct query *q)
{
	int res = resolver_ask(q->d->resolver, q->dom->name, RESOLVER_MX,
			       q->dom->failures > 0, mx_answered, q);

	q->asked_mx = true;
	if (!res)
		return;
	if (res == -EINVAL) {
		domain_unroutable(q->d, q->dom, true, CLOCK_NEVER_NS,
				  "5.1.2 %.100s is no domain name",
				  q->dom->name);
		query_free(q);
		return;
	}
	query_failed(q, q->dom->name, "cannot ask");
	query_end(q);
}

static void ask_route(struct query *q, const char *route)
{
	struct addr literal;
	char host[DOMAIN_BYTES];

	q->routed = true;
	if (route_split(route, q->port, host, &q->port, &literal)) {
		query_literal(q, &literal);
		return;
	}
	single_host(q, host);
	ask_addresses(q);
}

void route_query(struct delivery *d, struct domain *dom)
{
	const char *route = provider_route(d, dom->provider);
	struct query *q = calloc(1, sizeof(*q));
	struct addr literal;

	if (!q) {
		domain_unroutable(d, dom, false, 0, "out of memory");
		return;
	}
	q->d = d;
	link_append(&d->query_list, &q->link);
	q->dom = dom;
	q->port = d->config->delivery.port;
	q->own_rank = RANK_NONE;
	q->expires_ns = CLOCK_NEVER_NS;
	if (route) {
		ask_route(q, route);
	} else if (route_literal(dom->name, q->port, &literal)) {
		query_literal(q, &literal);
	} else if (dom->name[0] == '[') {
		domain_unroutable(d, dom, true, CLOCK_NEVER_NS,
				  "5.1.2 %s is no address", dom->name);
		query_free(q);
	} else {
		ask_mx(q);
	}
}
