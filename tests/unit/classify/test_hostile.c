/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_hostile.c - texts that a stranger sends to hurt us.
 */
#include "unit.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include "classify/classify_priv.h"

#if defined(__SANITIZE_ADDRESS__)
#define OWN_ALLOCATOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OWN_ALLOCATOR 1
#endif
#endif

static struct verdict verdict_of_bytes(struct fixture *f, const char *text,
				       uint32_t len)
{
	struct reply r = {.code = 550,
			  .phase = PHASE_EOM,
			  .text = text,
			  .text_len = len,
			  .provider = "",
			  .remote = ""};
	struct verdict v;

	classify_reply(f->c, f->s, &r, &v);
	assert_true(v.reply_class > CLASS_ACCEPTED &&
		    v.reply_class < CLASS_COUNT_);
	assert_true(v.scope >= SCOPE_RECIPIENT && v.scope <= SCOPE_PROVIDER);
	assert_non_null(v.rule);
	return v;
}

static void empty_texts_have_a_verdict(void **state)
{
	struct verdict v = verdict_of_bytes(*state, "", 0);

	assert_int_equal(v.reply_class, CLASS_UNKNOWN);
	assert_true(v.needs_decision);
	v = verdict_of_bytes(*state, "\0\0\0", 3);
	assert_int_equal(v.reply_class, CLASS_UNKNOWN);
}

static void control_bytes_do_not_hide_words(void **state)
{
	struct verdict v = verdict_of_bytes(*state, "User\0unknown\r\n", 14);

	assert_int_equal(v.reply_class, CLASS_NO_SUCH_USER);
}

/* Some receivers put what matters at the very end. */
static void the_end_of_a_huge_text_counts(void **state)
{
	static char text[100000];
	static const char words[] = {"User unknown"};
	struct verdict v;

	memset(text, '-', sizeof(text));
	memcpy(text + sizeof(text) - sizeof(words), words, sizeof(words));
	v = verdict_of_bytes(*state, text, sizeof(text));
	assert_int_equal(v.reply_class, CLASS_NO_SUCH_USER);
}

static void addresses_never_overflow(void **state)
{
	static const char *const pieces[] = {"a@.",  "@",     "a@b", "@@",
					     "a@b.", "<a@b>", "é@é", ".@."};
	char text[3 * CLASSIFY_TEXT_BYTES], out[CLASSIFY_TEXT_BYTES + 8];
	size_t i, at;

	(void)state;
	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t len = strlen(pieces[i]);

		for (at = 0; at + len <= sizeof(text); at += len)
			memcpy(text + at, pieces[i], len);
		assert_true(text_normalise(text, (uint32_t)at, out) <=
			    CLASSIFY_TEXT_BYTES + 1);
		assert_true(text_normalise(text, CLASSIFY_TEXT_BYTES, out) <=
			    CLASSIFY_TEXT_BYTES);
	}
}

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Texts that make patterns with gaps try again and again. The bound is far
 * above what is needed, so that a busy machine does not fail it; without the
 * match limit these would take seconds. */
static void no_text_is_slow(void **state)
{
	static const char *const words[] = {"user ",
					    "mailbox ",
					    "message ",
					    "ip ",
					    "your ip address ",
					    "sender domain not ",
					    "too many ",
					    "blocked by ",
					    "a.a.",
					    "temporarily host ",
					    "1.1.1.1",
					    "domain ",
					    "rejected in "};
	char text[CLASSIFY_TEXT_BYTES];
	double begin, worst = 0;
	size_t i, at;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i]);

		for (at = 0; at + len <= sizeof(text); at += len)
			memcpy(text + at, words[i], len);
		begin = seconds_now();
		verdict_of_bytes(*state, text, (uint32_t)at);
		if (seconds_now() - begin > worst)
			worst = seconds_now() - begin;
	}
	print_message("worst hostile text: %.3f ms\n", worst * 1e3);
	assert_true(worst < 0.5);
}

static void random_bytes_have_a_verdict(void **state)
{
	char text[CLASSIFY_TEXT_BYTES];
	unsigned seed = 20260101;
	size_t i;
	int round;

	for (round = 0; round < 2000; round++) {
		uint32_t len = (uint32_t)rand_r(&seed) % sizeof(text);

		for (i = 0; i < len; i++)
			text[i] = (char)rand_r(&seed);
		verdict_of_bytes(*state, text, len);
	}
}

/* Numbers that no server may send still come to us. */
static void odd_codes_and_phases_are_survived(void **state)
{
	struct fixture *f = *state;
	struct reply r = {.text = "user unknown", .text_len = 12};
	struct verdict v;
	int code, phase;

	for (code = 0; code < 1000; code += 7) {
		for (phase = 0; phase < 256; phase += 5) {
			r.code = (uint16_t)code;
			r.phase = (uint8_t)phase;
			r.enhanced[0] = (uint16_t)(code * 131);
			r.enhanced[1] = UINT16_MAX;
			classify_reply(f->c, f->s, &r, &v);
			assert_true(v.reply_class < CLASS_COUNT_);
			assert_true(!v.permanent || code >= 500);
		}
	}
}

#ifndef OWN_ALLOCATOR
/* The message path allocates nothing, with and without machine code. */
static void nothing_is_allocated(void **state)
{
	static const char text[] =
		"Requested action not taken: zyxwv user mailbox message "
		"blocked temporarily your ip 192.0.2.25 not a known thing";
	struct classify *c = NULL;
	struct fixture f;
	struct mallinfo2 before, after;
	int jit, round;

	(void)state;
	for (jit = 0; jit < 2; jit++) {
		assert_int_equal(rules_load(NULL, jit == 1, &c, NULL), 0);
		f.c = c;
		f.s = classify_scratch_create(c);
		before = mallinfo2();
		for (round = 0; round < 50; round++)
			verdict_of_bytes(&f, text, sizeof(text) - 1);
		after = mallinfo2();
		assert_int_equal(before.uordblks, after.uordblks);
		assert_int_equal(before.hblks, after.hblks);
		classify_scratch_destroy(&f.s);
		classify_destroy(&c);
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_texts_have_a_verdict),
		cmocka_unit_test(control_bytes_do_not_hide_words),
		cmocka_unit_test(the_end_of_a_huge_text_counts),
		cmocka_unit_test(addresses_never_overflow),
		cmocka_unit_test(no_text_is_slow),
		cmocka_unit_test(random_bytes_have_a_verdict),
		cmocka_unit_test(odd_codes_and_phases_are_survived),
#ifndef OWN_ALLOCATOR
		cmocka_unit_test(nothing_is_allocated),
#endif
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
