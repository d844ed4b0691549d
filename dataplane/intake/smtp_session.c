/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_session.c - one connection: bytes in, replies out, time.
 *
 * Called by the io loop and by smtp_server_step(), role worker. Nothing is
 * received while input waits (for the spool, a commit, or the client to read
 * its replies): that is the back-pressure. Replies of one run go out in one
 * send.
 * Bound: SMTP_IN_BYTES of input, two buffers of replies.
 * Errors: end the session.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

static bool out_room(const struct smtp_session *s)
{
	return s->out.used[s->out.filling] + SMTP_REPLY_MAX <= SMTP_OUT_BYTES;
}

void smtp_reply(struct smtp_session *s, const char *fmt, ...)
{
	char *to = s->out.data[s->out.filling];
	uint32_t used = s->out.used[s->out.filling];
	uint32_t room = SMTP_OUT_BYTES - used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to + used, room, fmt, ap);
	va_end(ap);
	sluice_assert(n >= 0 && (uint32_t)n + 2 <= room);
	used += (uint32_t)n;
	to[used++] = '\r';
	to[used++] = '\n';
	s->out.used[s->out.filling] = used;
}

void smtp_complain(struct smtp_session *s, const struct smtp_complaint *c)
{
	char text[SMTP_REPLY_MAX - 2];

	smtp_complaint_format(c, text, sizeof(text));
	smtp_reply(s, "%s", text);
	if (c->code >= 500 && ++s->errors >= s->server->opt.errors_max &&
	    s->state != SMTP_STATE_CLOSING)
		smtp_goodbye(s, "421 4.7.0 too many errors");
}

void smtp_goodbye(struct smtp_session *s, const char *line)
{
	smtp_reply(s, "%s", line);
	if (s->message)
		spool_message_abort(&s->message);
	s->held = false;
	s->state = SMTP_STATE_CLOSING;
}

/* Frees the session once nothing of it is in flight. */
void smtp_session_reap(struct smtp_session *s)
{
	if (s->dead && !s->receiving && !s->out.sending && !s->committing)
		smtp_session_release(s);
}

void smtp_session_end(struct smtp_session *s)
{
	struct io *io = s->server->io;

	if (s->dead)
		return;
	s->dead = true;
	if (s->message)
		spool_message_abort(&s->message);
	s->held = false;
	io_timer_cancel(io, &s->timer);
	if (s->receiving)
		(void)io_cancel(io, &s->recv);
	if (s->out.sending)
		(void)io_cancel(io, &s->send);
	io_close_fd(io, s->fd);
	smtp_session_reap(s);
}

static void sent(struct io_op *op, int res, uint32_t flags, const void *data)
{
	struct smtp_session *s = op->user;

	(void)flags;
	(void)data;
	s->out.sending = false;
	s->out.used[!s->out.filling] = 0;
	if (s->dead)
		smtp_session_reap(s);
	else if (res < 0)
		smtp_session_end(s);
	else
		smtp_session_run(s);
}

static void send_start(struct smtp_session *s)
{
	struct smtp_out *o = &s->out;
	uint8_t n = o->filling;
	int rc;

	if (o->sending || !o->used[n])
		return;
	rc = io_send(s->server->io, &s->send, s->fd, o->data[n], o->used[n]);
	if (rc) {
		smtp_session_end(s);
		return;
	}
	o->sending = true;
	o->filling = !n;
}

static void received(struct io_op *op, int res, uint32_t flags,
		     const void *data)
{
	struct smtp_session *s = op->user;

	(void)flags;
	(void)data;
	s->receiving = false;
	if (s->dead) {
		smtp_session_reap(s);
		return;
	}
	if (res <= 0) {
		smtp_session_end(s);
		return;
	}
	s->in_len += (uint32_t)res;
	s->heard_ns = io_now_ns(s->server->io);
	smtp_session_run(s);
}

static void recv_start(struct smtp_session *s)
{
	if (s->receiving)
		return;
	if (s->in_at) {
		memmove(s->in, s->in + s->in_at, s->in_len - s->in_at);
		s->in_len -= s->in_at;
		s->in_at = 0;
	}
	/* Lines are bounded, so that there always is room for more. */
	sluice_assert(s->in_len < SMTP_IN_BYTES);
	s->recv_iov.iov_base = s->in + s->in_len;
	s->recv_iov.iov_len = SMTP_IN_BYTES - s->in_len;
	s->recv_msg = (struct msghdr){.msg_iov = &s->recv_iov, .msg_iovlen = 1};
	if (io_recvmsg(s->server->io, &s->recv, s->fd, &s->recv_msg))
		smtp_session_end(s);
	else
		s->receiving = true;
}

