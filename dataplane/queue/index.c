/* SPDX-License-Identifier: BSD-2-Clause
 *
 * index.c - from a message id to its slot, and through all ids in order.
 *
 * Called by the files of this room. Role: queue. Bound: O(1) while ids are
 * dense, else a binary search over pages; an id below the highest page that
 * has no page yet moves the directory's tail. Errors: -ENOMEM.
 *
 * Ids only grow, so a table of pages of 64 ids, by number, costs little more
 * than 4 bytes per message. A page without ids gives its slots back.
 */
#include <errno.h>
#include <string.h>

#include "queue_priv.h"

struct page {
	uint32_t message[PAGE_IDS]; /* slot + 1; 0 = none */
};

static struct page *page_slots(const struct queue *q,
			       const struct page_entry *e)
{
	return queue_pool_at(&q->pages, e->slots);
}

/* Place of the first entry with a page >= `page`. */
static uint32_t directory_find(const struct queue *q, uint64_t page)
{
	uint32_t low = 0, high = q->directory_count;

	if (high == 0 || page > q->directory[high - 1].page)
		return high;
	/* without holes the distance from the first is the place */
	uint64_t guess = page - q->directory[0].page;
	if (page >= q->directory[0].page && guess < high &&
	    q->directory[guess].page == page)
		return (uint32_t)guess;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (q->directory[middle].page < page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Entries whose pages emptied go when they are the majority. */
static void directory_compact(struct queue *q)
{
	uint32_t kept = 0;

	if (q->directory_dead < 64 ||
	    q->directory_dead < q->directory_count / 2)
		return;
	for (uint32_t i = 0; i < q->directory_count; i++) {
		if (q->directory[i].count > 0)
			q->directory[kept++] = q->directory[i];
	}
	q->directory_count = kept;
	q->directory_dead = 0;
}

static uint32_t page_alloc(struct queue *q)
{
	uint32_t slots = q->page_free;

	if (slots == QUEUE_NONE)
		return queue_pool_grow(&q->pages, 1);
	struct page *page = queue_pool_at(&q->pages, slots);
	q->page_free = page->message[0];
	memset(page, 0, sizeof(*page));
	return slots;
}

static int directory_add(struct queue *q, uint32_t at, uint64_t page)
{
	uint32_t slots;

	if (!queue_array_room(q, &q->directory, &q->directory_room,
			      q->directory_count + 1, sizeof(*q->directory)))
		return -ENOMEM;
	slots = page_alloc(q);
	if (slots == QUEUE_NONE)
		return -ENOMEM;
	memmove(&q->directory[at + 1], &q->directory[at],
		(q->directory_count - at) * sizeof(*q->directory));
	q->directory[at] = (struct page_entry){.page = page, .slots = slots};
	q->directory_count++;
	q->directory_dead++; /* until an id is in it */
	return 0;
}

static struct page_entry *directory_get(const struct queue *q, uint64_t id)
{
	uint32_t at = directory_find(q, id / PAGE_IDS);

	if (at == q->directory_count || q->directory[at].page != id / PAGE_IDS)
		return NULL;
	return &q->directory[at];
}

/* An emptied page gave its slots back: it needs new ones. */
static int page_revive(struct queue *q, struct page_entry *e)
{
	if (e->slots == QUEUE_NONE)
		e->slots = page_alloc(q);
	return e->slots == QUEUE_NONE ? -ENOMEM : 0;
}

int queue_index_set(struct queue *q, uint64_t id, uint32_t message)
{
	uint32_t at = directory_find(q, id / PAGE_IDS);
	bool there = at < q->directory_count &&
		     q->directory[at].page == id / PAGE_IDS;
	int res = there ? page_revive(q, &q->directory[at])
			: directory_add(q, at, id / PAGE_IDS);

	if (res != 0)
		return res;
	struct page_entry *e = &q->directory[at];
	uint32_t *slot = &page_slots(q, e)->message[id % PAGE_IDS];
	sluice_assert(*slot == 0);
	*slot = message + 1;
	if (e->count++ == 0)
		q->directory_dead--;
	return 0;
}

void queue_index_clear(struct queue *q, uint64_t id)
{
	struct page_entry *e = directory_get(q, id);
	struct page *page;

	sluice_assert(e != NULL && e->count > 0);
	page = page_slots(q, e);
	sluice_assert(page->message[id % PAGE_IDS] != 0);
	page->message[id % PAGE_IDS] = 0;
	if (--e->count > 0)
		return;
	page->message[0] = q->page_free;
	q->page_free = e->slots;
	e->slots = QUEUE_NONE;
	q->directory_dead++;
	directory_compact(q);
}

uint32_t queue_index_get(const struct queue *q, uint64_t id)
{
	const struct page_entry *e = directory_get(q, id);

	if (e == NULL || e->count == 0)
		return QUEUE_NONE;
	return page_slots(q, e)->message[id % PAGE_IDS] - 1;
}

uint32_t queue_index_next(const struct queue *q, uint64_t id)
{
	uint32_t at = directory_find(q, id / PAGE_IDS);

	for (; at < q->directory_count; at++) {
		const struct page_entry *e = &q->directory[at];
		uint32_t i = 0;
		if (e->count == 0)
			continue;
		if (e->page == id / PAGE_IDS)
			i = id % PAGE_IDS;
		const struct page *page = page_slots(q, e);
		for (; i < PAGE_IDS; i++) {
			if (page->message[i] != 0)
				return page->message[i] - 1;
		}
	}
	return QUEUE_NONE;
}
