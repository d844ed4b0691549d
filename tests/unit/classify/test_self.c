/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_self.c - the built-in rules and the examples that they carry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "classify/classify_priv.h"

static void example_failed(void *user, const char *rule, const char *example,
			   const char *got)
{
	(void)user;
	print_error("%s: got %s for: %s\n", rule, got, example);
}

/* A rule that an earlier one hides, or a pattern that misses its own wording,
 * fails here by name. */
static void every_rule_matches_its_examples(void **state)
{
	struct classify *c = NULL;
	struct err e = {.text = ""};

	(void)state;
	if (classify_load(NULL, &c, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(classify_self_test(c, example_failed, NULL), 0);
	assert_true(classify_rule_count(c) >= 120);
	classify_destroy(&c);
	assert_null(c);
}

/* The interpreter must give the same verdicts as the machine code: hosts
 * without executable memory rely on it. */
static void examples_match_without_machine_code(void **state)
{
	struct classify *c = NULL;
	struct err e = {.text = ""};

	(void)state;
	assert_int_equal(rules_load(NULL, false, &c, &e), 0);
	assert_false(classify_jit(c));
	assert_int_equal(classify_self_test(c, example_failed, NULL), 0);
	classify_destroy(&c);
}

/* Every rule with words must be found by them; a pattern whose literals are
 * not understood costs time on every reply. */
static void prefilter_excludes_nearly_all_rules(void **state)
{
	struct classify *c = NULL;

	(void)state;
	assert_int_equal(classify_load(NULL, &c, NULL), 0);
	print_message("always candidates: %u of %u patterns of %u rules\n",
		      prefilter_always_count(c->prefilter), c->pattern_count,
		      c->rule_count);
	assert_true(prefilter_always_count(c->prefilter) < 32);
	classify_destroy(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_matches_its_examples),
		cmocka_unit_test(examples_match_without_machine_code),
		cmocka_unit_test(prefilter_excludes_nearly_all_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
