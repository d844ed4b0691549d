/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_reload.c - another config while connections are open.
 */
#include "delivery_room.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const one[] = {"a@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";

struct reload {
	struct room r;
	struct fake_receiver *f;
	struct config config; /* the next one */
	struct config_source sources[5];
	struct config_provider providers[4];
};

static void reload_open(struct reload *t, const struct fake_options *o)
{
	memset(t, 0, sizeof(*t));
	t->f = fake_receiver_start(o);
	room_open(&t->r, fake_receiver_port(t->f));
	room_start(&t->r);
	t->config = t->r.config;
	memcpy(t->sources, t->r.sources, sizeof(t->r.sources));
	memcpy(t->providers, t->r.providers, sizeof(t->r.providers));
	t->config.sources = t->sources;
	t->config.providers = t->providers;
}

static void reload_close(struct reload *t)
{
	room_close(&t->r);
	fake_receiver_stop(&t->f);
}

static void config_set(struct reload *t)
{
	static const uint32_t numbers[] = {0, 1, 2, 3};
	struct err e = {""};

	if (delivery_config_set(t->r.d, &t->config, numbers,
				t->config.provider_count, &e) != 0)
		fail_msg("%s", e.text);
}

static void send_one(struct reload *t)
{
	(void)room_store(&t->r, one, 1, small, sizeof(small) - 1, 0);
	room_run(&t->r, &t->r.done, t->r.stored);
}

/* Catches mail that goes on to the old route, by an open connection or by
 * what was found out before. */
static void another_route_counts_from_the_next_message_on(void **state)
{
	struct fake_options o = {0};
	struct fake_receiver *other = fake_receiver_start(&o);
	struct reload t;
	char route[64];

	reload_open(&t, &o);
	send_one(&t);
	(void)snprintf(route, sizeof(route), "127.0.0.1:%u",
		       fake_receiver_port(other));
	t.providers[0].route = route;
	config_set(&t);
	send_one(&t);
	assert_int_equal(fake_receiver_count(t.f, AT_MAIL), 1);
	assert_int_equal(fake_receiver_count(other, AT_MAIL), 1);
	reload_close(&t);
	fake_receiver_stop(&other);
}

/* Catches a connection that is torn down for a change that is not its own. */
static void other_changes_leave_connections_open(void **state)
{
	struct fake_options o = {0};
	struct reload t;

	reload_open(&t, &o);
	send_one(&t);
	t.providers[0].pace_max = (struct pace){7, NS_PER_S};
	t.sources[2].gone = true;
	config_set(&t);
	send_one(&t);
	assert_int_equal(fake_receiver_connections(t.f), 1);
	reload_close(&t);
}

/* Catches mail that leaves by the old address of a source, and an idle
 * connection that stays open there. */
static void another_address_means_another_connection(void **state)
{
	struct fake_options o = {0};
	struct reload t;

	reload_open(&t, &o);
	send_one(&t);
	assert_int_equal(addr_parse("127.0.0.77", 0, &t.sources[0].address), 0);
	config_set(&t);
	room_run_for(&t.r, 50 * NS_PER_MS);
	assert_int_equal(fake_receiver_count(t.f, AT_QUIT), 1);
	send_one(&t);
	assert_int_equal(fake_receiver_connections(t.f), 2);
	reload_close(&t);
}

/* Catches a message cut off because its source is removed, and a connection
 * that is used again afterwards. */
static void a_message_under_way_ends_as_it_would_have(void **state)
{
	struct fake_options o = {0};
	struct reload t;

	reload_open(&t, &o);
	t.r.go = GO_LATER;
	(void)room_store(&t.r, one, 1, small, sizeof(small) - 1, 0);
	room_run(&t.r, &t.r.attempts, 1);
	t.sources[0].gone = true;
	config_set(&t);
	room_run(&t.r, &t.r.done, 1);
	assert_string_equal(t.r.results, "0:accepted/eom/250");
	room_run_for(&t.r, 50 * NS_PER_MS);
	assert_int_equal(fake_receiver_count(t.f, AT_QUIT), 1);
	reload_close(&t);
}

/* Catches paths that are mixed up when the table is laid out anew, and a new
 * provider with the wrong settings. */
static void more_sources_and_providers_find_their_places(void **state)
{
	struct fake_options o = {0};
	struct delivery_stats s;
	struct room_message *m;
	struct reload t;

	reload_open(&t, &o);
	send_one(&t);
	for (uint32_t i = 3; i < 5; i++) {
		t.sources[i] = t.sources[0];
		assert_int_equal(addr_parse(i == 3 ? "127.0.0.4" : "127.0.0.5",
					    0, &t.sources[i].address),
				 0);
	}
	t.providers[3] = t.providers[0];
	t.config.source_count = 5;
	t.config.provider_count = 4;
	config_set(&t);
	send_one(&t);
	assert_int_equal(delivery_path_stats(t.r.d, 0, 0, &s), 0);
	assert_int_equal(s.accepted, 2);
	assert_int_equal(delivery_domain_set(t.r.d, 1, "example.com", 3), 0);
	m = room_store(&t.r, one, 1, small, sizeof(small) - 1, 0);
	m->provider = 3;
	m->source = 4;
	m->domain = 1;
	room_run(&t.r, &t.r.done, 3);
	assert_int_equal(delivery_path_stats(t.r.d, 3, 4, &s), 0);
	assert_int_equal(s.accepted, 1);
	assert_int_equal(delivery_path_stats(t.r.d, 0, 0, &s), 0);
	assert_int_equal(s.accepted, 2);
	reload_close(&t);
}

/* Catches a config that is half taken over. */
static void a_wrong_server_changes_nothing(void **state)
{
	static char bad[] = "nowhere", *servers[] = {bad};
	struct fake_options o = {0};
	struct err e = {""};
	struct reload t;
	uint32_t number = 0;

	reload_open(&t, &o);
	t.config.resolver.servers = servers;
	t.config.resolver.server_count = 1;
	t.sources[0].gone = true;
	assert_true(delivery_config_set(t.r.d, &t.config, &number, 1, &e) < 0);
	assert_non_null(strstr(e.text, "nowhere"));
	send_one(&t);
	reload_close(&t);
}

/* Catches a resolver that is closed under a question, or never. */
static void other_servers_answer_from_now_on(void **state)
{
	static char ip[] = "127.0.0.1:1", *servers[] = {ip};
	struct fake_options o = {0};
	struct reload t;

	reload_open(&t, &o);
	t.config.resolver.servers = servers;
	t.config.resolver.server_count = 1;
	config_set(&t);
	delivery_tidy(t.r.d);
	send_one(&t); /* by its route */
	reload_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_route_counts_from_the_next_message_on),
		cmocka_unit_test(other_changes_leave_connections_open),
		cmocka_unit_test(another_address_means_another_connection),
		cmocka_unit_test(a_message_under_way_ends_as_it_would_have),
		cmocka_unit_test(more_sources_and_providers_find_their_places),
		cmocka_unit_test(a_wrong_server_changes_nothing),
		cmocka_unit_test(other_servers_answer_from_now_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
