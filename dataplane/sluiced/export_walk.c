/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_walk.c - from the walker into the window, and to the client.
 *
 * Role: command, queue, spool. A slice of the walker becomes entries of the
 * window and packets of messages. Content does not go through the socket: a
 * packet brings read-only descriptors of the segments its messages lie in, and
 * each message says where its content is.
 * Bound: the window; a packet's raw text PACKET_RAW_BYTES, but for one message.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluiced/export.h"

#define PACKET_RAW_BYTES 24576u
#define RCPT_RAW_BYTES   32u /* what an entry costs beside its text */

void export_packet_flush(struct export_task *t)
{
	struct export_packet *p = &t->packet;
	json_t *segments;

	if (p->messages == NULL)
		return;
	segments = json_array();
	for (uint32_t i = 0; i < p->fd_count; i++)
		json_array_append_new(segments, json_integer(p->segments[i]));
	client_send_fds(t->task.client,
			json_pack("{s:o,s:o}", "messages", p->messages,
				  "segments", segments),
			p->fds, p->fd_count);
	*p = (struct export_packet){0};
}

/* Index of the segment among the packet's descriptors. */
static int packet_segment(struct export_task *t, uint32_t segment)
{
	struct export_packet *p = &t->packet;
	char path[4200];
	int fd;

	for (uint32_t i = 0; i < p->fd_count; i++)
		if (p->segments[i] == segment)
			return (int)i;
	if (p->fd_count == CLIENT_SEND_FDS_MAX)
		export_packet_flush(t);
	snprintf(path, sizeof(path), "%s/segments/%08u.seg",
		 t->en->config->spool.dir, segment);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	p->segments[p->fd_count] = segment;
	p->fds[p->fd_count] = fd;
	return (int)p->fd_count++;
}

/* Text that is no UTF-8 goes as {"hex": "..."}: exactly, or not at all. */
static json_t *text_exact(struct text t)
{
	static const char digits[] = "0123456789abcdef";
	const char *data = t.data != NULL ? t.data : "";
	json_t *j = json_stringn(data, t.len);
	char *hex, *to;

	if (j != NULL)
		return j;
	hex = malloc(2 * (size_t)t.len + 1);
	if (hex == NULL)
		return NULL;
	to = hex;
	for (uint32_t i = 0; i < t.len; i++) {
		*to++ = digits[(unsigned char)data[i] >> 4];
		*to++ = digits[data[i] & 15];
	}
	*to = '\0';
	j = json_pack("{s:s}", "hex", hex);
	free(hex);
	return j;
}

static json_t *rcpt_json(const struct envelope_rcpt *r, uint32_t number)
{
	if (r->orcpt.len == 0 && r->notify == 0)
		return json_pack("[i,o]", (int)number, text_exact(r->address));
	return json_pack("[i,o,o,i]", (int)number, text_exact(r->address),
			 text_exact(r->orcpt), (int)r->notify);
}

static void text_add(json_t *j, const char *key, struct text t)
{
	if (t.len > 0)
		json_object_set_new(j, key, text_exact(t));
}

static json_t *envelope_json(const struct spool_record *r)
{
	static const char *const bodies[] = {"", "7bit", "8bitmime"};
	static const char *const rets[] = {"", "full", "hdrs"};
	const struct envelope *env = &r->env;
	json_t *j = json_pack("{s:o,s:I}", "sender", text_exact(env->sender),
			      "arrival", (json_int_t)env->arrival_s);

	if (j == NULL)
		return NULL;
	text_add(j, "envid", env->envid);
	text_add(j, "origin", env->origin);
	text_add(j, "client", env->client);
	text_add(j, "account", env->account);
	if (env->body > BODY_UNKNOWN && env->body <= BODY_8BITMIME)
		json_object_set_new(j, "body", json_string(bodies[env->body]));
	if (env->ret > RET_UNKNOWN && env->ret <= RET_HDRS)
		json_object_set_new(j, "ret", json_string(rets[env->ret]));
	if (env->smtputf8)
		json_object_set_new(j, "smtputf8", json_true());
	return j;
}

static json_t *message_json(const struct export_entry *e, uint32_t tag,
			    const struct walker_entry *w)
{
	const struct spool_record *r = w->record;
	uint64_t content_at = w->index.place.offset + r->content_offset;
	char hex[17], sum[17];

	message_id_format(e->id, hex);
	snprintf(sum, sizeof(sum), "%016llx",
		 (unsigned long long)r->content_xxh3);
	return json_pack("{s:i,s:s,s:I,s:I,s:s,s:o,s:i,s:[]}", "tag", (int)tag,
			 "id", hex, "offset", (json_int_t)content_at, "bytes",
			 (json_int_t)r->content_bytes, "xxh3", sum, "envelope",
			 envelope_json(r), "recipient_count",
			 (int)e->rcpt_count, "recipients");
}

/* Recipients from `at` on, as many as a packet takes; returns how many. */
static uint32_t rcpts_add(json_t *list, const struct export_entry *e,
			  const struct spool_record *r, uint32_t at)
{
	size_t raw = 0;
	uint32_t n = 0;

	while (at + n < e->rcpt_count && raw < PACKET_RAW_BYTES) {
		uint32_t number = e->rcpts[at + n].rcpt;
		const struct envelope_rcpt *rcpt = &r->env.rcpts[number];

		json_array_append_new(list, rcpt_json(rcpt, number));
		raw += RCPT_RAW_BYTES + rcpt->address.len + rcpt->orcpt.len;
		n++;
	}
	return n;
}

/* A message of very many recipients: they follow in packets of their own. */
static void rcpts_follow(struct export_task *t, const struct export_entry *e,
			 const struct spool_record *r, uint32_t at)
{
	export_packet_flush(t);
	while (at < e->rcpt_count) {
		json_t *list = json_array();

		at += rcpts_add(list, e, r, at);
		client_send(t->task.client,
			    json_pack("{s:o}", "recipients", list));
	}
}

