/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_recovery.c - the same records again, doubts, and the clock of lifetime.
 */
#include "queue_fixture.h"

#define DAY_S 86400u

/* An attempt without an outcome is the only thing that may have gone twice. */
static void attempt_without_outcome_becomes_a_doubt(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t open = fixture_store_one(f, "a.test", 0, 0);
	uint64_t closed = fixture_store_one(f, "a.test", 0, 0);
	const struct queue_doubt *d;

	(void)state;
	assert_int_equal(queue_apply_attempt(f->q, open, 0, 1, 77, 3), 0);
	assert_int_equal(queue_apply_attempt(f->q, closed, 0, 1, 78, 3), 0);
	assert_int_equal(fixture_outcome(f, closed, 0, RCPT_DELIVERED, 0), 0);
	assert_int_equal(queue_recovery_end(f->q, f->now_s), 1);
	assert_int_equal(queue_doubt_count(f->q), 1);
	d = queue_doubt_at(f->q, 0);
	assert_int_equal(d->id, open);
	assert_int_equal(d->when_s, 77);
	assert_int_equal(d->source, 3);
	assert_int_equal(d->cause, 1);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	assert_int_equal(fixture_take_id(f, "a.test"), open);
	fixture_destroy(f);
}

static void lost_after_the_dot_is_a_doubt_of_its_own(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);
	struct spool_outcome o = {.id = id,
				  .state = RCPT_DEFERRED,
				  .in_doubt = 1,
				  .source = 2,
				  .when_s = f->now_s,
				  .due_s = f->now_s + 300};
	struct queue_head h;

	(void)state;
	assert_int_equal(queue_apply_outcome(f->q, &o), 0);
	assert_int_equal(queue_apply_outcome(f->q, &o), 0);
	assert_int_equal(queue_doubt_count(f->q), 1);
	assert_int_equal(queue_doubt_at(f->q, 0)->cause, 2);
	f->now_s += 360;
	queue_tick(f->q, f->now_s, 5 * DAY_S, NULL, NULL);
	assert_true(queue_head(f->q, 0, &h));
	assert_int_equal(h.pinned_source, QUEUE_NONE);
	fixture_destroy(f);
}

static void replay(struct fixture *f, uint32_t times)
{
	static const char *const domains[] = {"a.test", "b.test"};
	struct fixture_message m = {.id = 5,
				    .arrival_s = 1000,
				    .flags = SPOOL_TAKEN,
				    .sender = "sender.test",
				    .count = 2,
				    .domains = domains};

	for (uint32_t i = 0; i < times; i++)
		fixture_store(f, &m);
	for (uint32_t i = 0; i < times; i++)
		fixture_set(f, SPOOL_SET_RELEASED, 5, 1, 0);
	for (uint32_t i = 0; i < times; i++)
		assert_int_equal(queue_apply_attempt(f->q, 5, 0, 2, 2000, 1),
				 0);
	for (uint32_t i = 0; i < times; i++)
		assert_int_equal(fixture_outcome(f, 5, 0, RCPT_DELIVERED, 0),
				 0);
	for (uint32_t i = 0; i < times; i++)
		assert_int_equal(
			fixture_outcome(f, 5, 1, RCPT_DEFERRED, f->now_s + 600),
			0);
}

static void records_that_come_twice_change_nothing(void **state)
{
	struct queue_counts once, thrice;
	struct fixture *f = fixture_create(2);
	struct fixture *g = fixture_create(2);

	(void)state;
	replay(f, 1);
	replay(g, 3);
	queue_counts(f->q, &once);
	queue_counts(g->q, &thrice);
	assert_memory_equal(&once, &thrice, sizeof(once));
	assert_int_equal(once.deferred, 1);
	assert_int_equal(once.delivered, 1);
	assert_int_equal(once.oldest_arrival_s, 1000);
	fixture_destroy(f);
	fixture_destroy(g);
}

static void records_that_make_no_sense_change_nothing(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);
	struct spool_stored none = {.id = 9, .sender_domain = ""};
	struct spool_set_item item = {1, 1, 0};

	(void)state;
	assert_int_equal(queue_stored(f->q, &none), -EINVAL);
	assert_int_equal(fixture_outcome(f, id, 0, RCPT_IN_FLIGHT, 0), -EINVAL);
	assert_int_equal(fixture_outcome(f, id, 0, 99, 0), -EINVAL);
	assert_int_equal(fixture_outcome(f, id, 1, RCPT_FAILED, 0), -ENOENT);
	assert_int_equal(fixture_outcome(f, 99, 0, RCPT_FAILED, 0), -ENOENT);
	assert_int_equal(queue_apply_attempt(f->q, 99, 0, 1, 1, 1), -ENOENT);
	assert_int_equal(queue_apply_set(f->q, 9, 1, &item, 1), -EINVAL);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	fixture_destroy(f);
}

struct expiry {
	struct fixture *f;
	uint32_t count;
};

static void expired(void *user, uint64_t id, uint32_t rcpt)
{
	struct expiry *e = user;

	e->count++;
	assert_int_equal(fixture_outcome(e->f, id, rcpt, RCPT_EXPIRED, 0), 0);
}

static uint32_t tick(struct fixture *f)
{
	struct expiry e = {f, 0};

	queue_tick(f->q, f->now_s, 5 * DAY_S, expired, &e);
	return e.count;
}

