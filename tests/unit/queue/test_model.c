/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_model.c - the queue against a naive array, under random operations.
 *
 * Catches whatever the other tests did not think of: a count that drifts, a
 * recipient lost between lists, a head out of order, a hold that forgets one.
 * The seed is printed; SLUICE_TEST_SEED repeats a run.
 */
#include <time.h>

#include "model_check.h"

#define ROUNDS 6000

static void run(uint64_t seed)
{
	static void (*const ops[])(struct model *) = {
		op_store,   op_store,   op_store,    op_take,    op_take,
		op_take,    op_take,    op_take,     op_outcome, op_outcome,
		op_outcome, op_outcome, op_put_back, op_set,     op_time};
	static void (*const rare[])(struct model *) = {
		op_hold, op_provider, op_order, op_park, op_unpark};
	static struct model w;

	w = (struct model){.seed = seed};
	w.f = fixture_create(PROVIDERS);
	w.hold_next = 1;
	for (uint32_t d = 0; d < DOMAINS; d++)
		w.provider[d] = QUEUE_NONE;
	for (uint32_t n = 0; n < ROUNDS; n++) {
		if (rnd(&w, 12) == 0)
			rare[rnd(&w, sizeof(rare) / sizeof(*rare))](&w);
		else
			ops[rnd(&w, sizeof(ops) / sizeof(*ops))](&w);
		if (n % 10 == 0)
			check_all(&w);
	}
	check_all(&w);
	fixture_destroy(w.f);
}

static uint64_t seed_of_run(void)
{
	const char *text = getenv("SLUICE_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	print_message("SLUICE_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static void queue_agrees_with_a_naive_array(void **state)
{
	uint64_t seed = seed_of_run();

	(void)state;
	for (uint64_t i = 0; i < 8; i++)
		run(seed * 8 + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_agrees_with_a_naive_array),

	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
