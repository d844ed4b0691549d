/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_smtp_session.c - what a session says, over a spool that does as told.
 *
 * Dialogues: what the client sends, then what the server answers to it, line by
 * line, by how the line begins.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sluice/clock.h"
#include "sluice/log.h"
#include "smtp_fake.h"
#include "spool/spool.h"

static struct config_listen listener;
static struct addr_prefix own;

/* Each line of `expect` begins a line of what was said since the last call. */
static void expect(const char *expect)
{
	const char *line = fake_said;

	for (const char *e = expect; *e;) {
		size_t n = strcspn(e, "\n");

		if (strncmp(line, e, n) != 0)
			fail_msg("\"%.*s\" is not in:\n%s", (int)n, e,
				 fake_said);
		line += strcspn(line, "\n");
		line += *line == '\n';
		e += n + (e[n] == '\n');
	}
	if (*line)
		fail_msg("more than \"%s\":\n%s", expect, fake_said);
	fake_said_len = 0;
	fake_said[0] = '\0';
}

static void say(const char *text, const char *answer)
{
	fake_say(text);
	expect(answer);
}

static void begin_with(const struct fake_spool *s)
{
	fake_connect(s);
	expect("220 mx.sluice.test ESMTP");
	fake_say("EHLO c.test\r\n");
	fake_said_len = 0;
	fake_said[0] = '\0';
}

static void begin(void)
{
	begin_with(NULL);
}

static void envelope(void)
{
	say("MAIL FROM:<a@s.test>\r\nRCPT TO:<b@d.test>\r\n",
	    "250 2.1.0\n250 2.1.5");
}

static void end(void)
{
	fake_hangup();
	assert_true(fake_over());
	assert_int_equal(fake_open_messages, 0);
}

static void content_is(uint32_t number, const char *tail)
{
	const struct fake_message *m = &fake_stored[number];
	size_t n = strlen(tail);

	assert_true(fake_stored_count > number && m->len > n);
	if (memcmp(m->content + m->len - n, tail, n) != 0)
		fail_msg("%s", m->content);
}

static void text_is(const struct text *t, const char *wanted)
{
	if (t->len != strlen(wanted) || memcmp(t->data, wanted, t->len) != 0)
		fail_msg("\"%.*s\" is not \"%s\"", (int)t->len, t->data,
			 wanted);
}

/* Catches chunks that are lost, cut, taken for commands, or stuffed. */
static void chunks_make_a_message(void **state)
{
	(void)state;
	begin();
	envelope();
	say("BDAT 10\r\nA: b\r\n\r\n.\r", "250 2.0.0 10 octets");
	say("BDAT 0\r\n", "250 2.0.0 0 octets");
	say("BDAT 6 LAST\r\n\n.\r\nx\n", "550 5.6.11");
	envelope();
	say("BDAT 9\r\nA: b\r\n\r\n.BDAT 7 last\r\n\r\n..\r\n.",
	    "250 2.0.0 9 octets\n250 2.0.0 stored");
	content_is(0, "A: b\r\n\r\n.\r\n..\r\n.\r\n");
	assert_int_equal(fake_stored[0].flags & SPOOL_NEEDS_STUFFING,
			 SPOOL_NEEDS_STUFFING);
	envelope();
	say("BDAT 3\r\na\r\nBDAT 0 LAST\r\n", "250 2.0.0 3\n250 2.0.0 stored");
	content_is(1, "\r\na\r\n");
	envelope();
	say("BDAT 0 LAST\r\n", "250 2.0.0 stored");
	content_is(2, " +0000\r\n");
	end();
}

/* Catches octets of a refused chunk that are taken for commands: that would be
 * smuggling. */
