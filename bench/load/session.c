/* SPDX-License-Identifier: BSD-2-Clause
 *
 * session.c - one connection of the load client: connect, bytes, its end.
 *
 * Called by the loop. Thread: the loop's. Bound: one send in flight.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load/load_priv.h"
#include "sluice/assert.h"

#define SESSION_MAGIC 0x10adc11eu

/* When nothing is in flight any more: closes, and connects again if there
 * are messages left. */
static void session_close(struct load_session *s)
{
	struct load *l = s->load;

	if (s->recv_on || s->sending)
		return;
	close(s->fd);
	s->fd = -1;
	s->open = false;
	l->sessions_open--;
	if (!l->error && !load_is_over(l))
		l->error = load_session_start(s);
}

void load_session_end(struct load_session *s)
{
	shutdown(s->fd, SHUT_RDWR);
}

static void received(struct io_op *op, int res, uint32_t flags,
		     const void *data)
{
	struct load_session *s = op->user;

	MAGIC_CHECK(s, SESSION_MAGIC);
	if (res > 0) {
		s->load->progress_ns = io_now_ns(s->load->io);
		load_receive(s, data, (size_t)res);
		load_session_flush(s);
	}
	if (flags & IO_MORE)
		return;
	s->recv_on = false;
	load_lost(s);
	session_close(s);
}

static void sent(struct io_op *op, int res, uint32_t flags, const void *data)
{
	struct load_session *s = op->user;

	MAGIC_CHECK(s, SESSION_MAGIC);
	s->sending = false;
	if (res < 0)
		load_session_end(s);
	else
		load_session_flush(s);
	if (!s->recv_on)
		session_close(s);
}

void load_session_flush(struct load_session *s)
{
	struct buffer empty = s->flying;

	if (s->sending || s->out.len == 0 || !s->recv_on)
		return;
	empty.len = 0;
	s->flying = s->out;
	s->out = empty;
	if (io_send(s->load->io, &s->send, s->fd, s->flying.data,
		    s->flying.len) != 0)
		load_session_end(s);
	else
		s->sending = true;
}

static void connected(struct io_op *op, int res, uint32_t flags,
		      const void *data)
{
	struct load_session *s = op->user;

	MAGIC_CHECK(s, SESSION_MAGIC);
	if (res == 0)
		res = io_recv_multi(s->load->io, &s->recv, s->fd);
	if (res != 0) {
		s->load->error = res;
		return;
	}
	s->recv_on = true;
	s->load->result.connections++;
}

int load_session_start(struct load_session *s)
{
	const struct addr *to = &s->load->options->target;
	int one = 1, err;

	s->magic = SESSION_MAGIC;
	s->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->connect.done = connected;
	s->recv.done = received;
	s->send.done = sent;
	s->connect.user = s->recv.user = s->send.user = s;
	s->quitting = s->refused = s->idle = false;
	s->now = &s->turns[0];
	s->next = &s->turns[1];
	s->now->busy = s->next->busy = false;
	s->done_here = s->line_len = s->offers = 0;
	s->rcpts_asked = s->rcpts_good = 0;
	s->out.len = 0;
	s->expect[0] = EXPECT_GREETING;
	s->expect_count = 1;
	err = io_connect(s->load->io, &s->connect, s->fd, &to->sa,
			 addr_len_bytes(to));
	if (err) {
		close(s->fd);
		s->fd = -1;
		return err;
	}
	s->open = true;
	s->load->sessions_open++;
	return 0;
}
