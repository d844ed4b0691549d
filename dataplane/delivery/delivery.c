/* SPDX-License-Identifier: BSD-2-Clause
 *
 * delivery.c - the room's door: create, offer, go, stop.
 *
 * Called by the owner, in or out of callbacks. Role: worker.
 * No callback of the owner runs inside delivery_offer(), delivery_ready(),
 * delivery_go() or delivery_drop_idle(): what they cause is told from the loop.
 * delivery_offer() is O(1). Errors: -errno as the header says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "delivery/delivery_priv.h"
#include "delivery/route.h"

#define LANES_PER_CONNECTION 4u

void delivery_kick(struct delivery *d)
{
	io_timer_set(d->io, &d->kick, io_now_ns(d->io));
}

void path_owe_ready(struct path *p, struct delivery *d)
{
	p->owes_ready = true;
	d->owes_ready = true;
	delivery_kick(d);
}

static void tell_ready(struct delivery *d)
{
	if (!d->owes_ready)
		return;
	d->owes_ready = false;
	for (struct link *k = d->path_list.next; k != &d->path_list;
	     k = k->next) {
		struct path *p = LINK_OWNER(k, struct path, all_link);

		if (!p->owes_ready)
			continue;
		p->owes_ready = false;
		d->ops->ready(d->user, p->provider, p->source);
	}
}

static void kicked(struct io_timer *t, uint64_t now_ns)
{
	struct delivery *d = t->user;

	MAGIC_CHECK(d, DELIVERY_MAGIC);
	domains_ask(d);
	domains_tell(d);
	tell_ready(d);
	if (d->stopping && d->stopped && !d->stats.in_flight) {
		void (*stopped)(void *user) = d->stopped;

		d->stopped = NULL;
		stopped(d->stopped_user);
	}
}

static int lanes_create(struct delivery *d, uint32_t connections)
{
	uint32_t size = 256;

	while (size < connections * LANES_PER_CONNECTION)
		size *= 2;
	d->lanes = calloc(size, sizeof(*d->lanes));
	if (!d->lanes)
		return -ENOMEM;
	d->lane_mask = size - 1;
	for (uint32_t i = 0; i < size; i++)
		link_init(&d->lanes[i]);
	return 0;
}

void delivery_families_note(struct delivery *d)
{
	d->has_ipv4 = d->has_ipv6 = false;
	for (uint32_t i = 0; i < d->config->source_count; i++) {
		const struct addr *a = &d->config->sources[i].address;

		if (d->config->sources[i].gone)
			continue;
		if (a->sa.sa_family == AF_INET6)
			d->has_ipv6 = true;
		else
			d->has_ipv4 = true;
	}
}

int delivery_resolver_open(const struct delivery *d, const struct config *c,
			   struct resolver **out, struct err *e)
{
	return resolver_open(out, d->io, c, e);
}

/* Providers are numbered as they stand in the config. */
static int config_numbers(struct delivery *d)
{
	uint32_t count = d->config->provider_count;

	d->config_of = malloc(count * sizeof(*d->config_of));
	if (!d->config_of)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		d->config_of[i] = i;
	d->config_count = count;
	d->source_stride = d->config->source_count;
	return 0;
}

static int delivery_open(struct delivery *d, uint32_t connections,
			 struct err *e)
{
	int res = pool_create(d, connections);

	if (!res)
		res = config_numbers(d);
	if (!res)
		res = lanes_create(d, connections);
	if (!res) {
		d->hop_keys = intern_create();
		res = d->hop_keys ? 0 : -ENOMEM;
	}
	if (!res) {
		d->failures = failures_create(FAILURES_MAX);
		res = d->failures ? 0 : -ENOMEM;
	}
	if (res)
		return err_set(e, res, "delivery: no memory for %u connections",
			       connections);
	return delivery_resolver_open(d, d->config, &d->resolver, e);
}

static void delivery_free(struct delivery *d)
{
	io_timer_cancel(d->io, &d->kick);
	lanes_destroy(d);
	queries_destroy(d);
	domains_destroy(d);
	hops_destroy(d);
	pool_destroy(d);
	failures_destroy(&d->failures);
	free(d->config_of);
	d->magic = 0;
	free(d);
}

