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

#define MANY 200000u

static uint64_t store_from(struct fixture *f, const char *sender,
			   uint32_t count)
{
	static const char *const domains[] = {"a.test", "a.test"};
	struct fixture_message m = {
		.sender = sender, .count = count, .domains = domains};

	return fixture_store(f, &m);
}

/* More messages than a hold looks at when it comes: it counts at once all the
 * same, for heads and for those who would go along; and so does its end. */
static void hold_of_a_sender_counts_before_all_have_been_asked(void **state)
{
	struct fixture *f = fixture_create(1);
	static struct queue_taken t;
	struct queue_counts c;
	uint32_t steps = 0;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		store_from(f, i < 150000 ? "bad.test" : "good.test", 1);
	store_from(f, "bad.test", 2);
	hold(f, 1, "{\"sender_domain\":[\"bad.test\"]}");
	queue_counts(f->q, &c);
	assert_true(c.held > 0 && c.held < 150000); /* not all seen yet */
	/* 64 heads per look; then those behind them */
	for (uint32_t i = 0; i < 3000; i++) {
		if (queue_take(f->q, 0, false, f->now_s, &t) != 0)
			continue;
		assert_string_equal(queue_sender_domain(f->q, t.id),
				    "good.test");
	}
	while (queue_review_step(f->q, 1000))
		assert_true(++steps < 1000);
	queue_counts(f->q, &c);
	assert_int_equal(c.held, 150002);
	assert_int_equal(fixture_waiting_of(f, "a.test"), c.waiting);
	assert_int_equal(queue_hold_remove(f->q, 1), 0);
	while (queue_review_step(f->q, 1000))
		;
	queue_counts(f->q, &c);
	assert_int_equal(c.held, 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), c.waiting);
	fixture_destroy(f);
}

/* A recipient that a hold names does not go along with one that it does not. */
static void held_recipient_does_not_go_along_during_a_review(void **state)
{
	struct fixture *f = fixture_create(1);
	static struct queue_taken t;
	uint64_t last;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		store_from(f, "x.test", 1);
		assert_int_equal(queue_take(f->q, 0, false, f->now_s, &t), 0);
	}
	last = store_from(f, "x.test", 2);
	hold(f, 1, "{\"recipient\":[\"u1@a.test\"],\"newer\":\"1d\"}");
	assert_int_equal(queue_take(f->q, 0, false, f->now_s, &t), 0);
	assert_int_equal(t.id, last);
	assert_int_equal(t.rcpt_count, 1);
	assert_int_equal(t.rcpts[0], 0);
	fixture_destroy(f);
}

/* Thousands of holds, as the reflex makes them: each finds its own mail, new
 * mail too, and is found again; one more term still counts. */
static void thousands_of_sender_holds_are_found_by_hash(void **state)
{
	struct fixture *f = fixture_create(1);
	struct selection *s;
	char text[100], sender[32];

	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text),
			 "{\"provider\":[\"%s\"],\"sender_domain\":"
			 "[\"s%u.test\"]}",
			 i % 3 ? "p0" : "p1", i);
		hold(f, i + 1, text);
		s = fixture_selection(text);
		assert_int_equal(queue_hold_find(f->q, s), i + 1);
		selection_destroy(&s);
	}
	for (uint32_t i = 0; i < 6000; i++) {
		uint32_t before = i > 0 ? fixture_waiting_of(f, "a.test") : 0;

		snprintf(sender, sizeof(sender), "s%u.test", i);
		store_from(f, sender, 1);
		assert_int_equal(fixture_waiting_of(f, "a.test") - before,
				 i >= 3000 || i % 3 == 0);
	}
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(queue_hold_remove(f->q, i + 1), 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 6000);
	fixture_destroy(f);
}

/* By id, by full address, with a wildcard: each its way through the index. */
static void holds_by_id_address_and_wildcard_are_found(void **state)
{
	static const char *const holds[] = {
		"{\"id\":[\"0000000000000002\"]}",
		"{\"sender\":[\"s@one.test\"]}",
		"{\"sender_domain\":[\"*.below.test\"]}",
		"{\"sender_domain\":[\"two.test\"],\"larger\":\"1MiB\"}"};
	struct fixture *f = fixture_create(1);

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		hold(f, i + 1, holds[i]);
	store_from(f, "none.test", 1);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	store_from(f, "none.test", 1); /* id 2 */
	store_from(f, "one.test", 1);
	store_from(f, "x.below.test", 1);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	store_from(f, "two.test", 1); /* not larger */
	assert_int_equal(fixture_waiting_of(f, "a.test"), 2);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(queue_hold_remove(f->q, i + 1), 0);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 5);
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
		cmocka_unit_test(
			hold_of_a_sender_counts_before_all_have_been_asked),
		cmocka_unit_test(
			held_recipient_does_not_go_along_during_a_review),
		cmocka_unit_test(thousands_of_sender_holds_are_found_by_hash),
		cmocka_unit_test(holds_by_id_address_and_wildcard_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
