/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ring.h - bounded queue of fixed slots: one producer, one consumer.
 *
 * Between two threads or, in shared memory, two processes: it holds no
 * pointers. The slots lie in an array of the caller's. A ring of N slots holds
 * N - 1. Lock-free and wait-free; nothing allocates. Killing either side
 * between any two instructions leaves a valid ring.
 * Concurrency Kit does the work; builds with the thread sanitizer, which
 * misreads ck's loads, get the same layout worked by __atomic instead.
 * RING_DEFINE(item) makes item_ring_push() and item_ring_pop() for `struct
 * item`; name producer and consumer where the ring is declared.
 */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sluice/assert.h"

#if defined(__SANITIZE_THREAD__)
#define RING_ATOMIC 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RING_ATOMIC 1
#endif
#endif
#ifndef RING_ATOMIC
#define RING_ATOMIC 0
#endif

#if RING_ATOMIC
struct ring_state {
	unsigned int c_head; /* consumer's line */
	char pad[60];
	unsigned int p_tail; /* producer's line */
	unsigned int p_head;
	char pad2[56];
	unsigned int size; /* constant */
	unsigned int mask;
};

static inline void ring_state_init(struct ring_state *s, unsigned int size)
{
	memset(s, 0, sizeof(*s));
	s->size = size;
	s->mask = size - 1;
}

static inline unsigned int ring_state_count(const struct ring_state *s)
{
	unsigned int c = __atomic_load_n(&s->c_head, __ATOMIC_ACQUIRE);
	unsigned int p = __atomic_load_n(&s->p_tail, __ATOMIC_ACQUIRE);
	return (p - c) & s->mask;
}

/* The slot to write to, or NULL when full. */
static inline void *ring_state_reserve(struct ring_state *s, void *slots,
				       size_t bytes)
{
	/* acquire pairs with the release in ring_state_take() */
	unsigned int c = __atomic_load_n(&s->c_head, __ATOMIC_ACQUIRE);
	unsigned int p = __atomic_load_n(&s->p_tail, __ATOMIC_RELAXED);
	if (((p + 1) & s->mask) == (c & s->mask))
		return NULL;
	return (char *)slots + bytes * (p & s->mask);
}

static inline void ring_state_commit(struct ring_state *s)
{
	unsigned int p = __atomic_load_n(&s->p_tail, __ATOMIC_RELAXED);
	/* pairs with the acquire in ring_state_take() */
	__atomic_store_n(&s->p_tail, p + 1, __ATOMIC_RELEASE);
}

static inline bool ring_state_take(struct ring_state *s, const void *slots,
				   void *out, size_t bytes)
{
	unsigned int c = __atomic_load_n(&s->c_head, __ATOMIC_RELAXED);
	unsigned int p = __atomic_load_n(&s->p_tail, __ATOMIC_ACQUIRE);
	if (c == p)
		return false;
	memcpy(out, (const char *)slots + bytes * (c & s->mask), bytes);
	__atomic_store_n(&s->c_head, c + 1, __ATOMIC_RELEASE);
	return true;
}

#define RING_DEFINE(item)                                                      \
	static inline bool item##_ring_push(                                   \
		struct ring *r, struct item *slots, const struct item *in)     \
	{                                                                      \
		void *to = ring_state_reserve(&r->state, slots, sizeof(*in));  \
		if (to == NULL)                                                \
			return false;                                          \
		memcpy(to, in, sizeof(*in));                                   \
		ring_state_commit(&r->state);                                  \
		return true;                                                   \
	}                                                                      \
	static inline bool item##_ring_pop(                                    \
		struct ring *r, const struct item *slots, struct item *out)    \
	{                                                                      \
		return ring_state_take(&r->state, slots, out, sizeof(*out));   \
	}
#else
#include <ck_ring.h>
#define ring_state            ck_ring
#define ring_state_init(s, n) ck_ring_init((s), (n))
#define ring_state_count(s)   ck_ring_size(s)

/* ck takes writable pointers for what it only reads. */
#define RING_DEFINE(item)                                                      \
	CK_RING_PROTOTYPE(item, item)                                          \
	static inline bool item##_ring_push(                                   \
		struct ring *r, struct item *slots, const struct item *in)     \
	{                                                                      \
		return ck_ring_enqueue_spsc_##item(                            \
			&r->state, slots, (struct item *)(uintptr_t)in);       \
	}                                                                      \
	static inline bool item##_ring_pop(                                    \
		struct ring *r, const struct item *slots, struct item *out)    \
	{                                                                      \
		return ck_ring_dequeue_spsc_##item(                            \
			&r->state, (struct item *)(uintptr_t)slots, out);      \
	}
#endif

struct ring {
	_Alignas(64) struct ring_state state;
};
_Static_assert(sizeof(struct ring) == 192, "the layout of ck and ours");

/* `slots` is a power of two, at least 2. */
static inline void ring_init(struct ring *r, uint32_t slots)
{
	sluice_assert(slots >= 2 && (slots & (slots - 1)) == 0);
	ring_state_init(&r->state, slots);
}

/* How many wait; a snapshot. */
static inline uint32_t ring_count(const struct ring *r)
{
	return ring_state_count(&r->state);
}

#endif
