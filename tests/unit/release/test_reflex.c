/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_reflex.c - stops, waits, probes, and slowing down.
 */
#include "release_fixture.h"

#define MIN_NS (60 * NS_PER_S)

static struct fixture *busy(uint32_t sources)
{
	struct fixture *f = fixture_create();

	fixture_provider(f, 0, PACE_UNLIMITED, per_second(1), sources);
	for (uint32_t d = 0; d < 4; d++)
		fixture_domain(f, d, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_run(f, f->now_ns + 10 * NS_PER_S);
	assert_true(f->sent_count > 0);
	return f;
}

static void block(struct fixture *f, uint32_t provider, uint32_t source,
		  uint64_t wait_ns, bool from_last)
{
	release_block(f->r, provider, source, wait_ns, from_last, "blocked",
		      f->now_ns);
}

/* Sent by source `s` since message number `from`. */
static uint32_t sent_by(const struct fixture *f, uint32_t s, uint32_t from)
{
	uint32_t n = 0;

	for (uint32_t i = from; i < f->sent_count; i++)
		n += f->sent[i].source == s;
	return n;
}

/* 5 min, 10, 20 ... 24 h: each probe is refused. */
static void wait_doubles_from_five_minutes_to_a_day(void **state)
{
	struct fixture *f = busy(1);
	uint64_t wait_ns = 5 * MIN_NS;

	(void)state;
	f->keep = true;
	block(f, 0, 0, 0, false);
	for (uint32_t i = 0; i < 12; i++) {
		uint32_t from = f->sent_count;
		struct release_path_status st = fixture_status(f, 0, 0);

		assert_int_equal(st.state, PATH_STOPPED);
		assert_int_equal(st.blocks_in_a_row, i + 1);
		assert_int_equal(st.not_before_ns - f->now_ns, wait_ns);
		assert_string_equal(st.reason, "blocked");
		fixture_run(f, f->now_ns + wait_ns - 1);
		assert_int_equal(f->sent_count, from);
		fixture_run(f, f->now_ns + MIN_NS);
		assert_int_equal(f->sent_count, from + 1);
		assert_int_equal(fixture_status(f, 0, 0).state, PATH_PROBING);
		block(f, 0, 0, 0, false);
		fixture_done(f, from, false);
		wait_ns = wait_ns * 2 > 1440 * MIN_NS ? 1440 * MIN_NS
						      : wait_ns * 2;
	}
	fixture_destroy(f);
}

/* Ten refusals of mail under way are one block. */
static void late_refusals_do_not_double_the_wait(void **state)
{
	struct fixture *f = busy(1);

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		block(f, 0, 0, 0, false);
		fixture_run(f, f->now_ns + NS_PER_S);
	}
	assert_int_equal(fixture_status(f, 0, 0).blocks_in_a_row, 1);
	assert_int_equal(fixture_status(f, 0, 0).not_before_ns,
			 f->now_ns - 10 * NS_PER_S + 5 * MIN_NS);
	fixture_destroy(f);
}

static void from_last_restarts_the_wait(void **state)
{
	struct fixture *f = busy(1);

	(void)state;
	block(f, 0, 0, 30 * MIN_NS, true);
	fixture_run(f, f->now_ns + 29 * MIN_NS);
	block(f, 0, 0, 30 * MIN_NS, true);
	assert_int_equal(fixture_status(f, 0, 0).not_before_ns,
			 f->now_ns + 30 * MIN_NS);
	block(f, 0, 0, 0, true);
	fixture_run(f, f->now_ns + 30 * MIN_NS - 1);
	assert_int_equal(fixture_status(f, 0, 0).state, PATH_STOPPED);
	fixture_destroy(f);
}

