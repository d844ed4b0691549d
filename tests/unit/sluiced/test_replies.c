/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_replies.c - refusals are counted by what they say, and the table does
 * not grow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sluiced/replies.h"

static uint32_t hear(struct replies *r, uint32_t provider, uint8_t class,
		     uint32_t when_s, const char *text)
{
	struct reply_entry what = {.provider = provider,
				   .reply_class = class,
				   .last_s = when_s,
				   .id = when_s};

	return replies_hear(r, &what,
			    (struct text){text, (uint32_t)strlen(text)});
}

/* Catches: a refusal counted apart for each recipient, or with another's. */
static void the_same_words_are_one_entry(void **state)
{
	struct replies *r = replies_create();
	uint32_t a = hear(r, 1, 2, 10, "550 5.7.1 <a@b> blocked, id 123");
	const struct reply_entry *e;

	(void)state;
	assert_true(a != 0);
	assert_int_equal(hear(r, 1, 2, 20, "550 5.7.1 <x@y> blocked, id 9"), a);
	assert_int_not_equal(hear(r, 2, 2, 1, "550 5.7.1 <a@b> blocked, id 1"),
			     a);
	assert_int_not_equal(hear(r, 1, 3, 1, "550 5.7.1 <a@b> blocked, id 1"),
			     a);
	assert_int_not_equal(hear(r, 1, 2, 1, "450 5.7.1 <a@b> blocked, id 1"),
			     a);
	e = replies_get(r, a);
	assert_int_equal(e->count, 2);
	assert_int_equal(e->first_s, 10);
	assert_int_equal(e->last_s, 20);
	assert_int_equal(e->id, 20);
	assert_int_equal(e->text_len, 29);
	assert_memory_equal(e->text, "550 5.7.1 <x@y> blocked, id 9", 29);
	assert_null(replies_get(r, 0));
	replies_destroy(&r);
	assert_null(r);
}

/* Catches: a tag that names a later entry in the same place. */
static void the_one_not_heard_for_longest_makes_room(void **state)
{
	struct replies *r = replies_create();
	uint32_t first, second;
	char text[32];

	(void)state;
	first = hear(r, 0, 1, 1, "first");
	second = hear(r, 0, 1, 1, "second");
	hear(r, 0, 1, 2, "first");
	for (uint32_t i = 0; i < REPLIES_MAX - 1; i++) {
		snprintf(text, sizeof(text), "n%c%c%c", 'a' + i % 26,
			 'a' + i / 26 % 26, 'a' + i / 676);
		hear(r, 0, 1, 3, text);
	}
	assert_null(replies_get(r, second));
	assert_non_null(replies_get(r, first));
	hear(r, 0, 1, 4, "one more");
	assert_null(replies_get(r, first));
	replies_destroy(&r);
}

static void the_last_heard_comes_first(void **state)
{
	struct replies *r = replies_create();

	(void)state;
	assert_null(replies_recent(r, 0));
	hear(r, 0, 1, 1, "a");
	hear(r, 0, 1, 2, "b");
	hear(r, 0, 1, 3, "a");
	assert_int_equal(replies_recent(r, 0)->text[0], 'a');
	assert_int_equal(replies_recent(r, 1)->text[0], 'b');
	assert_null(replies_recent(r, 2));
	replies_destroy(&r);
}

/* A text longer than the entry holds is cut; an empty one is an entry too. */
static void any_length_is_safe(void **state)
{
	struct replies *r = replies_create();
	char text[2 * REPLY_TEXT_BYTES];
	uint32_t tag;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	tag = hear(r, 0, 1, 1, text);
	assert_int_equal(replies_get(r, tag)->text_len, REPLY_TEXT_BYTES);
	tag = hear(r, 0, 1, 1, "");
	assert_int_equal(replies_get(r, tag)->text_len, 0);
	replies_destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_words_are_one_entry),
		cmocka_unit_test(the_one_not_heard_for_longest_makes_room),
		cmocka_unit_test(the_last_heard_comes_first),
		cmocka_unit_test(any_length_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
