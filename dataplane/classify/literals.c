/* SPDX-License-Identifier: BSD-2-Clause
 *
 * literals.c - the literals that a pattern demands.
 *
 * Called by prefilter_add() while rules load. Understands the part of PCRE2
 * that rules use; meets it anything else, it says "demands nothing", which
 * costs time but never a match.
 * Bound: the pattern's length, nesting up to LITERALS_DEPTH_MAX.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "classify/prefilter.h"

#define LITERALS_DEPTH_MAX 8

struct pattern_reader {
	const char *at;
	bool failed; /* met something not understood */
};

/* One sequence between '|'s: the run being collected, the best set so far. */
struct sequence {
	struct literal run;
	struct literal_set best;
};

static uint32_t set_score(const struct literal_set *set)
{
	uint32_t i, score = PREFILTER_LITERAL_MAX;

	if (set->count == 0)
		return 0;
	for (i = 0; i < set->count; i++)
		if (set->item[i].len < score)
			score = set->item[i].len;
	/* A long literal excludes more; many literals exclude less. */
	return score * 8 > set->count ? score * 8 - set->count / 4 : 1;
}

static void sequence_offer(struct sequence *q, const struct literal_set *set)
{
	if (set_score(set) > set_score(&q->best))
		q->best = *set;
}

static void run_end(struct sequence *q)
{
	struct literal_set *set;

	if (q->run.len >= PREFILTER_GRAM_BYTES) {
		set = calloc(1, sizeof(*set));
		if (set != NULL) {
			set->count = 1;
			set->item[0] = q->run;
			sequence_offer(q, set);
			free(set);
		}
	}
	q->run.len = 0;
}

static void run_add(struct sequence *q, char c)
{
	if (q->run.len == PREFILTER_LITERAL_MAX)
		return;
	q->run.text[q->run.len++] = (char)tolower((unsigned char)c);
}

/* Reads a quantifier. Returns the least count: 1 with `*plain` when there is
 * none. */
static unsigned long quantifier(struct pattern_reader *r, bool *plain)
{
	unsigned long least = 1;
	char *end;

	*plain = false;
	if (*r->at == '*' || *r->at == '?') {
		least = 0;
		r->at++;
	} else if (*r->at == '+') {
		r->at++;
	} else if (*r->at == '{') {
		least = strtoul(r->at + 1, &end, 10);
		r->at = strchr(end, '}');
		if (r->at == NULL) {
			r->at = "";
			r->failed = true;
			return 0;
		}
		r->at++;
	} else {
		*plain = true;
		return 1;
	}
	if (*r->at == '?' || *r->at == '+') /* lazy or possessive */
		r->at++;
	return least;
}

static void one_char(struct pattern_reader *r, struct sequence *q, char c)
{
	bool plain, full = q->run.len == PREFILTER_LITERAL_MAX;
	unsigned long least;

	least = quantifier(r, &plain);
	if (least > 0)
		run_add(q, c);
	/* A run that is full must not go on behind a gap. */
	if (!plain || full)
		run_end(q);
}

static void any_char(struct pattern_reader *r, struct sequence *q)
{
	bool plain;

	run_end(q);
	quantifier(r, &plain);
}

static void escape(struct pattern_reader *r, struct sequence *q)
{
	char c = *r->at;

	if (c == 'b' || c == 'B') {
		r->at++;
	} else if (c != '\0' && strchr("dDsSwWhHvVR", c) != NULL) {
		r->at++;
		any_char(r, q);
	} else if (c == '\0' || isalnum((unsigned char)c)) {
		r->failed = true;
	} else {
		r->at++;
		one_char(r, q, c);
	}
}

static void char_class(struct pattern_reader *r, struct sequence *q)
{
	if (*r->at == '^')
		r->at++;
	if (*r->at == ']')
		r->at++;
	while (*r->at != '\0' && *r->at != ']') {
		if (r->at[0] == '[' && r->at[1] == ':') {
			r->failed = true;
			return;
		}
		if (*r->at == '\\' && r->at[1] != '\0')
			r->at++;
		r->at++;
	}
	if (*r->at == ']')
		r->at++;
	any_char(r, q);
}

static void alternatives(struct pattern_reader *r, int depth,
			 struct literal_set *out);

enum group_kind { GROUP_DEMANDS, GROUP_FORBIDS, GROUP_UNKNOWN };

/* Skips "?:", "?<name>" or the sign of a look-around. What a positive one
 * looks at must be in the text too, so it demands like any group. */
static enum group_kind group_head(struct pattern_reader *r)
{
	const char *end;

	bool behind, forbids;

	if (*r->at != '?')
		return GROUP_DEMANDS;
	if (r->at[1] == ':') {
		r->at += 2;
		return GROUP_DEMANDS;
	}
	behind = r->at[1] == '<';
	forbids = r->at[1 + behind] == '!';
	if (forbids || r->at[1 + behind] == '=') {
		r->at += 2 + behind;
		return forbids ? GROUP_FORBIDS : GROUP_DEMANDS;
	}
	end = strchr(r->at, '>');
	if (behind && isalpha((unsigned char)r->at[2]) && end != NULL) {
		r->at = end + 1;
		return GROUP_DEMANDS;
	}
	return GROUP_UNKNOWN;
}

static void group(struct pattern_reader *r, int depth, struct sequence *q)
{
	struct literal_set *set = calloc(1, sizeof(*set));
	enum group_kind kind = group_head(r);
	bool plain;

	run_end(q);
	if (set == NULL || depth >= LITERALS_DEPTH_MAX ||
	    kind == GROUP_UNKNOWN) {
		r->failed = true;
		free(set);
		return;
	}
	alternatives(r, depth + 1, set);
	if (*r->at == ')')
		r->at++;
	else
		r->failed = true;
	if (quantifier(r, &plain) > 0 && kind == GROUP_DEMANDS)
		sequence_offer(q, set);
	free(set);
}

static void sequence_read(struct pattern_reader *r, int depth,
			  struct sequence *q)
{
	char c;

	while (!r->failed && *r->at != '\0' && *r->at != '|' && *r->at != ')') {
		c = *r->at++;
		if (c == '\\')
			escape(r, q);
		else if (c == '[')
			char_class(r, q);
		else if (c == '(')
			group(r, depth, q);
		else if (c == '.')
			any_char(r, q);
		else if (c == '^' || c == '$')
			run_end(q);
		else
			one_char(r, q, c);
	}
	run_end(q);
}

static void set_join(struct literal_set *out, const struct literal_set *more,
		     bool *none)
{
	uint32_t i;

	if (more->count == 0 ||
	    out->count + more->count > PREFILTER_LITERALS_MAX) {
		*none = true;
		return;
	}
	for (i = 0; i < more->count; i++)
		out->item[out->count++] = more->item[i];
}

static void alternatives(struct pattern_reader *r, int depth,
			 struct literal_set *out)
{
	struct sequence *q = calloc(1, sizeof(*q));
	bool none = q == NULL;

	out->count = 0;
	while (q != NULL) {
		memset(q, 0, sizeof(*q));
		sequence_read(r, depth, q);
		if (!none)
			set_join(out, &q->best, &none);
		if (r->failed || *r->at != '|')
			break;
		r->at++;
	}
	if (none || r->failed)
		out->count = 0;
	free(q);
}

void literals_of_pattern(const char *pattern, struct literal_set *out)
{
	struct pattern_reader r = {.at = pattern};

	alternatives(&r, 0, out);
	if (r.failed || *r.at != '\0')
		out->count = 0;
}
