/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_memory.c - what a million messages cost, and that slots are reused.
 *
 * Catches a struct that grew, a table that doubles, a free list that leaks.
 * Resident memory is measured only without a sanitizer: those have their own.
 */
#include <time.h>
#include <unistd.h>

#include "queue_fixture.h"

#define MESSAGES 1000000u
#define DOMAINS  300u

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static char names[DOMAINS][24];
static char senders[50][24];

static uint64_t resident_bytes(void)
{
	unsigned long total = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &total, &resident), 2);
	fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void names_make(void)
{
	for (uint32_t i = 0; i < DOMAINS; i++)
		snprintf(names[i], sizeof(names[i]), "domain%u.test", i);
	for (uint32_t i = 0; i < 50; i++)
		snprintf(senders[i], sizeof(senders[i]), "from%u.test", i);
}

/* Arrival is shuffled, as from the directories of another queue. */
static void fill(struct fixture *f, uint32_t messages, uint32_t rcpts)
{
	const char *domains[64];

	for (uint32_t i = 0; i < messages; i++) {
		uint32_t mixed = i * 2654435761u;
		struct fixture_message m = {
			.arrival_s = f->now_s - mixed % (3 * 86400),
			.content_bytes = 1000 + mixed % 50000,
			.sender = senders[mixed % 50],
			.count = rcpts,
			.domains = domains,
		};
		for (uint32_t r = 0; r < rcpts; r++)
			domains[r] = names[(mixed >> 8) % DOMAINS];
		fixture_store(f, &m);
	}
}

static double bytes_per_message(uint32_t rcpts)
{
	uint64_t before = resident_bytes();
	struct fixture *f = fixture_create(20);
	double resident, counted;

	fill(f, MESSAGES, rcpts);
	resident = (double)(resident_bytes() - before) / MESSAGES;
	counted = (double)queue_memory_bytes(f->q) / MESSAGES;
	print_message("%u recipients: %.1f bytes per message counted, "
		      "%.1f resident\n",
		      rcpts, counted, resident);
	fixture_destroy(f);
	return SANITIZED ? counted : resident > counted ? resident : counted;
}

static void message_with_one_recipient_costs_112_bytes(void **state)
{
	(void)state;
	assert_true(bytes_per_message(1) <= 112.0);
}

static uint64_t counted_bytes(uint32_t rcpts)
{
	struct fixture *f = fixture_create(20);
	uint64_t bytes;

	fill(f, MESSAGES / 5, rcpts);
	bytes = queue_memory_bytes(f->q);
	fixture_destroy(f);
	return bytes;
}

static void further_recipient_costs_32_bytes(void **state)
{
	double each = (double)(counted_bytes(9) - counted_bytes(1)) /
		      (MESSAGES / 5 * 8.0);

	(void)state;
	print_message("%.2f bytes per further recipient\n", each);
	/* the table of chunks counts too: 8 bytes per 4096 recipients */
	assert_true(each <= 32.05);
}

/* Ten times the messages through the same slots: catches any leak. */
static void slots_of_done_messages_are_reused(void **state)
{
	struct fixture *f = fixture_create(20);
	uint64_t first = 0, id = 1;

	(void)state;
	for (uint32_t round = 0; round < 10; round++) {
		for (uint32_t rcpts = 1; rcpts <= 5; rcpts++)
			fill(f, 4000, rcpts);
		for (; id < f->next_id; id++)
			fixture_set(f, SPOOL_SET_PURGED, id, 1, 0);
		if (round == 0)
			first = queue_memory_bytes(f->q);
	}
	assert_int_equal(f->done, 10 * 5 * 4000);
	assert_true(queue_memory_bytes(f->q) <= first + first / 10);
	fixture_destroy(f);
}

/* One in 64 stays for long: catches an index that keeps whole pages. */
static void survivors_do_not_keep_the_index(void **state)
{
	struct fixture *f = fixture_create(20);
	uint64_t per_survivor;

	(void)state;
	fill(f, 100, 1);
	for (uint32_t i = 0; i < 200; i++) {
		fill(f, 1000, 1);
		for (uint64_t id = f->next_id - 1000; id < f->next_id; id++) {
			if (id % 64 != 0)
				fixture_set(f, SPOOL_SET_PURGED, id, 1, 0);
		}
	}
	per_survivor = queue_memory_bytes(f->q) / (200000 / 64);
	print_message("%llu bytes per message when 1 of 64 stays\n",
		      (unsigned long long)per_survivor);
	assert_true(per_survivor < 2000);
	fixture_destroy(f);
}

/* A million in random order, in slices, as a release of a backlog goes. The
 * head is asked for after each slice: catches a sort that walks through all
 * that waits already. */
static void backlog_is_sorted_in_without_long_stalls(void **state)
{
	struct fixture *f = fixture_create(1);
	struct queue_head h;
	double start, longest = 0;
	uint64_t last = 0;
	static struct queue_taken t;

	(void)state;
	snprintf(names[0], sizeof(names[0]), "big.test");
	for (uint32_t i = 1; i < DOMAINS; i++)
		memcpy(names[i], names[0], sizeof(names[0]));
	start = seconds();
	for (uint32_t i = 0; i < MESSAGES / 4000; i++) {
		double before;
		fill(f, 4000, 1);
		before = seconds();
		assert_true(queue_head(f->q, 0, false, &h));
		if (seconds() - before > longest)
			longest = seconds() - before;
	}
	print_message("%.0f ns per stored message, longest stall %.1f ms\n",
		      (seconds() - start) * 1e9 / MESSAGES, longest * 1e3);
	start = seconds();
	for (uint32_t i = 0; i < MESSAGES; i++) {
		assert_int_equal(queue_take(f->q, 0, false, f->now_s, &t), 0);
		assert_true(t.arrival_s >= last);
		last = t.arrival_s;
	}
	print_message("%.0f ns per take\n",
		      (seconds() - start) * 1e9 / MESSAGES);
	names_make();
	fixture_destroy(f);
	assert_true(longest < 1);
}

static int setup(void **state)
{
	(void)state;
	names_make();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_with_one_recipient_costs_112_bytes),
		cmocka_unit_test(further_recipient_costs_32_bytes),
		cmocka_unit_test(slots_of_done_messages_are_reused),
		cmocka_unit_test(survivors_do_not_keep_the_index),
		cmocka_unit_test(backlog_is_sorted_in_without_long_stalls),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
