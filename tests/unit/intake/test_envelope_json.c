/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_envelope_json.c - what the command socket may say of an envelope.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "intake/envelope_json.h"
#include "intake/xtext.h"

static int read_json(const char *text, struct envelope_build *b, struct err *e)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
	int rc;

	assert_non_null(j);
	rc = envelope_from_json(j, 42, b, e);
	json_decref(j);
	return rc;
}

static void expect_text(struct text t, const char *expect)
{
	assert_int_equal(t.len, strlen(expect));
	if (t.len)
		assert_memory_equal(t.data, expect, t.len);
}

/* Catches texts that die with the JSON, and domains in two spellings. */
static void whole_envelope_is_read(void **state)
{
	struct envelope_build b;
	struct err e;

	assert_int_equal(envelope_build_init(&b, ENVELOPE_TEXT_MAX), 0);
	assert_int_equal(
		read_json("{\"sender\": \"a@Src.Test\", \"recipients\": "
			  "[\"B@DST.test\", \"\\\"x y\\\"@b\\u00fc.test\"], "
			  "\"arrival\": 1700000000, \"account\": \"joe\", "
			  "\"client\": \"2001:db8::1\"}",
			  &b, &e),
		0);
	expect_text(b.env.sender, "a@Src.Test");
	assert_int_equal(b.env.rcpt_count, 2);
	expect_text(b.env.rcpts[0].address, "B@dst.test");
	expect_text(b.env.rcpts[1].address, "\"x y\"@xn--b-eha.test");
	assert_int_equal(b.env.arrival_s, 1700000000);
	expect_text(b.env.account, "joe");
	expect_text(b.env.client, "2001:db8::1");
	assert_int_equal(b.env.smtputf8, 0);
	assert_int_equal(read_json("{\"sender\": \"\", \"recipients\": "
				   "[\"j\\u00f6@d.test\"]}",
				   &b, &e),
			 0);
	expect_text(b.env.sender, "");
	assert_int_equal(b.env.arrival_s, 42);
	assert_int_equal(b.env.smtputf8, 1);
	envelope_build_fini(&b);
}

