/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_act.c - purge and requeue.
 *
 * Role: command. Both change what their selection finds, in slices; what is in
 * flight is passed over and counted. A purge is an outcome: the answer comes
 * when it is durable, and nothing brings the recipient back.
 */
#include "sluiced/select_task.h"

#define STATES_KEPT (SELECT_STATE(RCPT_FAILED) | SELECT_STATE(RCPT_EXPIRED))
#define STATES_PURGE                                                           \
	(SELECT_STATE(RCPT_WAITING) | SELECT_STATE(RCPT_DEFERRED) |            \
	 SELECT_STATE(RCPT_HELD) | SELECT_STATE(RCPT_NEEDS_DECISION) |         \
	 STATES_KEPT)
#define STATES_REQUEUE                                                         \
	(SELECT_STATE(RCPT_DEFERRED) | SELECT_STATE(RCPT_NEEDS_DECISION) |     \
	 STATES_KEPT)

static void act_start(struct client *c, json_t *request, const char *verb,
		      enum spool_set_kind kind, uint32_t states)
{
	struct select_task *t = select_start_act(c, verb, request);

	if (t == NULL)
		return;
	t->limit =
		(uint64_t)json_integer_value(json_object_get(request, "limit"));
	t->kind = kind;
	t->states = states;
	t->finish = select_act_finish;
	client_task(c, &t->task);
}

void verb_purge(struct client *c, json_t *request)
{
	act_start(c, request, "purge", SPOOL_SET_PURGED, STATES_PURGE);
}

void verb_requeue(struct client *c, json_t *request)
{
	act_start(c, request, "requeue", SPOOL_SET_REQUEUED, STATES_REQUEUE);
}
