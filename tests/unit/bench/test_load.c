/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_load.c - the load client against our own sink: what it says it sent is
 * what arrived, whatever the receiver offers or refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "ledger/ledger.h"
#include "load/load.h"
#include "sink_client.h"
#include "sluice/clock.h"

#define MESSAGES 700 /* more than there are templates */

static char dir[] = "/tmp/sluice-load-XXXXXX";
static struct sink_child child;

static const char *in_dir(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void receiver_start(const char *policy)
{
	char report[64], all[64];
	const char *argv[] = {"sink", "--listen", "127.0.0.1:0", "--report",
			      report, "--policy", all,           NULL};

	snprintf(report, sizeof(report), "%s", in_dir("report"));
	snprintf(all, sizeof(all), "*=%s", policy);
	sink_child_start(&child, argv, 1);
}

static struct load_options options(void)
{
	struct load_options o = {.messages = MESSAGES,
				 .seed = 5,
				 .now_s = 1700000000,
				 .sessions = 7,
				 .size_bytes = 2000,
				 .pipelining = LOAD_GROUP,
				 .timeout_ns = 20 * NS_PER_S};
	char where[32];

	snprintf(where, sizeof(where), "127.0.0.1:%u", child.ports[0]);
	assert_int_equal(addr_parse(where, 0, &o.target), 0);
	return o;
}

static struct load_result run(const struct load_options *o)
{
	struct load_result r;
	struct err e = {{0}};

	if (load_run(o, &r, &e) != 0)
		fail_msg("%s", e.text);
	return r;
}

static json_int_t reported(const char *a, const char *b)
{
	json_t *j = json_load_file(in_dir("report"), 0, NULL), *v;
	json_int_t n;

	assert_non_null(j);
	v = json_object_get(j, a);
	if (b)
		v = json_object_get(v, b);
	assert_true(json_is_integer(v));
	n = json_integer_value(v);
	json_decref(j);
	return n;
}

static void mode_delivers(enum load_pipelining mode, const char *policy,
			  uint32_t per_connection)
{
	struct load_options o;
	struct load_result r;

	receiver_start(policy);
	o = options();
	o.pipelining = mode;
	o.per_connection = per_connection;
	r = run(&o);
	assert_int_equal(r.accepted, MESSAGES);
	assert_int_equal(r.refused + r.lost, 0);
	assert_int_equal(r.bytes, MESSAGES * 2000);
	assert_true(r.rate > 0 && r.p50_us <= r.p99_us);
	if (per_connection)
		assert_true(r.connections >= MESSAGES / per_connection);
	else
		assert_int_equal(r.connections, 7);
	assert_int_equal(sink_child_stop(&child), 0);
	assert_int_equal(reported("messages", NULL), MESSAGES);
	assert_int_equal(reported("protocol_errors", "total"), 0);
}

/* Catches a reply that is counted for the wrong command. */
static void every_mode_delivers_without_protocol_errors(void **state)
{
	mode_delivers(LOAD_STEPS, "plain", 0);
	mode_delivers(LOAD_GROUP, "plain", 0);
	mode_delivers(LOAD_NEXT, "plain", 0);
	mode_delivers(LOAD_GROUP, "plain", 10);
	mode_delivers(LOAD_NEXT, "plain", 10);
	mode_delivers(LOAD_NEXT, "no-pipelining", 0);
	mode_delivers(LOAD_NEXT, "byte-by-byte", 0);
}

/* The client's ledger must be the one the sink finds complete. */
static void ledger_is_what_arrives(void **state)
{
	struct load_options o;
	struct load_result r;
	char books[64], report[64];
	const char *argv[] = {"sink", "--listen", "127.0.0.1:0", "--ledger-in",
			      books,  "--report", report,        NULL};

	snprintf(books, sizeof(books), "%s", in_dir("ledger"));
	snprintf(report, sizeof(report), "%s", in_dir("report"));
	receiver_start("plain");
	o = options();
	assert_int_equal(ledger_writer_open(&o.ledger, books, NULL), 0);
	r = run(&o);
	assert_int_equal(ledger_writer_close(&o.ledger, NULL), 0);
	assert_int_equal(r.accepted, MESSAGES);
	assert_int_equal(sink_child_stop(&child), 0);

	/* The same again, now compared. */
	sink_child_start(&child, argv, 1);
	o = options();
	r = run(&o);
	assert_int_equal(sink_child_stop(&child), 0);
	assert_int_equal(reported("delivered", NULL), MESSAGES);
}

/* Recipients, dots, 8-bit text, open last lines: all of it arrives as the
 * ledger says, in each mode, also at a receiver that offers nothing. */
static void mixed_mail_arrives_as_its_ledger_says(enum load_pipelining mode,
						  const char *policy)
{
	struct load_options o;
	struct load_result r;
	char books[64], report[64], all[64];
	const char *argv[] = {"sink",        "--listen", "127.0.0.1:0",
			      "--ledger-in", books,      "--below-trace",
			      "--report",    report,     "--policy",
			      all,           NULL};

	snprintf(books, sizeof(books), "%s", in_dir("ledger"));
	snprintf(report, sizeof(report), "%s", in_dir("report"));
	snprintf(all, sizeof(all), "*=%s", policy);
	receiver_start(policy);
	o = options();
	o.mixed = o.below_trace = true;
	o.pipelining = mode;
	assert_int_equal(ledger_writer_open(&o.ledger, books, NULL), 0);
	r = run(&o);
	assert_int_equal(ledger_writer_close(&o.ledger, NULL), 0);
	assert_int_equal(r.accepted, MESSAGES);
	assert_int_equal(sink_child_stop(&child), 0);
	assert_int_equal(reported("protocol_errors", "total"), 0);
	sink_child_start(&child, argv, 1);
	o.ledger = NULL;
	o.target = options().target;
	r = run(&o);
	assert_int_equal(sink_child_stop(&child), 0);
	assert_true(reported("expected", NULL) > MESSAGES);
	assert_int_equal(reported("delivered", NULL),
			 reported("expected", NULL));
}

static void mixed_mail_arrives(void **state)
{
	mixed_mail_arrives_as_its_ledger_says(LOAD_GROUP, "plain");
	mixed_mail_arrives_as_its_ledger_says(LOAD_NEXT, "plain");
	mixed_mail_arrives_as_its_ledger_says(LOAD_STEPS, "no-8bitmime");
}

/* Never ahead of the rate; nothing is forgotten when sessions are late. */
static void a_rate_is_kept(void **state)
{
	struct load_options o;
	struct load_result r;

	receiver_start("slow=5");
	o = options();
	o.messages = 100;
	o.sessions = 3;
	assert_int_equal(pace_parse("200/s", &o.rate), 0);
	r = run(&o);
	assert_int_equal(r.accepted, 100);
	/* 99 steps of 5 ms; the first may be late and the others not. */
	assert_true(r.ns >= 90 * NS_PER_S / 200);
	/* Due times are what latency counts from: one message takes four
	 * slow replies. */
	assert_true(r.p50_us >= 10000);
	assert_int_equal(sink_child_stop(&child), 0);
	assert_int_equal(reported("messages", NULL), 100);
}

/* Two of five recipients are refused; the message goes to the others. */
static void refused_recipients_do_not_stop_the_others(void **state)
{
	struct load_options o;
	struct load_result r;

	receiver_start("accept-3-of-5");
	o = options();
	o.mixed = true;
	o.pipelining = LOAD_STEPS;
	r = run(&o);
	assert_int_equal(r.accepted, MESSAGES);
	assert_true(r.rcpts_refused > 0);
	assert_int_equal(sink_child_stop(&child), 0);
}

static void refusals_are_counted_and_quoted(void **state)
{
	struct load_options o;
	struct load_result r;

	receiver_start("tempfail-rcpt");
	o = options();
	r = run(&o);
	assert_int_equal(r.accepted, 0);
	assert_int_equal(r.refused, MESSAGES);
	assert_non_null(strstr(r.refusal, "450 4.2.1"));
	assert_int_equal(sink_child_stop(&child), 0);
}

static void lost_connections_are_no_deliveries(void **state)
{
	struct load_options o;
	struct load_result r;

	receiver_start("close-after-dot");
	o = options();
	o.messages = 50;
	r = run(&o);
	assert_int_equal(r.accepted, 0);
	assert_int_equal(r.lost, 50);
	assert_int_equal(sink_child_stop(&child), 0);
	assert_int_equal(reported("messages", NULL), 0);
}

/* No endless waiting for a receiver that does not answer. */
static void silence_times_out(void **state)
{
	struct load_options o;
	struct load_result r;
	struct err e = {{0}};

	receiver_start("silent-after-354");
	o = options();
	o.timeout_ns = NS_PER_S / 2;
	assert_int_equal(load_run(&o, &r, &e), -110);
	assert_true(e.text[0] != 0);
	assert_int_equal(sink_child_stop(&child), 0);
	assert_int_equal(load_run(&o, &r, &e), -111);
}

static int group_setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int group_teardown(void **state)
{
	unlink(in_dir("report"));
	unlink(in_dir("ledger"));
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mode_delivers_without_protocol_errors),
		cmocka_unit_test(ledger_is_what_arrives),
		cmocka_unit_test(mixed_mail_arrives),
		cmocka_unit_test(a_rate_is_kept),
		cmocka_unit_test(refused_recipients_do_not_stop_the_others),
		cmocka_unit_test(refusals_are_counted_and_quoted),
		cmocka_unit_test(lost_connections_are_no_deliveries),
		cmocka_unit_test(silence_times_out),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
