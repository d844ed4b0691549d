/* SPDX-License-Identifier: BSD-2-Clause
 *
 * share.c - live mail ahead of the backlog, by live_share.
 *
 * Called by the turn of a provider and when a connection is ready. Owner's
 * thread. Bound: O(1). Errors: none.
 *
 * An account in hundredths of a message: while both classes want to send, each
 * message of the backlog owes live mail `live_share`, each live one pays back
 * the rest to 100. So over any number of messages the share is kept to one
 * message. What a class cannot use (no mail, no token of its domains) is the
 * other's and is owed to nobody.
 */
#include "release_priv.h"

#define WHOLE 100 /* one message */

uint32_t rel_share_class(const struct provider *p)
{
	return p->live_owed + p->live_share >= WHOLE ? 1 : 0;
}

bool rel_share_both_want(const struct provider *p)
{
	return p->wanting[0] > 0 && p->wanting[1] > 0;
}

void rel_share_spent(struct provider *p, bool live, uint32_t cost)
{
	int64_t max = (int64_t)WHOLE *
		      (p->count_recipients ? RELEASE_QUANTUM_RCPTS : 1);
	int64_t owed = p->live_owed;

	if (live)
		owed -= (int64_t)cost * (WHOLE - p->live_share);
	else
		owed += (int64_t)cost * p->live_share;
	if (owed > max)
		owed = max;
	if (owed < -max)
		owed = -max;
	p->live_owed = (int32_t)owed;
}
