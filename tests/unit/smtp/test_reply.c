/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_reply.c - replies as receivers really send them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/reply.h"

struct sample {
	const char *wire;
	uint16_t code;
	uint16_t enhanced[3];
	uint32_t lines;
	const char *text;
};

static const struct sample samples[] = {
	{"250 2.1.0 Ok\r\n", 250, {2, 1, 0}, 1, "Ok"},
	{"250\r\n", 250, {0}, 1, ""},
	{"250\n", 250, {0}, 1, ""},
	{"250 \r\n", 250, {0}, 1, ""},
	{"220 mx.example.net ESMTP\n", 220, {0}, 1, "mx.example.net ESMTP"},
	{"250-mx\r\n250-SIZE 10\r\n250 DSN\r\n",
	 250,
	 {0},
	 3,
	 "mx\nSIZE 10\nDSN"},
	{"250-mx\r\n250\r\n", 250, {0}, 2, "mx\n"},
	{"421-4.7.28 rate\r\n421-4.7.28 see\r\n421 4.7.28 url\r\n",
	 421,
	 {4, 7, 28},
	 3,
	 "rate\nsee\nurl"},
	/* codes differ: the last line counts */
	{"250-first\r\n550-5.7.1 then\r\n450 4.2.0 last\r\n",
	 450,
	 {4, 2, 0},
	 3,
	 "first\nthen\nlast"},
	/* looks like a code, is none */
	{"550 5.1 two parts\r\n", 550, {0}, 1, "5.1 two parts"},
	{"550 5.1.1.1 four\r\n", 550, {0}, 1, "5.1.1.1 four"},
	{"550 5.1.1234 long\r\n", 550, {0}, 1, "5.1.1234 long"},
	{"220 3.1.1 class three\r\n", 220, {0}, 1, "3.1.1 class three"},
	{"250 10.0.0.1 at\r\n", 250, {0}, 1, "10.0.0.1 at"},
	{"550 5.1.1: colon\r\n", 550, {5, 1, 1}, 1, ": colon"},
	{"550 5.1.1\r\n", 550, {5, 1, 1}, 1, ""},
	{"550 5..1 x\r\n", 550, {0}, 1, "5..1 x"},
	{"550\t5.7.1 tab\r\n", 550, {5, 7, 1}, 1, "tab"},
	/* control characters never get through */
	{"550 a\rb\r\n", 550, {0}, 1, "a?b"},
	{"550 \033[2J\r\r\n", 550, {0}, 1, "?[2J?"},
};

static void check_sample(const struct smtp_reply *r, const struct sample *s)
{
	assert_int_equal(r->code, s->code);
	assert_memory_equal(r->enhanced, s->enhanced, sizeof(r->enhanced));
	assert_int_equal(r->lines, s->lines);
	assert_string_equal(r->text, s->text);
	assert_int_equal(r->text_len, strlen(s->text));
	assert_int_equal(r->bytes, strlen(s->wire));
}

/* Each form of reply, whole. */
static void replies_are_read_whole(void **state)
{
	struct smtp_reply_parser p;

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		size_t used = 0;

		smtp_reply_parser_init(&p);
		assert_int_equal(
			smtp_reply_parse(&p, s->wire, strlen(s->wire), &used),
			1);
		assert_int_equal(used, strlen(s->wire));
		check_sample(&p.reply, s);
	}
}

/* A split between any two bytes changes nothing: catches state that is kept
 * in local variables. One parser throughout: catches what is left over. */
static void replies_split_anywhere_are_the_same(void **state)
{
	struct smtp_reply_parser p;

	smtp_reply_parser_init(&p);
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		size_t len = strlen(s->wire), used;

		for (size_t cut = 1; cut < len; cut++) {
			assert_int_equal(
				smtp_reply_parse(&p, s->wire, cut, &used), 0);
			assert_int_equal(used, cut);
			assert_int_equal(smtp_reply_parse(&p, s->wire + cut,
							  len - cut, &used),
					 1);
			check_sample(&p.reply, s);
		}
		for (size_t at = 0; at < len; at++)
			assert_int_equal(
				smtp_reply_parse(&p, s->wire + at, 1, &used),
				at + 1 == len);
		check_sample(&p.reply, s);
	}
}

/* Pipelined answers arrive in one segment: one at a time is taken. */
static void several_replies_come_one_by_one(void **state)
{
	static const char wire[] = "250 ok\r\n550-5.1.1 no\r\n550 5.1.1 such\r"
				   "\n354 go\r\n";
	static const uint16_t codes[] = {250, 550, 354};
	struct smtp_reply_parser p;
	size_t at = 0, used;

	smtp_reply_parser_init(&p);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(smtp_reply_parse(&p, wire + at,
						  sizeof(wire) - 1 - at, &used),
				 1);
		at += used;
		assert_int_equal(p.reply.code, codes[i]);
	}
	assert_int_equal(at, sizeof(wire) - 1);
}

static void garbage_is_no_reply(void **state)
{
	static const char *const wires[] = {
		"SSH-2.0-OpenSSH\r\n", "25x ok\r\n",   "150 low\r\n",
		"650 high\r\n",        "\r\n",         "250ok\r\n",
		"250-a\r\nand\r\n",    "\x16\x03\x01", "250-a\r\n\r\n"};

	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
		struct smtp_reply_parser p;
		size_t used = 99;

		smtp_reply_parser_init(&p);
		assert_int_equal(
			smtp_reply_parse(&p, wires[i], strlen(wires[i]), &used),
			-EPROTO);
		assert_true(used <= strlen(wires[i]));
	}
}

