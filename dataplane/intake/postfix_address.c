/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_address.c - Postfix's unquoted addresses, as SMTP writes them.
 *
 * A queue file holds `a b@example.org` for <"a b"@example.org>: the local part
 * is quoted again where RFC 5321 wants it. A recipient's domain becomes its
 * lower-case A-label; a sender's stays as it is, because it is passed on.
 * PURE; called by postfix_fields.c. Bound: MAIL_ADDRESS_BYTES.
 * Errors: -EINVAL with a reason; as envelope_build.
 */
#include <errno.h>
#include <string.h>

#include "intake/postfix_priv.h"
#include "sluice/domain.h"

static bool atext(unsigned char c)
{
	return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool dot_string(const char *s, size_t len)
{
	if (!len || s[0] == '.' || s[len - 1] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!atext((unsigned char)s[i]) &&
		    (s[i] != '.' || s[i - 1] == '.'))
			return false;
	return true;
}

static size_t local_put(char *to, const char *s, size_t len)
{
	size_t n = 0;

	if (dot_string(s, len)) {
		memcpy(to, s, len);
		return len;
	}
	to[n++] = '"';
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '"' || s[i] == '\\')
			to[n++] = '\\';
		to[n++] = s[i];
	}
	to[n++] = '"';
	return n;
}

static int domain_put(enum postfix_address_kind kind, const char *s, size_t len,
		      char *to, size_t *used)
{
	char name[DOMAIN_BYTES];

	if (domain_normalise(s, len, name))
		return -EINVAL;
	if (kind == POSTFIX_RECIPIENT) {
		s = name;
		len = strlen(name);
	}
	memcpy(to, s, len);
	*used = len;
	return 0;
}

static bool has_control(const char *s, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 32 || s[i] == 127)
			return true;
	return false;
}

int postfix_address(struct envelope_build *b, enum postfix_address_kind kind,
		    const char *data, uint32_t len, struct text *out,
		    const char **why)
{
	const char *at = memrchr(data, '@', len);
	size_t local = at ? (size_t)(at - data) : len;
	size_t n, used = 0;
	char *to;
	int rc;

	*why = "is longer than an address can be";
	if (len >= MAIL_ADDRESS_BYTES - DOMAIN_BYTES)
		return -EINVAL;
	*why = "has a control character";
	if (has_control(data, len))
		return -EINVAL;
	*why = "has no domain";
	if (!at && kind == POSTFIX_RECIPIENT)
		return -EINVAL;
	rc = envelope_build_reserve(b, 3 * (size_t)len + DOMAIN_BYTES + 4, &to);
	if (rc)
		return rc;
	n = local_put(to, data, local);
	if (at) {
		to[n++] = '@';
		*why = "has a domain that is no domain name";
		if (domain_put(kind, at + 1, len - local - 1, to + n, &used))
			return -EINVAL;
	}
	*why = "is longer than an address can be";
	if (n + used >= MAIL_ADDRESS_BYTES)
		return -EINVAL;
	*out = (struct text){.data = to, .len = (uint32_t)(n + used)};
	envelope_build_commit(b, out->len);
	return 0;
}
