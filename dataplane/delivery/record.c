/* SPDX-License-Identifier: BSD-2-Clause
 *
 * record.c - a message is taken: its record is read, decoded and checked.
 *
 * Called by delivery_offer() and the spool's reads. Role: worker. A record
 * that lies in the page cache is read in the offer itself, so that MAIL goes
 * out in the turn in which its token is spent; another one is read first.
 * Bound: HEAD_BYTES + CHUNK_BYTES at once; HUGE_COUNT larger envelopes.
 * Errors: a record that cannot be read or is damaged, an envelope that cannot
 * be said to this receiver: DELIVERY_UNSENDABLE, nothing is sent.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "delivery/delivery_priv.h"

/* What is not content: header, envelope, trailer. */
static uint64_t head_estimate(const struct delivery_message *m)
{
	uint64_t whole = (uint64_t)m->place.record_bytes_div8 * 8;

	return whole > m->content_bytes ? whole - m->content_bytes : 0;
}

static void record_arrived(struct connection *c, int res);

static void read_done(struct spool_read *r, int res)
{
	struct connection *c = r->user;
	struct message *m = &c->message;

	MAGIC_CHECK(c, CONNECTION_MAGIC);
	sluice_assert(m->reading);
	m->reading = false;
	if (c->state == CONNECTION_CLOSING) {
		connection_close(c);
		return;
	}
	if (!m->active) {
		message_release(c);
		session_settle(c);
		return;
	}
	if (m->ready)
		content_arrived(c, res);
	else
		record_arrived(c, res);
}

/* Where the record's beginning goes to, and how much of it is read at once. */
static char *record_room(const struct connection *c, size_t *len)
{
	const struct message *m = &c->message;
	uint64_t whole = (uint64_t)m->place.record_bytes_div8 * 8;
	uint64_t room = m->huge ? HUGE_HEAD_BYTES : HEAD_BYTES + CHUNK_BYTES;

	if (m->huge)
		whole -= m->content_bytes; /* streamed by itself */
	*len = (size_t)(whole < room ? whole : room);
	return m->huge ? m->huge->head : c->record;
}

static int record_read(struct connection *c)
{
	struct message *m = &c->message;
	size_t len;
	char *room = record_room(c, &len);
	int res;

	m->reading = true;
	res = spool_read(c->d->spool, &m->read, &m->place, 0, room, len);
	if (res)
		m->reading = false;
	return res;
}

static struct huge *huge_take(struct delivery *d)
{
	struct huge *h;

	if (link_empty(&d->huge_free))
		return NULL;
	h = LINK_OWNER(d->huge_free.next, struct huge, link);
	link_remove(&h->link);
	return h;
}

static void huge_give(struct delivery *d, struct huge *h)
{
	link_prepend(&d->huge_free, &h->link);
	for (struct link *k = d->path_list.next; k != &d->path_list;
	     k = k->next) {
		struct path *p = LINK_OWNER(k, struct path, all_link);

		if (!p->wants_huge)
			continue;
		p->wants_huge = false;
		path_owe_ready(p, d);
	}
}

/* Gives back what only this message needed, once nothing is being read. */
void message_release(struct connection *c)
{
	struct message *m = &c->message;

	if (!m->huge || m->reading || m->active)
		return;
	huge_give(c->d, m->huge);
	m->huge = NULL;
}

static void slots_fill(struct connection *c, const struct delivery_message *m)
{
	for (uint32_t i = 0; i < m->rcpt_count; i++)
		c->slots[i] =
			(struct slot){.rcpt = m->rcpts[i], .reply = REPLY_NONE};
}

static bool record_send_now(struct connection *c);

static void message_start(struct connection *c,
			  const struct delivery_message *m, struct huge *huge)
{
	c->message = (struct message){.id = m->id,
				      .place = m->place,
				      .content_bytes = m->content_bytes,
				      .flags = m->flags,
				      .batch = m->batch,
				      .slot_count = m->rcpt_count,
				      .read = {.done = read_done, .user = c},
				      .huge = huge};
}

