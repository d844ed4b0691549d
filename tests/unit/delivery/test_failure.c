/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_failure.c - who may try an address that failed, and when; which
 * addresses of many are kept; how long an answer lives. All pure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "delivery/failure.h"
#include "delivery/found.h"
#include "delivery/packet.h"
#include "sluice/clock.h"

#define T0 (1000 * NS_PER_S)

static struct addr at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, 25, &a), 0);
	return a;
}

static uint64_t wait_s(const struct failures *f, const struct addr *to,
		       const struct addr *from, uint64_t now_ns)
{
	uint64_t until_ns = failure_until_ns(f, to, from, now_ns);

	return until_ns > now_ns ? (until_ns - now_ns) / NS_PER_S : 0;
}

static void back_off_doubles_to_five_minutes(void **state)
{
	static const uint64_t waits_s[] = {1,  2,   4,   8,   16, 32,
					   64, 128, 256, 300, 300};
	struct failures *f = failures_create(64);
	struct addr to = at("192.0.2.1"), from = at("198.51.100.1");
	uint64_t now_ns = T0;

	for (size_t i = 0; i < sizeof(waits_s) / sizeof(*waits_s); i++) {
		failure_note(f, &to, &from, false, now_ns, now_ns);
		assert_int_equal(wait_s(f, &to, &from, now_ns), waits_s[i]);
		now_ns += waits_s[i] * NS_PER_S;
		assert_int_equal(wait_s(f, &to, &from, now_ns), 0);
	}
	failure_clear(f, &to, &from);
	failure_note(f, &to, &from, false, now_ns, now_ns);
	assert_int_equal(wait_s(f, &to, &from, now_ns), 1);
	failures_destroy(&f);
	assert_null(f);
}

/* Ten connects at once to a host that has just died are one failure. */
static void tries_that_fail_together_count_once(void **state)
{
	struct failures *f = failures_create(64);
	struct addr to = at("192.0.2.1"), from = at("198.51.100.1");

	for (uint64_t i = 0; i < 10; i++)
		failure_note(f, &to, &from, false, T0 + i, T0 + NS_PER_S + i);
	assert_int_equal(wait_s(f, &to, &from, T0 + NS_PER_S + 9),
			 0 /* of < 1 s */);
	assert_true(failure_until_ns(f, &to, &from, T0 + NS_PER_S + 9) >
		    T0 + NS_PER_S + 9);
	failures_destroy(&f);
}

/* One source that is blocked says nothing of the others; two do. */
static void a_second_sender_makes_a_host_dead_for_all(void **state)
{
	struct failures *f = failures_create(64);
	struct addr to = at("192.0.2.1"), other = at("192.0.2.2");
	struct addr a = at("198.51.100.1"), b = at("198.51.100.2"),
		    c = at("198.51.100.3");

	failure_note(f, &to, &a, false, T0, T0);
	assert_int_equal(wait_s(f, &to, &a, T0), 1);
	assert_int_equal(wait_s(f, &to, &b, T0), 0);
	failure_note(f, &to, &b, false, T0 + 1, T0 + 1);
	assert_int_equal(wait_s(f, &to, &c, T0 + 1), 2);
	assert_int_equal(wait_s(f, &other, &c, T0 + 1), 0);
	failure_clear(f, &to, &c);
	assert_int_equal(wait_s(f, &to, &b, T0 + 1), 1); /* its own */
	assert_int_equal(wait_s(f, &to, &c, T0 + 1), 0);
	failures_destroy(&f);
}

static void sources_of_one_64_are_one_sender(void **state)
{
	struct failures *f = failures_create(64);
	struct addr to = at("2001:db8:f::1");
	struct addr a = at("2001:db8::1"), b = at("2001:db8::2"),
		    c = at("2001:db8:0:1::3"), d = at("2001:db8:0:9::9");

	failure_note(f, &to, &a, false, T0, T0);
	failure_note(f, &to, &b, false, T0 + 1, T0 + 1);
	assert_int_equal(wait_s(f, &to, &c, T0 + 1), 0);
	failure_note(f, &to, &c, false, T0 + 2, T0 + 2);
	assert_int_equal(wait_s(f, &to, &d, T0 + 2), 4);
	failures_destroy(&f);
}

static void a_refusal_in_words_is_of_the_source_only(void **state)
{
	struct failures *f = failures_create(64);
	struct addr to = at("192.0.2.1");
	struct addr a = at("198.51.100.1"), b = at("198.51.100.2"),
		    c = at("198.51.100.3");

	failure_note(f, &to, &a, true, T0, T0);
	failure_note(f, &to, &b, true, T0, T0);
	assert_int_equal(wait_s(f, &to, &a, T0), 1);
	assert_int_equal(wait_s(f, &to, &c, T0), 0);
	failures_destroy(&f);
}

/* When the time has come, one tries and the others look on. */
static void a_dead_host_is_tried_by_one_at_a_time(void **state)
{
	struct failures *f = failures_create(64);
	struct addr to = at("192.0.2.1"), a = at("198.51.100.1");
	uint64_t later_ns = T0 + 5 * NS_PER_S;

	failure_note(f, &to, &a, false, T0, T0);
	assert_int_equal(wait_s(f, &to, &a, later_ns), 0);
	failure_trying(f, &to, &a, later_ns + 30 * NS_PER_S);
	assert_int_equal(wait_s(f, &to, &a, later_ns), 1);
	failure_note(f, &to, &a, false, later_ns, later_ns + 30 * NS_PER_S);
	assert_int_equal(wait_s(f, &to, &a, later_ns + 30 * NS_PER_S), 2);
	failures_destroy(&f);
}

