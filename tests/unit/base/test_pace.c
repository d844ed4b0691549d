/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_pace.c - paces and buckets are exact, and a change is never a present.
 */
#include <errno.h>

#include "sluice/clock.h"
#include "sluice/pace.h"
#include "unit.h"

#define LAG_NS (50 * NS_PER_MS)

static struct pace pace_of(const char *text)
{
	struct pace p;
	assert_int_equal(pace_parse(text, &p), 0);
	return p;
}

/* Spends `n` tokens, each exactly when it is due; returns the last due time. */
static uint64_t spend_on_time(struct pace_bucket *b, uint32_t n)
{
	uint64_t due_ns = 0;
	for (uint32_t i = 0; i < n; i++) {
		due_ns = pace_bucket_due_ns(b);
		pace_bucket_spend(b, due_ns, 1);
	}
	return due_ns;
}

/* Catches: rounding that adds up. Token n+1 of a rate lies at n x period /
 * count, to the nanosecond, after a million of them. */
static void a_million_tokens_end_on_the_integer(void **state)
{
	static const char *const rates[] = {
		"7/h", "1/s",      "3/s",    "7/s",  "11/m",
		"1/m", "999983/d", "1000/s", "30/s", "1000000/s"};
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct pace p = pace_of(rates[i]);
		struct pace_bucket b;
		uint64_t start_ns = 123456789;
		uint32_t n = 1000000;
		pace_bucket_init(&b, p, start_ns, LAG_NS);
		(void)spend_on_time(&b, n);
		unsigned __int128 span = (unsigned __int128)n * p.period_ns;
		assert_int_equal(b.next_ns - start_ns, span / p.count);
		assert_int_equal(b.next_rem, span % p.count);
		assert_int_equal(pace_bucket_due_ns(&b),
				 b.next_ns + (b.next_rem > 0));
	}
}

/* Catches: a token that is given early by a rounded-down due time. */
static void no_window_has_more_than_rate_times_time_plus_one(void **state)
{
	struct pace p = pace_of("7/s");
	struct pace_bucket b;
	uint64_t times[2000];
	pace_bucket_init(&b, p, 0, 0);
	for (size_t i = 0; i < 2000; i++)
		times[i] = spend_on_time(&b, 1);
	for (size_t i = 0; i < 2000; i += 97) {
		for (size_t k = i; k < 2000; k += 13) {
			uint64_t most = pace_count_in(p, times[k] - times[i]);
			assert_true(k - i <= most);
		}
	}
}

/* Catches: steps that come late losing rate, and a long pause that turns into
 * a burst. */
static void missed_tokens_are_made_up_for_only_within_the_lag(void **state)
{
	struct pace_bucket b;
	pace_bucket_init(&b, pace_of("1000/s"), 0, 10 * NS_PER_MS);
	/* polled every 5 ms: all tokens of a second come */
	uint32_t n = 0;
	for (uint64_t now = 0; now < NS_PER_S; now += 5 * NS_PER_MS) {
		while (pace_bucket_due_ns(&b) <= now) {
			pace_bucket_spend(&b, now, 1);
			n++;
		}
	}
	assert_in_range(n, 995, 1000);
	/* an hour of silence: 10 ms worth of tokens and the present one */
	uint64_t later = 3600 * NS_PER_S;
	for (n = 0; pace_bucket_due_ns(&b) <= later; n++)
		pace_bucket_spend(&b, later, 1);
	assert_int_equal(n, 11);
}

/* Catches: a new rate that starts with the first token at once. */
static void a_changed_rate_keeps_the_last_token(void **state)
{
	struct pace_bucket b;
	pace_bucket_init(&b, pace_of("1/s"), 0, LAG_NS);
	pace_bucket_spend(&b, 0, 1);
	pace_bucket_set(&b, pace_of("10/s"), 50 * NS_PER_MS);
	assert_int_equal(pace_bucket_due_ns(&b), 100 * NS_PER_MS);
	pace_bucket_set(&b, pace_of("1/m"), 60 * NS_PER_MS);
	assert_int_equal(pace_bucket_due_ns(&b), 60 * NS_PER_S);
	pace_bucket_set(&b, pace_of("1/s"), 2 * NS_PER_S);
	assert_int_equal(pace_bucket_due_ns(&b), 2 * NS_PER_S);
	pace_bucket_spend(&b, 2 * NS_PER_S, 1);
	assert_int_equal(pace_bucket_due_ns(&b), 3 * NS_PER_S);
}

/* Catches: a full bucket handed out by changing to and fro, the way a
 * controller or a reload does. */
