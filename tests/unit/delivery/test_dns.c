/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_dns.c - DNS that changes, lies, fails or is silent, and what becomes of
 * the mail. Receivers listen on .11 and .12, nobody on .19.
 */
#include "delivery_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_dns.h"

#define COUNT(a) ((uint32_t)(sizeof(a) / sizeof((a)[0])))

static const char *const rcpt[] = {"a@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";

struct setup {
	struct fake_dns *dns;
	struct fake_receiver *f11, *f12;
	struct room r;
	char server[32];
	char *servers[1];
};

static void setup(struct setup *s, const struct fake_record *records,
		  uint32_t count)
{
	struct fake_options o11 = {.address = "127.0.0.11"};
	struct fake_options o12 = {.address = "127.0.0.12"};

	memset(s, 0, sizeof(*s));
	s->dns = fake_dns_start(records, count);
	s->f11 = fake_receiver_start(&o11);
	o12.port = fake_receiver_port(s->f11);
	s->f12 = fake_receiver_start(&o12);
	room_open(&s->r, fake_receiver_port(s->f11));
	s->r.providers[0].route = NULL;
	(void)snprintf(s->server, sizeof(s->server), "127.0.0.1:%u",
		       fake_dns_port(s->dns));
	s->servers[0] = s->server;
	s->r.config.resolver.servers = s->servers;
	s->r.config.resolver.server_count = 1;
}

static void teardown(struct setup *s)
{
	room_close(&s->r);
	fake_receiver_stop(&s->f11);
	fake_receiver_stop(&s->f12);
	fake_dns_stop(&s->dns);
}

static void start(struct setup *s, const char *domain)
{
	room_start(&s->r);
	assert_int_equal(delivery_domain_set(s->r.d, 1, domain, 0), 0);
}

static void store(struct setup *s, uint32_t domain)
{
	room_store(&s->r, rcpt, 1, small, sizeof(small) - 1, 0)->domain =
		domain;
	s->r.may_offer = true;
}

static uint32_t at_11(const struct setup *s)
{
	return fake_receiver_count(s->f11, AT_EOM);
}

static uint32_t at_12(const struct setup *s)
{
	return fake_receiver_count(s->f12, AT_EOM);
}

/* An old record is one of the incidents behind this project: after its TTL
 * the old host gets nothing, also not over a connection that is still open. */
static void old_hosts_get_nothing_after_their_ttl(void **state)
{
	static const struct fake_record before[] = {
		{"moves.test", FAKE_MX, 10, "mx.test", 2},
		{"mx.test", FAKE_A, 0, "127.0.0.11", 2}};
	static const struct fake_record after[] = {
		{"moves.test", FAKE_MX, 10, "mx.test", 2},
		{"mx.test", FAKE_A, 0, "127.0.0.12", 2}};
	struct setup s;

	setup(&s, before, COUNT(before));
	start(&s, "moves.test");
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(at_11(&s), 1);
	fake_dns_set(s.dns, after, COUNT(after));
	room_run_for(&s.r, 2100 * NS_PER_MS);
	for (uint32_t i = 0; i < 5; i++)
		store(&s, 1);
	room_run(&s.r, &s.r.done, 6);
	assert_int_equal(at_11(&s), 1);
	assert_int_equal(at_12(&s), 5);
	/* and the idle connection to it is gone */
	room_run_for(&s.r, 100 * NS_PER_MS);
	assert_int_equal(fake_receiver_count(s.f11, AT_QUIT), 1);
	teardown(&s);
}

/* While the TTL lasts nobody asks again. */
static void answers_are_kept_for_their_ttl(void **state)
{
	static const struct fake_record records[] = {
		{"kept.test", FAKE_MX, 10, "mx.test", 300},
		{"mx.test", FAKE_A, 0, "127.0.0.11", 300}};
	struct setup s;

	setup(&s, records, COUNT(records));
	start(&s, "kept.test");
	for (uint32_t i = 0; i < 20; i++)
		store(&s, 1);
	room_run(&s.r, &s.r.done, 20);
	assert_int_equal(fake_dns_asked(s.dns, "kept.test", FAKE_MX), 1);
	assert_int_equal(fake_dns_asked(s.dns, "mx.test", FAKE_A), 1);
	teardown(&s);
}

/* The alias lives shorter than what it points to. */
static void the_ttl_of_an_alias_counts(void **state)
{
	static const struct fake_record before[] = {
		{"alias.test", FAKE_CNAME, 0, "one.test", 1},
		{"one.test", FAKE_MX, 10, "mx11.test", 300},
		{"mx11.test", FAKE_A, 0, "127.0.0.11", 300}};
	static const struct fake_record after[] = {
		{"alias.test", FAKE_CNAME, 0, "two.test", 1},
		{"two.test", FAKE_MX, 10, "mx12.test", 300},
		{"mx12.test", FAKE_A, 0, "127.0.0.12", 300}};
	struct setup s;

	setup(&s, before, COUNT(before));
	start(&s, "alias.test");
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(at_11(&s), 1);
	fake_dns_set(s.dns, after, COUNT(after));
	room_run_for(&s.r, 2100 * NS_PER_MS);
	store(&s, 1);
	room_run(&s.r, &s.r.done, 2);
	assert_int_equal(at_12(&s), 1);
	teardown(&s);
}

/* Each use needs an answer of its own, and gets on with it. */
static void a_ttl_of_zero_works_and_is_asked_for_each_time(void **state)
{
	static const struct fake_record records[] = {
		{"zero.test", FAKE_MX, 10, "mx.test", FAKE_TTL_ZERO},
		{"mx.test", FAKE_A, 0, "127.0.0.11", FAKE_TTL_ZERO}};
	static const struct fake_record after[] = {
		{"zero.test", FAKE_MX, 10, "mx.test", FAKE_TTL_ZERO},
		{"mx.test", FAKE_A, 0, "127.0.0.12", FAKE_TTL_ZERO}};
	struct setup s;

	setup(&s, records, COUNT(records));
	start(&s, "zero.test");
	for (uint32_t i = 0; i < 3; i++)
		store(&s, 1);
	room_run(&s.r, &s.r.done, 3);
	assert_int_equal(at_11(&s), 3);
	assert_true(fake_dns_asked(s.dns, "zero.test", FAKE_MX) >= 2);
	/* libunbound keeps even these until its second is over */
	fake_dns_set(s.dns, after, COUNT(after));
	room_run_for(&s.r, 1100 * NS_PER_MS);
	store(&s, 1);
	room_run(&s.r, &s.r.done, 4);
	assert_int_equal(at_12(&s), 1);
	teardown(&s);
}

static void run_until_unroutable(struct setup *s, uint32_t n)
{
	room_run(&s->r, &s->r.unroutable, n);
	s->r.may_offer = true;
}

/* What is not there is believed for the SOA minimum, and no longer. */
static void nothing_is_believed_for_the_soa_minimum(void **state)
{
	static const struct fake_record after[] = {
		{"late.test", FAKE_MX, 10, "mx.test", 300},
		{"mx.test", FAKE_A, 0, "127.0.0.11", 300}};
	struct setup s;

	setup(&s, NULL, 0);
	fake_dns_negative(s.dns, 3);
	start(&s, "late.test");
	store(&s, 1);
	run_until_unroutable(&s, 1);
	assert_true(s.r.permanent);
	fake_dns_set(s.dns, after, COUNT(after));
	for (uint32_t i = 2; i < 10; i++)
		run_until_unroutable(&s, i);
	assert_int_equal(fake_dns_asked(s.dns, "late.test", FAKE_MX), 1);
	room_run_for(&s.r, 4200 * NS_PER_MS);
	s.r.may_offer = true;
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(at_11(&s), 1);
	teardown(&s);
}

/* An answer that fails to come must not bring the old one back. */
static void a_failure_does_not_revive_old_hosts(void **state)
{
	static const struct fake_record before[] = {
		{"fails.test", FAKE_MX, 10, "mx.test", 1},
		{"mx.test", FAKE_A, 0, "127.0.0.11", 300}};
	static const struct fake_record after[] = {
		{"fails.test", FAKE_SERVFAIL, 0, NULL, 0}};
	struct setup s;

	setup(&s, before, COUNT(before));
	start(&s, "fails.test");
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	fake_dns_set(s.dns, after, COUNT(after));
	room_run_for(&s.r, 2100 * NS_PER_MS);
	store(&s, 1);
	run_until_unroutable(&s, 1);
	assert_false(s.r.permanent);
	assert_int_equal(at_11(&s), 1);
	teardown(&s);
}

static void expect_unroutable(const struct fake_record *records, uint32_t count,
			      const char *domain, bool permanent,
			      const char *detail)
{
	struct setup s;

	setup(&s, records, count);
	start(&s, domain);
	store(&s, 1);
	run_until_unroutable(&s, 1);
	if (strncmp(s.r.detail, detail, strlen(detail)) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", domain, s.r.detail, detail);
	assert_int_equal(s.r.permanent, permanent);
	assert_int_equal(s.r.done, 0);
	assert_int_equal(s.r.failed, 0);
	teardown(&s);
}

static void lies_are_told_apart(void **state)
{
	/* 127.0.0.1 is one of our sources */
	static const struct fake_record r[] = {
		{"us.test", FAKE_MX, 10, "own.test", 0},
		{"us.test", FAKE_MX, 20, "mx11.test", 0},
		{"own.test", FAKE_A, 0, "127.0.0.1", 0},
		{"mx11.test", FAKE_A, 0, "127.0.0.11", 0},
		{"us-implicit.test", FAKE_A, 0, "127.0.0.2", 0},
		{"zero.test", FAKE_MX, 10, "zero-host.test", 0},
		{"zero-host.test", FAKE_A, 0, "0.0.0.0", 0},
		{"zero-host.test", FAKE_A, 0, "224.0.0.1", 0},
		{"zero-host.test", FAKE_A, 0, "255.255.255.255", 0},
		{"number.test", FAKE_MX, 10, "192.0.2.1", 0},
		{"number.test", FAKE_A, 0, "127.0.0.11", 0},
		{"loop.test", FAKE_CNAME, 0, "pool.test", 0},
		{"pool.test", FAKE_CNAME, 0, "loop.test", 0},
	};
	char label[65], name[300];

	expect_unroutable(r, COUNT(r), "us.test", true,
			  "5.4.6 mail for us.test loops back to us: own.test "
			  "is 127.0.0.1");
	expect_unroutable(r, COUNT(r), "us-implicit.test", true, "5.4.6 ");
	expect_unroutable(r, COUNT(r), "zero.test", false,
			  "no MX host of zero.test has an address that can");
	expect_unroutable(r, COUNT(r), "number.test", false,
			  "no MX host of number.test has an address");
	expect_unroutable(r, COUNT(r), "loop.test", false, "DNS: loop.test: ");
	memset(label, 'x', 64);
	label[64] = '\0';
	(void)snprintf(name, sizeof(name), "%s.test", label);
	expect_unroutable(r, COUNT(r), name, true, "5.1.2 ");
}

/* We are only the backup: the better host gets it. */
static void mail_goes_past_us_to_a_better_host(void **state)
{
	static const struct fake_record r[] = {
		{"backup.test", FAKE_MX, 10, "mx11.test", 0},
		{"backup.test", FAKE_MX, 20, "own.test", 0},
		{"backup.test", FAKE_MX, 30, "mx12.test", 0},
		{"own.test", FAKE_A, 0, "127.0.0.1", 0},
		{"mx11.test", FAKE_A, 0, "127.0.0.11", 0},
		{"mx12.test", FAKE_A, 0, "127.0.0.12", 0}};
	struct setup s;

	setup(&s, r, COUNT(r));
	start(&s, "backup.test");
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(at_11(&s), 1);
	assert_string_equal(s.r.hosts, "mx11.test");
	teardown(&s);
}

/* Sources that are not on loopback: an answer that is means ourselves. */
static void loopback_in_public_answers_is_us(void **state)
{
	static const struct fake_record r[] = {
		{"lo.test", FAKE_MX, 10, "lo-host.test", 0},
		{"lo-host.test", FAKE_A, 0, "127.0.0.11", 0}};
	struct setup s;

	setup(&s, r, COUNT(r));
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(
			addr_parse("192.0.2.7", 0, &s.r.sources[i].address), 0);
		s.r.sources[i].public_address = s.r.sources[i].address;
	}
	start(&s, "lo.test");
	store(&s, 1);
	run_until_unroutable(&s, 1);
	assert_true(s.r.permanent);
	assert_memory_equal(s.r.detail, "5.4.6 ", 6);
	teardown(&s);
}

/* A hundred silent name servers before twenty good ones. */
static void silent_name_servers_hold_up_nobody(void **state)
{
	static struct fake_record r[323];
	static char names[322][16];
	struct setup s;

	for (uint32_t i = 0; i < 320; i++) {
		bool silent = i < 300;

		(void)snprintf(names[i], sizeof(names[i]), "%s%u.test",
			       silent ? "s" : "g", i);
		r[i] = (struct fake_record){names[i],
					    silent ? FAKE_SILENT : FAKE_MX, 10,
					    silent ? NULL : "mx11.test", 0};
	}
	r[320] = (struct fake_record){"mx11.test", FAKE_A, 0, "127.0.0.11", 0};
	setup(&s, r, 321);
	s.r.config.resolver.timeout_ns = 60 * NS_PER_S;
	room_start(&s.r);
	for (uint32_t i = 0; i < 320; i++) {
		assert_int_equal(delivery_domain_set(s.r.d, i + 1, names[i], 0),
				 0);
		delivery_domain_ask(s.r.d, i + 1);
	}
	room_run(&s.r, &s.r.routed, 20);
	assert_int_equal(s.r.unroutable, 0);
	teardown(&s);
}

/* A question that is never answered ends when the config says. */
static void a_silent_name_server_is_told(void **state)
{
	static const struct fake_record r[] = {
		{"silent.test", FAKE_SILENT, 0, NULL, 0}};
	struct setup s;
	uint64_t began_ns = clock_monotonic_ns();

	setup(&s, r, COUNT(r));
	start(&s, "silent.test");
	store(&s, 1);
	run_until_unroutable(&s, 1);
	assert_false(s.r.permanent);
	assert_string_equal(s.r.detail,
			    "DNS: silent.test: the name server is silent");
	assert_true(clock_monotonic_ns() - began_ns >= 2 * NS_PER_S);
	teardown(&s);
}

/* A host that many domains share is tried by one of them; the second host of
 * each is used meanwhile. */
static void a_dead_host_is_not_tried_by_every_domain(void **state)
{
	static struct fake_record r[63];
	static char names[20][16], hosts[20][16];
	struct delivery_stats st;
	struct setup s;

	for (uint32_t i = 0; i < 20; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "d%u.test", i);
		(void)snprintf(hosts[i], sizeof(hosts[i]), "b%u.test", i);
		r[3 * i] = (struct fake_record){names[i], FAKE_MX, 10,
						"dead.test", 0};
		r[3 * i + 1] = (struct fake_record){names[i], FAKE_MX, 20,
						    hosts[i], 0};
		r[3 * i + 2] = (struct fake_record){hosts[i], FAKE_A, 0,
						    "127.0.0.12", 0};
	}
	r[60] = (struct fake_record){"dead.test", FAKE_A, 0, "127.0.0.11", 0};
	setup(&s, r, 61);
	fake_receiver_stop(&s.f11); /* it refuses */
	room_start(&s.r);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(delivery_domain_set(s.r.d, i + 1, names[i], 0),
				 0);
		store(&s, i + 1);
	}
	room_run(&s.r, &s.r.done, 20);
	assert_int_equal(at_12(&s), 20);
	assert_int_equal(s.r.failed, 0);
	delivery_stats(s.r.d, &st);
	assert_in_range(st.connections_tried - st.connections_opened, 1, 3);
	s.f11 = fake_receiver_start(&(struct fake_options){
		.address = "127.0.0.11", .port = fake_receiver_port(s.f12)});
	teardown(&s);
}