/* ONE message under way until judged, and its own batch. */
static void probing_sends_exactly_one_message_at_a_time(void **state)
{
	struct fixture *f = busy(1);
	uint32_t from;

	(void)state;
	f->keep = true;
	block(f, 0, 0, MIN_NS, false);
	from = f->sent_count;
	fixture_run(f, f->now_ns + 3600 * NS_PER_S);
	assert_int_equal(f->sent_count, from + 1);
	/* an answer to older mail is no answer to the probe */
	release_done(f->r, 0, 0, f->sent[0].batch, true, f->now_ns);
	fixture_run(f, f->now_ns + 3600 * NS_PER_S);
	assert_int_equal(f->sent_count, from + 1);
	assert_int_equal(fixture_status(f, 0, 0).state, PATH_PROBING);
	fixture_done(f, from, true);
	assert_int_equal(fixture_status(f, 0, 0).state, PATH_OPEN);
	fixture_run(f, f->now_ns + 60 * NS_PER_S);
	assert_in_range(f->sent_count, from + 29, from + 32);
	fixture_destroy(f);
}

/* No such user says nothing of the path: another probe, but not forever. */
static void probes_that_prove_nothing_are_repeated_five_times(void **state)
{
	struct fixture *f = busy(1);
	uint32_t from = 0;

	(void)state;
	f->keep = true;
	block(f, 0, 0, MIN_NS, false);
	fixture_run(f, f->now_ns + MIN_NS);
	for (uint32_t i = 0; i < 5; i++) {
		fixture_run(f, f->now_ns + 10 * NS_PER_S);
		assert_int_equal(fixture_status(f, 0, 0).state, PATH_PROBING);
		from = f->sent_count - 1;
		fixture_done(f, from, false);
	}
	assert_int_equal(fixture_status(f, 0, 0).state, PATH_STOPPED);
	assert_int_equal(fixture_status(f, 0, 0).not_before_ns - f->now_ns,
			 10 * MIN_NS);
	fixture_destroy(f);
}

/* The row ends with an accepted batch after the probe, not with the probe. */
static void row_of_blocks_ends_with_a_clean_batch(void **state)
{
	struct fixture *f = busy(1);

	(void)state;
	block(f, 0, 0, 0, false);
	fixture_run(f, f->now_ns + 5 * MIN_NS);
	assert_int_equal(fixture_status(f, 0, 0).state, PATH_OPEN);
	assert_int_equal(fixture_status(f, 0, 0).blocks_in_a_row, 1);
	fixture_run(f, f->now_ns + 5 * NS_PER_S);
	assert_int_equal(fixture_status(f, 0, 0).blocks_in_a_row, 0);
	fixture_destroy(f);
}

static void other_sources_go_on_when_one_is_blocked(void **state)
{
	struct fixture *f = busy(4);
	uint32_t from = f->sent_count;

	(void)state;
	block(f, 0, 2, 0, false);
	fixture_run(f, f->now_ns + 4 * MIN_NS);
	assert_int_equal(sent_by(f, 2, from), 0);
	for (uint32_t s = 0; s < 4; s++) {
		if (s != 2)
			assert_in_range(sent_by(f, s, from), 238, 242);
	}
	fixture_destroy(f);
}

/* One scout for the whole provider; its refusal stops all again. */
static void blocked_provider_sends_one_scout(void **state)
{
	struct fixture *f = busy(4);
	uint32_t from = f->sent_count, source;

	(void)state;
	f->keep = true;
	block(f, 0, RELEASE_NONE, 0, false);
	for (uint32_t s = 0; s < 4; s++)
		assert_int_equal(fixture_status(f, 0, s).state, PATH_STOPPED);
	fixture_run(f, f->now_ns + 10 * MIN_NS);
	assert_int_equal(f->sent_count, from + 1);
	source = f->sent[from].source;
	block(f, 0, source, 0, false);
	fixture_done(f, from, false);
	fixture_run(f, f->now_ns + 9 * MIN_NS);
	assert_int_equal(f->sent_count, from + 1);
	fixture_run(f, f->now_ns + 2 * MIN_NS);
	assert_int_equal(f->sent_count, from + 2);
	fixture_done(f, from + 1, true);
	f->keep = false;
	fixture_run(f, f->now_ns + MIN_NS);
	assert_true(f->sent_count > from + 60);
	fixture_destroy(f);
}