static void changing_the_rate_all_the_time_gives_nothing_extra(void **state)
{
	struct unit_random r = unit_random_start(__func__);
	struct pace slow = pace_of("9/s"), fast = pace_of("10/s");
	struct pace_bucket b;
	uint64_t now = 0;
	uint32_t n = 0;
	pace_bucket_init(&b, fast, 0, NS_PER_S);
	while (now < 100 * NS_PER_S) {
		pace_bucket_set(&b, unit_random_below(&r, 2) ? slow : fast,
				now);
		while (pace_bucket_due_ns(&b) <= now) {
			pace_bucket_spend(&b, now, 1);
			n++;
		}
		now += unit_random_below(&r, 20 * NS_PER_MS);
	}
	assert_true(n <= 1001);
	assert_true(n > 800); /* nor does it starve */
}

/* Catches: stop and go, or "unlimited" for a moment, as a way to a token. */
static void stopping_and_going_gives_nothing_extra(void **state)
{
	struct pace_bucket b;
	pace_bucket_init(&b, pace_of("1/s"), 0, NS_PER_S);
	pace_bucket_spend(&b, 0, 1);
	pace_bucket_set(&b, PACE_STOPPED, 1);
	assert_int_equal(pace_bucket_due_ns(&b), CLOCK_NEVER_NS);
	pace_bucket_set(&b, pace_of("1/s"), 2);
	assert_int_equal(pace_bucket_due_ns(&b), NS_PER_S);
	pace_bucket_set(&b, PACE_UNLIMITED, 3);
	assert_true(pace_bucket_due_ns(&b) <= 3);
	pace_bucket_set(&b, pace_of("1/s"), 4);
	assert_int_equal(pace_bucket_due_ns(&b), NS_PER_S);
}

/* Catches: credit of a slow rate that becomes a burst at a fast one. */
static void lag_of_the_old_rate_is_not_spent_at_the_new_one(void **state)
{
	struct pace_bucket b;
	pace_bucket_init(&b, pace_of("1/s"), 0, 10 * NS_PER_S);
	pace_bucket_spend(&b, 0, 1);
	uint64_t now = 9 * NS_PER_S;
	pace_bucket_set(&b, pace_of("1000/s"), now);
	uint32_t n = 0;
	for (; pace_bucket_due_ns(&b) <= now; n++)
		pace_bucket_spend(&b, now, 1);
	assert_int_equal(n, 1);
}

/* Catches: a message with many recipients counted once, or its debt paid in
 * nanoseconds of a rate that is gone. */
static void tokens_spent_ahead_are_owed_at_the_new_rate(void **state)
{
	struct pace_bucket b;
	pace_bucket_init(&b, pace_of("1/s"), 0, LAG_NS);
	pace_bucket_spend(&b, 0, 100);
	assert_int_equal(pace_bucket_due_ns(&b), 100 * NS_PER_S);
	pace_bucket_set(&b, pace_of("10/s"), 0);
	uint64_t due_ns = pace_bucket_due_ns(&b);
	assert_true(due_ns >= 10 * NS_PER_S && due_ns <= 10 * NS_PER_S + 2);
	pace_bucket_set(&b, pace_of("1/s"), 0);
	due_ns = pace_bucket_due_ns(&b);
	assert_true(due_ns >= 100 * NS_PER_S && due_ns <= 100 * NS_PER_S + 40);
}

/* Catches: a bucket that was never used being late after a change. */
static void an_unused_bucket_has_its_first_token_at_once(void **state)
{
	struct pace_bucket b;
	pace_bucket_init(&b, pace_of("1/d"), 5, 0);
	assert_int_equal(pace_bucket_due_ns(&b), 5);
	pace_bucket_set(&b, pace_of("2/d"), 7);
	assert_int_equal(pace_bucket_due_ns(&b), 7);
	pace_bucket_init(&b, pace_of("1/d"), 1000, 0);
	pace_bucket_set(&b, pace_of("2/d"), 7);
	assert_int_equal(pace_bucket_due_ns(&b), 1000);
}

static void text_is_read_and_written_back(void **state)
{
	static const char *const good[] = {"20/s",   "5/m",         "301/h",
					   "1000/d", "0/s",         "unlimited",
					   "7/h",    "4294967295/s"};
	static const char *const bad[] = {
		"",     "20",    "/s",   "20/",          "20/w", "20/ss",
		"-1/s", "1.5/s", " 1/s", "4294967296/s", "1/s ", "Unlimited"};
	char buf[32];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_string_equal(pace_format(pace_of(good[i]), buf),
				    good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pace p = {42, 42};
		assert_int_equal(pace_parse(bad[i], &p), -EINVAL);
		assert_int_equal(p.count, 42);
	}
	assert_string_equal(pace_format(pace_of("60/m"), buf), "1/s");
	assert_string_equal(pace_format((struct pace){7, 2 * NS_PER_S}, buf),
			    "210/m");
	assert_string_equal(pace_format((struct pace){1, 7 * NS_PER_S}, buf),
			    "514/h");
	assert_string_equal(
		pace_format((struct pace){1, 200000 * NS_PER_S}, buf), "1/3d");
}

