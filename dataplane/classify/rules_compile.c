/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rules_compile.c - orders the rules, compiles their patterns, builds the
 * index by words, phase and code.
 *
 * Called once by rules_load(), one thread.
 * Bound: PREFILTER_ITEMS_MAX alternatives over all rules.
 * Errors: -ENOMEM; -E2BIG when there are more alternatives; -EINVAL when an
 * alternative does not compile alone.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "classify/arena.h"
#include "classify/classify_priv.h"
#include "sluice/assert.h"

#define COMPILE_GROWTH 256u

static bool rule_is_particular(const struct rule *rule)
{
	return rule->provider >= 0 || rule->provider_mx != NULL ||
	       rule->remote != NULL;
}

/* A provider's own rules come first; otherwise the order of the file. */
static int rules_order(struct classify *c)
{
	struct rule *ordered;
	uint32_t i, out = 0;
	int pass;

	ordered = arena_alloc(c->arena, c->rule_count * sizeof(*ordered));
	if (ordered == NULL)
		return -ENOMEM;
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < c->rule_count; i++)
			if (rule_is_particular(&c->rules[i]) == (pass == 0))
				ordered[out++] = c->rules[i];
	sluice_assert(out == c->rule_count);
	c->rules = ordered;
	return 0;
}

static const char *class_skip(const char *at)
{
	if (*at == '^')
		at++;
	if (*at == ']')
		at++;
	for (; *at != '\0' && *at != ']'; at++)
		if (*at == '\\' && at[1] != '\0')
			at++;
	return at;
}

/* Options, verbs and \Q reach over a '|': then the pattern stays whole. */
static bool group_reaches_over(const char *at)
{
	return *at == '*' || (*at == '?' && strchr(":=!<", at[1]) == NULL);
}

/* The end of the alternative at `at`: the next '|' outside of groups and
 * classes, or the terminating 0. NULL: the pattern must not be split. */
static const char *alternative_end(const char *at)
{
	int depth = 0;

	for (; *at != '\0'; at++) {
		if (*at == '\\') {
			if (at[1] == 'Q' || at[1] == '\0')
				return NULL;
			at++;
		} else if (*at == '[') {
			if (strncmp(at, "[[:", 3) == 0)
				return NULL;
			at = class_skip(at + 1);
			if (*at == '\0')
				return NULL;
		} else if (*at == '(') {
			if (group_reaches_over(at + 1))
				return NULL;
			depth++;
		} else if (*at == ')') {
			depth--;
		} else if (*at == '|' && depth == 0) {
			return at;
		}
	}
	return at;
}

static bool pattern_splits(const char *source)
{
	while ((source = alternative_end(source)) != NULL) {
		if (*source == '\0')
			return true;
		source++;
	}
	return false;
}

static uint32_t group_number(const pcre2_code *code, const char *name)
{
	int number = pcre2_substring_number_from_name(code, (PCRE2_SPTR)name);

	return number > 0 ? (uint32_t)number : 0;
}

static struct rule_pattern *pattern_new(struct classify *c, uint32_t rule)
{
	struct rule_pattern *p;

	if (c->pattern_count == c->pattern_size) {
		p = realloc(c->patterns,
			    (c->pattern_size + COMPILE_GROWTH) * sizeof(*p));
		if (p == NULL)
			return NULL;
		c->patterns = p;
		c->pattern_size += COMPILE_GROWTH;
	}
	p = &c->patterns[c->pattern_count++];
	memset(p, 0, sizeof(*p));
	p->rule = rule;
	return p;
}

static bool rule_takes_digit(const struct rule *rule, bool is_5xx)
{
	uint32_t i;

	for (i = 0; i < rule->code_count; i++)
		if ((rule->codes[i].low >= 500) == is_5xx)
			return true;
	return rule->code_count == 0;
}

static void pattern_index(struct classify *c, uint32_t index)
{
	const struct rule *rule = &c->rules[c->patterns[index].rule];
	int phase, digit;

	/* Phase 0: the caller does not know it; then any rule may fit. */
	for (phase = 0; phase <= PHASE_QUIT; phase++)
		for (digit = 0; digit < 2; digit++)
			if ((phase == 0 || rule->phases == 0 ||
			     (rule->phases & 1u << phase) != 0) &&
			    rule_takes_digit(rule, digit == 1))
				c->possible[phase][digit][index / 64] |=
					UINT64_C(1) << index % 64;
}

static void code_jit(pcre2_code *code, bool *jit)
{
	if (*jit && pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) != 0)
		*jit = false;
}

/* `source` NULL = no text condition. */
static int pattern_add(struct classify *c, uint32_t rule, const char *source,
		       bool *jit)
{
	struct rule_pattern *p;
	PCRE2_SIZE offset;
	int error;

	if (c->pattern_count == PREFILTER_ITEMS_MAX)
		return -E2BIG;
	p = pattern_new(c, rule);
	if (p == NULL)
		return -ENOMEM;
	if (source != NULL) {
		p->code =
			pcre2_compile((PCRE2_SPTR)source, PCRE2_ZERO_TERMINATED,
				      PCRE2_CASELESS, &error, &offset, NULL);
		if (p->code == NULL)
			return -EINVAL;
		p->wait_group = group_number(p->code, "wait");
		p->list_group = group_number(p->code, "list");
		code_jit(p->code, jit);
	}
	pattern_index(c, c->pattern_count - 1);
	return prefilter_add(c->prefilter, c->pattern_count - 1, source);
}

static int rule_split(struct classify *c, uint32_t rule, bool *jit)
{
	const char *at = c->rules[rule].text, *end;
	char *part;
	int rc = 0;

	while (rc == 0) {
		end = alternative_end(at);
		sluice_assert(end != NULL);
		part = arena_copy(c->arena, at, (size_t)(end - at));
		if (part == NULL)
			return -ENOMEM;
		rc = pattern_add(c, rule, part, jit);
		if (*end == '\0')
			return rc;
		at = end + 1;
	}
	return rc;
}

int rules_compile(struct classify *c, bool *jit)
{
	uint32_t i;
	int rc = rules_order(c);

	if (rc != 0)
		return rc;
	c->prefilter = prefilter_create();
	if (c->prefilter == NULL)
		return -ENOMEM;
	for (i = 0; rc == 0 && i < c->rule_count; i++) {
		const struct rule *rule = &c->rules[i];

		if (rule->text_not != NULL)
			code_jit(rule->text_not, jit);
		if (rule->text != NULL && pattern_splits(rule->text))
			rc = rule_split(c, i, jit);
		else
			rc = pattern_add(c, i, rule->text, jit);
	}
	return rc;
}