/* At every provider, also at one that is only met later. */
static void blocked_source_stops_at_all_providers(void **state)
{
	struct fixture *f = busy(2);

	(void)state;
	fixture_provider(f, 1, PACE_UNLIMITED, per_second(1), 2);
	block(f, RELEASE_NONE, 1, 60 * MIN_NS, false);
	fixture_provider(f, 2, PACE_UNLIMITED, per_second(1), 2);
	for (uint32_t p = 0; p < 3; p++) {
		assert_int_equal(fixture_status(f, p, 0).state, PATH_OPEN);
		assert_int_equal(fixture_status(f, p, 1).state, PATH_STOPPED);
		assert_int_equal(fixture_status(f, p, 1).not_before_ns,
				 f->now_ns + 60 * MIN_NS);
	}
	fixture_destroy(f);
}

/* A batch is one loss event, however many replies; so is what was sent before
 * the last easing. */
static void pace_is_halved_once_per_batch(void **state)
{
	struct fixture *f = busy(1);
	uint32_t batch = fixture_status(f, 0, 0).batch;

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		release_ease(f->r, 0, 0, batch, 0, "slower", f->now_ns);
	if (batch > 1)
		release_ease(f->r, 0, 0, batch - 1, 0, "slower", f->now_ns);
	assert_true(pace_equal(fixture_status(f, 0, 0).pace,
			       (struct pace){1, 2 * NS_PER_S}));
	fixture_run(f, f->now_ns + 10 * NS_PER_S);
	assert_int_equal(fixture_status(f, 0, 0).batch, batch + 1);
	release_ease(f->r, 0, 0, batch + 1, 0, "slower", f->now_ns);
	assert_true(pace_equal(fixture_status(f, 0, 0).pace,
			       (struct pace){1, 4 * NS_PER_S}));
	fixture_destroy(f);
}

static void eased_pace_never_becomes_nothing(void **state)
{
	struct fixture *f = busy(1);

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		release_ease(f->r, 0, 0, fixture_status(f, 0, 0).batch, 0,
			     "slower", f->now_ns);
		fixture_run(f, f->now_ns + 30 * MIN_NS);
	}
	assert_true(pace_equal(fixture_status(f, 0, 0).pace,
			       (struct pace){1, 10 * MIN_NS}));
	fixture_destroy(f);
}

/* There is no rate to halve: the observed one is. */
static void unlimited_path_is_eased_to_half_of_what_it_did(void **state)
{
	struct fixture *f = fixture_create();
	double per_s;

	(void)state;
	fixture_provider(f, 0, per_second(8), PACE_UNLIMITED, 1);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_run(f, f->now_ns + 10 * NS_PER_S);
	release_ease(f->r, 0, 0, fixture_status(f, 0, 0).batch, 0, "slower",
		     f->now_ns);
	per_s = pace_per_second(fixture_status(f, 0, 0).pace);
	assert_true(per_s > 3.5 && per_s < 4.5);
	fixture_destroy(f);
}

static void told_wait_is_honoured(void **state)
{
	struct fixture *f = busy(2);
	uint32_t from = f->sent_count;

	(void)state;
	release_ease(f->r, 0, 1, fixture_status(f, 0, 1).batch, 7 * MIN_NS,
		     "slower", f->now_ns);
	assert_int_equal(fixture_status(f, 0, 1).not_before_ns,
			 f->now_ns + 7 * MIN_NS);
	fixture_run(f, f->now_ns + 7 * MIN_NS - 1);
	assert_int_equal(sent_by(f, 1, from), 0);
	fixture_run(f, f->now_ns + 10 * NS_PER_S);
	assert_in_range(sent_by(f, 1, from), 5, 6);
	fixture_destroy(f);
}

/* Control judges its own canaries: nothing after the budget. */
static void granted_probing_sends_its_budget_and_waits(void **state)
{
	struct fixture *f = busy(1);
	uint32_t from = f->sent_count;

	(void)state;
	release_grant(f->r, 0, 0, PATH_PROBING, per_second(1), 5, 0, "canary",
		      f->now_ns);
	fixture_run(f, f->now_ns + 3600 * NS_PER_S);
	assert_int_equal(f->sent_count, from + 5);
	for (uint32_t i = from; i < f->sent_count; i++)
		assert_int_equal(f->sent[i].batch, f->sent[from].batch);
	release_grant(f->r, 0, 0, PATH_OPEN, per_second(2), 0, 0, "clean",
		      f->now_ns);
	fixture_run(f, f->now_ns + 10 * NS_PER_S);
	/* the source's own cap of 1/s stands below the grant */
	assert_in_range(f->sent_count, from + 15, from + 16);
	fixture_destroy(f);
}

