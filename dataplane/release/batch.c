/* SPDX-License-Identifier: BSD-2-Clause
 *
 * batch.c - which messages of a path are judged together.
 *
 * Called when a message is about to go. Owner's thread. Bound: O(1).
 * A batch ends when it is full (pace x interval, at least 1, at most the
 * configured number), when its interval is over, or when the path's state or
 * pace changed: what was sent under one pace is judged apart from the next.
 */
#include "release_priv.h"

static uint32_t batch_size(const struct path *path)
{
	const struct provider *p = path->provider;
	uint64_t size = pace_count_in(path->bucket.pace, p->batch_interval_ns);

	if (size > p->batch_max)
		size = p->batch_max;
	return size > 0 ? (uint32_t)size : 1;
}

/* The number that the next message of the path carries. */
uint32_t rel_batch_next(const struct release *r, const struct path *path)
{
	uint64_t age_ns = r->now_ns - path->batch_start_ns;

	if (path->batch == 0 || path->batch_close ||
	    path->batch_released >= batch_size(path) ||
	    age_ns >= path->provider->batch_interval_ns)
		return path->batch + 1;
	return path->batch;
}

void rel_batch_count(struct release *r, struct path *path, uint32_t number)
{
	if (number != path->batch) {
		path->batch = number;
		path->batch_released = 0;
		path->batch_start_ns = r->now_ns;
		path->batch_close = false;
	}
	path->batch_released++;
	path->released++;
}

/* What an unlimited path really did in this batch: something to halve. */
struct pace rel_batch_observed_pace(const struct release *r,
				    const struct path *path)
{
	uint64_t age_ns = r->now_ns - path->batch_start_ns;

	if (path->batch_released == 0)
		return (struct pace){1, NS_PER_S};
	return (struct pace){path->batch_released,
			     age_ns > NS_PER_S ? age_ns : NS_PER_S};
}
