/* SPDX-License-Identifier: BSD-2-Clause
 *
 * provider.c - a provider, its paths, and when its turn comes.
 *
 * Called by the owner at start and on reload, and whenever something changes
 * that moves the provider's next turn. Owner's thread. Bound: O(1) but for
 * release_provider_set(): the size of the pool. Errors: -EINVAL, -ENOMEM.
 */
#include <errno.h>
#include <stdlib.h>

#include "release_priv.h"

void rel_timer_init(struct timer *t, enum timer_kind kind)
{
	wheel_entry_init(&t->entry);
	t->kind = kind;
}

struct provider *rel_provider_at(const struct release *r, uint32_t provider)
{
	if (provider >= r->limits.providers_max)
		return NULL;
	return r->providers[provider];
}

struct path *rel_provider_path(const struct provider *p, uint32_t source)
{
	for (uint32_t i = 0; i < p->path_count; i++) {
		if (p->source[i] == source)
			return p->paths[i];
	}
	return NULL;
}

void rel_path_changed(struct release *r, const struct path *path)
{
	if (r->ops.changed != NULL)
		r->ops.changed(r->user, path->provider->number, path->source,
			       path->gate.reason);
}

/* No domain has something to try. */
bool rel_provider_is_empty(const struct provider *p)
{
	return link_is_alone(&p->ring[0]) && link_is_alone(&p->ring[1]);
}

/* When the provider may send next; CLOCK_NEVER_NS: not before an event. */
static uint64_t provider_due_ns(const struct provider *p)
{
	uint64_t due_ns;

	if (p->held || rel_provider_is_empty(p) || !rel_gate_may_send(&p->gate))
		return CLOCK_NEVER_NS;
	due_ns = pace_bucket_due_ns(&p->bucket);
	return due_ns > p->paths_due_ns ? due_ns : p->paths_due_ns;
}

void rel_provider_schedule(struct release *r, struct provider *p)
{
	uint64_t due_ns;

	if (p->in_turn)
		return;
	due_ns = provider_due_ns(p);
	if (due_ns == CLOCK_NEVER_NS) {
		p->idle = true;
	} else if (p->idle) {
		p->idle = false;
		p->woken = false;
		p->resumed_ns = r->now_ns;
	}
	link_remove(&p->run);
	if (due_ns <= r->now_ns) {
		wheel_cancel(&r->wheel, &p->timer.entry);
		link_append(&r->run, &p->run);
	} else if (due_ns == CLOCK_NEVER_NS) {
		wheel_cancel(&r->wheel, &p->timer.entry);
	} else {
		wheel_insert(&r->wheel, &p->timer.entry, due_ns);
	}
}

void rel_path_refresh(struct release *r, struct path *path)
{
	struct provider *p = path->provider;
	uint64_t *due_ns = &p->due_ns[path->index];
	uint64_t before_ns = *due_ns;

	*due_ns = pace_bucket_due_ns(&path->bucket);
	if (*due_ns < path->wait_until_ns)
		*due_ns = path->wait_until_ns;
	if (!path->in_pool || r->sources[path->source].held ||
	    !rel_gate_may_send(&path->gate))
		*due_ns = CLOCK_NEVER_NS;
	p->paths_due_ns = 0; /* to be found out in the next turn */
	if (before_ns == CLOCK_NEVER_NS && *due_ns != CLOCK_NEVER_NS)
		path->resumed_ns = r->now_ns;
	if (path->parked && *due_ns != CLOCK_NEVER_NS)
		wheel_insert(&r->wheel, &path->unpark.entry, *due_ns);
	rel_provider_schedule(r, p);
}

/* Domains that gave up on all paths look again: a path has opened. Rare. */
void rel_provider_wake_waiters(struct release *r, struct provider *p)
{
	for (uint32_t c = 0; c < 2; c++) {
		while (!link_is_alone(&p->waiters[c]))
			rel_domain_to_ring(r,
					   container_of(p->waiters[c].next,
							struct domain, link));
	}
}

void rel_path_pace_apply(struct release *r, struct path *path)
{
	struct provider *p = path->provider;

	if (path->pace_is_start)
		path->pace = p->pace_start;
	pace_bucket_set(&path->bucket,
			pace_slower(path->pace, p->pace_per_source), r->now_ns);
	rel_path_refresh(r, path);
}

static int provider_room(struct provider *p, uint32_t count)
{
	struct path **paths = realloc(p->paths, count * sizeof(*paths));
	if (paths == NULL)
		return -ENOMEM;
	p->paths = paths;
	uint32_t *source = realloc(p->source, count * sizeof(*source));
	if (source == NULL)
		return -ENOMEM;
	p->source = source;
	uint64_t *due_ns = realloc(p->due_ns, count * sizeof(*due_ns));
	if (due_ns == NULL)
		return -ENOMEM;
	p->due_ns = due_ns;
	uint64_t *seed = realloc(p->seed, count * sizeof(*seed));
	if (seed == NULL)
		return -ENOMEM;
	p->seed = seed;
	p->path_room = count;
	return 0;
}