/* -errno when its segment cannot be opened. */
static int entry_tell(struct export_task *t, const struct export_entry *e,
		      uint32_t tag, const struct walker_entry *w)
{
	const struct spool_record *r = w->record;
	int segment = packet_segment(t, w->index.place.segment);
	json_t *j;
	uint32_t n;

	if (segment < 0)
		return segment;
	j = message_json(e, tag, w);
	if (j == NULL)
		return -ENOMEM;
	json_object_set_new(j, "segment", json_integer(segment));
	n = rcpts_add(json_object_get(j, "recipients"), e, r, 0);
	if (t->packet.messages == NULL)
		t->packet.messages = json_array();
	json_array_append_new(t->packet.messages, j);
	t->packet.bytes += 512 + (size_t)n * RCPT_RAW_BYTES +
			   r->content_offset; /* holds the envelope's text */
	if (n < e->rcpt_count)
		rcpts_follow(t, e, r, n);
	else if (t->packet.bytes >= PACKET_RAW_BYTES)
		export_packet_flush(t);
	return 0;
}

/* Recipients of one message that may go: begun, and noted in the entry. */
static void rcpts_begin(struct export_task *t, struct export_entry *e,
			const struct walker_entry *w, uint32_t count)
	RUNS_ON(role_queue)
{
	for (uint32_t i = 0; i < count; i++) {
		struct export_rcpt *r = &e->rcpts[e->rcpt_count];
		int rc = queue_export_begin(t->en->queue, w[i].index.id,
					    w[i].index.rcpt, &r->prior);

		if (rc == -EBUSY)
			t->in_flight++;
		if (rc != 0)
			continue;
		r->rcpt = w[i].index.rcpt;
		e->rcpt_count++;
	}
}

static struct export_entry *entry_new(struct export_task *t, uint64_t id,
				      uint32_t rcpts)
{
	uint32_t tag;
	struct export_entry *e;

	sluice_assert(t->free_count > 0);
	tag = t->free_tags[t->free_count - 1];
	e = &t->entries[tag];
	sluice_assert(e->stage == EXPORT_FREE);
	*e = (struct export_entry){.task = t, .id = id};
	e->rcpts = calloc(rcpts, sizeof(*e->rcpts));
	if (e->rcpts == NULL)
		return NULL;
	t->free_count--;
	e->stage = EXPORT_OUT;
	return e;
}

static void message_out(struct export_task *t, const struct walker_entry *w,
			uint32_t count) RUNS_ON(role_queue, role_spool)
{
	struct export_entry *e = entry_new(t, w->index.id, count);

	if (e == NULL) {
		t->res = -ENOMEM;
		return;
	}
	rcpts_begin(t, e, w, count);
	if (e->rcpt_count == 0) {
		export_entry_free(e);
		return;
	}
	if (entry_tell(t, e, (uint32_t)(e - t->entries), w) != 0) {
		export_undo(e);
		t->unreadable++;
		return;
	}
	e->rcpts_left = e->rcpt_count;
	if (t->smtp)
		export_work(e, RCPT_IN_FLIGHT);
}

/* What an earlier run had handed over: the client looks where it is now. */
static void message_unfinished(struct export_task *t,
			       const struct walker_entry *w, uint32_t count)
{
	struct export_entry *e = entry_new(t, w->index.id, count);
	char hex[17];

	if (e == NULL) {
		t->res = -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		e->rcpts[i] = (struct export_rcpt){
			.rcpt = w[i].index.rcpt,
			.prior = {.state = RCPT_HELD,
				  .attempts = w[i].index.attempts,
				  .last_class = w[i].index.last_class},
		};
	e->rcpt_count = count;
	e->stage = EXPORT_HANDED;
	t->unfinished++;
	if (t->abandon) {
		export_work(e, RCPT_HELD);
		return;
	}
	message_id_format(e->id, hex);
	client_send(t->task.client,
		    json_pack("{s:[{s:i,s:s}]}", "unfinished", "tag",
			      (int)(e - t->entries), "id", hex));
}

static void message_count(struct export_task *t, const struct walker_entry *w,
			  uint32_t count)
{
	uint64_t before = t->recipients;

	for (uint32_t i = 0; i < count; i++)
		if (w[i].index.state == RCPT_IN_FLIGHT)
			t->in_flight++;
		else if (w[i].index.state != RCPT_EXPORTING)
			t->recipients++;
	t->messages += t->recipients > before;
}

static void message_one(struct export_task *t, const struct walker_entry *w,
			uint32_t count)
{
	role_assert(&role_queue);
	role_assert(&role_spool);
	if (t->phase == EXPORT_UNFINISHED)
		message_unfinished(t, w, count);
	else if (w->index.flags & SPOOL_COPY)
		t->copies++; /* still the MTA's that it was copied from */
	else if (t->dry_run)
		message_count(t, w, count);
	else if (w->record == NULL)
		t->unreadable++;
	else
		message_out(t, w, count);
}

static void export_slice(void *user, const struct walker_entry *w, uint32_t n)
{
	struct export_task *t = user;
	uint32_t at = 0, count;

	for (; at < n && t->res == 0; at += count) {
		count = 1;
		while (at + count < n &&
		       w[at + count].index.id == w[at].index.id)
			count++;
		message_one(t, w + at, count);
	}
	if (t->phase == EXPORT_SELECTED)
		export_packet_flush(t);
}

static void export_wake(void *user)
{
	struct export_task *t = user;

	client_wake(t->task.client);
}

const struct walker_ops export_walker_ops = {export_slice, export_wake};
