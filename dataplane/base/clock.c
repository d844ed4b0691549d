/* SPDX-License-Identifier: BSD-2-Clause
 *
 * clock.c - the two clocks of the system.
 *
 * Any thread; pure code is handed the time instead. One vDSO call each.
 * Errors: none; clock_gettime() of these two clocks cannot fail on Linux.
 */
#include "sluice/clock.h"

#include <time.h>

#include "sluice/assert.h"

static uint64_t clock_read_ns(clockid_t id)
{
	struct timespec t;
	int res = clock_gettime(id, &t);
	sluice_assert(res == 0 && t.tv_sec >= 0);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_realtime_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

uint32_t clock_realtime_s(void)
{
	return (uint32_t)(clock_read_ns(CLOCK_REALTIME) / NS_PER_S);
}
