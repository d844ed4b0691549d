/* SPDX-License-Identifier: BSD-2-Clause
 *
 * clock.h - time, always with its unit.
 *
 * Pure code never calls these: it is handed `now_ns`. Monotonic time paces;
 * real time (seconds since 1970) dates messages and survives restarts.
 */
#ifndef SLUICE_CLOCK_H
#define SLUICE_CLOCK_H

#include <stdint.h>

#define NS_PER_US      1000ULL
#define NS_PER_MS      1000000ULL
#define NS_PER_S       1000000000ULL
#define CLOCK_NEVER_NS UINT64_MAX

uint64_t clock_monotonic_ns(void);
uint64_t clock_realtime_ns(void);
uint32_t clock_realtime_s(void);

#endif
