/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export.c - recipients that are being handed back to another program.
 *
 * Called by the export verb. Role: queue. Bound: O(1) each, but for a new
 * minute of deferred mail. Errors: see queue.h.
 *
 * In memory this state begins when the message is handed out; in the journal
 * (as an outcome) when a durable copy is elsewhere. So after a stop everything
 * that nobody else can have is back where it was.
 */
#include <errno.h>

#include "queue_priv.h"

int queue_export_begin(struct queue *q, uint64_t id, uint32_t rcpt,
		       struct queue_prior *prior)
{
	const struct node *node;
	struct queue_prior was;
	uint32_t n;
	int res;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	if (n == NODE_NONE)
		return -ENOENT;
	node = queue_node(q, n);
	if (rcpt_state_is_done(node->state) && !rcpt_state_is_kept(node->state))
		return -ENOENT;
	if (node->state == RCPT_IN_FLIGHT)
		return -EBUSY;
	if (node->state == RCPT_EXPORTING)
		return -EALREADY;
	was = (struct queue_prior){
		.state = node->state,
		.attempts = node->attempts,
		.last_class = node->last_class,
		.pinned = node->pinned,
		.due_s = node->state == RCPT_DEFERRED ? node->time_s : 0,
	};
	res = queue_place_exporting(q, n);
	if (res != 0)
		return res;
	*prior = was;
	queue_tell_waiting(q);
	return 0;
}

int queue_export_undo(struct queue *q, uint64_t id, uint32_t rcpt,
		      const struct queue_prior *prior)
{
	uint32_t n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	if (n == NODE_NONE || queue_node(q, n)->state != RCPT_EXPORTING)
		return -ENOENT;
	if (rcpt_state_is_kept(prior->state))
		queue_place_done(q, n, prior->state);
	else if (prior->state == RCPT_NEEDS_DECISION)
		queue_place_needs_decision(q, n);
	else if (prior->state != RCPT_DEFERRED ||
		 (queue_node(q, n)->marks & MARK_CUSTODY) ||
		 queue_place_deferred(q, n, prior->due_s) != 0)
		queue_place_settle(q, n, false);
	queue_tell_waiting(q);
	return 0;
}
