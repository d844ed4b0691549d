/* SPDX-License-Identifier: BSD-2-Clause
 *
 * message.c - one message on one connection: its commands and its end.
 *
 * Called by session.c and connection.c. Role: worker. MAIL, all RCPT and DATA
 * go out in one send where PIPELINING is offered, one by one elsewhere.
 * Bound: RCPTS_MAX recipients; COMMAND_BYTES per send.
 * Errors: none of its own; a lost connection ends the message.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "delivery/delivery_priv.h"

static int write_mail(struct connection *c, struct smtp_writer *w)
{
	struct message *m = &c->message;
	const struct envelope *env = &m->record.env;
	struct smtp_mail mail = {
		.sender = env->sender,
		.size_bytes = m->record.content_bytes,
		.eightbit =
			(m->flags & (SPOOL_HAS_8BIT | SPOOL_BODY_8BITMIME)) ||
			env->body == BODY_8BITMIME,
		.smtputf8 = m->utf8,
		.ret = env->ret,
	};

	if (env->envid.len <= COMMAND_TEXT_MAX)
		mail.envid = env->envid;
	return smtp_write_mail(w, &mail, &c->offered);
}

static int write_rcpt(struct connection *c, struct smtp_writer *w)
{
	struct message *m = &c->message;
	uint32_t index = c->slots[m->rcpt_next].rcpt;
	struct envelope_rcpt r = m->record.env.rcpts[index];

	if (r.orcpt.len > COMMAND_TEXT_MAX)
		r.orcpt.len = 0;
	return smtp_write_rcpt(w, &r, &c->offered);
}

static void mail_written(struct connection *c)
{
	struct message *m = &c->message;

	dialogue_sent(&c->dialogue, DIALOGUE_MAIL, 1);
	m->mail_sent = true;
	m->heard = false;
	connection_deadline(c, session_wait_ns(c));
	/* One message alone would not pay for the slot. */
	if (c->messages++ == 1)
		(void)io_file_register(c->d->io, c->fd, IO_FILE_WAITS);
	c->d->stats.messages++;
	c->path->stats.messages++;
}

/* RCPT: all that fit, or one. Returns true when all have been written. */
static bool rcpts_written(struct connection *c, struct smtp_writer *w)
{
	struct message *m = &c->message;
	uint32_t first = m->rcpt_next;
	int res = 0;

	while (!res && m->rcpt_next < m->send_count) {
		if (!c->offered.pipelining && m->rcpt_next > first)
			break;
		res = write_rcpt(c, w);
		if (!res)
			m->rcpt_next++;
	}
	sluice_assert(res == 0 || (res == -ENOSPC && w->len));
	dialogue_sent(&c->dialogue, DIALOGUE_RCPT, m->rcpt_next - first);
	return m->rcpt_next == m->send_count;
}

/* Writes what may be sent now of MAIL, RCPT and DATA. */
static void commands_write(struct connection *c, struct smtp_writer *w)
{
	struct dialogue *g = &c->dialogue;
	bool together = c->offered.pipelining;

	if (!together && g->awaited)
		return;
	if (!c->message.mail_sent) {
		int res = write_mail(c, w);

		sluice_assert(res == 0);
		mail_written(c);
		if (!together)
			return;
	}
	if (!together && g->state == DIALOGUE_DATA) {
		(void)smtp_write_verb(w, "DATA");
		dialogue_sent(g, DIALOGUE_DATA, 1);
		return;
	}
	if (g->data_sent || !rcpts_written(c, w) || !together || g->chunked)
		return;
	if (smtp_write_verb(w, "DATA") == 0)
		dialogue_sent(g, DIALOGUE_DATA, 1);
}

void message_commands(struct connection *c)
{
	struct smtp_writer w = {c->command, COMMAND_BYTES, 0};

	if (!c->message.active || c->dialogue.mail_refused)
		return;
	if (c->dialogue.state > DIALOGUE_DATA)
		return;
	commands_write(c, &w);
	if (w.len)
		connection_send(c, w.data, w.len);
	/* No callback inside delivery_offer(): told when MAIL has left. */
	if (!c->message.hushed)
		message_attempt(c);
	c->message.hushed = false;
}

/* With MAIL goes word of the attempt, for all recipients that are named in
 * this transaction: it becomes durable while the receiver answers. Those that
 * are refused get their outcome all the same. */
void message_attempt(struct connection *c)
{
	struct message *m = &c->message;
	struct delivery *d = c->d;

	if (!m->active || !m->mail_sent || m->attempted)
		return;

	for (uint32_t i = 0; i < m->send_count; i++)
		d->rcpts[i] = c->slots[i].rcpt;
	m->attempted = true;
	d->ops->attempt(d->user, m->id, d->rcpts, m->send_count,
			c->path->source, connection_token(c));
}

/* 354: content may go; its final dot only when the attempt is durable. */
void message_ask(struct connection *c)
{
	sluice_assert(c->message.attempted);
	c->message.asked = true;
}

/* Nothing was said of this message: MAIL never went out, or it went into a
 * connection that had been idle and was already gone at the other end. */
static bool was_not_tried(const struct connection *c, bool closed)
{
	const struct message *m = &c->message;

	return !m->mail_sent || (closed && c->messages > 1 && !m->heard);
}

void message_lost(struct connection *c, uint8_t phase, bool closed)
{
	struct message *m = &c->message;
	/* Our own disk could not record the attempt: nothing was tried. */
	bool unrecorded = m->error && m->attempted && !m->go;

	if (m->error)
		(void)snprintf(c->detail, sizeof(c->detail),
			       unrecorded
				       ? "the attempt could not be recorded: %s"
				       : "the content cannot be read: %s",
			       err_name(m->error));
	if (m->dot_sent)
		result_finish(c, DELIVERY_IN_DOUBT, PHASE_EOM, NULL, c->detail);
	else if (unrecorded || was_not_tried(c, closed))
		result_finish(c, DELIVERY_NOT_TRIED, PHASE_MAIL, NULL,
			      c->detail);
	else
		result_finish(c, DELIVERY_LOST, phase, NULL, c->detail);
}
