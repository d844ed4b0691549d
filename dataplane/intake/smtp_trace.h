/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_trace.h - counts the Received: lines of a header.
 *
 * PURE. A message that has been through very many hosts goes round in circles.
 */
#ifndef SLUICE_INTAKE_SMTP_TRACE_H
#define SLUICE_INTAKE_SMTP_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smtp_hops {
	uint32_t received; /* lines so far */
	/* private */
	bool over;       /* the header has ended */
	bool other;      /* this line is another field */
	uint8_t matched; /* bytes of "received:" */
	bool text;       /* this line has something but CR */
};

void smtp_hops_init(struct smtp_hops *h);
/* Content in chunks split anywhere. */
void smtp_hops_update(struct smtp_hops *h, const char *data, size_t len);

#endif
