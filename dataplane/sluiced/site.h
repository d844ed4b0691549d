/* SPDX-License-Identifier: BSD-2-Clause
 *
 * site.h - the MX site of a domain, and when to believe that it has changed.
 *
 * PURE but for the list of public suffixes, which is read once. Called by
 * sites.c. No allocation after site_rules_create().
 */
#ifndef SLUICED_SITE_H
#define SLUICED_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/domain.h"

struct site_rules;

/* The newer one of the system's list of public suffixes and the one that came
 * with libpsl. NULL: there is none, or no memory. */
struct site_rules *site_rules_create(void);
void site_rules_destroy(struct site_rules **r);

/* Organisational domain of most of `hosts` (the best MX hosts), of equal ones
 * the first by name. `count` > 0. */
void site_of_hosts(const struct site_rules *r, const char *const *hosts,
		   uint32_t count, char out[DOMAIN_BYTES]);

#define SITE_NONE UINT32_MAX

/* Two TTLs before a change; zeroed = nothing seen. Providers are numbers. */
struct site_watch {
	uint64_t due_ns; /* not before */
	uint32_t told;   /* what DNS says now; only of `seen` > 0 */
	uint32_t seen;   /* answers in a row that say so */
};

/* DNS says `told`, good for `ttl_ns`. True: the change is to be made. */
bool site_watch_step(struct site_watch *w, uint32_t present, uint32_t told,
		     uint64_t ttl_ns, uint64_t now_ns);

#endif
