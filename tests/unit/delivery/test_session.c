/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_session.c - what each oddity of a receiver means for each recipient.
 *
 * One table: a rule for the fake receiver, and the exact results.
 */
#include "delivery_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const five[] = {"a@example.net", "b@example.net",
				   "c@example.net", "d@example.net",
				   "e@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";
static const char no_offers[] = "";

struct oddity {
	const char *name;
	uint32_t rcpts;
	const char *offers; /* NULL = with PIPELINING */
	struct fake_rule rules[5];
	const char *results; /* NULL = the message is not taken */
	const char *failure; /* of connect_failed(); NULL = none */
};

#define TAKEN "250 2.0.0 taken\r\n"
static char long_line[65536 + 16];

static struct oddity oddities[] = {
	{"all well", 1, NULL, {{0}}, "0:accepted/eom/250", NULL},
	{"all well, one by one",
	 2,
	 no_offers,
	 {{0}},
	 "0:accepted/eom/250 1:accepted/eom/250",
	 NULL},

	/* greeting */
	{"greeting 4xx",
	 1,
	 NULL,
	 {{AT_GREETING, 1, DO_SAY, "450 busy\r\n"}},
	 NULL,
	 "connect/450"},
	{"greeting 5xx",
	 1,
	 NULL,
	 {{AT_GREETING, 1, DO_SAY, "554 5.7.1 no\r\n"}},
	 NULL,
	 "connect/554"},
	{"greeting 421",
	 1,
	 NULL,
	 {{AT_GREETING, 1, DO_CLOSE, "421 later\r\n"}},
	 NULL,
	 "connect/421"},
	{"greeting close",
	 1,
	 NULL,
	 {{AT_GREETING, 1, DO_CLOSE, NULL}},
	 NULL,
	 "connect/-"},
	{"greeting RST",
	 1,
	 NULL,
	 {{AT_GREETING, 1, DO_RESET, NULL}},
	 NULL,
	 "connect/-"},
	{"greeting stall",
	 1,
	 NULL,
	 {{AT_GREETING, 1, DO_STALL, NULL}},
	 NULL,
	 "connect/-"},
	{"greeting byte by byte",
	 1,
	 NULL,
	 {{AT_GREETING, 1, DO_BYTES, NULL}},
	 "0:accepted/eom/250",
	 NULL},
	{"greeting garbage",
	 1,
	 NULL,
	 {{AT_GREETING, 1, DO_SAY, "SSH-2.0-x\r\n"}},
	 NULL,
	 "connect/-"},
	{"greeting and a reply too many",
	 1,
	 NULL,
	 {{AT_GREETING, 1, DO_SAY, "220 hi\r\n250 what\r\n"}},
	 NULL,
	 "ehlo/-"},

	/* EHLO */
	{"EHLO 4xx",
	 1,
	 NULL,
	 {{AT_EHLO, 1, DO_SAY, "451 no\r\n"}},
	 NULL,
	 "ehlo/451"},
	{"EHLO 5xx, HELO works",
	 1,
	 NULL,
	 {{AT_EHLO, 1, DO_SAY, "502 what\r\n"}},
	 "0:accepted/eom/250",
	 NULL},
	{"EHLO and HELO 5xx",
	 1,
	 NULL,
	 {{AT_EHLO, 1, DO_SAY, "550 no\r\n"},
	  {AT_HELO, 1, DO_SAY, "550 5.7.1 blocked\r\n"}},
	 NULL,
	 "ehlo/550"},
	{"EHLO 421",
	 1,
	 NULL,
	 {{AT_EHLO, 1, DO_CLOSE, "421 bye\r\n"}},
	 NULL,
	 "ehlo/421"},
	{"EHLO close", 1, NULL, {{AT_EHLO, 1, DO_CLOSE, NULL}}, NULL, "ehlo/-"},
	{"EHLO RST", 1, NULL, {{AT_EHLO, 1, DO_RESET, NULL}}, NULL, "ehlo/-"},
	{"EHLO stall", 1, NULL, {{AT_EHLO, 1, DO_STALL, NULL}}, NULL, "ehlo/-"},
	{"EHLO byte by byte",
	 1,
	 NULL,
	 {{AT_EHLO, 1, DO_BYTES, NULL}},
	 "0:accepted/eom/250",
	 NULL},
	{"EHLO garbage",
	 1,
	 NULL,
	 {{AT_EHLO, 1, DO_SAY, "ok!\r\n"}},
	 NULL,
	 "ehlo/-"},