/* Catches DSN options that are lost between export and import. */
static void options_are_read(void **state)
{
	struct envelope_build b;
	struct err e;

	assert_int_equal(envelope_build_init(&b, ENVELOPE_TEXT_MAX), 0);
	assert_int_equal(
		read_json("{\"sender\": \"\", \"envid\": \"Q+2B1\", \"ret\": "
			  "\"hdrs\", \"body\": \"8bitmime\", \"origin\": "
			  "\"A1B2\", \"smtputf8\": true, \"recipients\": "
			  "[\"a@d.test\", {\"address\": \"b@d.test\", "
			  "\"orcpt\": \"rfc822;c+2Bd@d.test\", \"notify\": "
			  "[\"success\", \"delay\"]}, {\"address\": "
			  "\"c@d.test\", \"notify\": [\"never\"]}]}",
			  &b, &e),
		0);
	expect_text(b.env.envid, "Q+2B1");
	expect_text(b.env.origin, "A1B2");
	assert_int_equal(b.env.ret, RET_HDRS);
	assert_int_equal(b.env.body, BODY_8BITMIME);
	assert_int_equal(b.env.smtputf8, 1);
	assert_int_equal(b.env.rcpt_count, 3);
	expect_text(b.env.rcpts[0].address, "a@d.test");
	assert_int_equal(b.env.rcpts[0].notify, 0);
	expect_text(b.env.rcpts[1].orcpt, "rfc822;c+2Bd@d.test");
	assert_int_equal(b.env.rcpts[1].notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	expect_text(b.env.rcpts[2].address, "c@d.test");
	assert_int_equal(b.env.rcpts[2].notify, NOTIFY_NEVER);
	envelope_build_fini(&b);
}

/* Catches errors that do not say which key or address is wrong. */
static void errors_name_what_is_wrong(void **state)
{
	static const struct {
		const char *json, *says;
	} bad[] = {
		{"[]", "must be an object"},
		{"{\"recipients\": [\"b@d.test\"]}", "\"sender\" is missing"},
		{"{\"sender\": \"\"}", "\"recipients\""},
		{"{\"sender\": \"\", \"recipients\": [{\"address\": "
		 "\"b@d.test\", \"notify\": [\"never\", \"delay\"]}]}",
		 "recipient 1: \"notify\""},
		{"{\"sender\": \"\", \"recipients\": [{\"address\": "
		 "\"b@d.test\", \"notify\": []}]}",
		 "recipient 1: \"notify\""},
		{"{\"sender\": \"\", \"recipients\": [\"a@d.test\", "
		 "{\"address\": \"b@d.test\", \"orcpt\": \"b@d.test\"}]}",
		 "recipient 2: \"orcpt\""},
		{"{\"sender\": \"\", \"recipients\": [{\"address\": "
		 "\"b@d.test\", \"colour\": 1}]}",
		 "unknown key \"colour\""},
		{"{\"sender\": \"\", \"recipients\": [{\"notify\": "
		 "[\"delay\"]}]}",
		 "recipient 1 is no string"},
		{"{\"sender\": \"\", \"recipients\": [\"b@d.test\"], "
		 "\"envid\": \"a\\r\\nRSET\"}",
		 "\"envid\""},
		{"{\"sender\": \"\", \"recipients\": [\"b@d.test\"], "
		 "\"ret\": \"some\"}",
		 "\"ret\" must be \"full\" or \"hdrs\""},
		{"{\"sender\": \"\", \"recipients\": [\"b@d.test\"], "
		 "\"smtputf8\": 1}",
		 "\"smtputf8\""},
		{"{\"sender\": \"\", \"recipients\": []}", "\"recipients\""},
		{"{\"sender\": \"\", \"recipients\": \"b@d.test\"}",
		 "\"recipients\""},
		{"{\"sender\": 1, \"recipients\": [\"b@d.test\"]}",
		 "sender 1 is no string"},
		{"{\"sender\": \"\", \"recipients\": [\"b@d.test\", \"c\"]}",
		 "recipient 2 \"c\""},
		{"{\"sender\": \"\", \"recipients\": [\"b c@d.test\"]}",
		 "recipient 1 \"b c@d.test\""},
		{"{\"sender\": \"\", \"recipients\": [\"b@d..test\"]}",
		 "recipient 1"},
		{"{\"sender\": \"\", \"recipients\": "
		 "[\"b@d.test\\r\\nDATA\"]}",
		 "recipient 1"},
		{"{\"sender\": \"\", \"recipients\": [\"b@d.test\"], "
		 "\"arrival\": -1}",
		 "\"arrival\""},
		{"{\"sender\": \"\", \"recipients\": [\"b@d.test\"], "
		 "\"client\": \"host\"}",
		 "\"client\""},
		{"{\"sender\": \"\", \"recipients\": [\"b@d.test\"], "
		 "\"account\": \"a\\nb\"}",
		 "\"account\""},
		{"{\"sender\": \"\", \"recipients\": [\"b@d.test\"], "
		 "\"rcpt\": 1}",
		 "unknown key \"rcpt\""},
	};
	struct envelope_build b;
	struct err e;

	assert_int_equal(envelope_build_init(&b, ENVELOPE_TEXT_MAX), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int rc = read_json(bad[i].json, &b, &e);

		if (rc != -EINVAL || !strstr(e.text, bad[i].says))
			fail_msg("%s: %d \"%s\"", bad[i].json, rc, e.text);
	}
	envelope_build_fini(&b);
}

/* Catches ORCPT that no receiver understands, or that injects a parameter. */
static void orcpt_is_encoded(void **state)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{"rfc822;a@b", "rfc822;a@b"},
		{"rfc822;a+b=c d@e", "rfc822;a+2Bb+3Dc+20d@e"},
		{"rfc822;a\r\nb", "rfc822;a+0D+0Ab"},
		{"rfc822;\xc3\xbc", "rfc822;+C3+BC"},
		{"UTF-8;\xc3\xbc\xe2\x82\xac\xf0\x9f\x93\xa7@x",
		 "UTF-8;\\x{FC}\\x{20AC}\\x{1F4E7}@x"},
		{"utf-8;a\\b+c d", "utf-8;a\\x{5C}b\\x{2B}c\\x{20}d"},
	};
	static const char *const bad[] = {
		"no type",        ";x",
		"a b;x",          "utf-8;\xff",
		"utf-8;\xc0\x80", "utf-8;\xed\xa0\x80",
	};
	struct envelope_build b;
	struct text t;

	assert_int_equal(envelope_build_init(&b, ENVELOPE_TEXT_MAX), 0);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(
			xtext_orcpt(&b, good[i].in, strlen(good[i].in), &t), 0);
		expect_text(t, good[i].out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(xtext_orcpt(&b, bad[i], strlen(bad[i]), &t),
				 -EINVAL);
	envelope_build_fini(&b);
}

/* Catches texts that move when more come, and memory that a large envelope
 * leaves behind. */
static void builder_keeps_its_bounds(void **state)
{
	struct envelope_build b;
	struct text first, t;
	char big[5000];

	memset(big, 'x', sizeof(big));
	assert_int_equal(envelope_build_init(&b, 1 << 20), 0);
	assert_int_equal(envelope_build_text(&b, "first", 5, &first), 0);
	for (int i = 0; i < 209; i++)
		assert_int_equal(envelope_build_text(&b, big, 5000, &t), 0);
	assert_int_equal(envelope_build_text(&b, big, 5000, &t), -E2BIG);
	expect_text(first, "first");
	for (uint32_t i = 0; i < ENVELOPE_RCPTS_MAX; i++)
		assert_int_equal(
			envelope_build_rcpt(
				&b, &(struct envelope_rcpt){.address = first}),
			0);
	assert_int_equal(
		envelope_build_rcpt(&b, &(struct envelope_rcpt){.notify = 1}),
		-E2BIG);
	envelope_build_reset(&b);
	assert_int_equal(b.env.rcpt_count, 0);
	assert_int_equal(envelope_build_text(&b, big, 5000, &t), 0);
	envelope_build_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_envelope_is_read),
		cmocka_unit_test(options_are_read),
		cmocka_unit_test(errors_name_what_is_wrong),
		cmocka_unit_test(orcpt_is_encoded),
		cmocka_unit_test(builder_keeps_its_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
