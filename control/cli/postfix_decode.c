/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_decode.c - from the form of SMTP to the form inside a queue file.
 *
 * Called by postfix_write.c. PURE. Bound: never longer than what goes in.
 */
#include "postfix_decode.h"

#include <string.h>

/* "a b"@x -> a b@x. -1: does not fit, or ends inside the quotes. */
long postfix_unquote(struct text t, char *to, size_t room)
{
	size_t n = 0, i = 1;

	if (t.len == 0 || t.data[0] != '"') {
		if (t.len > room)
			return -1;
		if (t.len > 0)
			memcpy(to, t.data, t.len);
		return (long)t.len;
	}
	for (; i < t.len && t.data[i] != '"' && n < room; i++) {
		if (t.data[i] == '\\' && i + 1 < t.len)
			i++;
		to[n++] = t.data[i];
	}
	if (i >= t.len || t.data[i] != '"' || n + (t.len - i - 1) > room)
		return -1;
	memcpy(to + n, t.data + i + 1, t.len - i - 1);
	return (long)(n + (t.len - i - 1));
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* +HH. Never longer than what goes in; what is no xtext stays as it is. */
size_t postfix_xtext_decode(const char *s, size_t len, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int high =
			s[i] == '+' && i + 2 < len ? hex_value(s[i + 1]) : -1;
		int low = high >= 0 ? hex_value(s[i + 2]) : -1;

		if (low < 0) {
			to[n++] = s[i];
			continue;
		}
		to[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return n;
}

static size_t utf8_put(uint32_t c, char *to)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (n == 1) {
		to[0] = (char)c;
		return 1;
	}
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)((0xf00 >> n) | c);
	return n;
}

/* The number of "\x{HEX}" at `s`, and how long that is; 0 = none. */
static size_t utf8_escape(const char *s, size_t len, uint32_t *c)
{
	size_t i = 3;

	*c = 0;
	if (len < 5 || memcmp(s, "\\x{", 3) != 0)
		return 0;
	for (; i < len && i < 9 && hex_value(s[i]) >= 0; i++)
		*c = *c << 4 | (uint32_t)hex_value(s[i]);
	if (i == 3 || i >= len || s[i] != '}' || *c > 0x10ffff ||
	    (*c & 0xfffff800) == 0xd800) /* half of a pair: no character */
		return 0;
	return i + 1;
}

size_t postfix_utf8_decode(const char *s, size_t len, char *to)
{
	size_t n = 0, step;
	uint32_t c;

	for (size_t i = 0; i < len; i += step) {
		step = utf8_escape(s + i, len - i, &c);
		if (step > 0) {
			n += utf8_put(c, to + n);
		} else {
			to[n++] = s[i];
			step = 1;
		}
	}
	return n;
}
