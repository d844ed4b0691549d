/* SPDX-License-Identifier: BSD-2-Clause
 *
 * place.c - a recipient changes its state: list and counts follow.
 *
 * Called by everything that changes a recipient. Role: queue. Bound: O(1) but
 * for a new minute of deferred mail (a search among the domain's minutes).
 * Errors: -ENOMEM where a bucket or list has to be made; nothing is changed
 * then.
 *
 * Every recipient that is to be sent is in exactly one list: its domain's
 * waiting, held or deferred ones, those in flight, those parked for a source;
 * one that needs a decision, is being exported, or has failed or expired, is in
 * none.
 */
#include <errno.h>

#include "queue_priv.h"

static void tally_one(struct tally *t, uint8_t from, uint8_t to, bool stopped)
{
	if (from != 0) {
		sluice_assert(t->by_state[from] > 0);
		t->by_state[from]--;
	}
	if (to != 0)
		t->by_state[to]++;
	if (stopped && from == RCPT_WAITING)
		t->waiting_stopped--;
	if (stopped && to == RCPT_WAITING)
		t->waiting_stopped++;
}

void queue_tally_move(struct queue *q, const struct queue_domain *d,
		      uint8_t from, uint8_t to)
{
	struct queue_provider *p = queue_provider_at(q, d->provider);
	bool stopped = d->holds > 0;

	tally_one(&((struct queue_domain *)d)->tally, from, to, stopped);
	tally_one(&q->tally, from, to, stopped);
	if (p != NULL)
		tally_one(&p->tally, from, to, stopped);
}

void queue_domain_dirty(struct queue *q, struct queue_domain *d)
{
	if (d->dirty)
		return;
	sluice_assert(q->dirty_count < q->dirty_room);
	d->dirty = true;
	q->dirty[q->dirty_count++] = d->number;
}

static void flow_tell(struct queue *q, struct queue_domain *d, bool live)
{
	struct queue_flow *f = &d->flows[live];
	uint32_t waiting = d->holds > 0 ? 0 : f->ready;

	if (f->told == waiting)
		return;
	f->told = waiting;
	if (q->ops.domain_waiting != NULL)
		q->ops.domain_waiting(q->user, d->number, live, waiting);
}

/* Once per public call, when all lists are in order again: the owner may call
 * back. */
void queue_tell_waiting(struct queue *q)
{
	while (q->dirty_count > 0) {
		struct queue_domain *d =
			queue_domain_at(q, q->dirty[--q->dirty_count]);
		d->dirty = false;
		flow_tell(q, d, false);
		flow_tell(q, d, true);
	}
}

/* Takes the recipient out of its list; its state is void afterwards. */
void queue_place_remove(struct queue *q, uint32_t n)
{
	struct node *node = queue_node(q, n);
	struct queue_domain *d = queue_domain_at(q, node->domain);

	sluice_assert(!rcpt_state_is_done(node->state));
	queue_list_remove(q, n);
	if (node->state == RCPT_WAITING && !(node->marks & MARK_PARKED)) {
		struct queue_flow *f = queue_flow_of(q, d, n);
		sluice_assert(f->ready > 0);
		f->ready--;
		queue_domain_dirty(q, d);
	}
	queue_lifetime_resume(q, node);
	node->marks &= (uint8_t)~MARK_PARKED;
	queue_tally_move(q, d, node->state, 0);
	node->state = 0;
	node->time_s = 0;
}

static void place_enter(struct queue *q, uint32_t n, uint8_t state,
			uint32_t time_s)
{
	struct node *node = queue_node(q, n);

	sluice_assert(node->state == 0);
	node->state = state;
	node->time_s = time_s;
	queue_tally_move(q, queue_domain_at(q, node->domain), 0, state);
}

void queue_place_settle(struct queue *q, uint32_t n, bool front)
{
	struct node *node = queue_node(q, n);
	struct queue_domain *d = queue_domain_at(q, node->domain);
	struct message *m = queue_message(q, node->message);
	struct queue_flow *f = queue_flow_of(q, d, n);

	if (node->state != 0)
		queue_place_remove(q, n);
	node->marks &= (uint8_t)~MARK_STANDING;
	if (q->rcpt_holds > 0 && queue_hold_matches(q, n))
		node->marks |= MARK_STANDING;
	if (node->marks & (MARK_CUSTODY | MARK_STANDING)) {
		place_enter(q, n, RCPT_HELD, q->now_s);
		queue_list_append(q, d->held, n);
		return;
	}
	place_enter(q, n, RCPT_WAITING, 0);
	if (m->first_release_s == 0)
		m->first_release_s = q->now_s;
	f->ready++;
	queue_domain_dirty(q, d);
	if (front)
		queue_list_prepend(q, f->front, n);
	else
		queue_order_insert(q, d, n);
}

int queue_place_deferred(struct queue *q, uint32_t n, uint32_t due_s)
{
	struct queue_domain *d = queue_domain_at(q, queue_node(q, n)->domain);
	uint32_t sentinel;
	int res = queue_defer_room(q, d, due_s, &sentinel);

	if (res != 0)
		return res;
	if (queue_node(q, n)->state != 0)
		queue_place_remove(q, n);
	place_enter(q, n, RCPT_DEFERRED, due_s);
	queue_list_append(q, sentinel, n);
	return 0;
}

