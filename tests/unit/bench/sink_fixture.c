/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sink_fixture.c - one sink with one listener, for the sink's tests.
 */
#include "sink_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/digest.h"
#include "ledger/ledger.h"
#include "sink_client.h"

static char dir[] = "/tmp/sluice-sink-XXXXXX";
static struct sink_child child;

const char *in_dir(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

void sink_start(const char *policy, bool ledger)
{
	char listen[] = "127.0.0.1:0", all[160], report[64], books[64],
	     arrivals[64];
	const char *argv[16] = {"sink", "--listen",   listen,  "--report",
				report, "--arrivals", arrivals};
	int argc = 7;

	snprintf(report, sizeof(report), "%s", in_dir("report"));
	snprintf(arrivals, sizeof(arrivals), "%s", in_dir("arrivals"));
	snprintf(books, sizeof(books), "%s", in_dir("ledger"));
	if (policy) {
		snprintf(all, sizeof(all), "*=%s", policy);
		argv[argc++] = "--policy";
		argv[argc++] = all;
	}
	if (ledger) {
		argv[argc++] = "--ledger-in";
		argv[argc++] = books;
	}
	sink_child_start(&child, argv, 1);
}

/* Stops the sink and reads its report. */
json_t *sink_stop(int status)
{
	json_t *j;

	assert_int_equal(sink_child_stop(&child), status);
	j = json_load_file(in_dir("report"), 0, NULL);
	assert_non_null(j);
	return j;
}

void sink_stop_clean(void)
{
	json_decref(sink_stop(0));
}

json_int_t number(json_t *j, const char *a, const char *b)
{
	json_t *v = json_object_get(j, a);

	if (b)
		v = json_object_get(v, b);
	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

void ledger_write(const char *content)
{
	struct digest d = digest_content(content, strlen(content));
	struct ledger_writer *w;

	assert_int_equal(ledger_writer_open(&w, in_dir("ledger"), NULL), 0);
	ledger_writer_add(w, "9-0000000001", "r@b.test", "s@a.test", &d,
			  strlen(content));
	assert_int_equal(ledger_writer_close(&w, NULL), 0);
}

void send_one(int fd)
{
	client_say(fd, GROUP);
	client_expect(fd, "250");
	client_expect(fd, "250");
	client_expect(fd, "354");
	client_say(fd, ON_WIRE);
	client_expect(fd, "250");
}

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

uint16_t sink_port(void)
{
	return child.ports[0];
}

int sink_group_setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

int sink_group_teardown(void **state)
{
	unlink(in_dir("report"));
	unlink(in_dir("ledger"));
	unlink(in_dir("arrivals"));
	return rmdir(dir);
}
