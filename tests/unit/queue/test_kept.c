/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_kept.c - what failed or expired stays in custody until somebody says
 * what becomes of it.
 */
#include "queue_fixture.h"

static void count_one(void *user, const struct queue_entry *e)
{
	(void)e;
	(*(uint32_t *)user)++;
}

static uint32_t seen(struct fixture *f, const char *json)
{
	struct selection *s = fixture_selection(json);
	struct queue_cursor c = {0};
	uint32_t count = 0;

	while (queue_walk(f->q, &c, s, f->now_s, 100, count_one, &count))
		;
	selection_destroy(&s);
	return count;
}

static struct queue_counts counts(struct fixture *f)
{
	struct queue_counts c;

	queue_counts(f->q, &c);
	return c;
}

static uint64_t one_failed(struct fixture *f)
{
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);

	assert_int_equal(fixture_take_id(f, "a.test"), id);
	assert_int_equal(fixture_outcome(f, id, 0, RCPT_FAILED, 0), 0);
	return id;
}

/* Catches: a failed recipient that is forgotten, goes out again, or counts as
 * still to be sent. */
static void failed_is_kept_and_found_by_state_and_id_only(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = one_failed(f);
	char json[64];

	(void)state;
	snprintf(json, sizeof(json), "{\"id\":[\"%llx\"]}",
		 (unsigned long long)id);
	assert_int_equal(f->done, 0);
	assert_int_equal(queue_rcpt_state(f->q, id, 0), RCPT_FAILED);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	assert_int_equal(counts(f).recipients, 0);
	assert_int_equal(counts(f).failed, 1);
	assert_int_equal(counts(f).messages, 1);
	assert_int_equal(counts(f).oldest_arrival_s, 0);
	assert_int_equal(seen(f, "{\"all\":true}"), 0);
	assert_int_equal(seen(f, "{\"state\":[\"failed\"]}"), 1);
	assert_int_equal(seen(f, "{\"state\":[\"expired\"]}"), 0);
	assert_int_equal(seen(f, json), 1);
	fixture_set(f, SPOOL_SET_RELEASED, id, 1, 0);
	fixture_set(f, SPOOL_SET_HELD, id, 1, 0);
	assert_int_equal(queue_rcpt_state(f->q, id, 0), RCPT_FAILED);
	fixture_destroy(f);
}

static void requeued_it_waits_with_nothing_charged(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = one_failed(f);
	static struct queue_taken t;

	(void)state;
	fixture_set(f, SPOOL_SET_REQUEUED, id, 0, 0);
	assert_int_equal(queue_rcpt_state(f->q, id, 0), RCPT_WAITING);
	assert_int_equal(counts(f).failed, 0);
	assert_int_equal(counts(f).recipients, 1);
	assert_int_equal(counts(f).oldest_arrival_s, f->now_s);
	assert_int_equal(queue_take(f->q, 0, false, f->now_s, &t), 0);
	assert_int_equal(t.id, id);
	assert_int_equal(t.attempts[0], 0);
	assert_int_equal(t.first_release_s, 0);
	assert_int_equal(fixture_outcome(f, id, 0, RCPT_DELIVERED, 0), 0);
	assert_int_equal(f->done_id, id);
	assert_int_equal(counts(f).messages, 0);
	fixture_destroy(f);
}

/* A standing hold that came while it had failed is in force. */
static void requeued_under_a_hold_it_is_held(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = one_failed(f);

	(void)state;
	assert_int_equal(
		queue_hold_add(f->q, 1,
			       fixture_selection(
				       "{\"sender_domain\":[\"sender.test\"]}"),
			       "", f->now_s),
		0);
	fixture_set(f, SPOOL_SET_REQUEUED, id, 0, 0);
	assert_int_equal(queue_rcpt_state(f->q, id, 0), RCPT_HELD);
	assert_int_equal(queue_hold_remove(f->q, 1), 0);
	assert_int_equal(queue_rcpt_state(f->q, id, 0), RCPT_WAITING);
	fixture_destroy(f);
}

/* Of three recipients one was delivered, one failed, one expired: the message
 * goes with the last that is let go. */
static void the_message_goes_with_the_last_kept_one(void **state)
{
	const char *domains[] = {"a.test", "b.test", "c.test"};
	struct fixture_message m = {.count = 3, .domains = domains};
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store(f, &m);

	(void)state;
	assert_int_equal(fixture_outcome(f, id, 0, RCPT_DELIVERED, 0), 0);
	assert_int_equal(fixture_outcome(f, id, 1, RCPT_FAILED, 0), 0);
	assert_int_equal(fixture_outcome(f, id, 2, RCPT_EXPIRED, 0), 0);
	assert_int_equal(f->done, 0);
	fixture_set(f, SPOOL_SET_PURGED, id, 0, 1);
	assert_int_equal(f->done, 0);
	assert_int_equal(counts(f).purged, 1);
	assert_int_equal(counts(f).failed, 0);
	/* the same again, and of the delivered one: nothing */
	fixture_set(f, SPOOL_SET_PURGED, id, 0, 1);
	fixture_set(f, SPOOL_SET_REQUEUED, id, 0, 0);
	assert_int_equal(counts(f).purged, 1);
	assert_int_equal(fixture_outcome(f, id, 2, RCPT_EXPORTED, 0), 0);
	assert_int_equal(f->done_id, id);
	assert_int_equal(counts(f).expired, 0);
	assert_int_equal(counts(f).other_done, 1);
	fixture_destroy(f);
}

/* What is kept follows its domain to another provider, counts and all. */
static void kept_ones_follow_their_domain(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = one_failed(f);
	uint32_t domain = queue_domain_find(f->q, "a.test");
	uint32_t other = 1 - queue_domain_provider(f->q, domain);
	struct queue_counts c;

	(void)state;
	queue_domain_provider_set(f->q, domain, other);
	assert_int_equal(queue_provider_counts(f->q, other, &c), 0);
	assert_int_equal(c.failed, 1);
	fixture_set(f, SPOOL_SET_PURGED, id, 0, 0);
	assert_int_equal(queue_provider_counts(f->q, other, &c), 0);
	assert_int_equal(c.failed, 0);
	fixture_destroy(f);
}

/* "keep" of what needs a decision: held until it is released. */
static void undecided_becomes_held_and_is_released(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);

	(void)state;
	assert_int_equal(fixture_outcome(f, id, 0, RCPT_NEEDS_DECISION, 0), 0);
	fixture_set(f, SPOOL_SET_RELEASED, id, 0, 0);
	assert_int_equal(queue_rcpt_state(f->q, id, 0), RCPT_NEEDS_DECISION);
	fixture_set(f, SPOOL_SET_HELD, id, 0, 0);
	assert_int_equal(queue_rcpt_state(f->q, id, 0), RCPT_HELD);
	fixture_set(f, SPOOL_SET_RELEASED, id, 0, 0);
	assert_int_equal(queue_rcpt_state(f->q, id, 0), RCPT_WAITING);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_is_kept_and_found_by_state_and_id_only),
		cmocka_unit_test(requeued_it_waits_with_nothing_charged),
		cmocka_unit_test(requeued_under_a_hold_it_is_held),
		cmocka_unit_test(the_message_goes_with_the_last_kept_one),
		cmocka_unit_test(kept_ones_follow_their_domain),
		cmocka_unit_test(undecided_becomes_held_and_is_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
