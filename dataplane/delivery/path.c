/* SPDX-License-Identifier: BSD-2-Clause
 *
 * path.c - paths, lanes, and who may open a connection next.
 *
 * Called by delivery_offer() and whenever a connection ends or becomes ready.
 * Role: worker. Finding a lane and its idle connection is O(1).
 * Bound: connections.max per path, connections_max in all, CONNECTING_MAX
 * connecting at a time on a path with a limited pace. A lane that may not open
 * one waits in its path's line; the longest idle connection of another lane
 * makes room. Allocates when a path or lane is new.
 * Errors: NULL for -ENOMEM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/delivery_priv.h"
#include "sluice/pace.h"

#define USE_NS (100 * NS_PER_MS) /* a ready connection, by the owner */

struct path *path_find(const struct delivery *d, uint32_t provider,
		       uint32_t source)
{
	uint64_t at = (uint64_t)provider * d->source_stride + source;

	if (source >= d->config->source_count || at >= d->path_size)
		return NULL;
	return d->paths[at];
}

static int paths_grow(struct delivery *d, uint64_t at)
{
	uint64_t size = d->path_size ? d->path_size : 64;
	struct path **grown;

	if (at >= UINT32_MAX / 2)
		return -EINVAL;
	while (size <= at)
		size *= 2;
	grown = realloc(d->paths, size * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + d->path_size, 0, (size - d->path_size) * sizeof(*grown));
	d->paths = grown;
	d->path_size = (uint32_t)size;
	return 0;
}

/* Providers found at run time have the default provider's limits. */
const struct config_provider *path_config(const struct delivery *d,
					  uint32_t provider)
{
	return &d->config->providers[provider < d->config_count
					     ? d->config_of[provider]
					     : 0];
}

struct path *path_get(struct delivery *d, uint32_t provider, uint32_t source)
{
	uint64_t at = (uint64_t)provider * d->source_stride + source;
	struct path *p = path_find(d, provider, source);

	if (p || source >= d->config->source_count)
		return p;
	if (at >= d->path_size && paths_grow(d, at))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->provider = provider;
	p->source = source;
	p->config = path_config(d, provider);
	p->from = &d->config->sources[source];
	link_init(&p->idle);
	link_init(&p->waiting);
	link_append(&d->path_list, &p->all_link);
	d->paths[at] = p;
	return p;
}

static struct link *lane_bucket(const struct delivery *d, const struct path *p,
				const struct hop *h)
{
	uint64_t v = ((uint64_t)p->provider << 40) ^
		     ((uint64_t)p->source << 32) ^ h->number;

	v *= 0x9e3779b97f4a7c15ULL; /* Fibonacci hashing */
	return &d->lanes[(v >> 32) & d->lane_mask];
}

/* Only spreads load: xorshift (Marsaglia). */
static uint32_t random_number(struct delivery *d)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return (uint32_t)(d->random >> 32);
}

static void lane_retry(struct io_timer *t, uint64_t now_ns);

static struct lane *lane_new(struct delivery *d)
{
	struct lane *l;

	if (link_empty(&d->lanes_free)) {
		l = malloc(sizeof(*l));
	} else {
		l = LINK_OWNER(d->lanes_free.next, struct lane, hash_link);
		link_remove(&l->hash_link);
	}
	if (!l)
		return NULL;
	memset(l, 0, sizeof(*l));
	l->d = d;
	link_init(&l->hash_link);
	link_init(&l->idle);
	link_init(&l->wait_link);
	io_timer_init(&l->retry, lane_retry, l);
	return l;
}

struct lane *lane_get(struct delivery *d, struct path *p, struct hop *h)
{
	struct link *bucket = lane_bucket(d, p, h);
	struct lane *l;

