/* SPDX-License-Identifier: BSD-2-Clause
 *
 * failure.h - addresses that did not work, and when to try them again.
 *
 * Private to delivery. PURE. Shared by all domains and paths: a dead host that
 * a thousand domains name is tried by one of them at a time. What one source
 * meets (a block, a route that is missing) holds the others back only when a
 * second sender has met it as well; IPv6 sources of one /64 are one sender.
 */
#ifndef DELIVERY_FAILURE_H
#define DELIVERY_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/addr.h"

struct failures;

/* Room for at least `count` addresses; the one whose time is nearest makes
 * room for a new one. NULL: out of memory. */
struct failures *failures_create(uint32_t count);
void failures_destroy(struct failures **f);

/* When `from` may try `to`; 0 = at once. */
uint64_t failure_until_ns(const struct failures *f, const struct addr *to,
			  const struct addr *from, uint64_t now_ns);
/* A try begins; until it ends, or `until_ns`, nobody else tries an address
 * that has failed. */
void failure_trying(struct failures *f, const struct addr *to,
		    const struct addr *from, uint64_t until_ns);
/* A try that began at `began_ns` failed: 1 s, doubling to 5 min. `of_source`:
 * it tells nothing of the host (our socket, a refusal in words). Tries that
 * failed together count once. */
void failure_note(struct failures *f, const struct addr *to,
		  const struct addr *from, bool of_source, uint64_t began_ns,
		  uint64_t now_ns);
/* It worked. */
void failure_clear(struct failures *f, const struct addr *to,
		   const struct addr *from);

#endif
