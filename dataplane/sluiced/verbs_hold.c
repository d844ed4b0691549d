/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_hold.c - hold and release.
 *
 * Role: command. A hold is placed first, then what it keeps back is counted. A
 * release gives back what custody holds, and lifts the equal standing hold
 * last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/log.h"
#include "sluiced/select_task.h"

/* hold: a standing hold first, then the count of what it keeps back */

static bool hold_finish(struct select_task *t)
{
	json_t *j = select_totals(t);

	json_object_set_new(j, "hold", json_integer(t->hold));
	if (json_array_size(t->told) > 0)
		json_object_set(j, "warnings", t->told);
	t->answer = j;
	return true;
}

/* A second, equal selection for the queue to keep. */
static struct selection *selection_copy(const struct selection *s)
{
	json_t *j = selection_to_json(s);
	struct selection *copy = NULL;

	selection_from_json(j, &copy, NULL);
	json_decref(j);
	return copy;
}

/* False: the journal has no room now. */
static bool hold_begin(struct select_task *t)
{
	const char *actor = client_actor(t->task.client);
	char text[256];
	int rc;

	role_assert(&role_queue);
	role_assert(&role_spool);
	t->hold = queue_hold_find(t->en->queue, t->to_hold);
	if (t->dry_run || t->hold != 0) {
		selection_destroy(&t->to_hold);
		return true;
	}
	selection_format(t->to_hold, text, sizeof(text));
	t->commits++;
	rc = hold_place(t->en, t->to_hold, t->reason, actor, &t->hold,
			select_durable, t);
	if (t->hold == 0)
		t->commits--;
	if (rc == -EAGAIN)
		return false;
	if (rc == 0) {
		t->to_hold = NULL;
		log_info("hold", "hold %u by %s: %s: %s", t->hold, actor, text,
			 t->reason);
		return true;
	}
	selection_destroy(&t->to_hold);
	t->res = rc;
	t->walked = true;
	return true;
}

static void hold_entry(struct select_task *t, const struct walker_entry *e)
{
	select_count(t, e->index.id);
}

void verb_hold(struct client *c, json_t *request)
{
	const char *reason = request_reason(c, request);
	struct selection *s = reason ? request_selection(c, request) : NULL;
	struct select_task *t = s ? select_start(c, "hold", s, false) : NULL;

	if (t == NULL)
		return;
	if (selection_needs_record(s)) {
		select_free(t);
		client_error(c, EX_USAGE,
			     "hold: account, client-ip, subject and header "
			     "cannot be held yet; hold by sender or domain");
		return;
	}
	role_assert(&role_queue);
	t->dry_run = json_is_true(json_object_get(request, "dry_run"));
	t->told = names_unknown(t->en, s);
	t->begin = hold_begin;
	t->each = hold_entry;
	t->finish = hold_finish;
	t->reason = strdup(reason);
	select_audit(t, request);
	t->to_hold = selection_copy(s);
	if (t->reason == NULL || t->to_hold == NULL) {
		select_free(t);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	client_task(c, &t->task);
}

/* release: gives back what custody holds; lifts the equal standing hold */

static void release_entry(struct select_task *t, const struct walker_entry *e)
{
	bool custody = e->index.state == RCPT_HELD && e->index.custody_hold;

	if (e->index.standing_hold && t->hold == 0)
		t->still_held++;
	/* With the hold that is lifted at the end goes all it kept back. */
	if (custody || (e->index.standing_hold && t->hold != 0))
		select_count(t, e->index.id);
	if (custody && !t->dry_run)
		select_collect(t, e);
}

/* The hold goes last. False: not yet durable, or no room in the journal. */
static bool release_lift(struct select_task *t) RUNS_ON(role_queue, role_spool)
{
	int rc;

	if (t->hold == 0 || t->dry_run || t->lifted)
		return true;
	t->commits++;
	rc = hold_lift(t->en, t->hold, select_durable, t);
	if (rc != 0)
		t->commits--;
	if (rc != -EAGAIN) {
		t->lifted = true;
		t->res = rc;
	}
	return false;
}

static bool release_finish(struct select_task *t)
{
	struct client *c = t->task.client;
	json_t *j;

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (!release_lift(t))
		return false;
	if (!t->dry_run)
		log_info("release", "%llu recipients, hold %u by %s: %s",
			 (unsigned long long)t->recipients, t->hold,
			 client_actor(c), t->reason);
	j = select_totals(t);
	json_object_set_new(j, "hold_lifted", json_integer(t->hold));
	json_object_set_new(j, "still_held",
			    json_integer((json_int_t)t->still_held));
	json_object_set_new(j, "still_held_by",
			    t->still_held ? holds_json(t->en) : json_array());
	if (t->told != NULL)
		json_object_set(j, "hold", t->told);
	t->answer = j;
	return true;
}

/* What the hold was that goes: the operator may not know of it. */
static json_t *hold_told(const struct engine *en, uint32_t number)
{
	for (uint32_t i = 0; i < queue_hold_count(en->queue); i++) {
		const struct queue_hold *h = queue_hold_at(en->queue, i);
		char text[256];

		if (h->number != number)
			continue;
		selection_format(h->selection, text, sizeof(text));
		return json_pack("{s:i,s:o,s:s}", "hold", (int)number, "text",
				 json_text(text), "reason", h->reason);
	}
	return NULL;
}

/* By number: only the standing hold goes, custody stays as it is. */
static struct select_task *release_by_number(struct client *c, json_t *request)
{
	const struct queue *q = client_engine(c)->queue;
	json_int_t number =
		json_integer_value(json_object_get(request, "hold"));
	struct select_task *t;
	bool found = false;

	if (json_object_get(request, "selection") != NULL) {
		client_error(c, EX_USAGE,
			     "release: a selection or a hold, not both");
		return NULL;
	}
	for (uint32_t i = 0; i < queue_hold_count(q); i++)
		found |= queue_hold_at(q, i)->number == number;
	if (!found) {
		client_error(c, EX_DATAERR,
			     "there is no hold %lld: see `sluice status`",
			     (long long)number);
		return NULL;
	}
	t = select_new(c, "release");
	if (t != NULL) {
		t->hold = (uint32_t)number;
		t->walked = true;
	}
	return t;
}

static struct select_task *release_by_selection(struct client *c,
						json_t *request)
{
	struct selection *s = request_selection(c, request);
	struct select_task *t = s ? select_start(c, "release", s, false) : NULL;

	if (t != NULL)
		t->hold = queue_hold_find(t->en->queue, s);
	return t;
}

void verb_release(struct client *c, json_t *request)
{
	const char *reason = request_reason(c, request);
	struct select_task *t;

	if (reason == NULL)
		return;
	t = json_object_get(request, "hold") != NULL
		    ? release_by_number(c, request)
		    : release_by_selection(c, request);
	if (t == NULL)
		return;
	t->dry_run = json_is_true(json_object_get(request, "dry_run"));
	t->reason = strdup(reason);
	t->told = hold_told(t->en, t->hold);
	t->kind = SPOOL_SET_RELEASED;
	t->states = SELECT_STATE(RCPT_HELD);
	t->counted = true;
	t->each = release_entry;
	t->slice_end = select_flush;
	t->finish = release_finish;
	select_audit(t, request);
	if (t->reason == NULL) {
		select_free(t);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	client_task(c, &t->task);
}
