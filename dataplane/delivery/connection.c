/* SPDX-License-Identifier: BSD-2-Clause
 *
 * connection.c - one TCP session: receiving, sending, time, and the end.
 *
 * Called by the loop. Role: worker. One receive operation for the life of the
 * session, one send at a time, one timer that is moved lazily. A connection is
 * torn down in two steps: shutdown at once, reuse when the last operation that
 * knows its memory has ended.
 * Bound: one segment per call. Errors: all end in connection_lost().
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "delivery/delivery_priv.h"

#define BROKEN_WAIT_NS NS_PER_S /* for a reply after a failed send */
#define EARLY_NS       NS_PER_S /* closed sooner after EHLO: a refusal */

/* The wheel is touched only when the deadline moves forward past it. */
void connection_deadline(struct connection *c, uint64_t after_ns)
{
	struct io *io = c->d->io;

	c->deadline_ns = io_now_ns(io) + after_ns;
	if (!wheel_entry_pending(&c->timer.entry) ||
	    c->timer.entry.due_ns > c->deadline_ns)
		io_timer_set(io, &c->timer, c->deadline_ns);
}

static void timed_out(struct connection *c)
{
	switch (c->state) {
	case CONNECTION_CONNECTING:
		if (!c->broken) {
			char text[ADDR_TEXT_BYTES];

			(void)snprintf(c->detail, sizeof(c->detail),
				       "connect to %s: timed out",
				       addr_format(&c->to, true, text));
		}
		connect_failed(c, PHASE_CONNECT, NULL);
		break;
	case CONNECTION_OPEN:
		if (c->idle)
			connection_quit(c);
		else if (c->message.active && c->message.error &&
			 !c->message.mail_sent)
			message_unreadable(c, c->message.error);
		else
			connection_lost(c, c->broken ? -EPIPE : -ETIMEDOUT);
		break;
	default:
		break;
	}
}

static void timer_fired(struct io_timer *t, uint64_t now_ns)
{
	struct connection *c = t->user;

	MAGIC_CHECK(c, CONNECTION_MAGIC);
	if (now_ns < c->deadline_ns)
		io_timer_set(c->d->io, &c->timer, c->deadline_ns);
	else
		timed_out(c);
}

static void segment(struct connection *c, const char *data, size_t len)
{
	size_t used;

	c->handling = true;
	while (len && c->state == CONNECTION_OPEN) {
		int res = smtp_reply_parse(&c->parser, data, len, &used);

		data += used;
		len -= used;
		if (res > 0)
			session_reply(c);
		else if (res < 0)
			session_garbage(c);
	}
	c->handling = false;
	if (c->state != CONNECTION_OPEN)
		return;
	session_settle(c);
	connection_pump(c);
}

static void received(struct io_op *op, int res, uint32_t flags,
		     const void *data)
{
	struct connection *c = op->user;

	MAGIC_CHECK(c, CONNECTION_MAGIC);
	if (c->state == CONNECTION_OPEN) {
		if (res > 0)
			segment(c, data, (size_t)res);
		else
			connection_lost(c, res);
	} else if (!(flags & IO_MORE) && c->state == CONNECTION_CLOSING) {
		connection_close(c);
	}
}

void connection_begin(struct connection *c)
{
	struct delivery *d = c->d;
	int res;

	c->state = CONNECTION_OPEN;
	c->send_busy = false;
	c->settle = false;
	c->kept = false;
	c->reset = false;
	c->handling = false;
	c->idle_since_ns = 0;
	dialogue_init(&c->dialogue);
	smtp_reply_parser_init(&c->parser);
	memset(&c->offered, 0, sizeof(c->offered));
	d->stats.connections_opened++;
	c->path->stats.connections_opened++;
	connection_deadline(c, d->config->delivery.greeting_ns);
	c->recv.done = received;
	c->recv.user = c;
	res = io_recv_multi(d->io, &c->recv, c->fd);
	if (res)
		connection_lost(c, res);
}

static void sent(struct io_op *op, int res, uint32_t flags, const void *data)
{
	struct connection *c = op->user;

	MAGIC_CHECK(c, CONNECTION_MAGIC);
	c->send_busy = false;
	if (c->state == CONNECTION_CLOSING) {
		connection_close(c);
		return;
	}
	if (res < 0) {
		/* What the receiver said before it closed may still be on its
		 * way up to us: the receive operation ends this. */
		c->broken = true;
		connection_deadline(c, BROKEN_WAIT_NS);
		return;
	}
	c->d->stats.bytes_sent += (uint64_t)res;
	c->path->stats.bytes_sent += (uint64_t)res;
	if (c->message.content.sending)
		content_sent(c);
	connection_pump(c);
}

/* Called with nothing on the wire. A full ring breaks the connection, later:
 * we may be inside delivery_offer(). */
static void send_started(struct connection *c, int res)
{
	c->send_busy = res == 0;
	if (!res)
		return;
	c->broken = true;
	connection_deadline(c, 0);
}

void connection_send(struct connection *c, const char *data, uint32_t len)
{
	sluice_assert(c->state == CONNECTION_OPEN && !c->send_busy);
	c->send.done = sent;
	c->send.user = c;
	send_started(c, io_send(c->d->io, &c->send, c->fd, data, len));
}

