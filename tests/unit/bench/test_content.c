/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_content.c - unstuffing and digests of what the sink receives, split at
 * every place a network may split it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/digest.h"
#include "sink/content.h"

struct expected {
	const char *wire;    /* after 354 */
	const char *content; /* as the ledger digests it */
	uint64_t bare_lf, bare_cr, missing;
};

static const struct expected cases[] = {
	{"a: b\r\n\r\nhi\r\n.\r\n", "a: b\r\n\r\nhi\r\n", 0, 0, 0},
	{".\r\n", "", 0, 0, 0},
	{"..\r\n.\r\n", ".\r\n", 0, 0, 0},
	{"x\r\n..y\r\n...\r\n..\r\n.\r\n", "x\r\n.y\r\n..\r\n.\r\n", 0, 0, 0},
	{"x.\r\n.\r\n", "x.\r\n", 0, 0, 0},
	{"x\r\n.y\r\n.\r\n", "x\r\ny\r\n", 0, 0, 1},
	{"x\n.\n.\r\ny\r\n.\r\n", "x\n.\n.\r\ny\r\n", 2, 0, 0},
	{"x\ry\r\r\n\r\n.\r\n", "x\ry\r\r\n\r\n", 0, 2, 0},
	{"\n\r\n.\r\n", "\n\r\n", 1, 0, 0},
	{".\rz\r\n.\r\n", "\rz\r\n", 0, 1, 1},
	{"\r\n\r\n.\r\n", "\r\n\r\n", 0, 0, 0},
};

static void check(struct content *c, const struct expected *x, size_t cut1,
		  size_t cut2)
{
	size_t cuts[] = {0, cut1, cut2, strlen(x->wire)};
	struct digest got, want;
	bool ended = false;

	content_start(c, false);
	for (int i = 0; i < 3; i++) {
		size_t len = cuts[i + 1] - cuts[i];

		assert_false(ended && len);
		if (len)
			assert_int_equal(
				content_feed(c, x->wire + cuts[i], len, &ended),
				len);
	}
	assert_true(ended);
	got = content_digest(c);
	want = *x->content ? digest_content(x->content, strlen(x->content))
			   : got;
	assert_true(digest_equal(&got, &want));
	assert_int_equal(c->bytes, strlen(x->content));
	assert_int_equal(c->bare_lf, x->bare_lf);
	assert_int_equal(content_bare_cr(c), x->bare_cr);
	assert_int_equal(c->missing_stuffing, x->missing);
}

/* Any two cuts: catches every state that forgets where it was. */
static void stuffing_survives_every_split(void **state)
{
	struct content c;

	content_init(&c);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].wire);

		for (size_t a = 0; a <= len; a++)
			for (size_t b = a; b <= len; b++)
				check(&c, &cases[i], a, b);
	}
	content_fini(&c);
}

/* What follows the final dot belongs to the next command. */
static void bytes_after_the_final_dot_are_left(void **state)
{
	static const char wire[] = "x\r\n.\r\nMAIL FROM:<>\r\n";
	struct content c;
	bool ended;

	content_init(&c);
	assert_int_equal(content_feed(&c, wire, strlen(wire), &ended), 6);
	assert_true(ended);
	content_fini(&c);
}

/* A bare LF must never end the content: that is SMTP smuggling. */
static void bare_line_ends_never_end_the_content(void **state)
{
	static const char *const wires[] = {"x\n.\n", "x\n.\r\n", "x\r\n.\n",
					    "x\r.\r", "x\r\n.\r", "x\r.\r\n"};
	struct content c;
	bool ended;

	content_init(&c);
	for (size_t i = 0; i < sizeof(wires) / sizeof(*wires); i++) {
		content_start(&c, false);
		content_feed(&c, wires[i], strlen(wires[i]), &ended);
		assert_false(ended);
	}
	content_fini(&c);
}

static void bench_header_is_found(void **state)
{
	static const char wire[] = "Received: x\r\n\tX-Other: 1-2\r\n"
				   "X-Sluice-Bench: 7-0000000123\r\n\r\n.\r\n";
	struct content c;
	uint64_t seed, index;
	bool ended;

	content_init(&c);
	content_feed(&c, wire, 40, &ended);
	content_feed(&c, wire + 40, strlen(wire) - 40, &ended);
	assert_true(ended);
	assert_true(content_id(&c, &seed, &index));
	assert_int_equal(seed, 7);
	assert_int_equal(index, 123);
	content_start(&c, false);
	content_feed(&c, "a: X-Sluice-Bench: 1-2\r\n.\r\n", 27, &ended);
	assert_false(content_id(&c, &seed, &index));
	content_fini(&c);
}

/* What MTAs on the way put on top does not count; without a bench header
 * everything does. */
static void below_trace_starts_at_the_bench_header(void **state)
{
	static const char wire[] = "Received: x\r\n\ty\r\nReturn-Path: <z>\r\n"
				   "X-Sluice-Bench: 7-0000000123\r\n\r\n"
				   "..b\r\n.\r\n";
	static const char none[] = "Subject: x\r\n\r\nb\r\n.\r\n";
	struct digest want = digest_content(
		"X-Sluice-Bench: 7-0000000123\r\n\r\n.b\r\n", 36);
	struct content c;
	struct digest got;
	bool ended;

	content_init(&c);
	for (size_t cut = 0; cut < strlen(wire); cut++) {
		content_start(&c, true);
		content_feed(&c, wire, cut, &ended);
		content_feed(&c, wire + cut, strlen(wire) - cut, &ended);
		assert_true(ended);
		got = content_digest(&c);
		assert_true(digest_equal(&got, &want));
	}
	content_start(&c, true);
	content_feed(&c, none, strlen(none), &ended);
	got = content_digest(&c);
	want = digest_content(none, strlen(none) - 3);
	assert_true(digest_equal(&got, &want));
	content_fini(&c);
}

/* The ledger's digest adds a missing last line end; the sink always has it. */
static void open_last_line_digests_as_it_arrives(void **state)
{
	struct digest open = digest_content("a\r\nb", 4);
	struct digest closed = digest_content("a\r\nb\r\n", 6);
	struct digest other = digest_content("a\r\nb\r\n\r\n", 8);

	assert_true(digest_equal(&open, &closed));
	assert_false(digest_equal(&closed, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stuffing_survives_every_split),
		cmocka_unit_test(bytes_after_the_final_dot_are_left),
		cmocka_unit_test(bare_line_ends_never_end_the_content),
		cmocka_unit_test(bench_header_is_found),
		cmocka_unit_test(below_trace_starts_at_the_bench_header),
		cmocka_unit_test(open_last_line_digests_as_it_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
