/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_fake.c - what the server calls of io and spool, in memory.
 */
#include "smtp_fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

struct spool_message {
	struct fake_message m;
	spool_stored_fn *done; /* finished: waits for its commit */
	void *user;
	bool used;
};

char fake_said[1 << 20];
size_t fake_said_len;
struct fake_message fake_stored[FAKE_MESSAGES];
uint32_t fake_stored_count;
uint32_t fake_open_messages;

static struct {
	struct smtp_server *server;
	struct io_op *accepts[SMTP_LISTENS_MAX];
	uint32_t accept_count;
	struct io_op *recv, *send;
	struct msghdr *recv_msg;
	const char *send_data;
	size_t send_len;
	struct io_timer *timer; /* the session's, when set */
	uint64_t timer_ns, now_ns;
	struct spool_message messages[4];
	struct fake_spool spool;
	uint32_t calls, commits;
	uint64_t next_id;
	int pair[2]; /* a connection, so that the server finds a peer */
	bool eof, closed, cancel_recv, cancel_send;
} fk;

/* ---- io */
uint64_t io_now_ns(const struct io *io)
{
	(void)io;
	return fk.now_ns;
}

int io_accept_multi(struct io *io, struct io_op *op, int fd)
{
	(void)io;
	(void)fd;
	fk.accepts[fk.accept_count++] = op;
	return 0;
}

int io_recvmsg(struct io *io, struct io_op *op, int fd, struct msghdr *msg)
{
	(void)io;
	(void)fd;
	sluice_assert(!fk.recv && msg->msg_iov->iov_len > 0);
	fk.recv = op;
	fk.recv_msg = msg;
	return 0;
}

int io_send(struct io *io, struct io_op *op, int fd, const void *buf,
	    size_t len)
{
	(void)io;
	(void)fd;
	sluice_assert(!fk.send && len > 0);
	fk.send = op;
	fk.send_data = buf;
	fk.send_len = len;
	return 0;
}

int io_cancel(struct io *io, struct io_op *op)
{
	(void)io;
	fk.cancel_recv |= op == fk.recv;
	fk.cancel_send |= op == fk.send;
	return 0;
}

int io_file_register(struct io *io, int fd, uint32_t flags)
{
	(void)io;
	(void)fd;
	(void)flags;
	return -EOPNOTSUPP;
}

int io_close_fd(struct io *io, int fd)
{
	(void)io;
	fk.closed = true;
	return close(fd);
}

void io_timer_init(struct io_timer *t,
		   void (*fired)(struct io_timer *, uint64_t now_ns),
		   void *user)
{
	*t = (struct io_timer){.fired = fired, .user = user};
}

void io_timer_set(struct io *io, struct io_timer *t, uint64_t due_ns)
{
	(void)io;
	fk.timer = t;
	fk.timer_ns = due_ns;
}

void io_timer_cancel(struct io *io, struct io_timer *t)
{
	(void)io;
	if (fk.timer == t)
		fk.timer = NULL;
}

/* ---- spool */
static bool again(void)
{
	return fk.spool.again_every && ++fk.calls % fk.spool.again_every == 0;
}

static struct text text_copy(struct fake_message *m, size_t *used,
			     struct text t)
{
	struct text out = {m->texts + *used, 0};

	if (t.len && *used + t.len <= sizeof(m->texts)) {
		memcpy(m->texts + *used, t.data, t.len);
		out.len = t.len;
		*used += t.len;
	}
	return out;
}

static void envelope_copy(struct fake_message *m, const struct envelope *env)
{
	size_t used = 0;

	m->env = *env;
	m->env.sender = text_copy(m, &used, env->sender);
	m->env.envid = text_copy(m, &used, env->envid);
	m->env.origin = text_copy(m, &used, env->origin);
	m->env.client = text_copy(m, &used, env->client);
	m->env.account = text_copy(m, &used, env->account);
	m->env.forwarded = text_copy(m, &used, env->forwarded);
	for (uint32_t i = 0; i < env->rcpt_count && i < 8; i++) {
		m->rcpts[i] = env->rcpts[i];
		m->rcpts[i].address =
			text_copy(m, &used, env->rcpts[i].address);
		m->rcpts[i].orcpt = text_copy(m, &used, env->rcpts[i].orcpt);
	}
	m->env.rcpts = m->rcpts;
}

