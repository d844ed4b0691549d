/* SPDX-License-Identifier: BSD-2-Clause
 *
 * own.c - addresses in DNS answers that lead back to us, or nowhere.
 *
 * Called by query.c. Role: worker. Anybody can write any address into his
 * zone. Loopback means ourselves, unless we send from loopback: then all this
 * is a laboratory. What the operator names himself (`route`, an address
 * literal) is not checked here.
 * Bound: sources and listeners per address. No errors.
 */
#include "delivery/route.h"

static bool some_source_is_loopback(const struct config *c)
{
	for (uint32_t i = 0; i < c->source_count; i++)
		if (addr_is_loopback(&c->sources[i].address))
			return true;
	return false;
}

bool own_address(const struct config *c, const struct addr *a)
{
	for (uint32_t i = 0; i < c->source_count; i++)
		if (addr_equal_host(a, &c->sources[i].address) ||
		    addr_equal_host(a, &c->sources[i].public_address))
			return true;
	for (uint32_t i = 0; i < c->listen_count; i++)
		if (addr_equal_host(a, &c->listens[i].address))
			return true;
	return addr_is_loopback(a) && !some_source_is_loopback(c);
}
