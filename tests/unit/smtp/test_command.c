/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_command.c - commands are written so that nothing can be injected, and
 * read so that nothing slips through.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/command.h"
#include "smtp/command_parse.h"

static struct text text_of(const char *s)
{
	return (struct text){s, (uint32_t)strlen(s)};
}

static const struct smtp_extensions none;
static const struct smtp_extensions all = {true, true, true, true, true,
					   true, true, true, 0};

static int rcpt(const char *address, char *out, size_t size)
{
	struct smtp_writer w = {out, (uint32_t)size, 0};
	struct envelope_rcpt r = {.address = text_of(address)};
	int res = smtp_write_rcpt(&w, &r, &none);

	out[w.len < size ? w.len : size - 1] = '\0';
	return res;
}

static void local_parts_are_quoted_where_needed(void **state)
{
	static const char *const pairs[][2] = {
		{"a@example.org", "RCPT TO:<a@example.org>\r\n"},
		{"a.b+c@example.org", "RCPT TO:<a.b+c@example.org>\r\n"},
		{"postmaster", "RCPT TO:<postmaster>\r\n"},
		{"john doe@example.org",
		 "RCPT TO:<\"john doe\"@example.org>\r\n"},
		{"\"john doe\"@example.org",
		 "RCPT TO:<\"john doe\"@example.org>\r\n"},
		{"a\"b@example.org", "RCPT TO:<\"a\\\"b\"@example.org>\r\n"},
		{"a\\@example.org", "RCPT TO:<\"a\\\\\"@example.org>\r\n"},
		{"a@b@example.org", "RCPT TO:<\"a@b\"@example.org>\r\n"},
		{".a@example.org", "RCPT TO:<\".a\"@example.org>\r\n"},
		{"a..b@example.org", "RCPT TO:<\"a..b\"@example.org>\r\n"},
		{"a>b@example.org", "RCPT TO:<\"a>b\"@example.org>\r\n"},
		{"a@[192.0.2.1]", "RCPT TO:<a@[192.0.2.1]>\r\n"},
		{"a@[IPv6:2001:db8::1]", "RCPT TO:<a@[IPv6:2001:db8::1]>\r\n"},
		{"\xc3\xa4@example.org", "RCPT TO:<\xc3\xa4@example.org>\r\n"},
	};
	char out[256];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(rcpt(pairs[i][0], out, sizeof(out)), 0);
		assert_string_equal(out, pairs[i][1]);
	}
}

/* An address with a line end in it must not become two commands. */
static void injection_is_refused(void **state)
{
	static const char *const bad[] = {"a\r\nDATA\r\n@example.org",
					  "a@example.org>\r\nRCPT TO:<b@x",
					  "a\nb@example.org",
					  "a@exa mple.org",
					  "a@example.org> NOTIFY=x",
					  "",
					  "@example.org",
					  "a@",
					  "\x01@example.org",
					  "\xff@example.org",
					  "a@[192.0.2.1",
					  "a@-x.org",
					  "a@x..org",
					  "\x7f@x.org"};
	char out[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(rcpt(bad[i], out, sizeof(out)), -EINVAL);
		assert_string_equal(out, "");
	}
}

/* What does not fit leaves the writer as it was, at every size. */
static void a_command_is_written_whole_or_not_at_all(void **state)
{
	char buf[64], guard[64];

	memset(guard, 'G', sizeof(guard));
	for (uint32_t size = 0; size < 32; size++) {
		struct smtp_writer w = {buf, size, 0};
		struct envelope_rcpt r = {.address = text_of("a@example.org")};
		int res;

		memset(buf, 'G', sizeof(buf));
		res = smtp_write_rcpt(&w, &r, &none);
		assert_int_equal(res, size >= 25 ? 0 : -ENOSPC);
		assert_int_equal(w.len, size >= 25 ? 25 : 0);
		assert_memory_equal(buf + size, guard, sizeof(buf) - size);
	}
}

static void parameters_go_only_where_offered(void **state)
{
	char out[256];
	struct smtp_mail m = {.sender = text_of("s@example.org"),
			      .size_bytes = 18446744073709551615ULL,
			      .eightbit = true,
			      .smtputf8 = true,
			      .ret = RET_HDRS,
			      .envid = text_of("QQ+2B1")};
	struct smtp_writer w = {out, sizeof(out), 0};

	assert_int_equal(smtp_write_mail(&w, &m, &none), 0);
	out[w.len] = '\0';
	assert_string_equal(out, "MAIL FROM:<s@example.org>\r\n");
	w.len = 0;
	assert_int_equal(smtp_write_mail(&w, &m, &all), 0);
	out[w.len] = '\0';
	assert_string_equal(out, "MAIL FROM:<s@example.org> "
				 "SIZE=18446744073709551615 BODY=8BITMIME "
				 "SMTPUTF8 RET=HDRS ENVID=QQ+2B1\r\n");
	m = (struct smtp_mail){.sender = {NULL, 0}};
	w.len = 0;
	assert_int_equal(smtp_write_mail(&w, &m, &all), 0);
	out[w.len] = '\0';
	assert_string_equal(out, "MAIL FROM:<>\r\n");
}

