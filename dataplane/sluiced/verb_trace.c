/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_trace.c - the whole way of one message, also of one that is gone.
 *
 * Role: command. First the journal, from its beginning, for what happened to
 * it; then its record, for who it is from and for. Bound: a piece of the
 * journal a turn; EVENTS_MAX events, those behind are counted.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/clock.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"
#include "sluiced/head_read.h"
#include "sluiced/message_json.h"
#include "spool/history.h"

#define EVENTS_MAX        10000u
#define EVENTS_PER_PACKET 128

struct trace_task {
	struct task task;
	struct engine *en;
	struct spool_history *history;
	struct head_read head;
	uint64_t id;
	char part_line[24]; /* how a reroute's list names it: "\n1f " */
	struct spool_place place;
	bool placed, reading, gone, sent;
	json_t *events;
	uint64_t event_count;
};

static void trace_free(struct trace_task *t)
{
	head_read_fini(&t->head);
	json_decref(t->events);
	free(t);
}

static void trace_destroy(struct task *task)
{
	struct trace_task *t = (struct trace_task *)task;

	spool_history_close(&t->history);
	t->gone = true;
	if (!t->head.pending)
		trace_free(t);
}

static void events_send(struct trace_task *t)
{
	if (json_array_size(t->events) == 0)
		return;
	client_send(t->task.client, json_pack("{s:o}", "events", t->events));
	t->events = json_array();
}

static void event_add(struct trace_task *t, json_t *event)
{
	if (t->event_count++ >= EVENTS_MAX || event == NULL) {
		json_decref(event);
		return;
	}
	json_object_set_new(event, "schema",
			    json_string("sluice.trace_event.1"));
	json_array_append_new(t->events, event);
	if (json_array_size(t->events) >= EVENTS_PER_PACKET)
		events_send(t);
}

static const char *source_name(const struct engine *en, uint16_t source)
{
	if (source == 0 || source > en->config->source_count)
		return "";
	return en->config->sources[source - 1].name;
}

static void on_stored(void *user, const struct spool_place *place)
{
	struct trace_task *t = user;

	t->place = *place;
	t->placed = true;
}

static void on_attempt(void *user, uint32_t rcpt_first, uint32_t rcpt_count,
		       uint32_t when_s, uint16_t source)
{
	struct trace_task *t = user;

	event_add(t,
		  json_pack("{s:s,s:I,s:I,s:I,s:s}", "event", "attempt", "time",
			    (json_int_t)when_s, "rcpt", (json_int_t)rcpt_first,
			    "rcpts", (json_int_t)rcpt_count, "source",
			    source_name(t->en, source)));
}

static void on_outcome(void *user, const struct spool_outcome *o)
{
	struct trace_task *t = user;
	const char *state = rcpt_state_name(o->state);
	json_t *j = json_pack(
		"{s:s,s:I,s:I,s:s,s:i}", "event", "outcome", "time",
		(json_int_t)o->when_s, "rcpt", (json_int_t)o->rcpt, "state",
		state ? state : "unknown", "attempts", (int)o->attempts);

	if (j == NULL)
		return;
	if (o->reply.len > 0)
		json_object_set_new(j, "reply",
				    json_bytes(o->reply.data, o->reply.len));
	if (o->state != RCPT_DELIVERED && class_name(o->reply_class) != NULL)
		json_object_set_new(j, "class",
				    json_string(class_name(o->reply_class)));
	if (o->due_s != 0)
		json_object_set_new(j, "due", json_integer(o->due_s));
	if (o->in_doubt)
		json_object_set_new(j, "in_doubt", json_true());
	event_add(t, j);
}

static void on_set(void *user, enum spool_set_kind kind, uint32_t when_s,
		   const struct spool_set_item *item)
{
	static const char *const names[] = {
		[SPOOL_SET_RELEASED] = "released",
		[SPOOL_SET_HELD] = "held",
		[SPOOL_SET_PURGED] = "purged",
		[SPOOL_SET_REQUEUED] = "requeued",
	};
	struct trace_task *t = user;
	bool known = (size_t)kind < sizeof(names) / sizeof(names[0]) &&
		     names[kind] != NULL;
	json_t *j =
		json_pack("{s:s,s:I}", "event", known ? names[kind] : "changed",
			  "time", (json_int_t)when_s);

	if (j != NULL && item->count == 0)
		json_object_set_new(j, "rcpt", json_integer(item->rcpt));
	event_add(t, j);
}

/* "ID RCPT" in a reroute's list: the recipients that are this message's. */
static void reroute_part(struct trace_task *t, uint32_t number,
			 struct text value)
{
	size_t len = strlen(t->part_line) - 1;
	const char *p = value.data, *end = value.data + value.len;

	while (p != NULL && p < end) {
		if ((size_t)(end - p) > len &&
		    memcmp(p, t->part_line + 1, len) == 0)
			event_add(t, json_pack("{s:s,s:I,s:I}", "event",
					       "rerouted", "reroute",
					       (json_int_t)number, "rcpt",
					       (json_int_t)strtoul(p + len,
								   NULL, 16)));
		p = memchr(p, '\n', (size_t)(end - p));
		if (p != NULL)
			p++;
	}
}

