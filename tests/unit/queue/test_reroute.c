/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_reroute.c - recipients that go another way keep their name, their state
 * and their place in the counts.
 */
#include "queue_fixture.h"

#define OTHER 1u

/* As the daemon does: the key says whose mail the new domain's is. */
static uint32_t domain_new(void *user, uint32_t domain, const char *name)
{
	uint32_t provider = queue_via_provider(name);

	(void)user;
	(void)domain;
	return provider == QUEUE_NONE ? 0 : provider;
}

static struct queue *queue_made(struct fixture *f)
{
	static const struct queue_ops ops = {fixture_waiting, domain_new,
					     fixture_done};
	struct queue *q = queue_create(&ops, f);

	assert_non_null(q);
	assert_int_equal(queue_provider_set(q, 0, "own", ORDER_OLDEST, 10), 0);
	assert_int_equal(queue_provider_set(q, OTHER, "via", ORDER_OLDEST, 10),
			 0);
	queue_destroy(&f->q);
	f->q = q;
	return q;
}

static struct queue_counts counts(struct queue *q, uint32_t provider)
{
	struct queue_counts c;

	assert_int_equal(queue_provider_counts(q, provider, &c), 0);
	return c;
}

static struct queue_entry seen;

static void see(void *user, const struct queue_entry *e)
{
	(void)user;
	seen = *e;
}

/* Catches: mail that changes its domain's name by being rerouted, or waits for
 * both providers, or for none. */
static void it_waits_with_the_other_provider_under_its_own_name(void **state)
{
	struct fixture *f = fixture_create(1);
	struct queue *q = queue_made(f);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);
	uint32_t own = queue_domain_find(q, "a.test"), via = own + 1;

	(void)state;
	fixture_store_one(f, "a.test", 0, 0);
	assert_int_equal(queue_reroute(q, id, 0, OTHER, QUEUE_NONE), 0);
	assert_int_equal(f->waiting[own], 1);
	assert_int_equal(f->waiting[via], 1);
	assert_int_equal(counts(q, 0).waiting, 1);
	assert_int_equal(counts(q, OTHER).waiting, 1);
	assert_string_equal(queue_domain_name(q, via), "a.test");
	assert_int_equal(queue_domain_find(q, "a.test"), own);
	assert_true(queue_find(q, id, see, NULL));
	assert_int_equal(seen.provider, OTHER);
	assert_int_equal(seen.domain, own);
	/* and back */
	assert_int_equal(queue_reroute(q, id, 0, QUEUE_NONE, QUEUE_NONE), 0);
	assert_int_equal(f->waiting[own], 2);
	assert_int_equal(f->waiting[via], 0);
	assert_int_equal(counts(q, OTHER).recipients, 0);
	assert_int_equal(queue_reroute(q, 4711, 0, OTHER, QUEUE_NONE), -ENOENT);
	fixture_destroy(f);
}

static void a_hold_of_the_domain_holds_it_there_too(void **state)
{
	struct fixture *f = fixture_create(1);
	struct queue *q = queue_made(f);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);

	(void)state;
	assert_int_equal(
		queue_hold_add(q, 1,
			       fixture_selection("{\"domain\":[\"a.test\"]}"),
			       "", f->now_s),
		0);
	assert_int_equal(queue_reroute(q, id, 0, OTHER, QUEUE_NONE), 0);
	assert_int_equal(counts(q, OTHER).held, 1);
	assert_int_equal(queue_hold_remove(q, 1), 0);
	assert_int_equal(counts(q, OTHER).waiting, 1);
	fixture_destroy(f);
}

/* Every state moves as it is, but for what is in flight or done. */
static void states_stay_as_they_are(void **state)
{
	static const uint8_t states[] = {RCPT_DEFERRED, RCPT_HELD,
					 RCPT_NEEDS_DECISION, RCPT_FAILED,
					 RCPT_EXPIRED};
	struct fixture *f = fixture_create(1);
	struct queue *q = queue_made(f);
	uint64_t id;

	(void)state;
	for (size_t i = 0; i < sizeof(states); i++) {
		id = fixture_store_one(f, "a.test", 0, 0);
		fixture_outcome(f, id, 0, states[i], f->now_s + 600);
		assert_int_equal(queue_reroute(q, id, 0, OTHER, QUEUE_NONE), 0);
		assert_int_equal(queue_rcpt_state(q, id, 0), states[i]);
		assert_int_equal(queue_provider_of(q, id, 0), OTHER);
	}
	assert_int_equal(counts(q, OTHER).recipients, 3);
	assert_int_equal(counts(q, OTHER).failed, 1);
	assert_int_equal(counts(q, 0).failed + counts(q, 0).recipients, 0);
	f->now_s += 700;
	queue_tick(q, f->now_s);
	assert_int_equal(counts(q, OTHER).waiting, 1);
	id = fixture_store_one(f, "a.test", 0, 0);
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	assert_int_equal(queue_reroute(q, id, 0, OTHER, QUEUE_NONE), -EBUSY);
	fixture_destroy(f);
}

/* An operator's source outlasts deferrals and a requeue; a greylisting's pin
 * does not. */
static void a_source_stays_whatever_the_outcomes_say(void **state)
{
	struct fixture *f = fixture_create(1);
	struct queue *q = queue_made(f);
	uint64_t id = fixture_store_one(f, "a.test", 0, 0);
	struct queue_head h;

	(void)state;
	assert_int_equal(queue_reroute(q, id, 0, QUEUE_NONE, 2), 0);
	assert_true(queue_head(q, 0, false, &h));
	assert_int_equal(h.pinned_source, 2);
	assert_int_equal(fixture_take_id(f, "a.test"), id);
	fixture_outcome(f, id, 0, RCPT_DEFERRED, f->now_s + 60);
	fixture_set(f, SPOOL_SET_REQUEUED, id, 0, 0);
	assert_true(queue_head(q, 0, false, &h));
	assert_int_equal(h.pinned_source, 2);
	assert_int_equal(queue_reroute(q, id, 0, QUEUE_NONE, QUEUE_NONE), 0);
	assert_true(queue_head(q, 0, false, &h));
	assert_int_equal(h.pinned_source, QUEUE_NONE);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			it_waits_with_the_other_provider_under_its_own_name),
		cmocka_unit_test(a_hold_of_the_domain_holds_it_there_too),
		cmocka_unit_test(states_stay_as_they_are),
		cmocka_unit_test(a_source_stays_whatever_the_outcomes_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