static void comparing_is_exact(void **state)
{
	assert_true(pace_equal(pace_of("60/m"), pace_of("1/s")));
	assert_true(pace_compare(pace_of("61/m"), pace_of("1/s")) > 0);
	assert_true(pace_compare(PACE_STOPPED, pace_of("1/d")) < 0);
	assert_true(pace_compare(PACE_UNLIMITED, pace_of("4294967295/s")) > 0);
	assert_true(pace_equal(PACE_STOPPED, (struct pace){0, 0}));
	assert_true(pace_equal(PACE_UNLIMITED, (struct pace){9, 0}));
	assert_false(pace_is_unlimited((struct pace){0, 0}));
}

static void scaling_never_makes_it_faster(void **state)
{
	struct unit_random r = unit_random_start(__func__);
	assert_true(
		pace_equal(pace_scale(pace_of("1/s"), 1, 2), pace_of("30/m")));
	assert_true(
		pace_equal(pace_scale(pace_of("5/s"), 2, 1), pace_of("10/s")));
	assert_int_equal(pace_scale(pace_of("5/s"), 0, 7).count, 0);
	assert_true(pace_is_unlimited(pace_scale(PACE_UNLIMITED, 1, 7)));
	struct pace p = pace_of("999983/d");
	double exact = pace_per_second(p);
	for (int i = 0; i < 200; i++) {
		uint32_t num = (uint32_t)unit_random_below(&r, 1000) + 1;
		uint32_t den =
			num + 1 + (uint32_t)unit_random_below(&r, num / 10 + 1);
		exact = exact * num / den;
		p = pace_scale(p, num, den);
		assert_true(p.count > 0 && p.period_ns > 0);
		if (exact < 1e-3)
			break;
		assert_true(pace_per_second(p) <= exact * (1 + 1e-9));
		assert_true(pace_per_second(p) >= exact * (1 - 1e-3));
	}
}

/* The same to the last bit, where both terms are at their limits. */
static void scaling_rounds_down_exactly(void **state)
{
	struct unit_random r = unit_random_start(__func__);
	for (int i = 0; i < 100000; i++) {
		struct pace p = {(uint32_t)unit_random_next(&r) | 1,
				 (unit_random_next(&r) >> 2) | 1ULL << 61};
		uint32_t num = (uint32_t)unit_random_below(&r, 100) + 1;
		uint32_t den = (uint32_t)unit_random_below(&r, 100) + 1;
		struct pace q = pace_scale(p, num, den);
		unsigned __int128 left, right;
		left = (unsigned __int128)q.count * den * p.period_ns;
		right = (unsigned __int128)p.count * num * q.period_ns;
		assert_true(left <= right || q.count == 1);
	}
}

static void counts_in_a_span_saturate(void **state)
{
	assert_int_equal(pace_count_in(pace_of("7/s"), NS_PER_S - 1), 6);
	assert_int_equal(pace_count_in(pace_of("7/s"), NS_PER_S), 7);
	assert_int_equal(pace_count_in(PACE_UNLIMITED, 0), UINT64_MAX);
	assert_int_equal(pace_count_in(PACE_STOPPED, UINT64_MAX), 0);
	assert_int_equal(
		pace_count_in((struct pace){UINT32_MAX, 1}, UINT64_MAX),
		UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_tokens_end_on_the_integer),
		cmocka_unit_test(
			no_window_has_more_than_rate_times_time_plus_one),
		cmocka_unit_test(
			missed_tokens_are_made_up_for_only_within_the_lag),
		cmocka_unit_test(a_changed_rate_keeps_the_last_token),
		cmocka_unit_test(
			changing_the_rate_all_the_time_gives_nothing_extra),
		cmocka_unit_test(stopping_and_going_gives_nothing_extra),
		cmocka_unit_test(
			lag_of_the_old_rate_is_not_spent_at_the_new_one),
		cmocka_unit_test(tokens_spent_ahead_are_owed_at_the_new_rate),
		cmocka_unit_test(an_unused_bucket_has_its_first_token_at_once),
		cmocka_unit_test(text_is_read_and_written_back),
		cmocka_unit_test(comparing_is_exact),
		cmocka_unit_test(scaling_never_makes_it_faster),
		cmocka_unit_test(scaling_rounds_down_exactly),
		cmocka_unit_test(counts_in_a_span_saturate),
	};
	return cmocka_run_group_tests_name("base/pace", tests, NULL, NULL);
}