static void dsn_of_a_recipient_is_written(void **state)
{
	char out[256];
	struct smtp_writer w = {out, sizeof(out), 0};
	struct envelope_rcpt r = {.address = text_of("a@example.org"),
				  .orcpt = text_of("rfc822;b+2Bc@example.org"),
				  .notify = NOTIFY_FAILURE | NOTIFY_DELAY};

	assert_int_equal(smtp_write_rcpt(&w, &r, &all), 0);
	out[w.len] = '\0';
	assert_string_equal(out, "RCPT TO:<a@example.org> "
				 "NOTIFY=FAILURE,DELAY "
				 "ORCPT=rfc822;b+2Bc@example.org\r\n");
	r.notify = NOTIFY_NEVER;
	r.orcpt = text_of("rfc822;a b\r\n");
	w.len = 0;
	assert_int_equal(smtp_write_rcpt(&w, &r, &all), 0);
	out[w.len] = '\0';
	assert_string_equal(out, "RCPT TO:<a@example.org> NOTIFY=NEVER\r\n");
}

static void hello_names_are_checked(void **state)
{
	char out[64];
	struct smtp_writer w = {out, sizeof(out), 0};

	assert_int_equal(smtp_write_hello(&w, "EHLO", "out1.example.edu"), 0);
	assert_memory_equal(out, "EHLO out1.example.edu\r\n", w.len);
	w.len = 0;
	assert_int_equal(smtp_write_hello(&w, "EHLO", "a b"), -EINVAL);
	assert_int_equal(smtp_write_hello(&w, "EHLO", "x\r\nDATA"), -EINVAL);
	assert_int_equal(w.len, 0);
}

static int parse(const char *line, struct smtp_command *cmd,
		 struct smtp_complaint *c)
{
	return smtp_command_parse(line, strlen(line), cmd, c);
}

static void good_commands_are_read(void **state)
{
	struct smtp_command k;
	struct smtp_complaint c;

	assert_int_equal(parse("EHLO mx.example.org", &k, &c), 0);
	assert_int_equal(k.verb, SMTP_EHLO);
	assert_int_equal(k.argument.len, 14);
	assert_int_equal(parse("helo [192.0.2.1]", &k, &c), 0);
	assert_int_equal(k.verb, SMTP_HELO);
	assert_int_equal(parse("MAIL FROM:<>", &k, &c), 0);
	assert_true(k.path.null);
	assert_int_equal(parse("mail from:<a@x.org> size=100 BODY=8BITMIME "
			       "RET=FULL ENVID=x+2B SMTPUTF8",
			       &k, &c),
			 0);
	assert_int_equal(k.verb, SMTP_MAIL);
	assert_true(k.size_given && k.size_bytes == 100 && k.smtputf8);
	assert_int_equal(k.body, BODY_8BITMIME);
	assert_int_equal(k.ret, RET_FULL);
	assert_int_equal(k.envid.len, 4);
	assert_int_equal(parse("RCPT TO:<@r.org,@s.org:\"a b\"@x.org> "
			       "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+20b@x.org",
			       &k, &c),
			 0);
	assert_true(k.path.quoted);
	assert_memory_equal(k.path.whole.data, "\"a b\"@x.org", 11);
	assert_int_equal(k.notify, NOTIFY_SUCCESS | NOTIFY_DELAY);
	assert_int_equal(k.orcpt.len, 18);
	assert_int_equal(parse("RCPT TO:<Postmaster>", &k, &c), 0);
	assert_int_equal(k.path.domain.len, 0);
	assert_int_equal(parse("DATA", &k, &c), 0);
	assert_int_equal(parse("NOOP whatever", &k, &c), 0);
	assert_int_equal(parse("VRFY a@x.org", &k, &c), 0);
	assert_int_equal(parse("RSET", &k, &c), 0);
	assert_int_equal(parse("QUIT ", &k, &c), 0);
	assert_int_equal(k.verb, SMTP_QUIT);
	assert_int_equal(parse("MAIL FROM: <a@x.org>  SIZE=7 AUTH=<>", &k, &c),
			 0);
	assert_int_equal(k.size_bytes, 7);
	assert_int_equal(parse("BDAT 1000000000000 last", &k, &c), 0);
	assert_true(k.chunk_last && k.chunk_bytes == 1000000000000);
	assert_int_equal(parse("BDAT 0", &k, &c), 0);
	assert_true(!k.chunk_last && k.chunk_bytes == 0);
}

