/* SPDX-License-Identifier: BSD-2-Clause
 *
 * schedule.c - which message a session sends next, and when.
 *
 * With a rate, message N is due at N / rate, whether or not a session is free
 * for it: what waits for one counts as latency. Sessions without work idle
 * until the next message is due.
 * Called by the dialogue and the loop. Thread: the loop's.
 * Bound: each turn of the timer looks at every session once.
 */
#include "load/load_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

static bool is_paced(const struct load *l)
{
	return l->options->rate.count != 0;
}

bool load_is_over(const struct load *l)
{
	return l->taken == l->options->messages;
}

bool load_turn_take(struct load_session *s, struct load_turn *turn)
{
	const struct load_options *o = s->load->options;
	struct load *l = s->load;
	uint64_t now_ns = clock_monotonic_ns();

	sluice_assert(!turn->busy);
	if (load_is_over(l) ||
	    (o->per_connection && s->done_here == o->per_connection))
		return false;
	turn->due_ns = now_ns;
	if (is_paced(l)) {
		uint64_t due_ns = pace_bucket_due_ns(&l->bucket);

		if (due_ns > now_ns)
			return false;
		turn->due_ns = due_ns;
		pace_bucket_spend(&l->bucket, now_ns, 1);
	}
	s->done_here++;
	turn->busy = true;
	turn->index = o->first_index + l->taken++;
	load_message_set(l, turn, s->offers);
	if (!l->first_ns)
		l->first_ns = now_ns;
	return true;
}

void load_session_idle(struct load_session *s)
{
	struct load *l = s->load;

	sluice_assert(is_paced(l) && !s->idle);
	s->idle = true;
	l->idle_count++;
	io_timer_set(l->io, &l->due_timer, pace_bucket_due_ns(&l->bucket));
}

/* Wakes a session for each message that is due; all of them after the last
 * one, to say QUIT. */
static void due(struct io_timer *t, uint64_t now_ns)
{
	struct load *l = t->user;

	l->progress_ns = now_ns;
	for (uint32_t i = 0; i < l->options->sessions && l->idle_count; i++) {
		struct load_session *s = &l->sessions[i];

		if (!s->idle)
			continue;
		if (!load_is_over(l) && pace_bucket_due_ns(&l->bucket) > now_ns)
			break;
		s->idle = false;
		l->idle_count--;
		load_session_next(s);
	}
	if (l->idle_count)
		io_timer_set(l->io, t,
			     load_is_over(l) ? now_ns
					     : pace_bucket_due_ns(&l->bucket));
}

void load_schedule_init(struct load *l)
{
	io_timer_init(&l->due_timer, due, l);
	/* Nothing is forgotten, however late the sessions are. */
	pace_bucket_init(&l->bucket, l->options->rate, clock_monotonic_ns(),
			 CLOCK_NEVER_NS);
}
