/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_fair.c - nobody starves, and a sender keeps its source.
 */
#include "release_fixture.h"

/* The small ones are through before the big one has sent twice their share. */
static void big_domain_does_not_starve_small_ones(void **state)
{
	struct fixture *f = fixture_create();
	uint32_t before_small_done = 0, small = 0;

	(void)state;
	fixture_provider(f, 0, per_second(100), PACE_UNLIMITED, 4);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, 100000);
	for (uint32_t d = 1; d <= 300; d++)
		fixture_domain(f, d, 0, PACE_UNLIMITED, 10);
	fixture_run(f, f->now_ns + 120 * NS_PER_S);
	for (uint32_t i = 0; i < f->sent_count && small < 3000; i++) {
		small += f->sent[i].domain != 0;
		before_small_done += f->sent[i].domain == 0;
	}
	assert_int_equal(small, 3000);
	assert_in_range(before_small_done, 9, 11);
	fixture_destroy(f);
}

/* Also when the domain's own pace and a stopped domain are in the ring. */
static void capped_and_held_domains_cost_the_others_nothing(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	fixture_provider(f, 0, per_second(100), PACE_UNLIMITED, 4);
	for (uint32_t d = 0; d < 10; d++)
		fixture_domain(f, d, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_domain(f, 10, 0, per_second(1), UINT32_MAX);
	release_domain_hold(f->r, 9, true);
	fixture_run(f, f->now_ns + 100 * NS_PER_S);
	assert_in_range(f->sent_count, 9999, 10002);
	/* its token may wait 100 ms for its turn, of which 50 are made up */
	assert_in_range(f->domains[10].taken, 94, 101);
	assert_int_equal(f->domains[9].taken, 0);
	for (uint32_t d = 0; d < 9; d++)
		assert_in_range(f->domains[d].taken, 1095, 1105);
	fixture_destroy(f);
}

/* 20 recipients a message against one: equal in recipients, not messages. */
static bool wide_head(void *user, uint32_t domain, bool live,
		      struct release_head *out)
{
	bool there = fixture_head(user, domain, live, out);

	out->recipients = domain == 0 ? 20 : 1;
	return there;
}

static void counting_recipients_shares_recipients(void **state)
{
	static struct release_provider_config c;
	const struct release_limits limits = {2, 2, 16};
	const struct release_ops ops = {wide_head, fixture_send, NULL, NULL};
	struct fixture *f = fixture_create();

	(void)state;
	release_destroy(&f->r);
	f->r = release_create(&limits, &ops, f, f->now_ns);
	c = (struct release_provider_config){.pace_max = per_second(100),
					     .pace_per_source = PACE_UNLIMITED,
					     .pace_start = PACE_UNLIMITED,
					     .batch_interval_ns = 60 * NS_PER_S,
					     .batch_max = 100,
					     .count_recipients = true,
					     .source_count = 1};
	assert_int_equal(release_provider_set(f->r, 0, &c, f->now_ns), 0);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_domain(f, 1, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_run(f, f->now_ns + 200 * NS_PER_S);
	assert_in_range(f->domains[0].taken * 20 + f->domains[1].taken, 19900,
			20100);
	assert_in_range(f->domains[1].taken, 9800, 10200);
	fixture_destroy(f);
}

/* Providers that are all unlimited take turns within one step's budget. */
static void unlimited_providers_share_a_step(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	for (uint32_t p = 0; p < 4; p++) {
		fixture_provider(f, p, PACE_UNLIMITED, PACE_UNLIMITED, 2);
		fixture_domain(f, p, p, PACE_UNLIMITED, UINT32_MAX);
	}
	assert_true(release_step(f->r, f->now_ns, 400));
	for (uint32_t p = 0; p < 4; p++)
		assert_in_range(f->domains[p].taken, 84, 116);
	fixture_destroy(f);
}

/* Which source a sender goes by; one message each. */
static void senders_to_sources(struct fixture *f, uint8_t *source_of,
			       uint32_t senders)
{
	for (uint32_t i = 0; i < senders; i++) {
		f->domains[0].sender = 77777 + i * 31ULL;
		f->domains[0].waiting = 1;
		release_domain_waiting(f->r, 0, false, 1, f->now_ns);
		fixture_step(f);
		source_of[i] = (uint8_t)f->sent[f->sent_count - 1].source;
	}
}

/* Catches a modulus: closing one path may move only its own senders. */
static void closing_a_path_moves_only_its_share(void **state)
{
	enum { SENDERS = 5000, SOURCES = 10 };
	static uint8_t before[SENDERS], again[SENDERS], after[SENDERS];
	struct fixture *f = fixture_create();
	uint32_t share[SOURCES] = {0}, moved_to[SOURCES] = {0};

	(void)state;
	fixture_provider(f, 0, PACE_UNLIMITED, PACE_UNLIMITED, SOURCES);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, 0);
	senders_to_sources(f, before, SENDERS);
	senders_to_sources(f, again, SENDERS);
	assert_memory_equal(before, again, SENDERS);
	release_grant(f->r, 0, 3, PATH_CLOSED, PACE_UNLIMITED, 0, 0, "test",
		      f->now_ns);
	senders_to_sources(f, after, SENDERS);
	for (uint32_t i = 0; i < SENDERS; i++) {
		share[before[i]]++;
		if (before[i] != 3)
			assert_int_equal(after[i], before[i]);
		else
			moved_to[after[i]]++;
	}
	for (uint32_t s = 0; s < SOURCES; s++) {
		assert_in_range(share[s], 400, 600);
		if (s != 3)
			assert_in_range(moved_to[s], 20, 100);
	}
	assert_int_equal(moved_to[3], 0);
	fixture_destroy(f);
}

/* The hash of the provider's name decides, not the number it got. */
static void sender_keeps_its_source_when_providers_are_renumbered(void **state)
{
	static struct release_provider_config c;
	static uint8_t first[500], second[500];
	struct fixture *f = fixture_create();

	(void)state;
	c = (struct release_provider_config){.pace_max = PACE_UNLIMITED,
					     .pace_per_source = PACE_UNLIMITED,
					     .pace_start = PACE_UNLIMITED,
					     .source_count = 7,
					     .hash = 123456789};
	for (uint32_t i = 0; i < 7; i++)
		c.sources[i] = i;
	assert_int_equal(release_provider_set(f->r, 0, &c, f->now_ns), 0);
	assert_int_equal(release_provider_set(f->r, 5, &c, f->now_ns), 0);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, 0);
	senders_to_sources(f, first, 500);
	fixture_domain(f, 0, 5, PACE_UNLIMITED, 0);
	senders_to_sources(f, second, 500);
	assert_memory_equal(first, second, 500);
	fixture_destroy(f);
}

/* A domain changes its provider while mail waits and a hold is on. */
static void domain_may_move_to_another_provider(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	fixture_provider(f, 0, per_second(10), PACE_UNLIMITED, 2);
	fixture_provider(f, 1, per_second(20), PACE_UNLIMITED, 2);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_run(f, f->now_ns + 10 * NS_PER_S);
	assert_in_range(f->sent_count, 99, 102);
	release_provider_hold(f->r, 0, true);
	assert_int_equal(
		release_domain_set(f->r, 0, 1, PACE_UNLIMITED, f->now_ns), 0);
	fixture_run(f, f->now_ns + 10 * NS_PER_S);
	assert_in_range(f->sent_count, 299, 304);
	assert_int_equal(f->sent[f->sent_count - 1].provider, 1);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(big_domain_does_not_starve_small_ones),
		cmocka_unit_test(
			capped_and_held_domains_cost_the_others_nothing),
		cmocka_unit_test(counting_recipients_shares_recipients),
		cmocka_unit_test(unlimited_providers_share_a_step),
		cmocka_unit_test(closing_a_path_moves_only_its_share),
		cmocka_unit_test(
			sender_keeps_its_source_when_providers_are_renumbered),
		cmocka_unit_test(domain_may_move_to_another_provider),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
