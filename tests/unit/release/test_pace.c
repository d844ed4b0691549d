/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_pace.c - never faster than granted, never slower than it could be.
 */
#include "release_fixture.h"

#define LAG_NS (50 * NS_PER_MS)
#define ANY    UINT32_MAX

static bool is_of(const struct sent *s, uint32_t source, uint32_t domain)
{
	return (source == ANY || s->source == source) &&
	       (domain == ANY || s->domain == domain);
}

/* Over no stretch of time more than pace x (stretch + lag) + 1: each message
 * against the one `k` before it, which is the shortest stretch that holds
 * k + 1 of them. */
static void assert_never_faster(const struct fixture *f, struct pace p,
				uint32_t source, uint32_t domain)
{
	static uint64_t at_ns[SENT_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->sent_count; i++) {
		if (is_of(&f->sent[i], source, domain))
			at_ns[n++] = f->sent[i].now_ns;
	}
	for (uint32_t k = 1; k < n; k = k < 20 ? k + 1 : k * 3 / 2) {
		for (uint32_t i = k; i < n; i++) {
			uint64_t span_ns = at_ns[i] - at_ns[i - k] + LAG_NS;
			assert_true(k <= pace_count_in(p, span_ns) + 1);
		}
	}
}

static void assert_close(uint64_t sent, struct pace p, uint64_t span_ns)
{
	uint64_t expected = pace_count_in(p, span_ns);

	if (sent + 1 < expected || sent > expected + 2)
		fail_msg("%llu sent, %llu expected", (unsigned long long)sent,
			 (unsigned long long)expected);
}

/* Integer credit with its fraction: hours later still within one message. */
static void count_is_within_one_message_of_rate_times_time(void **state)
{
	static const struct pace paces[] = {
		{1, 10 * NS_PER_S}, {7, 60 * NS_PER_S}, {1, NS_PER_S},
		{3, NS_PER_S},      {17, NS_PER_S},     {100, NS_PER_S},
		{333, NS_PER_S},    {1000, NS_PER_S},   {1000, 7 * NS_PER_S}};

	(void)state;
	for (uint32_t i = 0; i < sizeof(paces) / sizeof(*paces); i++) {
		bool fast = pace_compare(paces[i], per_second(200)) > 0;
		uint64_t span_ns = (fast ? 1 : 8) * 1200 * NS_PER_S;
		struct fixture *f = fixture_create();
		uint64_t from_ns = f->now_ns;

		f->jitter_ns = 20 * NS_PER_MS;
		fixture_provider(f, 0, paces[i], PACE_UNLIMITED, 3);
		fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
		fixture_domain(f, 1, 0, PACE_UNLIMITED, UINT32_MAX);
		fixture_run(f, from_ns + span_ns);
		assert_close(f->sent_count, paces[i], span_ns);
		assert_never_faster(f, paces[i], ANY, ANY);
		fixture_destroy(f);
	}
}

/* Twelve hours at a slow pace: the sum of all roundings. */
static void slow_pace_holds_for_twelve_hours(void **state)
{
	struct pace p = {7, 60 * NS_PER_S};
	struct fixture *f = fixture_create();
	uint64_t span_ns = 12 * 3600 * NS_PER_S;

	(void)state;
	f->jitter_ns = 30 * NS_PER_MS;
	fixture_provider(f, 0, p, PACE_UNLIMITED, 1);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_run(f, f->now_ns + span_ns);
	assert_close(f->sent_count, p, span_ns);
	fixture_destroy(f);
}

/* The domain alone limits: its rate must not suffer from late loops. */
static void domain_cap_is_used_in_full(void **state)
{
	struct fixture *f = fixture_create();
	uint64_t span_ns = 1800 * NS_PER_S;

	(void)state;
	f->jitter_ns = 15 * NS_PER_MS;
	fixture_provider(f, 0, PACE_UNLIMITED, per_second(5), 1);
	fixture_domain(f, 0, 0, per_second(5), UINT32_MAX);
	fixture_run(f, f->now_ns + span_ns);
	assert_close(f->sent_count, per_second(5), span_ns);
	fixture_destroy(f);
}

/* Of one domain, from one of its messages to any later one: the count is
 * within one message of rate x time. What was due early may have waited. */
