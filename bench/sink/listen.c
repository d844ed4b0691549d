/* SPDX-License-Identifier: BSD-2-Clause
 *
 * listen.c - listening sockets, and who connects to them.
 *
 * Called at start and by the loop for each connection. Thread: the loop's.
 * Bound: 64 listeners; one peer per client address and listener.
 * Errors: -errno at start; a failing accept is started anew.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/random.h"
#include "sink/sink_priv.h"
#include "sluice/assert.h"

static int socket_listen(struct sink_listener *l)
{
	int one = 1,
	    fd = socket(l->address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Inherited by what is accepted. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, &l->address.sa, addr_len_bytes(&l->address)) != 0 ||
	    listen(fd, 4096) != 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	l->fd = fd;
	return 0;
}

static void port_learn(struct sink_listener *l)
{
	socklen_t len = sizeof(l->address);

	/* Port 0 asks the kernel for a free one. */
	sluice_assert(getsockname(l->fd, &l->address.sa, &len) == 0);
	addr_format(&l->address, true, l->name);
}

int sink_listen(struct sink *s, const char *text, struct err *e)
{
	struct sink_listener *l = &s->listeners[s->listener_count];
	int err;

	if (s->listener_count == SINK_LISTENERS_MAX)
		return err_set(e, -E2BIG, "at most %d listeners",
			       SINK_LISTENERS_MAX);
	if (addr_parse(text, 2525, &l->address) != 0)
		return err_set(e, -EINVAL, "'%s' is no ADDRESS:PORT", text);
	l->sink = s;
	err = socket_listen(l);
	if (err)
		return err_set(e, err, "cannot listen on %s: %s", text,
			       err_name(err));
	port_learn(l);
	s->listener_count++;
	return 0;
}

static void accepted(struct io_op *op, int res, uint32_t flags,
		     const void *data)
{
	struct sink_listener *l = op->user;

	if (res >= 0)
		sink_connection_open(l, res);
	if ((flags & IO_MORE) || res == -ECANCELED)
		return;
	l->paused = true;
	if (!l->sink->connections)
		sink_accept_resume(l->sink);
}

void sink_accept_resume(struct sink *s)
{
	for (uint32_t i = 0; i < s->listener_count; i++) {
		struct sink_listener *l = &s->listeners[i];

		if (!l->paused)
			continue;
		if (io_accept_multi(s->io, &l->accept, l->fd) == 0)
			l->paused = false;
	}
}

int sink_accept_start(struct sink *s, struct err *e)
{
	for (uint32_t i = 0; i < s->listener_count; i++) {
		struct sink_listener *l = &s->listeners[i];
		int err;

		l->accept.done = accepted;
		l->accept.user = l;
		err = io_accept_multi(s->io, &l->accept, l->fd);
		if (err)
			return err_set(e, err, "cannot accept on %s: %s",
				       l->name, err_name(err));
	}
	return 0;
}

void sink_listen_close(struct sink *s)
{
	for (uint32_t i = 0; i < s->listener_count; i++)
		close(s->listeners[i].fd);
	for (uint32_t i = 0; i < s->peer_count; i++)
		free(s->peers[i]);
	free(s->peers);
}

static uint32_t host_number(const struct sink *s, const struct addr *host)
{
	for (uint32_t i = 0; i < s->peer_count; i++)
		if (addr_equal_host(&s->peers[i]->host, host))
			return s->peers[i]->number;
	return s->host_count;
}

static struct sink_peer *peer_add(struct sink_listener *l,
				  const struct addr *host, uint32_t bucket)
{
	struct sink *s = l->sink;
	struct sink_peer *p = bench_calloc(1, sizeof(*p));

	p->listener = l;
	p->host = *host;
	addr_format(host, false, p->name);
	p->number = host_number(s, host);
	if (p->number == s->host_count)
		s->host_count++;
	if (l->policy.rate.count)
		pace_bucket_init(&p->rate, l->policy.rate, io_now_ns(s->io),
				 1000000000);
	p->next = s->buckets[bucket];
	s->buckets[bucket] = p;
	if (s->peer_count == s->peer_room) {
		s->peer_room = s->peer_room ? s->peer_room * 2 : 64;
		s->peers = bench_realloc(s->peers, s->peer_room,
					 sizeof(struct sink_peer *));
	}
	p->id = s->peer_count;
	s->peers[s->peer_count++] = p;
	return p;
}

struct sink_peer *sink_peer_of(struct sink_listener *l, int fd)
{
	struct addr host;
	socklen_t len = sizeof(host);
	struct sink_peer *p;
	uint64_t h = (uint64_t)(l - l->sink->listeners);

	memset(&host, 0, sizeof(host));
	if (getpeername(fd, &host.sa, &len) != 0)
		return NULL;
	addr_port_set(&host, 0);
	for (socklen_t i = 0; i < addr_len_bytes(&host); i++)
		h = h * 131 + ((const uint8_t *)&host)[i];
	h = random_mix(h) % SINK_BUCKETS;
	for (p = l->sink->buckets[h]; p; p = p->next)
		if (p->listener == l && addr_equal_host(&p->host, &host))
			return p;
	return peer_add(l, &host, (uint32_t)h);
}
