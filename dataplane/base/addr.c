/* SPDX-License-Identifier: BSD-2-Clause
 *
 * addr.c - literal addresses, ports and prefixes.
 *
 * Any thread, no allocation, no look-up. IPv4 in IPv6 form (::ffff:a.b.c.d)
 * is the IPv4 address everywhere: a dual-stack socket reports it so, and an
 * allow list must not depend on that. Errors: -EINVAL, with no output.
 */
#include "sluice/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sluice/assert.h"

static int host_parse(const char *text, struct addr *a)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &a->in.sin_addr) == 1) {
		a->sa.sa_family = AF_INET;
		return 0;
	}
	if (inet_pton(AF_INET6, text, &a->in6.sin6_addr) != 1)
		return -EINVAL;
	a->sa.sa_family = AF_INET6;
	if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
		struct in_addr v4;
		memcpy(&v4, &a->in6.sin6_addr.s6_addr[12], sizeof(v4));
		memset(a, 0, sizeof(*a));
		a->sa.sa_family = AF_INET;
		a->in.sin_addr = v4;
	}
	return 0;
}

/* Decimal digits only, at most `max`. */
static int number_parse(const char *text, unsigned max, unsigned *out)
{
	unsigned n = 0;
	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		n = n * 10 + (unsigned)(*text - '0');
		if (n > max)
			return -EINVAL;
	}
	*out = n;
	return 0;
}

int addr_parse(const char *text, uint16_t port_default, struct addr *out)
{
	char host[ADDR_TEXT_BYTES];
	size_t len = strlen(text);
	if (len >= sizeof(host))
		return -EINVAL;
	const char *port_text = NULL;
	const char *host_text = text;
	memcpy(host, text, len + 1);
	char *bracket = strchr(host, ']');
	char *colon = strchr(host, ':');
	bool bracketed = host[0] == '[';
	if (bracketed) {
		if (bracket == NULL ||
		    (bracket[1] != '\0' && bracket[1] != ':'))
			return -EINVAL;
		if (bracket[1] == ':')
			port_text = bracket + 2;
		*bracket = '\0';
		host_text = host + 1;
	} else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		*colon = '\0';
		port_text = colon + 1;
		host_text = host;
	}
	unsigned port = port_default;
	struct addr a;
	if (port_text != NULL && number_parse(port_text, 65535, &port) != 0)
		return -EINVAL;
	if (bracketed && strchr(host_text, ':') == NULL)
		return -EINVAL;
	if (host_parse(host_text, &a) != 0)
		return -EINVAL;
	addr_port_set(&a, (uint16_t)port);
	*out = a;
	return 0;
}

static const uint8_t *addr_bytes(const struct addr *a, unsigned *bits)
{
	if (a->sa.sa_family == AF_INET) {
		*bits = 32;
		return (const uint8_t *)&a->in.sin_addr;
	}
	sluice_assert(a->sa.sa_family == AF_INET6);
	if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
		*bits = 32;
		return &a->in6.sin6_addr.s6_addr[12];
	}
	*bits = 128;
	return a->in6.sin6_addr.s6_addr;
}

/* Clears what lies behind the first `bits`. */
static void bytes_mask(uint8_t *bytes, unsigned bits, unsigned all)
{
	for (unsigned i = 0; i < all / 8; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
		if (keep < 8)
			bytes[i] &= (uint8_t)(0xff00u >> keep);
	}
}

int addr_prefix_parse(const char *text, struct addr_prefix *out)
{
	char host[ADDR_TEXT_BYTES];
	size_t len = strlen(text);
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len + 1);
	char *slash = strchr(host, '/');
	if (slash != NULL)
		*slash = '\0';
	struct addr a;
	if (host_parse(host, &a) != 0)
		return -EINVAL;
	bool mapped = a.sa.sa_family == AF_INET && strchr(host, ':') != NULL;
	unsigned all = a.sa.sa_family == AF_INET ? 32 : 128;
	unsigned bits = mapped ? 128 : all;
	if (slash != NULL && number_parse(slash + 1, bits, &bits) != 0)
		return -EINVAL;
	if (mapped) {
		if (bits < 96)
			return -EINVAL; /* neither IPv4 nor IPv6 */
		bits -= 96;
	}
	if (all == 32)
		bytes_mask((uint8_t *)&a.in.sin_addr, bits, all);
	else
		bytes_mask(a.in6.sin6_addr.s6_addr, bits, all);
	out->base = a;
	out->bits = (uint8_t)bits;
	return 0;
}

bool addr_prefix_has(const struct addr_prefix *p, const struct addr *a)
{
	unsigned p_all, a_all;
	const uint8_t *base = addr_bytes(&p->base, &p_all);
	const uint8_t *bytes = addr_bytes(a, &a_all);
	if (p_all != a_all)
		return false;
	unsigned whole = p->bits / 8;
	unsigned rest = p->bits % 8;
	if (memcmp(base, bytes, whole) != 0)
		return false;
	return rest == 0 || ((base[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

socklen_t addr_len_bytes(const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
}

uint16_t addr_port(const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? ntohs(a->in.sin_port)
					  : ntohs(a->in6.sin6_port);
}

void addr_port_set(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons(port);
	else
		a->in6.sin6_port = htons(port);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_port(a) == addr_port(b) && addr_equal_host(a, b);
}

bool addr_equal_host(const struct addr *a, const struct addr *b)
{
	unsigned a_all, b_all;
	const uint8_t *a_bytes = addr_bytes(a, &a_all);
	const uint8_t *b_bytes = addr_bytes(b, &b_all);
	return a_all == b_all && memcmp(a_bytes, b_bytes, a_all / 8) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
	return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
}

bool addr_is_host(const struct addr *a)
{
	const struct in6_addr *v6 = &a->in6.sin6_addr;
	uint32_t v4;

	if (a->sa.sa_family == AF_INET6)
		return !IN6_IS_ADDR_UNSPECIFIED(v6) &&
		       !IN6_IS_ADDR_MULTICAST(v6) &&
		       !IN6_IS_ADDR_V4MAPPED(v6) &&
		       (!IN6_IS_ADDR_LINKLOCAL(v6) || a->in6.sin6_scope_id);
	v4 = ntohl(a->in.sin_addr.s_addr);
	return v4 >> 24 != 0 && v4 >> 28 < 14; /* below 224.0.0.0 */
}

struct addr_prefix addr_sender_group(const struct addr *a)
{
	struct addr_prefix p = {*a, 32};

	addr_port_set(&p.base, 0);
	if (a->sa.sa_family == AF_INET6) {
		p.bits = 64;
		memset(p.base.in6.sin6_addr.s6_addr + 8, 0, 8);
	}
	return p;
}

bool addr_same_sender(const struct addr *a, const struct addr *b)
{
	struct addr_prefix p = addr_sender_group(a);

	return addr_prefix_has(&p, b);
}

const char *addr_format(const struct addr *a, bool with_port,
			char buf[ADDR_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN];
	unsigned all;
	const uint8_t *bytes = addr_bytes(a, &all);
	int family = all == 32 ? AF_INET : AF_INET6;
	if (inet_ntop(family, bytes, host, sizeof(host)) == NULL)
		host[0] = '\0';
	uint16_t port = addr_port(a);
	if (!with_port || port == 0)
		(void)snprintf(buf, ADDR_TEXT_BYTES, "%s", host);
	else if (family == AF_INET)
		(void)snprintf(buf, ADDR_TEXT_BYTES, "%s:%u", host, port);
	else
		(void)snprintf(buf, ADDR_TEXT_BYTES, "[%s]:%u", host, port);
	return buf;
}
