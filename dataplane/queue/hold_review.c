/* SPDX-License-Identifier: BSD-2-Clause
 *
 * hold_review.c - a hold comes or goes: all recipients are asked anew.
 *
 * Called by hold.c and, while a review goes on, by the owner in every turn.
 * Role: queue. Bound: `slice` messages per step. Errors: none.
 *
 * A hold counts from the moment it comes: until the review has seen a
 * recipient, it is asked when it stands at the head of its domain.
 */
#include "queue_priv.h"

#define REVIEW_AT_ONCE 65536u /* messages: a few milliseconds */
#define REVIEW_HEADS   64u    /* moved per look at a head */

static void rcpts_review(struct queue *q, const struct message *m)
{
	for (uint32_t i = 0; i < m->rcpt_count; i++) {
		struct node *node = queue_node(q, m->first + i);
		bool held = q->rcpt_holds > 0 &&
			    !rcpt_state_is_done(node->state) &&
			    queue_hold_matches(q, m->first + i);
		if (held == ((node->marks & MARK_STANDING) != 0))
			continue;
		node->marks ^= MARK_STANDING;
		if (node->state == RCPT_WAITING ||
		    (node->state == RCPT_HELD && !(node->marks & MARK_CUSTODY)))
			queue_place_settle(q, m->first + i, false);
	}
}

/* The owner may have been told "nothing" by a head that was just moved. */
static void review_end(struct queue *q)
{
	q->reviewing = false;
	for (uint32_t i = 0; i < q->domains.used; i++) {
		struct queue_domain *d = queue_domain_at(q, i);
		d->flows[0].told = d->flows[1].told = UINT32_MAX;
		queue_domain_dirty(q, d);
	}
}

bool queue_review_step(struct queue *q, uint32_t slice)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	if (!q->reviewing)
		return false;
	for (; slice > 0 && q->review_next < q->messages.used; slice--) {
		const struct message *m = queue_message(q, q->review_next++);
		if (m->id != 0)
			rcpts_review(q, m);
	}
	if (q->review_next == q->messages.used)
		review_end(q);
	queue_tell_waiting(q);
	return q->reviewing;
}

void queue_review_begin(struct queue *q)
{
	q->reviewing = true;
	q->review_next = 0;
	queue_review_step(q, REVIEW_AT_ONCE);
}

/* True: the recipient is held, and has been moved to where it belongs. */
static bool head_is_held(struct queue *q, uint32_t n)
{
	if (!queue_hold_matches(q, n))
		return false;
	queue_place_settle(q, n, false);
	return true;
}

uint32_t queue_review_head(struct queue *q, struct queue_domain *d, bool live,
			   uint32_t (*first)(struct queue *q,
					     struct queue_domain *d, bool live))
{
	uint32_t n = first(q, d, live);

	for (uint32_t i = 0; n != NODE_NONE && head_is_held(q, n); i++) {
		if (i == REVIEW_HEADS)
			return NODE_NONE; /* review_end() comes back to it */
		n = first(q, d, live);
	}
	return n;
}
