/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_postfix_queue.c - what becomes of each record of a queue file.
 */
#include <errno.h>

#include "queue_table.h"

#include "spool/spool.h"

/* Catches a reader that loses or mixes up the plainest of messages. */
static void plain_message_is_read(void **state)
{
	check(plain_envelope, plain_content, NULL,
	      "a@src.test||3F00A1|||0 0 0 1700000000\nb@dst.test  0\n",
	      "Subject: x\r\n\r\nbody\r\n", 0);
}

/* Catches done recipients that would get the mail a second time, and options
 * of a done recipient that slip to the next one. */
static void done_recipients_are_left_out(void **state)
{
	static const struct record env[] = {
		{'S', "a@s.test"},         {'A', "dsn_orig_rcpt=rfc822;x@o"},
		{'A', "notify_flags=2"},   {'O', "x@o"},
		{'D', "done@d.test"},      {'R', "left@d.test"},
		{'/', "cancelled@d.test"}, {0}};
	struct queue_file f;
	struct queue_got g;

	make(&f, env, plain_content, NULL);
	queue_read(&f, &g);
	assert_int_equal(g.rc, 0);
	assert_int_equal(g.info.rcpts_done, 2);
	assert_string_equal(strchr(g.envelope, '\n') + 1, "left@d.test  0\n");
	got_free(&g);
	queue_free(&f);
}

/* Catches a finished message that would be queued with nobody to go to. */
static void all_done_is_nothing_left(void **state)
{
	static const struct record env[] = {
		{'S', "a@s.test"}, {'D', "d@d.test"}, {0}};

	refuse(env, plain_content, NULL, -ENODATA, "nothing left to deliver");
}

/* Catches DSN parameters that reach the wrong recipient or lose their coding:
 * Postfix keeps them decoded. */
static void dsn_options_belong_to_their_recipient(void **state)
{
	static const struct record env[] = {
		{'A', "envelope_id=a+b=c d"},
		{'A', "ret_flags=2"},
		{'S', "a@s.test"},
		{'A', "notify_flags=10"},
		{'A', "dsn_orig_rcpt=rfc822;Foo+bar@x.test"},
		{'O', "r1@d.test"},
		{'R', "r1@d.test"},
		{'n', "1"},
		{'o', "utf-8;\xc3\xbc@x.test"},
		{'R', "r2@d.test"},
		{'R', "r3@d.test"},
		{0}};

	check(env, plain_content, NULL,
	      "a@s.test|a+2Bb+3Dc+20d|3F00A1|||0 2 0 1700000000\n"
	      "r1@d.test rfc822;Foo+2Bbar@x.test 10\n"
	      "r2@d.test utf-8;\\x{FC}@x.test 1\n"
	      "r3@d.test  0\n",
	      NULL, 0);
}

/* Catches bounces that name an address the sender never wrote. */
static void original_recipient_becomes_orcpt_if_it_differs(void **state)
{
	static const struct record env[] = {
		{'S', "a@s.test"},      {'O', "alias list@s.test"},
		{'R', "member@d.test"}, {'O', "same@d.test"},
		{'R', "same@d.test"},   {0}};

	check(env, plain_content, NULL,
	      "a@s.test||3F00A1|||0 0 0 1700000000\n"
	      "member@d.test rfc822;\"alias+20list\"@s.test 0\n"
	      "same@d.test  0\n",
	      NULL, 0);
}

/* Catches local parts that go out unquoted and name somebody else. */
static void local_parts_are_quoted_again(void **state)
{
	static const struct record env[] = {
		{'S', "a b@s.test"},      {'R', "x@y@d.test"},
		{'R', "q\"\\z@d.test"},   {'R', ".dot@d.test"},
		{'R', "a..b@d.test"},     {'R', "o'k+tag@D.Test"},
		{'R', "lit@[192.0.2.1]"}, {0}};

	check(env, plain_content, NULL,
	      "\"a b\"@s.test||3F00A1|||0 0 0 1700000000\n"
	      "\"x@y\"@d.test  0\n\"q\\\"\\\\z\"@d.test  0\n"
	      "\".dot\"@d.test  0\n\"a..b\"@d.test  0\no'k+tag@d.test  0\n"
	      "lit@[192.0.2.1]  0\n",
	      NULL, 0);
}

