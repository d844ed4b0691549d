/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_select.c - list, count, hold, release: verbs on a selection.
 *
 * Role: command. One task for the four: a walker goes through the selection,
 * `each` looks at the entries, `finish` answers. Changes are journaled and
 * applied slice by slice; the answer waits for the last commit. -EAGAIN of the
 * journal: the same again in the next turn.
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
#define SET_ITEMS        4096 /* per record group: any commit has room */

struct select_task {
	struct task task;
	struct engine *en;
	struct walker *walker;
	void (*each)(struct select_task *t, const struct walker_entry *e);
	void (*slice_end)(struct select_task *t);
	/* False: not yet. A commit wakes it, or it is called each turn. */
	bool (*finish)(struct select_task *t);
	const char *verb;
	uint64_t messages, recipients, last_id, limit, still_held;
	bool dry_run, walked, gone, truncated, lifted;
	json_t *list;
	uint32_t hold;
	struct selection *to_hold; /* until the queue has it */
	char *reason;
	struct spool_set_item *items;
	uint32_t item_count, item_room;
	uint32_t commits; /* of the journal, not answered yet */
	int res;
};

static void select_free(struct select_task *t)
{
	walker_destroy(&t->walker);
	selection_destroy(&t->to_hold);
	json_decref(t->list);
	free(t->reason);
	free(t->items);
	free(t);
}

static void select_destroy(struct task *task)
{
	struct select_task *t = (struct select_task *)task;

	/* A commit still speaks of it: the last one frees. Reads no more: they
	 * would wake the client. */
	walker_destroy(&t->walker);
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

/* Ends it with an error. */
static bool select_fail(struct select_task *t, int status, const char *why)
{
	struct client *c = t->task.client;

	client_error(c, status, "%s: %s; what was done so far stays: try again",
		     t->verb, why);
	client_task_end(c);
	return false;
}

static bool select_end(struct select_task *t)
{
	if (t->commits > 0)
		return false;
	if (t->res != 0)
		return select_fail(t, EX_IOERR, err_name(t->res));
	if (!t->finish(t))
		return t->commits == 0;
	client_task_end(t->task.client);
	return false;
}

static bool hold_begin(struct select_task *t) RUNS_ON(role_queue, role_spool);

static bool select_step(struct task *task)
{
	struct select_task *t = (struct select_task *)task;

	role_assert(&role_queue);
	role_assert(&role_spool);
	/* Its reads would keep the spool from coming to rest. */
	if (t->en->stopping && !t->walked)
		return select_fail(t, EX_TEMPFAIL, "sluiced is stopping");
	if (t->list != NULL && client_backlog(task->client) > LIST_BACKLOG_MAX)
		return false; /* on_sent() wakes us */
	if (t->to_hold != NULL && !hold_begin(t))
		return true;
	if (t->item_count > 0) {
		t->slice_end(t); /* what found no room in the last turn */
	} else if (!t->walked) {
		if (walker_step(t->walker))
			return true;
		if (!walker_over(t->walker))
			return false;
		t->walked = true;
		if (walker_failed(t->walker))
			t->res = -ENOMEM;
	}
	if (t->item_count > 0 || !t->walked)
		return true;
	return select_end(t);
}

static const struct walker_ops select_walker_ops = {select_slice, select_wake};

static struct select_task *select_new(struct client *c, const char *verb)
{
	struct select_task *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		client_error(c, EX_OSERR, "out of memory");
		return NULL;
	}
	t->en = client_engine(c);
	t->task.step = select_step;
	t->task.destroy = select_destroy;
	t->verb = verb;
	return t;
}

/* Takes the selection. */
static struct select_task *select_start(struct client *c, const char *verb,
					struct selection *s, bool envelopes)
{
	struct select_task *t = select_new(c, verb);

	if (t == NULL) {
		selection_destroy(&s);
		return NULL;
	}
	t->walker = walker_create(t->en, s, envelopes, &select_walker_ops, t);
	if (t->walker == NULL) {
		selection_destroy(&s);
		free(t);
		client_error(c, EX_OSERR, "out of memory");
		return NULL;
	}
	return t;
}

/* count */

static bool count_finish(struct select_task *t)
{
	client_done(t->task.client,
		    json_pack("{s:I,s:I}", "messages", (json_int_t)t->messages,
			      "recipients", (json_int_t)t->recipients));
	return true;
}

void verb_count(struct client *c, json_t *request)
{
	struct selection *s = request_selection(c, request);
	struct select_task *t = s ? select_start(c, "count", s, false) : NULL;

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
			    json_bytes(e->sender.data, e->sender.len));
	json_object_set_new(j, "recipient",
			    json_bytes(e->recipient.data, e->recipient.len));
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

