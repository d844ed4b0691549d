/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_order.c - which message of a domain goes first.
 */
#include "queue_fixture.h"

#define COUNT 20000u

/* Deterministic, and no order of ids, arrival or size. */
static uint32_t scramble(uint32_t i)
{
	return (i * 2654435761u) >> 12;
}

struct order_case {
	uint8_t order;
	bool (*right)(const struct queue_taken *before,
		      const struct queue_taken *after);
};

static bool is_oldest(const struct queue_taken *a, const struct queue_taken *b)
{
	return a->arrival_s <= b->arrival_s;
}

static bool is_newest(const struct queue_taken *a, const struct queue_taken *b)
{
	return a->arrival_s >= b->arrival_s;
}

static bool is_smallest(const struct queue_taken *a,
			const struct queue_taken *b)
{
	return a->content_bytes <= b->content_bytes;
}

static const struct order_case cases[] = {{ORDER_OLDEST, is_oldest},
					  {ORDER_NEWEST, is_newest},
					  {ORDER_SMALLEST, is_smallest}};

static uint64_t store(struct fixture *f, uint32_t i, uint32_t flags)
{
	static const char *const domain = "a.test";
	struct fixture_message m = {
		.arrival_s = f->now_s - scramble(i) % 100000,
		.flags = flags,
		.content_bytes = scramble(i * 3 + 1) % 5000,
		.sender = "s.test",
		.count = 1,
		.domains = &domain,
	};

	return fixture_store(f, &m);
}

/* Takes all that waits; each must stand right to the one before. */
static uint32_t take_all(struct fixture *f, bool live,
			 const struct order_case *c)
{
	static struct queue_taken t, before;
	uint32_t taken = 0;

	while (queue_take(f->q, 0, live, f->now_s, &t) == 0) {
		if (taken++ > 0)
			assert_true(c->right(&before, &t));
		before = t;
	}
	return taken;
}

static void heads_come_in_the_providers_order(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct fixture *f = fixture_create(1);

		assert_int_equal(
			queue_provider_set(f->q, 0, "p", cases[i].order, 100),
			0);
		for (uint32_t n = 0; n < COUNT; n++)
			store(f, n, 0);
		assert_int_equal(take_all(f, false, &cases[i]), COUNT);
		fixture_destroy(f);
	}
}

/* A reload. Catches lists that keep the order they were built in. */
static void changed_order_sorts_what_waits_anew(void **state)
{
	struct fixture *f = fixture_create(1);
	static struct queue_taken t;
	uint32_t left = COUNT;

	(void)state;
	for (uint32_t n = 0; n < COUNT; n++)
		store(f, n, n % 2 ? SPOOL_LIVE : 0);
	for (uint32_t i = 0; i < 9; i++) {
		const struct order_case *c = &cases[i % 3];
		static struct queue_taken before;

		assert_int_equal(
			queue_provider_set(f->q, 0, "p", c->order, 100), 0);
		for (uint32_t n = 0; n < 500; n++, left--) {
			assert_int_equal(
				queue_take(f->q, 0, i & 1, f->now_s, &t), 0);
			if (n > 0)
				assert_true(c->right(&before, &t));
			before = t;
		}
	}
	assert_int_equal(take_all(f, false, &cases[2]) +
				 take_all(f, true, &cases[2]),
			 left);
	fixture_destroy(f);
}

/* What comes back from a deferral is sorted in; what was put back goes first,
 * whatever the order. */
static void mail_that_comes_back_is_sorted_in(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct fixture *f = fixture_create(1);
		static struct queue_taken t;

		queue_provider_set(f->q, 0, "p", cases[i].order, 100);
		for (uint32_t n = 0; n < COUNT; n++)
			store(f, n, 0);
		for (uint32_t n = 0; n < COUNT / 2; n++) {
			assert_int_equal(
				queue_take(f->q, 0, false, f->now_s, &t), 0);
			fixture_outcome(f, t.id, 0, RCPT_DEFERRED,
					f->now_s + 60 + n % 3);
		}
		f->now_s += 120;
		assert_int_equal(queue_tick(f->q, f->now_s), COUNT / 2);
		assert_int_equal(queue_take(f->q, 0, false, f->now_s, &t), 0);
		uint64_t first = t.id;
		assert_int_equal(queue_put_back(f->q, first, 0), 0);
		assert_int_equal(queue_take(f->q, 0, false, f->now_s, &t), 0);
		assert_int_equal(t.id, first);
		assert_int_equal(take_all(f, false, &cases[i]), COUNT - 1);
		fixture_destroy(f);
	}
}

/* Each with its own head and count; deferral, hold and park change nothing of
 * how a message came. */
static void live_mail_and_backlog_wait_apart(void **state)
{
	struct fixture *f = fixture_create(1);
	uint64_t live = store(f, 1, SPOOL_LIVE), old = store(f, 2, SPOOL_TAKEN);
	struct queue_head h;
	static struct queue_taken t;

	(void)state;
	assert_int_equal(f->flows[0][0], 0);
	fixture_set(f, SPOOL_SET_RELEASED, old, 1, 0);
	assert_int_equal(f->flows[0][0], 1);
	assert_int_equal(f->flows[0][1], 1);
	assert_true(queue_head(f->q, 0, true, &h));
	assert_int_equal(h.id, live);
	assert_true(queue_head(f->q, 0, false, &h));
	assert_int_equal(h.id, old);
	assert_int_equal(queue_park(f->q, 0, true, 1), 0);
	assert_false(queue_head(f->q, 0, true, &h));
	assert_int_equal(f->flows[0][1], 0);
	queue_unpark(f->q, 1);
	assert_int_equal(queue_take(f->q, 0, true, f->now_s, &t), 0);
	assert_int_equal(t.id, live);
	fixture_outcome(f, live, 0, RCPT_DEFERRED, f->now_s + 5);
	queue_tick(f->q, f->now_s + 5);
	fixture_set(f, SPOOL_SET_HELD, live, 1, 0);
	fixture_set(f, SPOOL_SET_RELEASED, live, 1, 0);
	assert_int_equal(f->flows[0][0], 1);
	assert_int_equal(f->flows[0][1], 1);
	assert_int_equal(queue_take(f->q, 0, false, f->now_s, &t), 0);
	assert_int_equal(t.id, old);
	assert_int_equal(queue_take(f->q, 0, false, f->now_s, &t), -ENOENT);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_come_in_the_providers_order),
		cmocka_unit_test(changed_order_sorts_what_waits_anew),
		cmocka_unit_test(mail_that_comes_back_is_sorted_in),
		cmocka_unit_test(live_mail_and_backlog_wait_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
