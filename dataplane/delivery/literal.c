/* SPDX-License-Identifier: BSD-2-Clause
 *
 * literal.c - where to, in words: routes of the config, address literals.
 *
 * Called by query.c. PURE. Errors: what makes no sense is a name that does not
 * resolve.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "delivery/route.h"

bool route_split(const char *route, uint16_t port_default,
		 char host[DOMAIN_BYTES], uint16_t *port, struct addr *literal)
{
	const char *colon = strrchr(route, ':');
	size_t len = colon ? (size_t)(colon - route) : strlen(route);
	long number = port_default;

	if (addr_parse(route, port_default, literal) == 0)
		return true;
	if (colon) {
		char *end;

		number = strtol(colon + 1, &end, 10);
		if (*end || end == colon + 1 || number < 1 || number > 65535)
			number = port_default;
	}
	if (len >= DOMAIN_BYTES)
		len = DOMAIN_BYTES - 1;
	memcpy(host, route, len);
	host[len] = '\0';
	*port = (uint16_t)number;
	return false;
}

bool route_literal(const char *domain, uint16_t port, struct addr *out)
{
	char text[ADDR_TEXT_BYTES];
	const char *name = domain;
	size_t len = strlen(name);

	if (len < 3 || name[0] != '[' || name[len - 1] != ']')
		return false;
	name++;
	len -= 2;
	if (len > 5 && strncasecmp(name, "ipv6:", 5) == 0) {
		name += 5;
		len -= 5;
	}
	if (len >= sizeof(text))
		return false;
	memcpy(text, name, len);
	text[len] = '\0';
	return addr_parse(text, port, out) == 0;
}
