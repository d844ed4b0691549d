/* SPDX-License-Identifier: BSD-2-Clause
 *
 * outcome.c - names of the states of a recipient.
 *
 * Any thread; constant tables.
 */
#include "sluice/outcome.h"

#include <stddef.h>
#include <string.h>

static const char *const state_names[] = {
	[RCPT_WAITING] = "waiting",
	[RCPT_DEFERRED] = "deferred",
	[RCPT_HELD] = "held",
	[RCPT_NEEDS_DECISION] = "needs-decision",
	[RCPT_IN_FLIGHT] = "in-flight",
	[RCPT_EXPORTING] = "exporting",
	[RCPT_DELIVERED] = "delivered",
	[RCPT_FAILED] = "failed",
	[RCPT_EXPIRED] = "expired",
	[RCPT_PURGED] = "purged",
	[RCPT_SUPPRESSED] = "suppressed",
	[RCPT_EXPORTED] = "exported",
};
#define STATE_NAMES (sizeof(state_names) / sizeof(state_names[0]))

const char *rcpt_state_name(uint8_t s)
{
	return s < STATE_NAMES ? state_names[s] : NULL;
}

uint8_t rcpt_state_parse(const char *name)
{
	for (size_t i = 0; i < STATE_NAMES; i++) {
		if (state_names[i] != NULL && strcmp(state_names[i], name) == 0)
			return (uint8_t)i;
	}
	return 0;
}
