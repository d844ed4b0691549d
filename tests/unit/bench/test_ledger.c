/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_ledger.c - what must arrive against what did. A mistake here would make
 * every benchmark and end-to-end test blind.
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

#include "ledger/ledger.h"

#define MESSAGES 5000 /* more than the first table holds: it has to grow */

static char path[] = "/tmp/sluice-ledger-XXXXXX";

static struct digest digest_of(uint64_t index)
{
	return digest_content(&index, sizeof(index));
}

/* Two recipients for every third message. */
static void ledger_file_write(void)
{
	struct ledger_writer *w;
	struct err e;

	assert_int_equal(ledger_writer_open(&w, path, &e), 0);
	for (uint64_t i = 0; i < MESSAGES; i++) {
		struct digest d = digest_of(i);
		char id[32];

		snprintf(id, sizeof(id), "7-%010llu", (unsigned long long)i);
		ledger_writer_add(w, id, "a@x.test", "s@y.test", &d, 8);
		if (i % 3 == 0)
			ledger_writer_add(w, id, "b@x.test", "", &d, 8);
	}
	assert_int_equal(ledger_writer_close(&w, &e), 0);
}

static int setup(void **state)
{
	struct ledger *l = ledger_create();
	struct err e;
	int fd;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	ledger_file_write();
	assert_int_equal(ledger_load(l, path, &e), 0);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	struct ledger *l = *state;

	ledger_destroy(&l);
	unlink(path);
	return 0;
}

static enum ledger_mark arrive(struct ledger *l, uint64_t index,
			       const char *rcpt, uint64_t content)
{
	struct digest d = digest_of(content);

	return ledger_arrived(l, ledger_message(l, 7, index),
			      ledger_rcpt_hash(rcpt, strlen(rcpt)), &d);
}

static void arrive_all_but(struct ledger *l, uint64_t missing)
{
	for (uint64_t i = 0; i < MESSAGES; i++) {
		if (i == missing)
			continue;
		assert_int_equal(arrive(l, i, "a@x.test", i), LEDGER_DELIVERED);
		if (i % 3 == 0)
			assert_int_equal(arrive(l, i, "b@x.test", i),
					 LEDGER_DELIVERED);
	}
}

static void example_keep(void *user, const char *text)
{
	snprintf(user, 128, "%s", text);
}

/* Catches a comparison that always says yes. */
static void complete_delivery_is_clean(void **state)
{
	struct ledger_counts n;

	arrive_all_but(*state, UINT64_MAX);
	ledger_counts(*state, &n);
	assert_int_equal(n.expected, MESSAGES + (MESSAGES + 2) / 3);
	assert_int_equal(n.delivered, n.expected);
	assert_int_equal(n.lost + n.altered + n.duplicated + n.unknown, 0);
}

/* One message of thousands missing must be seen, and named. */
static void lost_message_is_found(void **state)
{
	struct ledger_counts n;
	char text[128] = "";

	arrive_all_but(*state, 4711);
	ledger_counts(*state, &n);
	assert_int_equal(n.lost, 1);
	assert_int_equal(n.delivered, n.expected - 1);
	ledger_examples(*state, LEDGER_LOST, 5, example_keep, text);
	assert_string_equal(text, "7-0000004711 a@x.test");
}

/* The second recipient of a message is a loss of its own. */
static void lost_second_recipient_is_found(void **state)
{
	struct ledger_counts n;
	char text[128] = "";

	arrive_all_but(*state, 3);
	arrive(*state, 3, "a@x.test", 3);
	ledger_counts(*state, &n);
	assert_int_equal(n.lost, 1);
	ledger_examples(*state, LEDGER_LOST, 5, example_keep, text);
	assert_string_equal(text, "7-0000000003 b@x.test");
}

static void duplicated_message_is_found(void **state)
{
	struct ledger_counts n;
	char text[128] = "";

	arrive_all_but(*state, UINT64_MAX);
	assert_int_equal(arrive(*state, 12, "b@x.test", 12), LEDGER_DUPLICATED);
	ledger_counts(*state, &n);
	assert_int_equal(n.duplicated, 1);
	assert_int_equal(n.delivered, n.expected);
	ledger_examples(*state, LEDGER_DUPLICATED, 5, example_keep, text);
	assert_string_equal(text, "7-0000000012 b@x.test");
}

/* Also when the right content arrives later: it was altered once. */
static void altered_message_is_found(void **state)
{
	struct ledger_counts n;

	arrive_all_but(*state, 20);
	assert_int_equal(arrive(*state, 20, "a@x.test", 21), LEDGER_ALTERED);
	ledger_counts(*state, &n);
	assert_int_equal(n.altered, 1);
	assert_int_equal(n.lost, 0);
	assert_int_equal(n.delivered, n.expected - 1);
	arrive(*state, 20, "a@x.test", 20);
	ledger_counts(*state, &n);
	assert_int_equal(n.altered, 1);
	assert_int_equal(n.duplicated, 1);
}

/* A message nobody asked for, or to somebody else, is no delivery. */
static void stranger_is_unknown(void **state)
{
	struct ledger_counts n;

	assert_int_equal(ledger_message(*state, 8, 0), UINT32_MAX);
	assert_int_equal(arrive(*state, MESSAGES, "a@x.test", 0),
			 LEDGER_UNKNOWN);
	assert_int_equal(arrive(*state, 1, "b@x.test", 1), LEDGER_UNKNOWN);
	ledger_counts(*state, &n);
	assert_int_equal(n.unknown, 2);
	assert_int_equal(n.delivered, 0);
}

static void refuses(const char *text, const char *expected)
{
	struct ledger *l = ledger_create();
	FILE *f = fopen(path, "w");
	struct err e = {{0}};

	fputs(text, f);
	fclose(f);
	assert_int_equal(ledger_load(l, path, &e), -22);
	assert_non_null(strstr(e.text, expected));
	ledger_destroy(&l);
}

/* A torn ledger would hide losses: it must not load. */
static void damaged_ledger_is_refused_with_its_line(void **state)
{
	static const char good[] =
		"1-1\ta@b\ts@c\t0123456789abcdef0123456789abcdef\t8\n";
	char twice[256];

	refuses("# x\n1-1\ta@b\ts@c\n", ":2: no line");
	refuses("1-1\ta@b\ts@c\t0123\t8\n", ":1: no line");
	refuses("1-1\ta@b\ts@c\t0123456789abcdef0123456789abcdef\t8", ":1: no");
	refuses("x-1\ta@b\ts@c\t0123456789abcdef0123456789abcdef\t8\n", ":1");
	snprintf(twice, sizeof(twice), "%s2%s%s", good, good + 1, good);
	refuses(twice, ":3: this message was there before");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(complete_delivery_is_clean,
						setup, teardown),
		cmocka_unit_test_setup_teardown(lost_message_is_found, setup,
						teardown),
		cmocka_unit_test_setup_teardown(lost_second_recipient_is_found,
						setup, teardown),
		cmocka_unit_test_setup_teardown(duplicated_message_is_found,
						setup, teardown),
		cmocka_unit_test_setup_teardown(altered_message_is_found, setup,
						teardown),
		cmocka_unit_test_setup_teardown(stranger_is_unknown, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			damaged_ledger_is_refused_with_its_line, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
