/* SPDX-License-Identifier: BSD-2-Clause
 *
 * connection.c - one client's socket: bytes in, replies out, its end.
 *
 * Called by the loop. Thread: the loop's. Bound: 8 MiB of replies that the
 * client does not read, then it is dropped.
 * A connection is freed when its receive and its send have both ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sink/sink_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

#define CONNECTION_MAGIC 0x51c0441eu
/* After a last reply: how long the client may take to close. */
#define LINGER_NS (2 * NS_PER_S)

static void connection_free(struct sink_connection *c)
{
	struct sink *s = c->sink;

	if (!c->recv_done || c->sending || (c->closing && !c->dead))
		return;
	io_timer_cancel(s->io, &c->timer);
	close(c->fd);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->connections = c->next;
	if (c->next)
		c->next->prev = c->prev;
	content_fini(&c->content);
	buffer_fini(&c->out);
	buffer_fini(&c->flying);
	free(c->rcpts);
	c->magic = 0;
	free(c);
	sink_accept_resume(s);
}

/* At once, unsent replies are lost. Freed when the kernel has let go of it. */
void sink_connection_close(struct sink_connection *c)
{
	if (c->dead)
		return;
	c->dead = true;
	c->state = SINK_DEAF;
	io_timer_cancel(c->sink->io, &c->timer);
	shutdown(c->fd, SHUT_RDWR);
	if (!c->recv_done)
		io_cancel(c->sink->io, &c->recv);
}

void sink_connection_reset(struct sink_connection *c)
{
	const struct linger at_once = {.l_onoff = 1};

	if (c->dead)
		return;
	c->dead = true;
	c->state = SINK_DEAF;
	io_timer_cancel(c->sink->io, &c->timer);
	/* The reset goes out when the descriptor is closed. */
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (!c->recv_done)
		io_cancel(c->sink->io, &c->recv);
}

static void last_words(struct sink_connection *c)
{
	c->closing = true;
	c->state = SINK_DEAF;
}

static void received(struct io_op *op, int res, uint32_t flags,
		     const void *data)
{
	struct sink_connection *c = op->user;

	MAGIC_CHECK(c, CONNECTION_MAGIC);
	if (res > 0 && !c->dead) {
		sink_receive(c, data, (size_t)res);
		sink_flush(c);
	}
	if (flags & IO_MORE)
		return;
	c->recv_done = true;
	if (c->state == SINK_CONTENT)
		c->sink->errors.cut_in_content++;
	/* Exim says QUIT and half-closes: it still waits for the replies. */
	if (res == 0 && !c->dead && (c->sending || c->out.len))
		last_words(c);
	else
		sink_connection_close(c);
	connection_free(c);
}

static void piece_send(struct sink_connection *c)
{
	size_t len = c->flying.len - c->flying_from;
	int err;

	if ((c->policy->byte_by_byte || c->trickle_ns) && len > 1)
		len = 1;
	c->sending = true;
	err = io_send(c->sink->io, &c->send, c->fd,
		      c->flying.data + c->flying_from, len);
	c->flying_from += len;
	if (err) {
		c->sending = false;
		sink_connection_close(c);
	}
}

static void out_send(struct sink_connection *c)
{
	struct buffer empty = c->flying;

	if (c->sending || c->dead || c->out.len == 0 ||
	    c->flying_from < c->flying.len)
		return;
	empty.len = 0;
	c->flying = c->out;
	c->flying_from = 0;
	c->out = empty;
	c->must_wait = false;
	piece_send(c);
}

static void piece_next(struct sink_connection *c)
{
	if (c->trickle_ns)
		io_timer_set(c->sink->io, &c->timer,
			     io_now_ns(c->sink->io) + c->trickle_ns);
	else
		piece_send(c);
}

static void piece_last(struct sink_connection *c)
{
	c->trickle_ns = 0;
	sink_flush(c);
}

static void sent(struct io_op *op, int res, uint32_t flags, const void *data)
{
	struct sink_connection *c = op->user;

	MAGIC_CHECK(c, CONNECTION_MAGIC);
	c->sending = false;
	if (res < 0)
		sink_connection_close(c);
	else if (c->flying_from < c->flying.len && !c->dead)
		piece_next(c);
	else
		piece_last(c);
	connection_free(c);
}

static void timer_fired(struct io_timer *t, uint64_t now_ns)
{
	struct sink_connection *c = t->user;

	MAGIC_CHECK(c, CONNECTION_MAGIC);
	if (c->trickle_ns && c->flying_from < c->flying.len)
		piece_send(c);
	else if (c->closing && c->out.len == 0)
		sink_connection_close(c);
	else
		out_send(c);
	connection_free(c);
}

/* Half a close: the client still gets the last reply, even if it has sent
 * more than we read; what comes is thrown away. */
static void close_gently(struct sink_connection *c)
{
	if (c->half_closed)
		return;
	c->half_closed = true;
	if (c->recv_done) {
		sink_connection_close(c);
		return;
	}
	shutdown(c->fd, SHUT_WR);
	c->state = SINK_DEAF;
	io_timer_set(c->sink->io, &c->timer,
		     io_now_ns(c->sink->io) + LINGER_NS);
}

void sink_flush(struct sink_connection *c)
{
	if (c->dead || c->sending || c->flying_from < c->flying.len)
		return;
	if (c->close_next && c->out.len == 0)
		c->closing = true;
	if (c->out.len > SINK_OUT_BYTES_MAX) {
		sink_connection_close(c);
	} else if (c->out.len == 0) {
		if (c->closing)
			close_gently(c);
	} else if (c->policy->slow_ns == 0) {
		out_send(c);
	} else if (!wheel_entry_pending(&c->timer.entry)) {
		io_timer_set(c->sink->io, &c->timer,
			     io_now_ns(c->sink->io) + c->policy->slow_ns);
	}
}

void sink_connection_open(struct sink_listener *l, int fd)
{
	struct sink_peer *peer = sink_peer_of(l, fd);
	struct sink_connection *c;
	struct sink *s = l->sink;

	if (!peer) {
		close(fd);
		return;
	}
	c = bench_calloc(1, sizeof(*c));
	c->magic = CONNECTION_MAGIC;
	c->sink = s;
	c->peer = peer;
	c->policy = &l->policy;
	c->fd = fd;
	c->state = SINK_GREETED;
	content_init(&c->content);
	io_timer_init(&c->timer, timer_fired, c);
	c->recv.done = received;
	c->send.done = sent;
	c->recv.user = c->send.user = c;
	c->next = s->connections;
	if (c->next)
		c->next->prev = c;
	s->connections = c;
	s->counts.connections++;
	l->counts.connections++;
	peer->counts.connections++;
	if (io_recv_multi(s->io, &c->recv, fd) != 0) {
		c->recv_done = true;
		c->dead = true;
		connection_free(c);
		return;
	}
	sink_greet(c);
	sink_flush(c);
}
