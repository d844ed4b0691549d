/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_session.c - one connection: bytes in, replies out, the end.
 *
 * Called by the io loop and by smtp_server_step(), role worker. Nothing is
 * received while input waits (for the spool, a commit, or the client to read
 * its replies): that is the back-pressure, and why recv is no multishot one,
 * which takes from the socket what nobody has room for. Replies of one run go
 * out in one send.
 * The end of a session that we end: the last reply, a shutdown of our half,
 * then what the client still sends is read and dropped, or its reset would
 * take our last reply away from it.
 * Bound: SMTP_IN_BYTES of input, two buffers of replies; SMTP_LINGER_NS and
 * SMTP_LINGER_BYTES at the end.
 * Errors: end the session.
 */
#include <errno.h>
#include <string.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

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
	s->content.held = false;
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
	if (s->dead) {
		smtp_session_reap(s);
	} else if (res < 0) {
		smtp_session_end(s);
	} else {
		if (s->state < SMTP_STATE_CLOSING)
			smtp_time_renew(s);
		smtp_session_run(s);
	}
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

static void lingered(struct smtp_session *s, int res)
{
	s->lingered += (uint32_t)res;
	if (s->lingered > SMTP_LINGER_BYTES)
		smtp_session_end(s);
	else
		smtp_session_run(s);
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
	} else if (res <= 0) {
		smtp_session_end(s);
	} else if (s->state == SMTP_STATE_LINGER) {
		lingered(s, res);
	} else {
		s->in_len += (uint32_t)res;
		if (s->state == SMTP_STATE_CONTENT ||
		    s->state == SMTP_STATE_DISCARD)
			smtp_time_earned(s, (uint32_t)res);
		smtp_session_run(s);
	}
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

/* The last reply is sent. */
static void linger(struct smtp_session *s)
{
	if (s->state == SMTP_STATE_CLOSING) {
		if (shutdown(s->fd, SHUT_WR)) {
			smtp_session_end(s); /* nobody is there any more */
			return;
		}
		s->state = SMTP_STATE_LINGER;
		smtp_time_last(s, SMTP_LINGER_NS);
	}
	s->in_at = s->in_len = 0;
	recv_start(s);
}

/* The start of a line that is too long; its end gets one reply. */
static bool line_skip(struct smtp_session *s, size_t bytes)
{
	s->skipping = true;
	s->skipped += (uint32_t)bytes;
	s->in_at += (uint32_t)bytes;
	if (s->skipped <= SMTP_SKIP_BYTES)
		return false;
	smtp_goodbye(s, "500 5.5.2 line is too long, closing connection");
	return true;
}

static void line_end(struct smtp_session *s, const char *line, size_t len)
{
	bool crlf = len > 1 && line[len - 2] == '\r';

	smtp_time_renew(s);
	if (!crlf && !smtp_limits(s)->normalise) {
		smtp_goodbye(s, "550 5.5.2 a line must end with CRLF, closing "
				"connection");
		return;
	}
	if (s->skipping) {
		s->skipping = false;
		s->skipped = 0;
		smtp_complain_as(s, 500, 5, 2, "line is too long");
		return;
	}
	smtp_command_line(s, line, len - (crlf ? 2 : 1));
}

/* One line, if it is there whole. */
static bool line_take(struct smtp_session *s)
{
	const char *from = s->in + s->in_at;
	size_t have = s->in_len - s->in_at;
	const char *lf = memchr(from, '\n', have);

	if (!lf) {
		/* The last byte stays: a CR may belong to the line end. */
		if (have > 1 && (s->skipping || have >= SMTP_COMMAND_BYTES_MAX))
			return line_skip(s, have - 1);
		return false;
	}
	s->in_at += (uint32_t)(lf - from) + 1;
	line_end(s, from, (size_t)(lf - from) + 1);
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
	case SMTP_STATE_LINGER:
		return false;
	default:
		return s->in_at < s->in_len && line_take(s);
	}
}

static bool wants_input(const struct smtp_session *s)
{
	return s->state != SMTP_STATE_OPEN && s->state != SMTP_STATE_COMMIT &&
	       !s->content.held;
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
	while (smtp_out_room(s) && input_step(s))
		;
	if (s->server->stopping && between_messages(s) && smtp_out_room(s))
		smtp_goodbye(s, "421 4.3.2 shutting down");
	send_start(s);
	if (s->dead)
		return;
	if (s->state >= SMTP_STATE_CLOSING) {
		if (!s->out.sending)
			linger(s);
		return;
	}
	if (wants_input(s) && smtp_out_room(s))
		recv_start(s);
}

static void session_init(struct smtp_session *s, int fd, const struct addr *a,
			 struct smtp_listener *l)
{
	s->state = SMTP_STATE_START;
	s->esmtp = s->receiving = s->committing = s->dead = false;
	s->skipping = false;
	s->errors = s->junk = s->messages = s->rcpts_over = 0;
	s->skipped = s->lingered = 0;
	s->listener = l;
	s->fd = fd;
	s->peer = s->client = *a;
	s->recv = (struct io_op){.done = received, .user = s};
	s->send = (struct io_op){.done = sent, .user = s};
	s->message = NULL;
	s->in_at = s->in_len = 0;
	s->helo[0] = '\0';
	s->out.used[0] = s->out.used[1] = 0;
	s->out.filling = 0;
	s->out.sending = false;
	smtp_attributes_clear(&s->xclient);
	smtp_rights_set(s);
	smtp_time_start(s);
}

/* The client talks before it was greeted: a spammer's program, or a web
 * client made to talk to us. */
static bool talks_early(const struct smtp_session *s)
{
	char byte;

	return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void smtp_session_start(struct smtp_session *s, int fd, const struct addr *peer,
			struct smtp_listener *l, const char *refusal)
{
	session_init(s, fd, peer, l);
	(void)io_file_register(s->server->io, fd, IO_FILE_WAITS);
	smtp_message_reset(s);
	s->refused = refusal != NULL;
	if (refusal)
		smtp_goodbye(s, refusal);
	else if (talks_early(s))
		smtp_goodbye(s, "554 5.5.0 SMTP protocol synchronization: wait "
				"for the greeting");
	else
		smtp_reply(s, "220 %s ESMTP Sluice", s->server->host);
	smtp_session_run(s);
}
