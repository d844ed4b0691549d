/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_replies.c - replies that are no rule's example.
 */
#include "unit.h"

#include "score.h"

/* A new rule that takes replies from others shows here. The thresholds are
 * those that the product promises for replies nobody has seen. */
static void labelled_replies_get_their_class(void **state)
{
	struct score score;

	(void)state;
	assert_int_equal(score_file(REPLIES_FILE, 1, &score), 0);
	print_message("%u replies: class %.1f %%, decision %.1f %%, %u by "
		      "codes alone\n",
		      score.total, 100.0 * score.class_right / score.total,
		      100.0 * score.decision_right / score.total,
		      score.by_codes);
	assert_int_equal(score.wrongly_final, 0);
	assert_true(score.total >= 200);
	assert_true(score.class_right * 100 >= score.total * 90);
	assert_true(score.decision_right * 100 >= score.total * 97);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labelled_replies_get_their_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