static void on_note(void *user, const char *key, struct text value)
{
	struct trace_task *t = user;
	unsigned long number;
	char *end;

	if (strncmp(key, "reroute/", 8) != 0)
		return;
	number = strtoul(key + 8, &end, 10);
	if (*end == '/')
		reroute_part(t, (uint32_t)number, value);
}

static void on_wake(void *user)
{
	struct trace_task *t = user;

	client_wake(t->task.client);
}

static void on_head(struct head_read *h)
{
	struct trace_task *t = h->user;

	if (t->gone)
		trace_free(t);
	else
		client_wake(t->task.client);
}

static void place_seen(void *user, const struct queue_entry *e)
{
	struct trace_task *t = user;

	t->place = e->place;
	t->placed = true;
}

static void rcpt_add(void *user, const struct queue_entry *e)
{
	json_t *list = user;

	json_array_append_new(list, json_pack("{s:I,s:s}", "rcpt",
					      (json_int_t)e->rcpt, "state",
					      rcpt_state_name(e->state)));
}

/* Addresses, and where each of them stands; "gone" is told by the events. */
static json_t *recipients_json(const struct trace_task *t)
{
	const struct envelope *env = &t->head.record.env;
	json_t *states = json_array(), *list = json_array();

	queue_find(t->en->queue, t->id, rcpt_add, states);
	for (uint32_t i = 0; i < env->rcpt_count && i < 200; i++) {
		json_t *j = json_pack("{s:I,s:o}", "rcpt", (json_int_t)i,
				      "recipient",
				      json_bytes(env->rcpts[i].address.data,
						 env->rcpts[i].address.len));
		json_t *s = json_object_get(json_array_get(states, i), "state");

		if (s != NULL)
			json_object_set(j, "state", s);
		json_array_append_new(list, j);
	}
	json_decref(states);
	return list;
}

static void trace_answer(struct trace_task *t)
{
	struct client *c = t->task.client;
	json_t *j = json_pack("{s:s,s:I,s:b}", "schema", "sluice.trace.1",
			      "events", (json_int_t)t->event_count, "here",
			      queue_find(t->en->queue, t->id, place_seen, t));

	if (t->placed && t->head.res == 0) {
		json_object_set_new(j, "message",
				    message_json(t->id, &t->place, &t->head));
		json_object_set_new(j, "recipients", recipients_json(t));
	}
	client_done(c, j);
}

/* The record, when the journal has been read. False: no such message. */
static bool record_start(struct trace_task *t)
{
	int rc;

	t->reading = true;
	events_send(t);
	/* The queue knows of a place that reclaim has changed. */
	queue_find(t->en->queue, t->id, place_seen, t);
	if (!t->placed && t->event_count == 0)
		return false;
	if (!t->placed)
		return true;
	rc = head_read_header_start(&t->head, t->en->spool, &t->place, on_head,
				    t);
	if (rc != 0)
		t->head.res = rc; /* the events are worth something */
	return true;
}

static bool trace_over(struct trace_task *t, int status, const char *text)
{
	char hex[17];

	message_id_format(t->id, hex);
	if (text != NULL)
		client_error(t->task.client, status, "%s: %s", hex, text);
	else
		trace_answer(t);
	client_task_end(t->task.client);
	return false;
}

static bool trace_step(struct task *task)
{
	struct trace_task *t = (struct trace_task *)task;
	int over = spool_history_over(t->history);

	if (t->head.pending)
		return false;
	if (t->en->stopping)
		return trace_over(t, EX_TEMPFAIL, "sluiced is stopping");
	if (over == 0)
		return spool_history_step(t->history) ||
		       spool_history_over(t->history) != 0;
	if (over < 0)
		return trace_over(t, EX_IOERR, err_name(over));
	if (!t->reading) {
		if (!record_start(t))
			return trace_over(t, EX_DATAERR,
					  "neither queue nor journal knows "
					  "this message");
		return !t->head.pending;
	}
	return trace_over(t, 0, NULL);
}

static const struct spool_history_ops history_ops = {
	on_stored, on_attempt, on_outcome, on_set, on_note, on_wake};

void verb_trace(struct client *c, json_t *request)
{
	const char *text = json_string_value(json_object_get(request, "id"));
	struct trace_task *t;
	uint64_t id;
	int rc;

	if (text == NULL || message_id_parse(text, &id) != 0) {
		client_error(c, EX_USAGE,
			     "'%s' is no message id (up to 16 hex digits)",
			     text ? text : "");
		return;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	t->en = client_engine(c);
	t->id = id;
	t->events = json_array();
	snprintf(t->part_line, sizeof(t->part_line), "\n%" PRIx64 " ", id);
	t->task.step = trace_step;
	t->task.destroy = trace_destroy;
	rc = spool_history_open(t->en->spool, id, &history_ops, t, &t->history);
	if (rc != 0) {
		trace_free(t);
		client_error(c, EX_IOERR, "the journal cannot be read: %s",
			     err_name(rc));
		return;
	}
	client_task(c, &t->task);
}
