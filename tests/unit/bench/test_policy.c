/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_policy.c - the sink's --policy texts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sink/policy.h"
#include "sluice/clock.h"

static void policies_add_up(void **state)
{
	struct policy p = {0};

	assert_int_equal(policy_parse("rate=10/s", &p, NULL), 0);
	assert_int_equal(policy_parse("slow:5", &p, NULL), 0);
	assert_int_equal(policy_parse("greylist=2", &p, NULL), 0);
	assert_int_equal(
		policy_parse("banner=554 5.7.1 poor reputation", &p, NULL), 0);
	assert_int_equal(policy_parse("block-after=100,30,last", &p, NULL), 0);
	assert_int_equal(p.rate.count, 10);
	assert_int_equal(p.rate.period_ns, NS_PER_S);
	assert_int_equal(p.slow_ns, 5 * NS_PER_MS);
	assert_int_equal(p.greylist_ns, 2 * NS_PER_S);
	assert_string_equal(p.banner, "554 5.7.1 poor reputation");
	assert_int_equal(p.block_after, 100);
	assert_int_equal(p.block_for_ns, 30 * NS_PER_S);
	assert_true(p.block_from_last);
}

/* A policy that is silently ignored makes a test that cannot fail. */
static void wrong_policies_are_refused_and_change_nothing(void **state)
{
	static const char *const wrong[] = {"nonsense",
					    "rate=",
					    "rate=fast",
					    "banner",
					    "banner=ok",
					    "banner=220 hello",
					    "plain=1",
					    "slow=x",
					    "block-after=0",
					    "block-after=1,",
					    "421-every=x",
					    "block-after=1,2,first",
					    "",
					    "greylist=-1",
					    "reject-rcpt=55 x"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct policy p = {0}, zero = {0};
		struct err e = {{0}};

		assert_int_equal(policy_parse(wrong[i], &p, &e), -22);
		assert_true(e.text[0] != 0);
		assert_memory_equal(&p, &zero, sizeof(p));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_add_up),
		cmocka_unit_test(wrong_policies_are_refused_and_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
