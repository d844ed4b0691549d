/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_select.c - list, count, hold, release: verbs on a selection.
 *
 * Role: command. One task for the four: a walker goes through the selection,
 * `each` looks at the entries, `finish` answers. Changes are journaled and
 * applied slice by slice; the answer waits for the last commit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"
#include "sluiced/walker.h"

#define LIST_PER_PACKET  128
#define LIST_BACKLOG_MAX 8
#define SET_ITEMS        4096

struct select_task {
	struct task task;
	struct engine *en;
	struct walker *walker;
	void (*each)(struct select_task *t, const struct walker_entry *e);
	void (*slice_end)(struct select_task *t);
	void (*finish)(struct select_task *t);
	uint64_t messages, recipients, last_id, limit, still_held;
	bool dry_run, walked, gone, truncated;
	json_t *list;
	uint32_t hold;
	char *reason;
	struct spool_set_item *items;
	uint32_t item_count, item_room;
	uint32_t commits; /* of the journal, not answered yet */
	int res;
};

static void select_free(struct select_task *t)
{
	walker_destroy(&t->walker);
	json_decref(t->list);
	free(t->reason);
	free(t->items);
	free(t);
}

static void select_destroy(struct task *task)
{
	struct select_task *t = (struct select_task *)task;

	/* A commit still speaks of it: the last one frees. */
	t->gone = true;
	if (t->commits == 0)
		select_free(t);
}

static void select_wake(void *user)
{
	struct select_task *t = user;

	client_wake(t->task.client);
}

static void count_entry(struct select_task *t, const struct walker_entry *e)
{
	t->recipients++;
	if (t->messages == 0 || e->index.id != t->last_id)
		t->messages++;
	t->last_id = e->index.id;
}

static void select_slice(void *user, const struct walker_entry *e, uint32_t n)
{
	struct select_task *t = user;

	for (uint32_t i = 0; i < n; i++)
		t->each(t, &e[i]);
	if (t->slice_end != NULL)
		t->slice_end(t);
}

static bool select_step(struct task *task)
{
	struct select_task *t = (struct select_task *)task;

	if (t->list != NULL && client_backlog(task->client) > LIST_BACKLOG_MAX)
		return false; /* on_sent() wakes us */
	if (t->item_count > 0) {
		t->slice_end(t); /* what found no room in the last turn */
		if (t->item_count > 0)
			return true;
	}
	if (!t->walked) {
		if (walker_step(t->walker))
			return true;
		if (!walker_over(t->walker))
			return false;
		t->walked = true;
	}
	if (t->commits > 0)
		return false;
	t->finish(t);
	client_task_end(task->client);
	return false;
}

static const struct walker_ops select_walker_ops = {select_slice, select_wake};

/* Takes the selection. */
static struct select_task *select_start(struct client *c, struct selection *s,
					bool envelopes)
{
	struct select_task *t = calloc(1, sizeof(*t));

	if (t != NULL) {
		t->en = client_engine(c);
		t->task.step = select_step;
		t->task.destroy = select_destroy;
		t->walker = walker_create(t->en, s, envelopes,
					  &select_walker_ops, t);
	}
	if (t == NULL || t->walker == NULL) {
		selection_destroy(&s);
		free(t);
		client_error(c, EX_OSERR, "out of memory");
		return NULL;
	}
	return t;
}

/* count */

static void count_finish(struct select_task *t)
{
	client_done(t->task.client,
		    json_pack("{s:I,s:I}", "messages", (json_int_t)t->messages,
			      "recipients", (json_int_t)t->recipients));
}

void verb_count(struct client *c, json_t *request)
{
	struct selection *s = request_selection(c, request);
	struct select_task *t = s ? select_start(c, s, false) : NULL;

	if (t == NULL)
		return;
	t->each = count_entry;
	t->finish = count_finish;
	client_task(c, &t->task);
}

/* list */

