/* SPDX-License-Identifier: BSD-2-Clause
 *
 * found.h - the addresses of a host list, as DNS told them.
 *
 * Private to delivery. PURE.
 */
#ifndef DELIVERY_FOUND_H
#define DELIVERY_FOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "delivery/mx.h"
#include "sluice/addr.h"

#define HOP_ADDRESSES_MAX 24u
#define FOUND_PER_HOST    8u /* and family */
#define FOUND_MAX         (MX_HOSTS_MAX * 2u * FOUND_PER_HOST)

struct hop_address {
	struct addr addr;
	uint8_t host;  /* index into hosts */
	uint16_t rank; /* 0 = best; equal ones share the load */
};

struct found {
	uint32_t count;
	struct hop_address list[FOUND_MAX];
};

/* -ENOSPC: this host has told enough of this family. */
int found_add(struct found *f, const struct hop_address *a);
/* Takes out all that are not better than `rank`. */
void found_truncate(struct found *f, uint16_t rank);
/* Best first, the first addresses of every host before the second ones of
 * any; at most HOP_ADDRESSES_MAX remain. The order is the same whoever asks. */
void found_choose(struct found *f);

#endif
