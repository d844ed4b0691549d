/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_server.c - listeners and the pool of sessions.
 *
 * Called by sluiced; role worker.
 * Bound: SMTP_LISTENS_MAX listeners, sessions_max sessions. A session's memory
 * is made when it is first needed and kept for the next one.
 * Errors: at start, with a sentence; later per session, as replies.
 */
#include "intake/smtp_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"

#define SESSIONS_DEFAULT 1000u
#define RCPTS_DEFAULT    1000u
#define ERRORS_DEFAULT   20u
#define TIMEOUT_DEFAULT  (300 * NS_PER_S)
#define STUCK_NS         (2 * NS_PER_S)
#define ACCEPT_AGAIN_NS  (100 * NS_PER_MS)
#define BACKLOG          1024

static const char too_many[] =
	"421 4.3.2 too many connections, come back later\r\n";

static void options_fill(struct smtp_server *s,
			 const struct smtp_server_options *o)
{
	s->opt = *o;
	if (!s->opt.sessions_max)
		s->opt.sessions_max = SESSIONS_DEFAULT;
	if (!s->opt.rcpts_max)
		s->opt.rcpts_max = RCPTS_DEFAULT;
	if (s->opt.rcpts_max > ENVELOPE_RCPTS_MAX)
		s->opt.rcpts_max = ENVELOPE_RCPTS_MAX;
	if (!s->opt.errors_max)
		s->opt.errors_max = ERRORS_DEFAULT;
	if (!s->opt.timeout_ns)
		s->opt.timeout_ns = TIMEOUT_DEFAULT;
	snprintf(s->host, sizeof(s->host), "%s", o->host);
	s->opt.host = s->host;
}

