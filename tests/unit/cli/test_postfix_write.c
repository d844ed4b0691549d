/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_postfix_write.c - what the writer makes, intake's reader gives back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "postfix_round.h"
#include "spool/spool.h"

#define T(s)                                                                   \
	{                                                                      \
		s, sizeof(s) - 1                                               \
	}

/* Writes and reads; the same must come out. */
static void round_trip(const struct envelope *env, const void *content,
		       size_t len, size_t step)
{
	struct bytes in = {(uint8_t *)content, len, len};
	struct bytes file = {0};
	struct reading r;
	int rc;

	assert_int_equal(round_write(env, &in, step, &file), 0);
	rc = round_read(&r, &file);
	if (rc != 0)
		fail_msg("%d: %s", rc, r.e.text);
	assert_true(round_envelope_equal(env, postfix_queue_envelope(r.queue)));
	assert_int_equal(r.content.len, len);
	if (len > 0)
		assert_memory_equal(r.content.data, content, len);
	round_end(&r);
	free(file.data);
}

static const struct envelope_rcpt plain_rcpt[] = {{.address = T("b@y.test")}};
static const struct envelope plain = {.sender = T("a@x.test"),
				      .arrival_s = 1700000000,
				      .rcpt_count = 1,
				      .rcpts = plain_rcpt};

/* Catches an envelope fact that does not survive. */
static void every_fact_of_an_envelope_comes_back(void **state)
{
	static const struct envelope_rcpt rcpts[] = {
		{.address = T("b@y.test"),
		 .orcpt = T("rfc822;c+2Bd@y.test"),
		 .notify = NOTIFY_SUCCESS | NOTIFY_DELAY},
		{.address = T("\"two words\"@xn--bcher-kva.test")},
		{.address = T("\"a\\\"b\\\\c\"@y.test"),
		 .notify = NOTIFY_NEVER},
		{.address = T("\"at@home\"@y.test"),
		 .orcpt = T("x400;/c+3Dde/")},
		{.address = T("e@[192.0.2.1]"), .notify = NOTIFY_FAILURE},
	};
	struct envelope env = {
		.sender = T("\"odd one\"@x.test"),
		.envid = T("QQ+2B+3D1"),
		.client = T("2001:db8::1"),
		.account = T("jane@example.org"),
		.body = BODY_8BITMIME,
		.ret = RET_HDRS,
		.arrival_s = 1234567890,
		.rcpt_count = sizeof(rcpts) / sizeof(rcpts[0]),
		.rcpts = rcpts,
	};

	(void)state;
	round_trip(&env, "Subject: x\r\n\r\ny\r\n", 17, 17);
	env.body = BODY_7BIT;
	env.ret = RET_FULL;
	env.sender = (struct text){NULL, 0};
	env.client = (struct text)T("192.0.2.77");
	round_trip(&env, "Subject: x\r\n\r\ny\r\n", 17, 1);
	env.envid = (struct text)T("+20edge+20");
	round_trip(&env, "Subject: x\r\n\r\ny\r\n", 17, 2);
}

/* Catches a message that needs SMTPUTF8 and comes back as one that does not,
 * or the other way round. */
static void the_need_for_smtputf8_comes_back(void **state)
{
	static const char header[] = "Subject: \xc3\xbc\r\n\r\nx\r\n";
	static const char ascii[] = "Subject: u\r\n\r\n\xc3\xbc\r\n";
	static const struct envelope_rcpt utf8[] = {
		{.address = T("j\xc3\xb6rg@y.test"),
		 .orcpt = T("utf-8;j\\x{F6}rg@y.test")}};
	struct envelope env = plain;

	(void)state;
	round_trip(&env, header, sizeof(header) - 1, 5);
	env.smtputf8 = 1;
	round_trip(&env, header, sizeof(header) - 1, 5);
	round_trip(&env, ascii, sizeof(ascii) - 1, 5);
	env.sender = (struct text)T("j\xc3\xb6rg@x.test");
	round_trip(&env, ascii, sizeof(ascii) - 1, 5);
	env.rcpts = utf8;
	round_trip(&env, ascii, sizeof(ascii) - 1, 5);
}

/* Catches bytes that are changed, or a line that is split wrongly, whatever
 * the pieces it comes in. */
