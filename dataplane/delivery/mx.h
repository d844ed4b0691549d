/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mx.h - MX records as a sorted list of hosts.
 *
 * Private to delivery. PURE. Bytes come from the network: nothing in them can
 * do more than be skipped.
 */
#ifndef DELIVERY_MX_H
#define DELIVERY_MX_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/domain.h"

#define MX_HOSTS_MAX 16 /* the best ones */

struct mx_host {
	uint16_t preference;
	uint16_t rank; /* 0 = best; equal preferences, equal ranks */
	char name[DOMAIN_BYTES];
};

struct mx_list {
	uint32_t count;
	bool null;    /* RFC 7505: takes no mail */
	uint32_t bad; /* records that name no host (an address, garbage) */
	struct mx_host hosts[MX_HOSTS_MAX];
};

/* `data[i]` is RDATA of `len[i]` bytes: preference, name in wire form. The
 * best MX_HOSTS_MAX are kept, by preference, then by name. */
void mx_list_parse(struct mx_list *out, char *const *data, const int *len,
		   uint32_t count);

#endif
