/* SPDX-License-Identifier: BSD-2-Clause
 *
 * model_ops.h - random operations, done to the queue and to the array.
 */
#ifndef SLUICE_TEST_QUEUE_MODEL_OPS_H
#define SLUICE_TEST_QUEUE_MODEL_OPS_H

#include "model.h"

static void op_store(struct model *w)
{
	struct model_message *m = &w->m[w->count];
	const char *domains[RCPTS_MAX];
	struct fixture_message s = {.domains = domains};

	if (w->count == MESSAGES_MAX)
		return;
	*m = (struct model_message){.rcpts = 1 + rnd(w, RCPTS_MAX)};
	if (rnd(w, 2))
		m->rcpts = 1;
	m->arrival_s = w->f->now_s - rnd(w, 5000);
	m->bytes = 100 + rnd(w, 100000);
	m->sender = rnd(w, 3);
	s.flags = rnd(w, 3) ? 0 : SPOOL_TAKEN;
	for (uint32_t i = 0; i < m->rcpts; i++) {
		uint32_t d = rnd(w, DOMAINS);
		domains[i] = names[d];
		m->rcpt[i].domain = d;
		m->rcpt[i].custody = s.flags != 0;
	}
	s.arrival_s = m->arrival_s;
	s.content_bytes = m->bytes;
	s.sender = senders[m->sender];
	s.count = m->rcpts;
	m->id = fixture_store(w->f, &s);
	w->count++;
	for (uint32_t i = 0; i < m->rcpts; i++) {
		uint32_t d = m->rcpt[i].domain;
		w->number[d] = queue_domain_find(w->f->q, names[d]);
		if (w->provider[d] == QUEUE_NONE)
			w->provider[d] =
				queue_domain_provider(w->f->q, w->number[d]);
		settle(w, m, i);
	}
}

static void check_head(struct model *w, uint32_t d, const struct queue_taken *t)
{
	struct model_message *m = first(w, d);

	assert_non_null(m);
	assert_int_equal(t->id, m->id);
}

static void op_take(struct model *w)
{
	static struct queue_taken t;
	uint32_t d = rnd(w, DOMAINS), expected = 0, pinned;
	struct queue_head h;
	struct model_message *m;

	if (w->provider[d] == QUEUE_NONE)
		return;
	if (is_stopped(w, d) || first(w, d) == NULL) {
		assert_false(queue_head(w->f->q, w->number[d], false, &h));
		assert_int_equal(queue_take(w->f->q, w->number[d], false,
					    w->f->now_s, &t),
				 -ENOENT);
		return;
	}
	assert_true(queue_head(w->f->q, w->number[d], false, &h));
	assert_int_equal(
		queue_take(w->f->q, w->number[d], false, w->f->now_s, &t), 0);
	assert_int_equal(h.id, t.id);
	assert_int_equal(h.recipients, t.rcpt_count);
	check_head(w, d, &t);
	m = find(w, t.id);
	pinned = m->rcpt[t.rcpts[0]].pinned;
	assert_int_equal(h.pinned_source, pinned ? pinned - 1 : QUEUE_NONE);
	for (uint32_t i = 0; i < m->rcpts; i++)
		expected += m->rcpt[i].state == RCPT_WAITING &&
			    !m->rcpt[i].parked && m->rcpt[i].pinned == pinned &&
			    w->provider[m->rcpt[i].domain] == w->provider[d] &&
			    !is_stopped(w, m->rcpt[i].domain);
	assert_int_equal(t.rcpt_count, expected);
	for (uint32_t i = 0; i < t.rcpt_count; i++) {
		assert_int_equal(m->rcpt[t.rcpts[i]].state, RCPT_WAITING);
		m->rcpt[t.rcpts[i]].state = RCPT_IN_FLIGHT;
		m->rcpt[t.rcpts[i]].fronted = 0;
	}
}

/* A random recipient of a random message; false if there is none. */
static bool pick(struct model *w, uint32_t *k, uint32_t *i)
{
	if (w->count == 0)
		return false;
	*k = rnd(w, w->count);
	*i = rnd(w, w->m[*k].rcpts);
	return true;
}