int delivery_create(struct delivery **out, const struct delivery_options *o,
		    const struct delivery_ops *ops, void *user, struct err *e)
{
	uint32_t connections = o->connections_max;
	struct delivery *d;
	int res;

	if (!connections)
		connections = o->config->delivery.connections_total;
	if (!o->config->source_count || !o->config->provider_count ||
	    !connections)
		return err_set(e, -EINVAL,
			       "delivery needs a source, a provider and at "
			       "least one connection");
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->magic = DELIVERY_MAGIC;
	d->config = o->config;
	d->spool = o->spool;
	d->io = o->io;
	d->ops = ops;
	d->user = user;
	link_init(&d->path_list);
	link_init(&d->lanes_free);
	link_init(&d->tell);
	link_init(&d->ask[0]);
	link_init(&d->ask[1]);
	link_init(&d->query_list);
	d->random = clock_realtime_ns() | 1;
	io_timer_init(&d->kick, kicked, d);
	delivery_families_note(d);
	res = delivery_open(d, connections, e);
	if (res) {
		delivery_free(d);
		return res;
	}
	*out = d;
	return 0;
}

/* Best effort: a receiver likes a QUIT, but nobody waits for its answer. */
static void connection_end(struct connection *c)
{
	static const char quit[] = "QUIT\r\n";

	if (c->state == CONNECTION_OPEN && c->idle && !c->send_busy)
		(void)send(c->fd, quit, sizeof(quit) - 1,
			   MSG_DONTWAIT | MSG_NOSIGNAL);
	if (c->message.active) {
		(void)strcpy(c->detail, "the program stops");
		message_lost(c, dialogue_phase(&c->dialogue), false);
	}
	c->again = false;
	connection_close(c);
}

void delivery_destroy(struct delivery **dp)
{
	struct delivery *d = *dp;

	if (!d)
		return;
	MAGIC_CHECK(d, DELIVERY_MAGIC);
	sluice_assert(!d->finishing);
	d->stopping = true;
	for (uint32_t i = 0; i < d->connection_count; i++)
		if (d->connections[i].state != CONNECTION_FREE)
			connection_end(&d->connections[i]);
	while (d->connections_used)
		(void)io_step(d->io, 10 * NS_PER_MS);
	resolver_close(&d->resolver);
	while (d->retired_count)
		resolver_close(&d->retired[--d->retired_count]);
	delivery_free(d);
	*dp = NULL;
}

void delivery_stop(struct delivery *d, void (*stopped)(void *user), void *user)
{
	MAGIC_CHECK(d, DELIVERY_MAGIC);
	d->stopping = true;
	d->stopped = stopped;
	d->stopped_user = user;
	while (!link_empty(&d->idle))
		connection_quit(
			LINK_OWNER(d->idle.next, struct connection, all_link));
	if (!d->stats.in_flight)
		delivery_kick(d);
}

int delivery_domain_set(struct delivery *d, uint32_t domain, const char *name,
			uint32_t provider)
{
	MAGIC_CHECK(d, DELIVERY_MAGIC);
	return domain_set(d, domain, name, provider);
}

void delivery_domain_ask(struct delivery *d, uint32_t domain)
{
	struct domain *dom = domain_find(d, domain);

	MAGIC_CHECK(d, DELIVERY_MAGIC);
	if (dom && !d->stopping)
		domain_ask(d, dom);
}

void delivery_domain_forget(struct delivery *d, uint32_t domain)
{
	struct domain *dom = domain_find(d, domain);

	MAGIC_CHECK(d, DELIVERY_MAGIC);
	if (dom)
		domain_forget(dom);
}

