/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_take.c - who goes along in a transaction. Catches recipients that are
 * sent to the mail hosts of another domain.
 */
#include "queue_fixture.h"

static const char *const two[] = {"a.test", "b.test", "a.test"};

static uint64_t store_three(struct fixture *f)
{
	struct fixture_message m = {
		.content_bytes = 100,
		.sender = "sender.test",
		.count = 3,
		.domains = two,
	};

	return fixture_store(f, &m);
}

static uint32_t take_count(struct fixture *f, const char *domain)
{
	static struct queue_taken t;
	uint32_t d = queue_domain_find(f->q, domain);

	if (queue_take(f->q, d, false, f->now_s, &t) != 0)
		return 0;
	return t.rcpt_count;
}

/* One provider, two domains, hosts of their own: two transactions. */
static void another_domain_does_not_go_along(void **state)
{
	struct fixture *f = fixture_create(1);
	struct queue_head h;

	(void)state;
	queue_provider_shared_hop_set(f->q, 0, false);
	store_three(f);
	assert_true(
		queue_head(f->q, queue_domain_find(f->q, "a.test"), false, &h));
	assert_int_equal(h.recipients, 2);
	assert_int_equal(take_count(f, "a.test"), 2);
	assert_int_equal(fixture_waiting_of(f, "b.test"), 1);
	assert_int_equal(take_count(f, "b.test"), 1);
	fixture_destroy(f);
}

/* A provider with one route for all its domains: one transaction. */
static void all_go_along_where_the_hop_is_shared(void **state)
{
	struct fixture *f = fixture_create(1);

	(void)state;
	queue_provider_shared_hop_set(f->q, 0, true);
	store_three(f);
	assert_int_equal(take_count(f, "a.test"), 3);
	assert_int_equal(fixture_waiting_of(f, "b.test"), 0);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_domain_does_not_go_along),
		cmocka_unit_test(all_go_along_where_the_hop_is_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