static json_t *entry_json(const struct engine *en, const struct walker_entry *e)
{
	char hex[17];
	json_t *j;

	role_assert(&role_queue);
	message_id_format(e->index.id, hex);
	j = json_pack("{s:s,s:i,s:s,s:s,s:s,s:I,s:I,s:i}", "id", hex, "rcpt",
		      (int)e->index.rcpt, "state",
		      rcpt_state_name(e->index.state), "provider",
		      en->providers[e->index.provider].name, "domain",
		      queue_domain_name(en->queue, e->index.domain), "size",
		      (json_int_t)e->index.content_bytes, "arrival",
		      (json_int_t)e->index.arrival_s, "attempts",
		      (int)e->index.attempts);
	if (j == NULL)
		return NULL;
	json_object_set_new(j, "sender",
			    json_stringn(e->sender.data, e->sender.len));
	json_object_set_new(j, "recipient",
			    json_stringn(e->recipient.data, e->recipient.len));
	if (e->unreadable)
		json_object_set_new(j, "unreadable", json_true());
	if (e->index.due_s != 0)
		json_object_set_new(j, "due", json_integer(e->index.due_s));
	if (e->index.standing_hold)
		json_object_set_new(j, "standing_hold", json_true());
	return j;
}

static void list_flush(struct select_task *t)
{
	if (json_array_size(t->list) == 0)
		return;
	client_send(t->task.client, json_pack("{s:o}", "messages", t->list));
	t->list = json_array();
}

static void list_entry(struct select_task *t, const struct walker_entry *e)
{
	if (t->limit != 0 && t->recipients == t->limit) {
		t->truncated = true;
		return;
	}
	count_entry(t, e);
	json_array_append_new(t->list, entry_json(t->en, e));
	if (json_array_size(t->list) >= LIST_PER_PACKET)
		list_flush(t);
}

static void list_slice_end(struct select_task *t)
{
	list_flush(t);
	if (t->truncated)
		t->walked = true;
}

static void list_finish(struct select_task *t)
{
	client_done(t->task.client,
		    json_pack("{s:I,s:b}", "count", (json_int_t)t->recipients,
			      "truncated", t->truncated));
}

void verb_list(struct client *c, json_t *request)
{
	struct selection *s = request_selection(c, request);
	struct select_task *t = s ? select_start(c, s, true) : NULL;

	if (t == NULL)
		return;
	t->list = json_array();
	t->limit =
		(uint64_t)json_integer_value(json_object_get(request, "limit"));
	t->each = list_entry;
	t->slice_end = list_slice_end;
	t->finish = list_finish;
	client_task(c, &t->task);
}

/* hold: a standing hold first, then the count of what it keeps back */

static void hold_finish(struct select_task *t)
{
	client_done(t->task.client,
		    json_pack("{s:I,s:I,s:i}", "messages",
			      (json_int_t)t->messages, "recipients",
			      (json_int_t)t->recipients, "hold", (int)t->hold));
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

static int hold_start(struct select_task *t, struct client *c,
		      const struct selection *s, const char *reason)
	RUNS_ON(role_queue, role_spool)
{
	struct selection *copy;
	char text[256];
	int rc;

	t->hold = queue_hold_find(t->en->queue, s);
	if (t->dry_run || t->hold != 0)
		return 0;
	copy = selection_copy(s);
	if (copy == NULL)
		return -ENOMEM;
	rc = hold_place(t->en, copy, reason, client_actor(c), &t->hold);
	if (rc != 0) {
		selection_destroy(&copy);
		return rc;
	}
	selection_format(s, text, sizeof(text));
	log_info("hold", "hold %u by %s: %s: %s", t->hold, client_actor(c),
		 text, reason);
	return 0;
}

void verb_hold(struct client *c, json_t *request)
{
	const char *reason = request_reason(c, request);
	struct selection *s = reason ? request_selection(c, request) : NULL;
	struct select_task *t = s ? select_start(c, s, false) : NULL;
	int rc;

	if (t == NULL)
		return;
	role_assert(&role_queue);
	role_assert(&role_spool);
	t->dry_run = json_is_true(json_object_get(request, "dry_run"));
	t->each = count_entry;
	t->finish = hold_finish;
	rc = hold_start(t, c, s, reason);
	if (rc != 0) {
		select_free(t);
		client_error(c, EX_IOERR, "hold: %s", err_name(rc));
		return;
	}
	client_task(c, &t->task);
}

/* release: gives back what custody holds; lifts the equal standing hold */

static void set_durable(void *user, int res)
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

/* -EAGAIN: the spool has no room now; the items stay for the next turn. */
static void set_flush(struct select_task *t)
{
	int rc;

	if (t->item_count == 0)
		return;
	t->commits++;
	rc = spool_set(t->en->spool, SPOOL_SET_RELEASED, t->items,
		       t->item_count, set_durable, t);
	if (rc == 0)
		rc = queue_apply_set(t->en->queue, SPOOL_SET_RELEASED,
				     clock_realtime_s(), t->items,
				     t->item_count);
	else
		t->commits--;
	if (rc == -EAGAIN)
		return;
	if (rc != 0)
		t->res = rc;
	t->item_count = 0;
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

static void release_entry(struct select_task *t, const struct walker_entry *e)
{
	bool custody = e->index.state == RCPT_HELD && e->index.custody_hold;

	if (e->index.standing_hold && t->hold == 0)
		t->still_held++;
	/* With the hold that is lifted at the end goes all it kept back. */
	if (custody || (e->index.standing_hold && t->hold != 0))
		count_entry(t, e);
	if (!custody || t->dry_run)
		return;
	if (t->item_count == t->item_room && !items_grow(t)) {
		t->res = -ENOMEM;
		return;
	}
	t->items[t->item_count++] = (struct spool_set_item){
		.id = e->index.id, .count = 0, .rcpt = e->index.rcpt};
}

static json_t *holds_left(const struct engine *en)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < queue_hold_count(en->queue); i++) {
		const struct queue_hold *h = queue_hold_at(en->queue, i);
		char text[256];

		selection_format(h->selection, text, sizeof(text));
		json_array_append_new(list,
				      json_pack("{s:i,s:s,s:s}", "hold",
						(int)h->number, "selection",
						text, "reason", h->reason));
	}
	return list;
}