static void assert_within_one(const struct fixture *f, struct pace p,
			      uint32_t domain, uint64_t late_ns)
{
	static uint64_t at_ns[SENT_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->sent_count; i++) {
		if (is_of(&f->sent[i], ANY, domain))
			at_ns[n++] = f->sent[i].now_ns;
	}
	assert_true(n > 10);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 1; k < n - i; k = k < 9 ? k + 1 : k * 2) {
			uint64_t span_ns = at_ns[i + k] - at_ns[i];
			assert_true(k <=
				    pace_count_in(p, span_ns + late_ns) + 1);
			if (span_ns > late_ns)
				assert_true(
					k + 1 >=
					pace_count_in(p, span_ns - late_ns));
		}
	}
}

/* A capped domain waits for its turn among many: here up to half a second,
 * each time another. Catches tokens that are forgotten meanwhile. */
static void domain_that_waits_for_its_turn_keeps_its_rate(void **state)
{
	static const struct pace caps[] = {{9, 10 * NS_PER_S},
					   {1, NS_PER_S},
					   {17, 10 * NS_PER_S},
					   {7, 60 * NS_PER_S}};

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct fixture *f = fixture_create();
		uint64_t span_ns = 3600 * NS_PER_S;

		f->jitter_ns = 15 * NS_PER_MS;
		fixture_provider(f, 0, per_second(20), PACE_UNLIMITED, 3);
		fixture_domain(f, 0, 0, caps[i], UINT32_MAX);
		for (uint32_t d = 1; d < 11; d++)
			fixture_domain(f, d, 0, PACE_UNLIMITED, UINT32_MAX);
		fixture_run(f, f->now_ns + span_ns);
		assert_close(f->domains[0].taken, caps[i], span_ns);
		assert_within_one(f, caps[i], 0, 16 * NS_PER_MS);
		assert_close(f->sent_count, per_second(20), span_ns);
		fixture_destroy(f);
	}
}

/* A hundred capped domains and nothing else: each wakes the provider at its own
 * time, several in one late step, in one tick in any order. */
static void capped_domains_do_not_cost_each_other_time(void **state)
{
	struct fixture *f = fixture_create();
	uint64_t span_ns = 600 * NS_PER_S;

	(void)state;
	f->jitter_ns = 2 * NS_PER_MS;
	fixture_provider(f, 0, PACE_UNLIMITED, PACE_UNLIMITED, 3);
	for (uint32_t d = 0; d < 100; d++)
		fixture_domain(f, d, 0, (struct pace){d + 151, 10 * NS_PER_S},
			       UINT32_MAX);
	fixture_run(f, f->now_ns + span_ns);
	for (uint32_t d = 0; d < 100; d++) {
		struct pace p = {d + 151, 10 * NS_PER_S};
		assert_close(f->domains[d].taken, p, span_ns);
		assert_within_one(f, p, d, 3 * NS_PER_MS);
	}
	fixture_destroy(f);
}

/* The token that a slow domain may keep for its turn is not one that it could
 * not have spent: after an hour's hold of the provider, or of all its sources,
 * one message, and the next an interval later. */
static void slow_domain_brings_nothing_out_of_a_hold(void **state)
{
	struct fixture *f = fixture_create();
	uint32_t before;

	(void)state;
	fixture_provider(f, 0, per_second(100), PACE_UNLIMITED, 2);
	fixture_domain(f, 0, 0, (struct pace){1, 30 * NS_PER_S}, UINT32_MAX);
	for (uint32_t kind = 0; kind < 2; kind++) {
		fixture_run(f, f->now_ns + 95 * NS_PER_S);
		for (uint32_t hold = 2; hold-- > 0;) {
			if (kind == 0)
				release_provider_hold(f->r, 0, hold);
			for (uint32_t s = 0; kind == 1 && s < 2; s++)
				release_source_hold(f->r, s, hold);
			before = f->sent_count;
			fixture_run(f,
				    f->now_ns + (hold ? 3600 : 29) * NS_PER_S);
			assert_int_equal(f->sent_count - before, hold ? 0 : 1);
		}
	}
	fixture_destroy(f);
}

