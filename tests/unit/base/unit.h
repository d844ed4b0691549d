/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit.h - what the unit tests of the base share: cmocka and a generator.
 *
 * A test that draws random numbers prints its seed; SLUICE_SEED repeats it.
 */
#ifndef SLUICE_TESTS_UNIT_BASE_UNIT_H
#define SLUICE_TESTS_UNIT_BASE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct unit_random {
	uint64_t state;
};

static inline struct unit_random unit_random_start(const char *test)
{
	const char *given = getenv("SLUICE_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
				      : (uint64_t)time(NULL);
	print_message("%s: SLUICE_SEED=%llu\n", test, (unsigned long long)seed);
	return (struct unit_random){seed};
}

/* splitmix64 */
static inline uint64_t unit_random_next(struct unit_random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline uint64_t unit_random_below(struct unit_random *r, uint64_t n)
{
	return unit_random_next(r) % n;
}

#endif
