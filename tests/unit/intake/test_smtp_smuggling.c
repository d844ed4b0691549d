/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_smtp_smuggling.c - no line end but CRLF, no end but CRLF.CRLF.
 *
 * Every published sequence that some server took for the end of a message, with
 * a second message behind it: in one packet, cut in two at every byte, and byte
 * by byte, by DATA and by BDAT, refusing and repairing. There is never a second
 * message, and never a command of it that was answered.
 */
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

#define EVIL                                                                   \
	"MAIL FROM:<evil@s.test>\r\nRCPT TO:<victim@d.test>\r\nDATA\r\n"       \
	"Subject: smuggled\r\n\r\nsmuggled"

static const char *const sequences[] = {
	"\n.\n",
	"\n.\r\n",
	"\r\n.\n",
	"\r.\r",
	"\r.\r\n",
	"\r\n.\r",
	"\n.\r",
	"\r.\n",
	"\n\r.\r\n",
	"\r\n.\r\r\n",
	"\r\r\n.\r\r\n",
	"\n\r\n.\n",
	"\r\n\n.\n",
	"\r\n.\n\r\n",
	"\n\n.\n\n",
	"\r\n\r.\r\n",
	"\n\r.\n\r",
	"\r\n.\r\r",
	"\r\r.\r\r",
	"\r\n \r.\r\n",
	"\r\n.\0\r\n",
	"\r\n\0.\r\n",
	"\0\r\n.\n",
	"\r\n.\r\0\n",
	"\r\n.\t\r\n",
	"\r\n. \r\n",
	"\r\n..\r\n",
	"\r\n.\xc2\x85",
	"\xc2\x85.\xc2\x85",
	"\xe2\x80\xa8.\xe2\x80\xa8",
	"\x0b.\x0b",
	"\x0c.\x0c",
	"\x85.\x85",
	"\n.\n\r\n",
	"\r\n\x0b.\r\n",
};
/* With a 0 inside, strlen() is no help. */
static const size_t lengths[sizeof(sequences) / sizeof(*sequences)] = {
	[20] = 6, [21] = 6, [22] = 5, [23] = 6};
#define COUNT (sizeof(sequences) / sizeof(*sequences))

static struct config_listen listener = {.size_max_bytes = 1 << 20};
static struct addr_prefix own;

static size_t sequence_len(size_t i)
{
	return lengths[i] ? lengths[i] : strlen(sequences[i]);
}

static void begin(const char *last)
{
	fake_connect(NULL);
	fake_say("EHLO c.test\r\n");
	fake_say("MAIL FROM:<a@s.test>\r\nRCPT TO:<b@d.test>\r\n");
	fake_say(last);
	fake_said_len = 0;
	fake_said[0] = '\0';
}

/* One message or none, and nothing of the second one is answered. */
static void check(const char *wire, bool bare)
{
	bool one = fake_stored_count == 1;

	assert_true(fake_stored_count <= 1);
	if (one == bare && listener.bare_newline == BARE_REJECT)
		fail_msg("stored %u, said %s", fake_stored_count, fake_said);
	assert_null(strstr(fake_said, "250 2.1.0"));
	assert_null(strstr(fake_said, "354 end"));
	if (one) {
		assert_non_null(strstr(fake_said, "250 2.0.0 stored"));
		assert_memory_equal(fake_stored[0].env.sender.data, "a@s.test",
				    8);
		assert_non_null(memmem(fake_stored[0].content,
				       fake_stored[0].len, "smuggled", 8));
	} else {
		if (!strstr(fake_said, "550 5.6.11"))
			fail_msg("said %s", fake_said);
	}
	assert_non_null(strstr(fake_said, "221 "));
	(void)wire;
}

/* What is stored has no line end but CRLF, whatever came. */
static void stored_is_clean(void)
{
	const struct fake_message *m = &fake_stored[0];

	for (size_t i = 0; fake_stored_count && i < m->len; i++) {
		if (m->content[i] == '\n')
			assert_true(i && m->content[i - 1] == '\r');
		if (m->content[i] == '\r')
			assert_int_equal(m->content[i + 1], '\n');
	}
}

static bool is_bare(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\n' && (!i || s[i - 1] != '\r'))
			return true;
		if (s[i] == '\r' && (i + 1 == len || s[i + 1] != '\n'))
			return true;
	}
	return false;
}