static void op_outcome(struct model *w)
{
	static const uint8_t states[] = {
		RCPT_WAITING,   RCPT_DEFERRED,  RCPT_DEFERRED,
		RCPT_DEFERRED,  RCPT_HELD,      RCPT_NEEDS_DECISION,
		RCPT_DELIVERED, RCPT_DELIVERED, RCPT_FAILED};
	struct spool_outcome o = {.when_s = w->f->now_s};
	struct model_rcpt *r;
	uint32_t k, i;

	if (!pick(w, &k, &i))
		return;
	r = &w->m[k].rcpt[i];
	o.id = w->m[k].id;
	o.rcpt = i;
	o.state = states[rnd(w, sizeof(states))];
	o.due_s = w->f->now_s + rnd(w, 600);
	o.attempts = (uint8_t)(r->attempts + 1);
	o.source = (uint16_t)(rnd(w, 4) ? 0 : 1 + rnd(w, 3));
	assert_int_equal(queue_apply_outcome(w->f->q, &o), 0);
	if (rcpt_state_is_kept(r->state) && rcpt_state_is_done(o.state) &&
	    !rcpt_state_is_kept(o.state)) {
		w->done[r->state]--;
		r->state = o.state;
		w->done[o.state]++;
		drop_if_done(w, k);
		return;
	}
	if (rcpt_state_is_done(r->state))
		return;
	r->attempts = o.attempts;
	r->pinned = o.source;
	r->parked = false;
	r->fronted = 0;
	r->custody |= o.state == RCPT_HELD;
	r->custody &= !rcpt_state_is_done(o.state);
	if (o.state == RCPT_WAITING || o.state == RCPT_HELD ||
	    (o.state == RCPT_DEFERRED && r->custody)) {
		settle(w, &w->m[k], i);
		return;
	}
	r->state = o.state;
	r->due_s = o.state == RCPT_DEFERRED ? o.due_s : 0;
	if (!rcpt_state_is_done(o.state))
		return;
	w->done[o.state]++;
	drop_if_done(w, k);
}

static void op_put_back(struct model *w)
{
	struct model_rcpt *r;
	uint32_t k, i;

	if (!pick(w, &k, &i))
		return;
	r = &w->m[k].rcpt[i];
	if (r->state != RCPT_IN_FLIGHT) {
		assert_int_equal(queue_put_back(w->f->q, w->m[k].id, i),
				 -ENOENT);
		return;
	}
	assert_int_equal(queue_put_back(w->f->q, w->m[k].id, i), 0);
	settle(w, &w->m[k], i);
	r->fronted = r->state == RCPT_WAITING ? ++w->put_backs : 0;
}

static void set_model(struct model *w, struct model_message *m, uint32_t i,
		      enum spool_set_kind kind)
{
	struct model_rcpt *r = &m->rcpt[i];

	if (rcpt_state_is_kept(r->state) && kind == SPOOL_SET_REQUEUED) {
		w->done[r->state]--;
		r->attempts = 0;
		r->pinned = 0;
		r->custody = false;
		settle(w, m, i);
		return;
	}
	if (rcpt_state_is_kept(r->state) && kind == SPOOL_SET_PURGED)
		w->done[r->state]--;
	else if (rcpt_state_is_done(r->state))
		return;
	if (kind == SPOOL_SET_RELEASED) {
		r->custody = false;
		if (r->state == RCPT_HELD)
			settle(w, m, i);
	} else if (kind == SPOOL_SET_HELD) {
		r->custody = true;
		if (r->state == RCPT_WAITING || r->state == RCPT_DEFERRED ||
		    r->state == RCPT_NEEDS_DECISION)
			settle(w, m, i);
	} else if (kind == SPOOL_SET_PURGED) {
		r->state = RCPT_PURGED;
		r->parked = false;
		r->due_s = 0;
		w->done[RCPT_PURGED]++;
	} else {
		r->pinned = 0;
		if (r->state == RCPT_DEFERRED ||
		    r->state == RCPT_NEEDS_DECISION)
			settle(w, m, i);
	}
}

static void op_set(struct model *w)
{
	enum spool_set_kind kind = SPOOL_SET_RELEASED;
	uint32_t k, i, run = rnd(w, 3) ? 0 : 1 + rnd(w, 5);
	uint64_t id;

	if (!pick(w, &k, &i))
		return;
	if (rnd(w, 2))
		kind += (enum spool_set_kind)rnd(w, 4);
	if (kind == SPOOL_SET_PURGED && rnd(w, 3))
		kind = SPOOL_SET_RELEASED;
	id = w->m[k].id;
	fixture_set(w->f, kind, id, run, i);
	for (k = w->count; k-- > 0;) {
		struct model_message *m = &w->m[k];
		if (run == 0 ? m->id != id : m->id < id || m->id >= id + run)
			continue;
		for (uint32_t j = 0; j < m->rcpts; j++) {
			if (run > 0 || j == i)
				set_model(w, m, j, kind);
		}
		drop_if_done(w, k);
	}
}

static struct selection *hold_selection(const struct model_hold *h)
{
	char json[128];

