/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_connection.c - connections that are slow, few, or for others.
 */
#include "release_fixture.h"

static void ready(struct fixture *f, uint32_t source)
{
	f->connections[0][source]++;
	release_connection_ready(f->r, 0, source);
}

static struct fixture *without_connections(uint32_t sources, uint32_t domains)
{
	struct fixture *f = fixture_create();

	fixture_provider(f, 0, per_second(1000), PACE_UNLIMITED, sources);
	for (uint32_t s = 0; s < sources; s++)
		f->connections[0][s] = 0;
	for (uint32_t d = 0; d < domains; d++)
		fixture_domain(f, d, 0, PACE_UNLIMITED, 1000);
	return f;
}

/* Asked once per domain, then silence until something is ready. */
static void waiting_for_a_connection_does_not_spin(void **state)
{
	struct fixture *f = without_connections(4, 50);

	(void)state;
	fixture_run(f, f->now_ns + NS_PER_S / 2);
	assert_int_equal(f->sent_count, 0);
	assert_true(f->offers <= 50);
	fixture_run(f, f->now_ns + 60 * NS_PER_S);
	/* a lost announcement costs a few seconds: it is asked again */
	assert_true(f->offers <= 50 * 4 * 30);
	assert_true(f->offers >= 50 * 10);
	fixture_destroy(f);
}

/* Tokens of the time without a connection are gone. */
static void no_burst_after_a_slow_connect(void **state)
{
	struct fixture *f = without_connections(1, 10);

	(void)state;
	fixture_run(f, f->now_ns + 900 * NS_PER_MS);
	f->connections[0][0] = UINT32_MAX - 20;
	for (uint32_t i = 0; i < 10; i++)
		release_connection_ready(f->r, 0, 0);
	fixture_run(f, f->now_ns + 10 * NS_PER_MS);
	assert_in_range(f->sent_count, 9, 11);
	fixture_destroy(f);
}

/* Each ready connection is used at once, and by one message. */
static void every_ready_connection_carries_a_message(void **state)
{
	struct fixture *f = without_connections(2, 50);

	(void)state;
	fixture_step(f);
	for (uint32_t i = 1; i <= 200; i++) {
		ready(f, i % 2);
		f->now_ns += 10 * NS_PER_MS;
		fixture_step(f);
		assert_int_equal(f->sent_count, i);
	}
	/* work per ready connection does not grow with those who wait */
	assert_true(f->offers < 200 * 12);
	/* and the turn is everybody's */
	for (uint32_t d = 0; d < 50; d++)
		assert_in_range(f->domains[d].taken, 2, 7);
	fixture_destroy(f);
}

/* Domains with hosts of their own: what is ready fits only one of them. */
static uint32_t only_domain;

static enum release_sent picky_send(void *user, uint32_t provider,
				    uint32_t source, uint32_t domain, bool live,
				    uint32_t batch)
{
	struct fixture *f = user;

	if (domain != only_domain) {
		f->offers++;
		return RELEASE_NO_CONNECTION;
	}
	return fixture_send(user, provider, source, domain, live, batch);
}

static void connection_finds_the_domain_it_is_for(void **state)
{
	const struct release_limits limits = {1, 4, 64};
	const struct release_ops ops = {fixture_head, picky_send, NULL, NULL};
	struct fixture *f = fixture_create();

	(void)state;
	release_destroy(&f->r);
	f->r = release_create(&limits, &ops, f, f->now_ns);
	fixture_provider(f, 0, PACE_UNLIMITED, PACE_UNLIMITED, 1);
	only_domain = RELEASE_NONE;
	for (uint32_t d = 0; d < 6; d++)
		fixture_domain(f, d, 0, PACE_UNLIMITED, 1);
	fixture_run(f, f->now_ns + 2 * NS_PER_S);
	assert_int_equal(f->sent_count, 0);
	only_domain = 4;
	release_connection_ready(f->r, 0, 0);
	fixture_step(f);
	assert_int_equal(f->sent_count, 1);
	fixture_destroy(f);
}

/* Its own source is connecting: the sender waits a moment, not forever. */
static void sender_waits_a_moment_for_its_own_source(void **state)
{
	struct fixture *f = without_connections(2, 1);
	uint32_t own, other;

	(void)state;
	f->domains[0].sender = 4711;
	f->connections[0][0] = f->connections[0][1] = UINT32_MAX;
	fixture_step(f);
	own = f->sent[0].source;
	other = 1 - own;
	f->connections[0][own] = 0;
	f->sent_count = 0;
	fixture_run(f, f->now_ns + 900 * NS_PER_MS);
	assert_int_equal(f->sent_count, 0);
	fixture_run(f, f->now_ns + NS_PER_S);
	assert_true(f->sent_count > 500);
	assert_int_equal(f->sent[0].source, other);
	ready(f, own);
	f->sent_count = 0;
	fixture_step(f);
	f->now_ns += 10 * NS_PER_MS;
	fixture_step(f);
	assert_int_equal(f->sent[0].source, own);
	fixture_destroy(f);
}

