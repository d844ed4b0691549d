/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_connection.c - how many connections there are, who may use them, and
 * when they end.
 */
#include "delivery_room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const rcpt[] = {"a@example.net", "b@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";

struct setup {
	struct fake_receiver *f;
	struct room r;
};

static void setup(struct setup *s, const struct fake_rule *rules,
		  uint32_t count)
{
	struct fake_options fo = {.rules = rules, .rule_count = count};

	s->f = fake_receiver_start(&fo);
	room_open(&s->r, fake_receiver_port(s->f));
}

static void teardown(struct setup *s)
{
	room_close(&s->r);
	fake_receiver_stop(&s->f);
}

static void store(struct setup *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		(void)room_store(&s->r, rcpt, 1, small, sizeof(small) - 1, 0);
}

/* With a limited pace and one message at a time one connection does it all. */
static void connection_is_used_again(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	s.r.providers[0].connections_max = 1;
	room_start(&s.r);
	store(&s, 20);
	room_run(&s.r, &s.r.done, 20);
	assert_int_equal(fake_receiver_connections(s.f), 1);
	assert_int_equal(fake_receiver_count(s.f, AT_RSET), 0);
	assert_int_equal(fake_receiver_count(s.f, AT_EOM), 20);
	teardown(&s);
}

/* MAIL, RCPT and DATA come in one segment; nothing of the sort without
 * PIPELINING (that is in test_session). */
static void commands_are_pipelined(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	room_start(&s.r);
	(void)room_store(&s.r, rcpt, 2, small, sizeof(small) - 1, 0);
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(fake_receiver_burst(s.f), 4);
	assert_string_equal(fake_receiver_commands(s.f),
			    "EHLO client.example.org\r\n"
			    "MAIL FROM:<s@example.org> SIZE=21\r\n"
			    "RCPT TO:<a@example.net>\r\n"
			    "RCPT TO:<b@example.net>\r\nDATA\r\n");
	teardown(&s);
}

static void connections_end_after_their_messages(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	s.r.providers[0].connections_max = 1;
	s.r.providers[0].connection_messages = 3;
	room_start(&s.r);
	store(&s, 10);
	room_run(&s.r, &s.r.done, 10);
	assert_int_equal(fake_receiver_connections(s.f), 4);
	assert_int_equal(fake_receiver_count(s.f, AT_QUIT), 3);
	teardown(&s);
}

/* RSET only after a transaction that failed half way. */
static void failed_transaction_is_reset(void **state)
{
	static const struct fake_rule rules[] = {
		{AT_RCPT, 1, DO_SAY, "550 5.1.1 no\r\n"},
		{AT_DATA, 1, DO_SAY, "503 5.5.1 nobody\r\n"},
		{AT_EOM, 1, DO_SAY, "550 5.7.1 spam\r\n"}};
	struct setup s;

	setup(&s, rules, 3);
	s.r.providers[0].connections_max = 1;
	room_start(&s.r);
	store(&s, 3);
	room_run(&s.r, &s.r.done, 3);
	assert_string_equal(s.r.results, "0:refused/rcpt/550 0:refused/eom/550 "
					 "0:accepted/eom/250");
	assert_int_equal(fake_receiver_count(s.f, AT_RSET), 1);
	assert_int_equal(fake_receiver_connections(s.f), 1);
	teardown(&s);
}

static void rset_refused_ends_the_connection(void **state)
{
	static const struct fake_rule rules[] = {
		{AT_DATA, 1, DO_SAY, "451 4.3.0 no\r\n"},
		{AT_RSET, 1, DO_SAY, "421 bye\r\n"}};
	struct setup s;

	setup(&s, rules, 2);
	s.r.providers[0].connections_max = 1;
	room_start(&s.r);
	store(&s, 2);
	room_run(&s.r, &s.r.done, 2);
	assert_int_equal(fake_receiver_connections(s.f), 2);
	teardown(&s);
}

/* The receiver closes between two messages, at the worst moment or before:
 * nobody's fault and no outcome, NOT_TRIED at most, never LOST. */
static void close_between_messages_costs_nothing(void **state)
{
	static const struct fake_rule close_after[] = {
		{AT_EOM, 0, DO_CLOSE, "250 2.0.0 taken\r\n"}};
	struct setup s;

	setup(&s, close_after, 1);
	s.r.providers[0].connections_max = 1;
	room_start(&s.r);
	store(&s, 10);
	room_run(&s.r, &s.r.done, 10);
	assert_null(strstr(s.r.results, "lost"));
	assert_null(strstr(s.r.results, "doubt"));
	assert_non_null(strstr(s.r.results, "accepted"));
	teardown(&s);
}

