/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_show.c - one message: index, envelope, header.
 *
 * Role: command. One read of the record's beginning; the body is not shown.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/clock.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"
#include "sluiced/head_read.h"
#include "sluiced/message_json.h"

#define SHOW_BYTES     32768u
#define SHOW_RCPTS_MAX 200

struct show_task {
	struct task task;
	struct engine *en;
	struct head_read head;
	uint64_t id;
	json_t *recipients;
	uint32_t recipient_count;
	struct spool_place place;
	bool found, gone;
};

static void show_free(struct show_task *t)
{
	head_read_fini(&t->head);
	json_decref(t->recipients);
	free(t);
}

static void show_destroy(struct task *task)
{
	struct show_task *t = (struct show_task *)task;

	t->gone = true;
	if (!t->head.pending)
		show_free(t);
}

static void recipient_each(void *user, const struct queue_entry *e)
{
	struct show_task *t = user;
	const struct provider *p;
	json_t *j;

	role_assert(&role_queue);
	t->found = true;
	t->place = e->place;
	if (t->recipient_count++ >= SHOW_RCPTS_MAX)
		return;
	p = &t->en->providers[e->provider];
	j = json_pack("{s:i,s:s,s:s,s:s,s:s,s:i,s:s,s:I,s:b,s:b}", "rcpt",
		      (int)e->rcpt, "state", rcpt_state_name(e->state),
		      "domain", queue_domain_name(t->en->queue, e->domain),
		      "provider", p->name, "by", provider_kind_name(p->kind),
		      "attempts", (int)e->attempts, "last_class",
		      e->attempts && class_name(e->last_class)
			      ? class_name(e->last_class)
			      : "",
		      "due", (json_int_t)e->due_s, "custody_hold",
		      e->custody_hold, "standing_hold", e->standing_hold);
	reply_add(t->en, j, e->tag);
	json_array_append_new(t->recipients, j);
}

static json_t *text_json(struct text t)
{
	return json_bytes(t.data ? t.data : "", t.len);
}

json_t *message_json(uint64_t id, const struct spool_place *place,
		     const struct head_read *head)
{
	const struct spool_record *r = &head->record;
	char hex[17];
	json_t *j = json_object();

	message_id_format(id, hex);
	json_object_set_new(j, "id", json_string(hex));
	json_object_set_new(j, "sender", text_json(r->env.sender));
	json_object_set_new(j, "origin", text_json(r->env.origin));
	json_object_set_new(j, "client", text_json(r->env.client));
	json_object_set_new(j, "account", text_json(r->env.account));
	json_object_set_new(j, "forwarded", text_json(r->env.forwarded));
	json_object_set_new(j, "arrival", json_integer(r->env.arrival_s));
	json_object_set_new(j, "size",
			    json_integer((json_int_t)r->content_bytes));
	json_object_set_new(j, "segment", json_integer(place->segment));
	json_object_set_new(j, "offset",
			    json_integer((json_int_t)place->offset));
	json_object_set_new(j, "header", text_json(head_read_header(head)));
	return j;
}

static void recipients_name(struct show_task *t)
{
	size_t i;
	json_t *j;

	json_array_foreach(t->recipients, i, j)
	{
		json_int_t n = json_integer_value(json_object_get(j, "rcpt"));

		if (n < t->head.record.env.rcpt_count)
			json_object_set_new(
				j, "recipient",
				text_json(t->head.record.env.rcpts[n].address));
	}
}

static void show_answer(struct show_task *t)
{
	struct client *c = t->task.client;

	if (t->head.res != 0) {
		client_error(c, EX_IOERR, "segment %u, offset %llu: %s",
			     t->place.segment,
			     (unsigned long long)t->place.offset,
			     err_name(t->head.res));
	} else {
		recipients_name(t);
		client_done(c,
			    json_pack("{s:s,s:o,s:O,s:i}", "schema",
				      "sluice.message.1", "message",
				      message_json(t->id, &t->place, &t->head),
				      "recipients", t->recipients,
				      "recipient_count",
				      (int)t->recipient_count));
	}
}

static void on_head(struct head_read *h)
{
	struct show_task *t = h->user;

	if (t->gone)
		show_free(t);
	else
		client_wake(t->task.client);
}

static bool show_step(struct task *task)
{
	struct show_task *t = (struct show_task *)task;

	if (t->head.pending)
		return false;
	show_answer(t);
	client_task_end(task->client);
	return false;
}

void verb_show(struct client *c, json_t *request)
{
	const char *text = json_string_value(json_object_get(request, "id"));
	struct show_task *t;
	uint64_t id;
	int rc;

	if (text == NULL || message_id_parse(text, &id) != 0) {
		client_error(c, EX_USAGE,
			     "'%s' is no message id (up to 16 hex digits)",
			     text ? text : "");
		return;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL || (t->recipients = json_array()) == NULL) {
		free(t);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	t->en = client_engine(c);
	t->id = id;
	t->task.step = show_step;
	t->task.destroy = show_destroy;
	queue_find(t->en->queue, id, recipient_each, t);
	rc = t->found ? head_read_start(&t->head, t->en->spool, &t->place,
					SHOW_BYTES, on_head, t)
		      : 0;
	if (!t->found || rc != 0) {
		if (t->found)
			client_error(c, EX_IOERR, "%s: %s", text, err_name(rc));
		else
			client_error(c, EX_DATAERR,
				     "no message %s in the queue", text);
		show_free(t);
		return;
	}
	client_task(c, &t->task);
}