	switch (h->kind) {
	case HOLD_ALL:
		return fixture_selection("{\"all\":true}");
	case HOLD_PROVIDER:
		snprintf(json, sizeof(json), "{\"provider\":[\"p%u\"]}",
			 h->what);
		break;
	case HOLD_DOMAIN:
		snprintf(json, sizeof(json), "{\"domain\":[\"%s\"]}",
			 names[h->what]);
		break;
	case HOLD_SENDER:
		snprintf(json, sizeof(json), "{\"sender_domain\":[\"%s\"]}",
			 senders[h->what]);
		break;
	case HOLD_LARGE:
		return fixture_selection("{\"larger\":\"51200\"}");
	default:
		snprintf(json, sizeof(json), "{\"recipient\":[\"u%u@%s\"]}",
			 h->rcpt, names[h->what]);
		break;
	}
	return fixture_selection(json);
}

static void op_hold(struct model *w)
{
	struct model_hold h = {.number = w->hold_next};
	uint32_t gone;

	if (w->hold_count > 0 && rnd(w, 2)) {
		gone = rnd(w, w->hold_count);
		assert_int_equal(
			queue_hold_remove(w->f->q, w->hold[gone].number), 0);
		w->hold[gone] = w->hold[--w->hold_count];
		review(w);
		return;
	}
	if (w->hold_count == HOLDS_MAX)
		return;
	h.kind = rnd(w, HOLD_KINDS);
	if (h.kind == HOLD_ALL && rnd(w, 3))
		h.kind = HOLD_SENDER;
	h.what = rnd(w, h.kind == HOLD_PROVIDER ? PROVIDERS
			: h.kind == HOLD_SENDER ? 3
						: DOMAINS);
	if (h.kind == HOLD_LARGE)
		h.what = 51200;
	h.rcpt = rnd(w, RCPTS_MAX);
	assert_int_equal(queue_hold_add(w->f->q, h.number, hold_selection(&h),
					"test", w->f->now_s),
			 0);
	w->hold[w->hold_count++] = h;
	w->hold_next++;
	review(w);
}

static void op_provider(struct model *w)
{
	uint32_t d = rnd(w, DOMAINS), p = rnd(w, PROVIDERS);
	uint32_t before = w->provider[d];

	if (before == QUEUE_NONE)
		return;
	queue_domain_provider_set(w->f->q, w->number[d], p);
	w->provider[d] = p;
	for (uint32_t k = 0; k < w->count && before != p; k++) {
		for (uint32_t i = 0; i < w->m[k].rcpts; i++) {
			struct model_rcpt *r = &w->m[k].rcpt[i];
			if (r->domain == d && r->parked)
				settle(w, &w->m[k], i);
		}
	}
}

static void op_order(struct model *w)
{
	uint32_t p = rnd(w, PROVIDERS);
	char name[16];

	w->order[p] = (uint8_t)rnd(w, 3);
	snprintf(name, sizeof(name), "p%u", p);
	assert_int_equal(queue_provider_set(w->f->q, p, name, w->order[p], 100),
			 0);
}

static void op_park(struct model *w)
{
	uint32_t d = rnd(w, DOMAINS), source = rnd(w, 3);
	struct model_rcpt *best = NULL;
	struct queue_head h;
	struct model_message *m;

	if (w->provider[d] == QUEUE_NONE ||
	    !queue_head(w->f->q, w->number[d], false, &h))
		return;
	m = find(w, h.id);
	assert_int_equal(queue_park(w->f->q, w->number[d], false, source), 0);
	/* of this message in this domain: the one put back last, else the
	 * first one went aside */
	for (uint32_t i = 0; i < m->rcpts; i++) {
		struct model_rcpt *r = &m->rcpt[i];
		if (may_go(r, d) &&
		    (best == NULL || r->fronted > best->fronted))
			best = r;
	}
	assert_non_null(best);
	best->parked = true;
	best->fronted = 0;
}

static void op_unpark(struct model *w)
{
	for (uint32_t s = 0; s < 3; s++)
		queue_unpark(w->f->q, s);
	for (uint32_t k = 0; k < w->count; k++) {
		for (uint32_t i = 0; i < w->m[k].rcpts; i++) {
			if (w->m[k].rcpt[i].parked)
				settle(w, &w->m[k], i);
		}
	}
}

/* Deferred ones come back exactly when due (within two minutes: to the second,
 * else to the minute, never early). */
static void check_due(void *user, const struct queue_entry *e)
{
	struct model *w = user;
	struct model_message *m = find(w, e->id);
	struct model_rcpt *r = &m->rcpt[e->rcpt];

	if (r->state != RCPT_DEFERRED || e->state == RCPT_DEFERRED) {
		if (r->state == RCPT_DEFERRED)
			assert_true(w->f->now_s < r->due_s + 60);
		return;
	}
	assert_true(w->f->now_s >= r->due_s);
	settle(w, m, e->rcpt);
}

static void op_time(struct model *w)
{
	w->f->now_s += rnd(w, 90);
	queue_tick(w->f->q, w->f->now_s);
	for (uint32_t k = 0; k < w->count; k++)
		queue_find(w->f->q, w->m[k].id, check_due, w);
}

#endif
