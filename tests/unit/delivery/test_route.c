/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_route.c - where the mail of a domain goes, as DNS or the config says.
 */
#include "delivery_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/mx.h"
#include "fake_dns.h"

static const char *const rcpt[] = {"a@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";

/* Receivers listen on .11 and .12; nobody on .19. */
static const struct fake_record records[] = {
	{"two.test", FAKE_MX, 20, "mx12.test", 0},
	{"two.test", FAKE_MX, 10, "mx11.test", 0},
	{"same.test", FAKE_MX, 10, "mx11.test", 0},
	{"same.test", FAKE_MX, 20, "mx12.test", 0},
	{"dead-first.test", FAKE_MX, 10, "mx19.test", 0},
	{"dead-first.test", FAKE_MX, 20, "mx12.test", 0},
	{"dead.test", FAKE_MX, 10, "mx19.test", 0},
	{"dead.test", FAKE_MX, 20, "mx18.test", 0},
	{"implicit.test", FAKE_A, 0, "127.0.0.12", 0},
	{"null.test", FAKE_MX, 0, "", 0},
	{"odd-null.test", FAKE_MX, 0, "", 0},
	{"odd-null.test", FAKE_MX, 10, "mx11.test", 0},
	{"fail.test", FAKE_SERVFAIL, 0, NULL, 0},
	{"no-address.test", FAKE_MX, 10, "nowhere.test", 0},
	{"nothing.test", FAKE_CNAME, 0, "empty.test", 0},
	{"empty.test", FAKE_MX + 1, 0, "x.test", 0},
	{"alias.test", FAKE_CNAME, 0, "two.test", 0},
	{"mx11.test", FAKE_A, 0, "127.0.0.11", 0},
	{"mx12.test", FAKE_A, 0, "127.0.0.12", 0},
	{"mx18.test", FAKE_A, 0, "127.0.0.18", 0},
	{"mx19.test", FAKE_A, 0, "127.0.0.19", 0},
	{"many.test", FAKE_A, 0, "127.0.0.11", 0},
	{"many.test", FAKE_A, 0, "127.0.0.12", 0},
};

struct setup {
	struct fake_dns *dns;
	struct fake_receiver *f11, *f12;
	struct room r;
	char server[32];
	char *servers[1];
};

static void setup(struct setup *s, const struct fake_rule *rules,
		  uint32_t count)
{
	struct fake_options o11 = {
		.address = "127.0.0.11", .rules = rules, .rule_count = count};
	struct fake_options o12 = {.address = "127.0.0.12"};

	s->dns = fake_dns_start(records, sizeof(records) / sizeof(records[0]));
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

static void store(struct setup *s, uint32_t domain)
{
	room_store(&s->r, rcpt, 1, small, sizeof(small) - 1, 0)->domain =
		domain;
}

static void one_message_to(struct setup *s, const char *domain)
{
	room_start(&s->r);
	assert_int_equal(delivery_domain_set(s->r.d, 1, domain, 0), 0);
	store(s, 1);
}

/* One message to `domain`, delivered to `eleven` or to the other one. */
static void expect_delivery(const char *domain, bool eleven, const char *remote)
{
	struct setup s;

	setup(&s, NULL, 0);
	one_message_to(&s, domain);
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results, "0:accepted/eom/250");
	assert_string_equal(s.r.remote, remote);
	assert_int_equal(fake_receiver_count(s.f11, AT_EOM), eleven);
	assert_int_equal(fake_receiver_count(s.f12, AT_EOM), !eleven);
	assert_int_equal(s.r.failed, 0);
	teardown(&s);
}

static void mail_goes_to_the_best_host(void **state)
{
	expect_delivery("two.test", true, "mx11.test");
	expect_delivery("dead-first.test", false, "mx12.test");
	expect_delivery("implicit.test", false, "implicit.test");
	expect_delivery("odd-null.test", true, "mx11.test");
	expect_delivery("alias.test", true, "mx11.test");
}

static void expect_unroutable(const char *domain, bool permanent,
			      const char *detail)
{
	struct setup s;

	setup(&s, NULL, 0);
	one_message_to(&s, domain);
	room_run(&s.r, &s.r.unroutable, 1);
	assert_int_equal(s.r.permanent, permanent);
	if (strncmp(s.r.detail, detail, strlen(detail)) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", domain, s.r.detail, detail);
	/* asked again: told again, from the loop */
	s.r.may_offer = true;
	room_run(&s.r, &s.r.unroutable, 2);
	assert_int_equal(s.r.failed, 0);
	teardown(&s);
}

static void domains_without_hosts_are_told(void **state)
{
	expect_unroutable("null.test", true, "5.1.10 null.test takes no mail");
	expect_unroutable("missing.test", true,
			  "5.1.2 domain missing.test does not exist");
	expect_unroutable("nothing.test", true,
			  "5.1.2 domain nothing.test has neither");
	expect_unroutable("fail.test", false, "DNS: fail.test: ");
	expect_unroutable("no-address.test", false,
			  "no MX host of no-address.test has an address");
	expect_unroutable("[192.0.2.300]", true, "5.1.2 ");
}

/* Every host is tried before anybody is told, once. */
static void all_hosts_dead_is_one_failure(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	one_message_to(&s, "dead.test");
	room_run(&s.r, &s.r.failed, 1);
	assert_string_equal(s.r.failure, "connect/-");
	assert_string_equal(s.r.remote, "mx18.test"); /* the last error */
	room_run_for(&s.r, 200 * NS_PER_MS);
	assert_int_equal(s.r.failed, 1);
	teardown(&s);
}

/* 4xx in the greeting: the next host. 5xx is an answer: no poking around. */
static void greeting_decides_whether_others_are_tried(void **state)
{
	static const struct fake_rule busy[] = {
		{AT_GREETING, 0, DO_SAY, "421 busy\r\n"}};
	static const struct fake_rule blocked[] = {
		{AT_GREETING, 0, DO_SAY, "554 5.7.1 blocked\r\n"}};
	struct setup s;

	setup(&s, busy, 1);
	one_message_to(&s, "two.test");
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results, "0:accepted/eom/250");
	assert_int_equal(fake_receiver_count(s.f12, AT_EOM), 1);
	assert_int_equal(s.r.failed, 0);
	teardown(&s);
	setup(&s, blocked, 1);
	one_message_to(&s, "two.test");
	room_run(&s.r, &s.r.failed, 1);
	assert_string_equal(s.r.failure, "connect/554");
	assert_string_equal(s.r.remote, "mx11.test");
	assert_int_equal(fake_receiver_connections(s.f12), 0);
	teardown(&s);
}

/* Two domains with the same MX set use one connection. */
static void domains_with_the_same_hosts_share_connections(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	s.r.providers[0].connections_max = 1;
	room_start(&s.r);
	assert_int_equal(delivery_domain_set(s.r.d, 1, "two.test", 0), 0);
	assert_int_equal(delivery_domain_set(s.r.d, 2, "same.test", 0), 0);
	for (uint32_t i = 0; i < 10; i++)
		store(&s, 1 + i % 2);
	room_run(&s.r, &s.r.done, 10);
	assert_int_equal(fake_receiver_connections(s.f11), 1);
	assert_int_equal(fake_receiver_count(s.f11, AT_EOM), 10);
	teardown(&s);
}

/* Equally good addresses take turns. */
static void equal_addresses_share_the_load(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	s.r.providers[0].connection_messages = 1;
	room_start(&s.r);
	assert_int_equal(delivery_domain_set(s.r.d, 1, "many.test", 0), 0);
	for (uint32_t i = 0; i < 10; i++)
		store(&s, 1);
	room_run(&s.r, &s.r.done, 10);
	assert_in_range(fake_receiver_count(s.f11, AT_EOM), 3, 7);
	teardown(&s);
}

static void route_replaces_the_lookup(void **state)
{
	struct setup s;
	char route[64];

	setup(&s, NULL, 0);
	(void)snprintf(route, sizeof(route), "mx12.test:%u",
		       fake_receiver_port(s.f12));
	s.r.config.delivery.port = 1;
	s.r.providers[1].route = route;
	room_start(&s.r);
	assert_int_equal(delivery_domain_set(s.r.d, 1, "two.test", 1), 0);
	store(&s, 1);
	s.r.messages[0].provider = 1;
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(fake_receiver_count(s.f12, AT_EOM), 1);
	teardown(&s);
}

/* The default provider's route serves those that have none. */
static void default_route_serves_everybody(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	(void)snprintf(s.r.route, sizeof(s.r.route), "127.0.0.12:%u",
		       fake_receiver_port(s.f12));
	s.r.providers[0].route = s.r.route;
	room_start(&s.r);
	assert_int_equal(delivery_domain_set(s.r.d, 1, "missing.test", 77), 0);
	store(&s, 1);
	s.r.messages[0].provider = 77;
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results, "0:accepted/eom/250");
	assert_string_equal(s.r.remote, "127.0.0.12");
	teardown(&s);
}

