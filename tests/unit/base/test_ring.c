/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_ring.c - the ring between two threads; meant for the thread sanitizer
 * as well, where it runs on the __atomic version.
 */
#include <pthread.h>
#include <sched.h>

#include "sluice/ring.h"
#include "unit.h"

struct parcel {
	uint64_t a, b, c;
};
RING_DEFINE(parcel)

#define SLOTS 8
#define SENT  200000

static struct ring ring;
static struct parcel slots[SLOTS];

static void *produce(void *arg)
{
	for (uint64_t i = 0; i < SENT; i++) {
		struct parcel p = {i, i * 3, ~i};
		while (!parcel_ring_push(&ring, slots, &p))
			(void)sched_yield();
	}
	return NULL;
}

/* Catches: a parcel seen before it is whole, lost, doubled or out of order. */
static void everything_arrives_whole_and_in_order(void **state)
{
	pthread_t thread;
	struct parcel p;
	ring_init(&ring, SLOTS);
	assert_int_equal(pthread_create(&thread, NULL, produce, NULL), 0);
	for (uint64_t i = 0; i < SENT; i++) {
		while (!parcel_ring_pop(&ring, slots, &p))
			(void)sched_yield();
		assert_int_equal(p.a, i);
		assert_int_equal(p.b, i * 3);
		assert_int_equal(p.c, ~i);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(parcel_ring_pop(&ring, slots, &p));
}

static void it_holds_one_less_than_its_slots(void **state)
{
	struct parcel p = {1, 2, 3};
	ring_init(&ring, SLOTS);
	for (uint32_t round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < SLOTS - 1; i++) {
			assert_int_equal(ring_count(&ring), i);
			assert_true(parcel_ring_push(&ring, slots, &p));
		}
		assert_false(parcel_ring_push(&ring, slots, &p));
		while (parcel_ring_pop(&ring, slots, &p))
			assert_int_equal(p.c, 3);
		assert_int_equal(ring_count(&ring), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_arrives_whole_and_in_order),
		cmocka_unit_test(it_holds_one_less_than_its_slots),
	};
	return cmocka_run_group_tests_name("base/ring", tests, NULL, NULL);
}