static void message_taken(struct connection *c)
{
	c->message.active = true;
	c->generation++;
	c->d->stats.in_flight++;
	c->path->stats.in_flight++;
}

/* Writes MAIL at once if the record is in memory; else it is read first.
 * -EAGAIN: no room for such an envelope now; -EBUSY: the loop is full. Nothing
 * has happened then. */
int message_begin(struct connection *c, const struct delivery_message *m)
{
	struct delivery *d = c->d;
	struct huge *huge = NULL;
	int res;

	sluice_assert(!c->message.active && !c->message.reading);
	if (head_estimate(m) > HEAD_BYTES) {
		huge = huge_take(d);
		if (!huge) {
			c->path->wants_huge = true;
			return -EAGAIN;
		}
	}
	message_start(c, m, huge);
	slots_fill(c, m);
	if (!huge && record_send_now(c)) {
		message_taken(c);
		connection_pump(c);
		content_read(c);
		return 0;
	}
	message_start(c, m, huge);
	slots_fill(c, m);
	res = record_read(c);
	if (res == -EBUSY || res == -EAGAIN) {
		message_release(c);
		return -EBUSY;
	}
	message_taken(c);
	connection_deadline(c, res ? 0 : d->config->delivery.mail_ns);
	c->message.error = res; /* told by the timer, not in here */
	return 0;
}

static void unsendable(struct connection *c, const char *detail)
{
	result_finish(c, DELIVERY_UNSENDABLE, PHASE_MAIL, NULL, detail);
	c->settle = true;
	session_settle(c);
}

/* 0, or -EBADMSG: not the record we were told of. */
static int record_decode(struct connection *c, size_t have)
{
	struct message *m = &c->message;
	const char *buf = m->huge ? m->huge->head : c->record;
	uint64_t whole = (uint64_t)m->place.record_bytes_div8 * 8;
	uint64_t head = spool_record_head_bytes(buf, have);
	int res;

	if (!head || head > have)
		return -EBADMSG;
	res = spool_record_decode(buf, have, &m->record,
				  m->huge ? m->huge->rcpts : c->rcpts,
				  m->huge ? ENVELOPE_RCPTS_MAX : HEAD_RCPTS);
	if (res)
		return res;
	if (m->record.id != m->id || m->record.content_offset > whole ||
	    m->record.content_bytes > whole - m->record.content_offset)
		return -EBADMSG;
	return content_begin(c, (uint32_t)have);
}

void message_unreadable(struct connection *c, int res)
{
	(void)snprintf(c->detail, sizeof(c->detail),
		       "the record cannot be read: %s", err_name(res));
	unsendable(c, c->detail);
}

static void message_ready(struct connection *c)
{
	struct message *m = &c->message;

	m->ready = true;
	dialogue_begin(&c->dialogue, m->send_count);
	if (m->content.chunked)
		dialogue_chunked(&c->dialogue);
}

/* The record lies in the page cache, and there is nothing about it to be told
 * to the owner: MAIL goes out in the turn of the offer, no callback runs. What
 * is not as it should be goes the long way, by record_arrived(). */
static bool record_send_now(struct connection *c)
{
	size_t len;
	char *room = record_room(c, &len);
	int res = spool_read_now(c->d->spool, &c->message.place, 0, room, len);

	if (res < 0 || record_decode(c, (size_t)res) || envelope_check(c) ||
	    !c->message.send_count)
		return false;
	c->message.hushed = true;
	message_ready(c);
	return true;
}

static void record_arrived(struct connection *c, int res)
{
	struct message *m = &c->message;
	const char *why;

	if (res < 0) {
		message_unreadable(c, res);
		return;
	}
	if (record_decode(c, (size_t)res)) {
		unsendable(c, "the record in the spool is damaged");
		return;
	}
	why = envelope_check(c);
	if (why || !m->send_count) {
		unsendable(c, why);
		return;
	}
	message_ready(c);
	connection_pump(c);
	content_read(c);
}