/* A domain that need not try, because another has found out, is told too: its
 * owner counts failures by domain. */
static void domains_that_look_on_are_told(void **state)
{
	static const struct fake_record r[] = {
		{"d1.test", FAKE_MX, 10, "gone.test", 0},
		{"d2.test", FAKE_MX, 10, "gone.test", 0},
		{"gone.test", FAKE_A, 0, "127.0.0.19", 0}};
	struct delivery_stats st;
	struct setup s;

	setup(&s, r, COUNT(r));
	start(&s, "d1.test");
	assert_int_equal(delivery_domain_set(s.r.d, 2, "d2.test", 0), 0);
	store(&s, 1);
	room_run(&s.r, &s.r.failed, 1);
	s.r.messages[0].domain = 2;
	s.r.may_offer = true;
	room_run(&s.r, &s.r.failed, 2);
	assert_string_equal(s.r.failure, "connect/- connect/-");
	assert_string_equal(s.r.remote, "gone.test");
	delivery_stats(s.r.d, &st);
	assert_int_equal(st.connections_tried, 1);
	teardown(&s);
}

/* Each source uses the addresses of its own family. */
static void a_source_takes_the_addresses_of_its_family(void **state)
{
	static const struct fake_record r[] = {
		{"both.test", FAKE_MX, 10, "mx.test", 0},
		{"mx.test", FAKE_A, 0, "127.0.0.11", 0},
		{"mx.test", FAKE_AAAA, 0, "2001:db8::1", 0}};
	struct setup s;

	setup(&s, r, COUNT(r));
	assert_int_equal(addr_parse("::1", 0, &s.r.sources[1].address), 0);
	s.r.sources[1].public_address = s.r.sources[1].address;
	start(&s, "both.test");
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(at_11(&s), 1);
	assert_int_equal(fake_dns_asked(s.dns, "mx.test", FAKE_AAAA), 1);
	store(&s, 1);
	s.r.messages[1].source = 1;
	room_run(&s.r, &s.r.failed, 1);
	assert_non_null(strstr(s.r.detail, "2001:db8::1"));
	assert_int_equal(at_11(&s), 1);
	teardown(&s);
}