static void defer(struct fixture *f, uint64_t id, uint32_t wait_s)
{
	assert_int_equal(
		fixture_outcome(f, id, 0, RCPT_DEFERRED, f->now_s + wait_s), 0);
	f->now_s += wait_s + 60;
}

/* Old mail that was held for weeks before has its whole lifetime. */
static void lifetime_begins_at_the_first_release(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", f->now_s - 30 * DAY_S, 0);
	static struct queue_taken t;

	(void)state;
	assert_int_equal(queue_take(f->q, 0, f->now_s, &t), 0);
	assert_int_equal(t.first_release_s, 0);
	defer(f, id, 4 * DAY_S);
	assert_int_equal(tick(f), 0);
	assert_int_equal(queue_take(f->q, 0, f->now_s, &t), 0);
	assert_true(t.first_release_s != 0);
	defer(f, id, DAY_S);
	assert_int_equal(tick(f), 1);
	assert_int_equal(queue_state(f->q, id, 0), RCPT_EXPIRED);
	fixture_destroy(f);
}

/* Both kinds of hold: by set, and over the domain. */
static void lifetime_stops_while_held(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t a = fixture_store_one(f, "a.test", 0, 0);
	uint64_t b = fixture_store_one(f, "b.test", 0, 0);

	(void)state;
	assert_int_equal(fixture_take_id(f, "a.test"), a);
	assert_int_equal(fixture_take_id(f, "b.test"), b);
	fixture_outcome(f, a, 0, RCPT_HELD, 0);
	fixture_outcome(f, b, 0, RCPT_WAITING, 0);
	assert_int_equal(
		queue_hold_add(f->q, 1,
			       fixture_selection("{\"domain\":[\"b.test\"]}"),
			       "", f->now_s),
		0);
	f->now_s += 20 * DAY_S;
	fixture_set(f, SPOOL_SET_RELEASED, a, 1, 0);
	assert_int_equal(queue_hold_remove(f->q, 1), 0);
	fixture_outcome(f, a, 0, RCPT_DEFERRED, f->now_s + 4 * DAY_S);
	fixture_outcome(f, b, 0, RCPT_DEFERRED, f->now_s + 4 * DAY_S);
	f->now_s += 4 * DAY_S + 60;
	assert_int_equal(tick(f), 0);
	fixture_outcome(f, a, 0, RCPT_DEFERRED, f->now_s + DAY_S);
	fixture_outcome(f, b, 0, RCPT_DEFERRED, f->now_s + DAY_S);
	f->now_s += DAY_S + 60;
	assert_int_equal(tick(f), 2);
	fixture_destroy(f);
}

/* Never early, at most a minute late, and to the second within two minutes. */
static void deferred_mail_comes_back_in_its_minute(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);

	(void)state;
	queue_tick(f->q, f->now_s, 1000, NULL, NULL);
	fixture_outcome(f, id, 0, RCPT_DEFERRED, f->now_s + 7);
	assert_int_equal(queue_next_due_s(f->q), f->now_s + 7);
	queue_tick(f->q, f->now_s + 6, 1000, NULL, NULL);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	queue_tick(f->q, f->now_s + 7, 1000, NULL, NULL);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	fixture_outcome(f, id, 0, RCPT_DEFERRED, f->now_s + 3001);
	queue_tick(f->q, f->now_s + 3000, 1000, NULL, NULL);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	queue_tick(f->q, f->now_s + 3061, 1000, NULL, NULL);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 1);
	assert_int_equal(queue_next_due_s(f->q), 0);
	fixture_destroy(f);
}

/* Ids far apart, out of order, and across emptied pages. */
static void ids_need_not_be_dense(void **state)
{
	static const uint64_t ids[] = {1ULL << 60, 5,  1ULL << 40,
				       64,         63, (1ULL << 40) + 1};
	static const char *const domain = "a.test";
	struct fixture *f = fixture_create(1);
	uint64_t found;

	(void)state;
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 6; i++) {
			struct fixture_message m = {
				.id = ids[i], .count = 1, .domains = &domain};
			fixture_store(f, &m);
		}
		assert_int_equal(fixture_waiting_of(f, "a.test"), 6);
		for (uint32_t i = 0; i < 6; i++) {
			uint64_t digest = ids[i] * 0x9e3779b97f4a7c15ULL;
			assert_true(queue_has_digest(f->q, digest, &found));
			assert_int_equal(found, ids[i]);
			fixture_set(f, SPOOL_SET_PURGED, ids[i], 1, 0);
			assert_false(queue_has_digest(f->q, digest, &found));
		}
	}
	fixture_set(f, SPOOL_SET_PURGED, 1, UINT32_MAX, 0);
	assert_int_equal(f->done, 18);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempt_without_outcome_becomes_a_doubt),
		cmocka_unit_test(lost_after_the_dot_is_a_doubt_of_its_own),
		cmocka_unit_test(records_that_come_twice_change_nothing),
		cmocka_unit_test(records_that_make_no_sense_change_nothing),
		cmocka_unit_test(lifetime_begins_at_the_first_release),
		cmocka_unit_test(lifetime_stops_while_held),
		cmocka_unit_test(deferred_mail_comes_back_in_its_minute),
		cmocka_unit_test(ids_need_not_be_dense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
