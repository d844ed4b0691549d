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
void queries_destroy(struct delivery *d);
/* `mx` NULL: DNS was not asked for the domain. */
void domain_routed(struct delivery *d, struct domain *dom, struct hop *h,
		   uint64_t expires_ns, const struct mx_list *mx);
/* A temporary failure is asked again by its own clock, whatever `expires_ns`.
 */
void domain_unroutable(struct delivery *d, struct domain *dom, bool permanent,
		       uint64_t expires_ns, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* The route that mail of the provider takes; NULL: by MX. */
const char *provider_route(const struct delivery *d, uint32_t provider);
/* Splits "host[:port]", "192.0.2.1[:port]", "[2001:db8::1][:port]". Returns
 * true for a literal address, which is then in `literal`. -EINVAL is for the
 * config to find; here a bad route is a name that does not resolve. */
bool route_split(const char *route, uint16_t port_default,
		 char host[DOMAIN_BYTES], uint16_t *port, struct addr *literal);

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]" as destination domains. */
bool route_literal(const char *domain, uint16_t port, struct addr *out);

/* own.c: whether mail for `a` would come back to us. */
bool own_address(const struct config *c, const struct addr *a);

#endif
