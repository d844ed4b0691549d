/* SPDX-License-Identifier: BSD-2-Clause
 *
 * message.c - what the spool and delivery tell of messages.
 *
 * Called by the spool's visitor at start, by intake and with outcomes; live
 * and replayed records are the same. Role: queue. Bound: O(recipients named).
 * Errors: -ENOMEM, -EINVAL for a record that makes no sense (nothing is
 * changed), -ENOENT for a message or recipient that is not here.
 *
 * A record that comes twice changes nothing the second time.
 */
#include <errno.h>
#include <string.h>

#include "queue_priv.h"

uint32_t queue_rcpt_node(const struct queue *q, uint64_t id, uint32_t rcpt)
{
	uint32_t slot = queue_index_get(q, id);
	const struct message *m;

	if (slot == QUEUE_NONE)
		return NODE_NONE;
	m = queue_message(q, slot);
	return rcpt < m->rcpt_count ? m->first + rcpt : NODE_NONE;
}

static uint32_t message_alloc(struct queue *q)
{
	uint32_t slot = q->message_free;

	if (slot == QUEUE_NONE)
		return queue_pool_grow(&q->messages, 1);
	q->message_free = queue_message(q, slot)->first;
	return slot;
}

static void message_drop(struct queue *q, uint32_t slot)
{
	struct message *m = queue_message(q, slot);

	m->id = 0;
	m->first = q->message_free;
	q->message_free = slot;
}

static void place_set(struct message *m, const struct spool_place *p)
{
	m->segment = p->segment;
	m->record_bytes_div8 = p->record_bytes_div8;
	m->offset = p->offset & ((1ULL << 40) - 1);
}

static void message_fill(struct message *m, const struct spool_stored *s,
			 uint32_t sender_domain)
{
	*m = (struct message){
		.id = s->id,
		.digest = s->digest,
		.content_bytes = s->content_bytes & ((1ULL << 40) - 1),
		.flags = s->flags & ((1u << 12) - 1),
		.rcpt_count = s->rcpt_count & ((1u << 17) - 1),
		.remaining = s->rcpt_count & ((1u << 17) - 1),
		.arrival_s = s->arrival_s,
		.sender_hash = s->sender_hash,
		.sender_domain = sender_domain,
	};
	place_set(m, &s->place);
}

/* Looks up and makes all that can fail for want of memory. */
static int rcpts_prepare(struct queue *q, const struct spool_stored *s,
			 uint32_t first, uint32_t slot)
{
	for (uint32_t i = 0; i < s->rcpt_count; i++) {
		uint32_t domain = queue_domain_make(q, s->rcpts[i].domain);
		int res = domain == QUEUE_NONE ? -ENOMEM : 0;
		if (res == 0)
			res = queue_oldest_add(q, queue_domain_at(q, domain),
					       s->arrival_s);
		if (res != 0) {
			while (i-- > 0)
				queue_oldest_remove(
					queue_domain_at(q,
							queue_node(q, first + i)
								->domain),
					s->arrival_s);
			return res;
		}
		struct node *node = queue_node(q, first + i);
		node->message = slot;
		node->domain = domain;
		node->local_hash = s->rcpts[i].local_hash;
		if (s->flags & (SPOOL_TAKEN | SPOOL_COPY))
			node->marks = MARK_CUSTODY;
	}
	return 0;
}

static int message_index(struct queue *q, uint32_t slot)
{
	uint64_t id = queue_message(q, slot)->id;
	int res = queue_index_set(q, id, slot);

	if (res != 0)
		return res;
	res = queue_digest_add(q, slot);
	if (res != 0)
		queue_index_clear(q, id);
	return res;
}

static int message_add(struct queue *q, const struct spool_stored *s,
		       uint32_t slot)
{
	struct message *m = queue_message(q, slot);
	uint32_t sender = intern_add(q->sender_names, s->sender_domain,
				     strlen(s->sender_domain));
	uint32_t first;
	int res = -ENOMEM;

	if (sender == INTERN_NONE)
		return -ENOMEM;
	message_fill(m, s, sender);
	first = queue_run_alloc(q, s->rcpt_count);
	if (first == NODE_NONE)
		return -ENOMEM;
	m->first = first;
	res = message_index(q, slot);
	if (res == 0) {
		res = rcpts_prepare(q, s, first, slot);
		if (res == 0)
			return 0;
		queue_digest_remove(q, slot);
		queue_index_clear(q, s->id);
	}
	queue_run_free(q, first, s->rcpt_count);
	return res;
}

