/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_lifetime.c - when the clock of lifetime starts, stands and is over.
 */
#include "queue_fixture.h"

#define DAY_S  86400u
#define LIFE_S (5 * DAY_S)

static bool is_over(const struct fixture *f, uint64_t id)
{
	return queue_lifetime_is_over(f->q, id, 0, f->now_s, LIFE_S);
}

/* Over in exactly `left_s` from now, if nothing happens. */
static void assert_ends_in(struct fixture *f, uint64_t id, uint32_t left_s)
{
	assert_false(queue_lifetime_is_over(f->q, id, 0, f->now_s + left_s - 1,
					    LIFE_S));
	assert_true(
		queue_lifetime_is_over(f->q, id, 0, f->now_s + left_s, LIFE_S));
}

static void hold(struct fixture *f, const char *json)
{
	assert_int_equal(
		queue_hold_add(f->q, 1, fixture_selection(json), "", f->now_s),
		0);
}

static void unhold(struct fixture *f)
{
	queue_tick(f->q, f->now_s);
	assert_int_equal(queue_hold_remove(f->q, 1), 0);
}

/* Old mail that was in custody for weeks has its whole lifetime. */
static void clock_starts_when_custody_lets_go(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", f->now_s - 30 * DAY_S,
					SPOOL_TAKEN);

	(void)state;
	f->now_s += 30 * DAY_S;
	assert_false(is_over(f, id));
	fixture_set(f, SPOOL_SET_RELEASED, id, 1, 0);
	assert_ends_in(f, id, LIFE_S);
	fixture_destroy(f);
}

static void clock_of_live_mail_starts_on_arrival(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_LIVE);

	(void)state;
	f->now_s += DAY_S;
	assert_ends_in(f, id, LIFE_S - DAY_S);
	fixture_destroy(f);
}

/* Four days in line at a slow pace are not the receiver's. */
static void first_attempt_starts_the_clock_anew(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_LIVE);
	uint64_t other = fixture_store_one(f, "b.test", 0, SPOOL_LIVE);

	(void)state;
	f->now_s += 4 * DAY_S;
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	assert_int_equal(queue_apply_attempt(f->q, other, 0, 1, f->now_s, 1),
			 0);
	assert_ends_in(f, id, LIFE_S);
	assert_ends_in(f, other, LIFE_S);
	f->now_s += DAY_S; /* the second one does not */
	fixture_outcome(f, id, 0, RCPT_WAITING, 0);
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	assert_ends_in(f, id, LIFE_S - DAY_S);
	fixture_destroy(f);
}

/* Custody by a set, a hold over the domain, a hold by sender. */
static void clock_stands_while_held(void **state)
{
	static const char *const holds[] = {
		NULL, "{\"domain\":[\"a.test\"]}",
		"{\"sender_domain\":[\"sender.test\"]}"};

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct fixture *f = fixture_create(2);
		uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_LIVE);

		f->now_s += DAY_S;
		if (holds[i] != NULL)
			hold(f, holds[i]);
		else
			fixture_set(f, SPOOL_SET_HELD, id, 1, 0);
		f->now_s += 20 * DAY_S;
		assert_false(is_over(f, id));
		if (holds[i] != NULL)
			unhold(f);
		else
			fixture_set(f, SPOOL_SET_RELEASED, id, 1, 0);
		assert_ends_in(f, id, LIFE_S - DAY_S);
		fixture_destroy(f);
	}
}

/* Live mail that finds a hold has not been free yet. */
static void clock_of_held_arrivals_starts_with_the_release(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id;

	(void)state;
	hold(f, "{\"sender_domain\":[\"sender.test\"]}");
	id = fixture_store_one(f, "a.test", 0, SPOOL_LIVE);
	f->now_s += 9 * DAY_S;
	unhold(f);
	assert_ends_in(f, id, LIFE_S);
	fixture_destroy(f);
}

/* It waits for its source alone; that this one cannot send is a block. */
static void clock_stands_while_parked(void **state)
{
	struct fixture *f = fixture_create(1);
	uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_LIVE);

	(void)state;
	assert_int_equal(queue_park(f->q, 0, true, 3), 0);
	f->now_s += 8 * DAY_S;
	queue_tick(f->q, f->now_s);
	assert_int_equal(queue_unpark(f->q, 3), 1);
	assert_ends_in(f, id, LIFE_S);
	fixture_destroy(f);
}

/* Promise 2. A domain hold in the same time counts once. */
static void block_of_the_provider_charges_no_lifetime(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_LIVE);
	uint64_t other = fixture_store_one(f, "b.test", 0, SPOOL_LIVE);

	(void)state;
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	fixture_outcome(f, id, 0, RCPT_DEFERRED, f->now_s + DAY_S);
	queue_provider_block_set(f->q, 0, true, f->now_s + DAY_S);
	f->now_s += 2 * DAY_S;
	hold(f, "{\"domain\":[\"a.test\"]}");
	f->now_s += 10 * DAY_S;
	assert_false(is_over(f, id));
	assert_true(is_over(f, other)); /* not its provider */
	queue_provider_block_set(f->q, 0, false, f->now_s);
	f->now_s += DAY_S;
	unhold(f);
	assert_ends_in(f, id, LIFE_S - DAY_S);
	fixture_destroy(f);
}

