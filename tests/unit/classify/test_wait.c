/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_wait.c - told waits, in the words that receivers use.
 */
#include "unit.h"

#include "classify/classify_priv.h"

static uint32_t told(const char *text)
{
	return wait_told_s(text, strlen(text));
}

static void waits_are_read_in_every_form(void **state)
{
	(void)state;
	assert_int_equal(told("greylisted, try again in 5 minutes"), 300);
	assert_int_equal(told("please come back in 00:05:00"), 300);
	assert_int_equal(told("retry in 04:12"), 252);
	assert_int_equal(told("wait 300 seconds"), 300);
	assert_int_equal(told("greylisted for 300 seconds (see http://x)"),
			 300);
	assert_int_equal(told("retry after five minutes (greylist policy)"),
			 300);
	assert_int_equal(told("try again in an hour"), 3600);
	assert_int_equal(told("try again in 1 hour and 30 minutes"), 5400);
	assert_int_equal(told("please retry in 60s"), 60);
	assert_int_equal(told("please wait [90] seconds"), 90);
	assert_int_equal(told("greylisted, 59 seconds left"), 59);
	assert_int_equal(told("deferred, try again in 2h"), 7200);
}

/* A number that is no wait must not become one. */
static void limits_are_no_waits(void **state)
{
	(void)state;
	assert_int_equal(told("your rate 120.3 / 1h exceeds 100 / 1h"), 0);
	assert_int_equal(told("more than 30 messages in 60 seconds"), 0);
	assert_int_equal(told("try again later"), 0);
	assert_int_equal(told("queued as 00:11:22"), 0);
	assert_int_equal(told("try again, see http://example.com/5m/x"), 0);
	assert_int_equal(told(""), 0);
}

static void waits_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(told("try again in 9999999 days"),
			 CLASSIFY_WAIT_S_MAX);
	assert_int_equal(told("try again in 99999999999999999999 seconds"), 0);
	assert_int_equal(told("try again in 0 seconds"), 0);
}

static void a_verdict_carries_the_wait(void **state)
{
	struct verdict v;

	v = verdict_of(*state, PHASE_RCPT, 451, "4.7.1",
		       "Greylisting in action, please come back in 00:05:00");
	assert_int_equal(v.reply_class, CLASS_GREYLISTED);
	assert_int_equal(v.wait_s, 300);
	v = verdict_of(*state, PHASE_CONNECT, 421, NULL,
		       "Rate limit exceeded. Retry after 10 minutes");
	assert_int_equal(v.reply_class, CLASS_RATE_LIMITED);
	assert_int_equal(v.wait_s, 600);
	/* Also where no rule knows the words. */
	v = verdict_of(*state, PHASE_MAIL, 450, NULL, "zyxwv, wait 20 minutes");
	assert_int_equal(v.wait_s, 1200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_are_read_in_every_form),
		cmocka_unit_test(limits_are_no_waits),
		cmocka_unit_test(waits_are_bounded),
		cmocka_unit_test(a_verdict_carries_the_wait),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
