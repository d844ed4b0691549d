/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_export.c - recipients that are being handed back.
 */
#include "queue_fixture.h"

static struct queue_counts counts(const struct fixture *f)
{
	struct queue_counts c;

	queue_counts(f->q, &c);
	return c;
}

static void outcome(struct fixture *f, uint64_t id, uint8_t state,
		    uint32_t due_s)
{
	struct spool_outcome o = {.id = id,
				  .state = state,
				  .attempts = 3,
				  .source = 2,
				  .when_s = f->now_s,
				  .due_s = due_s};

	assert_int_equal(queue_apply_outcome(f->q, &o), 0);
}

/* Catches a delivery of what somebody else is about to get. */
static void what_is_exported_is_not_taken(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);
	struct queue_prior prior;

	(void)state;
	assert_int_equal(queue_export_begin(f->q, id, 0, &prior), 0);
	assert_int_equal(prior.state, RCPT_WAITING);
	assert_int_equal(fixture_waiting_of(f, "a.test"), 0);
	assert_int_equal(fixture_take_id(f, "a.test"), 0);
	assert_int_equal(counts(f).exporting, 1);
	assert_int_equal(counts(f).recipients, 1);
	assert_int_equal(queue_export_begin(f->q, id, 0, &prior), -EALREADY);
	outcome(f, id, RCPT_EXPORTED, 0);
	assert_int_equal(f->done_id, id);
	assert_int_equal(counts(f).recipients, 0);
	assert_int_equal(counts(f).exported, 1);
	assert_int_equal(queue_export_begin(f->q, id, 0, &prior), -ENOENT);
	fixture_destroy(f);
}

/* Catches an export of what a connection has in its hands. */
static void what_is_in_flight_is_refused(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);
	struct queue_prior prior = {.state = 99};

	(void)state;
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	assert_int_equal(queue_export_begin(f->q, id, 0, &prior), -EBUSY);
	assert_int_equal(prior.state, 99);
	fixture_destroy(f);
}

/* Catches a recipient that goes at once, or never, when its export fails. */
static void undone_it_is_back_where_it_was(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t held = fixture_store_one(f, "a.test", 0, SPOOL_TAKEN);
	uint64_t deferred = fixture_store_one(f, "b.test", 0, 0);
	uint64_t asked = fixture_store_one(f, "c.test", 0, 0);
	uint64_t ids[] = {held, deferred, asked};
	struct queue_prior prior[3];
	struct queue_counts before;

	(void)state;
	outcome(f, deferred, RCPT_DEFERRED, f->now_s + 60);
	outcome(f, asked, RCPT_NEEDS_DECISION, 0);
	before = counts(f);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(queue_export_begin(f->q, ids[i], 0, &prior[i]),
				 0);
	assert_int_equal(counts(f).exporting, 3);
	assert_int_equal(prior[1].due_s, f->now_s + 60);
	assert_int_equal(prior[1].attempts, 3);
	assert_int_equal(prior[1].pinned, 2);
	/* Its minute comes while it is away. */
	queue_tick(f->q, f->now_s + 61);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(queue_export_undo(f->q, ids[i], 0, &prior[i]),
				 0);
	assert_int_equal(counts(f).held, before.held);
	assert_int_equal(counts(f).deferred, before.deferred);
	assert_int_equal(counts(f).needs_decision, before.needs_decision);
	assert_int_equal(queue_export_undo(f->q, held, 0, &prior[0]), -ENOENT);
	assert_int_equal(queue_tick(f->q, f->now_s + 62), 1);
	assert_int_equal(fixture_take_id(f, "b.test"), deferred);
	fixture_destroy(f);
}

/* Catches an operator's word that is lost because the export was away with
 * the recipient, and a purge of what somebody else may have. */
