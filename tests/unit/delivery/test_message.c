/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_message.c - what goes over the wire is what was stored, or nothing.
 */
#include "delivery_room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "smtp/stuffing.h"

static const char *const rcpt[] = {"a@example.net", "b@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";

struct setup {
	struct fake_receiver *f;
	struct room r;
};

static void setup(struct setup *s, const char *offers)
{
	struct fake_options fo = {.offers = offers};

	s->f = fake_receiver_start(&fo);
	room_open(&s->r, fake_receiver_port(s->f));
	room_patience(&s->r, 5 * NS_PER_S);
}

static void teardown(struct setup *s)
{
	room_close(&s->r);
	fake_receiver_stop(&s->f);
}

/* Lines of mixed lengths; every tenth starts with a dot if `dots`. */
static char *make_content(size_t len, bool dots, unsigned seed)
{
	char *c = malloc(len + 1);
	size_t at = 0;

	for (int line = 0; at < len; line++) {
		size_t n = (size_t)rand_r(&seed) % 120;

		if (at + n + 2 > len - 2 || len - at < 130)
			n = len - at - 2;
		memset(c + at, 'a' + line % 26, n);
		if (dots && n && line % 10 == 0)
			c[at] = '.';
		memcpy(c + at + n, "\r\n", 2);
		at += n + 2;
	}
	return c;
}

static void check_content(struct setup *s, const char *want, size_t len)
{
	size_t got_len, n = 0;
	const char *got = fake_receiver_content(s->f, &got_len);
	char *plain = malloc(got_len + 1);
	struct smtp_unstuffer u;

	smtp_unstuffer_init(&u);
	for (size_t at = 0, used, span_len; at < got_len; at += used) {
		const char *span;

		assert_int_equal(smtp_unstuff(&u, got + at, got_len - at, &used,
					      &span, &span_len),
				 0);
		memcpy(plain + n, span, span_len);
		n += span_len;
	}
	assert_int_equal(n, len);
	assert_memory_equal(plain, want, len);
	free(plain);
}

/* Sizes around every buffer's end, with and without dots, small and streamed:
 * catches an off-by-one at the seam of two pieces. */
static void content_arrives_as_it_was_stored(void **state)
{
	static const size_t sizes[] = {4,     100,    4096,   65000,  65534,
				       65536, 65538,  81000,  81600,  81920,
				       82000, 131072, 147000, 200000, 1000003};
	struct setup s;

	setup(&s, NULL);
	room_start(&s.r);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) * 2; i++) {
		size_t len = sizes[i / 2];
		bool dots = i % 2;
		char *c = make_content(len, dots, (unsigned)i);

		s.r.go = i % 3 ? GO_NOW : GO_LATER;
		(void)room_store(&s.r, rcpt, 1, c, len,
				 dots ? SPOOL_NEEDS_STUFFING : 0);
		s.r.results[0] = '\0';
		room_run(&s.r, &s.r.done, (uint32_t)i + 1);
		assert_string_equal(s.r.results, "0:accepted/eom/250");
		check_content(&s, c, len);
		free(c);
	}
	teardown(&s);
}

/* Worst case of stuffing: every line is one dot, over several pieces. */
static void content_of_dots_arrives(void **state)
{
	enum { LINES = 70000 };
	char *c = malloc(LINES * 3);
	struct setup s;

	for (int i = 0; i < LINES; i++)
		memcpy(c + i * 3, ".\r\n", 3);
	for (int lines = LINES; lines > 1000; lines = lines * 2 / 3) {
		setup(&s, NULL);
		s.r.go = GO_LATER;
		room_start(&s.r);
		(void)room_store(&s.r, rcpt, 1, c, (size_t)lines * 3,
				 SPOOL_NEEDS_STUFFING);
		room_run(&s.r, &s.r.done, 1);
		assert_string_equal(s.r.results, "0:accepted/eom/250");
		check_content(&s, c, (size_t)lines * 3);
		teardown(&s);
	}
	free(c);
}

/* The dot needs a line of its own, also where the content ends without one.
 * The receiver then sees the CRLF that SMTP cannot do without. */
static void content_without_last_line_end_is_ended(void **state)
{
	static const char *const texts[] = {"x", "a\r\nb", "a\r", "a\n", ""};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct setup s;
		size_t n;
		const char *got;

		setup(&s, NULL);
		room_start(&s.r);
		(void)room_store(&s.r, rcpt, 1, texts[i], strlen(texts[i]), 0);
		room_run(&s.r, &s.r.done, 1);
		assert_string_equal(s.r.results, "0:accepted/eom/250");
		got = fake_receiver_content(s.f, &n);
		assert_int_equal(n, strlen(texts[i]) + (texts[i][0] ? 2 : 0));
		assert_memory_equal(got, texts[i], strlen(texts[i]));
		teardown(&s);
	}
}