int queue_stored(struct queue *q, const struct spool_stored *s)
{
	uint32_t slot;
	int res;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	if (s->id == 0 || s->rcpt_count == 0 ||
	    s->rcpt_count > ENVELOPE_RCPTS_MAX || s->place.offset >> 40 != 0 ||
	    s->content_bytes >> 40 != 0 || s->flags >> 12 != 0)
		return -EINVAL;
	slot = queue_index_get(q, s->id);
	if (slot != QUEUE_NONE) { /* told before; reclaim may have moved it */
		place_set(queue_message(q, slot), &s->place);
		return 0;
	}
	slot = message_alloc(q);
	if (slot == QUEUE_NONE)
		return -ENOMEM;
	res = message_add(q, s, slot);
	if (res != 0) {
		message_drop(q, slot);
		return res;
	}
	q->tally.messages++;
	if (s->flags & SPOOL_LIVE)
		queue_now(q, s->arrival_s);
	for (uint32_t i = 0; i < s->rcpt_count; i++)
		queue_place_settle(q, queue_message(q, slot)->first + i, false);
	queue_tell_waiting(q);
	return 0;
}

int queue_apply_attempt(struct queue *q, uint64_t id, uint32_t rcpt_first,
			uint32_t rcpt_count, uint32_t when_s, uint16_t source)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	queue_now(q, when_s);
	if (queue_rcpt_node(q, id, rcpt_first) == NODE_NONE)
		return -ENOENT;
	for (uint32_t i = 0; i < rcpt_count; i++) {
		uint32_t n = queue_rcpt_node(q, id, rcpt_first + i);
		if (n == NODE_NONE)
			break;
		struct node *node = queue_node(q, n);
		/* Only an export sends what is kept: without its outcome it
		 * is held afterwards, never sent by itself. */
		if (rcpt_state_is_kept(node->state)) {
			node->marks |= MARK_CUSTODY;
			if (queue_place_revive(q, n) != 0)
				continue;
		}
		if (rcpt_state_is_done(node->state))
			continue;
		queue_place_in_flight(q, n, when_s);
		queue_lifetime_attempt(queue_message(q, node->message), when_s);
		node->marks |= MARK_ATTEMPT;
		node->tried = source;
	}
	queue_tell_waiting(q);
	return 0;
}

/* `due_s` of a deferral may fail for want of memory: it waits at once then,
 * rather than not at all. */
static void outcome_place(struct queue *q, uint32_t n,
			  const struct spool_outcome *o)
{
	struct node *node = queue_node(q, n);

	switch (o->state) {
	case RCPT_DEFERRED:
		if ((node->marks & MARK_CUSTODY) ||
		    queue_place_deferred(q, n, o->due_s) != 0)
			queue_place_settle(q, n, false);
		return;
	case RCPT_HELD:
		node->marks |= MARK_CUSTODY;
		queue_place_settle(q, n, false);
		return;
	case RCPT_NEEDS_DECISION:
		queue_place_needs_decision(q, n);
		return;
	case RCPT_WAITING:
		queue_place_settle(q, n, false);
		return;
	case RCPT_EXPORTING:
		(void)queue_place_exporting(q, n);
		return;
	default:
		queue_place_done(q, n, o->state);
		return;
	}
}

static bool outcome_is_valid(const struct spool_outcome *o)
{
	return o->state == RCPT_WAITING || o->state == RCPT_DEFERRED ||
	       o->state == RCPT_HELD || o->state == RCPT_NEEDS_DECISION ||
	       o->state == RCPT_EXPORTING ||
	       (rcpt_state_is_done(o->state) && o->state <= RCPT_EXPORTED);
}

/* A crash leaves WAITING (see queue_recovery_end()), a connection that was
 * lost after the dot anything else. */
static int outcome_doubt(struct queue *q, const struct spool_outcome *o)
{
	bool crash = o->in_doubt == 1 && o->state == RCPT_WAITING;
	struct queue_doubt doubt = {
		.id = o->id,
		.rcpt = o->rcpt,
		.when_s = o->when_s,
		.source = o->source,
		.cause = crash ? 1 : 2,
	};

	return queue_doubt_add(q, &doubt);
}

static int outcome_apply(struct queue *q, uint32_t n,
			 const struct spool_outcome *o)
{
	struct node *node = queue_node(q, n);
	int res = 0;

	if (o->in_doubt)
		res = outcome_doubt(q, o);
	else if (!(node->marks & MARK_REROUTED))
		node->pinned = o->source; /* in doubt: where it was tried */
	node->attempts = o->attempts;
	node->last_class = o->reply_class;
	node->marks &= (uint8_t)~MARK_ATTEMPT;
	node->tried = 0;
	outcome_place(q, n, o);
	return res;
}

