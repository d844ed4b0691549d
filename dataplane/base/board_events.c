/* SPDX-License-Identifier: BSD-2-Clause
 *
 * board_events.c - event rings of the board, and the shaper's counters.
 *
 * Producers: worker k of sluiced, lcore k of the shaper. Consumer: control.
 * O(1), one copy of a slot, no allocation; a full ring counts a drop.
 */
#include <string.h>

#include "board_priv.h"
#include "sluice/assert.h"

RING_DEFINE(event_reply)
RING_DEFINE(event_batch)
RING_DEFINE(event_snoop)

/* Counters have one writer: no atomic addition is needed. */
static void count_up(uint64_t *counter)
{
	uint64_t n = __atomic_load_n(counter, __ATOMIC_RELAXED);
	__atomic_store_n(counter, n + 1, __ATOMIC_RELAXED);
}

static bool count_push(struct board_ring_line *l, bool pushed)
{
	count_up(pushed ? &l->pushed : &l->dropped);
	return pushed;
}

static bool ring_ready(const struct board_ring_line *l)
{
	/* acquire pairs with the release in ring_start() */
	return __atomic_load_n(&l->ready, __ATOMIC_ACQUIRE) == 1;
}

/* A ring that was used before goes on where it was: the consumer may be in the
 * middle of it, and no death of a producer leaves it broken. */
static void ring_start(struct board_ring_line *l, struct ring *r,
		       uint32_t slots)
{
	if (ring_ready(l))
		return;
	ring_init(r, slots);
	__atomic_store_n(&l->ready, 1, __ATOMIC_RELEASE);
}

void board_rings_start(struct board *b)
{
	struct board_file *f = b->file;
	for (uint32_t k = 0; k < b->producers; k++) {
		if (b->user == BOARD_SLUICED) {
			struct board_worker_rings *w = &f->workers[k];
			ring_start(&w->replies.line, &w->replies.ring,
				   EVENT_REPLIES_SLOTS);
			ring_start(&w->batches.line, &w->batches.ring,
				   EVENT_BATCHES_SLOTS);
		} else if (b->user == BOARD_SHAPER) {
			struct board_lcore_rings *l = &f->lcores[k];
			ring_start(&l->snoops.line, &l->snoops.ring,
				   EVENT_SNOOPS_SLOTS);
		}
	}
}

void event_reply_text(struct event_reply *r, const char *text, size_t len)
{
	size_t head = len < EVENT_HEAD_BYTES ? len : EVENT_HEAD_BYTES;
	size_t rest = len - head;
	size_t tail = rest < EVENT_TAIL_BYTES ? rest : EVENT_TAIL_BYTES;
	r->text_bytes = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
	r->head_bytes = (uint16_t)head;
	r->tail_bytes = (uint16_t)tail;
	if (head > 0)
		memcpy(r->head, text, head);
	if (tail > 0)
		memcpy(r->tail, text + len - tail, tail);
}

static struct board_worker_rings *own_worker(struct board *b, uint32_t k)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(b->user == BOARD_SLUICED && k < b->producers);
	return &b->file->workers[k];
}

bool event_reply_push(struct board *b, uint32_t k, const struct event_reply *r)
{
	struct board_worker_rings *w = own_worker(b, k);
	return count_push(
		&w->replies.line,
		event_reply_ring_push(&w->replies.ring, w->replies.slots, r));
}

bool event_batch_push(struct board *b, uint32_t k, const struct event_batch *r)
{
	struct board_worker_rings *w = own_worker(b, k);
	return count_push(
		&w->batches.line,
		event_batch_ring_push(&w->batches.ring, w->batches.slots, r));
}

bool event_snoop_push(struct board *b, uint32_t k, const struct event_snoop *r)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(b->user == BOARD_SHAPER && k < b->producers);
	struct board_lcore_rings *l = &b->file->lcores[k];
	return count_push(
		&l->snoops.line,
		event_snoop_ring_push(&l->snoops.ring, l->snoops.slots, r));
}

bool event_reply_pop(struct board *b, uint32_t k, struct event_reply *out)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(b->user == BOARD_CONTROL && k < BOARD_WORKERS_MAX);
	struct board_worker_rings *w = &b->file->workers[k];
	return ring_ready(&w->replies.line) &&
	       event_reply_ring_pop(&w->replies.ring, w->replies.slots, out);
}

bool event_batch_pop(struct board *b, uint32_t k, struct event_batch *out)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(b->user == BOARD_CONTROL && k < BOARD_WORKERS_MAX);
	struct board_worker_rings *w = &b->file->workers[k];
	return ring_ready(&w->batches.line) &&
	       event_batch_ring_pop(&w->batches.ring, w->batches.slots, out);
}

bool event_snoop_pop(struct board *b, uint32_t k, struct event_snoop *out)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(b->user == BOARD_CONTROL && k < BOARD_LCORES_MAX);
	struct board_lcore_rings *l = &b->file->lcores[k];
	return ring_ready(&l->snoops.line) &&
	       event_snoop_ring_pop(&l->snoops.ring, l->snoops.slots, out);
}

void event_stats(const struct board *b, enum event_kind kind, uint32_t k,
		 struct event_stats *out)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	const struct board_file *f = b->file;
	const struct board_ring_line *l;
	const struct ring *r;
	if (kind == EVENT_SNOOPS) {
		sluice_assert(k < BOARD_LCORES_MAX);
		l = &f->lcores[k].snoops.line;
		r = &f->lcores[k].snoops.ring;
	} else {
		sluice_assert(k < BOARD_WORKERS_MAX);
		bool replies = kind == EVENT_REPLIES;
		const struct board_worker_rings *w = &f->workers[k];
		l = replies ? &w->replies.line : &w->batches.line;
		r = replies ? &w->replies.ring : &w->batches.ring;
	}
	*out = (struct event_stats){
		.pushed = __atomic_load_n(&l->pushed, __ATOMIC_RELAXED),
		.dropped = __atomic_load_n(&l->dropped, __ATOMIC_RELAXED),
		.waiting = ring_ready(l) ? ring_count(r) : 0,
	};
}

static struct board_counters_line *counters_at(const struct board *b,
					       uint32_t slot, uint32_t lcore)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(slot < BOARD_LIMITS_MAX && lcore < BOARD_LCORES_MAX);
	return &b->file->counters[slot][lcore];
}

#define COUNTERS (sizeof(struct board_counters) / sizeof(uint64_t))

void board_counters_write(struct board *b, uint32_t slot, uint32_t lcore,
			  const struct board_counters *c)
{
	struct board_counters_line *l = counters_at(b, slot, lcore);
	sluice_assert(b->user == BOARD_SHAPER && lcore < b->producers);
	uint64_t words[COUNTERS];
	uint64_t *to = (uint64_t *)(void *)&l->c;
	memcpy(words, c, sizeof(words));
	for (size_t i = 0; i < COUNTERS; i++)
		__atomic_store_n(&to[i], words[i], __ATOMIC_RELAXED);
}

void board_counters_read(const struct board *b, uint32_t slot, uint32_t lcore,
			 struct board_counters *out)
{
	const struct board_counters_line *l = counters_at(b, slot, lcore);
	uint64_t words[COUNTERS];
	const uint64_t *from = (const uint64_t *)(const void *)&l->c;
	for (size_t i = 0; i < COUNTERS; i++)
		words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	memcpy(out, words, sizeof(words));
}
