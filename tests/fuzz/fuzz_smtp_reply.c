/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_smtp_reply.c - any bytes as a receiver's replies.
 *
 * Each input is read in one piece and byte by byte: both must give the same
 * replies. What comes out goes into the dialogue and the EHLO parser, as it
 * does in delivery.
 */
#include <string.h>

#include "fuzz.h"
#include "sluice/assert.h"
#include "smtp/dialogue.h"
#include "smtp/reply.h"

static void check_reply(const struct smtp_reply *r)
{
	struct smtp_extensions e;

	sluice_assert(r->code >= 200 && r->code < 600);
	sluice_assert(r->text_len < SMTP_REPLY_TEXT_BYTES);
	sluice_assert(strlen(r->text) == r->text_len);
	sluice_assert(r->lines >= 1 && r->lines <= SMTP_REPLY_LINES_MAX);
	for (uint32_t i = 0; i < r->text_len; i++) {
		unsigned char c = (unsigned char)r->text[i];

		sluice_assert(c >= 0x20 || c == '\n' || c == '\t');
	}
	smtp_extensions_parse(r->text, r->text_len, &e);
	sluice_assert(e.size || !e.size_max_bytes);
}

static void check_same(const struct smtp_reply *a, const struct smtp_reply *b)
{
	sluice_assert(a->code == b->code && a->lines == b->lines);
	sluice_assert(a->bytes == b->bytes && a->text_len == b->text_len);
	sluice_assert(memcmp(a->enhanced, b->enhanced, sizeof(a->enhanced)) ==
		      0);
	sluice_assert(memcmp(a->text, b->text, a->text_len) == 0);
}

/* Commands as a client would have sent them before the next reply. */
static void converse(struct dialogue *d, uint16_t code, uint8_t rcpts)
{
	struct dialogue_step s;

	if (d->state == DIALOGUE_IDLE && !d->awaited) {
		dialogue_begin(d, rcpts);
		dialogue_sent(d, DIALOGUE_MAIL, 1);
		dialogue_sent(d, DIALOGUE_RCPT, rcpts);
		dialogue_sent(d, DIALOGUE_DATA, 1);
	}
	dialogue_reply(d, code, &s);
	sluice_assert(s.action && s.action <= DIALOGUE_GARBAGE);
	sluice_assert(s.rcpt < rcpts);
	if (s.action == DIALOGUE_SEND_EHLO)
		dialogue_sent(d, DIALOGUE_EHLO, 1);
	else if (s.action == DIALOGUE_SEND_HELO)
		dialogue_sent(d, DIALOGUE_HELO, 1);
	else if (s.action == DIALOGUE_SEND_CONTENT)
		dialogue_sent(d, DIALOGUE_EOM, 1);
	else if (s.action == DIALOGUE_SEND_LONE_DOT)
		dialogue_sent(d, DIALOGUE_LONE_DOT, 1);
	else if (s.message_over && s.reset && !s.hang_up)
		dialogue_sent(d, DIALOGUE_RSET, 1);
	if (s.hang_up || s.action == DIALOGUE_HANG_UP)
		dialogue_init(d);
}

/* The next reply, fed one byte at a time. */
static int parse_slowly(struct smtp_reply_parser *p, const char *data,
			size_t len, size_t *at)
{
	int res = 0;

	while (!res && *at < len) {
		size_t used = 0;

		res = smtp_reply_parse(p, data + *at, 1, &used);
		sluice_assert(used == 1 || res < 0);
		*at += used;
	}
	return res;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct smtp_reply_parser fast, slow;
	const char *text = (const char *)data;
	size_t fast_at = 0, slow_at = 0, used;
	struct dialogue d;
	int res = 1;

	smtp_reply_parser_init(&fast);
	smtp_reply_parser_init(&slow);
	dialogue_init(&d);
	while (res > 0 && fast_at < size) {
		res = smtp_reply_parse(&fast, text + fast_at, size - fast_at,
				       &used);
		sluice_assert(used <= size - fast_at);
		fast_at += used;
		sluice_assert(parse_slowly(&slow, text, size, &slow_at) == res);
		if (res <= 0)
			break;
		sluice_assert(slow_at == fast_at);
		check_reply(&fast.reply);
		check_same(&fast.reply, &slow.reply);
		converse(&d, fast.reply.code, (uint8_t)(1 + size % 3));
	}
	return 0;
}

size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	static const char *const samples[] = {
		"220 mx\r\n250-mx\r\n250-SIZE 1000\r\n250 DSN\r\n250 2.1.0 ok"
		"\r\n250 2.1.5 ok\r\n354 go\r\n250 2.0.0 taken\r\n",
		"220 mx\r\n502 no\r\n250 mx\r\n250 ok\r\n550-5.1.1 no\r\n"
		"550 5.1.1 such user\r\n354 go\r\n250 ok\r\n221 bye\r\n",
		"421-4.7.28 a\r\n421-4.7.28 b\r\n421 4.7.28 c\r\n",
		"250\n250-\n250 \n550 5.1 x\n550 5.1.1.1\n",
	};

	if (number >= sizeof(samples) / sizeof(samples[0]) ||
	    strlen(samples[number]) > max)
		return 0;
	memcpy(out, samples[number], strlen(samples[number]));
	return strlen(samples[number]);
}
