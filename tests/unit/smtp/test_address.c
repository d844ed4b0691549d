/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_address.c - what is a mailbox and what is none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/address.h"

static int mailbox(const char *s, struct smtp_mailbox *m)
{
	return smtp_mailbox_parse(s, strlen(s), m, NULL);
}

static void good_mailboxes_are_taken_apart(void **state)
{
	struct smtp_mailbox m;

	assert_int_equal(mailbox("a.b-c@sub.example.org", &m), 0);
	assert_int_equal(m.local.len, 5);
	assert_memory_equal(m.domain.data, "sub.example.org", m.domain.len);
	assert_false(m.quoted || m.literal || m.utf8 || m.null);
	assert_int_equal(mailbox("\"a@b \\\" c\"@example.org", &m), 0);
	assert_true(m.quoted);
	assert_int_equal(m.domain.len, 11);
	assert_int_equal(mailbox("a@[192.0.2.1]", &m), 0);
	assert_true(m.literal);
	assert_int_equal(mailbox("a@[ipv6:2001:db8::1]", &m), 0);
	assert_int_equal(mailbox("\xe2\x82\xac@b\xc3\xbc"
				 "cher.example",
				 &m),
			 0);
	assert_true(m.utf8);
	assert_int_equal(mailbox("!#$%&'*+-/=?^_`{|}~@x.org", &m), 0);
	assert_int_equal(mailbox("a@under_score.org", &m), 0);
}

static void bad_mailboxes_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "@", "a", "a@", "@x.org", ".a@x.org", "a.@x.org",
		"a..b@x.org", "a b@x.org", "a@x..org", "a@.x.org", "a@x.org.",
		"a@-x.org", "a@x-.org", "a@x.org-", "a@[1.2.3]", "a@[1.2.3.4",
		"a@[IPv6:1.2.3.4]", "a@[2001:db8::1]", "\"a@x.org", "\"a\"@",
		"\"a\"b@x.org", "a@x.org@y.org", "a@x org", "a<b@x.org",
		"\"a\nb\"@x.org", "a\r@x.org",
		/* UTF-8: overlong, surrogate, cut, beyond the end, stray */
		"\xc0\xaf@x.org", "\xed\xa0\x80@x.org", "\xe2\x82@x.org",
		"\xf4\x90\x80\x80@x.org", "\x80@x.org", "\xe0\x80\x80@x.org",
		"a@\xff.org"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct smtp_mailbox m = {.null = true};

		assert_int_equal(mailbox(bad[i], &m), -EINVAL);
		assert_true(m.null); /* untouched */
	}
}

static void lengths_are_bounded(void **state)
{
	char s[1200];
	struct smtp_mailbox m;
	const char *why = NULL;

	memset(s, 'a', sizeof(s));
	memcpy(s + 100, "@x.org", 7);
	assert_int_equal(mailbox(s, &m), 0); /* VERP: longer than 64 */
	memset(s, 'a', sizeof(s));
	memcpy(s + 1100, "@x.org", 7);
	assert_int_equal(smtp_mailbox_parse(s, 1106, &m, &why), -EINVAL);
	assert_string_equal(why, "address is too long");
	memset(s, 'a', sizeof(s));
	s[1] = '@';
	s[66] = '\0'; /* a label of 64 */
	assert_int_equal(mailbox(s, &m), -EINVAL);
}

static void paths_end_where_they_end(void **state)
{
	struct smtp_mailbox m;
	size_t used;
	static const char quoted[] = "<\"a>b\\\">\"@x.org> SIZE=1";

	assert_int_equal(
		smtp_path_parse(quoted, strlen(quoted), &used, &m, NULL), 0);
	assert_int_equal(used, 16);
	assert_int_equal(smtp_path_parse("<> X", 4, &used, &m, NULL), 0);
	assert_int_equal(used, 2);
	assert_true(m.null);
	assert_int_equal(smtp_path_parse("<POSTMASTER>", 12, &used, &m, NULL),
			 0);
	assert_int_equal(m.local.len, 10);
	assert_int_equal(
		smtp_path_parse("<@a.org:b@x.org>", 16, &used, &m, NULL), 0);
	assert_int_equal(m.whole.len, 7);
	assert_int_equal(
		smtp_path_parse("<@a org:b@x.org>", 16, &used, &m, NULL),
		-EINVAL);
	assert_int_equal(smtp_path_parse("<@:b@x.org>", 11, &used, &m, NULL),
			 -EINVAL);
	assert_int_equal(smtp_path_parse("", 0, &used, &m, NULL), -EINVAL);
	assert_int_equal(smtp_path_parse("<", 1, &used, &m, NULL), -EINVAL);
	assert_int_equal(smtp_path_parse("<\"a>", 4, &used, &m, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_mailboxes_are_taken_apart),
		cmocka_unit_test(bad_mailboxes_are_refused),
		cmocka_unit_test(lengths_are_bounded),
		cmocka_unit_test(paths_end_where_they_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