static bool list_finish(struct select_task *t)
{
	client_done(t->task.client,
		    json_pack("{s:I,s:b}", "count", (json_int_t)t->recipients,
			      "truncated", t->truncated));
	return true;
}

void verb_list(struct client *c, json_t *request)
{
	struct selection *s = request_selection(c, request);
	struct select_task *t = s ? select_start(c, "list", s, true) : NULL;

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

static bool hold_finish(struct select_task *t)
{
	client_done(t->task.client,
		    json_pack("{s:I,s:I,s:i}", "messages",
			      (json_int_t)t->messages, "recipients",
			      (json_int_t)t->recipients, "hold", (int)t->hold));
	return true;
}

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

	t->hold = queue_hold_find(t->en->queue, t->to_hold);
	if (t->dry_run || t->hold != 0) {
		selection_destroy(&t->to_hold);
		return true;
	}
	selection_format(t->to_hold, text, sizeof(text));
	t->commits++;
	rc = hold_place(t->en, t->to_hold, t->reason, actor, &t->hold,
			set_durable, t);
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

void verb_hold(struct client *c, json_t *request)
{
	const char *reason = request_reason(c, request);
	struct selection *s = reason ? request_selection(c, request) : NULL;
	struct select_task *t = s ? select_start(c, "hold", s, false) : NULL;

	if (t == NULL)
		return;
	t->dry_run = json_is_true(json_object_get(request, "dry_run"));
	t->each = count_entry;
	t->finish = hold_finish;
	t->reason = strdup(reason);
	t->to_hold = selection_copy(s);
	if (t->reason == NULL || t->to_hold == NULL) {
		select_free(t);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	client_task(c, &t->task);
}

/* release: gives back what custody holds; lifts the equal standing hold */

static int items_set(struct select_task *t, const struct spool_set_item *items,
		     uint32_t count)
{
	int rc;

	t->commits++;
	rc = spool_set(t->en->spool, SPOOL_SET_RELEASED, items, count,
		       set_durable, t);
	if (rc != 0) {
		t->commits--;
		return rc;
	}
	return queue_apply_set(t->en->queue, SPOOL_SET_RELEASED,
			       clock_realtime_s(), items, count);
}

/* -EAGAIN: the spool has no room now; the items stay for the next turn. */
static void set_flush(struct select_task *t)
{
	uint32_t at = 0, n;
	int rc = 0;

	while (rc == 0 && at < t->item_count) {
		n = t->item_count - at;
		n = n < SET_ITEMS ? n : SET_ITEMS;
		rc = items_set(t, t->items + at, n);
		if (rc == 0)
			at += n;
	}
	if (rc != 0 && rc != -EAGAIN) {
		t->res = rc;
		t->walked = true;
		at = t->item_count;
	}
	t->item_count -= at;
	if (at > 0 && t->item_count > 0)
		memmove(t->items, t->items + at,
			t->item_count * sizeof(*t->items));
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
	size_t bytes = 0;

	for (uint32_t i = 0; i < queue_hold_count(en->queue); i++) {
		const struct queue_hold *h = queue_hold_at(en->queue, i);
		char text[256];

		selection_format(h->selection, text, sizeof(text));
		if (!json_list_add(list,
				   json_pack("{s:i,s:o,s:s}", "hold",
					     (int)h->number, "selection",
					     json_text(text), "reason",
					     h->reason),
				   &bytes))
			break;
	}
	return list;
}

/* The hold goes last. False: not yet durable, or no room in the journal. */
static bool release_lift(struct select_task *t) RUNS_ON(role_queue, role_spool)
{
	int rc;

	if (t->hold == 0 || t->dry_run || t->lifted)
		return true;
	t->commits++;
	rc = hold_lift(t->en, t->hold, set_durable, t);
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

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (!release_lift(t))
		return false;
	if (!t->dry_run)
		log_info("release", "%llu recipients, hold %u by %s: %s",
			 (unsigned long long)t->recipients, t->hold,
			 client_actor(c), t->reason);
	client_done(
		c, json_pack("{s:I,s:I,s:i,s:I,s:o}", "messages",
			     (json_int_t)t->messages, "recipients",
			     (json_int_t)t->recipients, "hold_lifted",
			     (int)t->hold, "still_held",
			     (json_int_t)t->still_held, "still_held_by",
			     t->still_held ? holds_left(t->en) : json_array()));
	return true;
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
	t->each = release_entry;
	t->slice_end = set_flush;
	t->finish = release_finish;
	if (t->reason == NULL) {
		select_free(t);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	client_task(c, &t->task);
}
