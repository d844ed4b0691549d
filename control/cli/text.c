/* SPDX-License-Identifier: BSD-2-Clause
 *
 * text.c - numbers, times and strings as a person reads them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

void text_count(uint64_t n, char buf[32])
{
	char digits[24];
	int len =
		snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	char *out = buf;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
}

void text_duration(double seconds, char buf[32])
{
	unsigned long long s =
		seconds > 0 ? (unsigned long long)(seconds + 0.5) : 0;

	if (seconds < 0)
		snprintf(buf, 32, "unknown");
	else if (s < 60)
		snprintf(buf, 32, "%llu s", s);
	else if (s < 3600)
		snprintf(buf, 32, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, 32, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(buf, 32, "%llu d %llu h", s / 86400, s / 3600 % 24);
}

void text_bytes(uint64_t bytes, char buf[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes;
	unsigned u = 0;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(buf, 32, u == 0 ? "%.0f %s" : "%.1f %s", v, units[u]);
}

void text_time(uint64_t realtime_s, char buf[32])
{
	time_t t = (time_t)realtime_s;
	struct tm tm;

	if (realtime_s == 0 || localtime_r(&t, &tm) == NULL) {
		snprintf(buf, 32, "-");
		return;
	}
	strftime(buf, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

void text_rate(const json_t *per_s, char buf[32])
{
	double v = json_number_value(per_s);

	if (!json_is_number(per_s))
		snprintf(buf, 32, "no limit");
	else if (v >= 100 || v == 0)
		snprintf(buf, 32, "%.0f/s", v);
	else if (v >= 0.1)
		snprintf(buf, 32, "%.1f/s", v);
	else
		snprintf(buf, 32, "%.1f/h", v * 3600);
}

json_int_t json_int(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

const char *json_str(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "";
}

void print_json(const char *schema, json_t *j)
{
	char *text;

	if (json_object_get(j, "schema") == NULL)
		json_object_set_new(j, "schema", json_string(schema));
	json_object_del(j, "done");
	text = json_dumps(j, JSON_COMPACT);
	if (text != NULL)
		puts(text);
	free(text);
}

void print_safe_to(FILE *f, const char *s, size_t max)
{
	for (size_t i = 0; i < max && s[i] != '\0'; i++) {
		unsigned char c = (unsigned char)s[i];

		putc(c < 0x20 || c == 0x7f ? (c == '\n' ? ' ' : '?') : c, f);
	}
}

void print_safe(const char *s, size_t max)
{
	print_safe_to(stdout, s, max);
}

void unreadable_warn(const json_t *done)
{
	json_int_t n = json_int(done, "unreadable");

	if (n > 0)
		fprintf(stderr,
			"sluice: warning: the records of %lld messages are "
			"damaged: whether they belong to the selection cannot "
			"be told, they were passed over\n",
			(long long)n);
}