int spool_message_begin(struct spool *sp, const struct envelope *env,
			uint32_t flags, struct spool_message **out)
{
	(void)sp;
	if (fk.spool.begin)
		return fk.spool.begin;
	if (again())
		return -EAGAIN;
	for (size_t i = 0; i < 4; i++) {
		struct spool_message *m = &fk.messages[i];

		if (m->used)
			continue;
		*m = (struct spool_message){.used = true, .m.flags = flags};
		envelope_copy(&m->m, env);
		fake_open_messages++;
		*out = m;
		return 0;
	}
	sluice_assert(!"a session has one message at a time");
	return -EAGAIN;
}

int spool_message_write(struct spool_message *m, const void *data, size_t len)
{
	char *more;

	sluice_assert(m->used && !m->done);
	if (again())
		return -EAGAIN;
	more = realloc(m->m.content, m->m.len + len + 1);
	sluice_assert(more);
	memcpy(more + m->m.len, data, len);
	m->m.content = more;
	m->m.len += len;
	more[m->m.len] = '\0';
	return 0;
}

int spool_message_finish(struct spool_message **mp, uint32_t flags,
			 spool_stored_fn *done, void *user)
{
	if (fk.spool.finish)
		return fk.spool.finish;
	if (again())
		return -EAGAIN;
	(*mp)->m.flags |= flags;
	(*mp)->done = done;
	(*mp)->user = user;
	*mp = NULL;
	return 0;
}

static void message_drop(struct spool_message *m)
{
	free(m->m.content);
	m->m.content = NULL;
	m->used = false;
	fake_open_messages--;
}

void spool_message_abort(struct spool_message **mp)
{
	struct spool_message *m = *mp;

	*mp = NULL;
	sluice_assert(m && m->used && !m->done);
	message_drop(m);
}

/* Its texts stay where they are pointed to: in the copy's own array. */
static void message_keep(struct spool_message *m)
{
	struct fake_message *to = &fake_stored[fake_stored_count];

	fk.commits++;
	if (fake_stored_count++ >= FAKE_MESSAGES)
		return;
	*to = m->m;
	envelope_copy(to, &m->m.env);
	m->m.content = NULL;
}

static bool commit_one(void)
{
	for (size_t i = 0; i < 4; i++) {
		struct spool_message *m = &fk.messages[i];
		struct spool_stored s = {.id = fk.next_id};
		spool_stored_fn *done = m->done;
		void *user = m->user;

		if (!m->used || !done)
			continue;
		s.content_bytes = m->m.len;
		if (!fk.spool.commit) {
			fk.next_id++;
			message_keep(m);
		}
		message_drop(m);
		m->done = NULL;
		done(user, fk.spool.commit, fk.spool.commit ? NULL : &s);
		return true;
	}
	return false;
}

/* ---- turns */
static bool send_one(void)
{
	struct io_op *op = fk.send;
	bool cancelled = fk.cancel_send;

	if (!op)
		return false;
	fk.send = NULL;
	fk.cancel_send = false;
	if (!cancelled && fake_said_len + fk.send_len < sizeof(fake_said)) {
		memcpy(fake_said + fake_said_len, fk.send_data, fk.send_len);
		fake_said_len += fk.send_len;
		fake_said[fake_said_len] = '\0';
	}
	op->done(op, cancelled ? -ECANCELED : (int)fk.send_len, 0, NULL);
	return true;
}

static bool recv_end(void)
{
	struct io_op *op = fk.recv;

	if (!op || (!fk.cancel_recv && !fk.eof))
		return false;
	fk.recv = NULL;
	op->done(op, fk.cancel_recv ? -ECANCELED : 0, 0, NULL);
	fk.cancel_recv = false;
	return true;
}

