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
#include <netinet/tcp.h>
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
#define SESSION_DEFAULT  (14400 * NS_PER_S)
#define STUCK_NS         (2 * NS_PER_S)
#define ACCEPT_AGAIN_NS  (100 * NS_PER_MS)
#define BACKLOG          1024

static const char stopping[] = "421 4.3.2 shutting down";
static const char too_many[] =
	"421 4.3.2 too many connections, come back later";
static const char too_many_of_client[] =
	"421 4.7.0 too many connections from your address";

static void options_fill(struct smtp_server *s,
			 const struct smtp_server_options *o)
{
	s->opt = *o;
	if (!s->opt.sessions_max)
		s->opt.sessions_max = SESSIONS_DEFAULT;
	if (!s->opt.rcpts_max)
		s->opt.rcpts_max = RCPTS_DEFAULT;
	if (!s->opt.errors_max)
		s->opt.errors_max = ERRORS_DEFAULT;
	if (!s->opt.timeout_ns)
		s->opt.timeout_ns = TIMEOUT_DEFAULT;
	if (!s->opt.session_ns)
		s->opt.session_ns = SESSION_DEFAULT;
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
	s->next_trace = clock_realtime_ns();
	s->session_room = s->opt.sessions_max + SMTP_REFUSALS_MAX;
	s->sessions = calloc(s->session_room, sizeof(struct smtp_session *));
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

	if (s->session_count == s->session_room)
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

	if (s->refused) {
		sluice_assert(server->refusing > 0);
		server->refusing--;
	} else {
		sluice_assert(server->stats.sessions_now > 0);
		server->stats.sessions_now--;
		s->listener->sessions_now--;
	}
	s->fd = -1;
	s->next_free = server->free;
	server->free = s;
}

static bool client_has_too_many(const struct smtp_listener *l,
				const struct addr *a)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < l->server->session_count; i++) {
		const struct smtp_session *n = l->server->sessions[i];

		count += n->fd >= 0 && !n->refused && n->listener == l &&
			 addr_equal_host(&n->peer, a);
	}
	return count >= l->limits.sessions_per_client;
}

/* Why this client gets no session; NULL = it does. */
static const char *client_refusal(const struct smtp_listener *l,
				  const struct addr *a)
{
	const struct smtp_server *s = l->server;

	if (s->stopping)
		return stopping;
	if (s->stats.sessions_now >= s->opt.sessions_max ||
	    l->sessions_now >= l->limits.sessions)
		return too_many;
	if (l->limits.sessions_per_client < l->limits.sessions &&
	    client_has_too_many(l, a))
		return too_many_of_client;
	return NULL;
}

/* More than we have room to be polite to. */
static void client_drop(struct smtp_server *s, int fd)
{
	/* One packet into an empty socket: it fits or is lost. */
	(void)!send(fd, too_many, sizeof(too_many) - 1,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)!send(fd, "\r\n", 2, MSG_DONTWAIT | MSG_NOSIGNAL);
	io_close_fd(s->io, fd);
}

static void client_accept(struct smtp_listener *l, int fd)
{
	struct smtp_server *s = l->server;
	struct addr peer = {0};
	socklen_t len = sizeof(peer);
	struct smtp_session *n;
	const char *refusal;

	if (getpeername(fd, &peer.sa, &len)) { /* gone already */
		io_close_fd(s->io, fd);
		return;
	}
	refusal = client_refusal(l, &peer);
	s->stats.refused_sessions += refusal != NULL;
	n = !refusal || s->refusing < SMTP_REFUSALS_MAX ? session_take(s)
							: NULL;
	if (!n) {
		client_drop(s, fd);
		return;
	}
	if (refusal) {
		s->refusing++;
	} else {
		s->stats.sessions++;
		s->stats.sessions_now++;
		l->sessions_now++;
	}
	smtp_session_start(n, fd, &peer, l, refusal);
}

/* Its place can be taken again. */
static void listener_end(struct smtp_listener *l)
{
	io_close_fd(l->server->io, l->fd);
	l->fd = -1;
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
	if (l->closing && !l->accepting)
		listener_end(l);
	else if (!l->accepting && !l->closing && !l->server->stopping)
		io_timer_set(l->server->io, &l->again,
			     io_now_ns(l->server->io) + ACCEPT_AGAIN_NS);
}

static void accept_again(struct io_timer *t, uint64_t now_ns)
{
	struct smtp_listener *l = t->user;

	if (l->accepting || l->closing || l->server->stopping)
		return;
	if (io_accept_multi(l->server->io, &l->accept, l->fd))
		io_timer_set(l->server->io, t, now_ns + ACCEPT_AGAIN_NS);
	else
		l->accepting = true;
}

