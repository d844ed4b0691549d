/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_select.c - the task behind all verbs on a selection, and the two that
 * only look: list, count.
 *
 * Role: command. See select_task.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluiced/audit.h"
#include "sluiced/select_task.h"

#define LIST_PER_PACKET  128
#define LIST_BACKLOG_MAX 8

void select_free(struct select_task *t)
{
	walker_destroy(&t->walker);
	selection_destroy(&t->to_hold);
	json_decref(t->list);
	json_decref(t->answer);
	json_decref(t->line);
	json_decref(t->told);
	free(t->reason);
	if (t->table != NULL)
		t->table_free(t->table);
	free(t->items);
	free(t);
}

/* What was done goes into the audit, with how it ended. */
static void select_record(struct select_task *t, const char *result,
			  void (*done)(void *user, int res))
{
	json_t *line = t->line;

	t->line = NULL;
	json_object_set_new(line, "messages",
			    json_integer((json_int_t)t->messages));
	json_object_set_new(line, "recipients",
			    json_integer((json_int_t)t->recipients));
	json_object_set_new(line, "result", json_string(result));
	if (t->hold != 0)
		json_object_set_new(line, "hold", json_integer(t->hold));
	audit_write(t->en->audit, line, done, t);
}

static void audited(void *user, int res)
{
	struct select_task *t = user;

	t->audit_res = res;
	select_durable(t, 0);
}

static void select_destroy(struct task *task)
{
	struct select_task *t = (struct select_task *)task;

	/* A commit still speaks of it: the last one frees. Reads no more: they
	 * would wake the client. */
	walker_destroy(&t->walker);
	if (t->line != NULL && t->answer == NULL)
		select_record(t, "the client went away", NULL);
	t->gone = true;
	if (t->commits == 0)
		select_free(t);
}

static void select_wake(void *user)
{
	struct select_task *t = user;

	client_wake(t->task.client);
}

void select_count(struct select_task *t, uint64_t id)
{
	t->recipients++;
	if (t->messages == 0 || id != t->last_id)
		t->messages++;
	t->last_id = id;
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

	if (t->line != NULL)
		select_record(t, why, NULL);
	client_error(c, status, "%s: %s; what was done so far stays: try again",
		     t->verb, why);
	client_task_end(c);
	return false;
}

/* Answers what was done, or why it failed, once that is in the audit. */
static bool select_answer(struct select_task *t)
{
	struct client *c = t->task.client;

	if (t->line != NULL) {
		t->commits++;
		select_record(t, t->res != 0 ? err_name(t->res) : "done",
			      audited);
		return false;
	}
	if (t->res != 0)
		return select_fail(t, EX_IOERR, err_name(t->res));
	if (t->audit_res != 0)
		json_object_set_new(t->answer, "audit",
				    json_string(err_name(t->audit_res)));
	client_done(c, t->answer);
	t->answer = NULL;
	client_task_end(c);
	return false;
}

static bool select_end(struct select_task *t)
{
	if (t->commits > 0)
		return false;
	if (t->res != 0 || t->answer != NULL)
		return select_answer(t);
	if (!t->finish(t))
		return t->commits == 0;
	if (t->answer != NULL)
		return select_answer(t);
	client_task_end(t->task.client);
	return false;
}

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
	if (t->begin != NULL && !t->begin(t))
		return true;
	t->begin = NULL;
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

struct select_task *select_new(struct client *c, const char *verb)
{
	struct select_task *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		client_error(c, EX_OSERR, "out of memory");
		return NULL;
	}
	t->en = client_engine(c);
	t->task.client = c;
	t->task.step = select_step;
	t->task.destroy = select_destroy;
	t->verb = verb;
	return t;
}

struct select_task *select_start(struct client *c, const char *verb,
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

void select_audit(struct select_task *t, json_t *request)
{
	static const char *const keys[] = {"selection", "reason", "action",
					   "route",     "pool",   "source",
					   "back"};

	if (t->dry_run)
		return;
	t->line = audit_line(t->task.client, t->verb);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *j = json_object_get(request, keys[i]);

		if (t->line != NULL && j != NULL)
			json_object_set(t->line, keys[i], j);
	}
}

/* What the walk has passed over. */
static void unreadable_told(const struct select_task *t, json_t *j)
{
	uint64_t n = t->walker != NULL ? walker_unreadable(t->walker) : 0;

	if (n > 0)
		json_object_set_new(j, "unreadable",
				    json_integer((json_int_t)n));
}

json_t *select_totals(const struct select_task *t)
{
	uint64_t gave_up = t->walker != NULL ? walker_gave_up(t->walker) : 0;
	json_t *j = json_pack("{s:I,s:I}", "messages", (json_int_t)t->messages,
			      "recipients", (json_int_t)t->recipients);

	if (gave_up > 0)
		json_object_set_new(j, "gave_up",
				    json_integer((json_int_t)gave_up));
	unreadable_told(t, j);
	return j;
}

/* count */

static void count_entry(struct select_task *t, const struct walker_entry *e)
{
	select_count(t, e->index.id);
}

static bool count_finish(struct select_task *t)
{
	client_done(t->task.client, select_totals(t));
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
	if (e->index.pinned_source < en->config->source_count)
		json_object_set_new(
			j, "source",
			json_string(en->config->sources[e->index.pinned_source]
					    .name));
	reply_add(en, j, e->index.tag);
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
	select_count(t, e->index.id);
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
	json_t *j = json_pack("{s:I,s:b}", "count", (json_int_t)t->recipients,
			      "truncated", t->truncated);

	unreadable_told(t, j);
	client_done(t->task.client, j);
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