/* Catches UTF-8 domains that are stored in two spellings, and mail that would
 * go to servers without SMTPUTF8. */
static void utf8_addresses_need_smtputf8(void **state)
{
	static const struct record env[] = {
		{'S', "a@s.test"}, {'R', "j\xc3\xb6rg@b\xc3\xbc.test"}, {0}};
	static const struct record domain_only[] = {
		{'S', "a@s.test"}, {'R', "j@b\xc3\xbc.test"}, {0}};

	check(env, plain_content, NULL,
	      "a@s.test||3F00A1|||0 0 1 1700000000\n"
	      "j\xc3\xb6rg@xn--b-eha.test  0\n",
	      NULL, SPOOL_SMTPUTF8);
	check(domain_only, plain_content, NULL,
	      "a@s.test||3F00A1|||0 0 0 1700000000\nj@xn--b-eha.test  0\n",
	      NULL, 0);
}

/* Catches the loss of who is behind a message: that is what names a hijacked
 * account. */
static void client_and_account_are_kept(void **state)
{
	static const struct record env[] = {
		{'S', "a@s.test"},
		{'A', "client_address=10.0.0.1"},
		{'A', "log_client_address=192.0.2.7"},
		{'A', "client_address=10.0.0.2"},
		{'A', "sasl_username=hijacked@uni.test"},
		{'A', "sasl_method=plain"},
		{'A', "from_the_future=x"},
		{'R', "b@d.test"},
		{0}};
	static const struct record unknown[] = {
		{'S', "a@s.test"},
		{'A', "log_client_address=unknown"},
		{'A', "client_address=10.0.0.2"},
		{'R', "b@d.test"},
		{0}};

	check(env, plain_content, NULL,
	      "a@s.test||3F00A1|192.0.2.7|hijacked@uni.test|0 0 0 "
	      "1700000000\nb@d.test  0\n",
	      NULL, 0);
	check(unknown, plain_content, NULL,
	      "a@s.test||3F00A1|||0 0 0 1700000000\nb@d.test  0\n", NULL, 0);
}

/* Catches a lost BODY=8BITMIME, also when it is only known after content. */
static void encoding_after_content_overrides(void **state)
{
	static const struct record env[] = {{'S', "a@s.test"},
					    {'A', "encoding=7bit"},
					    {'R', "b@d.test"},
					    {0}};
	static const struct record after[] = {{'A', "encoding=8bit"}, {0}};
	static const struct record eight[] = {{'N', "\xff"}, {0}};

	check(env, eight, after,
	      "a@s.test||3F00A1|||2 0 0 1700000000\nb@d.test  0\n", "\xff\r\n",
	      SPOOL_HAS_8BIT | SPOOL_BODY_8BITMIME);
}

/* Catches recipients of sendmail -t and BCC, which follow the content. */
static void recipients_after_content_are_read(void **state)
{
	static const struct record env[] = {{'S', ""}, {0}};
	static const struct record after[] = {{'r', "rr@x"},
					      {'e', "errors@x"},
					      {'P', "1"},
					      {'O', "t1@d.test"},
					      {'R', "t1@d.test"},
					      {'R', "t2@d.test"},
					      {0}};

	check(env, plain_content, after,
	      "||3F00A1|||0 0 0 1700000000\nt1@d.test  0\nt2@d.test  0\n", NULL,
	      0);
}

/* Catches a redirected message that still goes to its old recipients. */
static void redirect_replaces_all_recipients(void **state)
{
	static const struct record env[] = {{'S', "a@s.test"},
					    {'n', "1"},
					    {'R', "b@d.test"},
					    {'R', "c@d.test"},
					    {0}};
	static const struct record after[] = {{'>', "only@r.test"}, {0}};

	check(env, plain_content, after,
	      "a@s.test||3F00A1|||0 0 0 1700000000\nonly@r.test  0\n", NULL, 0);
}

/* Catches mail that would skip a content filter, probes that would be
 * delivered, and senders that would be wrong. */
