/* SPDX-License-Identifier: BSD-2-Clause
 *
 * take.c - the message that goes next from a domain.
 *
 * Called by the release engine's owner. Role: queue. Bound: O(1) for a message
 * with one recipient; else one pass over the recipients of the message.
 * Errors: -ENOENT when nothing may go, -ENOMEM when a list cannot be made.
 *
 * A transaction takes the head and those waiting recipients of its message
 * that wait for the same source and are reached by the same next hop (the same
 * domain, or a provider with one hop for all), wherever they stand in their
 * own lists.
 */
#include <errno.h>

#include "queue_priv.h"

static uint32_t head_first(struct queue *q, struct queue_domain *d, bool live)
{
	uint32_t n = queue_node(q, d->flows[live].front)->next;

	return n != d->flows[live].front ? n : queue_order_head(q, d, live);
}

static uint32_t head_node(struct queue *q, uint32_t domain, bool live)
{
	struct queue_domain *d;

	if (domain >= q->domains.used)
		return NODE_NONE;
	d = queue_domain_at(q, domain);
	if (d->holds > 0)
		return NODE_NONE;
	if (!q->reviewing)
		return head_first(q, d, live);
	return queue_review_head(q, d, live, head_first);
}

static bool goes_along(const struct queue *q, const struct node *head,
		       uint32_t provider, uint32_t n)
{
	const struct node *node = queue_node(q, n);
	const struct queue_provider *p;
	const struct queue_domain *d;

	if (node->state != RCPT_WAITING || (node->marks & MARK_PARKED) ||
	    node->pinned != head->pinned ||
	    (q->reviewing && queue_hold_matches(q, n)))
		return false;
	if (node->domain == head->domain)
		return true;
	p = queue_provider_at(q, provider);
	if (p == NULL || !p->shared_hop)
		return false;
	d = queue_domain_at(q, node->domain);
	return d->provider == provider && d->holds == 0;
}

static uint32_t rcpts_max(const struct queue *q, uint32_t provider)
{
	const struct queue_provider *p = queue_provider_at(q, provider);

	return p != NULL ? p->rcpts_max : 1;
}

/* Recipients of the transaction that `head` begins, from the head on and round
 * once: those before it have mostly gone. Fills `nodes` if not NULL. */
static uint32_t transaction(const struct queue *q, uint32_t head,
			    uint32_t *nodes)
{
	const struct node *h = queue_node(q, head);
	const struct message *m = queue_message(q, h->message);
	uint32_t provider = queue_domain_at(q, h->domain)->provider;
	uint32_t max = rcpts_max(q, provider), count = 0;
	uint32_t n = head;

	do {
		if (goes_along(q, h, provider, n)) {
			if (nodes != NULL)
				nodes[count] = n;
			count++;
		}
		if (++n == m->first + m->rcpt_count)
			n = m->first;
	} while (n != head && count < max);
	return count;
}

bool queue_head(struct queue *q, uint32_t domain, bool live,
		struct queue_head *out)
{
	const struct message *m;
	const struct node *node;
	uint32_t n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = head_node(q, domain, live);
	queue_tell_waiting(q); /* a review may have moved some */
	if (n == NODE_NONE)
		return false;
	node = queue_node(q, n);
	m = queue_message(q, node->message);
	*out = (struct queue_head){
		.id = m->id,
		.sender_domain = m->sender_domain,
		.pinned_source = node->pinned ? node->pinned - 1u : QUEUE_NONE,
		.recipients = m->rcpt_count == 1 ? 1 : transaction(q, n, NULL),
		.place = {m->segment, m->record_bytes_div8, m->offset},
	};
	return true;
}

static void taken_fill(const struct queue *q, const struct message *m,
		       struct queue_taken *out)
{
	out->id = m->id;
	out->place = (struct spool_place){m->segment, m->record_bytes_div8,
					  m->offset};
	out->content_bytes = m->content_bytes;
	out->flags = m->flags;
	out->arrival_s = m->arrival_s;
	out->first_release_s = m->released ? m->first_release_s : 0;
}

int queue_take(struct queue *q, uint32_t domain, bool live, uint32_t now_s,
	       struct queue_taken *out)
{
	struct message *m;
	uint32_t head, n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	queue_now(q, now_s);
	head = head_node(q, domain, live);
	queue_tell_waiting(q);
	if (head == NODE_NONE)
		return -ENOENT;
	m = queue_message(q, queue_node(q, head)->message);
	taken_fill(q, m, out);
	queue_lifetime_attempt(m, now_s);
	out->rcpt_count = transaction(q, head, out->rcpts);
	for (uint32_t i = 0; i < out->rcpt_count; i++) {
		n = out->rcpts[i];
		out->rcpts[i] = n - m->first;
		out->attempts[i] = queue_node(q, n)->attempts;
		out->domains[i] = queue_node(q, n)->domain;
		queue_place_in_flight(q, n, now_s);
	}
	queue_tell_waiting(q);
	return 0;
}

int queue_park(struct queue *q, uint32_t domain, bool live, uint32_t source)
{
	uint32_t n;
	int res;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = head_node(q, domain, live);
	queue_tell_waiting(q);
	if (n == NODE_NONE)
		return -ENOENT;
	res = queue_place_parked(q, n, source);
	queue_tell_waiting(q);
	return res;
}

static uint32_t unpark(struct queue *q, uint32_t sentinel)
{
	uint32_t count = 0, n;

	while ((n = queue_node(q, sentinel)->next) != sentinel) {
		queue_place_settle(q, n, false);
		count++;
	}
	return count;
}

uint32_t queue_unpark_provider(struct queue *q, uint32_t provider,
			       uint32_t source)
{
	uint32_t count = 0;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	for (uint32_t i = 0; i < q->park_count; i++) {
		if (q->parks[i].source == source &&
		    (provider == QUEUE_NONE ||
		     q->parks[i].provider == provider))
			count += unpark(q, q->parks[i].sentinel);
	}
	queue_tell_waiting(q);
	return count;
}

uint32_t queue_unpark(struct queue *q, uint32_t source)
{
	return queue_unpark_provider(q, QUEUE_NONE, source);
}

int queue_put_back(struct queue *q, uint64_t id, uint32_t rcpt)
{
	struct node *node;
	uint32_t n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	if (n == NODE_NONE || queue_node(q, n)->state != RCPT_IN_FLIGHT)
		return -ENOENT;
	node = queue_node(q, n);
	node->marks &= (uint8_t)~MARK_ATTEMPT;
	node->tried = 0;
	queue_place_settle(q, n, true);
	queue_tell_waiting(q);
	return 0;
}
