/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_site.c - whose hosts these are, and when a change is believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sluice/clock.h"
#include "sluiced/site.h"

#define T0 (1000 * NS_PER_S)

static void expect(const char *const *hosts, uint32_t count, const char *site)
{
	struct site_rules *r = site_rules_create();
	char out[DOMAIN_BYTES];

	assert_non_null(r);
	site_of_hosts(r, hosts, count, out);
	assert_string_equal(out, site);
	site_rules_destroy(&r);
	assert_null(r);
}

static void a_site_is_the_organisation_of_most_hosts(void **state)
{
	static const char *const one[] = {"aspmx.l.google.com"};
	static const char *const uk[] = {"mx.example.co.uk"};
	static const char *const most[] = {"a.backup.example", "mx1.big.test",
					   "mx2.big.test"};
	static const char *const equal[] = {"mx.zebra.test", "mx.ant.test"};
	static const char *const suffix[] = {"com"};
	static const char *const plain[] = {"mx.test"};

	expect(one, 1, "google.com");
	expect(uk, 1, "example.co.uk");
	expect(most, 3, "big.test");
	expect(equal, 2, "ant.test");
	expect(suffix, 1, "com");
	expect(plain, 1, "mx.test");
}

static void a_change_takes_two_ttls(void **state)
{
	struct site_watch w = {0};
	uint64_t ttl = 60 * NS_PER_S;

	assert_false(site_watch_step(&w, 1, 1, ttl, T0));
	assert_false(site_watch_step(&w, 1, 2, ttl, T0));
	assert_false(site_watch_step(&w, 1, 2, ttl, T0 + ttl));
	assert_false(site_watch_step(&w, 1, 2, ttl, T0 + 2 * ttl - 1));
	assert_true(site_watch_step(&w, 1, 2, ttl, T0 + 2 * ttl));
}

/* A relapse, or a third site, begins anew. */
static void a_wavering_zone_stays_where_it_is(void **state)
{
	struct site_watch w = {0};
	uint64_t ttl = 60 * NS_PER_S, now = T0;

	for (uint32_t i = 0; i < 100; i++, now += ttl)
		assert_false(site_watch_step(&w, 1, 1 + i % 2, ttl, now));
	for (uint32_t i = 0; i < 100; i++, now += ttl)
		assert_false(site_watch_step(&w, 1, 2 + i % 2, ttl, now));
	assert_false(site_watch_step(&w, 1, 2, ttl, now));
	assert_true(site_watch_step(&w, 1, 2, ttl, now + 2 * ttl));
}

/* One answer is never enough, however short its TTL. */
static void a_ttl_of_zero_changes_nothing_at_once(void **state)
{
	struct site_watch w = {0};

	assert_false(site_watch_step(&w, 1, 2, 0, T0));
	assert_false(site_watch_step(&w, 1, 2, 0, T0 + NS_PER_S));
	assert_true(site_watch_step(&w, 1, 2, 0, T0 + 5 * NS_PER_S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_site_is_the_organisation_of_most_hosts),
		cmocka_unit_test(a_change_takes_two_ttls),
		cmocka_unit_test(a_wavering_zone_stays_where_it_is),
		cmocka_unit_test(a_ttl_of_zero_changes_nothing_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