	for (struct link *k = bucket->next; k != bucket; k = k->next) {
		l = LINK_OWNER(k, struct lane, hash_link);
		if (l->path == p && l->hop == h)
			return l;
	}
	l = lane_new(d);
	if (!l)
		return NULL;
	l->path = p;
	l->hop = h;
	l->rotor = random_number(d);
	link_prepend(bucket, &l->hash_link);
	return l;
}

static void lane_forget(struct lane *l)
{
	sluice_assert(!l->open && !l->connecting && link_empty(&l->idle));
	io_timer_cancel(l->d->io, &l->retry);
	lane_unwait(l);
	link_remove(&l->hash_link);
	link_prepend(&l->d->lanes_free, &l->hash_link);
}

void lane_forget_if_unused(struct lane *l)
{
	if (!l->open && !l->wanted)
		lane_forget(l);
}

static void lane_retry(struct io_timer *t, uint64_t now_ns)
{
	struct lane *l = t->user;

	if (l->wanted)
		lane_want(l);
	else if (!l->open)
		lane_forget(l);
}

void lanes_destroy(struct delivery *d)
{
	for (uint32_t i = 0; d->lanes && i <= d->lane_mask; i++)
		while (!link_empty(&d->lanes[i]))
			lane_forget(LINK_OWNER(d->lanes[i].next, struct lane,
					       hash_link));
	while (!link_empty(&d->lanes_free)) {
		struct lane *l =
			LINK_OWNER(d->lanes_free.next, struct lane, hash_link);

		link_remove(&l->hash_link);
		free(l);
	}
	free(d->lanes);
	for (uint32_t i = 0; i < d->path_size; i++)
		free(d->paths[i]);
	free(d->paths);
}

uint32_t path_connections_max(const struct path *p)
{
	uint32_t max = p->config->connections_max;

	return max ? max : 1;
}

static bool path_is_full(const struct path *p)
{
	return p->open >= path_connections_max(p);
}

/* With a limited pace one connection on its way is enough for a lane. */
static bool connecting_is_enough(const struct lane *l)
{
	if (pace_is_unlimited(l->path->config->pace_max))
		return false;
	return l->connecting > 0 || l->path->connecting >= CONNECTING_MAX;
}

/* The owner hears of a connection that has become ready and uses it from its
 * own loop: one that is closed before that has been opened in vain. */
void connection_make_way(struct connection *c)
{
	c->leaving_ns = c->idle_since_ns;
	connection_deadline(c, USE_NS);
}

static void make_way(struct connection *c)
{
	if (io_now_ns(c->d->io) - c->idle_since_ns >= USE_NS)
		connection_quit(c);
	else
		connection_make_way(c);
}

/* The longest idle connection in `list` that is not the lane's own. */
static void make_room(const struct link *list, bool by_path,
		      const struct lane *l)
{
	for (struct link *k = list->next; k != list; k = k->next) {
		struct connection *c =
			by_path ? LINK_OWNER(k, struct connection, path_link)
				: LINK_OWNER(k, struct connection, all_link);

		if (c->lane != l && c->leaving_ns != c->idle_since_ns) {
			make_way(c);
			return;
		}
	}
}

/* True if the lane was not in line before: only then is room made for it. */
static bool lane_wait(struct lane *l, bool for_pool)
{
	if (!link_empty(&l->wait_link))
		return false;
	link_append(&l->path->waiting, &l->wait_link);
	l->d->lanes_waiting++;
	l->waits_for_pool = for_pool;
	l->d->pool_waiting += for_pool;
	return true;
}

void lane_unwait(struct lane *l)
{
	if (link_empty(&l->wait_link))
		return;
	link_remove(&l->wait_link);
	sluice_assert(l->d->lanes_waiting);
	l->d->lanes_waiting--;
	l->d->pool_waiting -= l->waits_for_pool;
	l->waits_for_pool = false;
}

