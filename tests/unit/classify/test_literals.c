/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_literals.c - what a pattern demands. A literal too many and a rule is
 * silently never tried; a literal too few and it only costs time.
 */
#include "unit.h"

#include "classify/prefilter.h"

static void demands(const char *pattern, const char *expected)
{
	struct literal_set set;
	char got[512] = "";
	uint32_t i;
	size_t at = 0;

	literals_of_pattern(pattern, &set);
	for (i = 0; i < set.count; i++)
		at += (size_t)snprintf(got + at, sizeof(got) - at, "%s%.*s",
				       i > 0 ? "|" : "", (int)set.item[i].len,
				       set.item[i].text);
	if (strcmp(got, expected) != 0)
		fail_msg("'%s' demands '%s', not '%s'", pattern, got, expected);
}

static void literals_are_found(void **state)
{
	(void)state;
	demands("User Unknown", "user unknown");
	demands("ab|unknown", "");
	demands("spam|virus", "spam|virus");
	demands("users? unknown", " unknown");
	demands("too (?:many|much) mail", " mail");
	demands("(?:many|much) a", "many|much");
	demands("(?:full)? quota", " quota");
	demands("gr[ea]y[- ]?listed", "listed");
	demands("mailbox.{0,40}full", "mailbox");
	demands("\\bptr\\b", "ptr");
	demands("s3140\\)", "s3140)");
	demands("(?<list>[a-z.]+) blocked", " blocked");
}

static void what_is_not_understood_demands_nothing(void **state)
{
	(void)state;
	demands("(?i)abcdef", "");
	demands("\\Qabc\\E", "");
	demands("abc\\x41def", "");
	demands("\\d+ \\S", "");
	demands("[[:digit:]]abc", "");
	demands("(((((((((abcd)))))))))", "");
	demands("", "");
}

static void look_arounds_are_told_apart(void **state)
{
	(void)state;
	demands("(?=.*spamhaus)block", "spamhaus");
	demands("(?!.*spamhaus)block", "block");
	demands("abc(?!def)", "abc");
	demands("(?<!not )found", "found");
	demands("abcd{0}ef", "abc");
	demands("abcd{2,3}ef", "abcd");
}

static void the_filter_finds_its_rules(void **state)
{
	struct prefilter *p = prefilter_create();
	uint64_t found[PREFILTER_WORDS];
	const char *text = "xx user unknown yy";

	(void)state;
	assert_non_null(p);
	assert_int_equal(prefilter_add(p, 0, "unknown"), 0);
	assert_int_equal(prefilter_add(p, 1, "spam|virus"), 0);
	assert_int_equal(prefilter_add(p, 2, NULL), 0);
	assert_int_equal(prefilter_add(p, 700, "yy|zzz"), 0);
	prefilter_run(p, text, strlen(text), found);
	assert_int_equal(found[0], 0x5);
	assert_int_equal(found[700 / 64], UINT64_C(1) << 700 % 64);
	/* Literals at both ends, and texts shorter than three bytes. */
	prefilter_run(p, "virus", 5, found);
	assert_int_equal(found[0], 0x6);
	prefilter_run(p, "viru", 4, found);
	assert_int_equal(found[0], 0x4);
	prefilter_run(p, "", 0, found);
	assert_int_equal(found[0], 0x4);
	prefilter_destroy(&p);
	assert_null(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(literals_are_found),
		cmocka_unit_test(what_is_not_understood_demands_nothing),
		cmocka_unit_test(look_arounds_are_told_apart),
		cmocka_unit_test(the_filter_finds_its_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
