/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reflex.c - what a refusal stops, what an acceptance opens again.
 *
 * Called with delivery's answers and by timers. Owner's thread. Bound: O(1)
 * for a path or a provider; a source at all providers: the number of
 * providers. Errors: none; numbers that are not known are ignored.
 *
 * Needs no control plane: 5 min doubling to 24 h, then one message, then open
 * at half the pace. Nothing here ever raises a pace.
 */
#include "release_priv.h"

/* An eased path never gets slower than this, or it would stand still. */
#define PACE_FLOOR ((struct pace){1, 600 * NS_PER_S})

static void provider_gate_changed(struct release *r, struct provider *p)
{
	if (r->ops.changed != NULL)
		r->ops.changed(r->user, p->number, RELEASE_NONE,
			       p->gate.reason);
}

static struct pace pace_halved(const struct release *r, const struct path *path)
{
	struct pace now = path->bucket.pace;
	struct pace half;

	if (now.count == 0)
		return now;
	if (pace_is_unlimited(now))
		now = rel_batch_observed_pace(r, path);
	half = pace_scale(now, 1, 2);
	if (pace_compare(half, PACE_FLOOR) < 0)
		half = pace_slower(PACE_FLOOR, now);
	return half;
}

static void path_set_pace(struct release *r, struct path *path,
			  struct pace pace)
{
	path->pace = pace;
	path->pace_is_start = false;
	path->batch_close = true;
	rel_path_pace_apply(r, path);
}

/* Open again after a stop: half of what got it stopped, at most the start. */
void rel_reflex_reopened(struct release *r, struct path *path)
{
	path->opened_batch = path->batch;
	path_set_pace(
		r, path,
		pace_slower(pace_halved(r, path), path->provider->pace_start));
}

static void path_probe_one(struct release *r, struct path *path)
{
	path->batch_close = true;
	path->probe_batch = path->batch + 1;
	rel_gate_probe(r, &path->gate, 1, true, "the wait is over: one probe");
	rel_path_refresh(r, path);
	rel_provider_wake_waiters(r, path->provider);
}

void rel_reflex_gate_expired(struct release *r, struct path *path)
{
	sluice_assert(path->gate.state == PATH_STOPPED);
	path_probe_one(r, path);
	rel_path_changed(r, path);
}

void rel_reflex_provider_gate_expired(struct release *r, struct provider *p)
{
	sluice_assert(p->gate.state == PATH_STOPPED);
	for (uint32_t i = 0; i < p->path_count; i++)
		p->paths[i]->batch_close = true;
	p->probe_path = RELEASE_NONE;
	rel_gate_probe(r, &p->gate, 1, true, "the wait is over: one probe");
	rel_provider_schedule(r, p);
	provider_gate_changed(r, p);
}

static void path_judge(struct release *r, struct path *path, uint32_t batch,
		       bool accepted)
{
	struct gate *g = &path->gate;

	if (g->state == PATH_PROBING && batch >= path->probe_batch) {
		if (!rel_gate_judge(r, g, accepted))
			return;
		path->batch_close = true;
		if (g->state == PATH_OPEN)
			rel_reflex_reopened(r, path);
		rel_path_refresh(r, path);
		rel_path_changed(r, path);
		return;
	}
	/* a row of blocks ends when a batch after the probe is accepted */
	if (g->state == PATH_OPEN && accepted && batch > path->opened_batch)
		g->blocks = 0;
}

static void provider_judge(struct release *r, struct path *path, uint32_t batch,
			   bool accepted)
{
	struct provider *p = path->provider;
	struct gate *g = &p->gate;

	if (g->state == PATH_OPEN && accepted)
		g->blocks = 0;
	if (g->state != PATH_PROBING || p->probe_path != path->index ||
	    (g->self_judged && batch != p->probe_batch) ||
	    !rel_gate_judge(r, g, accepted))
		return;
	path->batch_close = true;
	for (uint32_t i = 0; i < p->path_count && g->state == PATH_OPEN; i++)
		rel_reflex_reopened(r, p->paths[i]);
	rel_provider_schedule(r, p);
	provider_gate_changed(r, p);
}

void release_done(struct release *r, uint32_t provider, uint32_t source,
		  uint32_t batch, bool accepted, uint64_t now_ns)
{
	struct provider *p;
	struct path *path;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	release_now(r, now_ns);
	p = rel_provider_at(r, provider);
	path = p != NULL ? rel_provider_path(p, source) : NULL;
	if (path == NULL)
		return;
	if (path->in_flight > 0)
		path->in_flight--;
	provider_judge(r, path, batch, accepted);
	path_judge(r, path, batch, accepted);
}