static void attributes_are_decoded(void **state)
{
	char text[SMTP_ATTRIBUTE_BYTES], line[400] = "XFORWARD NAME=";
	struct smtp_command k;
	struct smtp_complaint c;

	assert_int_equal(
		parse("XCLIENT NAME=a+2Bb+3d addr=[UNAVAILABLE]", &k, &c), 0);
	assert_int_equal(
		smtp_attribute_decode(&k.attributes[SMTP_ATTRIBUTE_NAME], text),
		4);
	assert_string_equal(text, "a+b=");
	assert_int_equal(
		smtp_attribute_decode(&k.attributes[SMTP_ATTRIBUTE_ADDR], text),
		0);
	assert_string_equal(text, "");
	assert_null(k.attributes[SMTP_ATTRIBUTE_HELO].data);
	memset(line + 14, 'x', 255);
	assert_int_equal(parse(line, &k, &c), 0);
	line[14 + 255] = 'x';
	assert_int_equal(parse(line, &k, &c), -EINVAL);
}

/* Catches limits that are off by one. */
static void paths_are_as_long_as_they_may_be(void **state)
{
	char line[400] = "RCPT TO:<";
	struct smtp_command k;
	struct smtp_complaint c;

	memset(line + 9, 'a', 254 - 6);
	strcpy(line + 9 + 254 - 6, "@x.org>");
	assert_int_equal(parse(line, &k, &c), 0);
	memset(line + 9, 'a', 255 - 6);
	strcpy(line + 9 + 255 - 6, "@x.org>");
	assert_int_equal(parse(line, &k, &c), -EINVAL);
	assert_string_equal(c.text, "address is too long");
}

static const struct {
	const char *line;
	const char *answer;
} bad_lines[] = {
	{"", "500 5.5.2 command not recognised"},
	{"STUFF", "500 5.5.2 command not recognised"},
	{"DATA now", "501 5.5.4 this command takes no argument"},
	{"EHLO", "501 5.5.4 a domain or an address literal please"},
	{"EHLO a b", "501 5.5.4 a domain or an address literal please"},
	{"HELO \xff.org", "501 5.5.4 a domain or an address literal please"},
	{"EXPN staff", "502 5.5.1 this command is not offered"},
	{"STARTTLS", "502 5.5.1 this command is not offered"},
	{"AUTH PLAIN AAA=", "502 5.5.1 this command is not offered"},
	{"GET / HTTP/1.1", "521 5.5.1 this is SMTP, closing connection"},
	{"BDAT", "521 5.5.4 syntax: BDAT count [LAST]"},
	{"BDAT 1x", "521 5.5.4 syntax: BDAT count [LAST]"},
	{"BDAT +1", "521 5.5.4 syntax: BDAT count [LAST]"},
	{"BDAT 1 FIRST", "521 5.5.4 syntax: BDAT count [LAST]"},
	{"BDAT 1234567890123456789", "521 5.5.4 syntax: BDAT count [LAST]"},
	{"XCLIENT", "501 5.5.4 syntax: NAME=value ..."},
	{"XCLIENT ADDR", "501 5.5.4 an attribute is NAME=value"},
	{"XCLIENT IDENT=1", "501 5.5.4 unknown attribute"},
	{"XFORWARD DESTPORT=1", "501 5.5.4 unknown attribute"},
	{"XFORWARD NAME=a NAME=b", "501 5.5.4 an attribute is given twice"},
	{"XFORWARD NAME=a+0D+0AQUIT",
	 "501 5.5.4 a value is xtext of 1 to 255 characters"},
	{"XFORWARD NAME=a+4",
	 "501 5.5.4 a value is xtext of 1 to 255 characters"},
	{"MAIL FROM", "501 5.5.4 syntax: MAIL FROM:<address>"},
	{"MAIL TO:<a@x.org>", "501 5.5.4 syntax: MAIL FROM:<address>"},
	{"MAIL FROM:a@x.org", "501 5.1.7 '<' expected"},
	{"MAIL FROM:<a@x.org", "501 5.1.7 '>' expected"},
	{"MAIL FROM:<a b@x.org>", "501 5.1.7 bad character in the local part"},
	{"MAIL FROM:<a@>", "501 5.1.7 bad domain"},
	{"MAIL FROM:<a@b@x.org>", "501 5.1.7 bad domain"},
	{"MAIL FROM:<a>", "501 5.1.7 no domain"},
	{"MAIL FROM:<\"a\"b@x.org>",
	 "501 5.1.7 '@' expected after the local part"},
	{"MAIL FROM:<a@x.org>SIZE=1", "501 5.5.4 a space after the address"},
	{"MAIL FROM:<a@x.org> =1", "501 5.5.4 a parameter without a name"},
	{"MAIL FROM:<a@x.org> SIZE=", "501 5.5.4 SIZE wants one number"},
	{"MAIL FROM:<a@x.org> SIZE=1 SIZE=2",
	 "501 5.5.4 SIZE wants one number"},
	{"MAIL FROM:<a@x.org> SIZE=99999999999999999999",
	 "501 5.5.4 SIZE wants one number"},
	{"MAIL FROM:<a@x.org> BODY=BINARYMIME",
	 "501 5.5.4 BODY is 7BIT or 8BITMIME"},
	{"MAIL FROM:<a@x.org> AUTH=a+", "501 5.5.4 AUTH wants <> or xtext"},
	{"MAIL FROM:<a@x.org> NOTIFY=NEVER", "555 5.5.4 unsupported parameter"},
	{"MAIL FROM:<\xc3\xa4@x.org>", "553 5.6.7 this address needs SMTPUTF8"},
	{"RCPT TO:<>", "501 5.1.3 a recipient cannot be <>"},
	{"RCPT TO:<a@x.org> NOTIFY=NEVER,DELAY",
	 "501 5.5.4 NOTIFY=NEVER stands alone"},
	{"RCPT TO:<a@x.org> NOTIFY=SOON", "501 5.5.4 bad word in NOTIFY"},
	{"RCPT TO:<a@x.org> ORCPT=a@x.org", "501 5.5.4 ORCPT wants type;xtext"},
	{"RCPT TO:<a@x.org> ORCPT=rfc822;a+2",
	 "501 5.5.4 ORCPT wants type;xtext"},
	{"NOOP \t", "500 5.5.2 control character in command"},
	{"VRFY", "501 5.5.4 syntax: VRFY address"},
};

