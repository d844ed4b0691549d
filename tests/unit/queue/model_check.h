/* SPDX-License-Identifier: BSD-2-Clause
 *
 * model_check.h - compares the queue with the naive array.
 */
#ifndef SLUICE_TEST_QUEUE_MODEL_CHECK_H
#define SLUICE_TEST_QUEUE_MODEL_CHECK_H

#include "model_ops.h"

static void check_entry(void *user, const struct queue_entry *e)
{
	struct model *w = user;
	struct model_message *m = find(w, e->id);
	const struct model_rcpt *r = &m->rcpt[e->rcpt];
	bool stopped = is_stopped(w, r->domain);
	uint8_t state = r->state;

	if (stopped && state == RCPT_WAITING)
		state = RCPT_HELD;
	assert_int_equal(e->state, state);
	assert_int_equal(e->attempts, r->attempts);
	assert_int_equal(e->domain, w->number[r->domain]);
	assert_int_equal(e->provider, w->provider[r->domain]);
	assert_int_equal(e->due_s, r->due_s);
	assert_int_equal(e->content_bytes, m->bytes);
	if (rcpt_state_is_done(state))
		return;
	assert_int_equal(e->custody_hold, r->custody);
	if (state == RCPT_HELD)
		assert_int_equal(e->standing_hold,
				 stopped || is_standing(w, m, e->rcpt));
}

static void add_counts(const struct model *w, const struct model_rcpt *r,
		       struct queue_counts *c)
{
	if (rcpt_state_is_done(r->state))
		return;
	c->recipients++;
	c->waiting += r->state == RCPT_WAITING && !is_stopped(w, r->domain);
	c->held += r->state == RCPT_HELD ||
		   (r->state == RCPT_WAITING && is_stopped(w, r->domain));
	c->deferred += r->state == RCPT_DEFERRED;
	c->needs_decision += r->state == RCPT_NEEDS_DECISION;
	c->in_flight += r->state == RCPT_IN_FLIGHT;
}

static void same_counts(const struct queue_counts *a,
			const struct queue_counts *b)
{
	assert_int_equal(a->recipients, b->recipients);
	assert_int_equal(a->waiting, b->waiting);
	assert_int_equal(a->held, b->held);
	assert_int_equal(a->deferred, b->deferred);
	assert_int_equal(a->needs_decision, b->needs_decision);
	assert_int_equal(a->in_flight, b->in_flight);
}

static void check_counts(struct model *w)
{
	struct queue_counts all = {0}, provider[PROVIDERS] = {{0}},
			    domain[DOMAINS] = {{0}}, got;
	uint32_t ready[DOMAINS] = {0};

	for (uint32_t k = 0; k < w->count; k++) {
		for (uint32_t i = 0; i < w->m[k].rcpts; i++) {
			const struct model_rcpt *r = &w->m[k].rcpt[i];
			add_counts(w, r, &all);
			add_counts(w, r, &provider[w->provider[r->domain]]);
			add_counts(w, r, &domain[r->domain]);
			ready[r->domain] += may_go(r, r->domain) &&
					    !is_stopped(w, r->domain);
		}
	}
	queue_counts(w->f->q, &got);
	same_counts(&got, &all);
	assert_int_equal(got.messages, w->count);
	assert_int_equal(got.delivered, w->done[RCPT_DELIVERED]);
	assert_int_equal(got.failed, w->done[RCPT_FAILED]);
	assert_int_equal(got.purged, w->done[RCPT_PURGED]);
	for (uint32_t p = 0; p < PROVIDERS; p++) {
		assert_int_equal(queue_provider_counts(w->f->q, p, &got), 0);
		same_counts(&got, &provider[p]);
	}
	for (uint32_t d = 0; d < DOMAINS; d++) {
		if (w->provider[d] == QUEUE_NONE)
			continue;
		assert_int_equal(
			queue_domain_counts(w->f->q, w->number[d], &got), 0);
		same_counts(&got, &domain[d]);
		assert_int_equal(w->f->waiting[w->number[d]], ready[d]);
	}
}

static void count_entry(void *user, const struct queue_entry *e)
{
	uint32_t *count = user;

	(void)e;
	(*count)++;
}

/* A walk in slices finds what a look at every recipient finds. */
static void check_walk(struct model *w)
{
	struct model_hold h = {.kind = rnd(w, HOLD_KINDS),
			       .what = rnd(w, 3),
			       .rcpt = rnd(w, RCPTS_MAX)};
	struct queue_cursor c = {0};
	struct selection *s;
	uint32_t got = 0, expected = 0;

	if (h.kind == HOLD_LARGE)
		h.what = 51200;
	s = hold_selection(&h);
	while (queue_walk(w->f->q, &c, s, w->f->now_s, 1 + rnd(w, 50),
			  count_entry, &got))
		;
	selection_destroy(&s);
	for (uint32_t k = 0; k < w->count; k++) {
		for (uint32_t i = 0; i < w->m[k].rcpts; i++)
			expected += hold_hits(w, &h, &w->m[k], i) &&
				    !rcpt_state_is_done(w->m[k].rcpt[i].state);
	}
	assert_int_equal(got, expected);
}

static void check_all(struct model *w)
{
	uint64_t id;

	for (uint32_t k = 0; k < w->count; k++) {
		assert_true(queue_find(w->f->q, w->m[k].id, check_entry, w));
		assert_true(queue_has_digest(
			w->f->q, w->m[k].id * 0x9e3779b97f4a7c15ULL, &id));
		assert_int_equal(id, w->m[k].id);
	}
	check_counts(w);
	check_walk(w);
}

#endif