static void lane_wait_for_backoff(struct lane *l)
{
	uint64_t now_ns = io_now_ns(l->d->io);
	uint64_t due_ns = lane_retry_ns(l, now_ns);
	struct domain *dom = domain_find(l->d, l->domain);

	lane_unwait(l);
	if (due_ns != CLOCK_NEVER_NS)
		io_timer_set(l->d->io, &l->retry, due_ns);
	/* Who only looks on while others try has a failure to count, too. */
	if (dom && due_ns > now_ns && !l->open)
		domain_failure_tell(l->d, dom, l->path->source);
}

/* The hosts are too old to be used: the owner offers anew when DNS has been
 * asked, perhaps by another lane. */
static void lane_wait_for_dns(struct lane *l)
{
	struct domain *dom = domain_find(l->d, l->domain);

	lane_unwait(l);
	l->wanted = false;
	if (!dom || domain_hop(l->d, dom, l->path->source))
		path_owe_ready(l->path, l->d);
}

/* Opens a connection, or notes what has to happen first. */
static void lane_try_open(struct lane *l)
{
	struct delivery *d = l->d;
	struct path *p = l->path;
	int res;

	if (p->from->gone) {
		lane_unwait(l);
		l->wanted = false;
		return;
	}
	if (connecting_is_enough(l)) {
		if (!l->connecting)
			(void)lane_wait(l, false); /* for others */
		return;
	}
	if (path_is_full(p)) {
		if (lane_wait(l, false))
			make_room(&p->idle, true, l);
		return;
	}
	if (link_empty(&d->free)) {
		if (lane_wait(l, true))
			make_room(&d->idle, false, l);
		return;
	}
	res = connect_start(l);
	if (!res)
		lane_unwait(l);
	else if (res == -ESTALE)
		lane_wait_for_dns(l);
	else
		lane_wait_for_backoff(l);
}

void lane_want(struct lane *l)
{
	l->wanted = true;
	if (!l->d->stopping)
		lane_try_open(l);
}

struct connection *lane_idle(struct lane *l)
{
	while (!link_empty(&l->idle)) {
		struct connection *c =
			LINK_OWNER(l->idle.next, struct connection, lane_link);

		MAGIC_CHECK(c, CONNECTION_MAGIC);
		if (hop_has(l->hop, &c->to))
			return c;
		connection_quit(c);
	}
	return NULL;
}

void lanes_leave_old_hosts(struct delivery *d, const struct hop *h)
{
	struct link *next;

	for (struct link *k = d->idle.next; k != &d->idle; k = next) {
		struct connection *c =
			LINK_OWNER(k, struct connection, all_link);

		next = k->next;
		if (c->lane->hop == h && !hop_has(h, &c->to))
			connection_quit(c);
	}
}

/* Each lane in line gets one try; those that may not open stay in line. */
void path_serve(struct delivery *d, struct path *p)
{
	struct link *last = p->waiting.prev;
	struct lane *l = NULL;

	if (link_empty(&p->waiting) || d->stopping)
		return;
	do {
		if (path_is_full(p) || link_empty(&d->free))
			return;
		l = LINK_OWNER(p->waiting.next, struct lane, wait_link);
		lane_unwait(l);
		lane_try_open(l);
	} while (&l->wait_link != last && !link_empty(&p->waiting));
}

/* Paths take turns: the one served goes to the end. */
void delivery_serve(struct delivery *d)
{
	struct link *last = d->path_list.prev, *k;

	if (!d->lanes_waiting || d->stopping)
		return;
	do {
		struct path *p;

		if (link_empty(&d->free))
			return;
		k = d->path_list.next;
		p = LINK_OWNER(k, struct path, all_link);
		link_remove(k);
		link_append(&d->path_list, k);
		path_serve(d, p);
	} while (k != last);
}

/* Some lane is in line for the place that `c` holds. */
bool connection_is_wanted(const struct connection *c)
{
	const struct delivery *d = c->d;

	if (path_is_full(c->path) && !link_empty(&c->path->waiting))
		return true;
	return link_empty(&d->free) && d->pool_waiting;
}
