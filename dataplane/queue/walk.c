/* SPDX-License-Identifier: BSD-2-Clause
 *
 * walk.c - through a selection, in slices, in the order of ids.
 *
 * Called by the owner for list, count, hold, release, purge. Role: queue.
 * Bound: at most `slice` messages per call, all recipients of each. Errors:
 * none. each() may change the recipient it is given, or end its message: it
 * gets a copy, and a message is looked up again after every call.
 */
#include "queue_priv.h"

static bool has_tag(const struct node *node)
{
	return node->state == RCPT_NEEDS_DECISION ||
	       rcpt_state_is_kept(node->state);
}

static void entry_fill(const struct queue *q, uint32_t n, struct queue_entry *e)
{
	const struct node *node = queue_node(q, n);
	const struct message *m = queue_message(q, node->message);
	const struct queue_domain *d = queue_domain_at(q, node->domain);

	*e = (struct queue_entry){
		.id = m->id,
		.rcpt = n - m->first,
		.state = queue_effective_state(q, node),
		.attempts = node->attempts,
		.last_class = node->last_class,
		.domain = d->base,
		.provider = d->provider,
		.due_s = node->state == RCPT_DEFERRED ? node->time_s : 0,
		.tag = has_tag(node) ? node->time_s : 0,
		.pinned_source = node->pinned ? node->pinned - 1u : QUEUE_NONE,
		.sender_domain = m->sender_domain,
		.arrival_s = m->arrival_s,
		.content_bytes = m->content_bytes,
		.flags = m->flags,
		.place = {m->segment, m->record_bytes_div8, m->offset},
		.exact = true,
		.custody_hold = (node->marks & MARK_CUSTODY) != 0,
		.standing_hold =
			(node->marks & MARK_STANDING) != 0 ||
			(d->holds > 0 && !rcpt_state_is_done(node->state)),
	};
}

/* `s` NULL: every recipient, done ones too. */
static void walk_message(struct queue *q, uint32_t slot,
			 const struct selection *s, uint32_t now_s,
			 void (*each)(void *user, const struct queue_entry *e),
			 void *user)
{
	uint64_t id = queue_message(q, slot)->id;
	struct queue_entry e;

	for (uint32_t i = 0;; i++) {
		uint32_t n = queue_rcpt_node(q, id, i);
		enum match match = MATCH_EXACT;
		if (n == NODE_NONE)
			return;
		if (s != NULL)
			match = queue_match(q, s, n, now_s);
		if (match == MATCH_NO)
			continue;
		entry_fill(q, n, &e);
		e.exact = match == MATCH_EXACT;
		each(user, &e);
	}
}

/* The next message the selection can speak of. */
static uint32_t walk_next(const struct queue *q, const struct selection *s,
			  uint64_t id)
{
	uint64_t next = 0;
	bool found = false;

	if (s->id_count == 0)
		return queue_index_next(q, id);
	for (;;) {
		for (uint32_t i = 0; i < s->id_count; i++) {
			if (s->ids[i] >= id && (!found || s->ids[i] < next)) {
				next = s->ids[i];
				found = true;
			}
		}
		if (!found)
			return QUEUE_NONE;
		uint32_t slot = queue_index_get(q, next);
		if (slot != QUEUE_NONE || next == UINT64_MAX)
			return slot;
		id = next + 1; /* listed, but not here: the one after it */
		found = false;
	}
}

bool queue_walk(struct queue *q, struct queue_cursor *c,
		const struct selection *s, uint32_t now_s, uint32_t slice,
		void (*each)(void *user, const struct queue_entry *e),
		void *user)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	for (; slice > 0; slice--) {
		uint32_t slot = walk_next(q, s, c->next_id);
		if (slot == QUEUE_NONE)
			return false;
		c->next_id = queue_message(q, slot)->id + 1;
		walk_message(q, slot, s, now_s, each, user);
	}
	return walk_next(q, s, c->next_id) != QUEUE_NONE;
}

bool queue_find(struct queue *q, uint64_t id,
		void (*each)(void *user, const struct queue_entry *e),
		void *user)
{
	uint32_t slot;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	slot = queue_index_get(q, id);
	if (slot == QUEUE_NONE)
		return false;
	walk_message(q, slot, NULL, 0, each, user);
	return true;
}

void queue_tag_set(struct queue *q, uint64_t id, uint32_t rcpt, uint32_t tag)
{
	uint32_t n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	if (n != NODE_NONE && has_tag(queue_node(q, n)))
		queue_node(q, n)->time_s = tag;
}

uint32_t queue_provider_of(const struct queue *q, uint64_t id, uint32_t rcpt)
{
	uint32_t n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	if (n == NODE_NONE)
		return QUEUE_NONE;
	return queue_domain_at(q, queue_node(q, n)->domain)->provider;
}

uint32_t queue_rcpt_domain(const struct queue *q, uint64_t id, uint32_t rcpt)
{
	uint32_t n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	return n == NODE_NONE ? QUEUE_NONE : queue_node(q, n)->domain;
}

uint8_t queue_rcpt_state(const struct queue *q, uint64_t id, uint32_t rcpt)
{
	uint32_t n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	return n == NODE_NONE ? 0 : queue_node(q, n)->state;
}

uint8_t queue_attempts(const struct queue *q, uint64_t id, uint32_t rcpt)
{
	uint32_t n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	return n == NODE_NONE ? 0 : queue_node(q, n)->attempts;
}

const char *queue_sender_domain(const struct queue *q, uint64_t id)
{
	uint32_t slot;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	slot = queue_index_get(q, id);
	if (slot == QUEUE_NONE)
		return NULL;
	return intern_text(q->sender_names,
			   queue_message(q, slot)->sender_domain);
}

const char *queue_sender_domain_text(const struct queue *q, uint32_t number)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	return intern_text(q->sender_names, number);
}
