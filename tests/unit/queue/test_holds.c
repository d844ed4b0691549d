/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_holds.c - custody, standing holds, and both at once.
 */
#include "queue_fixture.h"

static void hold(struct fixture *f, uint32_t number, const char *json)
{
	assert_int_equal(queue_hold_add(f->q, number, fixture_selection(json),
					"because", f->now_s),
			 0);
}

/* "Importing never sends": taken-over mail waits for an operator. */
static void taken_over_mail_is_held_until_released(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_TAKEN);

	(void)state;
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	assert_int_equal(fixture_take_id(f, "a.test"), 0);
	fixture_set(f, SPOOL_SET_RELEASED, id, 1, 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	fixture_destroy(f);
}

/* A release of custody must not lift an operator's hold, nor the reverse. */
static void custody_and_standing_hold_are_independent(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_TAKEN);

	(void)state;
	hold(f, 7, "{\"sender_domain\":[\"sender.test\"]}");
	fixture_set(f, SPOOL_SET_RELEASED, id, 1, 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	assert_int_equal(queue_hold_remove(f->q, 7), 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	fixture_set(f, SPOOL_SET_HELD, id, 1, 0);
	hold(f, 8, "{\"sender_domain\":[\"sender.test\"]}");
	assert_int_equal(queue_hold_remove(f->q, 8), 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	fixture_destroy(f);
}

/* Two holds over one recipient: lifting one is not enough. */
static void recipient_under_two_holds_waits_for_both(void **state)
{
	struct fixture *f = fixture_create(2);

	(void)state;
	fixture_store_one(f, "a.test", 0, 0);
	hold(f, 1, "{\"sender_domain\":[\"sender.test\"]}");
	hold(f, 2, "{\"larger\":\"10\"}");
	hold(f, 3, "{\"domain\":[\"a.test\"]}");
	for (uint32_t n = 1; n <= 3; n++) {
		assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
		assert_int_equal(queue_hold_remove(f->q, n), 0);
	}
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	fixture_destroy(f);
}

/* New mail, a new domain below a wildcard, and mail back from a deferral. */
static void standing_hold_catches_what_comes_later(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);
	struct queue_counts c;

	(void)state;
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	assert_int_equal(
		fixture_outcome(f, id, 0, RCPT_DEFERRED, f->now_s + 10), 0);
	hold(f, 1, "{\"sender_domain\":[\"sender.test\"]}");
	hold(f, 2, "{\"domain\":[\"*.below.test\"]}");
	fixture_store_one(f, "a.test", 0, 0);
	fixture_store_one(f, "x.below.test", 0, 0);
	f->now_s += 10;
	assert_int_equal(queue_tick(f->q, f->now_s), 1);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	queue_counts(f->q, &c);
	assert_int_equal(c.held, 3);
	assert_int_equal(queue_hold_remove(f->q, 1), 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 2);
	assert_int_equal(fixture_waiting_of(f, "x.below.test"), 0);
	fixture_destroy(f);
}

/* Message in flight when the hold comes: what comes back is held. */
static void message_in_flight_is_held_when_it_comes_back(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);

	(void)state;
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	fixture_set(f, SPOOL_SET_HELD, id, 1, 0);
	assert_int_equal(queue_put_back(f->q, id, 0), 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	fixture_set(f, SPOOL_SET_RELEASED, id, 1, 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	fixture_destroy(f);
}

static void equal_selection_finds_its_hold(void **state)
{
	struct fixture *f = fixture_create(2);
	struct selection *s = fixture_selection("{\"provider\":[\"p1\"]}");

	(void)state;
	hold(f, 5, "{\"provider\":[\"p1\"]}");
	assert_int_equal(queue_hold_find(f->q, s), 5);
	assert_int_equal(queue_hold_count(f->q), 1);
	assert_string_equal(queue_hold_at(f->q, 0)->reason, "because");
	hold(f, 5, "{\"provider\":[\"p1\"]}"); /* a replayed note */
	assert_int_equal(queue_hold_count(f->q), 1);
	assert_int_equal(queue_hold_remove(f->q, 5), 0);
	assert_int_equal(queue_hold_remove(f->q, 5), -ENOENT);
	assert_int_equal(queue_hold_find(f->q, s), 0);
	selection_destroy(&s);
	fixture_destroy(f);
}

/* A domain that moves to another provider leaves the hold behind, or finds
 * one there. */
static void provider_hold_follows_the_domain(void **state)
{
	struct fixture *f = fixture_create(2);

	(void)state;
	fixture_store_one(f, "a.test", 0, 0); /* provider 0 */
	hold(f, 1, "{\"provider\":[\"p1\"]}");
	hold(f, 2, "{\"provider\":[\"p1\"],\"sender_domain\":[\"x.test\"]}");
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	queue_domain_provider_set(f->q, 0, 1);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	queue_domain_provider_set(f->q, 0, 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	fixture_destroy(f);
}

struct seen {
	uint32_t count, exact, in_flight;
};

static void see(void *user, const struct queue_entry *e)
{
	struct seen *s = user;

	s->count++;
	s->exact += e->exact;
	s->in_flight += e->state == RCPT_IN_FLIGHT;
}

static struct seen walk(struct fixture *f, const char *json)
{
	struct selection *s = fixture_selection(json);
	struct queue_cursor c = {0};
	struct seen seen = {0};

	while (queue_walk(f->q, &c, s, f->now_s, 2, see, &seen))
		;
	selection_destroy(&s);
	return seen;
}

/* A hash may lie: the caller has to be told to look at the envelope. */
static void address_terms_match_by_hash_and_say_so(void **state)
{
	static const char *const domains[] = {"a.test", "b.test"};
	struct fixture_message m = {
		.sender = "sender.test", .count = 2, .domains = domains};
	struct fixture *f = fixture_create(2);
	struct seen s;

	(void)state;
	fixture_store(f, &m);
	s = walk(f, "{\"recipient\":[\"u1@b.test\"]}");
	assert_int_equal(s.count, 1);
	assert_int_equal(s.exact, 0);
	assert_int_equal(walk(f, "{\"recipient\":[\"u1@a.test\"]}").count, 0);
	s = walk(f, "{\"sender\":[\"s@sender.test\"]}");
	assert_int_equal(s.count, 2);
	assert_int_equal(s.exact, 0);
	s = walk(f, "{\"sender_domain\":[\"sender.test\"]}");
	assert_int_equal(s.count, 2);
	assert_int_equal(s.exact, 2);
	assert_int_equal(walk(f, "{\"sender\":[\"\"]}").count, 0);
	fixture_destroy(f);
}

static void selection_of_ids_and_states(void **state)
{
	struct fixture *f = fixture_create(2);
	struct seen s;

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		fixture_store_one(f, i % 2 ? "a.test" : "b.test", 0, 0);
	fixture_take_id(f, "a.test");
	s = walk(f, "{\"id\":[\"5\",\"2\",\"ffff\",\"9\"]}");
	assert_int_equal(s.count, 3);
	s = walk(f, "{\"state\":[\"in-flight\"]}");
	assert_int_equal(s.count, 1);
	assert_int_equal(s.in_flight, 1);
	assert_int_equal(walk(f, "{\"all\":true}").count, 20);
	assert_int_equal(
		walk(f, "{\"domain\":[\"a.test\"],\"state\":[\"waiting\"]}")
			.count,
		9);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken_over_mail_is_held_until_released),
		cmocka_unit_test(custody_and_standing_hold_are_independent),
		cmocka_unit_test(recipient_under_two_holds_waits_for_both),
		cmocka_unit_test(standing_hold_catches_what_comes_later),
		cmocka_unit_test(message_in_flight_is_held_when_it_comes_back),
		cmocka_unit_test(equal_selection_finds_its_hold),
		cmocka_unit_test(provider_hold_follows_the_domain),
		cmocka_unit_test(address_terms_match_by_hash_and_say_so),
		cmocka_unit_test(selection_of_ids_and_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