static void bad_resolver_address_is_told(void **state)
{
	struct delivery_options o = {0};
	struct delivery *d = NULL;
	struct setup s;
	struct err e = {""};
	char bad[] = "ns.example.org";

	setup(&s, NULL, 0);
	room_start(&s.r);
	s.servers[0] = bad;
	o.config = &s.r.config;
	o.spool = s.r.sp;
	o.io = s.r.io;
	assert_true(delivery_create(&d, &o, NULL, NULL, &e) < 0);
	assert_null(d);
	assert_string_equal(e.text, "resolver.servers: \"ns.example.org\" is "
				    "no address");
	teardown(&s);
}

/* MX records are bytes from the network. */
static void malformed_mx_records_are_left_out(void **state)
{
	static char good[] = "\0\x0a\3MX1\4test", root[] = "\0\0";
	static char cut[] = "\0\x01\7mx", long_label[] = "\0\1\x40xx";
	static char dotted[] = "\0\1\3a.b", unended[] = "\0\1\2mx";
	char *data[] = {good, cut, long_label, dotted, unended, root, root};
	int len[] = {12, 5, 5, 7, 5, 3, 1};
	struct mx_list l;

	mx_list_parse(&l, data, len, 7);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.hosts[0].name, "mx1.test");
	assert_int_equal(l.hosts[0].preference, 10);
	assert_false(l.null);
	mx_list_parse(&l, data + 5, len + 5, 1);
	assert_true(l.null && !l.count);
}