static void settle(void)
{
	bool busy = true;

	for (uint32_t i = 0; busy; i++) {
		sluice_assert(i < 1000000);
		fk.now_ns += NS_PER_US;
		smtp_server_step(fk.server);
		busy = send_one() || commit_one() || recv_end();
		for (uint32_t k = 0; !busy && k < fk.server->session_count; k++)
			busy = fk.server->sessions[k]->fd >= 0 &&
			       !fk.server->sessions[k]->dead &&
			       (fk.server->sessions[k]->content.held ||
				fk.server->sessions[k]->state ==
					SMTP_STATE_OPEN);
	}
}

static void on_stored(void *user, const struct spool_stored *m)
{
	(void)user;
	sluice_assert(m->content_bytes > 0);
}

static void pair_open(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fk.pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || fk.pair[0] < 0 ||
	    bind(fd, (struct sockaddr *)&in, sizeof(in)) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&in, &len) ||
	    connect(fk.pair[0], (struct sockaddr *)&in, sizeof(in)))
		abort();
	fk.pair[1] = accept(fd, NULL, NULL);
	close(fd);
	sluice_assert(fk.pair[1] >= 0);
}

void fake_open(struct config_listen *l, uint32_t count)
{
	static const struct smtp_server_ops ops = {on_stored};
	static char io, spool; /* never looked into */
	struct smtp_server_options o = {.host = "mx.sluice.test"};
	struct err e;

	pair_open();
	fk.now_ns = NS_PER_S;
	fk.accept_count = 0;
	if (smtp_server_create(&fk.server, (struct io *)&io,
			       (struct spool *)&spool, &o, &ops, NULL))
		abort();
	for (uint32_t i = 0; i < count; i++)
		if (addr_parse("127.0.0.1:0", 0, &l[i].address) ||
		    smtp_server_listen(fk.server, &l[i], &e))
			abort();
	sluice_assert(fk.accept_count == count);
}

static void stored_forget(void)
{
	for (uint32_t i = 0; i < fake_stored_count && i < FAKE_MESSAGES; i++) {
		free(fake_stored[i].content);
		fake_stored[i].content = NULL;
	}
	fake_stored_count = 0;
}

void fake_close(void)
{
	stored_forget();
	smtp_server_destroy(&fk.server);
	close(fk.pair[0]);
	close(fk.pair[1]);
}

void fake_connect_to(uint32_t listener, const struct fake_spool *s)
{
	struct io_op *accept_op = fk.accepts[listener];

	sluice_assert(!fk.recv && !fk.send);
	stored_forget();
	fake_said_len = 0;
	fake_said[0] = '\0';
	fk.eof = fk.closed = false;
	fk.spool = s ? *s : (struct fake_spool){0};
	fk.calls = 0;
	accept_op->done(accept_op, dup(fk.pair[1]), IO_MORE, NULL);
	settle();
}

void fake_send(const void *data, size_t len)
{
	const char *from = data;

	while (len && fk.recv && !fk.closed) {
		struct io_op *op = fk.recv;
		struct iovec *v = fk.recv_msg->msg_iov;
		size_t n = len < v->iov_len ? len : v->iov_len;

		memcpy(v->iov_base, from, n);
		from += n;
		len -= n;
		fk.recv = NULL;
		op->done(op, (int)n, 0, NULL);
		settle();
	}
}

void fake_hangup(void)
{
	fk.eof = true;
	settle();
}

void fake_time_pass(uint64_t ns)
{
	uint64_t until_ns = fk.now_ns + ns;

	while (fk.timer && fk.timer_ns <= until_ns) {
		struct io_timer *t = fk.timer;

		fk.now_ns = fk.timer_ns > fk.now_ns ? fk.timer_ns : fk.now_ns;
		fk.timer = NULL;
		t->fired(t, fk.now_ns);
		settle();
	}
	if (fk.now_ns < until_ns)
		fk.now_ns = until_ns;
}

void fake_stop(void)
{
	smtp_server_stop(fk.server);
	settle();
}

bool fake_over(void)
{
	return fk.closed && !fk.recv && !fk.send &&
	       fk.server->stats.sessions_now == 0;
}

bool fake_closing(void)
{
	return fk.closed ||
	       (fk.server->session_count && fk.server->sessions[0]->fd >= 0 &&
		fk.server->sessions[0]->state == SMTP_STATE_LINGER);
}
