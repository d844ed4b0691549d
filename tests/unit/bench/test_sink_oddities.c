/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_sink_oddities.c - what --policy at=PHASE/ACTION does. The table of
 * receivers in tests/e2e says what becomes of mail when a receiver does such
 * things: it means nothing if the sink does not do them.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sink/oddity.h"
#include "sink_client.h"
#include "sink_fixture.h"

#define HELO  "HELO t\r\n"
#define START "MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\n"
#define MAIL  HELO START "DATA\r\n" ON_WIRE
#define CHUNK "X-Sluice-Bench: 9-0000000001\r\n"

enum end { OPEN, CLOSED, RESET };

static const struct row {
	const char *policy;
	const char *say;
	const char *hear; /* somewhere in what the sink says */
	enum end end;
	int messages;
} rows[] = {
	{"plain", MAIL, "354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0",
	 OPEN, 1},
	{"at=greeting/reply/554 no", "", "554 no\r\n", OPEN, 0},
	{"at=greeting/reply-close/421 no", "", "421 no\r\n", CLOSED, 0},
	{"at=greeting/close", "", "", CLOSED, 0},
	{"at=greeting/reset", "", "", RESET, 0},
	{"at=greeting/before/250 early", "", "250 early\r\n220 ", OPEN, 0},
	{"at=greeting/reply/220-a|220 b", MAIL, "220-a\r\n220 b\r\n250 sink",
	 OPEN, 1},
	{"at=greeting/cut/22", "", "22", CLOSED, 0},
	{"at=ehlo/reply/502 no", "EHLO t\r\n" MAIL,
	 "502 no\r\n250 sink.bench.test\r\n", OPEN, 1},
	{"no-ehlo", "EHLO t\r\n" MAIL, "500 5.5.1", OPEN, 1},
	{"at=helo/skip", MAIL, "ESMTP\r\n250 2.1.0 Ok\r\n", OPEN, 1},
	{"at=mail/reply/451 no", MAIL, "451 no\r\n503 5.5.1", OPEN, 0},
	{"at=mail#1/reply/451 no", HELO START START "DATA\r\n" ON_WIRE,
	 "451 no\r\n503 5.5.1 Not now\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok", OPEN,
	 1},
	{"at=rcpt/twice", MAIL, "250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n354", OPEN, 1},
	{"at=rcpt/stall", MAIL, "250 2.1.0 Ok\r\n", OPEN, 0},
	{"at=data/reply/250 go", MAIL, "250 2.1.5 Ok\r\n250 go\r\n500", OPEN,
	 0},
	{"at=data/then/354 again", MAIL, "<LF>\r\n354 again\r\n250 2.0.0", OPEN,
	 1},
	{"at=content/reply/552 big", MAIL, "552 big\r\n250 2.0.0 Ok", OPEN, 1},
	{"at=content/reset", MAIL, "", RESET, 0},
	{"at=dot/reply/554 spam", MAIL, "554 spam\r\n", OPEN, 0},
	{"at=dot/reply/250 fine", MAIL, "250 fine\r\n", OPEN, 1},
	{"at=dot/close", MAIL, "<LF>\r\n", CLOSED, 0},
	{"at=dot/took-close", MAIL, "<LF>\r\n", CLOSED, 1},
	{"at=dot/took-reset", MAIL, "", RESET, 1},
	{"at=dot/took-stall", MAIL, "<LF>\r\n", OPEN, 1},
	{"at=dot/then-close/421 bye", MAIL, "Ok: queued\r\n421 bye\r\n", CLOSED,
	 1},
	{"at=dot/bare", MAIL, "<LF>\r\n250\r\n", OPEN, 1},
	{"at=dot/lf", MAIL, "Ok: queued\n", OPEN, 1},
	{"at=dot/lower", MAIL, "ok: queued\r\n", OPEN, 1},
	{"at=dot/lines/3", MAIL,
	 "250-and so on\r\n250-and so on\r\n250 2.0.0 Ok: queued\r\n", OPEN, 1},
	{"at=dot/trickle/2", MAIL, "250 2.0.0 Ok: queued\r\n", OPEN, 1},
	{"at=mail/long/3000", MAIL, "xxx\r\n250 2.1.5 Ok\r\n", OPEN, 1},
	{"at=mail/flood/3", MAIL, "250-flood\r\n250-flood\r\n250-flood\r\n",
	 OPEN, 0},
	{"at=rset/reply-close/421 x", HELO "RSET\r\n", "421 x\r\n", CLOSED, 0},
	{"at=quit/close", HELO "QUIT\r\n", "250 sink.bench.test\r\n", CLOSED,
	 0},
	{"size=1000", "EHLO t\r\n", "250-SIZE 1000\r\n", OPEN, 0},
	{"smtputf8", "EHLO t\r\n", "250-SMTPUTF8\r\n", OPEN, 0},
	{"chunking", HELO START "BDAT 30\r\n" CHUNK "BDAT 5 LAST\r\n\r\n.\r\n",
	 "250 2.0.0 Chunk taken\r\n250 2.0.0 Ok: queued\r\n", OPEN, 1},
	{"chunking", HELO "MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
	 "554 5.5.1 No valid recipients\r\n250 2.0.0 Ok\r\n", OPEN, 0},
	{"plain", HELO START "BDAT 0 LAST\r\n", "502 5.5.1", OPEN, 0},
};