static void code_421_between_messages_costs_nothing(void **state)
{
	static const struct fake_rule say_421[] = {
		{AT_IDLE, 1, DO_CLOSE, "421 4.4.2 idle too long\r\n"}};
	struct setup s;

	setup(&s, say_421, 1);
	s.r.providers[0].connections_max = 1;
	room_start(&s.r);
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	room_run_for(&s.r, 100 * NS_PER_MS);
	store(&s, 1);
	room_run(&s.r, &s.r.done, 2);
	assert_string_equal(s.r.results,
			    "0:accepted/eom/250 0:accepted/eom/250");
	assert_int_equal(fake_receiver_connections(s.f), 2);
	assert_int_equal(s.r.failed, 0);
	teardown(&s);
}

static void idle_connection_says_quit(void **state)
{
	struct delivery_stats st;
	struct setup s;

	setup(&s, NULL, 0);
	s.r.config.delivery.idle_ns = 50 * NS_PER_MS;
	room_start(&s.r);
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	room_run_for(&s.r, 300 * NS_PER_MS);
	assert_int_equal(fake_receiver_count(s.f, AT_QUIT), 1);
	delivery_stats(s.r.d, &st);
	assert_int_equal(st.connections_open, 0);
	teardown(&s);
}

/* Only as many as the path may have, however much there is to do. */
static void path_cap_holds(void **state)
{
	static const struct fake_rule slow[] = {{AT_EOM, 0, DO_BYTES, NULL}};
	struct setup s;

	setup(&s, slow, 1);
	s.r.providers[0].connections_max = 3;
	s.r.providers[0].pace_max = PACE_UNLIMITED;
	room_start(&s.r);
	store(&s, 60);
	room_run(&s.r, &s.r.done, 60);
	assert_int_equal(fake_receiver_most(s.f), 3);
	teardown(&s);
}

static void total_cap_holds_and_everybody_gets_a_turn(void **state)
{
	struct setup s;
	uint32_t most = 0;

	setup(&s, NULL, 0);
	s.r.config.delivery.connections_total = 2;
	room_start(&s.r);
	for (uint32_t i = 0; i < 60; i++) {
		struct room_message *m =
			room_store(&s.r, rcpt, 1, small, sizeof(small) - 1, 0);

		m->source = i % 3;
	}
	/* our own count: the receiver hears of a close when it gets round to
	 * it */
	for (uint32_t i = 1; i <= 60; i++) {
		struct delivery_stats st;

		room_run(&s.r, &s.r.done, i);
		delivery_stats(s.r.d, &st);
		assert_in_range(st.connections_open, 0, 2);
		most = st.connections_open > most ? st.connections_open : most;
	}
	assert_int_equal(most, 2);
	teardown(&s);
}

/* Two next hops on a path with one connection: they take turns, and the idle
 * connection of one makes room for the other. */
static void next_hops_share_a_path(void **state)
{
	struct fake_options fo = {.address = "127.0.0.9"};
	struct fake_receiver *other;
	struct setup s;

	setup(&s, NULL, 0);
	fo.port = fake_receiver_port(s.f);
	other = fake_receiver_start(&fo);
	s.r.providers[0].connections_max = 1;
	s.r.providers[0].route = NULL;
	room_start(&s.r);
	assert_int_equal(delivery_domain_set(s.r.d, 1, "[127.0.0.1]", 0), 0);
	assert_int_equal(delivery_domain_set(s.r.d, 2, "[127.0.0.9]", 0), 0);
	for (uint32_t i = 0; i < 30; i++)
		room_store(&s.r, rcpt, 1, small, sizeof(small) - 1, 0)->domain =
			1 + i / 5 % 2;
	room_run(&s.r, &s.r.done, 30);
	assert_int_equal(fake_receiver_count(s.f, AT_EOM), 15);
	assert_int_equal(fake_receiver_count(other, AT_EOM), 15);
	assert_int_equal(fake_receiver_count(s.f, AT_QUIT), 3);
	teardown(&s);
	fake_receiver_stop(&other);
}

/* Nobody listens: told once, then only when asked again and no sooner than
 * back-off allows. */
static void refused_connect_backs_off(void **state)
{
	struct delivery_stats st;
	struct setup s;
	uint16_t port;
	uint64_t start_ns;

	setup(&s, NULL, 0);
	port = fake_receiver_port(s.f);
	fake_receiver_stop(&s.f);
	room_start(&s.r);
	store(&s, 1);
	start_ns = clock_monotonic_ns();
	room_run(&s.r, &s.r.failed, 1);
	assert_string_equal(s.r.failure, "connect/-");
	assert_non_null(strstr(s.r.detail, "Connection refused"));
	room_run(&s.r, &s.r.failed, 2);
	assert_true(clock_monotonic_ns() - start_ns >= NS_PER_S);
	assert_true(clock_monotonic_ns() - start_ns < 2 * NS_PER_S);
	delivery_stats(s.r.d, &st);
	assert_int_equal(st.connections_failed, 2);
	s.f = fake_receiver_start(&(struct fake_options){.port = port});
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results, "0:accepted/eom/250");
	teardown(&s);
}

