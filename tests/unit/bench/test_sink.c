/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_sink.c - the sink as a program: its dialogue and its books.
 */
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

/* Catches a wrong digest, a lost count, an arrival without its line. */
static void delivered_message_is_in_the_books(void **state)
{
	char line[256];
	json_t *j;
	FILE *f;
	int fd;

	ledger_write(CONTENT);
	sink_start(NULL, true);
	fd = client_hello(sink_port());
	send_one(fd);
	client_say(fd, "QUIT\r\n");
	client_expect(fd, "221");
	assert_null(client_line(fd, 1000));
	close(fd);
	j = sink_stop(0);
	assert_int_equal(number(j, "expected", NULL), 1);
	assert_int_equal(number(j, "delivered", NULL), 1);
	assert_int_equal(number(j, "protocol_errors", "total"), 0);
	assert_int_equal(number(j, "by_domain", "b.test"), 1);
	assert_int_equal(number(json_object_get(j, "by_client"), "127.0.0.1",
				"messages"),
			 1);
	json_decref(j);
	f = fopen(in_dir("arrivals"), "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_non_null(fgets(line, sizeof(line), f));
	assert_non_null(strstr(line, ",127.0.0.1,b.test,9-0000000001,1\n"));
	fclose(f);
}

/* Exit status 65 and the right count for each way to go wrong. */
static void wrong_delivery_is_reported(void **state)
{
	json_t *j;
	int fd;

	ledger_write(CONTENT);
	sink_start(NULL, true);
	j = sink_stop(65);
	assert_int_equal(number(j, "lost", NULL), 1);
	json_decref(j);

	sink_start(NULL, true);
	fd = client_hello(sink_port());
	send_one(fd);
	send_one(fd);
	close(fd);
	j = sink_stop(65);
	assert_int_equal(number(j, "duplicated", NULL), 1);
	json_decref(j);

	ledger_write(CONTENT "more\r\n");
	sink_start(NULL, true);
	fd = client_hello(sink_port());
	send_one(fd);
	close(fd);
	j = sink_stop(65);
	assert_int_equal(number(j, "altered", NULL), 1);
	assert_int_equal(number(j, "delivered", NULL), 0);
	json_decref(j);
}

/* The next command may ride behind the final dot (RFC 2920). */
static void pipelined_content_and_next_message(void **state)
{
	json_t *j;
	int fd;

	sink_start(NULL, false);
	fd = client_hello(sink_port());
	client_say(fd, GROUP);
	client_expect(fd, "250");
	client_expect(fd, "250");
	client_expect(fd, "354");
	client_say(fd, ON_WIRE GROUP);
	for (int i = 0; i < 3; i++)
		client_expect(fd, "250");
	client_expect(fd, "354");
	client_say(fd, ON_WIRE);
	client_expect(fd, "250");
	close(fd);
	j = sink_stop(0);
	assert_int_equal(number(j, "messages", NULL), 2);
	assert_int_equal(number(j, "protocol_errors", "total"), 0);
	json_decref(j);
}

/* What a client does wrong must not pass unseen. */
static void protocol_errors_are_counted(void **state)
{
	json_t *j;
	int fd;

	sink_start(NULL, false);
	fd = client_hello(sink_port());
	client_say(fd, "RCPT TO:<x@y.test>\r\n");
	client_expect(fd, "503");
	client_say(fd, "NOOP\n");
	client_expect(fd, "250");
	client_say(fd, "MAIL FROM: <x@y.test>\r\n");
	client_expect(fd, "501");
	client_say(fd, "HELLO\r\n");
	client_expect(fd, "500");
	client_say(fd, GROUP "a\nb\rc\r\n.d\r\n.\r\n");
	for (int i = 0; i < 2; i++)
		client_expect(fd, "250");
	client_expect(fd, "354");
	client_expect(fd, "250");
	client_say(fd, GROUP);
	client_expect(fd, "250");
	client_expect(fd, "250");
	client_expect(fd, "354");
	close(fd);
	usleep(100000);
	j = sink_stop(0);
	assert_int_equal(number(j, "protocol_errors", "out_of_order"), 1);
	assert_int_equal(number(j, "protocol_errors", "syntax"), 2);
	assert_int_equal(number(j, "protocol_errors", "bare_lf"), 2);
	assert_int_equal(number(j, "protocol_errors", "bare_cr"), 1);
	assert_int_equal(number(j, "protocol_errors", "missing_stuffing"), 1);
	assert_int_equal(number(j, "protocol_errors", "not_waited"), 1);
	assert_int_equal(number(j, "protocol_errors", "cut_in_content"), 1);
	assert_int_equal(number(j, "protocol_errors", "total"), 9);
	json_decref(j);
}

/* Exim says QUIT together with the end of its message, and half-closes: it
 * still has to hear that the message was taken. */
static void replies_are_sent_after_a_half_close(void **state)
{
	int fd;

	sink_start(NULL, false);
	fd = client_hello(sink_port());
	client_say(fd, GROUP);
	client_expect(fd, "250");
	client_expect(fd, "250");
	client_expect(fd, "354");
	client_say(fd, ON_WIRE "QUIT\r\n");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	client_expect(fd, "250");
	client_expect(fd, "221");
	assert_null(client_line(fd, 1000));
	close(fd);
	sink_stop_clean();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_sent_after_a_half_close),
		cmocka_unit_test(delivered_message_is_in_the_books),
		cmocka_unit_test(wrong_delivery_is_reported),
		cmocka_unit_test(pipelined_content_and_next_message),
		cmocka_unit_test(protocol_errors_are_counted),
	};

	return cmocka_run_group_tests(tests, sink_group_setup,
				      sink_group_teardown);
}
