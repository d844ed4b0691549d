/* SPDX-License-Identifier: BSD-2-Clause
 *
 * report.c - medians, spans and ratios of a drain measurement.
 *
 * Called once, at the end. A ratio is of medians of the same rounds.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "drain/drain_priv.h"

#define FIELD(name) offsetof(struct drain_sample, name)

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Sorted values of one field. */
static void values_of(const struct drain *d, const struct drain_contender *c,
		      size_t field, double out[DRAIN_RUNS_MAX])
{
	for (uint64_t i = 0; i < d->runs; i++)
		memcpy(&out[i], (const char *)&c->samples[i] + field,
		       sizeof(double));
	qsort(out, d->runs, sizeof(*out), double_compare);
}

static double median_of(const struct drain *d, const struct drain_contender *c,
			size_t field)
{
	double v[DRAIN_RUNS_MAX] = {0};
	uint64_t half = d->runs / 2;

	values_of(d, c, field, v);
	return d->runs % 2 ? v[half] : (v[half - 1] + v[half]) / 2;
}

static json_t *contender_json(const struct drain *d,
			      const struct drain_contender *c)
{
	uint64_t lost = 0, duplicated = 0, altered = 0, errors = 0;
	json_t *rates = json_array();
	double v[DRAIN_RUNS_MAX] = {0};

	values_of(d, c, FIELD(rate), v);
	for (uint64_t i = 0; i < d->runs; i++) {
		const struct drain_sample *s = &c->samples[i];

		json_array_append_new(rates, json_real(s->rate));
		lost += s->lost;
		duplicated += s->duplicated;
		altered += s->altered;
		errors += s->protocol_errors;
	}
	return json_pack("{s:f,s:f,s:f,s:o,s:f,s:f,s:f,s:I,s:I,s:I,s:I}",
			 "rate", median_of(d, c, FIELD(rate)), "rate_min", v[0],
			 "rate_max", v[d->runs - 1], "rates", rates,
			 "first_seconds", median_of(d, c, FIELD(first_s)),
			 "settled_seconds", median_of(d, c, FIELD(settled_s)),
			 "import_rate", median_of(d, c, FIELD(import_rate)),
			 "lost", (json_int_t)lost, "duplicated",
			 (json_int_t)duplicated, "altered", (json_int_t)altered,
			 "protocol_errors", (json_int_t)errors);
}

static double ratio_to(const struct drain *d, uint32_t i)
{
	double other = median_of(d, &d->contenders[i], FIELD(rate));

	return other > 0 ? median_of(d, &d->contenders[0], FIELD(rate)) / other
			 : 0;
}

static json_t *machine_json(void)
{
	struct utsname u;

	uname(&u);
	return json_pack("{s:s,s:s,s:I}", "host", u.nodename, "kernel",
			 u.release, "cpus",
			 (json_int_t)sysconf(_SC_NPROCESSORS_ONLN));
}

static void report_json(const struct drain *d)
{
	json_t *contenders = json_object(), *ratios = json_object(), *j;

	for (uint32_t i = 0; i < d->contender_count; i++) {
		const struct drain_contender *c = &d->contenders[i];
		char key[64];

		json_object_set_new(contenders, c->name, contender_json(d, c));
		if (i == 0)
			continue;
		snprintf(key, sizeof(key), "%s_to_%s", d->contenders[0].name,
			 c->name);
		json_object_set_new(ratios, key, json_real(ratio_to(d, i)));
	}
	j = json_pack("{s:s,s:o,s:I,s:s,s:I,s:I,s:s,s:b,s:o,s:o}", "schema",
		      "sluice-bench.drain.1", "machine", machine_json(),
		      "messages", (json_int_t)d->messages, "size", d->size,
		      "connections", (json_int_t)d->connections, "runs",
		      (json_int_t)d->runs, "from", d->from, "campus", d->campus,
		      "contenders", contenders, "ratios", ratios);
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(j);
}

static void report_text(const struct drain *d)
{
	printf("%llu messages of %s, %llu connections, medians of %llu runs\n"
	       "%-14s %10s %21s %8s %8s %6s\n",
	       (unsigned long long)d->messages, d->size,
	       (unsigned long long)d->connections, (unsigned long long)d->runs,
	       "", "messages/s", "[min - max]", "ours/its", "first s", "wrong");
	for (uint32_t i = 0; i < d->contender_count; i++) {
		const struct drain_contender *c = &d->contenders[i];
		double v[DRAIN_RUNS_MAX] = {0};
		uint64_t wrong = 0;
		char span[64];

		values_of(d, c, FIELD(rate), v);
		for (uint64_t r = 0; r < d->runs; r++)
			wrong += c->samples[r].lost + c->samples[r].altered +
				 c->samples[r].duplicated;
		snprintf(span, sizeof(span), "[%.0f - %.0f]", v[0],
			 v[d->runs - 1]);
		printf("%-14s %10.0f %21s %8.2f %8.2f %6llu\n", c->name,
		       median_of(d, c, FIELD(rate)), span,
		       i ? ratio_to(d, i) : 1.0,
		       median_of(d, c, FIELD(first_s)),
		       (unsigned long long)wrong);
	}
}

void drain_report(const struct drain *d)
{
	if (d->json)
		report_json(d);
	else
		report_text(d);
}
