/* SPDX-License-Identifier: BSD-2-Clause
 *
 * defer.c - deferred recipients, by domain and minute.
 *
 * Called when a recipient is deferred, and about once a second. Role: queue.
 * Bound: a binary search among the domain's minutes; moving what is due is
 * O(1) per recipient. Errors: -ENOMEM.
 *
 * What is due within two minutes is kept to the second, the rest to the
 * minute, rounded up: never early. A domain stands in a wheel for its first
 * bucket only.
 */
#include <errno.h>
#include <string.h>

#include "queue_priv.h"
#include "sluice/clock.h"

#define EXACT_S  120u
#define MINUTE_S 60u

static uint32_t bucket_due_s(const struct queue *q, uint32_t due_s)
{
	if (due_s <= q->now_s || due_s - q->now_s <= EXACT_S ||
	    due_s > UINT32_MAX - MINUTE_S)
		return due_s;
	return (due_s + MINUTE_S - 1) / MINUTE_S * MINUTE_S;
}

static void domain_arm(struct queue *q, struct queue_domain *d)
{
	if (d->bucket_count == 0)
		wheel_cancel(&q->due, &d->timer);
	else
		wheel_insert(&q->due, &d->timer,
			     d->buckets[0].due_s * NS_PER_S);
}

static uint32_t bucket_find(const struct queue_domain *d, uint32_t due_s)
{
	uint32_t low = 0, high = d->bucket_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (d->buckets[middle].due_s < due_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int queue_defer_room(struct queue *q, struct queue_domain *d, uint32_t due_s,
		     uint32_t *sentinel)
{
	uint32_t at, list;

	due_s = bucket_due_s(q, due_s);
	at = bucket_find(d, due_s);
	if (at < d->bucket_count && d->buckets[at].due_s == due_s) {
		*sentinel = d->buckets[at].sentinel;
		return 0;
	}
	if (!queue_array_room(q, &d->buckets, &d->bucket_room,
			      d->bucket_count + 1, sizeof(*d->buckets)))
		return -ENOMEM;
	list = queue_list_create(q);
	if (list == NODE_NONE)
		return -ENOMEM;
	memmove(&d->buckets[at + 1], &d->buckets[at],
		(d->bucket_count - at) * sizeof(*d->buckets));
	d->buckets[at] = (struct due_bucket){due_s, list};
	d->bucket_count++;
	if (at == 0)
		domain_arm(q, d);
	*sentinel = list;
	return 0;
}

static void bucket_drop_first(struct queue *q, struct queue_domain *d)
{
	queue_run_free(q, d->buckets[0].sentinel, 1);
	d->bucket_count--;
	memmove(&d->buckets[0], &d->buckets[1],
		d->bucket_count * sizeof(*d->buckets));
}

static uint32_t domain_due(struct queue *q, struct queue_domain *d,
			   uint32_t now_s)
{
	uint32_t moved = 0;

	while (d->bucket_count > 0) {
		uint32_t sentinel = d->buckets[0].sentinel;
		uint32_t n = queue_node(q, sentinel)->next;
		if (n == sentinel) {
			bucket_drop_first(q, d);
			continue;
		}
		if (d->buckets[0].due_s > now_s)
			break;
		queue_place_settle(q, n, false);
		moved++;
	}
	domain_arm(q, d);
	return moved;
}

void queue_time_set(struct queue *q, uint32_t when_s)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	queue_now(q, when_s);
}

uint32_t queue_tick(struct queue *q, uint32_t now_s)
{
	struct wheel_entry *e;
	uint32_t moved = 0;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	queue_now(q, now_s);
	while ((e = wheel_expire(&q->due, now_s * NS_PER_S)) != NULL) {
		struct queue_domain *d =
			(void *)((char *)e -
				 offsetof(struct queue_domain, timer));
		moved += domain_due(q, d, now_s);
	}
	queue_tell_waiting(q);
	return moved;
}

uint32_t queue_next_due_s(const struct queue *q)
{
	uint64_t next_ns;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	next_ns = wheel_next_ns(&q->due);
	if (next_ns == CLOCK_NEVER_NS)
		return 0;
	return (uint32_t)((next_ns + NS_PER_S - 1) / NS_PER_S);
}