/* The organisation behind a domain is read from the best hosts only. */
static void the_best_hosts_are_told(void **state)
{
	static const struct fake_record r[] = {
		{"told.test", FAKE_MX, 10, "b.site.test", 77},
		{"told.test", FAKE_MX, 10, "A.site.test", 77},
		{"told.test", FAKE_MX, 20, "backup.test", 77},
		{"a.site.test", FAKE_A, 0, "127.0.0.11", 300},
		{"b.site.test", FAKE_A, 0, "127.0.0.12", 300},
		{"backup.test", FAKE_A, 0, "127.0.0.19", 300},
		{"plain.test", FAKE_A, 0, "127.0.0.11", 300}};
	struct setup s;

	setup(&s, r, COUNT(r));
	start(&s, "told.test");
	delivery_domain_ask(s.r.d, 1);
	room_run(&s.r, &s.r.routed, 1);
	assert_string_equal(s.r.hosts, "a.site.test b.site.test");
	assert_in_range(s.r.ttl_ns / NS_PER_S, 75, 77);
	assert_int_equal(delivery_domain_set(s.r.d, 2, "plain.test", 0), 0);
	delivery_domain_ask(s.r.d, 2);
	room_run(&s.r, &s.r.routed, 2);
	assert_string_equal(s.r.hosts, "plain.test");
	teardown(&s);
}