	/* MAIL */
	{"MAIL 4xx",
	 2,
	 NULL,
	 {{AT_MAIL, 1, DO_SAY, "450 4.1.8 later\r\n"},
	  {AT_RCPT, 0, DO_SAY, "503 5.5.1 no\r\n"},
	  {AT_DATA, 0, DO_SAY, "503 5.5.1 no\r\n"}},
	 "0:refused/mail/450 1:refused/mail/450",
	 NULL},
	{"MAIL 5xx, one by one",
	 2,
	 no_offers,
	 {{AT_MAIL, 1, DO_SAY, "550 5.7.1 no\r\n"}},
	 "0:refused/mail/550 1:refused/mail/550",
	 NULL},
	{"MAIL 421",
	 2,
	 NULL,
	 {{AT_MAIL, 1, DO_CLOSE, "421 4.7.0 slow\r\n"}},
	 "0:refused/mail/421 1:refused/mail/421",
	 NULL},
	{"MAIL close",
	 2,
	 NULL,
	 {{AT_MAIL, 1, DO_CLOSE, NULL}},
	 "0:lost/mail/- 1:lost/mail/-",
	 NULL},
	{"MAIL RST",
	 1,
	 NULL,
	 {{AT_MAIL, 1, DO_RESET, NULL}},
	 "0:lost/mail/-",
	 NULL},
	{"MAIL stall",
	 1,
	 NULL,
	 {{AT_MAIL, 1, DO_STALL, NULL}},
	 "0:lost/mail/-",
	 NULL},
	{"MAIL byte by byte",
	 1,
	 NULL,
	 {{AT_MAIL, 1, DO_BYTES, NULL}},
	 "0:accepted/eom/250",
	 NULL},
	{"MAIL garbage",
	 1,
	 NULL,
	 {{AT_MAIL, 1, DO_SAY, "yes\r\n"}},
	 "0:lost/mail/-",
	 NULL},
	{"MAIL 354",
	 1,
	 NULL,
	 {{AT_MAIL, 1, DO_SAY, "354 what\r\n"}},
	 "0:lost/mail/-",
	 NULL},
	{"MAIL 64 KiB line",
	 1,
	 NULL,
	 {{AT_MAIL, 1, DO_SAY, long_line}},
	 "0:accepted/eom/250",
	 NULL},
	{"MAIL 5xx, yet 354 to DATA",
	 1,
	 NULL,
	 {{AT_MAIL, 1, DO_SAY, "550 5.7.1 no\r\n"},
	  {AT_RCPT, 1, DO_SAY, "503 5.5.1 no\r\n"}},
	 "0:refused/mail/550",
	 NULL},