static void content_comes_back_byte_for_byte(void **state)
{
	static const char *const contents[] = {
		"",
		"\r\n",
		"\r\n\r\n",
		"x\r\n",
		".\r\n..\r\n.x\r\n",
		"bare\rcr\r\n",
		"bare\nlf\r\n",
		"\r\r\n",
		"\r\r\r\n\r\n",
		"\n\r\n",
		"a\r\r\nb\r\n",
		"From x\r\n\tfold\r\n\r\n\xff\xfe\x80\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++)
		for (size_t step = 1; step < 8; step++)
			round_trip(&plain, contents[i], strlen(contents[i]),
				   step);
	round_trip(&plain, "nul \0 inside\r\n", 14, 3);
}

/* Catches an error at the length at which a line is split, and at that of
 * the buffer. */
static void long_lines_come_back(void **state)
{
	static char line[200000];

	(void)state;
	for (size_t i = 0; i < sizeof(line); i++)
		line[i] = (char)('a' + i % 26);
	for (size_t n = POSTFIX_LINE_BYTES - 2; n <= POSTFIX_LINE_BYTES + 2;
	     n++) {
		memcpy(line + n, "\r\nx\r\n", 5);
		round_trip(&plain, line, n + 5, 1000);
		line[n] = line[n + 1] = line[n + 3] = line[n + 4] = 'y';
	}
	memcpy(line + sizeof(line) - 2, "\r\n", 2);
	round_trip(&plain, line, sizeof(line), 65536);
}

/* Catches a record longer than the line_length_limit that Postfix's own
 * programs read with, and a file that says it is not finished. */
static void records_are_as_postfix_writes_them(void **state)
{
	static char line[10002];
	struct bytes in = {(uint8_t *)line, sizeof(line), sizeof(line)};
	struct bytes file = {0};
	size_t at, longest = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line + 10000, "\r\n", 2);
	assert_int_equal(round_write(&plain, &in, 4096, &file), 0);
	assert_memory_equal(file.data, "C_", 2);
	assert_int_not_equal(strtoul((char *)file.data + 2, NULL, 10), 0);
	at = strtoul((char *)file.data + 18, NULL, 10);
	assert_memory_equal(file.data + at - 2, "M\0", 2);
	while (file.data[at] != 'X') {
		size_t len = file.data[at + 1] & 0x7f, head = 2;

		if (file.data[at + 1] & 0x80)
			len |= (size_t)file.data[at + head++] << 7;
		longest = len > longest ? len : longest;
		at += head + len;
	}
	assert_int_equal(longest, POSTFIX_LINE_BYTES);
	assert_memory_equal(file.data + at, "X\0E\0", 4);
	assert_int_equal(at + 4, file.len);
	free(file.data);
}

/* Catches an address written as it is when it cannot be read back. */
static void an_address_without_its_closing_quote_is_refused(void **state)
{
	static const struct envelope_rcpt bad[] = {
		{.address = T("\"b@y.test")}};
	struct envelope env = plain;
	struct bytes none = {0}, file = {0};

	(void)state;
	env.rcpts = bad;
	assert_int_equal(round_write(&env, &none, 1, &file), -EINVAL);
	env = plain;
	env.sender = (struct text)T("\"x\\\"");
	assert_int_equal(round_write(&env, &none, 1, &file), -EINVAL);
	free(file.data);
}

static int sink_full(void *user, const void *data, size_t len)
{
	(void)user;
	(void)data;
	(void)len;
	return -ENOSPC;
}

/* Catches a full disk that nobody hears of. */
static void an_error_of_the_sink_ends_the_writing(void **state)
{
	struct postfix_write *w = malloc(sizeof(*w));
	uint8_t size[POSTFIX_SIZE_BYTES];
	int rc;

	(void)state;
	assert_non_null(w);
	rc = postfix_write_begin(w, &plain, 1, sink_full, NULL);
	for (int i = 0; i < 100 && rc == 0; i++)
		rc = postfix_write_content(w, "0123456789abcdef\r\n", 18);
	if (rc == 0)
		rc = postfix_write_end(w, size);
	assert_int_equal(rc, -ENOSPC);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fact_of_an_envelope_comes_back),
		cmocka_unit_test(the_need_for_smtputf8_comes_back),
		cmocka_unit_test(content_comes_back_byte_for_byte),
		cmocka_unit_test(long_lines_come_back),
		cmocka_unit_test(records_are_as_postfix_writes_them),
		cmocka_unit_test(
			an_address_without_its_closing_quote_is_refused),
		cmocka_unit_test(an_error_of_the_sink_ends_the_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
