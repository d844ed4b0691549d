/* SPDX-License-Identifier: BSD-2-Clause
 *
 * wheel.c - hierarchical timing wheel.
 *
 * Called by the release engine and by timers. One owner thread, pure.
 * A tick lies in level 0 when it shares all but its low 8 bits with now_tick,
 * in level 1 when it shares all but 16, and so on: placing by aligned blocks,
 * not by distance, keeps entries of one tick in insertion order, since all of
 * them wait in the same slot until that slot is spread out. The slot of the
 * present block is empty in every level above 0; so slot 0 of the top level
 * is free for ticks beyond the wheel and is spread out when the wheel turns.
 * Bound: O(1) per call and entry; an empty stretch is skipped by bitmap. Only
 * the present tick, in which some are due and some not, is searched.
 */
#include "sluice/wheel.h"

#include <stddef.h>

#include "sluice/assert.h"
#include "sluice/clock.h"

#define LEVEL_BITS 8
#define LEVEL_MASK ((uint64_t)WHEEL_SLOTS - 1)
#define TOP        (WHEEL_LEVELS - 1)

_Static_assert(WHEEL_SLOTS == 1 << LEVEL_BITS, "slots are an index's bits");

static unsigned level_shift(unsigned level)
{
	return level * LEVEL_BITS;
}

void wheel_init(struct wheel *w, uint64_t tick_ns, uint64_t now_ns)
{
	sluice_assert(tick_ns > 0);
	w->tick_ns = tick_ns;
	w->now_tick = now_ns / tick_ns;
	w->count = 0;
	for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
		for (unsigned i = 0; i < WHEEL_SLOTS / 64; i++)
			w->used[l][i] = 0;
		for (unsigned s = 0; s < WHEEL_SLOTS; s++) {
			struct wheel_entry *head = &w->slot[l][s];
			head->next = head->prev = head;
			head->due_ns = 0;
		}
	}
}

void wheel_entry_init(struct wheel_entry *e)
{
	e->next = e->prev = NULL;
	e->due_ns = CLOCK_NEVER_NS;
}

bool wheel_entry_pending(const struct wheel_entry *e)
{
	return e->next != NULL;
}

static void entry_place(struct wheel *w, struct wheel_entry *e)
{
	uint64_t tick = e->due_ns / w->tick_ns;
	if (tick < w->now_tick)
		tick = w->now_tick;
	unsigned level = 0;
	while (level < WHEEL_LEVELS &&
	       (tick >> level_shift(level + 1)) !=
		       (w->now_tick >> level_shift(level + 1)))
		level++;
	uint64_t s = 0; /* beyond the wheel: slot 0 of the top level */
	if (level == WHEEL_LEVELS)
		level = TOP;
	else
		s = (tick >> level_shift(level)) & LEVEL_MASK;
	struct wheel_entry *head = &w->slot[level][s];
	e->next = head;
	e->prev = head->prev;
	head->prev->next = e;
	head->prev = e;
	w->used[level][s / 64] |= 1ULL << (s % 64);
}

/* Unlinks; the last one of a slot finds the slot's head beside it. */
static void entry_remove(struct wheel *w, struct wheel_entry *e)
{
	struct wheel_entry *head = e->next;
	e->prev->next = e->next;
	e->next->prev = e->prev;
	e->next = e->prev = NULL;
	if (head->next == head) {
		size_t i = (size_t)(head - &w->slot[0][0]);
		sluice_assert(i < (size_t)WHEEL_LEVELS * WHEEL_SLOTS);
		size_t s = i % WHEEL_SLOTS;
		w->used[i / WHEEL_SLOTS][s / 64] &= ~(1ULL << (s % 64));
	}
}

void wheel_insert(struct wheel *w, struct wheel_entry *e, uint64_t due_ns)
{
	if (wheel_entry_pending(e))
		wheel_cancel(w, e);
	e->due_ns = due_ns;
	entry_place(w, e);
	w->count++;
}