static void message_beyond_size_is_unsendable(void **state)
{
	struct setup s;

	setup(&s, "250-SIZE 20\r\n250-PIPELINING\r\n");
	room_start(&s.r);
	(void)room_store(&s.r, rcpt, 2, small, sizeof(small) - 1, 0);
	(void)room_store(&s.r, rcpt, 1, "x\r\n", 3, 0);
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results,
			    "0:unsendable/mail/- 1:unsendable/mail/-");
	assert_memory_equal(s.r.detail, "5.3.4 ", 6);
	room_run(&s.r, &s.r.done, 2);
	assert_int_equal(fake_receiver_count(s.f, AT_MAIL), 1);
	teardown(&s);
}

static void store_text(struct setup *s, const char *sender, const char *one,
		       const char *two, uint8_t utf8, uint32_t flags,
		       const char *text)
{
	struct envelope_rcpt list[2] = {
		{.address = {one, (uint32_t)strlen(one)},
		 .orcpt = {"rfc822;o@example.net", 20},
		 .notify = NOTIFY_FAILURE | NOTIFY_SUCCESS},
		{.address = {two, (uint32_t)strlen(two)}}};
	struct envelope env = {.sender = {sender, (uint32_t)strlen(sender)},
			       .envid = {"E1", 2},
			       .ret = RET_FULL,
			       .smtputf8 = utf8,
			       .rcpt_count = 2,
			       .rcpts = list};

	(void)room_store_env(&s->r, &env, text, strlen(text), flags);
}

static void store_envelope(struct setup *s, const char *sender, const char *one,
			   const char *two, uint8_t utf8, uint32_t flags)
{
	store_text(s, sender, one, two, utf8, flags, small);
}

static void utf8_goes_only_where_it_is_understood(void **state)
{
	struct setup s;

	setup(&s, "250-8BITMIME\r\n250-PIPELINING\r\n");
	room_start(&s.r);
	store_text(&s, "s@example.org", "a@x.net", "b@x.net", 1, 0,
		   "Subject: \xc3\xa4\r\n\r\nhello\r\n");
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results,
			    "0:unsendable/mail/- 1:unsendable/mail/-");
	assert_memory_equal(s.r.detail, "5.6.7 ", 6);
	/* the sender's address needs it, too */
	s.r.results[0] = '\0';
	store_envelope(&s, "\xc3\xa4@example.org", "a@x.net", "b@x.net", 0, 0);
	room_run(&s.r, &s.r.done, 2);
	assert_string_equal(s.r.results,
			    "0:unsendable/mail/- 1:unsendable/mail/-");
	/* only one recipient needs it: the other one gets the message */
	s.r.results[0] = '\0';
	store_envelope(&s, "s@example.org", "\xc3\xa4@x.net", "b@x.net", 0, 0);
	room_run(&s.r, &s.r.done, 3);
	assert_string_equal(s.r.results,
			    "1:accepted/eom/250 0:unsendable/rcpt/-");
	assert_memory_equal(s.r.detail, "5.6.7 ", 6);
	teardown(&s);
	setup(&s, "250-8BITMIME\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n");
	room_start(&s.r);
	store_envelope(&s, "s@example.org", "\xc3\xa4@x.net", "b@x.net", 0, 0);
	room_run(&s.r, &s.r.done, 1);
	assert_non_null(strstr(fake_receiver_commands(s.f), " SMTPUTF8"));
	teardown(&s);
}

/* Many clients say SMTPUTF8 for everything. What is ASCII but for its body is
 * not bounced for it, and goes out as it is. */
static void utf8_that_nothing_needs_is_not_insisted_on(void **state)
{
	struct setup s;

	setup(&s, "250-PIPELINING\r\n");
	room_start(&s.r);
	store_text(&s, "s@example.org", "a@x.net", "b@x.net", 1, SPOOL_HAS_8BIT,
		   "Subject: x\r\n\r\nh\xc3\xa4llo\r\n");
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results,
			    "0:accepted/eom/250 1:accepted/eom/250");
	assert_null(strstr(fake_receiver_commands(s.f), "SMTPUTF8"));
	teardown(&s);
	setup(&s, "250-PIPELINING\r\n250-SMTPUTF8\r\n");
	room_start(&s.r);
	store_envelope(&s, "s@example.org", "a@x.net", "b@x.net", 1, 0);
	room_run(&s.r, &s.r.done, 1);
	assert_non_null(strstr(fake_receiver_commands(s.f), " SMTPUTF8"));
	teardown(&s);
}

