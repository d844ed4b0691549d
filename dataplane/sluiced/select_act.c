/* SPDX-License-Identifier: BSD-2-Clause
 *
 * select_act.c - how verbs on a selection change recipients.
 *
 * Role: command. Items are collected by select_act() and leave by
 * select_flush(): the state of each is looked at in the turn in which its
 * record is journaled and applied, so that what has gone out, or has been
 * purged by somebody else since, is not touched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/select_task.h"

#define SET_ITEMS 4096 /* per record group: any commit has room */

void select_durable(void *user, int res)
{
	struct select_task *t = user;

	sluice_assert(t->commits > 0);
	if (res != 0)
		t->res = res;
	if (--t->commits > 0)
		return;
	if (t->gone)
		select_free(t);
	else
		client_wake(t->task.client);
}

static bool item_fits(struct select_task *t, const struct spool_set_item *i)
{
	uint8_t state = queue_rcpt_state(t->en->queue, i->id, i->rcpt);

	if (state == RCPT_IN_FLIGHT && (t->states & SELECT_STATE(state)) == 0)
		t->in_flight++;
	return state != 0 && (t->states & SELECT_STATE(state)) != 0;
}

/* Drops the items that changed their state since they were
 * collected. */
static void items_review(struct select_task *t)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < t->item_count; i++)
		if (item_fits(t, &t->items[i]))
			t->items[kept++] = t->items[i];
	t->item_count = kept;
}

static int items_set(struct select_task *t, const struct spool_set_item *items,
		     uint32_t count, uint32_t *done)
{
	int rc;

	t->commits++;
	rc = spool_set(t->en->spool, t->kind, items, count, select_durable, t);
	if (rc != 0) {
		t->commits--;
		return rc;
	}
	for (uint32_t i = 0; i < count && !t->counted; i++)
		select_count(t, items[i].id);
	*done = count;
	return queue_apply_set(t->en->queue, t->kind, clock_realtime_s(), items,
			       count);
}

/* -EAGAIN: the spool has no room now; the items stay for the next turn. */
void select_flush(struct select_task *t)
{
	uint32_t at = 0, n, done;
	int rc = 0;

	items_review(t);
	while (rc == 0 && at < t->item_count) {
		n = t->item_count - at;
		n = n < SET_ITEMS ? n : SET_ITEMS;
		done = 0;
		rc = t->apply != NULL ? t->apply(t, t->items + at, n, &done)
				      : items_set(t, t->items + at, n, &done);
		at += done;
	}
	if (rc != 0 && rc != -EAGAIN) {
		t->res = rc;
		at = t->item_count;
	}
	t->item_count -= at;
	if (at > 0 && t->item_count > 0)
		memmove(t->items, t->items + at,
			t->item_count * sizeof(*t->items));
	if (t->truncated || t->res != 0)
		t->walked = true;
}

static bool items_grow(struct select_task *t)
{
	uint32_t room = t->item_room ? t->item_room * 2 : SET_ITEMS;
	struct spool_set_item *items = realloc(t->items, room * sizeof(*items));

	if (items == NULL)
		return false;
	t->items = items;
	t->item_room = room;
	return true;
}

void select_collect(struct select_task *t, const struct walker_entry *e)
{
	if (t->item_count == t->item_room && !items_grow(t)) {
		t->res = -ENOMEM;
		return;
	}
	t->items[t->item_count++] = (struct spool_set_item){
		.id = e->index.id, .count = 0, .rcpt = e->index.rcpt};
}

/* The confirmed count is reached: no more than was said. */
static bool limit_is_reached(struct select_task *t)
{
	if (t->limit == 0 || t->recipients + t->item_count < t->limit)
		return false;
	t->truncated = true;
	return true;
}

void select_act(struct select_task *t, const struct walker_entry *e)
{
	/* As placed: a hold over the domain does not change what it is. */
	uint8_t state =
		queue_rcpt_state(t->en->queue, e->index.id, e->index.rcpt);

	if (state == 0 || (t->states & SELECT_STATE(state)) == 0) {
		t->in_flight += state == RCPT_IN_FLIGHT;
		return;
	}
	if (limit_is_reached(t))
		return;
	if (t->dry_run) {
		select_count(t, e->index.id);
		return;
	}
	select_collect(t, e);
}

struct select_task *select_start_act(struct client *c, const char *verb,
				     json_t *request)
{
	const char *reason = request_reason(c, request);
	struct selection *s = reason ? request_selection(c, request) : NULL;
	struct select_task *t = s ? select_start(c, verb, s, false) : NULL;

	if (t == NULL)
		return NULL;
	t->dry_run = json_is_true(json_object_get(request, "dry_run"));
	t->each = select_act;
	t->slice_end = select_flush;
	t->reason = strdup(reason);
	select_audit(t, request);
	if (t->reason != NULL)
		return t;
	select_free(t);
	client_error(c, EX_OSERR, "out of memory");
	return NULL;
}

bool select_act_finish(struct select_task *t)
{
	json_t *j = select_totals(t);

	if (!t->dry_run)
		log_info(t->verb, "%llu recipients of %llu messages by %s: %s",
			 (unsigned long long)t->recipients,
			 (unsigned long long)t->messages,
			 client_actor(t->task.client), t->reason);
	json_object_set_new(j, "in_flight",
			    json_integer((json_int_t)t->in_flight));
	json_object_set_new(j, "truncated", json_boolean(t->truncated));
	t->answer = j;
	return true;
}
