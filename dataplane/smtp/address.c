/* SPDX-License-Identifier: BSD-2-Clause
 *
 * address.c - mailboxes and paths.
 *
 * Called by the command parser (intake), the command writer (delivery) and
 * importers. PURE, any thread. Bound: one or two passes over the text.
 * Errors: -EINVAL with a static sentence.
 */
#include "smtp/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "sluice/domain.h"

#define LABEL_BYTES_MAX 63

bool smtp_is_ascii(const char *s, size_t len)
{
	unsigned char all = 0;

	for (size_t i = 0; i < len; i++)
		all |= (unsigned char)s[i];
	return all < 0x80;
}

/* Length of the well-formed sequence at `s`, 0 if there is none. */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
	unsigned char c = s[0], low = 0x80, high = 0xbf;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (len < n)
		return 0;
	if (c == 0xe0)
		low = 0xa0; /* overlong */
	if (c == 0xed)
		high = 0x9f; /* surrogates */
	if (c == 0xf0)
		low = 0x90; /* overlong */
	if (c == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

bool smtp_utf8_ok(const char *s, size_t len)
{
	size_t at = 0, n;

	while (at < len) {
		n = utf8_sequence((const unsigned char *)s + at, len - at);
		if (!n)
			return false;
		at += n;
	}
	return true;
}

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

/* RFC 5322 atext, and any byte of UTF-8 (RFC 6531). */
static bool is_atext(unsigned char c)
{
	return is_alnum(c) || c >= 0x80 ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool local_is_dot_string(const char *s, size_t len)
{
	bool atom = false;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '.' && atom) {
			atom = false;
			continue;
		}
		if (!is_atext((unsigned char)s[i]))
			return false;
		atom = true;
	}
	return atom;
}

/* Length of the quoted string at the start of `s`, 0 if it is none. */
static size_t quoted_string_len(const char *s, size_t len)
{
	if (len < 2 || s[0] != '"')
		return 0;
	for (size_t i = 1; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"')
			return i + 1;
		if (c == '\\')
			c = ++i < len ? (unsigned char)s[i] : 0;
		if (c < 0x20 || c == 0x7f)
			return 0;
	}
	return 0;
}

enum smtp_local_kind smtp_local_kind(const char *s, size_t len)
{
	if (!len)
		return SMTP_LOCAL_BAD;
	if (!smtp_is_ascii(s, len) && !smtp_utf8_ok(s, len))
		return SMTP_LOCAL_BAD;
	if (local_is_dot_string(s, len))
		return SMTP_LOCAL_DOT;
	if (quoted_string_len(s, len) == len)
		return SMTP_LOCAL_QUOTED;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return SMTP_LOCAL_BAD;
	return SMTP_LOCAL_UNQUOTED;
}

static bool literal_ok(const char *s, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;
	int family = AF_INET;

	if (len < 3 || s[len - 1] != ']')
		return false;
	s++;
	len -= 2;
	if (len > 5 && strncasecmp(s, "IPv6:", 5) == 0) {
		family = AF_INET6;
		s += 5;
		len -= 5;
	}
	if (len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	return strlen(text) == len && inet_pton(family, text, &a) == 1;
}

static bool domain_name_ok(const char *s, size_t len)
{
	size_t label = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '.') {
			if (!label || s[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(c) && c < 0x80 && c != '_' &&
		    (c != '-' || !label))
			return false;
		if (++label > LABEL_BYTES_MAX)
			return false;
	}
	return label && s[len - 1] != '-';
}

bool smtp_domain_ok(const char *s, size_t len)
{
	if (!len || len >= DOMAIN_BYTES)
		return false;
	if (s[0] == '[')
		return literal_ok(s, len);
	return domain_name_ok(s, len) &&
	       (smtp_is_ascii(s, len) || smtp_utf8_ok(s, len));
}

static int bad(const char **why, const char *reason)
{
	if (why)
		*why = reason;
	return -EINVAL;
}

/* Where the local part ends: at the '@' after a quoted string, or at the first
 * '@' of a dot-string (which cannot hold one). */
static size_t local_len(const char *s, size_t len)
{
	const char *at;

	if (len && s[0] == '"')
		return quoted_string_len(s, len);
	at = memchr(s, '@', len);
	return at ? (size_t)(at - s) : len;
}

int smtp_mailbox_parse(const char *s, size_t len, struct smtp_mailbox *out,
		       const char **why)
{
	size_t local = local_len(s, len);
	struct smtp_mailbox m = {.whole = {s, (uint32_t)len}};
	enum smtp_local_kind kind;

	if (len >= MAIL_ADDRESS_BYTES)
		return bad(why, "address is too long");
	if (!local)
		return bad(why, "no local part, or an open quote");
	kind = smtp_local_kind(s, local);
	if (kind != SMTP_LOCAL_DOT && kind != SMTP_LOCAL_QUOTED)
		return bad(why, "bad character in the local part");
	if (local == len)
		return bad(why, "no domain");
	if (s[local] != '@')
		return bad(why, "'@' expected after the local part");
	m.local = (struct text){s, (uint32_t)local};
	m.domain = (struct text){s + local + 1, (uint32_t)(len - local - 1)};
	if (!smtp_domain_ok(m.domain.data, m.domain.len))
		return bad(why, "bad domain");
	m.quoted = kind == SMTP_LOCAL_QUOTED;
	m.literal = m.domain.data[0] == '[';
	m.utf8 = !smtp_is_ascii(s, len);
	*out = m;
	return 0;
}

/* Where '>' closes the path: not inside quotes, and never beyond a control
 * character. 0 = nowhere. */
static size_t path_end(const char *s, size_t len)
{
	bool quoted = false;

	for (size_t i = 1; i < len; i++) {
		if (s[i] == '"')
			quoted = !quoted;
		else if (quoted && s[i] == '\\')
			i++;
		else if (s[i] == '>' && !quoted)
			return i;
	}
	return 0;
}

/* "@a,@b:" in front of the mailbox; its length, or 0 if it is malformed. */
static size_t route_len(const char *s, size_t len)
{
	const char *colon = memchr(s, ':', len);
	size_t n = colon ? (size_t)(colon - s) : 0, at = 0;

	while (at < n) {
		const char *comma = memchr(s + at, ',', n - at);
		size_t end = comma ? (size_t)(comma - s) : n;

		if (s[at] != '@' || !smtp_domain_ok(s + at + 1, end - at - 1))
			return 0;
		at = end + 1;
	}
	return n ? n + 1 : 0;
}

int smtp_path_parse(const char *s, size_t len, size_t *used,
		    struct smtp_mailbox *out, const char **why)
{
	size_t end, skip = 0;
	int res;

	if (!len || s[0] != '<')
		return bad(why, "'<' expected");
	end = path_end(s, len);
	if (!end)
		return bad(why, "'>' expected");
	if (end == 1) {
		*out = (struct smtp_mailbox){.null = true, .whole.data = s};
		*used = 2;
		return 0;
	}
	if (end == 11 && strncasecmp(s + 1, "postmaster", 10) == 0) {
		struct text t = {s + 1, 10};

		*out = (struct smtp_mailbox){.whole = t, .local = t};
		*used = end + 1;
		return 0;
	}
	if (s[1] == '@') {
		skip = route_len(s + 1, end - 1);
		if (!skip)
			return bad(why, "bad source route");
	}
	res = smtp_mailbox_parse(s + 1 + skip, end - 1 - skip, out, why);
	if (!res)
		*used = end + 1;
	return res;
}