/* One line, if it is there whole. */
static bool line_take(struct smtp_session *s)
{
	const char *from = s->in + s->in_at;
	size_t have = s->in_len - s->in_at;
	const char *lf = memchr(from, '\n', have);
	size_t len;

	if (!lf) {
		if (have >= SMTP_COMMAND_BYTES_MAX)
			smtp_goodbye(s, "500 5.5.2 line is too long, "
					"closing connection");
		return false;
	}
	len = (size_t)(lf - from) + 1;
	s->in_at += (uint32_t)len;
	if (len < 2 || from[len - 2] != '\r') {
		smtp_goodbye(s, "500 5.5.2 a line must end with CRLF, "
				"closing connection");
		return false;
	}
	smtp_command_line(s, from, len - 2);
	return true;
}

/* One piece of input; false: nothing more can be done now. */
static bool input_step(struct smtp_session *s)
{
	switch (s->state) {
	case SMTP_STATE_OPEN:
		return smtp_content_open(s);
	case SMTP_STATE_CONTENT:
	case SMTP_STATE_DISCARD:
		return smtp_content_take(s);
	case SMTP_STATE_COMMIT:
	case SMTP_STATE_CLOSING:
		return false;
	default:
		return s->in_at < s->in_len && line_take(s);
	}
}

static bool wants_input(const struct smtp_session *s)
{
	return s->state != SMTP_STATE_OPEN && s->state != SMTP_STATE_COMMIT &&
	       s->state != SMTP_STATE_CLOSING && !s->held;
}

static bool between_messages(const struct smtp_session *s)
{
	return s->state < SMTP_STATE_OPEN;
}

void smtp_session_run(struct smtp_session *s)
{
	MAGIC_CHECK(s, SMTP_SESSION_MAGIC);
	if (s->dead)
		return;
	while (out_room(s) && input_step(s))
		;
	if (s->server->stopping && between_messages(s) && out_room(s))
		smtp_goodbye(s, "421 4.3.2 shutting down");
	send_start(s);
	if (s->dead)
		return;
	if (s->state == SMTP_STATE_CLOSING) {
		if (!s->out.sending)
			smtp_session_end(s);
		return;
	}
	if (wants_input(s) && out_room(s))
		recv_start(s);
}

static void timer_fired(struct io_timer *t, uint64_t now_ns)
{
	struct smtp_session *s = t->user;
	uint64_t due_ns = s->heard_ns + s->server->opt.timeout_ns;

	/* Waiting for us is no silence. */
	if (s->committing || s->state == SMTP_STATE_OPEN || s->held)
		due_ns = now_ns + s->server->opt.timeout_ns;
	if (now_ns < due_ns) {
		io_timer_set(s->server->io, t, due_ns);
		return;
	}
	if (s->out.sending || !out_room(s)) {
		smtp_session_end(s); /* it does not even read */
		return;
	}
	smtp_goodbye(s, "421 4.4.2 timeout");
	io_timer_set(s->server->io, t, now_ns + s->server->opt.timeout_ns);
	smtp_session_run(s);
}

static bool relay_allowed(const struct config_listen *l, const struct addr *a)
{
	for (uint32_t i = 0; i < l->allow_count; i++)
		if (addr_prefix_has(&l->allow[i], a))
			return true;
	return false;
}

static void session_init(struct smtp_session *s, int fd, const struct addr *a,
			 const struct config_listen *l)
{
	s->state = SMTP_STATE_START;
	s->esmtp = s->receiving = s->committing = s->dead = false;
	s->held = false;
	s->may_relay = relay_allowed(l, a);
	s->errors = 0;
	s->listen = l;
	s->fd = fd;
	s->client = *a;
	s->heard_ns = io_now_ns(s->server->io);
	s->recv = (struct io_op){.done = received, .user = s};
	s->send = (struct io_op){.done = sent, .user = s};
	s->message = NULL;
	s->in_at = s->in_len = 0;
	s->helo[0] = '\0';
	s->out.used[0] = s->out.used[1] = 0;
	s->out.filling = 0;
	s->out.sending = false;
	io_timer_init(&s->timer, timer_fired, s);
}

void smtp_session_start(struct smtp_session *s, int fd, const struct addr *peer,
			const struct config_listen *l)
{
	session_init(s, fd, peer, l);
	smtp_message_reset(s);
	io_timer_set(s->server->io, &s->timer,
		     s->heard_ns + s->server->opt.timeout_ns);
	smtp_reply(s, "220 %s ESMTP Sluice", s->server->host);
	smtp_session_run(s);
}
