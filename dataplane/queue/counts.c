/* SPDX-License-Identifier: BSD-2-Clause
 *
 * counts.c - how much is there, and how old is the oldest.
 *
 * Called for status and metrics. Role: queue. Bound: a domain: its slots and
 * minutes; a provider or everything: times its domains. Counts themselves are
 * kept as they change. Errors: -ENOENT.
 *
 * The oldest arrival of a domain comes from a small table of hourly slots,
 * each with a count and the oldest it ever held: exact while the oldest of a
 * slot is still here, else at most an hour too old.
 */
#include <errno.h>
#include <string.h>

#include "queue_priv.h"

static uint32_t slot_find(const struct queue_domain *d, uint32_t slot)
{
	uint32_t low = 0, high = d->slot_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (d->slots[middle].slot < slot)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int queue_oldest_add(struct queue *q, struct queue_domain *d,
		     uint32_t arrival_s)
{
	uint32_t slot = arrival_s / OLDEST_SLOT_S;
	uint32_t at = slot_find(d, slot);

	if (at == d->slot_count || d->slots[at].slot != slot) {
		if (!queue_array_room(q, &d->slots, &d->slot_room,
				      d->slot_count + 1, sizeof(*d->slots)))
			return -ENOMEM;
		memmove(&d->slots[at + 1], &d->slots[at],
			(d->slot_count - at) * sizeof(*d->slots));
		d->slots[at] = (struct arrival_slot){slot, 0, arrival_s};
		d->slot_count++;
	}
	d->slots[at].count++;
	if (arrival_s < d->slots[at].oldest_s)
		d->slots[at].oldest_s = arrival_s;
	return 0;
}

void queue_oldest_remove(struct queue_domain *d, uint32_t arrival_s)
{
	uint32_t slot = arrival_s / OLDEST_SLOT_S;
	uint32_t at = slot_find(d, slot);

	sluice_assert(at < d->slot_count && d->slots[at].slot == slot &&
		      d->slots[at].count > 0);
	if (--d->slots[at].count > 0)
		return;
	d->slot_count--;
	memmove(&d->slots[at], &d->slots[at + 1],
		(d->slot_count - at) * sizeof(*d->slots));
}

static uint32_t domain_next_due_s(const struct queue *q,
				  const struct queue_domain *d)
{
	for (uint32_t i = 0; i < d->bucket_count; i++) {
		if (!queue_list_is_empty(q, d->buckets[i].sentinel))
			return d->buckets[i].due_s;
	}
	return 0;
}

static void counts_fill(const struct tally *t, struct queue_counts *out)
{
	*out = (struct queue_counts){
		.messages = t->messages,
		.waiting = t->by_state[RCPT_WAITING] - t->waiting_stopped,
		.deferred = t->by_state[RCPT_DEFERRED],
		.held = t->by_state[RCPT_HELD] + t->waiting_stopped,
		.needs_decision = t->by_state[RCPT_NEEDS_DECISION],
		.in_flight = t->by_state[RCPT_IN_FLIGHT],
		.exporting = t->by_state[RCPT_EXPORTING],
		.delivered = t->by_state[RCPT_DELIVERED],
		.failed = t->by_state[RCPT_FAILED],
		.expired = t->by_state[RCPT_EXPIRED],
		.purged = t->by_state[RCPT_PURGED],
		.exported = t->by_state[RCPT_EXPORTED],
		.other_done = t->by_state[RCPT_SUPPRESSED] +
			      t->by_state[RCPT_EXPORTED],
	};
	out->recipients = out->waiting + out->deferred + out->held +
			  out->needs_decision + out->in_flight + out->exporting;
}

/* Earlier of two times of which 0 is none. */
static uint32_t earlier(uint32_t a_s, uint32_t b_s)
{
	if (a_s == 0 || (b_s != 0 && b_s < a_s))
		return b_s;
	return a_s;
}

static void domain_times(const struct queue *q, const struct queue_domain *d,
			 struct queue_counts *out)
{
	if (d->slot_count > 0)
		out->oldest_arrival_s =
			earlier(out->oldest_arrival_s, d->slots[0].oldest_s);
	out->next_due_s = earlier(out->next_due_s, domain_next_due_s(q, d));
}

void queue_counts(const struct queue *q, struct queue_counts *out)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	counts_fill(&q->tally, out);
	for (uint32_t i = 0; i < q->domains.used; i++)
		domain_times(q, queue_domain_at(q, i), out);
}

int queue_provider_counts(const struct queue *q, uint32_t provider,
			  struct queue_counts *out)
{
	const struct queue_provider *p;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	p = queue_provider_at(q, provider);
	if (p == NULL)
		return -ENOENT;
	counts_fill(&p->tally, out);
	out->messages = out->recipients;
	for (uint32_t i = p->domains; i != QUEUE_NONE;) {
		const struct queue_domain *d = queue_domain_at(q, i);
		domain_times(q, d, out);
		i = d->provider_next;
	}
	return 0;
}

int queue_domain_counts(const struct queue *q, uint32_t domain,
			struct queue_counts *out)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	if (domain >= q->domains.used)
		return -ENOENT;
	counts_fill(&queue_domain_at(q, domain)->tally, out);
	out->messages = out->recipients;
	domain_times(q, queue_domain_at(q, domain), out);
	return 0;
}

uint64_t queue_memory_bytes(const struct queue *q)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	return sizeof(*q) + queue_pool_bytes(&q->nodes) +
	       queue_pool_bytes(&q->messages) + queue_pool_bytes(&q->pages) +
	       queue_pool_bytes(&q->domains) + queue_digest_bytes(q) +
	       q->extra_bytes + intern_memory_bytes(q->domain_names) +
	       intern_memory_bytes(q->sender_names);
}