int queue_apply_outcome(struct queue *q, const struct spool_outcome *o)
{
	struct node *node;
	uint32_t n;
	int res = 0;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	if (!outcome_is_valid(o))
		return -EINVAL;
	queue_now(q, o->when_s);
	n = queue_rcpt_node(q, o->id, o->rcpt);
	if (n == NODE_NONE)
		return -ENOENT;
	node = queue_node(q, n);
	if (rcpt_state_is_kept(node->state) && rcpt_state_is_done(o->state) &&
	    !rcpt_state_is_kept(o->state))
		queue_place_done(q, n, o->state); /* node is gone, perhaps */
	else if (!rcpt_state_is_done(node->state) ||
		 (rcpt_state_is_kept(node->state) &&
		  o->state == RCPT_EXPORTING))
		res = outcome_apply(q, n, o);
	queue_tell_waiting(q);
	return res;
}

static void set_one(struct queue *q, enum spool_set_kind kind, uint32_t n)
{
	struct node *node = queue_node(q, n);
	uint8_t state = node->state;
	bool kept = rcpt_state_is_kept(state);

	if (rcpt_state_is_done(state) &&
	    !(kept && (kind == SPOOL_SET_PURGED || kind == SPOOL_SET_REQUEUED)))
		return;
	switch (kind) {
	case SPOOL_SET_RELEASED:
		node->marks &= (uint8_t)~MARK_CUSTODY;
		if (state == RCPT_HELD)
			queue_place_settle(q, n, false);
		return;
	case SPOOL_SET_HELD:
		node->marks |= MARK_CUSTODY;
		if (state == RCPT_WAITING || state == RCPT_DEFERRED ||
		    state == RCPT_NEEDS_DECISION)
			queue_place_settle(q, n, false);
		return;
	case SPOOL_SET_PURGED:
		if (state != RCPT_EXPORTING) /* another may have it already */
			queue_place_done(q, n, RCPT_PURGED);
		return;
	case SPOOL_SET_REQUEUED:
		if (!(node->marks & MARK_REROUTED))
			node->pinned = 0;
		queue_lifetime_restart(queue_message(q, node->message),
				       q->now_s);
		if (kept)
			queue_place_revive(q, n);
		if (state == RCPT_DEFERRED || state == RCPT_NEEDS_DECISION)
			queue_place_settle(q, n, false);
		return;
	}
}

static void set_message(struct queue *q, enum spool_set_kind kind,
			uint32_t slot)
{
	const struct message *m = queue_message(q, slot);
	uint32_t first = m->first, count = m->rcpt_count;
	uint64_t id = m->id;

	/* a purge may end the message and free its slot in between */
	for (uint32_t i = 0; i < count && m->id == id; i++)
		set_one(q, kind, first + i);
}

static void set_run(struct queue *q, enum spool_set_kind kind,
		    const struct spool_set_item *item)
{
	uint64_t end = item->id + item->count;
	uint64_t id = item->id;
	uint32_t slot;

	if (end < item->id)
		end = UINT64_MAX;
	while ((slot = queue_index_next(q, id)) != QUEUE_NONE) {
		id = queue_message(q, slot)->id;
		if (id >= end)
			return;
		set_message(q, kind, slot);
		id++;
	}
}

int queue_apply_set(struct queue *q, enum spool_set_kind kind, uint32_t when_s,
		    const struct spool_set_item *items, uint32_t count)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	if (kind < SPOOL_SET_RELEASED || kind > SPOOL_SET_REQUEUED)
		return -EINVAL;
	queue_now(q, when_s);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t n;
		if (items[i].count > 0) {
			set_run(q, kind, &items[i]);
			continue;
		}
		n = queue_rcpt_node(q, items[i].id, items[i].rcpt);
		if (n != NODE_NONE)
			set_one(q, kind, n);
	}
	queue_tell_waiting(q);
	return 0;
}

uint32_t queue_recovery_end(struct queue *q, uint32_t now_s)
{
	uint32_t doubts = 0, n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	queue_now(q, now_s);
	while ((n = queue_node(q, q->in_flight)->next) != q->in_flight) {
		struct node *node = queue_node(q, n);
		struct queue_doubt doubt = {
			.id = queue_message(q, node->message)->id,
			.rcpt = queue_rcpt_of(q, n),
			.when_s = node->time_s,
			.source = node->tried,
			.cause = 1,
		};
		if ((node->marks & MARK_ATTEMPT) &&
		    queue_doubt_add(q, &doubt) == 0)
			doubts++;
		node->marks &= (uint8_t)~MARK_ATTEMPT;
		node->tried = 0;
		queue_place_settle(q, n, false);
	}
	queue_tell_waiting(q);
	return doubts;
}