/* The lane of (path, next hop), if it is known. */
static int find_lane(struct delivery *d, uint32_t provider, uint32_t source,
		     uint32_t domain, struct lane **out)
{
	struct domain *dom = domain_find(d, domain);
	struct path *p;
	struct hop *h;

	MAGIC_CHECK(d, DELIVERY_MAGIC);
	if (d->stopping)
		return -ESHUTDOWN;
	if (!dom || source >= d->config->source_count)
		return -EINVAL;
	p = path_get(d, provider, source);
	if (!p)
		return -ENOMEM;
	h = domain_hop(d, dom, source);
	if (!h)
		return -EAGAIN;
	*out = lane_get(d, p, h);
	if (!*out)
		return -ENOMEM;
	(*out)->domain = domain;
	(*out)->granted_ns = io_now_ns(d->io);
	if (lane_has_family(*out))
		return 0;
	lane_forget_if_unused(*out);
	return -EAFNOSUPPORT;
}

bool delivery_ready(struct delivery *d, uint32_t provider, uint32_t source,
		    uint32_t domain)
{
	struct lane *l;

	if (find_lane(d, provider, source, domain, &l))
		return false;
	if (lane_idle(l))
		return true;
	lane_want(l);
	return false;
}

bool delivery_family_missing(struct delivery *d, uint32_t provider,
			     uint32_t source, uint32_t domain)
{
	struct lane *l;

	return find_lane(d, provider, source, domain, &l) == -EAFNOSUPPORT;
}

int delivery_offer(struct delivery *d, uint32_t provider, uint32_t source,
		   uint32_t domain, const struct delivery_message *m)
{
	struct connection *c;
	struct lane *l;
	int res;

	if (!m->rcpt_count || m->rcpt_count > RCPTS_MAX)
		return -EINVAL;
	res = find_lane(d, provider, source, domain, &l);
	if (res)
		return res;
	c = lane_idle(l);
	if (!c) {
		lane_want(l);
		return -EAGAIN;
	}
	res = message_begin(c, m);
	if (!res) {
		connection_unidle(c);
	} else if (res == -EBUSY) {
		res = -EAGAIN; /* the loop is full: when it has turned */
		path_owe_ready(l->path, d);
	}
	return res;
}

void delivery_go(struct delivery *d, uint64_t token, int res)
{
	uint32_t index = (uint32_t)token, generation = (uint32_t)(token >> 32);
	struct connection *c;
	struct message *m;

	MAGIC_CHECK(d, DELIVERY_MAGIC);
	sluice_assert(index < d->connection_count);
	c = &d->connections[index];
	m = &c->message;
	/* The connection may have been lost in the meantime. */
	if (c->generation != generation || !m->active || !m->attempted || m->go)
		return;
	if (res) {
		m->error = res;
		c->broken = true;
		connection_deadline(c, 0);
		return;
	}
	m->go = true;
	connection_pump(c);
}

uint64_t delivery_keep(struct delivery *d)
{
	MAGIC_CHECK(d, DELIVERY_MAGIC);
	sluice_assert(d->finishing);
	d->finisher->kept = true;
	return connection_token(d->finisher);
}

void delivery_settle(struct delivery *d, uint64_t token)
{
	uint32_t index = (uint32_t)token;
	struct connection *c;

	MAGIC_CHECK(d, DELIVERY_MAGIC);
	sluice_assert(index < d->connection_count);
	c = &d->connections[index];
	/* It may have been lost, and be another one's by now. */
	if (!c->kept || connection_token(c) != token)
		return;
	c->kept = false;
	session_settle(c);
}

void delivery_drop_idle(struct delivery *d, uint32_t provider, uint32_t source)
{
	struct path *p = path_find(d, provider, source);

	while (p && !link_empty(&p->idle))
		connection_quit(
			LINK_OWNER(p->idle.next, struct connection, path_link));
}

void delivery_stats(const struct delivery *d, struct delivery_stats *out)
{
	*out = d->stats;
}

int delivery_path_stats(const struct delivery *d, uint32_t provider,
			uint32_t source, struct delivery_stats *out)
{
	const struct path *p = path_find(d, provider, source);

	if (!p)
		return -ENOENT;
	*out = p->stats;
	out->connections_open = p->open;
	out->connections_connecting = p->connecting;
	return 0;
}
