/* SPDX-License-Identifier: BSD-2-Clause
 *
 * gate.c - open, stopped, probing, closed: may something send at all?
 *
 * Called by the reflex, by grants and by the turn of a provider. Owner's
 * thread. Bound: O(1) each. Errors: none.
 *
 * A stop ends by a timer of the wheel; then PROBING. Probes that the engine
 * judges itself go ONE at a time; those that control asked for (a budget)
 * wait for control's next grant.
 */
#include "release_priv.h"

void rel_gate_init(struct gate *g, enum timer_kind kind)
{
	*g = (struct gate){.state = PATH_OPEN, .reason = ""};
	rel_timer_init(&g->timer, kind);
}

bool rel_gate_may_send(const struct gate *g)
{
	if (g->state == PATH_PROBING)
		return g->budget > 0;
	return g->state == PATH_OPEN;
}

void rel_gate_open(struct release *r, struct gate *g, const char *reason)
{
	wheel_cancel(&r->wheel, &g->timer.entry);
	g->state = PATH_OPEN;
	g->not_before_ns = 0;
	g->unjudged = 0;
	g->reason = reason;
}

void rel_gate_probe(struct release *r, struct gate *g, uint32_t budget,
		    bool self_judged, const char *reason)
{
	sluice_assert(budget > 0);
	wheel_cancel(&r->wheel, &g->timer.entry);
	g->state = PATH_PROBING;
	g->self_judged = self_judged;
	g->budget = budget;
	g->probes_out = 0;
	g->unjudged = 0;
	g->not_before_ns = 0;
	g->reason = reason;
}

/* wait_ns CLOCK_NEVER_NS: until somebody says otherwise. */
void rel_gate_stop(struct release *r, struct gate *g, uint64_t wait_ns,
		   const char *reason)
{
	g->state = PATH_STOPPED;
	g->wait_ns = wait_ns;
	g->reason = reason;
	wheel_cancel(&r->wheel, &g->timer.entry);
	if (wait_ns >= CLOCK_NEVER_NS - r->now_ns) {
		g->not_before_ns = CLOCK_NEVER_NS;
		return;
	}
	g->not_before_ns = r->now_ns + wait_ns;
	wheel_insert(&r->wheel, &g->timer.entry, g->not_before_ns);
}

static uint64_t doubled_wait_ns(uint32_t blocks)
{
	uint64_t wait_ns = RELEASE_BLOCK_FIRST_NS;

	while (blocks-- > 0 && wait_ns < RELEASE_BLOCK_MAX_NS)
		wait_ns *= 2;
	return wait_ns < RELEASE_BLOCK_MAX_NS ? wait_ns : RELEASE_BLOCK_MAX_NS;
}

/* A refusal that comes while the stop already runs speaks of mail that was
 * under way: it never doubles, but may tell of a longer wait. */
static void gate_block_again(struct release *r, struct gate *g,
			     uint64_t wait_ns, bool from_last,
			     const char *reason)
{
	uint64_t restart_ns = wait_ns > 0 ? wait_ns : g->wait_ns;

	if (wait_ns == 0 && !from_last)
		return;
	if (from_last && g->wait_ns > restart_ns)
		restart_ns = g->wait_ns;
	if (g->not_before_ns == CLOCK_NEVER_NS ||
	    restart_ns + r->now_ns <= g->not_before_ns)
		return;
	rel_gate_stop(r, g, restart_ns, reason);
}

bool rel_gate_block(struct release *r, struct gate *g, uint64_t wait_ns,
		    bool from_last, const char *reason)
{
	if (g->state == PATH_CLOSED)
		return false;
	if (g->state == PATH_STOPPED) {
		gate_block_again(r, g, wait_ns, from_last, reason);
		return false;
	}
	if (wait_ns == 0)
		wait_ns = doubled_wait_ns(g->blocks);
	if (g->blocks < UINT32_MAX)
		g->blocks++;
	rel_gate_stop(r, g, wait_ns, reason);
	return true;
}

void rel_gate_probe_sent(struct gate *g)
{
	if (g->state != PATH_PROBING)
		return;
	sluice_assert(g->budget > 0);
	g->budget--;
	g->probes_out++;
}

void rel_gate_probe_unsent(struct gate *g)
{
	if (g->state != PATH_PROBING || g->probes_out == 0)
		return;
	g->budget++;
	g->probes_out--;
}

bool rel_gate_judge(struct release *r, struct gate *g, bool accepted)
{
	if (g->state != PATH_PROBING || g->probes_out == 0)
		return false;
	g->probes_out--;
	if (!g->self_judged)
		return false;
	if (accepted) {
		rel_gate_open(r, g, "a probe was accepted");
		return true;
	}
	if (++g->unjudged >= RELEASE_PROBES_MAX)
		return rel_gate_block(r, g, 0, false,
				      "no probe of several was accepted");
	g->budget = 1;
	return true;
}
