/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_sink_policies.c - how the sink misbehaves when asked to. Each policy is
 * what some end-to-end test of the delivery relies on.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sink_client.h"
#include "sink_fixture.h"

static void banner_refuses_and_closes(void **state)
{
	int fd;

	sink_start("banner=554 5.7.1 poor reputation", false);
	fd = client_connect(sink_port());
	assert_string_equal(client_line(fd, 2000), "554 5.7.1 poor reputation");
	assert_null(client_line(fd, 1000));
	close(fd);
	sink_stop_clean();
}

static void rcpt_refusals(void **state)
{
	static const char *const replies[] = {"250",       "250",       "250",
					      "450 4.2.1", "550 5.1.1", "250"};
	int fd;

	sink_start("accept-3-of-5", false);
	fd = client_hello(sink_port());
	client_say(fd, "MAIL FROM:<>\r\n");
	client_expect(fd, "250");
	for (int i = 0; i < 6; i++) {
		client_say(fd, "RCPT TO:<r@b.test>\r\n");
		client_expect(fd, replies[i]);
	}
	close(fd);
	sink_stop_clean();
	sink_start("tempfail-rcpt", false);
	fd = client_hello(sink_port());
	client_say(fd, GROUP);
	client_expect(fd, "250");
	client_expect(fd, "450");
	client_expect(fd, "554");
	close(fd);
	sink_stop_clean();
	sink_start("reject-rcpt=550 5.1.1 no such user", false);
	fd = client_hello(sink_port());
	client_say(fd, GROUP);
	client_expect(fd, "250");
	client_expect(fd, "550 5.1.1 no such user");
	close(fd);
	sink_stop_clean();
}

static void rate_is_limited_with_421(void **state)
{
	json_t *j;
	int fd;

	sink_start("rate=1/h", false);
	fd = client_hello(sink_port());
	send_one(fd);
	client_say(fd, "MAIL FROM:<s@a.test>\r\n");
	client_expect(fd, "421");
	assert_null(client_line(fd, 1000));
	close(fd);
	j = sink_stop(0);
	assert_int_equal(number(j, "messages", NULL), 1);
	assert_int_equal(number(j, "refused", NULL), 1);
	json_decref(j);
}

static void every_nth_mail_gets_421(void **state)
{
	int fd;

	sink_start("421-every=2", false);
	fd = client_hello(sink_port());
	send_one(fd);
	client_say(fd, "MAIL FROM:<s@a.test>\r\n");
	client_expect(fd, "421");
	close(fd);
	fd = client_hello(sink_port());
	send_one(fd);
	close(fd);
	sink_stop_clean();
}

/* Blocked at once, also at the greeting; free again after the time. */
static void source_is_blocked_after_n_messages(void **state)
{
	int fd;

	sink_start("block-after=2,1", false);
	fd = client_hello(sink_port());
	send_one(fd);
	send_one(fd);
	client_say(fd, "MAIL FROM:<s@a.test>\r\n");
	client_expect(fd, "554 5.7.1");
	close(fd);
	fd = client_connect(sink_port());
	client_expect(fd, "554 5.7.1");
	close(fd);
	usleep(1100000);
	fd = client_hello(sink_port());
	send_one(fd);
	close(fd);
	sink_stop_clean();
}

static void greylisted_until_old_enough(void **state)
{
	int fd;

	sink_start("greylist=1", false);
	fd = client_hello(sink_port());
	client_say(fd, "MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\n");
	client_expect(fd, "250");
	client_expect(fd, "450 4.7.1");
	usleep(1100000);
	client_say(fd, "RCPT TO:<other@b.test>\r\nRCPT TO:<r@b.test>\r\n");
	client_expect(fd, "450 4.7.1");
	client_expect(fd, "250");
	close(fd);
	sink_stop_clean();
}

/* No answer at all, and not counted as taken. */
static void connection_losses(void **state)
{
	static const struct {
		const char *policy;
		bool closes;
		bool at_mail;
	} ways[] = {{"close-after-mail", true, true},
		    {"drop-in-data", true, false},
		    {"close-after-dot", true, false},
		    {"silent-after-354", false, false}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		int64_t from;
		json_t *j;
		int fd;

		sink_start(ways[i].policy, false);
		fd = client_hello(sink_port());
		client_say(fd, GROUP);
		if (!ways[i].at_mail) {
			client_expect(fd, "250");
			client_expect(fd, "250");
			client_expect(fd, "354");
			client_say(fd, ON_WIRE);
		}
		from = now_ms();
		assert_null(client_line(fd, 500));
		assert_int_equal(now_ms() - from < 400, ways[i].closes);
		close(fd);
		j = sink_stop(0);
		assert_int_equal(number(j, "messages", NULL), 0);
		json_decref(j);
	}
}

/* TCP segments with data that came in. */
static uint32_t segments_in(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_data_segs_in;
}

static void odd_replies_are_still_right(void **state)
{
	int64_t from;
	int fd;

	sink_start("byte-by-byte", false);
	fd = client_hello(sink_port());
	send_one(fd);
	/* The greeting alone is longer than that. */
	assert_true(segments_in(fd) > 25);
	close(fd);
	sink_stop_clean();
	sink_start("long-replies", false);
	fd = client_hello(sink_port());
	client_say(fd, "NOOP\r\n");
	assert_int_equal(strlen(client_line(fd, 2000)), 65534);
	send_one(fd);
	close(fd);
	sink_stop_clean();
	sink_start("slow=150", false);
	fd = client_hello(sink_port());
	from = now_ms();
	client_say(fd, "NOOP\r\n");
	client_expect(fd, "250");
	assert_in_range(now_ms() - from, 149, 1000);
	close(fd);
	sink_stop_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(banner_refuses_and_closes),
		cmocka_unit_test(rcpt_refusals),
		cmocka_unit_test(rate_is_limited_with_421),
		cmocka_unit_test(every_nth_mail_gets_421),
		cmocka_unit_test(source_is_blocked_after_n_messages),
		cmocka_unit_test(greylisted_until_old_enough),
		cmocka_unit_test(connection_losses),
		cmocka_unit_test(odd_replies_are_still_right),
	};

	return cmocka_run_group_tests(tests, sink_group_setup,
				      sink_group_teardown);
}
