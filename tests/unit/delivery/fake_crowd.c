/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fake_crowd.c - the receiver that holds back its answers.
 */
#include "fake_crowd.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#include "sluice/addr.h"

#define CROWD_MAX  8192
#define LINE_BYTES 1024

struct guest {
	int fd;
	bool content;
	bool dot; /* unanswered */
	size_t len, line_len;
	char line[LINE_BYTES];
};

struct fake_crowd {
	int fd, epoll, stop;
	uint16_t port;
	pthread_t thread;
	uint32_t wanted, dots, open;
	uint32_t most; /* atomic: read by the test */
	struct guest guests[CROWD_MAX];
	uint32_t guest_count;
	XXH3_state_t *hash;
	uint64_t bytes;
};

static void say(const struct guest *g, const char *text)
{
	(void)send(g->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void dots_answer(struct fake_crowd *c)
{
	if (c->dots < c->wanted)
		return;
	for (uint32_t i = 0; i < c->guest_count; i++) {
		struct guest *g = &c->guests[i];

		if (g->fd >= 0 && g->dot)
			say(g, "250 2.0.0 taken\r\n");
		g->dot = false;
	}
}

static void content_take(struct fake_crowd *c, const struct guest *g)
{
	size_t dot = g->line[0] == '.';

	c->bytes += g->line_len - dot;
	(void)XXH3_64bits_update(c->hash, g->line + dot, g->line_len - dot);
}

static void line_take(struct fake_crowd *c, struct guest *g)
{
	if (g->content) {
		if (strcmp(g->line, ".\r\n") != 0) {
			content_take(c, g);
			return;
		}
		g->content = false;
		g->dot = true;
		c->dots++;
		dots_answer(c);
	} else if (strncasecmp(g->line, "EHLO", 4) == 0) {
		say(g, "250-crowd\r\n250 PIPELINING\r\n");
	} else if (strncasecmp(g->line, "DATA", 4) == 0) {
		g->content = true;
		c->bytes = 0;
		(void)XXH3_64bits_reset(c->hash);
		say(g, "354 go\r\n");
	} else if (strncasecmp(g->line, "QUIT", 4) == 0) {
		say(g, "221 bye\r\n");
	} else {
		say(g, "250 2.1.0 ok\r\n");
	}
}

static void guest_read(struct fake_crowd *c, struct guest *g)
{
	char buf[16384];
	ssize_t n = recv(g->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		(void)close(g->fd);
		g->fd = -1;
		c->open--;
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (g->len + 1 < LINE_BYTES)
			g->line[g->len++] = buf[i];
		if (buf[i] != '\n')
			continue;
		g->line[g->len] = '\0';
		g->line_len = g->len;
		g->len = 0;
		line_take(c, g);
	}
}

static void watch(const struct fake_crowd *c, int fd, uint64_t what)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = what};

	if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e))
		abort();
}

static void guests_accept(struct fake_crowd *c)
{
	int fd;

	while ((fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct guest *g = &c->guests[c->guest_count];

		assert(c->guest_count < CROWD_MAX);
		*g = (struct guest){.fd = fd};
		watch(c, fd, c->guest_count++);
		if (++c->open > c->most)
			__atomic_store_n(&c->most, c->open, __ATOMIC_RELAXED);
		say(g, "220 crowd\r\n");
	}
}

static void *crowd_run(void *arg)
{
	struct fake_crowd *c = arg;
	struct epoll_event e[256];

	for (;;) {
		int n = epoll_wait(c->epoll, e, 256, -1);

		for (int i = 0; i < n; i++) {
			if (e[i].data.u64 == UINT64_MAX)
				return NULL;
			if (e[i].data.u64 == CROWD_MAX)
				guests_accept(c);
			else
				guest_read(c, &c->guests[e[i].data.u64]);
		}
	}
}

struct fake_crowd *fake_crowd_start(uint32_t dots_wanted)
{
	struct fake_crowd *c = calloc(1, sizeof(*c));
	struct addr a;
	socklen_t len = sizeof(a);

	assert(c);
	c->wanted = dots_wanted;
	c->hash = XXH3_createState();
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->stop = eventfd(0, EFD_CLOEXEC);
	if (addr_parse("127.0.0.1", 0, &a))
		abort();
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(c->fd, &a.sa, addr_len_bytes(&a)) || listen(c->fd, 4096) ||
	    getsockname(c->fd, &a.sa, &len))
		abort();
	c->port = addr_port(&a);
	watch(c, c->fd, CROWD_MAX);
	watch(c, c->stop, UINT64_MAX);
	if (pthread_create(&c->thread, NULL, crowd_run, c))
		abort();
	return c;
}

void fake_crowd_stop(struct fake_crowd **cp)
{
	struct fake_crowd *c = *cp;

	if (eventfd_write(c->stop, 1))
		abort();
	pthread_join(c->thread, NULL);
	for (uint32_t i = 0; i < c->guest_count; i++)
		if (c->guests[i].fd >= 0)
			(void)close(c->guests[i].fd);
	(void)close(c->fd);
	(void)close(c->epoll);
	(void)close(c->stop);
	(void)XXH3_freeState(c->hash);
	free(c);
	*cp = NULL;
}

uint16_t fake_crowd_port(const struct fake_crowd *c)
{
	return c->port;
}

uint64_t fake_crowd_content(const struct fake_crowd *c, uint64_t *bytes)
{
	*bytes = c->bytes;
	return XXH3_64bits_digest(c->hash);
}

uint32_t fake_crowd_most(const struct fake_crowd *c)
{
	return __atomic_load_n(&c->most, __ATOMIC_RELAXED);
}