void connection_sendv(struct connection *c, uint32_t count)
{
	sluice_assert(c->state == CONNECTION_OPEN && !c->send_busy);
	c->send.done = sent;
	c->send.user = c;
	send_started(c, io_sendv(c->d->io, &c->send, c->fd, c->iov, count));
}

/* Sends what is due. While replies are being handled it waits: a reply that is
 * already here cannot answer what we would send now. */
void connection_pump(struct connection *c)
{
	if (c->state == CONNECTION_OPEN && !c->send_busy && !c->handling &&
	    !c->broken)
		session_pump(c);
}

void connection_idle(struct connection *c)
{
	struct delivery *d = c->d;

	sluice_assert(!c->idle && c->state == CONNECTION_OPEN);
	c->idle = true;
	c->idle_since_ns = io_now_ns(d->io);
	link_prepend(&c->lane->idle, &c->lane_link);
	link_append(&c->path->idle, &c->path_link);
	link_append(&d->idle, &c->all_link);
	connection_deadline(c, d->config->delivery.idle_ns);
}

void connection_unidle(struct connection *c)
{
	if (!c->idle)
		return;
	c->idle = false;
	link_remove(&c->lane_link);
	link_remove(&c->path_link);
	link_remove(&c->all_link);
}

void connection_quit(struct connection *c)
{
	if (c->state != CONNECTION_OPEN || c->todo == TODO_QUIT)
		return;
	connection_unidle(c);
	c->todo = TODO_QUIT;
	connection_deadline(c, c->d->config->delivery.quit_ns);
	connection_pump(c);
}

static void describe_loss(struct connection *c, int res)
{
	const char *doing = session_doing(c);

	if (res == 0)
		(void)snprintf(c->detail, sizeof(c->detail),
			       "the receiver closed the connection %s", doing);
	else if (res == -ETIMEDOUT)
		(void)snprintf(c->detail, sizeof(c->detail), "timed out %s",
			       doing);
	else
		(void)snprintf(c->detail, sizeof(c->detail),
			       "connection lost %s: %s", doing, err_name(res));
}

/* No message has been sent yet, and EHLO was answered a moment ago. */
bool connection_is_early(const struct connection *c)
{
	return !c->messages &&
	       (!c->idle_since_ns ||
		io_now_ns(c->d->io) - c->idle_since_ns < EARLY_NS);
}

/* It refused EHLO and did not wait for HELO: those words are the reason, unless
 * they only say that it does not know EHLO (50x). */
static const struct smtp_reply *last_words(const struct connection *c)
{
	if (c->dialogue.state != DIALOGUE_HELO ||
	    !smtp_reply_is_whole(&c->parser) || c->parser.reply.code < 510)
		return NULL;
	return &c->parser.reply;
}

/* A receiver that greets, takes EHLO and hangs up has refused us. */
void connection_lost(struct connection *c, int res)
{
	bool early =
		!c->served || (res != -ETIMEDOUT && connection_is_early(c));

	if (c->message.active || early)
		describe_loss(c, res);
	if (c->message.active)
		message_lost(c, dialogue_phase(&c->dialogue),
			     res != -ETIMEDOUT);
	if (early)
		connect_failed(c,
			       c->served ? PHASE_EHLO
					 : dialogue_phase(&c->dialogue),
			       last_words(c));
	else
		connection_close(c);
}

static void count_out(struct connection *c)
{
	if (c->counted_connecting) {
		c->counted_connecting = false;
		c->path->connecting--;
		c->lane->connecting--;
		c->d->stats.connections_connecting--;
	}
	c->counted = false;
	c->path->open--;
	c->lane->open--;
	c->d->stats.connections_open--;
}

static void teardown(struct connection *c)
{
	struct io *io = c->d->io;

	sluice_assert(!c->message.active);
	connection_unidle(c);
	c->state = CONNECTION_CLOSING;
	io_timer_cancel(io, &c->timer);
	if (c->fd >= 0)
		(void)shutdown(c->fd, SHUT_RDWR);
	(void)io_cancel(io, &c->connect);
	(void)io_cancel(io, &c->recv);
	(void)io_cancel(io, &c->send);
}

/* Begins or goes on with the end of `c`. */
void connection_close(struct connection *c)
{
	struct delivery *d = c->d;
	struct path *p = c->path;
	struct lane *l = c->lane;

	if (c->state != CONNECTION_CLOSING)
		teardown(c);
	if (c->connect.pending || c->recv.pending || c->send.pending ||
	    c->message.reading)
		return;
	message_release(c);
	c->message.content.sending = false;
	if (c->fd >= 0)
		(void)io_close_fd(d->io, c->fd);
	c->fd = -1;
	if (c->again) {
		connect_again(c);
		return;
	}
	count_out(c);
	pool_give(c);
	path_serve(d, p);
	delivery_serve(d);
	if (l->wanted && !l->connecting)
		lane_want(l);
	lane_forget_if_unused(l);
}

void connection_init(struct connection *c)
{
	io_timer_init(&c->timer, timer_fired, c);
}