/* More stretches than are remembered: those closest together grow into one. */
static void many_blocks_make_a_lifetime_longer_never_shorter(void **state)
{
	struct queue_stretch s[QUEUE_STRETCHES_MAX];
	struct fixture *f = fixture_create(1);
	uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_LIVE);
	uint32_t blocked_s = 0, from_s = f->now_s, n;

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		f->now_s += 600 + i % 7 * 100; /* open */
		queue_provider_block_set(f->q, 0, true, f->now_s);
		queue_provider_block_set(f->q, 0, true, f->now_s + 1);
		f->now_s += 900;
		queue_provider_block_set(f->q, 0, false, f->now_s);
		queue_provider_block_set(f->q, 0, false, f->now_s + 1);
		blocked_s += 900;
	}
	n = queue_provider_blocks(f->q, 0, s);
	assert_int_equal(n, QUEUE_STRETCHES_MAX);
	for (uint32_t i = 1; i < n; i++)
		assert_true(s[i].from_s > s[i - 1].to_s);
	assert_int_equal(s[n - 1].to_s, f->now_s);
	assert_false(queue_lifetime_is_over(
		f->q, id, 0, from_s + LIFE_S + blocked_s - 1, LIFE_S));
	assert_true(
		queue_lifetime_is_over(f->q, id, 0, f->now_s + LIFE_S, LIFE_S));
	fixture_destroy(f);
}

/* The operator has decided that it shall go on. */
static void requeued_mail_has_its_whole_lifetime(void **state)
{
	struct fixture *f = fixture_create(1);
	uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_LIVE);

	(void)state;
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	fixture_outcome(f, id, 0, RCPT_NEEDS_DECISION, 0);
	f->now_s += 30 * DAY_S;
	fixture_set(f, SPOOL_SET_REQUEUED, id, 1, 0);
	assert_ends_in(f, id, LIFE_S);
	fixture_destroy(f);
}

struct expiry {
	struct fixture *f;
	uint32_t count;
	uint64_t ids[64];
};

static void expired(void *user, uint64_t id, uint32_t rcpt)
{
	struct expiry *e = user;

	assert_true(e->count < 64);
	e->ids[e->count++] = id;
	assert_int_equal(fixture_outcome(e->f, id, rcpt, RCPT_EXPIRED, 0), 0);
}

static uint32_t sweep(struct fixture *f, uint32_t max, struct expiry *e)
{
	*e = (struct expiry){.f = f};
	return queue_expire_waiting(f->q, 0, f->now_s, LIFE_S, max, expired, e);
}

/* Mail that nobody could ever try; what came later stays. All recipients of a
 * message at once: the first one's end must not start the clock anew. */
static void what_waits_for_an_unreachable_domain_expires(void **state)
{
	static const char *const domains[] = {"a.test", "a.test", "b.test"};
	struct fixture *f = fixture_create(1);
	struct fixture_message m = {.flags = SPOOL_LIVE,
				    .sender = "s.test",
				    .count = 3,
				    .domains = domains};
	uint64_t two = fixture_store(f, &m);
	struct expiry e;
	uint32_t from_s = f->now_s;

	(void)state;
	for (uint32_t i = 0; i < 9; i++) /* out of order: several lists */
		fixture_store_one(f, "a.test", f->now_s - i % 3 * 7, 0);
	f->now_s += DAY_S;
	uint64_t young = fixture_store_one(f, "a.test", 0, SPOOL_LIVE);
	assert_int_equal(sweep(f, 100, &e), from_s + LIFE_S);
	assert_int_equal(e.count, 0);
	f->now_s = from_s + LIFE_S;
	assert_true(sweep(f, 4, &e) <= f->now_s); /* more at once */
	assert_int_equal(e.count, 4);
	assert_int_equal(sweep(f, 100, &e), from_s + DAY_S + LIFE_S);
	assert_int_equal(e.count, 7);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	assert_int_equal(fixture_waiting_of(f, "b.test"), 1);
	f->now_s += DAY_S;
	sweep(f, 100, &e);
	assert_int_equal(e.count, 1);
	assert_int_equal(e.ids[0], young);
	assert_true(queue_lifetime_is_over(f->q, two, 2, f->now_s, LIFE_S));
	fixture_destroy(f);
}

static void held_mail_of_an_unreachable_domain_stays(void **state)
{
	struct fixture *f = fixture_create(1);
	struct expiry e;

	(void)state;
	fixture_store_one(f, "a.test", 0, SPOOL_LIVE);
	fixture_store_one(f, "a.test", 0, SPOOL_TAKEN);
	hold(f, "{\"domain\":[\"a.test\"]}");
	f->now_s += 2 * LIFE_S;
	sweep(f, 100, &e);
	assert_int_equal(e.count, 0);
	unhold(f);
	sweep(f, 100, &e);
	assert_int_equal(e.count, 0);
	f->now_s += LIFE_S;
	sweep(f, 100, &e);
	assert_int_equal(e.count, 1);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_starts_when_custody_lets_go),
		cmocka_unit_test(clock_of_live_mail_starts_on_arrival),
		cmocka_unit_test(first_attempt_starts_the_clock_anew),
		cmocka_unit_test(clock_stands_while_held),
		cmocka_unit_test(
			clock_of_held_arrivals_starts_with_the_release),
		cmocka_unit_test(clock_stands_while_parked),
		cmocka_unit_test(block_of_the_provider_charges_no_lifetime),
		cmocka_unit_test(
			many_blocks_make_a_lifetime_longer_never_shorter),
		cmocka_unit_test(requeued_mail_has_its_whole_lifetime),
		cmocka_unit_test(what_waits_for_an_unreachable_domain_expires),
		cmocka_unit_test(held_mail_of_an_unreachable_domain_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
