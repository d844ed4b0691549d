/* SPDX-License-Identifier: BSD-2-Clause
 *
 * xtext.c - ENVID and ORCPT values, to and from the wire form.
 *
 * PURE; called by the readers and the SMTP server.
 * Bound: six bytes out per byte in. Errors: as envelope_build.
 */
#include "intake/xtext.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char hex_digits[] = "0123456789ABCDEF";

static bool xchar(unsigned char c)
{
	return c >= 33 && c <= 126 && c != '+' && c != '=';
}

size_t xtext_write(char *to, const char *data, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (xchar(c)) {
			to[n++] = (char)c;
			continue;
		}
		to[n++] = '+';
		to[n++] = hex_digits[c >> 4];
		to[n++] = hex_digits[c & 15];
	}
	return n;
}

int xtext_encode(struct envelope_build *b, const char *data, size_t len,
		 struct text *out)
{
	char *to;
	int rc = envelope_build_reserve(b, len * 3, &to);

	if (rc)
		return rc;
	*out = (struct text){.data = to,
			     .len = (uint32_t)xtext_write(to, data, len)};
	envelope_build_commit(b, out->len);
	return 0;
}

/* One UTF-8 character: its length, 0 if it is none. */
static size_t utf8_char(const unsigned char *s, size_t len, uint32_t *cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80             ? 1
		   : (s[0] & 0xe0) == 0xc0 ? 2
		   : (s[0] & 0xf0) == 0xe0 ? 3
		   : (s[0] & 0xf8) == 0xf0 ? 4
					   : 0;

	if (!n || n > len)
		return 0;
	*cp = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (s[i] & 0x3f);
	}
	if (*cp < least[n] || *cp > 0x10ffff || (*cp & 0xfffff800) == 0xd800)
		return 0;
	return n;
}

static size_t hex_put(char *to, uint32_t cp)
{
	size_t n = 0;
	int shift = 20;

	while (shift > 4 && !(cp >> shift))
		shift -= 4;
	to[n++] = '\\';
	to[n++] = 'x';
	to[n++] = '{';
	for (; shift >= 0; shift -= 4)
		to[n++] = hex_digits[cp >> shift & 15];
	to[n++] = '}';
	return n;
}

/* `to` has room for 6 bytes per input byte: the longest, "\x{7F}". Returns -1
 * when the text is no UTF-8. */
static long utf8_xtext_put(char *to, const char *data, size_t len)
{
	size_t n = 0, step;
	uint32_t cp;

	for (size_t i = 0; i < len; i += step) {
		step = utf8_char((const unsigned char *)data + i, len - i, &cp);
		if (!step)
			return -1;
		if (cp < 128 && xchar((unsigned char)cp) && cp != '\\')
			to[n++] = (char)cp;
		else
			n += hex_put(to + n, cp);
	}
	return (long)n;
}

int xtext_orcpt(struct envelope_build *b, const char *data, size_t len,
		struct text *out)
{
	const char *semi = memchr(data, ';', len);
	size_t head = semi ? (size_t)(semi - data) + 1 : 0;
	char *to;
	long n;
	int rc;

	if (head < 2)
		return -EINVAL;
	for (size_t i = 0; i + 1 < head; i++)
		if (!xchar((unsigned char)data[i]))
			return -EINVAL;
	rc = envelope_build_reserve(b, head + (len - head) * 6, &to);
	if (rc)
		return rc;
	memcpy(to, data, head);
	if (head == 6 && !strncasecmp(data, "utf-8;", 6))
		n = utf8_xtext_put(to + head, data + head, len - head);
	else
		n = (long)xtext_write(to + head, data + head, len - head);
	if (n < 0)
		return -EINVAL;
	*out = (struct text){.data = to, .len = (uint32_t)(head + (size_t)n)};
	envelope_build_commit(b, out->len);
	return 0;
}