static void release_finish(struct select_task *t)
{
	struct client *c = t->task.client;

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (t->res == 0 && t->hold != 0 && !t->dry_run)
		t->res = hold_lift(t->en, t->hold);
	if (t->res != 0) {
		client_error(c, EX_IOERR, "release: %s", err_name(t->res));
		return;
	}
	if (!t->dry_run)
		log_info("release", "%llu recipients by %s: %s",
			 (unsigned long long)t->recipients, client_actor(c),
			 t->reason);
	client_done(
		c, json_pack("{s:I,s:I,s:i,s:I,s:o}", "messages",
			     (json_int_t)t->messages, "recipients",
			     (json_int_t)t->recipients, "hold_lifted",
			     (int)t->hold, "still_held",
			     (json_int_t)t->still_held, "still_held_by",
			     t->still_held ? holds_left(t->en) : json_array()));
}

/* By number: only the standing hold goes, custody stays as it is. */
static void release_by_number(struct client *c, json_t *request)
	RUNS_ON(role_queue, role_spool)
{
	struct engine *en = client_engine(c);
	uint32_t number =
		(uint32_t)json_integer_value(json_object_get(request, "hold"));
	bool found = false;
	int rc;

	for (uint32_t i = 0; i < queue_hold_count(en->queue); i++)
		found |= queue_hold_at(en->queue, i)->number == number;
	if (!found) {
		client_error(c, EX_DATAERR,
			     "there is no hold %u: see `sluice status`",
			     number);
		return;
	}
	rc = json_is_true(json_object_get(request, "dry_run"))
		     ? 0
		     : hold_lift(en, number);
	if (rc != 0)
		client_error(c, EX_IOERR, "release: %s", err_name(rc));
	else
		client_done(c, json_pack("{s:i}", "hold_lifted", (int)number));
}

void verb_release(struct client *c, json_t *request)
{
	const char *reason = request_reason(c, request);
	struct selection *s;
	struct select_task *t;

	if (reason == NULL)
		return;
	role_assert(&role_queue);
	role_assert(&role_spool);
	if (json_object_get(request, "hold") != NULL) {
		release_by_number(c, request);
		return;
	}
	s = request_selection(c, request);
	t = s ? select_start(c, s, false) : NULL;
	if (t == NULL)
		return;
	t->dry_run = json_is_true(json_object_get(request, "dry_run"));
	t->reason = strdup(reason);
	t->each = release_entry;
	t->slice_end = set_flush;
	t->finish = release_finish;
	t->hold = queue_hold_find(t->en->queue, s);
	client_task(c, &t->task);
}