static void granted_stop_lasts_until_its_time_or_a_grant(void **state)
{
	struct fixture *f = busy(1);
	uint32_t from = f->sent_count;

	(void)state;
	release_grant(f->r, 0, 0, PATH_STOPPED, per_second(1), 0, 0, "stop",
		      f->now_ns);
	fixture_run(f, f->now_ns + 90000 * NS_PER_S);
	assert_int_equal(f->sent_count, from);
	release_grant(f->r, 0, 0, PATH_STOPPED, per_second(1), 0,
		      f->now_ns + MIN_NS, "stop", f->now_ns);
	fixture_run(f, f->now_ns + MIN_NS);
	assert_int_equal(f->sent_count, from + 1);
	assert_string_equal(path_state_name(PATH_PROBING), "probing");
	fixture_destroy(f);
}

/* Without a grant a path starts at pace.start and never rises. */
static void path_starts_at_its_start_pace(void **state)
{
	static struct release_provider_config c;
	struct fixture *f = fixture_create();

	(void)state;
	c = (struct release_provider_config){.pace_max = per_second(100),
					     .pace_per_source = per_second(50),
					     .pace_start = per_second(2),
					     .batch_interval_ns = MIN_NS,
					     .batch_max = 100,
					     .source_count = 1};
	assert_int_equal(release_provider_set(f->r, 0, &c, f->now_ns), 0);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_run(f, f->now_ns + 600 * NS_PER_S);
	assert_in_range(f->sent_count, 1199, 1202);
	fixture_destroy(f);
}

/* Numbers nobody knows, and answers nobody waits for. */
static void unknown_numbers_are_ignored(void **state)
{
	struct fixture *f = busy(1);
	struct release_path_status st;

	(void)state;
	block(f, 7, 0, 0, false);
	block(f, 0, 63, 0, false);
	block(f, RELEASE_NONE, 9999, 0, false);
	release_done(f->r, 0, 0, 1, true, f->now_ns);
	release_done(f->r, 7, 9, 1, true, f->now_ns);
	release_connection_ready(f->r, 99, 99);
	release_domain_waiting(f->r, 1000, false, 5, f->now_ns);
	release_domain_waiting(f->r, 999999, false, 5, f->now_ns);
	assert_int_equal(release_path_status(f->r, 7, 0, &st), -2);
	assert_int_equal(fixture_status(f, 0, 0).state, PATH_OPEN);
	assert_int_equal(fixture_status(f, 0, 0).in_flight, 0);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wait_doubles_from_five_minutes_to_a_day),
		cmocka_unit_test(late_refusals_do_not_double_the_wait),
		cmocka_unit_test(from_last_restarts_the_wait),
		cmocka_unit_test(probing_sends_exactly_one_message_at_a_time),
		cmocka_unit_test(
			probes_that_prove_nothing_are_repeated_five_times),
		cmocka_unit_test(row_of_blocks_ends_with_a_clean_batch),
		cmocka_unit_test(other_sources_go_on_when_one_is_blocked),
		cmocka_unit_test(blocked_provider_sends_one_scout),
		cmocka_unit_test(blocked_source_stops_at_all_providers),
		cmocka_unit_test(pace_is_halved_once_per_batch),
		cmocka_unit_test(eased_pace_never_becomes_nothing),
		cmocka_unit_test(
			unlimited_path_is_eased_to_half_of_what_it_did),
		cmocka_unit_test(told_wait_is_honoured),
		cmocka_unit_test(granted_probing_sends_its_budget_and_waits),
		cmocka_unit_test(granted_stop_lasts_until_its_time_or_a_grant),
		cmocka_unit_test(path_starts_at_its_start_pace),
		cmocka_unit_test(unknown_numbers_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
