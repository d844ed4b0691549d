/* SPDX-License-Identifier: BSD-2-Clause
 *
 * grant.c - what control or the config allows, and the operator's holds.
 *
 * Called by the owner. Owner's thread. Bound: O(1); holding a source: the
 * number of providers. Errors: none; numbers that are not known are ignored.
 */
#include "release_priv.h"

static void gate_set(struct release *r, struct gate *g, enum path_state state,
		     uint32_t budget, uint64_t not_before_ns,
		     const char *reason)
{
	switch (state) {
	case PATH_OPEN:
		g->blocks = 0;
		rel_gate_open(r, g, reason);
		return;
	case PATH_PROBING:
		rel_gate_probe(r, g, budget > 0 ? budget : 1, budget == 0,
			       reason);
		return;
	case PATH_STOPPED:
		rel_gate_stop(r, g,
			      not_before_ns > r->now_ns
				      ? not_before_ns - r->now_ns
				      : CLOCK_NEVER_NS,
			      reason);
		return;
	case PATH_CLOSED:
		rel_gate_open(r, g, reason);
		g->state = PATH_CLOSED;
		return;
	}
}

static void grant_provider(struct release *r, struct provider *p,
			   enum path_state state, struct pace pace,
			   uint32_t budget, uint64_t not_before_ns,
			   const char *reason)
{
	p->granted = pace;
	pace_bucket_set(&p->bucket, pace_slower(p->pace_max, pace), r->now_ns);
	p->probe_path = RELEASE_NONE;
	gate_set(r, &p->gate, state, budget, not_before_ns, reason);
	for (uint32_t i = 0; i < p->path_count; i++)
		p->paths[i]->batch_close = true;
	rel_provider_schedule(r, p);
	rel_provider_wake_waiters(r, p);
	if (r->ops.changed != NULL)
		r->ops.changed(r->user, p->number, RELEASE_NONE, reason);
}

static void grant_path(struct release *r, struct path *path,
		       enum path_state state, struct pace pace, uint32_t budget,
		       uint64_t not_before_ns, const char *reason)
{
	path->pace = pace;
	path->pace_is_start = false;
	path->batch_close = true;
	path->probe_batch = path->batch + 1;
	path->wait_until_ns = state == PATH_STOPPED ? 0 : not_before_ns;
	gate_set(r, &path->gate, state, budget, not_before_ns, reason);
	rel_path_pace_apply(r, path);
	rel_provider_wake_waiters(r, path->provider);
	rel_path_changed(r, path);
}

void release_grant(struct release *r, uint32_t provider, uint32_t source,
		   enum path_state state, struct pace pace, uint32_t budget,
		   uint64_t not_before_ns, const char *reason, uint64_t now_ns)
{
	struct provider *p;
	struct path *path;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	release_now(r, now_ns);
	p = rel_provider_at(r, provider);
	if (p == NULL || path_state_name(state) == NULL)
		return;
	if (source == RELEASE_NONE) {
		grant_provider(r, p, state, pace, budget, not_before_ns,
			       reason);
		return;
	}
	path = rel_provider_path(p, source);
	if (path != NULL)
		grant_path(r, path, state, pace, budget, not_before_ns, reason);
}

void release_provider_hold(struct release *r, uint32_t provider, bool hold)
{
	struct provider *p;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	p = rel_provider_at(r, provider);
	if (p == NULL)
		return;
	p->held = hold;
	rel_provider_schedule(r, p);
}

void release_source_hold(struct release *r, uint32_t source, bool hold)
{
	MAGIC_CHECK(r, RELEASE_MAGIC);
	if (source >= r->limits.sources_max)
		return;
	r->sources[source].held = hold;
	for (uint32_t i = 0; i < r->provider_end; i++) {
		struct provider *p = r->providers[i];
		struct path *path =
			p != NULL ? rel_provider_path(p, source) : NULL;
		if (path == NULL)
			continue;
		rel_path_refresh(r, path);
		if (!hold)
			rel_provider_wake_waiters(r, p);
	}
}
