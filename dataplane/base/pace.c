/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pace.c - rates as fractions, and the bucket that spends them.
 *
 * Called by the release engine, the simulator and the config. Pure; one owner
 * thread per bucket. All O(1), in integers: products are 128 bits wide.
 */
#include "sluice/pace.h"

#include "sluice/assert.h"
#include "sluice/clock.h"

#define PERIOD_MAX_NS (1ULL << 62) /* 146 years */

typedef unsigned __int128 wide;

bool pace_is_unlimited(struct pace p)
{
	return p.count > 0 && p.period_ns == 0;
}

bool pace_equal(struct pace a, struct pace b)
{
	return pace_compare(a, b) == 0;
}

int pace_compare(struct pace a, struct pace b)
{
	bool a_unlimited = pace_is_unlimited(a);
	bool b_unlimited = pace_is_unlimited(b);
	if (a_unlimited || b_unlimited)
		return (int)a_unlimited - (int)b_unlimited;
	/* {0, 0} is stopped as well: its period must not count */
	wide left = a.count == 0   ? 0
		    : b.count == 0 ? 1
				   : (wide)a.count * b.period_ns;
	wide right = b.count == 0   ? 0
		     : a.count == 0 ? 1
				    : (wide)b.count * a.period_ns;
	return left < right ? -1 : left > right;
}

double pace_per_second(struct pace p)
{
	if (p.count == 0)
		return 0;
	if (p.period_ns == 0)
		return __builtin_inf();
	return (double)p.count * (double)NS_PER_S / (double)p.period_ns;
}

uint64_t pace_count_in(struct pace p, uint64_t span_ns)
{
	if (p.count == 0)
		return 0;
	if (p.period_ns == 0)
		return UINT64_MAX;
	wide n = (wide)span_ns * p.count / p.period_ns;
	return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

static wide divisor_common(wide a, wide b)
{
	while (b != 0) {
		wide rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

struct pace pace_scale(struct pace p, uint32_t num, uint32_t den)
{
	sluice_assert(den > 0);
	if (p.count == 0 || num == 0)
		return PACE_STOPPED;
	if (p.period_ns == 0)
		return p;
	wide count = (wide)p.count * num;
	wide period_ns = (wide)p.period_ns * den;
	wide common = divisor_common(count, period_ns);
	count /= common;
	period_ns /= common;
	/* drop the lowest bits of both: fewer messages, a longer period */
	while (count > UINT32_MAX || period_ns > PERIOD_MAX_NS) {
		count = count > 1 ? count / 2 : 1;
		period_ns = period_ns / 2 + period_ns % 2;
	}
	return (struct pace){(uint32_t)count, (uint64_t)period_ns};
}

/* `tokens` intervals as nanoseconds and a rest in 1/count ns. */
static wide pace_span(struct pace p, uint64_t tokens, uint32_t *rem)
{
	wide span = (wide)tokens * p.period_ns;
	*rem = (uint32_t)(span % p.count);
	return span / p.count;
}

/* One interval, rounded up. 0 for unlimited. */
static uint64_t pace_interval_ns(struct pace p)
{
	sluice_assert(p.count > 0);
	return p.period_ns / p.count + (p.period_ns % p.count != 0);
}

static uint64_t time_add(uint64_t a_ns, wide b_ns)
{
	/* NEVER itself stays free to mean never */
	uint64_t max_ns = CLOCK_NEVER_NS - 1;
	return b_ns > max_ns - a_ns ? max_ns : a_ns + (uint64_t)b_ns;
}

void pace_bucket_init(struct pace_bucket *b, struct pace p, uint64_t now_ns,
		      uint64_t lag_max_ns)
{
	*b = (struct pace_bucket){
		.pace = p,
		.next_ns = now_ns,
		.lag_max_ns = lag_max_ns,
	};
}

/* Where the last token lies after a change to `p`. One that was spent ahead of
 * time moves: what is owed is owed in intervals, not in nanoseconds. */
static uint64_t bucket_last_ns(const struct pace_bucket *b, struct pace p,
			       uint64_t now_ns)
{
	bool owed = b->last_ns > now_ns && b->pace.count > 0 && p.count > 0 &&
		    b->pace.period_ns > 0;
	if (!owed)
		return b->last_ns;
	/* owed tokens = ahead x old rate; ahead at the new = that / new rate */
	wide tokens = (wide)(b->last_ns - now_ns) * b->pace.count;
	wide whole = tokens / b->pace.period_ns;
	wide part = tokens % b->pace.period_ns;
	if (whole > UINT32_MAX)
		whole = UINT32_MAX; /* keeps the product within 128 bits */
	wide ahead_ns = whole * p.period_ns / p.count;
	/* the part of a token: two steps, so that no product leaves 128 bits */
	ahead_ns += part * (p.period_ns / p.count + 1) / b->pace.period_ns + 1;
	return time_add(now_ns, ahead_ns);
}

void pace_bucket_set(struct pace_bucket *b, struct pace p, uint64_t now_ns)
{
	if (pace_equal(b->pace, p)) {
		/* same rate in other terms: the fraction changes its unit */
		if (b->pace.count != p.count && b->next_rem > 0) {
			b->next_rem = 0;
			b->next_ns = time_add(b->next_ns, 1);
		}
		b->pace = p;
		return;
	}
	uint64_t next_ns = now_ns;
	if (b->spent) {
		b->last_ns = bucket_last_ns(b, p, now_ns);
		uint64_t interval_ns = p.count > 0 ? pace_interval_ns(p) : 0;
		next_ns = time_add(b->last_ns, interval_ns);
	} else if (b->next_ns > now_ns) {
		next_ns = b->next_ns; /* a first token that lies ahead */
	}
	b->next_ns = next_ns > now_ns ? next_ns : now_ns;
	b->next_rem = 0;
	b->pace = p;
}

uint64_t pace_bucket_due_ns(const struct pace_bucket *b)
{
	if (b->pace.count == 0)
		return CLOCK_NEVER_NS;
	return time_add(b->next_ns, b->next_rem > 0);
}

void pace_bucket_spend(struct pace_bucket *b, uint64_t now_ns, uint32_t tokens)
{
	sluice_assert(b->pace.count > 0 && tokens > 0);
	b->spent = true;
	if (pace_is_unlimited(b->pace)) {
		b->next_ns = b->last_ns = now_ns;
		b->next_rem = 0;
		return;
	}
	if (now_ns > b->lag_max_ns && b->next_ns < now_ns - b->lag_max_ns) {
		b->next_ns = now_ns - b->lag_max_ns; /* the rest is forgotten */
		b->next_rem = 0;
	}
	uint32_t ahead_rem;
	wide ahead_ns = pace_span(b->pace, tokens - 1, &ahead_rem);
	b->last_ns = time_add(b->next_ns, ahead_ns);
	uint32_t rem;
	wide span_ns = pace_span(b->pace, tokens, &rem);
	uint64_t sum = (uint64_t)b->next_rem + rem;
	if (sum >= b->pace.count) {
		sum -= b->pace.count;
		span_ns++;
	}
	b->next_ns = time_add(b->next_ns, span_ns);
	b->next_rem = (uint32_t)sum;
}