static void all_sources_at_their_cap_use_it_in_full(void **state)
{
	struct fixture *f = fixture_create();
	uint64_t span_ns = 600 * NS_PER_S;

	(void)state;
	f->jitter_ns = 10 * NS_PER_MS;
	fixture_provider(f, 0, PACE_UNLIMITED, per_second(3), 7);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	f->domains[0].sender = 42; /* one sender uses the whole pool */
	fixture_run(f, f->now_ns + span_ns);
	for (uint32_t s = 0; s < 7; s++) {
		uint64_t n = fixture_status(f, 0, s).released;
		assert_close(n, per_second(3), span_ns);
		assert_never_faster(f, per_second(3), s, ANY);
	}
	fixture_destroy(f);
}

/* Random caps at all three levels: none is ever broken. */
static void mixed_caps_are_never_exceeded(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 12; seed++) {
		struct fixture *f = fixture_create();
		struct pace total, source, domain;

		f->seed = seed;
		f->jitter_ns = (1 + fixture_random(f) % 60) * NS_PER_MS;
		total = (struct pace){1 + fixture_random(f) % 60,
				      (1 + fixture_random(f) % 5) * NS_PER_S};
		source = (struct pace){1 + fixture_random(f) % 20,
				       (1 + fixture_random(f) % 5) * NS_PER_S};
		domain = (struct pace){1 + fixture_random(f) % 10,
				       (1 + fixture_random(f) % 5) * NS_PER_S};
		fixture_provider(f, 0, total, source, 5);
		for (uint32_t d = 0; d < 10; d++)
			fixture_domain(f, d, 0, d % 2 ? domain : PACE_UNLIMITED,
				       UINT32_MAX);
		fixture_run(f, f->now_ns + 900 * NS_PER_S);
		assert_true(f->sent_count > 100);
		assert_never_faster(f, total, ANY, ANY);
		for (uint32_t s = 0; s < 5; s++)
			assert_never_faster(f, source, s, ANY);
		for (uint32_t d = 1; d < 10; d += 2)
			assert_never_faster(f, domain, ANY, d);
		fixture_destroy(f);
	}
}

/* Even spacing: no two messages closer than the interval less the lateness. */
static void messages_are_spaced_evenly(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	f->jitter_ns = 5 * NS_PER_MS;
	fixture_provider(f, 0, per_second(10), PACE_UNLIMITED, 4);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_run(f, f->now_ns + 100 * NS_PER_S);
	for (uint32_t i = 1; i < f->sent_count; i++)
		assert_true(f->sent[i].now_ns - f->sent[i - 1].now_ns >=
			    95 * NS_PER_MS);
	fixture_destroy(f);
}

static uint32_t sent_within(const struct fixture *f, uint64_t from_ns,
			    uint64_t span_ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->sent_count; i++)
		n += f->sent[i].now_ns >= from_ns &&
		     f->sent[i].now_ns < from_ns + span_ns;
	return n;
}

/* Time under a hold earns nothing: catches credit that piles up. */
static void no_burst_after_a_hold(void **state)
{
	struct fixture *f = fixture_create();
	uint64_t at_ns;

	(void)state;
	fixture_provider(f, 0, per_second(1000), per_second(500), 3);
	fixture_domain(f, 0, 0, per_second(800), UINT32_MAX);
	for (uint32_t kind = 0; kind < 3; kind++) {
		fixture_run(f, f->now_ns + NS_PER_S);
		for (uint32_t hold = 2; hold-- > 0;) {
			if (kind == 0)
				release_provider_hold(f->r, 0, hold);
			if (kind == 1)
				release_domain_hold(f->r, 0, hold);
			for (uint32_t s = 0; kind == 2 && s < 3; s++)
				release_source_hold(f->r, s, hold);
			at_ns = f->now_ns;
			if (hold)
				fixture_run(f, at_ns + 3600 * NS_PER_S);
			assert_int_equal(
				sent_within(f, at_ns + 1, 3600 * NS_PER_S), 0);
		}
		fixture_run(f, at_ns + 10 * NS_PER_MS);
		assert_true(sent_within(f, at_ns, 10 * NS_PER_MS) <= 11);
		assert_true(sent_within(f, at_ns, 10 * NS_PER_MS) >= 7);
	}
	assert_never_faster(f, per_second(800), ANY, ANY);
	fixture_destroy(f);
}

