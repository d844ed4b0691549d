/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_wheel.c - the wheel against a plain list, over all its levels.
 */
#include "sluice/clock.h"
#include "sluice/wheel.h"
#include "unit.h"

#define ENTRIES 300

struct item {
	struct wheel_entry entry; /* first */
	bool pending;
	uint64_t due_ns;
	uint64_t serial; /* order of insertion */
};

struct model {
	struct wheel wheel;
	struct item items[ENTRIES];
	uint64_t serial;
	uint64_t now_ns;
};

static void model_init(struct model *m, uint64_t tick_ns, uint64_t now_ns)
{
	memset(m, 0, sizeof(*m));
	wheel_init(&m->wheel, tick_ns, now_ns);
	for (size_t i = 0; i < ENTRIES; i++)
		wheel_entry_init(&m->items[i].entry);
	m->now_ns = now_ns;
}

static void model_insert(struct model *m, size_t i, uint64_t due_ns)
{
	wheel_insert(&m->wheel, &m->items[i].entry, due_ns);
	m->items[i].pending = true;
	m->items[i].due_ns = due_ns;
	m->items[i].serial = m->serial++;
}

static uint64_t model_next_ns(const struct model *m)
{
	uint64_t next = CLOCK_NEVER_NS;
	for (size_t i = 0; i < ENTRIES; i++) {
		if (m->items[i].pending && m->items[i].due_ns < next)
			next = m->items[i].due_ns;
	}
	return next;
}

/* Expires all that is due and checks: each was due, and nothing due is left. */
static uint32_t model_expire(struct model *m)
{
	uint32_t n = 0;
	struct wheel_entry *e;
	while ((e = wheel_expire(&m->wheel, m->now_ns)) != NULL) {
		struct item *it = (struct item *)e;
		assert_true(it->pending);
		assert_false(wheel_entry_pending(e));
		assert_true(it->due_ns <= m->now_ns);
		it->pending = false;
		n++;
	}
	uint64_t next_ns = model_next_ns(m);
	assert_true(next_ns > m->now_ns);
	/* a lower bound, never past what is next */
	assert_true(wheel_next_ns(&m->wheel) <= next_ns);
	return n;
}

static void model_random_step(struct model *m, struct unit_random *r)
{
	/* spans that end in each of the levels, and beyond the top */
	static const unsigned bits[] = {1, 4, 10, 14, 18, 26, 32, 34};
	uint64_t span = m->wheel.tick_ns << bits[unit_random_below(r, 8)];
	size_t i = unit_random_below(r, ENTRIES);
	switch (unit_random_below(r, 4)) {
	case 0:
	case 1:
		model_insert(m, i, m->now_ns + unit_random_below(r, span));
		break;
	case 2:
		wheel_cancel(&m->wheel, &m->items[i].entry);
		m->items[i].pending = false;
		break;
	default:
		m->now_ns += unit_random_below(r, span / 16 + 1);
		(void)model_expire(m);
	}
	uint32_t pending = 0;
	for (size_t k = 0; k < ENTRIES; k++) {
		const struct item *it = &m->items[k];
		if (it->pending != wheel_entry_pending(&it->entry))
			fail_msg("entry %zu is not where it should be", k);
		pending += it->pending;
	}
	assert_int_equal(pending, m->wheel.count);
}

/* Catches: lost, early, late or doubled entries, at every level, across
 * wrap-around, with ticks of 1 us and of 1 ms and with odd ones. */
static void random_operations_agree_with_a_plain_list(void **state)
{
	static const uint64_t ticks[] = {1, 1000, NS_PER_MS, 777};
	struct unit_random r = unit_random_start(__func__);
	static struct model m;
	for (size_t t = 0; t < 4; t++) {
		uint64_t start = unit_random_next(&r) >> 4;
		model_init(&m, ticks[t], start);
		for (int i = 0; i < 20000; i++)
			model_random_step(&m, &r);
		m.now_ns += ticks[t] << 35;
		(void)model_expire(&m);
		assert_int_equal(m.wheel.count, 0);
		assert_int_equal(wheel_next_ns(&m.wheel), CLOCK_NEVER_NS);
	}
}

