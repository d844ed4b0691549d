/* SPDX-License-Identifier: BSD-2-Clause
 *
 * wheel.h - hierarchical timing wheel: O(1) insert, cancel and expiry.
 *
 * Pure and intrusive: no clock, no allocation. Ticks of `tick_ns`; four levels
 * of 256 slots (1 ms ticks reach 49 days, later ones wait in the top level and
 * are re-inserted). An entry never expires before its time. One owner thread.
 * Source: Varghese & Lauck, "Hashed and hierarchical timing wheels", scheme 7.
 */
#ifndef SLUICE_WHEEL_H
#define SLUICE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_LEVELS 4
#define WHEEL_SLOTS  256

struct wheel_entry {
	struct wheel_entry *next; /* NULL = not in a wheel */
	struct wheel_entry *prev;
	uint64_t due_ns; /* exact time that was asked for */
};

struct wheel {
	uint64_t tick_ns;
	uint64_t now_tick; /* all ticks before this one have expired */
	uint32_t count;
	uint64_t used[WHEEL_LEVELS][WHEEL_SLOTS / 64]; /* non-empty slots */
	struct wheel_entry slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t tick_ns, uint64_t now_ns);
void wheel_entry_init(struct wheel_entry *e);
bool wheel_entry_pending(const struct wheel_entry *e);
/* Moves the entry if it is already in the wheel. */
void wheel_insert(struct wheel *w, struct wheel_entry *e, uint64_t due_ns);
void wheel_cancel(struct wheel *w, struct wheel_entry *e);
/* Takes ONE entry with due_ns <= now_ns out and returns it; NULL when none is
 * left. Entries of one tick come in insertion order. Call until NULL. */
struct wheel_entry *wheel_expire(struct wheel *w, uint64_t now_ns);
/* Lower bound of the next expiry, exact within the first level;
 * CLOCK_NEVER_NS when empty. */
uint64_t wheel_next_ns(const struct wheel *w);

#endif
