/* SPDX-License-Identifier: BSD-2-Clause
 *
 * speed.c - how long a reply takes: classify_speed FILE prints nanoseconds per
 * reply over the file's texts, with machine code and without. Reports only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "classify/classify_priv.h"

#define SPEED_REPLIES_MAX 4096
#define SPEED_ROUNDS      200

static struct reply *replies;
static size_t reply_count;

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* phase, code, enhanced, text, class; the first column of six is skipped. */
static void line_add(char *line)
{
	struct reply *r = &replies[reply_count];
	char *column[6], *next = line;
	int count = 0, first, phase;

	line[strcspn(line, "\n")] = '\0';
	while (next != NULL && count < 6)
		column[count++] = strsep(&next, "\t");
	first = count - 5;
	if (first < 0 || reply_count == SPEED_REPLIES_MAX)
		return;
	phase = phase_parse(column[first]);
	if (phase < 0)
		return;
	r->phase = (uint8_t)phase;
	r->code = (uint16_t)strtoul(column[first + 1], NULL, 10);
	text_enhanced_parse(column[first + 2], strlen(column[first + 2]),
			    r->enhanced);
	r->text = strdup(column[first + 3]);
	r->text_len = (uint32_t)strlen(column[first + 3]);
	r->provider = "";
	r->remote = "mx.example.com";
	reply_count++;
}

static void measure(const struct classify *c, const char *what)
{
	struct classify_scratch *s = classify_scratch_create(c);
	struct verdict v;
	double begin, one, slowest = 0, total;
	size_t i;
	int round;

	begin = seconds_now();
	for (round = 0; round < SPEED_ROUNDS; round++)
		for (i = 0; i < reply_count; i++)
			classify_reply(c, s, &replies[i], &v);
	total = seconds_now() - begin;
	for (i = 0; i < reply_count; i++) {
		one = seconds_now();
		for (round = 0; round < 20; round++)
			classify_reply(c, s, &replies[i], &v);
		one = (seconds_now() - one) / 20;
		if (one > slowest)
			slowest = one;
	}
	printf("%s: %zu replies, mean %.2f us, slowest %.2f us\n", what,
	       reply_count, total / SPEED_ROUNDS / (double)reply_count * 1e6,
	       slowest * 1e6);
	classify_scratch_destroy(&s);
}

int main(int argc, char **argv)
{
	char line[4096];
	struct classify *c = NULL;
	FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
	double begin;
	int jit;

	replies = calloc(SPEED_REPLIES_MAX, sizeof(*replies));
	if (f == NULL || replies == NULL)
		return 64;
	while (fgets(line, sizeof(line), f) != NULL)
		if (line[0] != '#')
			line_add(line);
	fclose(f);
	for (jit = 1; jit >= 0 && reply_count > 0; jit--) {
		begin = seconds_now();
		if (rules_load(NULL, jit == 1, &c, NULL) != 0)
			return 1;
		printf("load: %.1f ms\n", (seconds_now() - begin) * 1e3);
		measure(c, jit ? "machine code" : "interpreted");
		classify_destroy(&c);
	}
	while (reply_count > 0)
		free((char *)replies[--reply_count].text);
	free(replies);
	return 0;
}