/* Each mistake gets its own words, and leaves the output alone. */
static void bad_commands_are_told_what_is_wrong(void **state)
{
	for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
		struct smtp_command k = {.verb = 77};
		struct smtp_complaint c;
		char text[128];

		assert_int_equal(parse(bad_lines[i].line, &k, &c), -EINVAL);
		assert_int_equal(k.verb, 77);
		assert_int_equal(smtp_complaint_format(&c, text, sizeof(text)),
				 strlen(bad_lines[i].answer));
		assert_string_equal(text, bad_lines[i].answer);
	}
}

static void bdat_names_its_bytes(void **state)
{
	char out[64];
	struct smtp_writer w = {out, sizeof(out), 0};

	assert_int_equal(smtp_write_bdat_last(&w, 12345678901), 0);
	assert_int_equal(smtp_write_bdat_last(&w, 0), 0);
	assert_int_equal(w.len, 36);
	assert_memory_equal(out, "BDAT 12345678901 LAST\r\nBDAT 0 LAST\r\n",
			    w.len);
	w.size = w.len + 4;
	assert_int_equal(smtp_write_bdat_last(&w, 1), -ENOSPC);
	assert_int_equal(w.len, 36);
}

/* What our writer says, our parser understands, as the same address. */
static void written_commands_can_be_read(void **state)
{
	static const char *const plain[] = {"a@x.org", "\"a b\"@x.org",
					    "a@[IPv6:::1]"};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		char out[128];
		struct smtp_command k;
		struct smtp_complaint c;

		assert_int_equal(rcpt(plain[i], out, sizeof(out)), 0);
		assert_int_equal(
			smtp_command_parse(out, strlen(out) - 2, &k, &c), 0);
		assert_int_equal(k.path.whole.len, strlen(plain[i]));
		assert_memory_equal(k.path.whole.data, plain[i],
				    k.path.whole.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_parts_are_quoted_where_needed),
		cmocka_unit_test(injection_is_refused),
		cmocka_unit_test(a_command_is_written_whole_or_not_at_all),
		cmocka_unit_test(parameters_go_only_where_offered),
		cmocka_unit_test(dsn_of_a_recipient_is_written),
		cmocka_unit_test(bdat_names_its_bytes),
		cmocka_unit_test(hello_names_are_checked),
		cmocka_unit_test(good_commands_are_read),
		cmocka_unit_test(attributes_are_decoded),
		cmocka_unit_test(paths_are_as_long_as_they_may_be),
		cmocka_unit_test(bad_commands_are_told_what_is_wrong),
		cmocka_unit_test(written_commands_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