static void parameters_are_asked_for_where_offered(void **state)
{
	struct setup s;

	setup(&s, "250-DSN\r\n250-8bitmime\r\n");
	room_start(&s.r);
	store_envelope(&s, "", "a b@x.net", "b@x.net", 0, SPOOL_HAS_8BIT);
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(fake_receiver_commands(s.f),
			    "EHLO client.example.org\r\n"
			    "MAIL FROM:<> BODY=8BITMIME RET=FULL ENVID=E1\r\n"
			    "RCPT TO:<\"a b\"@x.net> NOTIFY=SUCCESS,FAILURE "
			    "ORCPT=rfc822;o@example.net\r\n"
			    "RCPT TO:<b@x.net>\r\nDATA\r\n");
	assert_int_equal(s.r.relayed, 0);
	teardown(&s);
	setup(&s, "");
	room_start(&s.r);
	store_envelope(&s, "s@x.org", "a@x.net", "b@x.net", 0, SPOOL_HAS_8BIT);
	room_run(&s.r, &s.r.done, 1);
	assert_non_null(strstr(fake_receiver_commands(s.f),
			       "MAIL FROM:<s@x.org>\r\nRCPT TO:<a@x.net>\r\n"));
	assert_non_null(strstr(s.r.results, "accepted"));
	assert_int_equal(s.r.relayed, 1); /* the one that asked for SUCCESS */
	teardown(&s);
}

/* What cannot be said in SMTP stops at us; the rest goes on. */
static void bad_address_is_unsendable_alone(void **state)
{
	struct setup s;

	setup(&s, NULL);
	room_start(&s.r);
	store_envelope(&s, "s@x.org", "a\r\nDATA\r\n@x.net", "b@x.net", 0, 0);
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results,
			    "1:accepted/eom/250 0:unsendable/rcpt/-");
	assert_memory_equal(s.r.detail, "5.1.3 ", 6);
	s.r.results[0] = '\0';
	store_envelope(&s, "s\n@x.org", "a@x.net", "b@x.net", 0, 0);
	room_run(&s.r, &s.r.done, 2);
	assert_memory_equal(s.r.detail, "5.1.7 ", 6);
	assert_int_equal(fake_receiver_count(s.f, AT_MAIL), 1);
	teardown(&s);
}

static void damage(struct setup *s, const struct room_message *m,
		   uint64_t from_start)
{
	char path[512], c;
	int fd;

	room_segment(&s->r, path, sizeof(path));
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(
		pread(fd, &c, 1, (off_t)(m->m.place.offset + from_start)), 1);
	c ^= 0x20;
	assert_int_equal(
		pwrite(fd, &c, 1, (off_t)(m->m.place.offset + from_start)), 1);
	assert_int_equal(close(fd), 0);
}

/* One bit of header, envelope or content: nothing of it is ever accepted by a
 * receiver, also when the damage is found in mid-stream. */
static void damaged_record_is_never_delivered(void **state)
{
	static const uint64_t where[] = {0, 20, 70, 220, 100000, 250000};

	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		bool large = where[i] > 1000;
		size_t len = large ? 300000 : 200;
		char *c = make_content(len, false, 5);
		struct room_message *m;
		struct setup s;

		setup(&s, NULL);
		room_start(&s.r);
		m = room_store(&s.r, rcpt, 1, c, len, 0);
		damage(&s, m, where[i]);
		room_run(&s.r, &s.r.done, 1);
		assert_memory_equal(s.r.results, "0:unsendable/", 13);
		assert_int_equal(fake_receiver_count(s.f, AT_EOM), 0);
		if (!large)
			assert_int_equal(fake_receiver_count(s.f, AT_MAIL), 0);
		(void)room_store(&s.r, rcpt, 1, small, sizeof(small) - 1, 0);
		room_run(&s.r, &s.r.done, 2);
		assert_non_null(strstr(s.r.results, "accepted"));
		free(c);
		teardown(&s);
	}
}

/* Another message lies there now (reclaim, a stale place). */
static void record_of_another_message_is_not_sent(void **state)
{
	struct room_message *a, *b;
	struct setup s;

	setup(&s, NULL);
	room_start(&s.r);
	a = room_store(&s.r, rcpt, 1, small, sizeof(small) - 1, 0);
	b = room_store(&s.r, rcpt, 1, small, sizeof(small) - 1, 0);
	a->m.place = b->m.place;
	b->m.place.segment = 4711;
	room_run(&s.r, &s.r.done, 2);
	assert_string_equal(s.r.results,
			    "0:unsendable/mail/- 0:unsendable/mail/-");
	assert_int_equal(fake_receiver_count(s.f, AT_MAIL), 0);
	teardown(&s);
}