int smtp_server_create(struct smtp_server **out, struct io *io,
		       struct spool *sp, const struct smtp_server_options *o,
		       const struct smtp_server_ops *ops, void *user)
{
	struct smtp_server *s = calloc(1, sizeof(*s));

	sluice_assert(io && sp && o && o->host && ops->stored);
	if (!s)
		return -ENOMEM;
	s->magic = SMTP_SERVER_MAGIC;
	s->io = io;
	s->sp = sp;
	s->ops = *ops;
	s->user = user;
	options_fill(s, o);
	s->sessions =
		calloc(s->opt.sessions_max, sizeof(struct smtp_session *));
	if (!s->sessions) {
		free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void smtp_server_destroy(struct smtp_server **sp)
{
	struct smtp_server *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	MAGIC_CHECK(s, SMTP_SERVER_MAGIC);
	for (uint32_t i = 0; i < s->session_count; i++) {
		envelope_build_fini(&s->sessions[i]->build);
		free(s->sessions[i]);
	}
	for (uint32_t i = 0; i < s->listener_count; i++)
		if (s->listeners[i].fd >= 0)
			close(s->listeners[i].fd);
	free(s->sessions);
	s->magic = 0;
	free(s);
}

static struct smtp_session *session_make(struct smtp_server *s)
{
	struct smtp_session *n;

	if (s->session_count == s->opt.sessions_max)
		return NULL;
	n = malloc(sizeof(*n));
	if (!n || envelope_build_init(&n->build, ENVELOPE_TEXT_MAX)) {
		free(n);
		return NULL;
	}
	n->magic = SMTP_SESSION_MAGIC;
	n->server = s;
	s->sessions[s->session_count++] = n;
	return n;
}

static struct smtp_session *session_take(struct smtp_server *s)
{
	struct smtp_session *n = s->free;

	if (!n)
		return session_make(s);
	s->free = n->next_free;
	return n;
}

void smtp_session_release(struct smtp_session *s)
{
	struct smtp_server *server = s->server;

	sluice_assert(server->stats.sessions_now > 0);
	server->stats.sessions_now--;
	s->fd = -1;
	s->next_free = server->free;
	server->free = s;
}

static void client_accept(struct smtp_listener *l, int fd)
{
	struct smtp_server *s = l->server;
	struct addr peer = {0};
	socklen_t len = sizeof(peer);
	struct smtp_session *n = NULL;

	if (!getpeername(fd, &peer.sa, &len) && !s->stopping)
		n = session_take(s);
	if (!n) {
		s->stats.refused_sessions++;
		/* One packet into an empty socket: it fits or is lost. */
		(void)!send(fd, too_many, sizeof(too_many) - 1,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		io_close_fd(s->io, fd);
		return;
	}
	s->stats.sessions++;
	s->stats.sessions_now++;
	smtp_session_start(n, fd, &peer, l->config);
}

static void accepted(struct io_op *op, int res, uint32_t flags,
		     const void *data)
{
	struct smtp_listener *l = op->user;

	(void)data;
	if (!(flags & IO_MORE))
		l->accepting = false;
	if (res >= 0)
		client_accept(l, res);
	else if (res != -ECANCELED)
		log_warn("listen", "accept: %s", err_name(res));
	if (!l->accepting && !l->server->stopping)
		io_timer_set(l->server->io, &l->again,
			     io_now_ns(l->server->io) + ACCEPT_AGAIN_NS);
}

static void accept_again(struct io_timer *t, uint64_t now_ns)
{
	struct smtp_listener *l = t->user;

	if (l->accepting || l->server->stopping)
		return;
	if (io_accept_multi(l->server->io, &l->accept, l->fd))
		io_timer_set(l->server->io, t, now_ns + ACCEPT_AGAIN_NS);
	else
		l->accepting = true;
}

static int socket_listen(const struct addr *a, struct err *e)
{
	char text[ADDR_TEXT_BYTES];
	int one = 1, rc = 0;
	int fd = socket(a->sa.sa_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(e, -errno, "socket: %s", err_name(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->sa.sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one,
				 sizeof(one));
	if (bind(fd, &a->sa, addr_len_bytes(a)) || listen(fd, BACKLOG)) {
		rc = err_set(e, -errno, "cannot listen on %s: %s",
			     addr_format(a, true, text), err_name(errno));
		close(fd);
		return rc;
	}
	return fd;
}

/* Promise: an open relay is refused, not warned of. */
static int allow_check(const struct config_listen *l, struct err *e)
{
	for (uint32_t i = 0; i < l->allow_count; i++)
		if (!l->allow[i].bits)
			return err_set(e, -EINVAL,
				       "listen: \"allow\" names the whole "
				       "Internet: that is an open relay");
	return 0;
}

int smtp_server_listen(struct smtp_server *s, const struct config_listen *l,
		       struct err *e)
{
	struct smtp_listener *n = &s->listeners[s->listener_count];
	int fd, rc;

	MAGIC_CHECK(s, SMTP_SERVER_MAGIC);
	if (s->listener_count == SMTP_LISTENS_MAX)
		return err_set(e, -EINVAL, "more than %u listeners",
			       SMTP_LISTENS_MAX);
	rc = allow_check(l, e);
	if (rc)
		return rc;
	fd = socket_listen(&l->address, e);
	if (fd < 0)
		return fd;
	*n = (struct smtp_listener){.server = s, .config = l, .fd = fd};
	n->accept.done = accepted;
	n->accept.user = n;
	io_timer_init(&n->again, accept_again, n);
	rc = io_accept_multi(s->io, &n->accept, fd);
	if (rc) {
		close(fd);
		return err_set(e, rc, "accept: %s", err_name(rc));
	}
	n->accepting = true;
	s->listener_count++;
	return 0;
}

static bool session_waits(const struct smtp_session *s)
{
	return s->fd >= 0 && !s->dead &&
	       (s->state == SMTP_STATE_OPEN || s->held);
}

/* Sessions that wait for room try again. If for long nobody got any, the
 * half-written messages block each other: one has to give way. */
void smtp_server_step(struct smtp_server *s)
{
	struct smtp_session *waiting = NULL;
	uint64_t now_ns;

	MAGIC_CHECK(s, SMTP_SERVER_MAGIC);
	now_ns = io_now_ns(s->io);
	for (uint32_t i = 0; i < s->session_count; i++) {
		if (!session_waits(s->sessions[i]))
			continue;
		smtp_session_run(s->sessions[i]);
		if (session_waits(s->sessions[i]) && s->sessions[i]->held)
			waiting = s->sessions[i];
	}
	if (!waiting) {
		s->progress_ns = now_ns;
		return;
	}
	if (now_ns < s->progress_ns + STUCK_NS)
		return;
	s->progress_ns = now_ns;
	smtp_content_give_up(waiting);
	smtp_session_run(waiting);
}

void smtp_server_stop(struct smtp_server *s)
{
	MAGIC_CHECK(s, SMTP_SERVER_MAGIC);
	s->stopping = true;
	for (uint32_t i = 0; i < s->listener_count; i++) {
		struct smtp_listener *l = &s->listeners[i];

		io_timer_cancel(s->io, &l->again);
		if (l->accepting)
			(void)io_cancel(s->io, &l->accept);
	}
	for (uint32_t i = 0; i < s->session_count; i++)
		if (s->sessions[i]->fd >= 0)
			smtp_session_run(s->sessions[i]);
}

bool smtp_server_idle(const struct smtp_server *s)
{
	for (uint32_t i = 0; i < s->listener_count; i++)
		if (s->listeners[i].accepting)
			return false;
	return s->stats.sessions_now == 0;
}

uint16_t smtp_server_port(const struct smtp_server *s, uint32_t number)
{
	struct addr a = {0};
	socklen_t len = sizeof(a);

	sluice_assert(number < s->listener_count);
	if (getsockname(s->listeners[number].fd, &a.sa, &len))
		return 0;
	return addr_port(&a);
}

void smtp_server_stats(const struct smtp_server *s,
		       struct smtp_server_stats *out)
{
	*out = s->stats;
}
