/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_share.c - live mail ahead of the backlog, by live_share.
 */
#include "release_fixture.h"

struct shares {
	uint32_t live, backlog;
};

static struct shares count_since(const struct fixture *f, uint32_t from)
{
	struct shares s = {0, 0};

	for (uint32_t i = from; i < f->sent_count; i++) {
		s.live += f->sent[i].live;
		s.backlog += !f->sent[i].live;
	}
	return s;
}

/* From message `from` on, at no time more than one message off the share. */
static void assert_share_since(const struct fixture *f, uint32_t from,
			       uint32_t share)
{
	int32_t live = 0, n = 0;

	assert_true(f->sent_count > from + 10);
	for (uint32_t i = from; i < f->sent_count; i++) {
		live += f->sent[i].live;
		n++;
		assert_in_range(live * 100 - n * (int32_t)share + 100, 0, 200);
	}
}

/* Live mail of a few domains, backlog of many: domains do not decide. */
static struct fixture *with_both(struct pace max, uint8_t share,
				 uint32_t live_domains)
{
	struct fixture *f = fixture_create();

	fixture_provider_share(f, 0, max, PACE_UNLIMITED, 3, share);
	for (uint32_t d = 0; d < 20; d++)
		fixture_domain(f, d, 0, PACE_UNLIMITED, UINT32_MAX);
	for (uint32_t d = 0; d < live_domains; d++)
		fixture_live(f, d, UINT32_MAX);
	return f;
}

/* 0: only when no backlog waits. 100: first of all. */
static void share_is_kept_to_one_message(void **state)
{
	static const uint8_t shares[] = {0, 1, 10, 33, 50, 70, 99, 100};

	(void)state;
	for (uint32_t i = 0; i < sizeof(shares); i++) {
		struct fixture *f = with_both(per_second(20), shares[i], 1 + i);

		f->jitter_ns = 20 * NS_PER_MS;
		fixture_run(f, f->now_ns + 300 * NS_PER_S);
		assert_in_range(f->sent_count, 5999, 6002);
		assert_share_since(f, 0, shares[i]);
		fixture_destroy(f);
	}
}

/* Catches pace that is kept free for mail that is not there. */
static void unused_share_goes_to_the_other(void **state)
{
	static const uint8_t shares[] = {0, 50, 100};

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct fixture *f = fixture_create();

		fixture_provider_share(f, 0, per_second(10), PACE_UNLIMITED, 2,
				       shares[i]);
		fixture_domain(f, 0, 0, PACE_UNLIMITED, 0);
		fixture_live(f, 0, UINT32_MAX);
		fixture_run(f, f->now_ns + 100 * NS_PER_S);
		assert_in_range(f->sent_count, 999, 1002);
		fixture_live(f, 0, 0);
		fixture_domain(f, 0, 0, PACE_UNLIMITED, UINT32_MAX);
		fixture_run(f, f->now_ns + 100 * NS_PER_S);
		assert_in_range(count_since(f, 0).live, 999, 1002);
		assert_in_range(count_since(f, 0).backlog, 999, 1002);
		fixture_destroy(f);
	}
}

/* What came in alone is not paid back: the share holds from the first message
 * on for which both wait. */
static void nothing_is_owed_from_time_alone(void **state)
{
	struct fixture *f = with_both(per_second(10), 30, 0);
	uint32_t from;

	(void)state;
	fixture_run(f, f->now_ns + 1000 * NS_PER_S);
	from = f->sent_count;
	fixture_live(f, 3, UINT32_MAX);
	fixture_run(f, f->now_ns + 100 * NS_PER_S);
	assert_share_since(f, from, 30);
	fixture_destroy(f);
}

/* A trickle of live mail below its share goes at once, ahead of a backlog of
 * twenty domains: the next token is its. */
static void live_mail_does_not_queue_behind_the_backlog(void **state)
{
	struct fixture *f = with_both(per_second(10), 50, 0);

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t from;

		fixture_run(f, f->now_ns + 1700 * NS_PER_MS);
		from = f->sent_count;
		fixture_live(f, i % 20, 1);
		fixture_run(f, f->now_ns + 250 * NS_PER_MS);
		assert_int_equal(count_since(f, from).live, 1);
	}
	fixture_destroy(f);
}

/* Live mail that its own domain's cap keeps back takes nothing from others. */
static void capped_live_mail_leaves_its_share_to_the_backlog(void **state)
{
	struct fixture *f = fixture_create();
	struct shares s;

	(void)state;
	fixture_provider_share(f, 0, per_second(20), PACE_UNLIMITED, 2, 80);
	fixture_domain(f, 0, 0, per_second(2), 0);
	fixture_live(f, 0, UINT32_MAX);
	fixture_domain(f, 1, 0, PACE_UNLIMITED, UINT32_MAX);
	fixture_run(f, f->now_ns + 100 * NS_PER_S);
	s = count_since(f, 0);
	assert_in_range(s.live, 199, 202);
	assert_in_range(s.live + s.backlog, 1999, 2002);
	fixture_destroy(f);
}

/* One pace for both: a domain's live mail is no way around its cap. */
static void both_kinds_share_the_domains_cap(void **state)
{
	struct fixture *f = fixture_create();

	(void)state;
	f->jitter_ns = 10 * NS_PER_MS;
	fixture_provider_share(f, 0, PACE_UNLIMITED, PACE_UNLIMITED, 2, 25);
	fixture_domain(f, 0, 0, per_second(4), UINT32_MAX);
	fixture_live(f, 0, UINT32_MAX);
	fixture_run(f, f->now_ns + 500 * NS_PER_S);
	assert_in_range(f->sent_count, 1999, 2002);
	assert_share_since(f, 0, 25);
	fixture_destroy(f);
}

/* Connections are the limit, not the pace: who gets the next one is decided by
 * the share as well. */
static void share_holds_where_connections_are_short(void **state)
{
	static const uint8_t shares[] = {0, 50, 75, 100};

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct fixture *f = with_both(PACE_UNLIMITED, shares[i], 2);

		f->keep = true;
		for (uint32_t s = 0; s < 3; s++)
			f->connections[0][s] = 0;
		fixture_run(f, f->now_ns + 2 * NS_PER_S);
		for (uint32_t n = 0; n < 2000; n++) {
			uint32_t source = n % 3;

			f->connections[0][source]++;
			release_connection_ready(f->r, 0, source);
			fixture_run(f, f->now_ns + 10 * NS_PER_MS);
		}
		assert_true(f->sent_count >= 1990);
		assert_share_since(f, 0, shares[i]);
		fixture_destroy(f);
	}
}

static void share_above_the_whole_is_refused(void **state)
{
	struct fixture *f = fixture_create();
	static struct release_provider_config c = {.live_share = 101};

	(void)state;
	assert_int_not_equal(release_provider_set(f->r, 0, &c, f->now_ns), 0);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(share_is_kept_to_one_message),
		cmocka_unit_test(unused_share_goes_to_the_other),
		cmocka_unit_test(nothing_is_owed_from_time_alone),
		cmocka_unit_test(live_mail_does_not_queue_behind_the_backlog),
		cmocka_unit_test(
			capped_live_mail_leaves_its_share_to_the_backlog),
		cmocka_unit_test(both_kinds_share_the_domains_cap),
		cmocka_unit_test(share_holds_where_connections_are_short),
		cmocka_unit_test(share_above_the_whole_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
