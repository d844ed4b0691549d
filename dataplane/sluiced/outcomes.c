/* SPDX-License-Identifier: BSD-2-Clause
 *
 * outcomes.c - an outcome is journaled, if need be a little later.
 *
 * Called for every result. Role: spool. The spool takes no more than fits into
 * its buffers; what does not fit waits here, in order, and while something
 * waits nothing new is released. So the list is bounded by what was in flight.
 * Allocates only then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/log.h"
#include "sluiced/engine_priv.h"
#include "sluiced/replies.h"

struct late_outcome {
	struct late_outcome *next;
	struct spool_outcome outcome;
	char reply[];
};

/* An outcome that cannot be journaled: stop sending rather than deliver twice
 * without knowing. */
static void broken(struct engine *en, int rc)
{
	engine_broken(en, rc, "an outcome cannot be journaled");
}

static void outcome_keep(struct engine *en, const struct spool_outcome *o)
	RUNS_ON(role_spool)
{
	struct late_outcome *l = malloc(sizeof(*l) + o->reply.len);

	if (l == NULL) {
		broken(en, -ENOMEM);
		return;
	}
	l->next = NULL;
	l->outcome = *o;
	if (o->reply.len > 0)
		memcpy(l->reply, o->reply.data, o->reply.len);
	l->outcome.reply.data = l->reply;
	if (en->outcomes_late == NULL)
		en->outcomes_end = &en->outcomes_late;
	*en->outcomes_end = l;
	en->outcomes_end = &l->next;
	en->outcomes_waiting++;
}

static void expired_event(struct engine *en, const struct spool_outcome *o)
{
	char hex[17];

	if (o->state != RCPT_EXPIRED || !event_wanted(en))
		return;
	message_id_format(o->id, hex);
	event_emit(en,
		   json_pack("{s:s,s:s,s:i,s:i,s:s%}", "type", "expired", "id",
			     hex, "rcpt", (int)o->rcpt, "attempts", o->attempts,
			     "reason", o->reply.data, (size_t)o->reply.len));
}

void outcome_journal(struct engine *en, const struct spool_outcome *o)
{
	int rc = -EAGAIN;

	expired_event(en, o);
	if (en->outcomes_late == NULL)
		rc = spool_outcome(en->spool, o, NULL, NULL);
	if (rc == -EAGAIN)
		outcome_keep(en, o);
	else if (rc != 0)
		broken(en, rc);
}

void outcome_heard(struct engine *en, const struct spool_outcome *o,
		   uint32_t source)
{
	struct reply_entry what = {
		.provider = queue_provider_of(en->queue, o->id, o->rcpt),
		.source = source,
		.reply_class = o->reply_class,
		.id = o->id,
		.last_s = o->when_s,
	};
	uint32_t tag;

	if (o->reply.len == 0 || o->state == RCPT_DELIVERED ||
	    what.provider == QUEUE_NONE)
		return;
	tag = replies_hear(en->replies, &what, o->reply);
	queue_tag_set(en->queue, o->id, o->rcpt, tag);
}

bool outcomes_step(struct engine *en)
{
	while (en->outcomes_late != NULL) {
		struct late_outcome *l = en->outcomes_late;
		int rc = spool_outcome(en->spool, &l->outcome, NULL, NULL);

		if (rc == -EAGAIN)
			return false;
		if (rc != 0)
			broken(en, rc);
		en->outcomes_late = l->next;
		en->outcomes_waiting--;
		free(l);
	}
	return true;
}

void outcomes_destroy(struct engine *en)
{
	while (en->outcomes_late != NULL) {
		struct late_outcome *l = en->outcomes_late;

		en->outcomes_late = l->next;
		free(l);
	}
	en->outcomes_waiting = 0;
}
