/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_keep.c - a connection whose outcome is not durable yet takes nothing.
 */
#include "delivery_room.h"

static const char *const one[] = {"a@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";

static struct fake_receiver *open_with_two(struct room *r, const char *offers,
					   const struct fake_rule *rule)
{
	struct fake_options o = {
		.offers = offers, .rules = rule, .rule_count = rule != NULL};
	struct fake_receiver *f = fake_receiver_start(&o);

	room_open(r, fake_receiver_port(f));
	r->providers[0].connections_max = 1;
	r->config.delivery.mail_ns = 10 * NS_PER_S;
	r->keep = true;
	room_start(r);
	for (int i = 0; i < 2; i++)
		(void)room_store(r, one, 1, small, sizeof(small) - 1, 0);
	return f;
}

/* Catches a second MAIL before the first outcome is on disk. */
static void a_kept_connection_holds_the_next_message_back(void **state)
{
	struct room r;
	struct fake_receiver *f = open_with_two(&r, NULL, NULL);

	room_run(&r, &r.done, 1);
	room_run_for(&r, 200 * NS_PER_MS);
	assert_int_equal(r.offered, 1);
	assert_int_equal(fake_receiver_count(f, AT_MAIL), 1);
	delivery_settle(r.d, r.kept);
	room_run(&r, &r.done, 2);
	assert_int_equal(fake_receiver_connections(f), 1);
	assert_string_equal(r.results, "0:accepted/eom/250 0:accepted/eom/250");
	room_close(&r);
	fake_receiver_stop(&f);
}

/* Catches a connection that stays for ever when nobody settles it. */
static void what_is_never_settled_ends_by_its_deadline(void **state)
{
	struct room r;
	struct fake_receiver *f = open_with_two(&r, NULL, NULL);

	r.config.delivery.mail_ns = 300 * NS_PER_MS;
	room_run(&r, &r.done, 2);
	assert_int_equal(fake_receiver_connections(f), 2);
	room_close(&r);
	fake_receiver_stop(&f);
}

/* Catches a word about a connection that is gone, given to its successor. */
static void a_late_word_does_not_touch_the_next_connection(void **state)
{
	static const struct fake_rule hang_up = {AT_EOM, 1, DO_CLOSE,
						 "421 4.3.0 later\r\n"};
	struct room r;
	struct fake_receiver *f = open_with_two(&r, NULL, &hang_up);
	uint64_t first;

	room_run(&r, &r.done, 1);
	first = r.kept;
	room_run(&r, &r.done, 2);
	(void)room_store(&r, one, 1, small, sizeof(small) - 1, 0);
	delivery_settle(r.d, first);
	room_run_for(&r, 200 * NS_PER_MS);
	assert_int_equal(r.offered, 2);
	delivery_settle(r.d, r.kept);
	room_run(&r, &r.done, 3);
	room_close(&r);
	fake_receiver_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kept_connection_holds_the_next_message_back),
		cmocka_unit_test(what_is_never_settled_ends_by_its_deadline),
		cmocka_unit_test(
			a_late_word_does_not_touch_the_next_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