static void block_provider(struct release *r, struct provider *p,
			   uint64_t wait_ns, bool from_last, const char *reason)
{
	if (!rel_gate_block(r, &p->gate, wait_ns, from_last, reason))
		return;
	rel_provider_schedule(r, p);
	provider_gate_changed(r, p);
}

static void block_path(struct release *r, struct path *path, uint64_t wait_ns,
		       bool from_last, const char *reason)
{
	struct provider *p = path->provider;

	/* the scout of a stopped provider was refused: sending the next
	 * source after it would burn the pool address by address */
	if (p->gate.state == PATH_PROBING && p->gate.self_judged &&
	    p->gate.probes_out > 0 && p->probe_path == path->index)
		block_provider(r, p, wait_ns, from_last, reason);
	if (!rel_gate_block(r, &path->gate, wait_ns, from_last, reason))
		return;
	path->batch_close = true;
	rel_path_refresh(r, path);
	rel_path_changed(r, path);
}

/* Remembered for paths that do not exist yet. */
static void block_source(struct release *r, uint32_t source, uint64_t wait_ns,
			 bool from_last, const char *reason)
{
	struct source *s = &r->sources[source];
	uint64_t until_ns;

	if (s->stopped_until_ns > r->now_ns && !from_last && wait_ns == 0)
		return;
	until_ns = r->now_ns + (wait_ns > 0 ? wait_ns : RELEASE_BLOCK_FIRST_NS);
	if (until_ns < s->stopped_until_ns)
		return;
	s->stopped_until_ns = until_ns;
	s->reason = reason;
}

static struct path *path_at(struct release *r, uint32_t provider,
			    uint32_t source)
{
	struct provider *p = rel_provider_at(r, provider);

	return p != NULL ? rel_provider_path(p, source) : NULL;
}

void release_block(struct release *r, uint32_t provider, uint32_t source,
		   uint64_t wait_ns, bool from_last, const char *reason,
		   uint64_t now_ns)
{
	struct path *path;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	release_now(r, now_ns);
	if (provider != RELEASE_NONE && source == RELEASE_NONE) {
		if (rel_provider_at(r, provider) != NULL)
			block_provider(r, rel_provider_at(r, provider), wait_ns,
				       from_last, reason);
		return;
	}
	if (provider != RELEASE_NONE) {
		path = path_at(r, provider, source);
		if (path != NULL)
			block_path(r, path, wait_ns, from_last, reason);
		return;
	}
	if (source >= r->limits.sources_max)
		return;
	block_source(r, source, wait_ns, from_last, reason);
	for (uint32_t i = 0; i < r->provider_end; i++) {
		path = path_at(r, i, source);
		if (path != NULL)
			block_path(r, path, wait_ns, from_last, reason);
	}
}

static void ease_path(struct release *r, struct path *path, uint32_t batch,
		      uint64_t wait_ns, const char *reason)
{
	uint64_t until_ns = r->now_ns + wait_ns;

	if (wait_ns > 0 && until_ns > path->wait_until_ns) {
		path->wait_until_ns = until_ns;
		rel_path_refresh(r, path);
	}
	/* replies to what was sent before the last easing tell nothing of the
	 * pace since: a batch is one loss event */
	if (batch <= path->eased_batch)
		return;
	path->eased_batch = path->batch;
	if (path->gate.state == PATH_OPEN)
		path->gate.reason = reason;
	path_set_pace(r, path, pace_halved(r, path));
	rel_path_changed(r, path);
}

void release_ease(struct release *r, uint32_t provider, uint32_t source,
		  uint32_t batch, uint64_t wait_ns, const char *reason,
		  uint64_t now_ns)
{
	struct provider *p;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	release_now(r, now_ns);
	for (uint32_t n = 0; n < r->provider_end; n++) {
		p = rel_provider_at(r, provider == RELEASE_NONE ? n : provider);
		for (uint32_t i = 0; p != NULL && i < p->path_count; i++) {
			struct path *path = p->paths[i];
			if (source == RELEASE_NONE)
				ease_path(r, path, path->batch, wait_ns,
					  reason);
			else if (source == path->source)
				ease_path(r, path, batch, wait_ns, reason);
		}
		if (provider != RELEASE_NONE)
			return;
	}
}
