/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_digest.c - the table of digests, crowded and thinned out at random.
 *
 * Catches a removal that leaves a gap in a chain: the messages behind it would
 * be taken over a second time.
 */
#include <time.h>

#include "queue_fixture.h"

#define MESSAGES 20000u

/* Two of 256 parts, so that chains are long and wrap around. */
static uint64_t digest_of(uint64_t seed, uint64_t id)
{
	uint64_t h = (id + seed) * 0x9e3779b97f4a7c15ULL;

	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ULL;
	return h >> 8 | (h & 1) << 56;
}

static void store(struct fixture *f, uint64_t seed, uint64_t id)
{
	struct spool_rcpt_index rcpt = {"a.test", 1};
	struct spool_stored s = {.id = id,
				 .sender_domain = "",
				 .digest = digest_of(seed, id),
				 .rcpt_count = 1,
				 .rcpts = &rcpt};

	assert_int_equal(queue_stored(f->q, &s), 0);
}

static void check(struct fixture *f, uint64_t seed, const bool *there)
{
	for (uint64_t id = 1; id <= MESSAGES; id++) {
		uint64_t found = 0;
		bool has = queue_has_digest(f->q, digest_of(seed, id), &found);

		assert_int_equal(has, there[id]);
		if (has)
			assert_int_equal(found, id);
	}
}

static void digests_are_found_until_their_message_is_gone(void **state)
{
	static bool there[MESSAGES + 1];
	const char *text = getenv("SLUICE_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
	struct fixture *f = fixture_create(1);
	uint64_t random = seed;

	(void)state;
	print_message("SLUICE_TEST_SEED=%llu\n", (unsigned long long)seed);
	for (uint32_t n = 0; n < 6 * MESSAGES; n++) {
		random = random * 6364136223846793005ULL + 1442695040888963407;
		uint64_t id = 1 + (random >> 33) % MESSAGES;
		if (there[id])
			fixture_set(f, SPOOL_SET_PURGED, id, 1, 0);
		else
			store(f, seed, id);
		there[id] = !there[id];
		if (n % MESSAGES == 0)
			check(f, seed, there);
	}
	check(f, seed, there);
	fixture_destroy(f);
}

/* The same content from two senders' queues may carry one digest. */
static void equal_digests_go_one_by_one(void **state)
{
	struct fixture *f = fixture_create(1);
	struct spool_rcpt_index rcpt = {"a.test", 1};
	struct spool_stored s = {.sender_domain = "",
				 .digest = 7,
				 .rcpt_count = 1,
				 .rcpts = &rcpt};
	uint64_t found = 0;

	(void)state;
	for (s.id = 1; s.id <= 3; s.id++)
		assert_int_equal(queue_stored(f->q, &s), 0);
	for (uint64_t id = 1; id <= 3; id++) {
		assert_true(queue_has_digest(f->q, 7, &found));
		assert_true(found >= id);
		fixture_set(f, SPOOL_SET_PURGED, id, 1, 0);
	}
	assert_false(queue_has_digest(f->q, 7, &found));
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_found_until_their_message_is_gone),
		cmocka_unit_test(equal_digests_go_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