/* However many die: memory stays, and the last one is known. */
static void the_table_is_bounded(void **state)
{
	struct failures *f = failures_create(64);
	struct addr from = at("198.51.100.1");
	char text[32];

	for (uint32_t i = 0; i < 10000; i++) {
		struct addr to;

		(void)snprintf(text, sizeof(text), "10.%u.%u.%u", i / 60000,
			       i / 250 % 250, i % 250);
		to = at(text);
		failure_note(f, &to, &from, false, T0 + i, T0 + i);
		assert_true(failure_until_ns(f, &to, &from, T0 + i) > T0 + i);
	}
	failures_destroy(&f);
}

static struct hop_address address(const char *text, uint8_t host, uint16_t rank)
{
	return (struct hop_address){at(text), host, rank};
}

/* A host with very many addresses leaves room for the others. */
static void every_host_keeps_some_addresses(void **state)
{
	struct found f = {0};
	uint32_t of_host[4] = {0};
	char text[64];

	for (uint8_t host = 0; host < 4; host++) {
		for (uint32_t i = 0; i < 100; i++) {
			struct hop_address a;

			(void)snprintf(text, sizeof(text), "10.0.%u.%u", host,
				       i);
			a = address(text, host, host);
			assert_int_equal(found_add(&f, &a),
					 i < FOUND_PER_HOST ? 0 : -ENOSPC);
		}
	}
	found_choose(&f);
	assert_int_equal(f.count, HOP_ADDRESSES_MAX);
	for (uint32_t i = 0; i < f.count; i++) {
		of_host[f.list[i].host]++;
		assert_true(!i || f.list[i].rank >= f.list[i - 1].rank);
	}
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(of_host[i], HOP_ADDRESSES_MAX / 4);
	found_truncate(&f, 2);
	assert_int_equal(f.count, HOP_ADDRESSES_MAX / 2);
}

static void the_best_hosts_come_first_when_room_is_short(void **state)
{
	struct found f = {0};
	char text[64];
	uint32_t v6 = 0;

	for (uint8_t host = 0; host < MX_HOSTS_MAX; host++) {
		struct hop_address a;

		(void)snprintf(text, sizeof(text), "10.0.%u.1", host);
		a = address(text, host, host);
		assert_int_equal(found_add(&f, &a), 0);
		(void)snprintf(text, sizeof(text), "2001:db8::%x", host + 1);
		a = address(text, host, host);
		assert_int_equal(found_add(&f, &a), 0);
	}
	found_choose(&f);
	assert_int_equal(f.count, HOP_ADDRESSES_MAX);
	for (uint32_t i = 0; i < f.count; i++) {
		v6 += f.list[i].addr.sa.sa_family == AF_INET6;
		assert_int_equal(f.list[i].host, i / 2);
	}
	assert_int_equal(v6, HOP_ADDRESSES_MAX / 2);
}

static const uint8_t alias_answer[] = {
	0,    1,   0x81, 0x80, 0, 1, 0, 2, 0, 0, 0,  0,            /* header */
	1,    'a', 0,    0,    1, 0, 1,                            /* a. A? */
	0xc0, 12,  0,    5,    0, 1, 0, 0, 0, 7, 0,  3, 1, 'b', 0, /* CNAME, 7 s
								    */
	1,    'b', 0,    0,    1, 0, 1, 0, 0, 1, 44, 0, 4, 10,  0, 0,
	1, /* A, 300 s */
};
static const uint8_t negative_answer[] = {
	0, 1, 0x81, 0x83, 0, 1, 0, 0,  0, 1,  0, 0, 1, 'a', 0, 0, 1, 0, 1, 0,
	0, 6, 0,    1,    0, 0, 0, 90, 0, 22, 0, 0, /* SOA, 90 s */
	0, 0, 0,    1,    0, 0, 0, 1,  0, 0,  0, 1, 0, 0,   0, 1, 0, 0, 0, 30};

static void an_answer_lives_as_long_as_its_shortest_record(void **state)
{
	uint32_t ttl_s;

	assert_int_equal(
		packet_ttl(alias_answer, sizeof(alias_answer), 0, &ttl_s), 0);
	assert_int_equal(ttl_s, 7);
	assert_int_equal(
		packet_ttl(negative_answer, sizeof(negative_answer), 1, &ttl_s),
		0);
	assert_int_equal(ttl_s, 30);
	/* An alias without data and without SOA is for now only. */
	assert_int_equal(
		packet_ttl(alias_answer, sizeof(alias_answer), 1, &ttl_s), 0);
	assert_int_equal(ttl_s, 0);
}

static void cut_packets_are_refused(void **state)
{
	uint32_t ttl_s = 99;

	for (size_t len = 0; len < sizeof(alias_answer); len++)
		assert_int_equal(packet_ttl(alias_answer, len, 0, &ttl_s),
				 -EBADMSG);
	for (size_t len = 0; len < sizeof(negative_answer); len++)
		assert_int_equal(packet_ttl(negative_answer, len, 1, &ttl_s),
				 -EBADMSG);
	assert_int_equal(ttl_s, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(back_off_doubles_to_five_minutes),
		cmocka_unit_test(tries_that_fail_together_count_once),
		cmocka_unit_test(a_second_sender_makes_a_host_dead_for_all),
		cmocka_unit_test(sources_of_one_64_are_one_sender),
		cmocka_unit_test(a_refusal_in_words_is_of_the_source_only),
		cmocka_unit_test(a_dead_host_is_tried_by_one_at_a_time),
		cmocka_unit_test(the_table_is_bounded),
		cmocka_unit_test(every_host_keeps_some_addresses),
		cmocka_unit_test(the_best_hosts_come_first_when_room_is_short),
		cmocka_unit_test(
			an_answer_lives_as_long_as_its_shortest_record),
		cmocka_unit_test(cut_packets_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