/* Messages of very many domains: equal hosts share the first connections. */
static void the_first_host_among_equals_is_random(void **state)
{
	static struct fake_record r[140];
	static char names[64][16], alone[64][16];
	struct setup s;

	for (uint32_t i = 0; i < 64; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "r%u.test", i);
		(void)snprintf(alone[i], sizeof(alone[i]), "x%u.test", i);
		/* hosts of its own, so that each has a lane of its own */
		r[2 * i] = (struct fake_record){names[i], FAKE_MX, 10, alone[i],
						0};
		r[2 * i + 1] = (struct fake_record){alone[i], FAKE_CNAME, 0,
						    "pair.test", 0};
	}
	r[128] = (struct fake_record){"pair.test", FAKE_A, 0, "127.0.0.11", 0};
	r[129] = (struct fake_record){"pair.test", FAKE_A, 0, "127.0.0.12", 0};
	setup(&s, r, 130);
	s.r.providers[0].connection_messages = 1;
	room_start(&s.r);
	for (uint32_t i = 0; i < 64; i++) {
		assert_int_equal(delivery_domain_set(s.r.d, i + 1, names[i], 0),
				 0);
		store(&s, i + 1);
	}
	room_run(&s.r, &s.r.done, 64);
	assert_in_range(at_11(&s), 8, 56);
	teardown(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_hosts_get_nothing_after_their_ttl),
		cmocka_unit_test(answers_are_kept_for_their_ttl),
		cmocka_unit_test(the_ttl_of_an_alias_counts),
		cmocka_unit_test(
			a_ttl_of_zero_works_and_is_asked_for_each_time),
		cmocka_unit_test(nothing_is_believed_for_the_soa_minimum),
		cmocka_unit_test(a_failure_does_not_revive_old_hosts),
		cmocka_unit_test(lies_are_told_apart),
		cmocka_unit_test(mail_goes_past_us_to_a_better_host),
		cmocka_unit_test(loopback_in_public_answers_is_us),
		cmocka_unit_test(silent_name_servers_hold_up_nobody),
		cmocka_unit_test(a_silent_name_server_is_told),
		cmocka_unit_test(a_dead_host_is_not_tried_by_every_domain),
		cmocka_unit_test(domains_that_look_on_are_told),
		cmocka_unit_test(a_source_takes_the_addresses_of_its_family),
		cmocka_unit_test(the_best_hosts_are_told),
		cmocka_unit_test(the_first_host_among_equals_is_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