static void what_cannot_be_carried_over_is_refused(void **state)
{
	static const struct record filter[] = {{'L', "smtp:[127.0.0.1]:10024"},
					       {'S', "a@s.test"},
					       {'R', "b@d.test"},
					       {0}};
	static const struct record after[] = {{'L', "smtp:[127.0.0.1]"}, {0}};
	static const struct record verp[] = {
		{'V', "+="}, {'S', "a@s.test"}, {'R', "b@d.test"}, {0}};
	static const struct record probe[] = {{'A', "trace_flags=512"},
					      {'S', "a@s.test"},
					      {'R', "b@d.test"},
					      {0}};
	static const struct record verbose[] = {{'A', "trace_flags=1024"},
						{'S', "a@s.test"},
						{'R', "b@d.test"},
						{0}};

	refuse(filter, plain_content, NULL, -EOPNOTSUPP,
	       "offset 116: waits for a content filter");
	refuse(plain_envelope, plain_content, after, -EOPNOTSUPP, "filter");
	refuse(verp, plain_content, NULL, -EOPNOTSUPP, "VERP");
	refuse(probe, plain_content, NULL, -EOPNOTSUPP, "probe");
	check(verbose, plain_content, NULL,
	      "a@s.test||3F00A1|||0 0 0 1700000000\nb@d.test  0\n", NULL, 0);
}

/* Catches a VERP request for a null sender, which Postfix ignores. */
static void verp_of_the_null_sender_means_nothing(void **state)
{
	static const struct record env[] = {
		{'V', "+="}, {'S', ""}, {'R', "b@d.test"}, {0}};

	check(env, plain_content, NULL,
	      "||3F00A1|||0 0 0 1700000000\nb@d.test  0\n", NULL, 0);
}

/* Catches a list of recipients that is cut. */
static void many_recipients_are_read(void **state)
{
	struct queue_file f;
	struct queue_got g;
	char rcpt[64];

	queue_begin(&f);
	queue_text(&f, 'S', "a@s.test");
	for (int i = 0; i < 5000; i++) {
		snprintf(rcpt, sizeof(rcpt), "user%d@d%d.test", i, i % 9);
		queue_text(&f, 'R', rcpt);
	}
	queue_message(&f);
	queue_text(&f, 'N', "x");
	queue_extracted(&f);
	queue_end(&f);
	queue_read(&f, &g);
	assert_int_equal(g.rc, 0);
	assert_int_equal(g.rcpts, 5000);
	got_free(&g);
	queue_free(&f);
}

/* Catches types that would be skipped without knowing what they ask. */
static void unknown_records_are_refused_by_place(void **state)
{
	static const struct record future[] = {
		{'S', "a@s.test"}, {'R', "b@d.test"}, {'Z', "new"}, {0}};
	static const struct record after[] = {{'T', "1700000000"}, {0}};
	static const struct record daemon[] = {
		{'f', "256"}, {'S', "a@s.test"}, {'R', "b@d.test"}, {0}};
	static const struct record in_content[] = {
		{'N', "x"}, {'R', "b@d.test"}, {0}};

	refuse(future, plain_content, NULL, -EPROTO,
	       "offset 136: record type 'Z' is not known before");
	refuse(plain_envelope, plain_content, after, -EPROTO, "after the");
	refuse(daemon, plain_content, NULL, -EPROTO, "between Postfix daemons");
	refuse(plain_envelope, in_content, NULL, -EPROTO,
	       "record type 'R' is not known inside");
}

/* Catches files that only look like queue files. */
static void order_rules_are_kept(void **state)
{
	static const struct record no_sender[] = {{'R', "b@d.test"}, {0}};
	static const struct record two_senders[] = {
		{'S', "a@s.test"}, {'S', "b@s.test"}, {'R', "b@d.test"}, {0}};
	static const struct record two_sizes[] = {
		{'S', "a@s.test"}, {'C', "1 2 3"}, {'R', "b@d.test"}, {0}};
	static const struct record loose[] = {
		{'S', "a@s.test"}, {'R', "b@d.test"}, {'n', "2"}, {0}};
	static const struct record bad_notify[] = {
		{'S', "a@s.test"}, {'n', "3"}, {'R', "b@d.test"}, {0}};
	static const struct record no_domain[] = {
		{'S', "a@s.test"}, {'R', "root"}, {0}};
	static const struct record bad_attr[] = {
		{'A', "novalue"}, {'S', "a@s.test"}, {'R', "b@d.test"}, {0}};

	refuse(no_sender, plain_content, NULL, -EBADMSG, "before the sender");
	refuse(two_senders, plain_content, NULL, -EBADMSG, "stands twice");
	refuse(two_sizes, plain_content, NULL, -EBADMSG, "stands twice");
	refuse(loose, plain_content, NULL, -EBADMSG, "no recipient follows");
	refuse(bad_notify, plain_content, NULL, -EBADMSG, "NOTIFY");
	refuse(no_domain, plain_content, NULL, -EBADMSG, "\"root\" has no");
	refuse(bad_attr, plain_content, NULL, -EBADMSG, "name=value");
}

