/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_room.h - an SMTP server over a real spool, and clients with scripts.
 *
 * Each client is a thread with a plain blocking socket; server, io loop and
 * spool run on the test's own thread.
 */
#ifndef SMTP_ROOM_H
#define SMTP_ROOM_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "intake/smtp_server.h"
#include "sluice/assert.h"
#include "spool_room.h"

#define STORED_MAX 512

struct fixture {
	struct room room;
	struct smtp_server *server;
	struct config_listen open, closed;
	struct addr_prefix allow;
	uint32_t stored;
	struct spool_place place[STORED_MAX];
	uint64_t id[STORED_MAX];
	uint32_t flags[STORED_MAX];
};

static inline void stored(void *user, const struct spool_stored *m)
{
	struct fixture *f = user;

	sluice_assert(f->stored < STORED_MAX);
	f->place[f->stored] = m->place;
	f->id[f->stored] = m->id;
	f->flags[f->stored++] = m->flags;
}

static inline void step(void *user)
{
	struct fixture *f = user;

	smtp_server_step(f->server);
}

static inline int setup_with(void **state, const struct spool_options *so,
			     const struct smtp_server_options *o)
{
	static const struct smtp_server_ops ops = {stored};
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	room_open(&f->room, so);
	assert_int_equal(smtp_server_create(&f->server, f->room.io, f->room.sp,
					    o, &ops, f),
			 0);
	assert_int_equal(addr_prefix_parse("127.0.0.0/8", &f->allow), 0);
	assert_int_equal(addr_parse("127.0.0.1:0", 0, &f->open.address), 0);
	f->open.size_max_bytes = 1 << 20;
	f->closed = f->open;
	f->open.allow = &f->allow;
	f->open.allow_count = 1;
	if (smtp_server_listen(f->server, &f->open, &e) ||
	    smtp_server_listen(f->server, &f->closed, &e))
		fail_msg("%s", e.text);
	f->room.step = step;
	f->room.user = f;
	*state = f;
	return 0;
}

static inline int setup(void **state)
{
	struct smtp_server_options o = {.host = "mx.sluice.test",
					.rcpts_max = 3,
					.errors_max = 5,
					.sessions_max = 40};

	return setup_with(state, NULL, &o);
}

static inline int setup_full(void **state)
{
	struct smtp_server_options o = {.host = "mx.sluice.test"};
	struct spool_options so = {.min_free_bytes = UINT64_MAX / 2};

	return setup_with(state, &so, &o);
}

static inline int setup_small(void **state)
{
	struct smtp_server_options o = {.host = "mx.sluice.test"};
	struct spool_options so = {.gather_bytes_max = 1 << 20};

	return setup_with(state, &so, &o);
}

static inline int setup_impatient(void **state)
{
	struct smtp_server_options o = {.host = "mx.sluice.test",
					.timeout_ns = 200 * NS_PER_MS,
					.sessions_max = 1};

	return setup_with(state, NULL, &o);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	uint64_t until = clock_monotonic_ns() + ROOM_WAIT_NS;

	smtp_server_stop(f->server);
	while (!smtp_server_idle(f->server)) {
		assert_true(clock_monotonic_ns() < until);
		room_turn(&f->room);
	}
	smtp_server_destroy(&f->server);
	f->room.step = NULL;
	room_close(&f->room);
	free(f);
	return 0;
}

/* What a client does: text to send, then what the replies to it must be, line
 * by line; "" waits for the connection's end. */
struct script {
	const char *send;
	const char *expect;
};

struct client {
	const struct script *script;
	uint16_t port;
	size_t split; /* send in pieces of this size */
	char got[65536];
	char failed[1024];
	atomic_bool over;
	pthread_t thread;
};

static inline int client_connect(uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(port)};
	struct timeval wait = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&in, sizeof(in))) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline bool client_send(int fd, const char *s, size_t split)
{
	size_t len = strlen(s);

	while (len) {
		size_t n = split && split < len ? split : len;
		ssize_t res = send(fd, s, n, MSG_NOSIGNAL);

		if (res <= 0)
			return false;
		s += res;
		len -= (size_t)res;
		if (split)
			usleep(200);
	}
	return true;
}

/* One line without CRLF; "" at the end of the connection. */
static inline void client_line(int fd, char *out, size_t size)
{
	size_t n = 0;
	char c;

	while (n + 1 < size && recv(fd, &c, 1, 0) == 1 && c != '\n')
		if (c != '\r')
			out[n++] = c;
	out[n] = '\0';
}

static inline bool client_expect(struct client *c, int fd, const char *expect)
{
	char line[1024];

	while (*expect) {
		size_t n = strcspn(expect, "\n");

		client_line(fd, line, sizeof(line));
		if (strncmp(line, expect, n)) {
			snprintf(c->failed, sizeof(c->failed),
				 "\"%.300s\" instead of \"%.*s\"", line, (int)n,
				 expect);
			return false;
		}
		expect += n + (expect[n] == '\n');
	}
	return true;
}

static inline void *client_run(void *arg)
{
	struct client *c = arg;
	int fd = client_connect(c->port);
	const struct script *s;
	char line[1024];

	if (fd < 0)
		snprintf(c->failed, sizeof(c->failed), "connect");
	for (s = c->script; fd >= 0 && s->send; s++) {
		if (!client_send(fd, s->send, c->split) && *s->expect)
			snprintf(c->failed, sizeof(c->failed), "send");
		if (c->failed[0] || !client_expect(c, fd, s->expect))
			break;
		if (!*s->expect) {
			client_line(fd, line, sizeof(line));
			if (line[0])
				snprintf(c->failed, sizeof(c->failed),
					 "\"%.300s\" instead of the end", line);
		}
	}
	if (fd >= 0)
		close(fd);
	atomic_store(&c->over, true);
	return NULL;
}

static inline void play_on(struct fixture *f, uint32_t listener, size_t split,
			   const struct script *script)
{
	struct client c = {.script = script, .split = split};

	c.port = smtp_server_port(f->server, listener);
	assert_int_equal(pthread_create(&c.thread, NULL, client_run, &c), 0);
	while (!atomic_load(&c.over))
		room_turn(&f->room);
	pthread_join(c.thread, NULL);
	if (c.failed[0])
		fail_msg("%s", c.failed);
}

static inline void play(struct fixture *f, const struct script *script)
{
	play_on(f, 0, 0, script);
}

#define GREET                                                                  \
	{"", "220 mx.sluice.test ESMTP"},                                      \
	{                                                                      \
		"EHLO client.test\r\n",                                        \
			"250-mx.sluice.test\n250-PIPELINING\n250-SIZE "        \
			"1048576\n250-ENHANCEDSTATUSCODES\n250-8BITMIME\n"     \
			"250-DSN\n250-SMTPUTF8\n250 CHUNKING"                  \
	}
#define BYE                                                                    \
	{"QUIT\r\n", "221 2.0.0 "},                                            \
	{                                                                      \
		"", ""                                                         \
	}

#endif