/* `cut`: where the second packet begins; 0 = one packet, 1 byte each. */
static void play(const char *wire, size_t len, size_t cut, size_t content)
{
	char bdat[64];

	snprintf(bdat, sizeof(bdat), "BDAT %zu LAST\r\n", content);
	begin(content ? bdat : "DATA\r\n");
	if (cut == SIZE_MAX) {
		for (size_t i = 0; i < len; i++)
			fake_send(wire + i, 1);
	} else {
		fake_send(wire, cut);
		fake_send(wire + cut, len - cut);
	}
	fake_say("QUIT\r\n");
	check(wire, is_bare(wire, content ? content : len));
	stored_is_clean();
	fake_hangup();
	assert_true(fake_over());
	assert_int_equal(fake_open_messages, 0);
}

static size_t wire_make(char *out, size_t i, bool end)
{
	static const char head[] = "Subject: first\r\n\r\nfirst";
	size_t n = strlen(head);

	memcpy(out, head, n);
	memcpy(out + n, sequences[i], sequence_len(i));
	n += sequence_len(i);
	memcpy(out + n, EVIL, strlen(EVIL));
	n += strlen(EVIL);
	if (end) {
		memcpy(out + n, "\r\n.\r\n", 5);
		n += 5;
	}
	return n;
}

static void sequences_play(void)
{
	char wire[512];

	for (size_t i = 0; i < COUNT; i++) {
		size_t len = wire_make(wire, i, true);

		for (size_t cut = 0; cut < len; cut++)
			play(wire, len, cut, 0);
		play(wire, len, SIZE_MAX, 0);
		len = wire_make(wire, i, false);
		for (size_t cut = 0; cut < len; cut++)
			play(wire, len, cut, len);
		play(wire, len, SIZE_MAX, len);
	}
}

static void no_sequence_ends_a_message(void **state)
{
	(void)state;
	sequences_play();
}

/* Catches a repair that makes an end of what was none. */
static void no_repaired_sequence_ends_a_message(void **state)
{
	(void)state;
	sequences_play();
}

/* Catches a repair that changes more than line ends, or forgets the dots that
 * a client with LF as its line end has doubled. */
static void repair_is_exact(void **state)
{
	static const struct {
		const char *wire, *stored;
	} rows[] = {
		{"a\nb\r\n.\r\n", "a\r\nb\r\n"},
		{"a\rb\r\n.\r\n", "a\r\nb\r\n"},
		{"a\r\rb\r\n.\r\n", "a\r\nb\r\n"},
		{"a\r\r\nb\r\n.\r\n", "a\r\nb\r\n"},
		{"a\n..b\n.\nc\r\n.\r\n", "a\r\n.b\r\n\r\nc\r\n"},
		{"a\r\n..b\r\n...c\r\n.\r\n", "a\r\n.b\r\n..c\r\n"},
		{"a\r..b\r\n.\r\n", "a\r\n..b\r\n"},
		{"\n\n\r\n.\r\n", "\r\n\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t n = strlen(rows[i].stored);

		begin("DATA\r\n");
		fake_send(rows[i].wire, strlen(rows[i].wire));
		fake_hangup();
		assert_int_equal(fake_stored_count, 1);
		assert_true(fake_stored[0].len > n);
		assert_memory_equal(fake_stored[0].content +
					    fake_stored[0].len - n,
				    rows[i].stored, n);
	}
}

static int refusing(void **state)
{
	(void)state;
	log_init("test", LOG_ERROR_, LOG_TEXT);
	if (addr_prefix_parse("127.0.0.0/8", &own))
		return -1;
	listener.allow = &own;
	listener.allow_count = 1;
	listener.bare_newline = BARE_REJECT;
	fake_open(&listener, 1);
	return 0;
}

static int repairing(void **state)
{
	if (refusing(state))
		return -1;
	fake_close();
	listener.bare_newline = BARE_NORMALISE;
	fake_open(&listener, 1);
	return 0;
}

static int over(void **state)
{
	(void)state;
	fake_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_sequence_ends_a_message,
						refusing, over),
		cmocka_unit_test_setup_teardown(
			no_repaired_sequence_ends_a_message, repairing, over),
		cmocka_unit_test_setup_teardown(repair_is_exact, repairing,
						over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
