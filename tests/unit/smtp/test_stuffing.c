/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_stuffing.c - dots are doubled and undone, wherever a chunk ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/stuffing.h"

/* The slow, obvious way. */
static size_t stuff_plainly(const char *in, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bool start = i == 0 ||
			     (i > 1 && in[i - 1] == '\n' && in[i - 2] == '\r');

		if (start && in[i] == '.')
			out[n++] = '.';
		out[n++] = in[i];
	}
	return n;
}

static size_t stuff_in_pieces(const char *in, size_t len, size_t in_step,
			      size_t out_step, char *out)
{
	struct smtp_stuffer s;
	size_t at = 0, n = 0, used;

	smtp_stuffer_init(&s);
	while (at < len) {
		size_t part = len - at < in_step ? len - at : in_step;

		n += smtp_stuff(&s, in + at, part, &used, out + n, out_step);
		at += used;
	}
	return n;
}

/* Text over an alphabet in which every combination is likely. */
static void random_text(char *buf, size_t len, unsigned *seed)
{
	static const char alphabet[] = "\r\n..\r\nab\r\n";

	for (size_t i = 0; i < len; i++)
		buf[i] = alphabet[rand_r(seed) % (sizeof(alphabet) - 1)];
}

static void stuffing_does_not_depend_on_chunks(void **state)
{
	unsigned seed = 1;

	for (int round = 0; round < 3000; round++) {
		char in[64], want[128], out[192];
		size_t len = (size_t)rand_r(&seed) % sizeof(in);
		size_t n;

		random_text(in, len, &seed);
		n = stuff_plainly(in, len, want);
		for (size_t step = 1; step < 6; step++) {
			assert_int_equal(
				stuff_in_pieces(in, len, step, 64, out), n);
			assert_memory_equal(out, want, n);
			assert_int_equal(
				stuff_in_pieces(in, len, 64, step + 1, out), n);
			assert_memory_equal(out, want, n);
		}
	}
}

/* Feeds `wire` in steps; returns 1 at the end, `rest` = bytes not taken. */
static int unstuff_in_pieces(const char *wire, size_t len, size_t step,
			     char *out, size_t *n, size_t *rest)
{
	struct smtp_unstuffer u;
	size_t at = 0, span_len, used;
	const char *span;
	int res = 0;

	smtp_unstuffer_init(&u);
	*n = 0;
	while (!res && at < len) {
		size_t part = len - at < step ? len - at : step;

		res = smtp_unstuff(&u, wire + at, part, &used, &span,
				   &span_len);
		memcpy(out + *n, span, span_len);
		*n += span_len;
		at += used;
	}
	*rest = len - at;
	return res;
}

/* Any content, stuffed and ended, comes back as it was, and what follows the
 * dot is left for the next command. */
static void unstuffing_undoes_stuffing(void **state)
{
	unsigned seed = 2;

	for (int round = 0; round < 3000; round++) {
		char in[64], wire[160], out[192];
		size_t len = (size_t)rand_r(&seed) % (sizeof(in) - 2), n, rest;

		random_text(in, len, &seed);
		memcpy(in + len, "\r\n", 2);
		len += 2;
		n = stuff_plainly(in, len, wire);
		memcpy(wire + n, ".\r\nQUIT", 7);
		for (size_t step = 1; step < 8; step++) {
			size_t got;

			assert_int_equal(unstuff_in_pieces(wire, n + 7, step,
							   out, &got, &rest),
					 1);
			assert_int_equal(rest, 4);
			assert_int_equal(got, len);
			assert_memory_equal(out, in, len);
		}
	}
}

/* Only CRLF.CRLF ends a message: all that others have taken for it is content
 * (SMTP smuggling). */
static void nothing_else_ends_a_message(void **state)
{
	static const char *const wires[] = {
		"a\n.\n",       "a\n.\r\n",      "a\r\n.\n", "a\r.\r",
		"a\r\n.\r\r\n", "a\r\n.\rb\r\n", "a\r.\r\n", "\r\n..\r\n"};

	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
		for (size_t step = 1; step < 8; step++) {
			char out[64];
			size_t n, rest;

			assert_int_equal(
				unstuff_in_pieces(wires[i], strlen(wires[i]),
						  step, out, &n, &rest),
				0);
		}
	}
}

static void empty_message_ends_at_once(void **state)
{
	char out[8];
	size_t n, rest;

	assert_int_equal(unstuff_in_pieces(".\r\n", 3, 1, out, &n, &rest), 1);
	assert_int_equal(n, 0);
}

static void scan_in_pieces(struct smtp_scan *s, const char *text, size_t step)
{
	size_t len = strlen(text);

	smtp_scan_init(s);
	for (size_t at = 0; at < len; at += step)
		smtp_scan_update(s, text + at,
				 len - at < step ? len - at : step);
}

static const struct {
	const char *text;
	bool stuffing, bare, eightbit, whole;
	uint32_t lines, longest;
} scans[] = {
	{"", false, false, false, true, 0, 0},
	{"a\r\n", false, false, false, true, 1, 1},
	{".a\r\n", true, false, false, true, 1, 2},
	{"a\r\n.\r\n", true, false, false, true, 2, 1},
	{"a.\r\n.", true, false, false, false, 2, 2},
	{"a\n.b\r\n", false, true, false, true, 1, 4},
	{"a\rb\r\n", false, true, false, true, 1, 3},
	{"\xc3\xa4\r\n", false, false, true, true, 1, 2},
	{"abc", false, false, false, false, 1, 3},
	{"abc\r", false, true, false, false, 1, 4},
	{"\r\r\n", false, true, false, true, 1, 1},
	{"\n", false, true, false, false, 1, 1},
};

static void content_is_described_right(void **state)
{
	for (size_t i = 0; i < sizeof(scans) / sizeof(scans[0]); i++) {
		for (size_t step = 1; step < 8; step++) {
			struct smtp_scan s;

			scan_in_pieces(&s, scans[i].text, step);
			assert_int_equal(smtp_scan_end(&s), scans[i].whole);
			assert_int_equal(s.needs_stuffing, scans[i].stuffing);
			assert_int_equal(s.bare_cr_lf, scans[i].bare);
			assert_int_equal(s.has_8bit, scans[i].eightbit);
			assert_int_equal(s.lines, scans[i].lines);
			assert_int_equal(s.line_max_bytes, scans[i].longest);
			assert_int_equal(s.bytes, strlen(scans[i].text));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stuffing_does_not_depend_on_chunks),
		cmocka_unit_test(unstuffing_undoes_stuffing),
		cmocka_unit_test(nothing_else_ends_a_message),
		cmocka_unit_test(empty_message_ends_at_once),
		cmocka_unit_test(content_is_described_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