int smtp_server_socket(const struct addr *a, struct err *e)
{
	char text[ADDR_TEXT_BYTES];
	int one = 1, rc = 0;
	int fd = socket(a->sa.sa_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(e, -errno, "socket: %s", err_name(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Replies are small and waited for; accepted sockets inherit it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
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
static int list_check(const struct addr_prefix *list, uint32_t count,
		      const char *name, struct err *e)
{
	for (uint32_t i = 0; i < count; i++)
		if (!list[i].bits)
			return err_set(e, -EINVAL,
				       "listen: \"%s\" names the whole "
				       "Internet: that is an open relay",
				       name);
	return 0;
}

static uint32_t number_or(uint32_t n, uint32_t otherwise)
{
	return n ? n : otherwise;
}

static void limits_fill(struct smtp_limits *l, const struct smtp_server *s,
			const struct config_listen *c)
{
	const struct smtp_server_options *o = &s->opt;

	*l = (struct smtp_limits){
		.sessions = number_or(c->sessions_max, o->sessions_max),
		.messages = c->messages_max,
		.rcpts = number_or(c->rcpts_max, o->rcpts_max),
		.errors = number_or(c->errors_max, o->errors_max),
		.size_bytes = c->size_max_bytes,
		.timeout_ns = c->timeout_ns ? c->timeout_ns : o->timeout_ns,
		.session_ns = c->session_ns ? c->session_ns : o->session_ns,
		.normalise = c->bare_newline == BARE_NORMALISE,
	};
	if (l->rcpts > ENVELOPE_RCPTS_MAX)
		l->rcpts = ENVELOPE_RCPTS_MAX;
	l->sessions_per_client =
		number_or(c->sessions_per_client, (l->sessions + 1) / 2);
}

/* A session that came in by it looks its limits up there. */
static bool listener_is_used(const struct smtp_listener *l)
{
	const struct smtp_server *s = l->server;

	for (uint32_t i = 0; i < s->session_count; i++)
		if (s->sessions[i]->fd >= 0 && s->sessions[i]->listener == l)
			return true;
	return l->fd >= 0 || l->accepting;
}

static struct smtp_listener *listener_free(struct smtp_server *s)
{
	for (uint32_t i = 0; i < s->listener_count; i++)
		if (!listener_is_used(&s->listeners[i]))
			return &s->listeners[i];
	if (s->listener_count == SMTP_LISTENS_MAX)
		return NULL;
	return &s->listeners[s->listener_count++];
}

int smtp_server_listen_on(struct smtp_server *s, const struct config_listen *l,
			  int fd, struct err *e)
{
	struct smtp_listener *n;
	int rc = list_check(l->allow, l->allow_count, "allow", e);

	MAGIC_CHECK(s, SMTP_SERVER_MAGIC);
	if (!rc)
		rc = list_check(l->trust, l->trust_count, "trust", e);
	if (rc) {
		close(fd);
		return rc;
	}
	n = listener_free(s);
	if (!n) {
		close(fd);
		return err_set(e, -EINVAL, "more than %u listeners",
			       SMTP_LISTENS_MAX);
	}
	*n = (struct smtp_listener){.server = s, .config = l, .fd = fd};
	limits_fill(&n->limits, s, l);
	n->accept.done = accepted;
	n->accept.user = n;
	io_timer_init(&n->again, accept_again, n);
	rc = io_accept_multi(s->io, &n->accept, fd);
	if (rc) {
		close(fd);
		n->fd = -1;
		return err_set(e, rc, "accept: %s", err_name(rc));
	}
	n->accepting = true;
	return 0;
}

int smtp_server_listen(struct smtp_server *s, const struct config_listen *l,
		       struct err *e)
{
	int fd = smtp_server_socket(&l->address, e);

	return fd < 0 ? fd : smtp_server_listen_on(s, l, fd, e);
}

void smtp_server_changed(struct smtp_server *s, const struct config_listen *l)
{
	MAGIC_CHECK(s, SMTP_SERVER_MAGIC);
	for (uint32_t i = 0; i < s->listener_count; i++)
		if (s->listeners[i].config == l)
			limits_fill(&s->listeners[i].limits, s, l);
}

int smtp_server_room(struct smtp_server *s, uint32_t sessions_max)
{
	size_t room = (size_t)sessions_max + SMTP_REFUSALS_MAX;
	struct smtp_session **sessions;

	MAGIC_CHECK(s, SMTP_SERVER_MAGIC);
	if (room <= s->session_room)
		return 0;
	sessions = realloc(s->sessions, room * sizeof(*sessions));
	if (!sessions)
		return -ENOMEM;
	s->sessions = sessions;
	s->session_room = (uint32_t)room;
	return 0;
}

void smtp_server_sessions_set(struct smtp_server *s, uint32_t sessions_max)
{
	MAGIC_CHECK(s, SMTP_SERVER_MAGIC);
	sluice_assert(sessions_max + SMTP_REFUSALS_MAX <= s->session_room);
	s->opt.sessions_max = sessions_max;
}

void smtp_server_unlisten(struct smtp_server *s, const struct config_listen *l)
{
	MAGIC_CHECK(s, SMTP_SERVER_MAGIC);
	for (uint32_t i = 0; i < s->listener_count; i++) {
		struct smtp_listener *n = &s->listeners[i];

		if (n->config != l || n->fd < 0 || n->closing)
			continue;
		n->closing = true;
		io_timer_cancel(s->io, &n->again);
		if (n->accepting)
			(void)io_cancel(s->io, &n->accept);
		else
			listener_end(n);
	}
}

static bool session_waits(const struct smtp_session *s)
{
	return s->fd >= 0 && !s->dead &&
	       (s->state == SMTP_STATE_OPEN || s->content.held);
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
		if (session_waits(s->sessions[i]) &&
		    s->sessions[i]->content.held)
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
	for (uint32_t i = 0; i < s->session_count; i++) {
		struct smtp_session *n = s->sessions[i];

		if (n->fd < 0 || n->dead)
			continue;
		smtp_time_limit(n, SMTP_STOP_NS);
		smtp_session_run(n);
	}
}

bool smtp_server_idle(const struct smtp_server *s)
{
	for (uint32_t i = 0; i < s->listener_count; i++)
		if (s->listeners[i].accepting)
			return false;
	return s->stats.sessions_now == 0 && s->refusing == 0;
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
