/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_units.c - sizes and durations as people write them.
 *
 * Called by the config reader, selections and the command line. Pure, any
 * thread. Errors: -EINVAL, with no output; also for what 64 bits cannot hold.
 */
#include <errno.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/config.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"", 1},
	{"B", 1},
	{"KiB", 1ULL << 10},
	{"MiB", 1ULL << 20},
	{"GiB", 1ULL << 30},
	{"TiB", 1ULL << 40},
	{NULL, 0},
};

static const struct unit duration_units[] = {
	{"ms", NS_PER_MS},
	{"s", NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
	{"d", 86400 * NS_PER_S},
	{"w", 7 * 86400ULL * NS_PER_S},
	{NULL, 0},
};

static int unit_parse(const char *text, const struct unit *units, uint64_t *out)
{
	uint64_t n = 0;
	const char *s = text;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return -EINVAL;
	}
	if (s == text)
		return -EINVAL;
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcmp(s, u->name) != 0)
			continue;
		if (__builtin_mul_overflow(n, u->factor, &n))
			return -EINVAL;
		*out = n;
		return 0;
	}
	return -EINVAL;
}

int config_size_parse(const char *text, uint64_t *bytes)
{
	return unit_parse(text, size_units, bytes);
}

int config_duration_parse(const char *text, uint64_t *ns)
{
	return unit_parse(text, duration_units, ns);
}
