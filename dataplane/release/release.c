/* SPDX-License-Identifier: BSD-2-Clause
 *
 * release.c - the release engine: create, step, look.
 *
 * Called by its owner (the daemon, the simulator, the planner), on the owner's
 * thread. Pure: time and events come in, send() goes out. Bound of a step: the
 * timers that are due, and `budget` messages. Errors: NULL without memory.
 */
#include <errno.h>
#include <stdlib.h>

#include "release_priv.h"

static uint32_t domain_chunks(const struct release_limits *l)
{
	return l->domains_max / (DOMAIN_CHUNK / 2) + 1;
}

struct release *release_create(const struct release_limits *l,
			       const struct release_ops *ops, void *user,
			       uint64_t now_ns)
{
	struct release *r = calloc(1, sizeof(*r));

	sluice_assert(ops->head != NULL && ops->send != NULL);
	if (r == NULL)
		return NULL;
	r->magic = RELEASE_MAGIC;
	r->limits = *l;
	r->ops = *ops;
	r->user = user;
	r->now_ns = now_ns;
	wheel_init(&r->wheel, RELEASE_TICK_NS, now_ns);
	link_init(&r->run);
	r->providers = calloc(l->providers_max + 1ul, sizeof(*r->providers));
	r->sources = calloc(l->sources_max + 1ul, sizeof(*r->sources));
	r->domains = calloc(domain_chunks(l), sizeof(*r->domains));
	if (r->providers == NULL || r->sources == NULL || r->domains == NULL)
		release_destroy(&r);
	return r;
}

static void provider_free(struct provider *p)
{
	if (p == NULL)
		return;
	for (uint32_t i = 0; i < p->path_count; i++)
		free(p->paths[i]);
	free(p->paths);
	free(p->source);
	free(p->due_ns);
	free(p->seed);
	free(p);
}

void release_destroy(struct release **rp)
{
	struct release *r = *rp;

	if (r == NULL)
		return;
	MAGIC_CHECK(r, RELEASE_MAGIC);
	for (uint32_t i = 0; r->providers && i < r->limits.providers_max; i++)
		provider_free(r->providers[i]);
	for (uint32_t i = 0; r->domains && i < domain_chunks(&r->limits); i++)
		free(r->domains[i]);
	free(r->providers);
	free(r->sources);
	free(r->domains);
	r->magic = 0;
	free(r);
	*rp = NULL;
}

/* The owner hears of it: what it set aside for this path may come back. */
static void path_unpark(struct release *r, struct path *path)
{
	path->parked = false;
	if (r->ops.unpark != NULL)
		r->ops.unpark(r->user, path->provider->number, path->source);
}

static void timer_expired(struct release *r, struct timer *t)
{
	switch (t->kind) {
	case TIMER_PROVIDER:
		rel_provider_schedule(r,
				      container_of(t, struct provider, timer));
		return;
	case TIMER_PROVIDER_GATE:
		rel_reflex_provider_gate_expired(
			r, container_of(t, struct provider, gate.timer));
		return;
	case TIMER_PATH_GATE:
		rel_reflex_gate_expired(
			r, container_of(t, struct path, gate.timer));
		return;
	case TIMER_PATH_UNPARK:
		path_unpark(r, container_of(t, struct path, unpark));
		return;
	case TIMER_DOMAIN:
		rel_domain_timer_expired(r,
					 container_of(t, struct domain, timer));
		return;
	}
	sluice_assert(!"a timer of this room has one of its kinds");
}

static void release_expire(struct release *r)
{
	struct wheel_entry *e;

	while ((e = wheel_expire(&r->wheel, r->now_ns)) != NULL)
		timer_expired(r, container_of(e, struct timer, entry));
}

bool release_step(struct release *r, uint64_t now_ns, uint32_t budget)
{
	MAGIC_CHECK(r, RELEASE_MAGIC);
	release_now(r, now_ns);
	release_expire(r);
	while (budget > 0 && !link_is_alone(&r->run)) {
		struct provider *p =
			container_of(r->run.next, struct provider, run);
		link_remove(&p->run);
		rel_provider_turn(r, p, &budget);
	}
	return !link_is_alone(&r->run);
}

uint64_t release_next_ns(const struct release *r)
{
	MAGIC_CHECK(r, RELEASE_MAGIC);
	if (!link_is_alone(&r->run))
		return r->now_ns;
	return wheel_next_ns(&r->wheel);
}

/* The provider's gate stands before those of its paths. */
static const struct gate *status_gate(const struct path *path)
{
	const struct gate *g = &path->provider->gate;

	return g->state != PATH_OPEN && path->gate.state != PATH_CLOSED
		       ? g
		       : &path->gate;
}

int release_path_status(const struct release *r, uint32_t provider,
			uint32_t source, struct release_path_status *out)
{
	const struct provider *p;
	const struct path *path;
	const struct gate *g;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	p = rel_provider_at(r, provider);
	path = p != NULL ? rel_provider_path(p, source) : NULL;
	if (path == NULL)
		return -ENOENT;
	g = status_gate(path);
	*out = (struct release_path_status){
		.state = path->in_pool ? g->state : PATH_CLOSED,
		.pace = path->bucket.pace,
		.not_before_ns = g->not_before_ns,
		.batch = path->batch,
		.batch_released = path->batch_released,
		.in_flight = path->in_flight,
		.released = path->released,
		.blocks_in_a_row = g->blocks,
		.reason = g->reason,
	};
	if (g->state == PATH_OPEN && path->wait_until_ns > r->now_ns)
		out->not_before_ns = path->wait_until_ns;
	return 0;
}

const char *path_state_name(enum path_state s)
{
	switch (s) {
	case PATH_OPEN:
		return "open";
	case PATH_STOPPED:
		return "stopped";
	case PATH_PROBING:
		return "probing";
	case PATH_CLOSED:
		return "closed";
	}
	return NULL;
}
