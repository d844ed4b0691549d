/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reply.c - the reply parser: a state machine over segments.
 *
 * Called by delivery for every received segment. PURE, any thread.
 * Bound: one pass; codes byte by byte (at most 16 a line), text by memchr and
 * memcpy. A reply longer than SMTP_REPLY_BYTES_MAX or _LINES_MAX is an error.
 * Errors: -EPROTO for what is no SMTP; the parser is then used up.
 */
#include "smtp/reply.h"

#include <errno.h>
#include <string.h>

#include "sluice/assert.h"

enum reply_state {
	REPLY_CODE,      /* the three digits */
	REPLY_SEPARATOR, /* ' ', '-' or the end of the line */
	REPLY_ENHANCED,  /* may be "5.1.1 " */
	REPLY_TEXT,
	REPLY_DONE
};

void smtp_reply_parser_init(struct smtp_reply_parser *p)
{
	memset(p, 0, sizeof(*p));
}

bool smtp_reply_is_of_address(const struct smtp_reply *r)
{
	return r->enhanced[0] && r->enhanced[1] == 1;
}

bool smtp_reply_is_whole(const struct smtp_reply_parser *p)
{
	return p->state == REPLY_DONE;
}

static void reply_restart(struct smtp_reply_parser *p)
{
	p->reply.code = 0;
	memset(p->reply.enhanced, 0, sizeof(p->reply.enhanced));
	p->reply.text_len = 0;
	p->reply.lines = 0;
	p->reply.bytes = 0;
	p->line_pos = 0;
	p->tail_pos = 0;
	p->tail_len = 0;
	p->cr = false;
	p->state = REPLY_CODE;
}

/* What does not fit into the head goes round in the tail. */
static void reply_append_tail(struct smtp_reply_parser *p, const char *s,
			      size_t n)
{
	p->tail_len += (uint32_t)n;
	if (n > SMTP_REPLY_TAIL_BYTES) {
		s += n - SMTP_REPLY_TAIL_BYTES;
		n = SMTP_REPLY_TAIL_BYTES;
	}
	while (n) {
		size_t room = SMTP_REPLY_TAIL_BYTES - p->tail_pos;
		size_t part = n < room ? n : room;

		memcpy(p->tail + p->tail_pos, s, part);
		p->tail_pos = (uint32_t)((p->tail_pos + part) %
					 SMTP_REPLY_TAIL_BYTES);
		s += part;
		n -= part;
	}
}

static void reply_append(struct smtp_reply_parser *p, const char *s, size_t n)
{
	size_t room = SMTP_REPLY_HEAD_BYTES - p->reply.text_len;
	size_t part = n < room ? n : room;

	memcpy(p->reply.text + p->reply.text_len, s, part);
	p->reply.text_len += (uint32_t)part;
	if (n > part)
		reply_append_tail(p, s + part, n - part);
}

/* Puts the tail behind the head, with a mark if something was lost. */
static void reply_join_tail(struct smtp_reply_parser *p)
{
	struct smtp_reply *r = &p->reply;
	uint32_t keep = p->tail_len, from = 0, first;

	if (!keep)
		return;
	if (keep > SMTP_REPLY_TAIL_BYTES) {
		memcpy(r->text + r->text_len, " ... ", 5);
		r->text_len += 5;
		keep = SMTP_REPLY_TAIL_BYTES;
		from = p->tail_pos;
	}
	first = SMTP_REPLY_TAIL_BYTES - from;
	if (first > keep)
		first = keep;
	memcpy(r->text + r->text_len, p->tail + from, first);
	memcpy(r->text + r->text_len + first, p->tail, keep - first);
	r->text_len += keep;
}