static void recipient_that_is_not_there_is_unsendable(void **state)
{
	struct room_message *m;
	struct setup s;

	setup(&s, NULL);
	room_start(&s.r);
	m = room_store(&s.r, rcpt, 2, small, sizeof(small) - 1, 0);
	m->rcpts[0] = 77;
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.results,
			    "1:accepted/eom/250 77:unsendable/rcpt/-");
	teardown(&s);
}

/* `count` recipients, of which the first 1000 are offered. */
static void run_many(uint32_t count, const char *offers)
{
	struct envelope_rcpt *list = calloc(count, sizeof(*list));
	char(*names)[32] = calloc(count, sizeof(*names));
	struct envelope env = {.sender = {"s@example.org", 13},
			       .rcpt_count = count,
			       .rcpts = list};
	uint32_t sent = count < 1000 ? count : 1000;
	struct setup s;

	setup(&s, offers);
	room_start(&s.r);
	for (uint32_t i = 0; i < count; i++) {
		int n = snprintf(names[i], sizeof(names[i]),
				 "user%06u@example.net", i);

		list[i].address = (struct text){names[i], (uint32_t)n};
	}
	(void)room_store_env(&s.r, &env, small, sizeof(small) - 1, 0);
	room_run(&s.r, &s.r.done, 1);
	assert_int_equal(fake_receiver_count(s.f, AT_RCPT), sent);
	assert_int_equal(s.r.attempt_rcpts, sent);
	assert_string_equal(s.r.address, names[sent - 1]);
	assert_int_equal(fake_receiver_count(s.f, AT_EOM), 1);
	free(names);
	free(list);
	teardown(&s);
}

/* More commands than one send holds; an envelope beside and beyond what a
 * connection can keep (20,000 recipients are 500 KiB). */
static void many_recipients_go_in_one_transaction(void **state)
{
	run_many(500, NULL);
	run_many(1000, NULL);
	run_many(100, "");
	run_many(20000, NULL);
}

/* Each of 600 is refused with its own words, and gets them back. */
static void every_refusal_keeps_its_words(void **state)
{
	static struct fake_rule rules[300];
	static char words[300][64];
	struct fake_options fo = {.rules = rules, .rule_count = 300};
	struct envelope_rcpt list[300] = {0};
	struct envelope env = {.sender = {"s@example.org", 13},
			       .rcpt_count = 300,
			       .rcpts = list};
	struct setup s;

	for (uint32_t i = 0; i < 300; i++) {
		(void)snprintf(words[i], sizeof(words[i]),
			       "550 5.1.1 nobody %u\r\n", i / 2);
		rules[i] = (struct fake_rule){AT_RCPT, i + 1, DO_SAY, words[i]};
		list[i].address = (struct text){"a@example.net", 13};
	}
	s.f = fake_receiver_start(&fo);
	room_open(&s.r, fake_receiver_port(s.f));
	room_start(&s.r);
	for (uint32_t i = 0; i < 30; i++) /* nothing may leak */
		(void)room_store_env(&s.r, &env, small, sizeof(small) - 1, 0);
	room_run(&s.r, &s.r.done, 1);
	assert_string_equal(s.r.reply_text, "nobody 0");
	room_run(&s.r, &s.r.done, 30);
	assert_null(strstr(s.r.results, "lost"));
	teardown(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_arrives_as_it_was_stored),
		cmocka_unit_test(content_of_dots_arrives),
		cmocka_unit_test(content_without_last_line_end_is_ended),
		cmocka_unit_test(message_beyond_size_is_unsendable),
		cmocka_unit_test(utf8_goes_only_where_it_is_understood),
		cmocka_unit_test(utf8_that_nothing_needs_is_not_insisted_on),
		cmocka_unit_test(parameters_are_asked_for_where_offered),
		cmocka_unit_test(bad_address_is_unsendable_alone),
		cmocka_unit_test(damaged_record_is_never_delivered),
		cmocka_unit_test(record_of_another_message_is_not_sent),
		cmocka_unit_test(recipient_that_is_not_there_is_unsendable),
		cmocka_unit_test(many_recipients_go_in_one_transaction),
		cmocka_unit_test(every_refusal_keeps_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