/* A reload or a grant starts where the old rate left off. */
static void no_burst_after_a_rate_change(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	fixture_provider(f, 0, per_second(10), PACE_UNLIMITED, 2);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
	for (uint32_t i = 0; i < 1000; i++) {
		fixture_run(f, f->now_ns + 10 * NS_PER_MS);
		fixture_provider(f, 0, per_second(i % 2 ? 10 : 9),
				 PACE_UNLIMITED, 2);
		release_grant(f->r, 0, RELEASE_NONE, PATH_OPEN,
			      per_second(i % 2 ? 8 : 10), 0, 0, "test",
			      f->now_ns);
	}
	assert_never_faster(f, per_second(10), ANY, ANY);
	assert_true(f->sent_count > 70);
	fixture_destroy(f);
}

/* A new engine knows nothing of the past: one message, then the pace. */
static void no_burst_after_a_restart(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	fixture_provider(f, 0, per_second(2), per_second(1), 5);
	for (uint32_t d = 0; d < 100; d++)
		fixture_domain(f, d, 0, PACE_UNLIMITED, 1000);
	fixture_run(f, f->now_ns + NS_PER_S);
	assert_true(f->sent_count <= 3);
	fixture_destroy(f);
}

/* Mail that comes after an idle hour finds one token, not an hour's. */
static void no_burst_after_idleness(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	fixture_provider(f, 0, per_second(100), PACE_UNLIMITED, 2);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, 0);
	fixture_run(f, f->now_ns + 3600 * NS_PER_S);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, 1000);
	fixture_step(f);
	assert_int_equal(f->sent_count, 1);
	fixture_destroy(f);
}

static void stopped_pace_sends_nothing(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	fixture_provider(f, 0, PACE_STOPPED, PACE_UNLIMITED, 2);
	fixture_provider(f, 1, PACE_UNLIMITED, PACE_STOPPED, 2);
	fixture_provider(f, 2, PACE_UNLIMITED, PACE_UNLIMITED, 2);
	fixture_domain(f, 0, 0, PACE_UNLIMITED, 10);
	fixture_domain(f, 1, 1, PACE_UNLIMITED, 10);
	fixture_domain(f, 2, 2, PACE_STOPPED, 10);
	fixture_run(f, f->now_ns + 3600 * NS_PER_S);
	assert_int_equal(f->sent_count, 0);
	assert_true(release_next_ns(f->r) == CLOCK_NEVER_NS);
	fixture_destroy(f);
}

/* Size = pace x interval, at most the maximum; a slow pace: batches of one. */
static void batches_have_the_size_of_pace_and_interval(void **state)
{
	static const struct {
		uint32_t per_minute, size;
	} cases[] = {{30, 30}, {600, 100}, {1, 1}};

	(void)state;
	for (uint32_t c = 0; c < 3; c++) {
		struct fixture *f = fixture_create();
		uint32_t counts[4096] = {0}, full = 0, last;

		fixture_provider(
			f, 0, PACE_UNLIMITED,
			(struct pace){cases[c].per_minute, 60 * NS_PER_S}, 1);
		fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
		fixture_run(f, f->now_ns + 1200 * NS_PER_S);
		for (uint32_t i = 0; i < f->sent_count; i++)
			counts[f->sent[i].batch]++;
		last = f->sent[f->sent_count - 1].batch;
		for (uint32_t b = 1; b < last; b++)
			full += counts[b] == cases[c].size;
		assert_true(full + 2 >= last);
		assert_int_equal(fixture_status(f, 0, 0).batch, last);
		fixture_destroy(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			count_is_within_one_message_of_rate_times_time),
		cmocka_unit_test(slow_pace_holds_for_twelve_hours),
		cmocka_unit_test(domain_cap_is_used_in_full),
		cmocka_unit_test(domain_that_waits_for_its_turn_keeps_its_rate),
		cmocka_unit_test(capped_domains_do_not_cost_each_other_time),
		cmocka_unit_test(slow_domain_brings_nothing_out_of_a_hold),
		cmocka_unit_test(all_sources_at_their_cap_use_it_in_full),
		cmocka_unit_test(mixed_caps_are_never_exceeded),
		cmocka_unit_test(messages_are_spaced_evenly),
		cmocka_unit_test(no_burst_after_a_hold),
		cmocka_unit_test(no_burst_after_a_rate_change),
		cmocka_unit_test(no_burst_after_a_restart),
		cmocka_unit_test(no_burst_after_idleness),
		cmocka_unit_test(stopped_pace_sends_nothing),
		cmocka_unit_test(batches_have_the_size_of_pace_and_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