/* Catches an injected command: a line end in an address. */
static void control_characters_in_addresses_are_refused(void **state)
{
	static const struct record env[] = {
		{'S', "a@s.test"}, {'R', "b\r\nDATA@d.test"}, {0}};
	static const struct record from[] = {
		{'S', "a\n@s.test"}, {'R', "b@d.test"}, {0}};

	refuse(env, plain_content, NULL, -EBADMSG, "control character");
	refuse(from, plain_content, NULL, -EBADMSG, "control character");
}

/* Catches a maildrop file taken for a queue file: it was never accepted. */
static void maildrop_is_refused_by_name(void **state)
{
	static const char maildrop[] = "T\x0a"
				       "1700000000A\x09"
				       "a=verylonR\x03"
				       "b@dM\0";
	static const char text[] = "<user@example.test>: connection refused";
	struct queue_got g;

	queue_read_bytes((const uint8_t *)maildrop, sizeof(maildrop) - 1, &g);
	assert_int_equal(g.rc, -EPROTO);
	assert_non_null(strstr(g.e.text, "maildrop"));
	queue_read_bytes((const uint8_t *)text, sizeof(text) - 1, &g);
	assert_int_equal(g.rc, -EPROTO);
	assert_non_null(strstr(g.e.text, "not a Postfix queue file"));
	queue_read_bytes((const uint8_t *)text, 0, &g);
	assert_int_equal(g.rc, -EPROTO);
}

/* Catches a name that would go into log lines and headers unchecked. */
static void file_name_must_be_a_queue_id(void **state)
{
	struct queue_exact x;
	struct postfix_queue_source src = {queue_exact_at, &x, 0};
	struct queue_got g = {0};
	struct queue_file f;

	make(&f, plain_envelope, plain_content, NULL);
	x = (struct queue_exact){f.data, f.len, NULL};
	src.size_bytes = f.len;
	assert_int_equal(
		postfix_queue_read(&src, "../x", &got_ops, &g, &g.info, &g.e),
		-EINVAL);
	assert_int_equal(
		postfix_queue_read(&src, "", &got_ops, &g, &g.info, &g.e),
		-EINVAL);
	assert_int_equal(g.envelopes, 0);
	free(x.piece);
	queue_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_message_is_read),
		cmocka_unit_test(done_recipients_are_left_out),
		cmocka_unit_test(all_done_is_nothing_left),
		cmocka_unit_test(dsn_options_belong_to_their_recipient),
		cmocka_unit_test(
			original_recipient_becomes_orcpt_if_it_differs),
		cmocka_unit_test(local_parts_are_quoted_again),
		cmocka_unit_test(utf8_addresses_need_smtputf8),
		cmocka_unit_test(client_and_account_are_kept),
		cmocka_unit_test(encoding_after_content_overrides),
		cmocka_unit_test(recipients_after_content_are_read),
		cmocka_unit_test(redirect_replaces_all_recipients),
		cmocka_unit_test(what_cannot_be_carried_over_is_refused),
		cmocka_unit_test(verp_of_the_null_sender_means_nothing),
		cmocka_unit_test(many_recipients_are_read),
		cmocka_unit_test(unknown_records_are_refused_by_place),
		cmocka_unit_test(order_rules_are_kept),
		cmocka_unit_test(control_characters_in_addresses_are_refused),
		cmocka_unit_test(maildrop_is_refused_by_name),
		cmocka_unit_test(file_name_must_be_a_queue_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
