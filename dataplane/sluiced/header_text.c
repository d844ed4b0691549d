/* SPDX-License-Identifier: BSD-2-Clause
 *
 * header_text.c - fields of a header, unfolded and decoded.
 *
 * Called by record_match.c. PURE. Bound: one pass over the bytes given.
 * Errors: none; what is no header field is passed over.
 */
#include "sluiced/header_text.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

struct bytes {
	char *data;
	size_t len, room;
};

static void bytes_add(struct bytes *b, const char *data, size_t len)
{
	if (len > b->room - b->len)
		len = b->room - b->len;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Length of the line at `at` without its end; *next is where another begins. */
static size_t line_at(const char *h, size_t len, size_t at, size_t *next)
{
	const char *nl = memchr(h + at, '\n', len - at);
	size_t end = nl != NULL ? (size_t)(nl - h) : len;

	*next = nl != NULL ? end + 1 : len;
	if (end > at && h[end - 1] == '\r')
		end--;
	return end - at;
}

static bool is_field(const char *line, size_t len, const char *name,
		     size_t name_len)
{
	size_t i = name_len;

	if (len <= name_len || strncasecmp(line, name, name_len) != 0)
		return false;
	while (i < len && is_blank(line[i]))
		i++;
	return i < len && line[i] == ':';
}

/* The body's first line and those that continue it. */
static void field_unfold(const char *h, size_t len, size_t line, size_t *next,
			 struct bytes *out)
{
	const char *colon = memchr(h + line, ':', len - line);
	size_t from = (size_t)(colon - h) + 1;

	bytes_add(out, h + from, line_at(h, len, from, next));
	while (*next < len && is_blank(h[*next])) {
		from = *next;
		bytes_add(out, h + from, line_at(h, len, from, next));
	}
}

static void trim(struct bytes *b)
{
	size_t from = 0;

	while (from < b->len && is_blank(b->data[from]))
		from++;
	while (b->len > from && is_blank(b->data[b->len - 1]))
		b->len--;
	b->len -= from;
	memmove(b->data, b->data + from, b->len);
}

bool header_next(const char *header, size_t len, size_t *at, const char *name,
		 size_t name_len, char *out, size_t room, size_t *out_len)
{
	struct bytes body = {out, 0, room};
	size_t line, line_len, next = *at;

	while (next < len) {
		line = next;
		line_len = line_at(header, len, line, &next);
		if (line_len == 0)
			break;
		if (!is_field(header + line, line_len, name, name_len))
			continue;
		field_unfold(header, len, line, &next, &body);
		trim(&body);
		*at = next;
		*out_len = body.len;
		return true;
	}
	*at = len;
	return false;
}

/* "=?charset?B?text?=" in place. */
struct word {
	const char *charset, *text;
	size_t charset_len, text_len, whole;
	char encoding;
};

static bool word_at(const char *in, size_t len, struct word *w)
{
	const char *end = in + len, *q, *text;

	if (len < 8 || in[0] != '=' || in[1] != '?')
		return false;
	w->charset = in + 2;
	q = memchr(w->charset, '?', (size_t)(end - w->charset));
	if (q == NULL || end - q < 4 || q[2] != '?')
		return false;
	w->charset_len = (size_t)(q - w->charset);
	w->encoding = (char)(q[1] & ~0x20);
	text = q + 3;
	q = memchr(text, '?', (size_t)(end - text));
	if (q == NULL || end - q < 2 || q[1] != '=')
		return false;
	w->text = text;
	w->text_len = (size_t)(q - text);
	w->whole = (size_t)(q + 2 - in);
	return w->encoding == 'B' || w->encoding == 'Q';
}

enum charset { CHARSET_OTHER, CHARSET_UTF8, CHARSET_LATIN };

/* A language tag may follow the name: RFC 2231. */
static enum charset charset_of(const struct word *w)
{
	static const struct {
		const char *name;
		enum charset charset;
	} known[] = {{"utf-8", CHARSET_UTF8},
		     {"us-ascii", CHARSET_UTF8},
		     {"iso-8859-1", CHARSET_LATIN},
		     {"iso-8859-15", CHARSET_LATIN},
		     {"windows-1252", CHARSET_LATIN}};
	const char *star = memchr(w->charset, '*', w->charset_len);
	size_t len =
		star != NULL ? (size_t)(star - w->charset) : w->charset_len;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == len &&
		    strncasecmp(known[i].name, w->charset, len) == 0)
			return known[i].charset;
	return CHARSET_OTHER;
}

static void char_add(struct bytes *out, unsigned c, enum charset charset)
{
	char two[2] = {(char)(0xc0 | (c >> 6)), (char)(0x80 | (c & 0x3f))};
	char one = (char)c;

	if (charset == CHARSET_LATIN && c >= 0x80)
		bytes_add(out, two, 2);
	else
		bytes_add(out, &one, 1);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c &= ~0x20;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void word_q(const struct word *w, enum charset charset,
		   struct bytes *out)
{
	for (size_t i = 0; i < w->text_len; i++) {
		char c = w->text[i];
		int high, low;

		if (c == '=' && i + 2 < w->text_len) {
			high = hex_digit(w->text[i + 1]);
			low = hex_digit(w->text[i + 2]);
			if (high >= 0 && low >= 0) {
				char_add(out, (unsigned)(high * 16 + low),
					 charset);
				i += 2;
				continue;
			}
		}
		char_add(out, c == '_' ? ' ' : (unsigned char)c, charset);
	}
}

static int base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				     "pqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

static void word_b(const struct word *w, enum charset charset,
		   struct bytes *out)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < w->text_len; i++) {
		int digit = base64_digit(w->text[i]);

		if (digit < 0)
			continue;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		char_add(out, bits >> have & 0xff, charset);
	}
}

/* White space between two encoded words is none: RFC 2047 6.2. */
static size_t blank_before_word(const char *in, size_t len)
{
	struct word w;
	size_t n = 0;

	while (n < len && is_blank(in[n]))
		n++;
	return word_at(in + n, len - n, &w) && charset_of(&w) != CHARSET_OTHER
		       ? n
		       : 0;
}

size_t header_decode(const char *in, size_t len, char *out, size_t room)
{
	struct bytes to = {out, 0, room};
	struct word w;

	for (size_t i = 0; i < len;) {
		enum charset charset = CHARSET_OTHER;

		if (word_at(in + i, len - i, &w))
			charset = charset_of(&w);
		if (charset == CHARSET_OTHER) {
			bytes_add(&to, in + i, 1);
			i++;
			continue;
		}
		if (w.encoding == 'B')
			word_b(&w, charset, &to);
		else
			word_q(&w, charset, &to);
		i += w.whole;
		i += blank_before_word(in + i, len - i);
	}
	return to.len;
}