	/* RCPT */
	{"RCPT three of five",
	 5,
	 NULL,
	 {{AT_RCPT, 2, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_RCPT, 4, DO_SAY, "450 4.2.1 later\r\n"}},
	 "0:accepted/eom/250 1:refused/rcpt/550 2:accepted/eom/250 "
	 "3:refused/rcpt/450 4:accepted/eom/250",
	 NULL},
	{"RCPT three of five, one by one",
	 5,
	 no_offers,
	 {{AT_RCPT, 1, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_RCPT, 5, DO_SAY, "450 4.2.1 later\r\n"}},
	 "0:refused/rcpt/550 1:accepted/eom/250 2:accepted/eom/250 "
	 "3:accepted/eom/250 4:refused/rcpt/450",
	 NULL},
	{"RCPT all refused, DATA refused",
	 2,
	 NULL,
	 {{AT_RCPT, 0, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_DATA, 1, DO_SAY, "503 5.5.1 nobody\r\n"}},
	 "0:refused/rcpt/550 1:refused/rcpt/550",
	 NULL},
	{"RCPT all refused, one by one",
	 2,
	 no_offers,
	 {{AT_RCPT, 0, DO_SAY, "550 5.1.1 no\r\n"}},
	 "0:refused/rcpt/550 1:refused/rcpt/550",
	 NULL},
	{"lone dot, answered 250",
	 2,
	 NULL,
	 {{AT_RCPT, 0, DO_SAY, "550 5.1.1 no\r\n"}},
	 "0:refused/rcpt/550 1:refused/rcpt/550",
	 NULL},
	{"lone dot, answered 554",
	 2,
	 NULL,
	 {{AT_RCPT, 0, DO_SAY, "452 4.3.1 no\r\n"},
	  {AT_EOM, 1, DO_SAY, "554 5.5.1 nobody\r\n"}},
	 "0:refused/rcpt/452 1:refused/rcpt/452",
	 NULL},
	{"RCPT 421 at the second",
	 3,
	 NULL,
	 {{AT_RCPT, 2, DO_CLOSE, "421 4.7.0 enough\r\n"}},
	 "0:refused/rcpt/421 1:refused/rcpt/421 2:refused/rcpt/421",
	 NULL},
	{"RCPT refused, then 421",
	 3,
	 NULL,
	 {{AT_RCPT, 1, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_RCPT, 2, DO_CLOSE, "421 4.7.0 enough\r\n"}},
	 "0:refused/rcpt/550 1:refused/rcpt/421 2:refused/rcpt/421",
	 NULL},
	{"RCPT refused, then close",
	 3,
	 NULL,
	 {{AT_RCPT, 1, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_RCPT, 2, DO_CLOSE, NULL}},
	 "0:refused/rcpt/550 1:lost/rcpt/- 2:lost/rcpt/-",
	 NULL},
	{"RCPT close",
	 1,
	 NULL,
	 {{AT_RCPT, 1, DO_CLOSE, NULL}},
	 "0:lost/rcpt/-",
	 NULL},
	{"RCPT RST",
	 1,
	 no_offers,
	 {{AT_RCPT, 1, DO_RESET, NULL}},
	 "0:lost/rcpt/-",
	 NULL},
	{"RCPT stall",
	 1,
	 NULL,
	 {{AT_RCPT, 1, DO_STALL, NULL}},
	 "0:lost/rcpt/-",
	 NULL},
	{"RCPT byte by byte",
	 2,
	 NULL,
	 {{AT_RCPT, 0, DO_BYTES, NULL}},
	 "0:accepted/eom/250 1:accepted/eom/250",
	 NULL},
	{"RCPT garbage",
	 2,
	 NULL,
	 {{AT_RCPT, 2, DO_SAY, "\r\n"}},
	 "0:lost/rcpt/- 1:lost/rcpt/-",
	 NULL},
	{"RCPT one reply too many",
	 2,
	 NULL,
	 {{AT_RCPT, 2, DO_SAY, "250 a\r\n250 b\r\n"}},
	 "0:lost/data/- 1:lost/data/-",
	 NULL},
	{"RCPT one reply too few",
	 2,
	 NULL,
	 {{AT_RCPT, 2, DO_SAY, ""}},
	 "0:lost/rcpt/- 1:lost/rcpt/-",
	 NULL},

	/* DATA */
	{"DATA 4xx",
	 2,
	 NULL,
	 {{AT_DATA, 1, DO_SAY, "451 4.3.0 no\r\n"}},
	 "0:refused/data/451 1:refused/data/451",
	 NULL},
	{"DATA 5xx, one refused before",
	 2,
	 no_offers,
	 {{AT_RCPT, 1, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_DATA, 1, DO_SAY, "554 5.7.1 no\r\n"}},
	 "0:refused/rcpt/550 1:refused/data/554",
	 NULL},
	{"DATA 421",
	 1,
	 NULL,
	 {{AT_DATA, 1, DO_CLOSE, "421 4.7.0 x\r\n"}},
	 "0:refused/data/421",
	 NULL},
	{"DATA close",
	 1,
	 NULL,
	 {{AT_DATA, 1, DO_CLOSE, NULL}},
	 "0:lost/data/-",
	 NULL},
	{"DATA RST",
	 1,
	 NULL,
	 {{AT_DATA, 1, DO_RESET, NULL}},
	 "0:lost/data/-",
	 NULL},
	{"DATA stall",
	 1,
	 NULL,
	 {{AT_DATA, 1, DO_STALL, NULL}},
	 "0:lost/data/-",
	 NULL},
	{"DATA byte by byte",
	 1,
	 NULL,
	 {{AT_DATA, 1, DO_BYTES, NULL}},
	 "0:accepted/eom/250",
	 NULL},
	{"DATA garbage",
	 1,
	 NULL,
	 {{AT_DATA, 1, DO_SAY, "354go\r\n"}},
	 "0:lost/data/-",
	 NULL},
	{"DATA 250",
	 1,
	 NULL,
	 {{AT_DATA, 1, DO_SAY, "250 ok\r\n"}},
	 "0:lost/data/-",
	 NULL},
	{"DATA 354 twice",
	 1,
	 NULL,
	 {{AT_DATA, 1, DO_SAY, "354 go\r\n354 go\r\n"}},
	 "0:lost/eom/-",
	 NULL},