static void a_set_in_the_meantime_counts_afterwards(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, SPOOL_TAKEN);
	struct queue_prior prior;

	(void)state;
	assert_int_equal(queue_export_begin(f->q, id, 0, &prior), 0);
	fixture_set(f, SPOOL_SET_PURGED, id, 1, 0);
	fixture_set(f, SPOOL_SET_REQUEUED, id, 1, 0);
	fixture_set(f, SPOOL_SET_RELEASED, id, 1, 0);
	assert_int_equal(counts(f).exporting, 1);
	assert_int_equal(queue_export_undo(f->q, id, 0, &prior), 0);
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	assert_int_equal(queue_put_back(f->q, id, 0), 0);
	assert_int_equal(queue_export_begin(f->q, id, 0, &prior), 0);
	fixture_set(f, SPOOL_SET_HELD, id, 1, 0);
	assert_int_equal(queue_export_undo(f->q, id, 0, &prior), 0);
	assert_int_equal(counts(f).held, 1);
	fixture_destroy(f);
}

/* Catches a restart that gives back what was handed over. */
static void handed_over_it_stays_so_after_a_recovery(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);

	(void)state;
	outcome(f, id, RCPT_EXPORTING, 0);
	assert_int_equal(queue_recovery_end(f->q, f->now_s), 0);
	assert_int_equal(counts(f).exporting, 1);
	assert_int_equal(fixture_take_id(f, "a.test"), 0);
	outcome(f, id, RCPT_HELD, 0);
	assert_int_equal(counts(f).held, 1);
	fixture_destroy(f);
}

/* Catches counts of a provider that go wrong when a domain moves to it. */
static void a_domain_takes_its_exporting_ones_along(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);
	uint32_t domain = queue_domain_find(f->q, "a.test");
	uint32_t from = queue_domain_provider(f->q, domain);
	struct queue_counts c;

	(void)state;
	outcome(f, id, RCPT_EXPORTING, 0);
	queue_domain_provider_set(f->q, domain, 1 - from);
	assert_int_equal(queue_provider_counts(f->q, from, &c), 0);
	assert_int_equal(c.exporting, 0);
	assert_int_equal(queue_provider_counts(f->q, 1 - from, &c), 0);
	assert_int_equal(c.exporting, 1);
	outcome(f, id, RCPT_EXPORTED, 0);
	fixture_destroy(f);
}

/* Catches failed mail that cannot be given back, is sent again by itself when
 * its export fails, or loses its place over a restart. */
static void what_failed_can_go_and_come_back(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);
	struct queue_prior prior;

	(void)state;
	outcome(f, id, RCPT_FAILED, 0);
	assert_int_equal(queue_export_begin(f->q, id, 0, &prior), 0);
	assert_int_equal(prior.state, RCPT_FAILED);
	assert_int_equal(counts(f).failed, 0);
	assert_int_equal(counts(f).exporting, 1);
	assert_int_equal(queue_export_undo(f->q, id, 0, &prior), 0);
	assert_int_equal(counts(f).failed, 1);
	assert_int_equal(counts(f).recipients, 0);
	assert_int_equal(counts(f).oldest_arrival_s, 0);
	assert_int_equal(fixture_take_id(f, "a.test"), 0);
	outcome(f, id, RCPT_EXPORTING, 0); /* as the journal says it */
	assert_int_equal(counts(f).exporting, 1);
	outcome(f, id, RCPT_EXPORTED, 0);
	assert_int_equal(f->done_id, id);
	fixture_destroy(f);
}

/* Catches a failed recipient that was being sent elsewhere at a crash and goes
 * out once more by itself, or is in no list of doubts. */
static void a_crash_while_it_was_sent_leaves_it_held_and_in_doubt(void **state)
{
	struct fixture *f = fixture_create(2);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);

	(void)state;
	outcome(f, id, RCPT_FAILED, 0);
	assert_int_equal(queue_apply_attempt(f->q, id, 0, 1, f->now_s, 0), 0);
	assert_int_equal(queue_recovery_end(f->q, f->now_s), 1);
	assert_int_equal(counts(f).held, 1);
	assert_int_equal(fixture_take_id(f, "a.test"), 0);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_exported_is_not_taken),
		cmocka_unit_test(what_is_in_flight_is_refused),
		cmocka_unit_test(undone_it_is_back_where_it_was),
		cmocka_unit_test(a_set_in_the_meantime_counts_afterwards),
		cmocka_unit_test(handed_over_it_stays_so_after_a_recovery),
		cmocka_unit_test(a_domain_takes_its_exporting_ones_along),
		cmocka_unit_test(what_failed_can_go_and_come_back),
		cmocka_unit_test(
			a_crash_while_it_was_sent_leaves_it_held_and_in_doubt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