void queue_place_in_flight(struct queue *q, uint32_t n, uint32_t when_s)
{
	if (queue_node(q, n)->state != 0)
		queue_place_remove(q, n);
	place_enter(q, n, RCPT_IN_FLIGHT, when_s);
	queue_list_append(q, q->in_flight, n);
}

void queue_place_needs_decision(struct queue *q, uint32_t n)
{
	if (queue_node(q, n)->state != 0)
		queue_place_remove(q, n);
	place_enter(q, n, RCPT_NEEDS_DECISION, 0);
}

static struct park_list *park_find(struct queue *q, uint32_t provider,
				   uint32_t source)
{
	for (uint32_t i = 0; i < q->park_count; i++) {
		if (q->parks[i].provider == provider &&
		    q->parks[i].source == source)
			return &q->parks[i];
	}
	return NULL;
}

static struct park_list *park_make(struct queue *q, uint32_t provider,
				   uint32_t source)
{
	uint32_t sentinel;

	if (!queue_array_room(q, &q->parks, &q->park_room, q->park_count + 1,
			      sizeof(*q->parks)))
		return NULL;
	sentinel = queue_list_create(q);
	if (sentinel == NODE_NONE)
		return NULL;
	q->parks[q->park_count] =
		(struct park_list){provider, source, sentinel};
	return &q->parks[q->park_count++];
}

int queue_place_parked(struct queue *q, uint32_t n, uint32_t source)
{
	struct node *node = queue_node(q, n);
	uint32_t provider = queue_domain_at(q, node->domain)->provider;
	struct park_list *list = park_find(q, provider, source);

	sluice_assert(node->state == RCPT_WAITING);
	if (list == NULL)
		list = park_make(q, provider, source);
	if (list == NULL)
		return -ENOMEM;
	queue_place_remove(q, n);
	place_enter(q, n, RCPT_WAITING, q->now_s);
	node->marks |= MARK_PARKED;
	queue_list_append(q, list->sentinel, n);
	return 0;
}

static void message_free(struct queue *q, uint32_t slot)
{
	struct message *m = queue_message(q, slot);
	struct spool_place place = {m->segment, m->record_bytes_div8,
				    m->offset};
	uint64_t id = m->id;

	queue_index_clear(q, id);
	queue_digest_remove(q, slot);
	queue_run_free(q, m->first, m->rcpt_count);
	m->id = 0;
	m->first = q->message_free;
	q->message_free = slot;
	q->tally.messages--;
	if (q->ops.message_done != NULL)
		q->ops.message_done(q->user, id, &place);
}

/* Out of the count of what failed or expired; its state is void afterwards. */
static void kept_leave(struct queue *q, uint32_t n)
{
	struct node *node = queue_node(q, n);

	queue_tally_move(q, queue_domain_at(q, node->domain), node->state, 0);
	node->state = 0;
	node->time_s = 0;
}

int queue_place_exporting(struct queue *q, uint32_t n)
{
	struct node *node = queue_node(q, n);
	struct queue_domain *d = queue_domain_at(q, node->domain);
	uint32_t arrival_s = queue_message(q, node->message)->arrival_s;
	int res = 0;

	if (rcpt_state_is_kept(node->state)) {
		res = queue_oldest_add(q, d, arrival_s);
		if (res != 0)
			return res;
		kept_leave(q, n);
	} else if (node->state != 0) {
		queue_place_remove(q, n);
	}
	place_enter(q, n, RCPT_EXPORTING, 0);
	return 0;
}

int queue_place_revive(struct queue *q, uint32_t n)
{
	struct node *node = queue_node(q, n);
	struct message *m = queue_message(q, node->message);
	int res = queue_oldest_add(q, queue_domain_at(q, node->domain),
				   m->arrival_s);

	sluice_assert(rcpt_state_is_kept(node->state));
	if (res != 0)
		return res;
	kept_leave(q, n);
	node->attempts = 0;
	m->first_release_s = 0;
	m->released = 0;
	m->paused_s = 0;
	m->paused_until_s = 0;
	queue_place_settle(q, n, false);
	return 0;
}

bool queue_place_done(struct queue *q, uint32_t n, uint8_t state)
{
	struct node *node = queue_node(q, n);
	struct queue_domain *d = queue_domain_at(q, node->domain);
	uint32_t slot = node->message;
	struct message *m = queue_message(q, slot);

	sluice_assert(m->remaining > 0 && rcpt_state_is_done(state));
	if (rcpt_state_is_kept(node->state)) {
		kept_leave(q, n);
	} else {
		queue_place_remove(q, n);
		queue_oldest_remove(d, m->arrival_s);
	}
	place_enter(q, n, state, 0);
	node->marks &= MARK_REROUTED;
	if (rcpt_state_is_kept(state))
		return false;
	m->remaining--;
	if (m->remaining > 0)
		return false;
	message_free(q, slot);
	return true;
}