/* Catches: an entry that is given before its exact time within its tick. */
static void an_entry_never_expires_early(void **state)
{
	static struct model m;
	model_init(&m, NS_PER_MS, 0);
	model_insert(&m, 0, 1500000);
	m.now_ns = 1499999;
	assert_int_equal(model_expire(&m), 0);
	assert_int_equal(wheel_next_ns(&m.wheel), 1500000);
	m.now_ns = 1500000;
	assert_int_equal(model_expire(&m), 1);
}

/* Catches: entries of one tick reordered by waiting in different levels. */
static void entries_of_one_tick_come_in_insertion_order(void **state)
{
	static struct model m;
	model_init(&m, NS_PER_MS, 0);
	/* one tick, reached from three distances; others around it */
	uint64_t due_ns = 70000 * NS_PER_MS;
	for (size_t i = 0; i < 100; i++) {
		if (i == 40)
			m.now_ns = 60000 * NS_PER_MS;
		if (i == 70)
			m.now_ns = due_ns - 20 * NS_PER_MS;
		(void)model_expire(&m);
		model_insert(&m, i, due_ns);
	}
	m.now_ns = due_ns;
	uint64_t last = 0;
	for (size_t i = 0; i < 100; i++) {
		struct item *it = (struct item *)wheel_expire(&m.wheel, due_ns);
		assert_non_null(it);
		assert_true(i == 0 || it->serial > last);
		last = it->serial;
	}
}

/* Catches: what lies beyond the top level expiring at its slot, once too
 * early, or being lost at the turn. */
static void entries_beyond_the_top_wait_for_their_turn(void **state)
{
	static struct model m;
	uint64_t turn_ns = (1ULL << 32) * NS_PER_MS;
	model_init(&m, NS_PER_MS, turn_ns - 5 * NS_PER_MS);
	model_insert(&m, 0, turn_ns + NS_PER_MS);
	model_insert(&m, 1, 2 * turn_ns + 3 * NS_PER_MS);
	model_insert(&m, 2, turn_ns - NS_PER_MS);
	m.now_ns = turn_ns;
	assert_int_equal(model_expire(&m), 1);
	m.now_ns = turn_ns + NS_PER_MS;
	assert_int_equal(model_expire(&m), 1);
	m.now_ns = 2 * turn_ns + 2 * NS_PER_MS;
	assert_int_equal(model_expire(&m), 0);
	m.now_ns = 2 * turn_ns + 3 * NS_PER_MS;
	assert_int_equal(model_expire(&m), 1);
}

/* Catches: a due time in the past that waits a whole round. */
static void what_is_overdue_expires_at_once(void **state)
{
	static struct model m;
	model_init(&m, NS_PER_MS, 9 * NS_PER_S);
	model_insert(&m, 0, 0);
	model_insert(&m, 1, 9 * NS_PER_S);
	assert_int_equal(wheel_next_ns(&m.wheel), 0);
	assert_int_equal(model_expire(&m), 2);
}

/* Catches: time that runs back moving the wheel back. */
static void time_that_runs_back_changes_nothing(void **state)
{
	static struct model m;
	model_init(&m, NS_PER_MS, NS_PER_S);
	m.now_ns = 5 * NS_PER_S;
	(void)model_expire(&m);
	model_insert(&m, 0, 5 * NS_PER_S + 2 * NS_PER_MS);
	assert_null(wheel_expire(&m.wheel, NS_PER_S));
	m.now_ns = 5 * NS_PER_S + 2 * NS_PER_MS;
	assert_int_equal(model_expire(&m), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_agree_with_a_plain_list),
		cmocka_unit_test(an_entry_never_expires_early),
		cmocka_unit_test(entries_of_one_tick_come_in_insertion_order),
		cmocka_unit_test(entries_beyond_the_top_wait_for_their_turn),
		cmocka_unit_test(what_is_overdue_expires_at_once),
		cmocka_unit_test(time_that_runs_back_changes_nothing),
	};
	return cmocka_run_group_tests_name("base/wheel", tests, NULL, NULL);
}
