/* SPDX-License-Identifier: BSD-2-Clause
 *
 * domain.c - one spelling for each destination domain.
 *
 * Any thread. Plain ASCII names never allocate; a name with other characters
 * goes through libidn2, which does. Bound: DOMAIN_BYTES.
 * Errors: -EINVAL, with no output.
 */
#include "sluice/domain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LABEL_MAX 63
#define NAME_MAX_ 253

static char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool ascii_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* One label of a lower-case name. '_' is no host name, but such domains get
 * mail. */
static bool label_valid(const char *s, size_t len)
{
	if (len == 0 || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!ascii_alnum(s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	}
	return true;
}

static bool name_valid(const char *s)
{
	if (strlen(s) > NAME_MAX_)
		return false;
	for (;;) {
		size_t len = strcspn(s, ".");
		if (!label_valid(s, len))
			return false;
		/* a last label of digits only is an address without brackets */
		if (s[len] == '\0')
			return strspn(s, "0123456789") < len;
		s += len + 1;
	}
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" in canonical spelling. */
static int literal_normalise(const char *in, size_t len, char out[DOMAIN_BYTES])
{
	char inner[INET6_ADDRSTRLEN + 8];
	if (len < 3 || in[len - 1] != ']' || len - 2 >= sizeof(inner))
		return -EINVAL;
	memcpy(inner, in + 1, len - 2);
	inner[len - 2] = '\0';
	if (strlen(inner) != len - 2)
		return -EINVAL;
	unsigned char raw[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	bool v6 = strncasecmp(inner, "IPv6:", 5) == 0;
	int family = v6 ? AF_INET6 : AF_INET;
	if (inet_pton(family, v6 ? inner + 5 : inner, raw) != 1 ||
	    inet_ntop(family, raw, text, sizeof(text)) == NULL)
		return -EINVAL;
	(void)snprintf(out, DOMAIN_BYTES, v6 ? "[IPv6:%s]" : "[%s]", text);
	return 0;
}

static int unicode_normalise(const char *in, size_t len, char out[DOMAIN_BYTES])
{
	/* UTF-8 takes up to four bytes for what the A-label counts as one */
	char text[4 * DOMAIN_BYTES];
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, in, len);
	text[len] = '\0';
	uint8_t *label = NULL;
	int res = idn2_lookup_u8((const uint8_t *)text, &label,
				 IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (res != IDN2_OK)
		return -EINVAL;
	size_t label_len = strlen((const char *)label);
	if (label_len > 0 && label[label_len - 1] == '.')
		label[--label_len] = '\0';
	res = -EINVAL;
	if (label_len < DOMAIN_BYTES && name_valid((const char *)label)) {
		memcpy(out, label, label_len + 1);
		res = 0;
	}
	idn2_free(label);
	return res;
}

int domain_normalise(const char *in, size_t len, char out[DOMAIN_BYTES])
{
	char name[DOMAIN_BYTES];
	if (len > 0 && in[0] == '[')
		return literal_normalise(in, len, out);
	if (len > 0 && in[len - 1] == '.')
		len--;
	if (len == 0 || memchr(in, '\0', len) != NULL)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)in[i] >= 0x80)
			return unicode_normalise(in, len, out);
	}
	if (len >= sizeof(name))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		name[i] = ascii_lower(in[i]);
	name[len] = '\0';
	if (!name_valid(name))
		return -EINVAL;
	memcpy(out, name, len + 1);
	return 0;
}

const char *mail_address_domain(const char *address)
{
	const char *domain = NULL;
	bool quoted = false;
	for (const char *s = address; *s != '\0'; s++) {
		if (*s == '\\' && s[1] != '\0')
			s++;
		else if (*s == '"')
			quoted = !quoted;
		else if (*s == '@' && !quoted)
			domain = s + 1;
	}
	return domain != NULL && *domain != '\0' ? domain : NULL;
}

/* Equal but for case and a trailing dot of either. */
static bool name_equal(const char *a, const char *b)
{
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);
	if (a_len > 0 && a[a_len - 1] == '.')
		a_len--;
	if (b_len > 0 && b[b_len - 1] == '.')
		b_len--;
	if (a_len != b_len)
		return false;
	for (size_t i = 0; i < a_len; i++) {
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	}
	return true;
}

bool domain_match(const char *pattern, const char *name)
{
	if (strcmp(pattern, "*") == 0)
		return true;
	if (strncmp(pattern, "*.", 2) != 0)
		return name_equal(pattern, name);
	/* below: at least one label before the rest of the pattern */
	for (const char *dot = strchr(name, '.'); dot != NULL;
	     dot = strchr(dot + 1, '.')) {
		if (dot > name && name_equal(pattern + 2, dot + 1))
			return true;
	}
	return false;
}
