/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pace_text.c - "20/s" and back.
 *
 * Called by the config, the command line and status output. Pure, any thread.
 * Errors: -EINVAL, with no output.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/pace.h"

static const struct pace_unit {
	char letter;
	uint64_t ns;
} units[] = {
	{'s', NS_PER_S},
	{'m', 60 * NS_PER_S},
	{'h', 3600 * NS_PER_S},
	{'d', 86400 * NS_PER_S},
};
#define UNITS (sizeof(units) / sizeof(units[0]))

int pace_parse(const char *text, struct pace *out)
{
	if (strcmp(text, "unlimited") == 0) {
		*out = PACE_UNLIMITED;
		return 0;
	}
	uint64_t count = 0;
	const char *s = text;
	for (; *s >= '0' && *s <= '9'; s++) {
		count = count * 10 + (uint64_t)(*s - '0');
		if (count > UINT32_MAX)
			return -EINVAL;
	}
	if (s == text || s[0] != '/' || s[1] == '\0' || s[2] != '\0')
		return -EINVAL;
	for (size_t i = 0; i < UNITS; i++) {
		if (units[i].letter != s[1])
			continue;
		if (count == 0)
			*out = PACE_STOPPED;
		else
			*out = (struct pace){(uint32_t)count, units[i].ns};
		return 0;
	}
	return -EINVAL;
}

/* Messages per unit; false if that is no whole number. */
static bool count_per(struct pace p, uint64_t unit_ns, uint64_t *count)
{
	unsigned __int128 n = (unsigned __int128)p.count * unit_ns;
	if (n % p.period_ns != 0 || n / p.period_ns > UINT32_MAX)
		return false;
	*count = (uint64_t)(n / p.period_ns);
	return *count > 0;
}

static const char *format_rounded(struct pace p, char buf[32])
{
	const struct pace_unit *day = &units[UNITS - 1];
	uint64_t per_day = pace_count_in(p, day->ns);
	if (per_day > 0) {
		size_t i = 0;
		/* the smallest unit that still shows three digits */
		while (i < UNITS - 1 && pace_count_in(p, units[i].ns) < 100)
			i++;
		(void)snprintf(buf, 32, "%" PRIu64 "/%c",
			       pace_count_in(p, units[i].ns), units[i].letter);
		return buf;
	}
	uint64_t interval_ns = p.period_ns / p.count;
	(void)snprintf(buf, 32, "1/%" PRIu64 "d", (interval_ns / day->ns + 1));
	return buf;
}

const char *pace_format(struct pace p, char buf[32])
{
	if (p.count == 0)
		return memcpy(buf, "0/s", 4);
	if (p.period_ns == 0)
		return memcpy(buf, "unlimited", 10);
	for (size_t i = 0; i < UNITS; i++) {
		uint64_t count;
		/* counts only grow with the unit: the first is the shortest */
		if (!count_per(p, units[i].ns, &count))
			continue;
		(void)snprintf(buf, 32, "%" PRIu64 "/%c", count,
			       units[i].letter);
		return buf;
	}
	return format_rounded(p, buf);
}
