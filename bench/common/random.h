/* SPDX-License-Identifier: BSD-2-Clause
 *
 * random.h - reproducible random numbers: the same seed, the same backlog.
 *
 * Plain values, any thread, no allocation.
 * Source: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
 */
#ifndef SLUICE_BENCH_RANDOM_H
#define SLUICE_BENCH_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random_state {
	uint64_t s;
};

static inline uint64_t random_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* Streams of one seed are independent of each other and of their order. */
static inline struct random_state random_stream(uint64_t seed, uint64_t stream)
{
	return (struct random_state){random_mix(seed ^ random_mix(stream))};
}

static inline uint64_t random_next(struct random_state *r)
{
	uint64_t out = random_mix(r->s);

	r->s += 0x9e3779b97f4a7c15ULL;
	return out;
}

/* 0 .. below-1; `below` > 0. Bias under 2^-32 for the ranges used here. */
static inline uint64_t random_below(struct random_state *r, uint64_t below)
{
	return (uint64_t)(((unsigned __int128)random_next(r) * below) >> 64);
}

/* In [0, 1). */
static inline double random_unit(struct random_state *r)
{
	return (double)(random_next(r) >> 11) * 0x1.0p-53;
}

static inline bool random_percent(struct random_state *r, uint32_t percent)
{
	return random_below(r, 100) < percent;
}

#endif
