/* SPDX-License-Identifier: BSD-2-Clause
 *
 * model.h - the queue as a plain array, and what it thinks.
 */
#ifndef SLUICE_TEST_QUEUE_MODEL_H
#define SLUICE_TEST_QUEUE_MODEL_H

#include "queue_fixture.h"

#define DOMAINS      12
#define PROVIDERS    4
#define MESSAGES_MAX 300
#define RCPTS_MAX    6
#define HOLDS_MAX    5

struct model_rcpt {
	uint8_t state; /* as placed: HELD only if custody or standing */
	uint8_t attempts;
	uint16_t pinned;
	uint32_t domain; /* index into names */
	uint32_t due_s;
	bool custody, parked;
	uint32_t fronted; /* when it was put back to the front; 0 = not */
};

struct model_message {
	uint64_t id;
	uint32_t arrival_s, bytes, rcpts;
	uint32_t sender;
	struct model_rcpt rcpt[RCPTS_MAX];
};

struct model_hold {
	uint32_t number;
	enum {
		HOLD_ALL,
		HOLD_PROVIDER,
		HOLD_DOMAIN,
		HOLD_SENDER,
		HOLD_LARGE,
		HOLD_RCPT,
		HOLD_KINDS
	} kind;
	uint32_t what, rcpt;
};

struct model {
	struct fixture *f;
	uint64_t seed;
	uint32_t put_backs;
	uint32_t count;
	struct model_message m[MESSAGES_MAX];
	uint32_t provider[DOMAINS]; /* QUEUE_NONE = domain not seen */
	uint32_t number[DOMAINS];
	uint8_t order[PROVIDERS];
	uint32_t hold_count, hold_next;
	struct model_hold hold[HOLDS_MAX];
	uint64_t done[RCPT_EXPORTED + 1];
};

static const char *const names[DOMAINS] = {
	"d0.test", "d1.test", "d2.test", "d3.test", "d4.test",  "d5.test",
	"d6.test", "d7.test", "d8.test", "d9.test", "d10.test", "d11.test"};
static const char *const senders[3] = {"sa.test", "sb.test", "sc.test"};

static uint32_t rnd(struct model *w, uint32_t n)
{
	w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((w->seed >> 33) % n);
}

static bool is_scope(const struct model_hold *h)
{
	return h->kind <= HOLD_DOMAIN;
}

static bool hold_hits(const struct model *w, const struct model_hold *h,
		      const struct model_message *m, uint32_t i)
{
	const struct model_rcpt *r = &m->rcpt[i];

	switch (h->kind) {
	case HOLD_ALL:
		return true;
	case HOLD_PROVIDER:
		return w->provider[r->domain] == h->what;
	case HOLD_DOMAIN:
		return r->domain == h->what;
	case HOLD_SENDER:
		return m->sender == h->what;
	case HOLD_LARGE:
		return m->bytes > h->what;
	case HOLD_RCPT:
		return r->domain == h->what && i == h->rcpt;
	default:
		return false;
	}
}

static bool is_stopped(const struct model *w, uint32_t domain)
{
	struct model_message m = {.rcpt = {{.domain = domain}}};

	for (uint32_t i = 0; i < w->hold_count; i++) {
		if (is_scope(&w->hold[i]) && hold_hits(w, &w->hold[i], &m, 0))
			return true;
	}
	return false;
}

static bool is_standing(const struct model *w, const struct model_message *m,
			uint32_t i)
{
	for (uint32_t h = 0; h < w->hold_count; h++) {
		if (!is_scope(&w->hold[h]) && hold_hits(w, &w->hold[h], m, i))
			return true;
	}
	return false;
}

static void settle(struct model *w, struct model_message *m, uint32_t i)
{
	struct model_rcpt *r = &m->rcpt[i];

	r->parked = false;
	r->fronted = 0;
	r->due_s = 0;
	r->state =
		r->custody || is_standing(w, m, i) ? RCPT_HELD : RCPT_WAITING;
}

/* A hold came or went. */
static void review(struct model *w)
{
	for (uint32_t k = 0; k < w->count; k++) {
		struct model_message *m = &w->m[k];
		for (uint32_t i = 0; i < m->rcpts; i++) {
			struct model_rcpt *r = &m->rcpt[i];
			bool held = is_standing(w, m, i);
			if (r->state == RCPT_WAITING && held)
				settle(w, m, i);
			if (r->state == RCPT_HELD && !r->custody && !held)
				settle(w, m, i);
		}
	}
}

static void drop_if_done(struct model *w, uint32_t k)
{
	for (uint32_t i = 0; i < w->m[k].rcpts; i++) {
		uint8_t state = w->m[k].rcpt[i].state;
		if (!rcpt_state_is_done(state) || rcpt_state_is_kept(state))
			return;
	}
	w->m[k] = w->m[--w->count];
}

static struct model_message *find(struct model *w, uint64_t id)
{
	for (uint32_t k = 0; k < w->count; k++) {
		if (w->m[k].id == id)
			return &w->m[k];
	}
	return NULL;
}

static uint64_t key(const struct model *w, const struct model_message *m,
		    uint32_t domain)
{
	uint8_t order = w->order[w->provider[domain]];

	if (order == ORDER_NEWEST)
		return UINT32_MAX - m->arrival_s;
	return order == ORDER_SMALLEST ? m->bytes : m->arrival_s;
}

static bool may_go(const struct model_rcpt *r, uint32_t domain)
{
	return r->domain == domain && r->state == RCPT_WAITING && !r->parked;
}

/* What was put back last, else the first in order. */
static struct model_message *first(struct model *w, uint32_t domain)
{
	struct model_message *best = NULL;
	uint32_t fronted = 0;
	for (uint32_t k = 0; k < w->count; k++) {
		struct model_message *m = &w->m[k];
		for (uint32_t i = 0; i < m->rcpts; i++) {
			if (!may_go(&m->rcpt[i], domain))
				continue;
			if (m->rcpt[i].fronted < fronted)
				continue;
			if (m->rcpt[i].fronted > fronted) {
				fronted = m->rcpt[i].fronted;
				best = m;
				continue;
			}
			if (best == NULL ||
			    key(w, m, domain) < key(w, best, domain) ||
			    (key(w, m, domain) == key(w, best, domain) &&
			     m->id < best->id))
				best = m;
		}
	}
	return best;
}

#endif