void wheel_cancel(struct wheel *w, struct wheel_entry *e)
{
	if (!wheel_entry_pending(e))
		return;
	sluice_assert(w->count > 0);
	entry_remove(w, e);
	w->count--;
}

/* First used slot of `level` at or after `from`; WHEEL_SLOTS = none. */
static unsigned slot_next(const struct wheel *w, unsigned level, unsigned from)
{
	for (unsigned i = from / 64; i < WHEEL_SLOTS / 64; i++) {
		uint64_t bits = w->used[level][i];
		if (i == from / 64)
			bits &= ~0ULL << (from % 64);
		if (bits != 0)
			return i * 64 + (unsigned)__builtin_ctzll(bits);
	}
	return WHEEL_SLOTS;
}

struct wheel_spot {
	unsigned level;
	unsigned slot;
	uint64_t tick; /* at which the slot begins */
};

/* The next slot with entries. The caller knows that there is one. */
static struct wheel_spot spot_next(const struct wheel *w)
{
	struct wheel_spot spot = {.level = TOP, .slot = 0};
	for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
		unsigned here = (w->now_tick >> level_shift(l)) & LEVEL_MASK;
		/* above level 0 the present slot is spread out already */
		unsigned s = slot_next(w, l, l == 0 ? here : here + 1);
		if (s == WHEEL_SLOTS)
			continue;
		uint64_t block = w->now_tick >> level_shift(l + 1);
		spot.level = l;
		spot.slot = s;
		spot.tick = (block << LEVEL_BITS | s) << level_shift(l);
		return spot;
	}
	uint64_t turn = w->now_tick >> level_shift(WHEEL_LEVELS);
	spot.tick = (turn + 1) << level_shift(WHEEL_LEVELS);
	return spot;
}

/* Places the entries of a slot anew; now_tick has just reached it. */
static void slot_spread(struct wheel *w, const struct wheel_spot *spot)
{
	struct wheel_entry *head = &w->slot[spot->level][spot->slot];
	struct wheel_entry *e = head->next;
	sluice_assert(e != head);
	head->prev->next = NULL;
	head->next = head->prev = head;
	w->used[spot->level][spot->slot / 64] &= ~(1ULL << (spot->slot % 64));
	while (e != NULL) {
		struct wheel_entry *next = e->next;
		entry_place(w, e);
		e = next;
	}
}

/* Moves now_tick to the next tick with entries, at most to `target`. Returns
 * the slot of now_tick, or NULL when it got to the target without one. */
static struct wheel_entry *wheel_advance(struct wheel *w, uint64_t target)
{
	while (w->count > 0) {
		struct wheel_spot spot = spot_next(w);
		if (spot.tick > target)
			break;
		w->now_tick = spot.tick;
		if (spot.level == 0)
			return &w->slot[0][spot.slot];
		slot_spread(w, &spot);
	}
	w->now_tick = target;
	return NULL;
}

struct wheel_entry *wheel_expire(struct wheel *w, uint64_t now_ns)
{
	uint64_t target = now_ns / w->tick_ns;
	if (target < w->now_tick)
		target = w->now_tick; /* time never runs back */
	struct wheel_entry *head = wheel_advance(w, target);
	if (head == NULL)
		return NULL;
	for (struct wheel_entry *e = head->next; e != head; e = e->next) {
		if (e->due_ns <= now_ns) {
			entry_remove(w, e);
			w->count--;
			return e;
		}
	}
	return NULL;
}

uint64_t wheel_next_ns(const struct wheel *w)
{
	if (w->count == 0)
		return CLOCK_NEVER_NS;
	struct wheel_spot spot = spot_next(w);
	if (spot.level > 0)
		return spot.tick * w->tick_ns;
	const struct wheel_entry *head = &w->slot[0][spot.slot];
	uint64_t next_ns = CLOCK_NEVER_NS;
	for (const struct wheel_entry *e = head->next; e != head; e = e->next) {
		if (e->due_ns < next_ns)
			next_ns = e->due_ns;
	}
	return next_ns;
}