static void refused_chunks_are_swallowed(void **state)
{
	(void)state;
	begin();
	say("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "503 5.5.1\n250 2.0.0");
	say("MAIL FROM:<a@s.test>\r\nRCPT TO:<bad>\r\nBDAT 6\r\nQUIT\r\n"
	    "BDAT 6 LAST\r\nRSET\r\n",
	    "250 2.1.0\n501\n554 5.5.1\n554 5.5.1");
	say("RSET\r\n", "250");
	envelope();
	say("BDAT 6\r\nQU\nT\r\nBDAT 6 LAST\r\nQUIT\r\n",
	    "550 5.6.11\n550 5.6.11");
	envelope();
	say("BDAT 2000000\r\n", "");
	for (int i = 0; i < 200; i++) {
		char block[10000];

		memset(block, 'Q', sizeof(block));
		fake_send(block, sizeof(block));
	}
	expect("552 5.3.4");
	say("BDAT 6 LAST\r\nQUIT\r\n", "552 5.3.4");
	say("BDAT 1 LAST\r\n\n", "503 5.5.1");
	assert_int_equal(fake_stored_count, 0);
	end();
}

/* Catches a chunk whose length nobody knows, and what follows it. */
static void bdat_without_a_count_ends_the_session(void **state)
{
	static const char *const bad[] = {"BDAT\r\n",
					  "BDAT x\r\n",
					  "BDAT -1 LAST\r\n",
					  "BDAT 1 MORE\r\n",
					  "BDAT 9999999999999999999\r\n",
					  "BDAT 1 LAST LAST\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		begin();
		envelope();
		fake_say(bad[i]);
		fake_say("QUIT\r\n");
		expect("521 5.5.4");
		assert_true(fake_closing());
		end();
	}
}

/* Catches DATA and BDAT in one message, and an envelope that grows after its
 * content has begun. */
static void data_and_bdat_do_not_mix(void **state)
{
	(void)state;
	begin();
	envelope();
	say("BDAT 3\r\na\r\n", "250 2.0.0");
	say("DATA\r\n", "503 5.5.1 BDAT is under way");
	say("RCPT TO:<c@d.test>\r\n", "503 5.5.1 BDAT is under way");
	say("MAIL FROM:<c@d.test>\r\n", "503 5.5.1 BDAT is under way");
	say("XFORWARD NAME=x\r\n", "503 5.5.1");
	say("BDAT 3 LAST\r\nb\r\n", "250 2.0.0 stored");
	content_is(0, "\r\na\r\nb\r\n");
	assert_int_equal(fake_stored[0].env.rcpt_count, 1);
	envelope();
	say("BDAT 3\r\na\r\nRSET\r\n", "250 2.0.0\n250 2.0.0");
	assert_int_equal(fake_open_messages, 0);
	say("BDAT 3 LAST\r\na\r\n", "503 5.5.1");
	end();
	assert_int_equal(fake_stored_count, 1);
}

/* Catches a spool without room that loses or doubles a piece. */
static void a_busy_spool_gets_everything_once(void **state)
{
	static const char wire[] = "A: b\r\n\r\n..x\r\n...y\r\nz\r\n.\r\n";
	const struct fake_spool busy = {.again_every = 3};

	(void)state;
	begin_with(&busy);
	envelope();
	say("DATA\r\n", "354 ");
	for (size_t i = 0; i < strlen(wire); i++)
		fake_send(wire + i, 1);
	expect("250 2.0.0 stored");
	content_is(0, " +0000\r\nA: b\r\n\r\n.x\r\n..y\r\nz\r\n");
	envelope();
	say("BDAT 1\r\naBDAT 1\r\nbBDAT 1 LAST\r\nc",
	    "250\n250\n250 2.0.0 stored");
	content_is(1, " +0000\r\nabc\r\n");
	end();
	assert_int_equal(fake_stored_count, 2);
}

/* Catches a 250 for what is not durable. */
static void failures_of_the_spool_are_told(void **state)
{
	static const struct {
		struct fake_spool spool;
		const char *data, *dot;
	} rows[] = {
		{{.begin = -ENOSPC}, "452 4.3.1", NULL},
		{{.begin = -EIO}, "451 4.3.0", NULL},
		{{.begin = -EMSGSIZE}, "550 5.5.4", NULL},
		{{.finish = -ENOSPC}, "354", "452 4.3.1"},
		{{.finish = -EIO}, "354", "451 4.3.0"},
		{{.commit = -EIO}, "354", "451 4.3.0"},
		{{.commit = -ENOSPC}, "354", "452 4.3.1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin_with(&rows[i].spool);
		envelope();
		say("DATA\r\n", rows[i].data);
		if (rows[i].dot)
			say("x\r\n.\r\n", rows[i].dot);
		envelope();
		say("BDAT 1 LAST\r\nx",
		    rows[i].dot ? rows[i].dot : rows[i].data);
		envelope();
		end();
		assert_int_equal(fake_stored_count, 0);
	}
}

/* Catches a message that goes round for ever, and one that is refused for a
 * Received: in its body. */
static void loops_are_broken(void **state)
{
	char content[8192] = "";

	(void)state;
	for (int i = 0; i < 101; i++)
		strcat(content,
		       i % 2 ? "RECEIVED: x\r\n" : "Received:\r\n x\r\n");
	strcat(content, "\r\n.\r\n");
	begin();
	envelope();
	say("DATA\r\n", "354");
	say(content, "554 5.4.6");
	envelope();
	say("DATA\r\n", "354");
	fake_say("XReceived: a\r\nReceived : b\r\n\r\n");
	say(content, "250 2.0.0 stored");
	envelope();
	say("DATA\r\n", "354");
	say(strchr(content, '\n') + 1 + 4, "250 2.0.0 stored");
	end();
}

/* Catches an untrusted host that says who it is, or a trusted one whose client
 * is not told apart from it. */
static void xclient_is_for_trusted_hosts(void **state)
{
	struct addr_prefix trusted = own;

	(void)state;
	begin();
	say("XCLIENT ADDR=10.9.9.9\r\n", "550 5.7.0");
	say("XFORWARD ADDR=10.9.9.9\r\n", "550 5.7.0");
	end();
	listener.trust = &trusted;
	listener.trust_count = 1;
	fake_connect(NULL);
	fake_say("EHLO c.test\r\n");
	assert_non_null(strstr(fake_said, "250-XCLIENT NAME ADDR"));
	assert_non_null(strstr(fake_said, "250-XFORWARD NAME ADDR"));
	fake_said_len = 0;
	fake_said[0] = '\0';
	say("XCLIENT ADDR=10.9.9.9 NAME=out.example HELO=h\r\n", "220 mx");
	say("MAIL FROM:<a@s.test>\r\n", "503 5.5.1");
	fake_say("EHLO inner.example\r\n");
	fake_said_len = 0;
	say("MAIL FROM:<a@s.test>\r\n", "250");
	say("RCPT TO:<b@d.test>\r\n", "550 5.7.1");
	say("RSET\r\n", "250");
	say("XCLIENT LOGIN=a+2Bb@x\r\n", "220 mx");
	fake_say("EHLO inner.example\r\n");
	fake_said_len = 0;
	envelope();
	say("XCLIENT ADDR=10.1.1.1\r\n", "503 5.5.1");
	say("DATA\r\n", "354");
	say("x\r\n.\r\n", "250");
	text_is(&fake_stored[0].env.client, "10.9.9.9");
	text_is(&fake_stored[0].env.account, "a+b@x");
	assert_non_null(strstr(fake_stored[0].content,
			       "Received: from inner.example (out.example "
			       "[10.9.9.9])\r\n\tby mx.sluice.test with "
			       "ESMTPA id "));
	say("XCLIENT LOGIN=[UNAVAILABLE] ADDR=[UNAVAILABLE]\r\n", "220 mx");
	fake_say("EHLO inner.example\r\n");
	fake_said_len = 0;
	say("MAIL FROM:<a@s.test>\r\n", "250");
	say("RCPT TO:<b@d.test>\r\n", "550 5.7.1");
	end();
	listener.trust_count = 0;
}

/* Catches what was said of one message and is kept for the next. */
static void xforward_tells_of_one_message(void **state)
{
	struct addr_prefix trusted = own;

	(void)state;
	listener.trust = &trusted;
	listener.trust_count = 1;
	begin();
	say("XFORWARD ADDR=IPV6:2001:DB8::1 NAME=u+2b.example PORT=1234\r\n",
	    "250 2.0.0");
	say("XFORWARD IDENT=4ABCDEF PROTO=ESMTP HELO=u SOURCE=REMOTE "
	    "LOGIN=joe\r\n",
	    "250 2.0.0");
	envelope();
	say("XFORWARD NAME=y\r\n", "503 5.5.1");
	say("DATA\r\n", "354");
	say("x\r\n.\r\n", "250");
	text_is(&fake_stored[0].env.client, "2001:db8::1");
	text_is(&fake_stored[0].env.account, "joe");
	text_is(&fake_stored[0].env.origin, "4ABCDEF");
	text_is(&fake_stored[0].env.forwarded,
		"NAME=u+2B.example PORT=1234 PROTO=ESMTP HELO=u SOURCE=REMOTE");
	assert_non_null(strstr(fake_stored[0].content, "([127.0.0.1])"));
	envelope();
	say("DATA\r\n", "354");
	say("x\r\n.\r\n", "250");
	text_is(&fake_stored[1].env.client, "127.0.0.1");
	text_is(&fake_stored[1].env.account, "");
	text_is(&fake_stored[1].env.origin, "");
	text_is(&fake_stored[1].env.forwarded, "");
	say("XFORWARD\r\n", "501 5.5.4");
	say("XFORWARD NAME\r\n", "501 5.5.4");
	say("XFORWARD NAME=\r\n", "501 5.5.4");
	say("XFORWARD NAME=a+0Ab\r\n", "501 5.5.4");
	say("XFORWARD DESTADDR=1.2.3.4\r\n", "501 5.5.4");
	say("XFORWARD ADDR=10.0.0.0/8\r\n", "501 5.5.4");
	say("XFORWARD PORT=65536\r\n", "501 5.5.4");
	say("XFORWARD SOURCE=HERE\r\n", "501 5.5.4");
	say("XFORWARD PROTO=HTTP\r\n", "501 5.5.4");
	end();
	listener.trust_count = 0;
}

/* Catches a session that never ends: by silence, by a byte now and then, by
 * mail without end. */
static void time_ends_every_session(void **state)
{
	(void)state;
	begin();
	fake_time_pass(299 * NS_PER_S);
	expect("");
	fake_time_pass(2 * NS_PER_S);
	expect("421 4.4.2 timeout");
	assert_true(fake_closing());
	assert_false(fake_over());
	fake_time_pass(4 * NS_PER_S);
	assert_true(fake_over());
	begin();
	for (int i = 0; i < 5; i++) { /* a line, a byte a minute */
		fake_time_pass(61 * NS_PER_S);
		fake_say("N");
	}
	expect("421 4.4.2 timeout");
	end();
	begin();
	envelope();
	say("DATA\r\n", "354");
	for (int i = 0; i < 11; i++) {
		fake_time_pass(30 * NS_PER_S);
		fake_say("x\r\n");
	}
	expect("421 4.4.2 timeout");
	end();
	begin();
	for (int i = 0; i < 100; i++) {
		envelope();
		say("RSET\r\n", "250");
		if (i % 20 == 0) {
			say("DATA\r\n", "503 5.5.1");
		}
		fake_time_pass(140 * NS_PER_S);
	}
	fake_time_pass(100 * NS_PER_S);
	say("DATA\r\n", "503 5.5.1");
	fake_time_pass(200 * NS_PER_S);
	say("DATA\r\n", "503 5.5.1");
	fake_time_pass(150 * NS_PER_S);
	expect("421 4.4.2 the session has lasted too long");
	end();
	assert_int_equal(fake_stored_count, 0);
}

/* Catches clients that are slow and honest, and cut off. */
static void slow_content_is_taken(void **state)
{
	char block[1024];

	(void)state;
	memset(block, 'x', sizeof(block));
	begin();
	envelope();
	say("DATA\r\n", "354");
	for (int i = 0; i < 1000; i++) { /* 1 KiB a second, for 1000 s */
		fake_send(block, sizeof(block));
		fake_time_pass(NS_PER_S);
	}
	say("\r\n.\r\n", "250 2.0.0 stored");
	end();
}

/* Catches commands that cost nothing and can be said for ever. */
static void idle_talk_has_an_end(void **state)
{
	int i;

	(void)state;
	begin();
	for (i = 0; i < 200 && !fake_closing(); i++)
		fake_say(i % 2 ? "NOOP\r\n" : "RSET\r\n");
	assert_int_equal(i, 99 + 20);
	assert_non_null(strstr(fake_said, "421 4.7.0 too many errors"));
	end();
	listener.rcpts_max = 3;
	fake_close();
	fake_open(&listener, 1);
	begin();
	say("MAIL FROM:<a@s.test>\r\n", "250");
	for (i = 0; i < 200 && !fake_closing(); i++)
		fake_say("RCPT TO:<b@d.test>\r\n");
	assert_int_equal(i, 3 + 3 + 20);
	end();
	listener.rcpts_max = 0;
	listener.messages_max = 2;
	fake_close();
	fake_open(&listener, 1);
	begin();
	for (i = 0; i < 2; i++) {
		envelope();
		say("DATA\r\n", "354");
		say("x\r\n.\r\n", "250");
	}
	say("MAIL FROM:<a@s.test>\r\n", "421 4.7.0 enough messages");
	end();
	listener.messages_max = 0;
}

/* Catches a client that goes on before it has read the answer: RFC 2920 says
 * which commands end a group. */
static void groups_end_where_they_must(void **state)
{
	static const char *const bad[] = {
		"EHLO a\r\nMAIL FROM:<a@s.test>\r\n",
		"NOOP\r\nRSET\r\n",
		"VRFY x\r\nRSET\r\n",
		"MAIL FROM:<a@s.test>\r\nRCPT TO:<b@d.test>\r\nDATA\r\nx",
	};
	static const char *const good[] = {
		"RSET\r\nMAIL FROM:<a@s.test>\r\nRCPT TO:<b@d.test>\r\n"
		"RSET\r\nNOOP\r\n",
		"MAIL FROM:<a@s.test>\r\nRCPT TO:<b@d.test>\r\nBDAT 0 LAST\r\n"
		"RSET\r\n",
		"QUIT\r\nhello?\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		begin();
		fake_say(bad[i]);
		assert_non_null(strstr(fake_said, "554 5.5.0"));
		assert_true(fake_closing());
		end();
		assert_int_equal(fake_stored_count, 0);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		begin();
		fake_say(good[i]);
		assert_null(strstr(fake_said, "554 5.5.0"));
		end();
	}
	fake_connect(NULL);
	fake_say("HELO c.test\r\n");
	fake_say("MAIL FROM:<a@s.test>\r\nRCPT TO:<b@d.test>\r\n");
	assert_non_null(strstr(fake_said, "554 5.5.0"));
	end();
}

/* Catches a stop that waits for ever, or cuts off what is nearly through. */
static void a_stop_lets_messages_through(void **state)
{
	(void)state;
	begin();
	envelope();
	say("DATA\r\n", "354");
	fake_stop();
	expect("");
	say("x\r\n.\r\n", "250 2.0.0 stored\n421 4.3.2 shutting down");
	end();
	fake_close();
	fake_open(&listener, 1);
	begin();
	envelope();
	say("DATA\r\n", "354");
	fake_stop();
	fake_time_pass(11 * NS_PER_S);
	expect("421 4.4.2");
	end();
	fake_close();
	fake_open(&listener, 1);
	fake_connect(NULL);
	fake_stop();
	expect("220\n421 4.3.2 shutting down");
	end();
	fake_close();
	fake_open(&listener, 1);
}

static int setup(void **state)
{
	(void)state;
	log_init("test", LOG_ERROR_, LOG_TEXT);
	if (addr_prefix_parse("127.0.0.0/8", &own))
		return -1;
	listener = (struct config_listen){
		.size_max_bytes = 1100000, .allow = &own, .allow_count = 1};
	fake_open(&listener, 1);
	return 0;
}

static int over(void **state)
{
	(void)state;
	fake_close();
	return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, over)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(chunks_make_a_message),
		T(refused_chunks_are_swallowed),
		T(bdat_without_a_count_ends_the_session),
		T(data_and_bdat_do_not_mix),
		T(a_busy_spool_gets_everything_once),
		T(failures_of_the_spool_are_told),
		T(loops_are_broken),
		T(xclient_is_for_trusted_hosts),
		T(xforward_tells_of_one_message),
		T(time_ends_every_session),
		T(slow_content_is_taken),
		T(idle_talk_has_an_end),
		T(groups_end_where_they_must),
		T(a_stop_lets_messages_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
