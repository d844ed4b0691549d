/* SPDX-License-Identifier: BSD-2-Clause
 *
 * limits.h - what the kernel lets this process have.
 */
#ifndef SLUICED_LIMITS_H
#define SLUICED_LIMITS_H

#include <stdint.h>

#include "sluice/err.h"

/* Raises the number of descriptors to what `connections` out and as many
 * senders in can use, or as near as may be; at start, before the user is
 * dropped. -EMFILE with a sentence if not even the connections have room. */
int limits_raise(uint32_t connections, struct err *e);

#endif
