/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_record_match.c - selections that need the stored record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>

#include "sluiced/record_match.h"

#define TEXT(s)                                                                \
	{                                                                      \
		s, sizeof(s) - 1                                               \
	}

static const char header[] = "From: x\r\n"
			     "Subject: =?utf-8?Q?You_have?=\r\n won 500 EUR\r\n"
			     "X-Mailer: PHPMailer 5\r\n"
			     "X-Mailer: second\r\n";

static const struct envelope env = {
	.sender = TEXT("Anna@x.test"),
	.account = TEXT("anna"),
	.client = TEXT("192.0.2.77"),
};

static struct selection *selection(const char *json)
{
	struct selection *s = NULL;
	struct err e = {""};
	json_t *j = json_loads(json, 0, NULL);

	assert_non_null(j);
	if (selection_from_json(j, &s, &e) != 0)
		fail_msg("%s: %s", json, e.text);
	json_decref(j);
	return s;
}

static bool fits(const char *json)
{
	struct selection *s = selection(json);
	struct record_match *m = NULL;
	bool res;

	assert_int_equal(record_match_create(s, &m, NULL), 0);
	res = record_match_message(m, &env, header, sizeof(header) - 1);
	assert_int_equal(record_match_gave_up(m), 0);
	record_match_destroy(&m);
	assert_null(m);
	selection_destroy(&s);
	return res;
}

/* Catches: a term that is never looked at, or matched by its beginning. */
static void every_term_is_compared(void **state)
{
	(void)state;
	assert_true(fits("{\"all\":true}"));
	assert_true(fits("{\"account\":[\"bob\",\"anna\"]}"));
	assert_false(fits("{\"account\":[\"ann\"]}"));
	assert_true(fits("{\"client_ip\":[\"192.0.2.64/26\"]}"));
	assert_true(fits("{\"client_ip\":[\"192.0.2.77\"]}"));
	assert_false(fits("{\"client_ip\":[\"192.0.2.7\"]}"));
	assert_false(fits("{\"client_ip\":[\"::/0\"]}"));
	assert_true(fits("{\"sender\":[\"Anna@X.TEST\"]}"));
	assert_false(fits("{\"sender\":[\"anna@x.test\"]}"));
	assert_false(fits("{\"sender\":[\"\"]}"));
	assert_true(fits("{\"subject\":[\"^you have won [0-9]+\"]}"));
	assert_false(fits("{\"subject\":[\"(?-i)^you\"]}"));
	assert_true(fits("{\"subject\":[\"=\\\\?utf-8\"]}"));
	assert_false(fits("{\"subject\":[\"lost\"]}"));
	assert_true(fits("{\"header\":[\"x-mailer: ^SECOND$\"]}"));
	assert_false(fits("{\"header\":[\"X-Mail: second\"]}"));
	assert_false(fits("{\"account\":[\"anna\"],\"subject\":[\"lost\"]}"));
	assert_true(fits("{\"account\":[\"anna\"],\"subject\":[\"won\"],"
			 "\"header\":[\"From: x\"]}"));
}

/* Catches: mail without account or client that is taken for anybody's. */
static void what_is_not_there_matches_nothing(void **state)
{
	const struct envelope none = {.sender = {NULL, 0}};
	static const char *const texts[] = {
		"{\"account\":[\"anna\"]}", "{\"client_ip\":[\"0.0.0.0/0\"]}",
		"{\"subject\":[\".*\"]}", "{\"header\":[\"X-A: .*\"]}"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct selection *s = selection(texts[i]);
		struct record_match *m = NULL;

		assert_int_equal(record_match_create(s, &m, NULL), 0);
		assert_false(record_match_message(m, &none, "", 0));
		record_match_destroy(&m);
		selection_destroy(&s);
	}
}

static void recipients_are_compared_by_text(void **state)
{
	struct selection *s =
		selection("{\"recipient\":[\"Bob@b.test\",\"x@b.test\"]}");
	struct record_match *m = NULL;

	(void)state;
	assert_int_equal(record_match_create(s, &m, NULL), 0);
	assert_true(record_match_recipient(m, (struct text)TEXT("Bob@B.test")));
	assert_false(
		record_match_recipient(m, (struct text)TEXT("bob@b.test")));
	assert_false(record_match_recipient(m, (struct text)TEXT("Bob@b.tes")));
	assert_false(record_match_wants_header(m));
	record_match_destroy(&m);
	selection_destroy(&s);
}

static void a_wrong_pattern_is_named_with_its_place(void **state)
{
	struct selection *s = selection("{\"subject\":[\"a(b\"]}");
	struct record_match *m = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(record_match_create(s, &m, &e), -EINVAL);
	assert_null(m);
	assert_non_null(strstr(e.text, "subject 'a(b' is no pattern: at its "
				       "character 4:"));
	selection_destroy(&s);
	s = selection("{\"header\":[\"X: [\"]}");
	assert_int_equal(record_match_create(s, &m, &e), -EINVAL);
	assert_non_null(strstr(e.text, "header '['"));
	selection_destroy(&s);
}

/* A pattern that would run for years is cut off, and said to be. */
static void a_pattern_that_runs_away_gives_up(void **state)
{
	struct selection *s = selection("{\"subject\":[\"(a+)+$\"]}");
	char text[300] = "Subject: ";
	struct record_match *m = NULL;

	(void)state;
	memset(text + 9, 'a', sizeof(text) - 12);
	memcpy(text + sizeof(text) - 3, "!\r\n", 3);
	assert_int_equal(record_match_create(s, &m, NULL), 0);
	assert_false(record_match_message(m, &env, text, sizeof(text)));
	assert_int_equal(record_match_gave_up(m), 1);
	record_match_destroy(&m);
	selection_destroy(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_term_is_compared),
		cmocka_unit_test(what_is_not_there_matches_nothing),
		cmocka_unit_test(recipients_are_compared_by_text),
		cmocka_unit_test(a_wrong_pattern_is_named_with_its_place),
		cmocka_unit_test(a_pattern_that_runs_away_gives_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