	/* the final dot */
	{"dot 4xx",
	 2,
	 NULL,
	 {{AT_EOM, 1, DO_SAY, "451 4.7.1 grey\r\n"}},
	 "0:refused/eom/451 1:refused/eom/451",
	 NULL},
	{"dot 5xx, one refused before",
	 2,
	 NULL,
	 {{AT_RCPT, 2, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_EOM, 1, DO_SAY, "550 5.7.1 spam\r\n"}},
	 "0:refused/eom/550 1:refused/rcpt/550",
	 NULL},
	{"dot 421",
	 1,
	 NULL,
	 {{AT_EOM, 1, DO_CLOSE, "421 4.7.0 x\r\n"}},
	 "0:refused/eom/421",
	 NULL},
	{"dot close",
	 2,
	 NULL,
	 {{AT_RCPT, 1, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_EOM, 1, DO_CLOSE, NULL}},
	 "0:refused/rcpt/550 1:in_doubt/eom/-",
	 NULL},
	{"dot RST",
	 1,
	 NULL,
	 {{AT_EOM, 1, DO_RESET, NULL}},
	 "0:in_doubt/eom/-",
	 NULL},
	{"dot stall",
	 1,
	 NULL,
	 {{AT_EOM, 1, DO_STALL, NULL}},
	 "0:in_doubt/eom/-",
	 NULL},
	{"354, then silence",
	 1,
	 NULL,
	 {{AT_CONTENT, 1, DO_STALL, NULL}},
	 "0:in_doubt/eom/-",
	 NULL},
	{"dot byte by byte",
	 1,
	 NULL,
	 {{AT_EOM, 1, DO_BYTES, NULL}},
	 "0:accepted/eom/250",
	 NULL},
	{"dot garbage",
	 1,
	 NULL,
	 {{AT_EOM, 1, DO_SAY, "fine\r\n"}},
	 "0:in_doubt/eom/-",
	 NULL},
	{"dot 354",
	 1,
	 NULL,
	 {{AT_EOM, 1, DO_SAY, "354 more\r\n"}},
	 "0:in_doubt/eom/-",
	 NULL},
	{"dot accepted, reply of many lines",
	 1,
	 NULL,
	 {{AT_EOM, 1, DO_SAY, "250-a\r\n450-b\r\n250 c\r\n"}},
	 "0:accepted/eom/250",
	 NULL},
	{"dot accepted, then 421",
	 1,
	 NULL,
	 {{AT_EOM, 1, DO_CLOSE, TAKEN "421 bye\r\n"}},
	 "0:accepted/eom/250",
	 NULL},
};

static bool has_rules(const struct oddity *o, uint32_t *count)
{
	for (*count = 0; *count < 5 && o->rules[*count].at; ++*count)
		;
	return *count != 0;
}

static void check(const struct oddity *o, struct room *r)
{
	if (o->results && strcmp(r->results, o->results) != 0)
		fail_msg("%s: results %s, not %s (%s)", o->name, r->results,
			 o->results, r->detail);
	if (!o->results && r->done)
		fail_msg("%s: results %s, none wanted", o->name, r->results);
	if (strcmp(r->failure, o->failure ? o->failure : "") != 0)
		fail_msg("%s: failure \"%s\", not \"%s\" (%s)", o->name,
			 r->failure, o->failure ? o->failure : "", r->detail);
}

/* Then the next message must go through as if nothing had been: catches
 * replies, slots and states that are left over. */
static void check_next_message(const struct oddity *o, struct room *r)
{
	uint32_t done = r->done;

	if (!o->results)
		return;
	r->results[0] = '\0';
	(void)room_store(r, five, 1, small, sizeof(small) - 1, 0);
	room_run(r, &r->done, done + 1);
}

static void run_oddity(const struct oddity *o, enum room_go go)
{
	struct fake_options fo = {.offers = o->offers, .rules = o->rules};
	struct fake_receiver *f;
	struct delivery_stats s;
	struct room r;

	(void)has_rules(o, &fo.rule_count);
	f = fake_receiver_start(&fo);
	room_open(&r, fake_receiver_port(f));
	r.go = go;
	room_start(&r);
	(void)room_store(&r, five, o->rcpts, small, sizeof(small) - 1, 0);
	room_run(&r, o->results ? &r.done : &r.failed, 1);
	check(o, &r);
	delivery_stats(r.d, &s);
	assert_int_equal(s.in_flight, 0);
	check_next_message(o, &r);
	room_close(&r);
	fake_receiver_stop(&f);
}

static void each_oddity_has_its_results(void **state)
{
	memset(long_line, 'x', sizeof(long_line));
	memcpy(long_line, "250 ", 4);
	memcpy(long_line + 65536, "\r\n", 3);
	for (size_t i = 0; i < sizeof(oddities) / sizeof(oddities[0]); i++)
		run_oddity(&oddities[i], i % 2 ? GO_LATER : GO_NOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_oddity_has_its_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
