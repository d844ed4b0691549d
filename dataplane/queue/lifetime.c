/* SPDX-License-Identifier: BSD-2-Clause
 *
 * lifetime.c - how long a message has been out, and what that ends.
 *
 * Called when a recipient would be deferred once more, and now and then for a
 * domain that cannot be reached. Role: queue. Bound: one recipient is O(1); a
 * domain: one pass over what waits for it. Errors: none.
 *
 * The clock starts when a message may go: when custody or a hold lets go of
 * it, or on arrival. The first attempt starts it anew: that mail waited for its
 * turn at a slow pace is not the receiver's doing. It stands while the
 * recipient is held or parked for a stopped source, while its domain is held,
 * and while its provider is blocked (promise 2).
 */
#include "queue_priv.h"

void queue_lifetime_restart(struct message *m, uint32_t when_s)
{
	m->first_release_s = when_s;
	m->paused_s = 0;
	m->paused_until_s = 0;
}

void queue_lifetime_attempt(struct message *m, uint32_t when_s)
{
	if (m->released)
		return;
	m->released = 1;
	queue_lifetime_restart(m, when_s);
}

/* For how long it has stood by now: counted once per message, however many of
 * its recipients were held at the same time. */
static uint32_t standing_s(const struct message *m, const struct node *node,
			   uint32_t now_s)
{
	uint32_t from_s = node->time_s;

	if (m->first_release_s == 0 ||
	    (node->state != RCPT_HELD && !(node->marks & MARK_PARKED)))
		return 0;
	if (from_s < m->first_release_s)
		from_s = m->first_release_s;
	if (from_s < m->paused_until_s)
		from_s = m->paused_until_s;
	return now_s > from_s ? now_s - from_s : 0;
}

void queue_lifetime_resume(struct queue *q, const struct node *node)
{
	struct message *m = queue_message(q, node->message);
	uint32_t stood_s = standing_s(m, node, q->now_s);

	if (stood_s == 0)
		return;
	m->paused_s += stood_s;
	m->paused_until_s = q->now_s;
}

/* When the lifetime of a recipient is over; UINT64_MAX: it has not begun. */
static uint64_t lifetime_end_s(const struct queue *q, const struct node *node,
			       uint32_t now_s, uint32_t lifetime_s)
{
	static const struct pauses none = {NULL, 0};
	const struct message *m = queue_message(q, node->message);
	const struct queue_domain *d = queue_domain_at(q, node->domain);
	const struct queue_provider *p = queue_provider_at(q, d->provider);

	if (m->first_release_s == 0)
		return UINT64_MAX;
	return (uint64_t)m->first_release_s + lifetime_s + m->paused_s +
	       standing_s(m, node, now_s) +
	       queue_pauses_within_s(&d->pauses, p ? &p->blocks : &none,
				     m->first_release_s, now_s);
}

bool queue_lifetime_is_over(const struct queue *q, uint64_t id, uint32_t rcpt,
			    uint32_t now_s, uint32_t lifetime_s)
{
	uint32_t n;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	return n != NODE_NONE &&
	       lifetime_end_s(q, queue_node(q, n), now_s, lifetime_s) <= now_s;
}

/* One sweep through the lists of a domain. */
struct sweep {
	uint32_t now_s;
	uint32_t lifetime_s;
	uint32_t left; /* so many more may expire */
	uint64_t next_s;
	void (*expired)(void *user, uint64_t id, uint32_t rcpt);
	void *user;
};

/* expired() ends the recipient it is given and touches no other of the list:
 * the next one is known before. */
static void list_sweep(struct queue *q, uint32_t sentinel, struct sweep *s)
{
	uint32_t next;

	for (uint32_t n = queue_node(q, sentinel)->next; n != sentinel;
	     n = next) {
		const struct node *node = queue_node(q, n);
		uint64_t end_s =
			lifetime_end_s(q, node, s->now_s, s->lifetime_s);
		next = node->next;
		if (end_s > s->now_s || s->left == 0) {
			s->next_s = end_s < s->next_s ? end_s : s->next_s;
			continue;
		}
		uint64_t id = queue_message(q, node->message)->id;
		uint32_t rcpt = queue_rcpt_of(q, n);
		queue_place_in_flight(q, n, s->now_s);
		s->left--;
		s->expired(s->user, id, rcpt);
	}
}

static void flow_sweep(struct queue *q, const struct queue_flow *f,
		       struct sweep *s)
{
	list_sweep(q, f->front, s);
	list_sweep(q, f->sorted.sentinel, s);
	for (uint32_t i = 0; i < f->run_count; i++)
		list_sweep(q, f->runs[i].sentinel, s);
	list_sweep(q, f->fresh, s);
}

uint32_t queue_expire_waiting(struct queue *q, uint32_t domain, uint32_t now_s,
			      uint32_t lifetime_s, uint32_t max,
			      void (*expired)(void *user, uint64_t id,
					      uint32_t rcpt),
			      void *user)
{
	struct sweep s = {now_s, lifetime_s, max, UINT32_MAX, expired, user};
	struct queue_domain *d;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	queue_now(q, now_s);
	if (domain >= q->domains.used)
		return 0;
	d = queue_domain_at(q, domain);
	if (d->holds > 0)
		return 0;
	flow_sweep(q, &d->flows[0], &s);
	flow_sweep(q, &d->flows[1], &s);
	queue_tell_waiting(q);
	return (uint32_t)s.next_s;
}

void queue_provider_block_set(struct queue *q, uint32_t provider, bool blocked,
			      uint32_t when_s)
{
	struct queue_provider *p;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	p = queue_provider_at(q, provider);
	if (p == NULL)
		return;
	queue_now(q, when_s);
	/* without memory the clock goes on: nothing is lost by that */
	if (blocked)
		(void)queue_pause_begin(&p->blocks, when_s);
	else
		queue_pause_end(&p->blocks, when_s);
}

uint32_t queue_provider_blocks(const struct queue *q, uint32_t provider,
			       struct queue_stretch out[QUEUE_STRETCHES_MAX])
{
	const struct queue_provider *p;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	p = queue_provider_at(q, provider);
	for (uint32_t i = 0; p != NULL && i < p->blocks.count; i++)
		out[i] = p->blocks.list[i];
	return p != NULL ? p->blocks.count : 0;
}