/* More hosts than we keep: the best ones, whatever their order. */
static void best_mx_hosts_are_kept_sorted(void **state)
{
	static char wire[40][8];
	char *data[40];
	int len[40];
	struct mx_list l;

	for (int i = 0; i < 40; i++) {
		memcpy(wire[i], "\0\0\2aa\0", 6);
		wire[i][1] = (char)((i * 17) % 40);
		wire[i][4] = (char)('a' + (i * 17) % 26);
		data[i] = wire[i];
		len[i] = 6;
	}
	mx_list_parse(&l, data, len, 40);
	assert_int_equal(l.count, MX_HOSTS_MAX);
	for (uint32_t i = 0; i < MX_HOSTS_MAX; i++)
		assert_int_equal(l.hosts[i].preference, i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_goes_to_the_best_host),
		cmocka_unit_test(domains_without_hosts_are_told),
		cmocka_unit_test(all_hosts_dead_is_one_failure),
		cmocka_unit_test(greeting_decides_whether_others_are_tried),
		cmocka_unit_test(domains_with_the_same_hosts_share_connections),
		cmocka_unit_test(equal_addresses_share_the_load),
		cmocka_unit_test(route_replaces_the_lookup),
		cmocka_unit_test(default_route_serves_everybody),
		cmocka_unit_test(bad_resolver_address_is_told),
		cmocka_unit_test(malformed_mx_records_are_left_out),
		cmocka_unit_test(best_mx_hosts_are_kept_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
