/* SPDX-License-Identifier: BSD-2-Clause
 *
 * wait.c - the wait that a receiver tells: "try again in 5 minutes",
 * "come back in 00:05:00", "wait 300 seconds", "retry after five minutes".
 *
 * Called by classify_reply() on a normalised (lower-case) text, any thread.
 * Bound: one pass; CLASSIFY_WAIT_S_MAX.
 */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "classify/classify_priv.h"

#define WAIT_CONTEXT_BYTES 56 /* how far before it "again", "retry" … stand */
#define WAIT_DIGITS_MAX    7

struct word_value {
	const char *word;
	uint32_t value;
};

/* The longer of two words with the same beginning comes first. */
static const struct word_value wait_units[] = {
	{"seconds", 1},    {"second", 1},    {"secs", 1},     {"sec", 1},
	{"minutes", 60},   {"minute", 60},   {"minuten", 60}, {"mins", 60},
	{"min", 60},       {"hours", 3600},  {"hour", 3600},  {"hrs", 3600},
	{"hr", 3600},      {"days", 86400},  {"day", 86400},  {"sekunden", 1},
	{"stunden", 3600}, {"heures", 3600}, {"secondes", 1}, {"minutos", 60},
	{"s", 1},          {"m", 60},        {"h", 3600},     {"d", 86400},
};

static const struct word_value wait_numbers[] = {
	{"a few", 5},   {"several", 5},  {"few", 5},     {"an", 1},
	{"a", 1},       {"one", 1},      {"two", 2},     {"three", 3},
	{"four", 4},    {"five", 5},     {"six", 6},     {"ten", 10},
	{"twelve", 12}, {"fifteen", 15}, {"twenty", 20}, {"thirty", 30},
	{"sixty", 60},
};

static const char *const wait_before[] = {
	"again",      "retry",     "retri",  "wait",   "come back",
	"resend",     "return",    "defer",  "delay",  "greylist",
	"graylist",   "grey list", "later",  "expire", "blocked for",
	"send after", "re-send",   "erneut",
};

static bool word_ends(const char *text, size_t len, size_t at)
{
	return at >= len || !isalnum((unsigned char)text[at]);
}

/* Length of the word of `table` that stands at the beginning; 0 = none. */
static size_t word_read(const struct word_value *table, size_t count,
			const char *text, size_t len, uint32_t *value)
{
	size_t i, word_len, best = 0;

	for (i = 0; i < count; i++) {
		word_len = strlen(table[i].word);
		if (word_len > best && word_len <= len &&
		    memcmp(text, table[i].word, word_len) == 0 &&
		    word_ends(text, len, word_len)) {
			best = word_len;
			*value = table[i].value;
		}
	}
	return best;
}

static size_t digits_read(const char *text, size_t len, uint32_t *value)
{
	size_t i = 0;
	uint32_t n = 0;

	while (i < len && isdigit((unsigned char)text[i])) {
		if (i == WAIT_DIGITS_MAX)
			return 0;
		n = n * 10 + (uint32_t)(text[i++] - '0');
	}
	*value = n;
	return i;
}

/* "00:05:00" (hours first) or "04:12" (minutes first). */
static size_t clock_read(const char *text, size_t len, uint32_t *seconds)
{
	uint32_t part[3];
	size_t at = 0, used;
	int count = 0;

	while (count < 3) {
		used = digits_read(text + at, len - at, &part[count]);
		if (used == 0 || used > 3)
			return 0;
		count++;
		at += used;
		if (at >= len || text[at] != ':')
			break;
		at++;
	}
	if (count < 2 || !word_ends(text, len, at))
		return 0;
	*seconds = count == 3 ? part[0] * 3600 + part[1] * 60 + part[2]
			      : part[0] * 60 + part[1];
	return at;
}

/* A number and its unit: "300 seconds", "5min", "[60] secs", "an hour". */
static size_t amount_read(const char *text, size_t len, uint64_t *seconds)
{
	uint32_t number, unit;
	size_t at, used;

	at = digits_read(text, len, &number);
	if (at == 0)
		at = word_read(wait_numbers,
			       sizeof(wait_numbers) / sizeof(wait_numbers[0]),
			       text, len, &number);
	if (at == 0)
		return 0;
	if (at < len && (text[at] == ']' || text[at] == ')' || text[at] == '+'))
		at++;
	if (at < len && (text[at] == ' ' || text[at] == '-'))
		at++;
	used = word_read(wait_units, sizeof(wait_units) / sizeof(wait_units[0]),
			 text + at, len - at, &unit);
	if (used == 0)
		return 0;
	*seconds = (uint64_t)number * unit;
	return at + used;
}

/* "1 hour and 30 minutes", "4 min, 12 s". */
static uint64_t amounts_read(const char *text, size_t len)
{
	uint64_t total = 0, one;
	size_t at = 0, used;

	while ((used = amount_read(text + at, len - at, &one)) > 0) {
		total += one;
		at += used;
		while (at < len && (text[at] == ' ' || text[at] == ','))
			at++;
		if (len - at > 4 && memcmp(text + at, "and ", 4) == 0)
			at += 4;
	}
	return total;
}

static uint32_t wait_bounded(uint64_t seconds)
{
	return seconds > CLASSIFY_WAIT_S_MAX ? CLASSIFY_WAIT_S_MAX
					     : (uint32_t)seconds;
}

uint32_t wait_duration_s(const char *text, size_t len)
{
	uint32_t seconds;

	if (clock_read(text, len, &seconds) > 0)
		return wait_bounded(seconds);
	return wait_bounded(amounts_read(text, len));
}

/* Whether the words before `at` ask to come back later. */
static bool wait_is_asked(const char *text, size_t len, size_t at)
{
	size_t from = at > WAIT_CONTEXT_BYTES ? at - WAIT_CONTEXT_BYTES : 0;
	size_t i;

	for (i = 0; i < sizeof(wait_before) / sizeof(wait_before[0]); i++)
		if (memmem(text + from, at - from, wait_before[i],
			   strlen(wait_before[i])) != NULL)
			return true;
	/* "(greylisted) 59 seconds left": what follows tells it. */
	return len - at < WAIT_CONTEXT_BYTES &&
	       (memmem(text + at, len - at, " left", 5) != NULL ||
		memmem(text + at, len - at, "remaining", 9) != NULL);
}

uint32_t wait_told_s(const char *text, size_t len)
{
	uint32_t seconds;
	size_t at;

	for (at = 0; at < len; at++) {
		if (at > 0 && (isalnum((unsigned char)text[at - 1]) ||
			       strchr(".:/-", text[at - 1]) != NULL))
			continue;
		/* The starts of an amount: a digit or "a", "f", "o", "s", "t"
		 */
		if (!isdigit((unsigned char)text[at]) &&
		    strchr("afost", text[at]) == NULL)
			continue;
		seconds = wait_duration_s(text + at, len - at);
		if (seconds > 0 && wait_is_asked(text, len, at))
			return seconds;
	}
	return 0;
}