/* A 64 KiB line: head and tail are kept, the middle is marked as cut. */
static void long_line_keeps_head_and_tail(void **state)
{
	enum { LEN = 65536 };
	struct smtp_reply_parser p;
	char *wire = malloc(LEN);
	size_t used;

	memset(wire, 'm', LEN);
	memcpy(wire, "550 HEAD", 8);
	memcpy(wire + LEN - 8, "THE-END\n", 8);
	for (size_t step = 1; step <= LEN; step = step * 7 + 1) {
		int res = 0;

		smtp_reply_parser_init(&p);
		for (size_t at = 0; at < LEN; at += used) {
			size_t n = LEN - at < step ? LEN - at : step;

			assert_int_equal(res, 0);
			res = smtp_reply_parse(&p, wire + at, n, &used);
		}
		assert_int_equal(res, 1);
		assert_int_equal(p.reply.bytes, LEN);
		assert_int_equal(p.reply.text_len, 1024 + 5 + 512);
		assert_memory_equal(p.reply.text, "HEADmmm", 7);
		assert_memory_equal(p.reply.text + 1021, "mmm ... mmm", 11);
		assert_string_equal(p.reply.text + 1024 + 5 + 512 - 8,
				    "mTHE-END");
	}
	free(wire);
}

/* Text just beyond the head is complete, without a mark. */
static void text_that_fits_both_parts_is_whole(void **state)
{
	struct smtp_reply_parser p;

	for (size_t n = 1020; n <= 1540; n++) {
		char wire[2048] = "250 ";
		size_t used;

		for (size_t i = 0; i < n; i++)
			wire[4 + i] = (char)('a' + i % 26);
		wire[4 + n] = '\n';
		smtp_reply_parser_init(&p);
		assert_int_equal(smtp_reply_parse(&p, wire, n + 5, &used), 1);
		if (n <= 1024 + 512) {
			assert_int_equal(p.reply.text_len, n);
			assert_memory_equal(p.reply.text, wire + 4, n);
		} else {
			assert_int_equal(p.reply.text_len, 1024 + 5 + 512);
			assert_memory_equal(p.reply.text + 1029,
					    wire + 4 + n - 512, 512);
		}
	}
}

/* A receiver that never stops talking is cut off, in lines and in bytes. */
static void endless_replies_are_cut_off(void **state)
{
	struct smtp_reply_parser p;
	char block[4096];
	size_t used, total = 0;
	int res = 0, lines = 0;

	smtp_reply_parser_init(&p);
	while (!res && lines < 5000) {
		res = smtp_reply_parse(&p, "250-x\r\n", 7, &used);
		lines++;
	}
	assert_int_equal(res, -EPROTO);
	assert_int_equal(lines, SMTP_REPLY_LINES_MAX);
	smtp_reply_parser_init(&p);
	memset(block, 'x', sizeof(block));
	memcpy(block, "250 ", 4);
	for (res = 0; !res && total < 2 * SMTP_REPLY_BYTES_MAX;
	     total += sizeof(block))
		res = smtp_reply_parse(&p, block, sizeof(block), &used);
	assert_int_equal(res, -EPROTO);
	assert_in_range(total, SMTP_REPLY_BYTES_MAX - sizeof(block),
			SMTP_REPLY_BYTES_MAX + 2 * sizeof(block));
}

static void extensions_parse(const char *text, struct smtp_extensions *e)
{
	smtp_extensions_parse(text, strlen(text), e);
}

static void extensions_are_found(void **state)
{
	struct smtp_extensions e;

	extensions_parse("mx.example.net\npipelining\nSIZE 52428800\n8bitmime\n"
			 "DSN\nSMTPUTF8\nCHUNKING\nSTARTTLS\n"
			 "ENHANCEDSTATUSCODES\nAUTH PLAIN",
			 &e);
	assert_true(e.pipelining && e.size && e.eightbitmime && e.dsn);
	assert_true(e.smtputf8 && e.chunking && e.starttls);
	assert_true(e.enhancedstatuscodes);
	assert_int_equal(e.size_max_bytes, 52428800);
	extensions_parse("mx\nSIZE=1000 \nAUTH=LOGIN", &e);
	assert_int_equal(e.size_max_bytes, 1000);
}

/* The greeting line is a host name, not an offer; words are whole. */
static void greeting_line_offers_nothing(void **state)
{
	struct smtp_extensions e;

	extensions_parse("PIPELINING", &e);
	assert_false(e.pipelining);
	extensions_parse(
		"mx\nPIPELININGX\nXDSN\nSIZE\nSIZE 99999999999999999999"
		"\nSIZE 12x",
		&e);
	assert_false(e.pipelining || e.dsn);
	assert_true(e.size);
	assert_int_equal(e.size_max_bytes, 0);
	extensions_parse("", &e);
	assert_false(e.size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_read_whole),
		cmocka_unit_test(replies_split_anywhere_are_the_same),
		cmocka_unit_test(several_replies_come_one_by_one),
		cmocka_unit_test(garbage_is_no_reply),
		cmocka_unit_test(long_line_keeps_head_and_tail),
		cmocka_unit_test(text_that_fits_both_parts_is_whole),
		cmocka_unit_test(endless_replies_are_cut_off),
		cmocka_unit_test(extensions_are_found),
		cmocka_unit_test(greeting_line_offers_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