/* Everything until the end, or until nothing came for 300 ms. */
static enum end hear(int fd, char *text, size_t room)
{
	size_t len = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		text[len] = 0;
		if (poll(&p, 1, 300) != 1)
			return OPEN;
		n = recv(fd, text + len, room - 1 - len, 0);
		if (n < 0)
			return errno == ECONNRESET ? RESET : CLOSED;
		if (n == 0)
			return CLOSED;
		len += (size_t)n;
		/* NULs of garbage are of no interest here. */
		for (size_t i = len - (size_t)n; i < len; i++)
			text[i] = text[i] ? text[i] : '?';
	}
}

static void each_action_does_what_it_says(void **state)
{
	static char text[65536];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *r = &rows[i];
		enum end end;
		json_t *j;
		int fd;

		sink_start(r->policy, false);
		fd = client_connect(sink_port());
		/* A send would take the error that a reset leaves. */
		if (*r->say)
			client_say(fd, r->say);
		end = hear(fd, text, sizeof(text));
		close(fd);
		j = sink_stop(0);
		/* What a reset overtakes is lost. */
		if (r->end != RESET && !strstr(text, r->hear))
			fail_msg("%s: '%s' is not in '%.900s'", r->policy,
				 r->hear, text);
		if (end != r->end)
			fail_msg("%s: ended %d, not %d", r->policy, end,
				 r->end);
		if (number(j, "messages", NULL) != r->messages)
			fail_msg("%s: %d messages", r->policy,
				 (int)number(j, "messages", NULL));
		json_decref(j);
	}
}

/* BDAT content is digested as it comes, dots and all. */
static void chunks_are_compared_with_the_ledger(void **state)
{
	json_t *j;
	int fd;

	ledger_write("X-Sluice-Bench: 9-0000000001\r\n\r\n.\r\n");
	sink_start("chunking", true);
	fd = client_hello(sink_port());
	client_say(fd, START "BDAT 30\r\n" CHUNK "BDAT 5 LAST\r\n\r\n.\r\n");
	for (int i = 0; i < 4; i++)
		client_expect(fd, "250");
	close(fd);
	j = sink_stop(0);
	assert_int_equal(number(j, "delivered", NULL), 1);
	assert_int_equal(number(j, "altered", NULL), 0);
	json_decref(j);
}

static void wrong_texts_are_refused(void **state)
{
	static const char *const wrong[] = {"",
					    "mail",
					    "mail/",
					    "nowhere/close",
					    "mail/dance",
					    "mail/reply",
					    "mail/reply/",
					    "mail/close/now",
					    "mail#0/close",
					    "mail#x/close",
					    "mail#/close",
					    "dot/trickle/x",
					    "dot/lines/0",
					    "mail/took-close"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct oddity o = {.times = 77};
		struct err e = {{0}};

		if (oddity_parse(wrong[i], &o, &e) != -EINVAL || !e.text[0])
			fail_msg("'%s' was taken", wrong[i]);
		assert_int_equal(o.times, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_action_does_what_it_says),
		cmocka_unit_test(chunks_are_compared_with_the_ledger),
		cmocka_unit_test(wrong_texts_are_refused),
	};

	return cmocka_run_group_tests(tests, sink_group_setup,
				      sink_group_teardown);
}