/* Control characters never reach logs, the journal or a terminal. */
static void reply_finish(struct smtp_reply_parser *p)
{
	struct smtp_reply *r = &p->reply;

	reply_join_tail(p);
	sluice_assert(r->text_len < sizeof(r->text));
	for (uint32_t i = 0; i < r->text_len; i++) {
		unsigned char c = (unsigned char)r->text[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			r->text[i] = '?';
	}
	r->text[r->text_len] = '\0';
	r->code = p->line_code;
	p->state = REPLY_DONE;
}

/* 1 = that was the last line, 0 = another one follows. */
static int reply_line_end(struct smtp_reply_parser *p)
{
	p->cr = false;
	p->line_pos = 0;
	if (p->last_line) {
		reply_finish(p);
		return 1;
	}
	if (p->reply.lines >= SMTP_REPLY_LINES_MAX)
		return -EPROTO;
	p->state = REPLY_CODE;
	return 0;
}

/* A code is 200 to 599. */
static int reply_code(struct smtp_reply_parser *p, char c)
{
	if (c < '0' || c > '9')
		return -EPROTO;
	if (p->line_pos == 0 && (c < '2' || c > '5'))
		return -EPROTO;
	p->prefix[p->line_pos++] = c;
	if (p->line_pos < 3)
		return 0;
	p->line_code =
		(uint16_t)((p->prefix[0] - '0') * 100 +
			   (p->prefix[1] - '0') * 10 + (p->prefix[2] - '0'));
	p->state = REPLY_SEPARATOR;
	return 0;
}

static void reply_text_begin(struct smtp_reply_parser *p, uint8_t state)
{
	if (p->reply.lines++)
		reply_append(p, "\n", 1);
	p->enhanced_part = 0;
	p->enhanced_digits = 0;
	p->enhanced_len = 0;
	p->state = state;
}

static int reply_separator(struct smtp_reply_parser *p, char c)
{
	p->last_line = c != '-';
	switch (c) {
	case ' ':
	case '\t':
	case '-':
		reply_text_begin(p, REPLY_ENHANCED);
		return 0;
	case '\r':
		reply_text_begin(p, REPLY_TEXT);
		p->cr = true;
		return 0;
	case '\n':
		reply_text_begin(p, REPLY_TEXT);
		return reply_line_end(p);
	default:
		return -EPROTO;
	}
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || c == '.' || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

/* Takes `c` as the next character of class.subject.detail if it can be one. */
static bool reply_enhanced_takes(struct smtp_reply_parser *p, char c)
{
	uint8_t part = p->enhanced_part;

	if (is_digit(c)) {
		uint16_t v = p->enhanced_digits ? p->enhanced_value[part] : 0;

		if (p->enhanced_digits >= (part ? 3 : 1))
			return false;
		if (!part && c != '2' && c != '4' && c != '5')
			return false;
		p->enhanced_value[part] = (uint16_t)(v * 10 + (c - '0'));
		p->enhanced_digits++;
	} else if (c == '.' && part < 2 && p->enhanced_digits) {
		p->enhanced_part++;
		p->enhanced_digits = 0;
	} else {
		return false;
	}
	p->enhanced_raw[p->enhanced_len++] = c;
	return true;
}

/* True when `c` was eaten; else it belongs to the text. */
static bool reply_enhanced(struct smtp_reply_parser *p, char c)
{
	if (reply_enhanced_takes(p, c))
		return true;
	p->state = REPLY_TEXT;
	if (p->enhanced_part < 2 || !p->enhanced_digits || is_word(c)) {
		reply_append(p, p->enhanced_raw, p->enhanced_len);
		return false;
	}
	memcpy(p->reply.enhanced, p->enhanced_value, sizeof(p->reply.enhanced));
	return c == ' ';
}

/* Text up to and with the LF, or all there is. Returns bytes taken; `ended`
 * tells which. */
static size_t reply_text(struct smtp_reply_parser *p, const char *s, size_t len,
			 bool *ended)
{
	const char *lf = memchr(s, '\n', len);
	size_t n = lf ? (size_t)(lf - s) : len;

	*ended = lf != NULL;
	if (n) {
		if (p->cr)
			reply_append(p, "\r", 1);
		p->cr = s[n - 1] == '\r';
		reply_append(p, s, p->cr ? n - 1 : n);
	}
	return lf ? n + 1 : n;
}

/* One step: at least one byte is taken unless an enhanced code turns out to be
 * text, which changes the state. */
static int reply_step(struct smtp_reply_parser *p, const char *s, size_t len,
		      size_t *taken)
{
	bool ended;

	*taken = 1;
	switch (p->state) {
	case REPLY_CODE:
		return reply_code(p, *s);
	case REPLY_SEPARATOR:
		return reply_separator(p, *s);
	case REPLY_ENHANCED:
		*taken = reply_enhanced(p, *s) ? 1 : 0;
		return 0;
	default:
		*taken = reply_text(p, s, len, &ended);
		return ended ? reply_line_end(p) : 0;
	}
}

int smtp_reply_parse(struct smtp_reply_parser *p, const char *data, size_t len,
		     size_t *used)
{
	size_t at = 0, taken;
	int res = 0;

	if (p->state == REPLY_DONE)
		reply_restart(p);
	while (!res && at < len) {
		res = reply_step(p, data + at, len - at, &taken);
		at += taken;
		if (p->reply.bytes + at > SMTP_REPLY_BYTES_MAX)
			res = -EPROTO;
	}
	p->reply.bytes += (uint32_t)at;
	*used = at;
	return res;
}