/* A source address that this machine does not have. */
static void missing_source_address_is_told(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	(void)addr_parse("192.0.2.77", 0, &s.r.sources[0].address);
	room_start(&s.r);
	store(&s, 1);
	room_run(&s.r, &s.r.failed, 1);
	assert_non_null(strstr(s.r.detail, "192.0.2.77"));
	assert_int_equal(fake_receiver_connections(s.f), 0);
	teardown(&s);
}

static void family_that_does_not_fit_is_told(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	(void)addr_parse("::1", 0, &s.r.sources[0].address);
	room_start(&s.r);
	store(&s, 1);
	room_run_for(&s.r, 50 * NS_PER_MS);
	assert_int_equal(s.r.offer_error, -EAFNOSUPPORT);
	assert_int_equal(s.r.failed, 0);
	teardown(&s);
}

/* IPv6 from end to end; a source without a name greets with its address. */
static void ipv6_source_reaches_an_ipv6_host(void **state)
{
	struct fake_options fo = {.address = "::1"};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct addr any;
	struct setup s;

	(void)addr_parse("::1", 0, &any);
	if (fd < 0 || bind(fd, &any.sa, addr_len_bytes(&any)))
		skip(); /* no IPv6 here */
	(void)close(fd);
	s.f = fake_receiver_start(&fo);
	room_open(&s.r, fake_receiver_port(s.f));
	s.r.providers[0].route = NULL;
	s.r.sources[0].address = s.r.sources[0].public_address = any;
	s.r.sources[0].helo = NULL;
	room_start(&s.r);
	assert_int_equal(delivery_domain_set(s.r.d, 1, "[IPv6:::1]", 0), 0);
	store(&s, 1);
	s.r.messages[0].domain = 1;
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results, "0:accepted/eom/250");
	assert_memory_equal(fake_receiver_commands(s.f), "EHLO [IPv6:::1]\r\n",
			    17);
	teardown(&s);
}

/* The final dot waits for the attempt to be durable. */
static void no_dot_before_go(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	s.r.go = GO_NEVER;
	room_start(&s.r);
	store(&s, 1);
	room_run(&s.r, &s.r.attempts, 1);
	room_run(&s.r, &s.r.done, 1); /* the data timeout */
	assert_int_equal(fake_receiver_count(s.f, AT_EOM), 0);
	assert_string_equal(s.r.results, "0:lost/eom/-");
	teardown(&s);
}

static void attempt_that_is_not_durable_is_no_attempt(void **state)
{
	struct setup s;

	setup(&s, NULL, 0);
	s.r.go = GO_ERROR;
	room_start(&s.r);
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(fake_receiver_count(s.f, AT_EOM), 0);
	assert_string_equal(s.r.results, "0:not_tried/mail/-");
	assert_non_null(strstr(s.r.detail, "could not be recorded"));
	teardown(&s);
}

/* It goes out with MAIL, before anybody could refuse: one is refused here. */
static void attempt_names_all_recipients_of_the_transaction(void **state)
{
	static const struct fake_rule rules[] = {
		{AT_RCPT, 1, DO_SAY, "550 5.1.1 no\r\n"}};
	struct setup s;

	setup(&s, rules, 1);
	room_start(&s.r);
	(void)room_store(&s.r, rcpt, 2, small, sizeof(small) - 1, 0);
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(s.r.attempt_rcpts, 2);
	assert_string_equal(s.r.address, "b@example.net");
	teardown(&s);
}

static void late_go_for_a_lost_message_is_harmless(void **state)
{
	static const struct fake_rule rules[] = {
		{AT_DATA, 1, DO_CLOSE, "354 go\r\n"}};
	struct setup s;

	setup(&s, rules, 1);
	s.r.go = GO_NEVER;
	room_start(&s.r);
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results, "0:lost/eom/-");
	for (uint64_t generation = 0; generation < 4; generation++)
		delivery_go(s.r.d, generation << 32, 0);
	teardown(&s);
}

/* Destroying in the middle ends each message exactly once. */
static void destroy_ends_what_is_in_flight(void **state)
{
	static const struct fake_rule before[] = {{AT_DATA, 1, DO_STALL, NULL}};
	static const struct fake_rule after[] = {{AT_EOM, 1, DO_STALL, NULL}};
	struct setup s;

	setup(&s, before, 1);
	room_start(&s.r);
	store(&s, 1);
	while (fake_receiver_count(s.f, AT_DATA) == 0)
		room_turn(&s.r);
	room_run_for(&s.r, 50 * NS_PER_MS);
	delivery_destroy(&s.r.d);
	assert_string_equal(s.r.results, "0:lost/data/-");
	teardown(&s);
	setup(&s, after, 1);
	room_start(&s.r);
	store(&s, 1);
	while (fake_receiver_count(s.f, AT_EOM) == 0)
		room_turn(&s.r);
	room_run_for(&s.r, 50 * NS_PER_MS);
	delivery_destroy(&s.r.d);
	assert_string_equal(s.r.results, "0:in_doubt/eom/-");
	teardown(&s);
}