/* A source that is stopped everywhere is stopped on a new path too. */
static void path_inherit_stop(struct release *r, struct path *path)
{
	const struct source *s = &r->sources[path->source];

	if (s->stopped_until_ns <= r->now_ns)
		return;
	path->gate.blocks = 1;
	rel_gate_stop(r, &path->gate, s->stopped_until_ns - r->now_ns,
		      s->reason);
}

static int path_add(struct release *r, struct provider *p, uint32_t source)
{
	struct path *path = calloc(1, sizeof(*path));

	if (path == NULL)
		return -ENOMEM;
	path->provider = p;
	path->source = source;
	path->index = (uint16_t)p->path_count;
	path->pace_is_start = true;
	path->resumed_ns = r->now_ns;
	pace_bucket_init(&path->bucket,
			 pace_slower(p->pace_start, p->pace_per_source),
			 r->now_ns, RELEASE_LAG_MAX_NS);
	rel_gate_init(&path->gate, TIMER_PATH_GATE);
	rel_timer_init(&path->unpark, TIMER_PATH_UNPARK);
	link_init(&path->waiters[0]);
	link_init(&path->waiters[1]);
	p->paths[p->path_count] = path;
	p->source[p->path_count] = source;
	p->due_ns[p->path_count] = CLOCK_NEVER_NS;
	p->seed[p->path_count] = rel_choose_seed(p, source);
	p->path_count++;
	path_inherit_stop(r, path);
	return 0;
}

static bool is_in_pool(const struct release_provider_config *c, uint32_t source)
{
	for (uint32_t i = 0; i < c->source_count; i++) {
		if (c->sources[i] == source)
			return true;
	}
	return false;
}

/* Paths are never removed, only taken out of the pool: mail may be under way
 * on them. */
static int provider_pool(struct release *r, struct provider *p,
			 const struct release_provider_config *c)
{
	uint32_t fresh = 0;

	for (uint32_t i = 0; i < c->source_count; i++)
		fresh += rel_provider_path(p, c->sources[i]) == NULL;
	if (p->path_count + fresh > RELEASE_SOURCES_MAX)
		return -EINVAL;
	if (p->path_count + fresh > p->path_room &&
	    provider_room(p, p->path_count + fresh) != 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->source_count; i++) {
		if (rel_provider_path(p, c->sources[i]) == NULL &&
		    path_add(r, p, c->sources[i]) != 0)
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < p->path_count; i++) {
		sluice_assert(p->paths[i] != NULL);
		p->paths[i]->in_pool = is_in_pool(c, p->source[i]);
	}
	return 0;
}

static void provider_values(struct provider *p,
			    const struct release_provider_config *c)
{
	p->count_recipients = c->count_recipients;
	p->live_share = c->live_share;
	p->pace_max = c->pace_max;
	p->pace_per_source = c->pace_per_source;
	p->pace_start = c->pace_start;
	p->batch_interval_ns =
		c->batch_interval_ns > 0 ? c->batch_interval_ns : 60 * NS_PER_S;
	p->batch_max = c->batch_max > 0 ? c->batch_max : UINT32_MAX;
}

static struct provider *provider_make(struct release *r, uint32_t number,
				      const struct release_provider_config *c)
{
	struct provider *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->number = number;
	p->hash = c->hash != 0 ? c->hash : number;
	p->granted = PACE_UNLIMITED;
	p->idle = true;
	p->probe_path = RELEASE_NONE;
	provider_values(p, c);
	pace_bucket_init(&p->bucket, c->pace_max, r->now_ns,
			 RELEASE_LAG_MAX_NS);
	rel_gate_init(&p->gate, TIMER_PROVIDER_GATE);
	rel_timer_init(&p->timer, TIMER_PROVIDER);
	link_init(&p->run);
	for (uint32_t i = 0; i < 2; i++) {
		link_init(&p->ring[i]);
		link_init(&p->waiters[i]);
	}
	return p;
}

static bool config_is_valid(const struct release *r,
			    const struct release_provider_config *c)
{
	if (c->source_count > RELEASE_SOURCES_MAX || c->live_share > 100)
		return false;
	for (uint32_t i = 0; i < c->source_count; i++) {
		if (c->sources[i] >= r->limits.sources_max)
			return false;
	}
	return true;
}

int release_provider_set(struct release *r, uint32_t provider,
			 const struct release_provider_config *c,
			 uint64_t now_ns)
{
	struct provider *p;
	int res;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	release_now(r, now_ns);
	if (provider >= r->limits.providers_max || !config_is_valid(r, c))
		return -EINVAL;
	p = r->providers[provider];
	if (p == NULL)
		p = provider_make(r, provider, c);
	if (p == NULL)
		return -ENOMEM;
	r->providers[provider] = p;
	if (provider >= r->provider_end)
		r->provider_end = provider + 1;
	res = provider_pool(r, p, c);
	if (res != 0)
		return res;
	provider_values(p, c);
	pace_bucket_set(&p->bucket, pace_slower(p->pace_max, p->granted),
			r->now_ns);
	for (uint32_t i = 0; i < p->path_count; i++)
		rel_path_pace_apply(r, p->paths[i]);
	rel_provider_wake_waiters(r, p);
	return 0;
}