/* One sender, all connections of its source busy: the pool helps out. */
static void busy_source_passes_to_the_next(void **state)
{
	struct fixture *f = without_connections(5, 1);

	(void)state;
	f->keep = true;
	f->domains[0].sender = 4711;
	for (uint32_t s = 0; s < 5; s++)
		f->connections[0][s] = 10;
	fixture_run(f, f->now_ns + 5 * NS_PER_S);
	assert_int_equal(f->sent_count, 50);
	fixture_destroy(f);
}

/* A head whose source is stopped is set aside; the others go on. */
static void pinned_head_does_not_block_its_domain(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	fixture_provider(f, 0, PACE_UNLIMITED, per_second(10), 3);
	release_block(f->r, 0, 1, 60 * NS_PER_S, false, "test", f->now_ns);
	f->domains[0].pinned = 1;
	fixture_domain(f, 0, 0, PACE_UNLIMITED, 100);
	fixture_run(f, f->now_ns + 20 * NS_PER_S);
	assert_int_equal(f->skipped, 1);
	assert_int_equal(f->domains[0].parked, 1);
	assert_int_equal(f->sent_count, 99);
	assert_int_equal(f->unparks, 0);
	fixture_run(f, f->now_ns + 45 * NS_PER_S);
	assert_int_equal(f->unparks, 1);
	fixture_destroy(f);
}

static void pinned_head_goes_by_its_source(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	fixture_provider(f, 0, PACE_UNLIMITED, per_second(2), 8);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	for (uint32_t i = 0; i < 20; i++) {
		uint32_t from = f->sent_count;
		f->domains[0].pinned = i % 8;
		fixture_run(f, f->now_ns + 600 * NS_PER_MS);
		assert_true(f->sent_count > from);
		assert_int_equal(f->sent[from].source, i % 8);
	}
	assert_int_equal(f->skipped, 0);
	fixture_destroy(f);
}

/* A count that was too high is believed only until head() says no. */
static void stale_count_does_not_spin(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	fixture_provider(f, 0, PACE_UNLIMITED, PACE_UNLIMITED, 1);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, 0);
	release_domain_waiting(f->r, 0, false, 5, f->now_ns);
	assert_false(release_step(f->r, f->now_ns, 100));
	assert_int_equal(f->offers, 0);
	assert_true(release_next_ns(f->r) == CLOCK_NEVER_NS);
	fixture_destroy(f);
}

/* A reload that takes a source away and gives another. */
static void pool_may_change(void **state)
{
	static struct release_provider_config c;
	struct fixture *f = fixture_create();
	uint32_t from;

	(void)state;
	fixture_provider(f, 0, per_second(10), PACE_UNLIMITED, 2);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_run(f, f->now_ns + 5 * NS_PER_S);
	c = (struct release_provider_config){.pace_max = per_second(10),
					     .pace_per_source = PACE_UNLIMITED,
					     .pace_start = PACE_UNLIMITED,
					     .batch_interval_ns = NS_PER_S,
					     .source_count = 2,
					     .sources = {1, 40}};
	assert_int_equal(release_provider_set(f->r, 0, &c, f->now_ns), 0);
	from = f->sent_count;
	fixture_run(f, f->now_ns + 60 * NS_PER_S);
	assert_in_range(f->sent_count - from, 598, 602);
	for (uint32_t i = from; i < f->sent_count; i++)
		assert_true(f->sent[i].source == 1 || f->sent[i].source == 40);
	assert_int_equal(fixture_status(f, 0, 0).state, PATH_CLOSED);
	c.sources[0] = SOURCES_MAX;
	assert_int_equal(release_provider_set(f->r, 0, &c, f->now_ns), -22);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_for_a_connection_does_not_spin),
		cmocka_unit_test(no_burst_after_a_slow_connect),
		cmocka_unit_test(every_ready_connection_carries_a_message),
		cmocka_unit_test(connection_finds_the_domain_it_is_for),
		cmocka_unit_test(sender_waits_a_moment_for_its_own_source),
		cmocka_unit_test(busy_source_passes_to_the_next),
		cmocka_unit_test(pinned_head_does_not_block_its_domain),
		cmocka_unit_test(pinned_head_goes_by_its_source),
		cmocka_unit_test(stale_count_does_not_spin),
		cmocka_unit_test(pool_may_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