static uint32_t stopped;
static void on_stopped(void *user)
{
	stopped++;
}

static void stop_waits_for_the_last_message(void **state)
{
	static const struct fake_rule slow[] = {{AT_EOM, 1, DO_BYTES, NULL}};
	struct setup s;

	stopped = 0;
	setup(&s, slow, 1);
	room_start(&s.r);
	store(&s, 1);
	while (fake_receiver_count(s.f, AT_EOM) == 0)
		room_turn(&s.r);
	delivery_stop(s.r.d, on_stopped, NULL);
	assert_int_equal(stopped, 0);
	assert_int_equal(delivery_offer(s.r.d, 0, 0, 0, &s.r.messages[0].m),
			 -ESHUTDOWN);
	room_run(&s.r, &stopped, 1);
	assert_int_equal(s.r.done, 1);
	room_run_for(&s.r, 50 * NS_PER_MS);
	assert_int_equal(stopped, 1);
	assert_int_equal(fake_receiver_count(s.f, AT_QUIT), 1);
	teardown(&s);
}

static void dropped_idle_connections_are_gone(void **state)
{
	struct delivery_stats st;
	struct setup s;

	setup(&s, NULL, 0);
	room_start(&s.r);
	store(&s, 1);
	room_run(&s.r, &s.r.done, 1);
	assert_true(delivery_ready(s.r.d, 0, 0, 0));
	delivery_drop_idle(s.r.d, 0, 0);
	delivery_drop_idle(s.r.d, 0, 1); /* a path that never was */
	assert_int_equal(delivery_offer(s.r.d, 0, 0, 0, &s.r.messages[0].m),
			 -EAGAIN);
	room_run_for(&s.r, 100 * NS_PER_MS);
	assert_int_equal(fake_receiver_count(s.f, AT_QUIT), 1);
	assert_int_equal(delivery_path_stats(s.r.d, 0, 0, &st), 0);
	assert_int_equal(st.accepted, 1);
	teardown(&s);
}

static void nonsense_is_refused(void **state)
{
	struct delivery_message none = {.rcpt_count = 0};
	struct setup s;

	setup(&s, NULL, 0);
	room_start(&s.r);
	store(&s, 1);
	assert_int_equal(delivery_offer(s.r.d, 0, 0, 0, &none), -EINVAL);
	assert_int_equal(delivery_offer(s.r.d, 0, 9, 0, &s.r.messages[0].m),
			 -EINVAL);
	assert_int_equal(delivery_offer(s.r.d, 0, 0, 99, &s.r.messages[0].m),
			 -EINVAL);
	assert_int_equal(delivery_domain_set(s.r.d, 0, "other", 0), -EEXIST);
	assert_int_equal(delivery_path_stats(s.r.d, 5, 0, NULL), -ENOENT);
	room_run(&s.r, &s.r.done, 1);
	teardown(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connection_is_used_again),
		cmocka_unit_test(commands_are_pipelined),
		cmocka_unit_test(connections_end_after_their_messages),
		cmocka_unit_test(failed_transaction_is_reset),
		cmocka_unit_test(rset_refused_ends_the_connection),
		cmocka_unit_test(close_between_messages_costs_nothing),
		cmocka_unit_test(code_421_between_messages_costs_nothing),
		cmocka_unit_test(idle_connection_says_quit),
		cmocka_unit_test(path_cap_holds),
		cmocka_unit_test(total_cap_holds_and_everybody_gets_a_turn),
		cmocka_unit_test(next_hops_share_a_path),
		cmocka_unit_test(refused_connect_backs_off),
		cmocka_unit_test(missing_source_address_is_told),
		cmocka_unit_test(family_that_does_not_fit_is_told),
		cmocka_unit_test(ipv6_source_reaches_an_ipv6_host),
		cmocka_unit_test(no_dot_before_go),
		cmocka_unit_test(attempt_that_is_not_durable_is_no_attempt),
		cmocka_unit_test(
			attempt_names_all_recipients_of_the_transaction),
		cmocka_unit_test(late_go_for_a_lost_message_is_harmless),
		cmocka_unit_test(destroy_ends_what_is_in_flight),
		cmocka_unit_test(stop_waits_for_the_last_message),
		cmocka_unit_test(dropped_idle_connections_are_gone),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
