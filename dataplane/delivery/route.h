/* SPDX-License-Identifier: BSD-2-Clause
 *
 * route.h - what route.c (the cache) and query.c (the questions) share.
 *
 * Private to delivery. Role: worker.
 */
#ifndef DELIVERY_ROUTE_H
#define DELIVERY_ROUTE_H

#include "delivery/delivery_priv.h"

/* Finds the hop of `dom`; ends in one of the two below, perhaps at once. */
void route_query(struct delivery *d, struct domain *dom);
void domain_routed(struct delivery *d, struct domain *dom, struct hop *h,
		   uint32_t ttl_s);
void domain_unroutable(struct delivery *d, struct domain *dom, bool permanent,
		       const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Splits "host[:port]", "192.0.2.1[:port]", "[2001:db8::1][:port]". Returns
 * true for a literal address, which is then in `literal`. -EINVAL is for the
 * config to find; here a bad route is a name that does not resolve. */
bool route_split(const char *route, uint16_t port_default,
		 char host[DOMAIN_BYTES], uint16_t *port, struct addr *literal);

#endif
