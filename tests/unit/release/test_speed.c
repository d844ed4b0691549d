/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_speed.c - what one decision costs. Prints; fails only when something
 * is slower by an order of magnitude, as a search over domains would be.
 */
#include <time.h>

#include "release_fixture.h"

#define SENDS 2000000u

static uint64_t sends;

static bool quick_head(void *user, uint32_t domain, bool live,
		       struct release_head *out)
{
	(void)user;
	(void)live;
	out->sender_hash = domain * 7919ULL + sends % 50;
	out->pinned_source = RELEASE_NONE;
	out->recipients = 1;
	return true;
}

static enum release_sent quick_send(void *user, uint32_t provider,
				    uint32_t source, uint32_t domain, bool live,
				    uint32_t batch)
{
	(void)user;
	(void)provider;
	(void)source;
	(void)domain;
	(void)live;
	(void)batch;
	sends++;
	return RELEASE_SENT;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double ns_per_send(uint32_t providers, uint32_t sources,
			  uint32_t domains, struct pace pace)
{
	const struct release_limits limits = {PROVIDERS_MAX, SOURCES_MAX,
					      200000};
	const struct release_ops ops = {quick_head, quick_send, NULL, NULL};
	struct fixture *f = fixture_create();
	double start;

	release_destroy(&f->r);
	f->r = release_create(&limits, &ops, f, f->now_ns);
	for (uint32_t p = 0; p < providers; p++)
		fixture_provider(f, p, pace, PACE_UNLIMITED, sources);
	for (uint32_t d = 0; d < domains; d++) {
		assert_int_equal(release_domain_set(f->r, d, d % providers,
						    PACE_UNLIMITED, f->now_ns),
				 0);
		release_domain_waiting(f->r, d, false, 1000000, f->now_ns);
	}
	sends = 0;
	start = seconds();
	while (sends < SENDS) {
		release_step(f->r, f->now_ns, 256);
		f->now_ns += 1000;
	}
	fixture_destroy(f);
	return (seconds() - start) * 1e9 / SENDS;
}

static void decision_takes_less_than_a_microsecond(void **state)
{
	static const struct {
		uint32_t providers, sources, domains;
	} cases[] = {{1, 1, 1},
		     {1, 20, 1},
		     {4, 20, 300},
		     {1, 20, 100000},
		     {1, 64, 1000}};

	(void)state;
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		double ns = ns_per_send(cases[i].providers, cases[i].sources,
					cases[i].domains, PACE_UNLIMITED);
		print_message("%u providers, %u sources, %u domains: "
			      "%.0f ns per message\n",
			      cases[i].providers, cases[i].sources,
			      cases[i].domains, ns);
		assert_true(ns < 20000);
	}
	print_message(
		"paced at 10 million/s: %.0f ns per message\n",
		ns_per_send(4, 20, 300, (struct pace){10000000, NS_PER_S}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decision_takes_less_than_a_microsecond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
