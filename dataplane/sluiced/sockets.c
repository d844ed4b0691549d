/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sockets.c - sockets from systemd, or bound while we are still root.
 *
 * Called by main() at start, before any thread, and by those who take one.
 * Bound: SOCKETS_MAX. Errors: -errno with a sentence.
 */
#include "sluiced/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "intake/smtp_server.h"
#include "sluice/log.h"

#define IN_USE_STEPS   20
#define IN_USE_STEP_NS 50000000L

void sockets_init(struct sockets *s)
{
	s->tcp_count = 0;
	s->command = -1;
}

static int sockets_add(struct sockets *s, const struct addr *a, int fd)
{
	if (s->tcp_count == SOCKETS_MAX)
		return -E2BIG;
	s->tcp[s->tcp_count].addr = *a;
	s->tcp[s->tcp_count++].fd = fd;
	return 0;
}

/* The loop waits, nobody else does. */
static int nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int inherit_one(struct sockets *s, int fd, const char *name,
		       struct err *e)
{
	struct addr a = {0};
	socklen_t len = sizeof(a);

	if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0 &&
	    s->command < 0) {
		s->command = fd;
		return 0;
	}
	if ((sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0 ||
	     sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0) &&
	    getsockname(fd, &a.sa, &len) == 0 && nonblocking(fd) == 0 &&
	    sockets_add(s, &a, fd) == 0)
		return 0;
	return err_set(e, -EINVAL,
		       "LISTEN_FDS: socket %d (%s) is of no use here; a socket "
		       "unit for sluiced has ListenStream= with IP addresses "
		       "and one ListenSequentialPacket= for run.socket",
		       fd, name);
}

int sockets_inherit(struct sockets *s, struct err *e)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names), rc = 0;

	if (count < 0)
		return err_set(e, count,
			       "LISTEN_FDS cannot be read: %s; start sluiced "
			       "by systemd, or without these variables",
			       err_name(count));
	for (int i = 0; i < count; i++) {
		if (rc == 0)
			rc = inherit_one(s, SD_LISTEN_FDS_START + i, names[i],
					 e);
		free(names[i]);
	}
	free(names);
	return rc;
}

/* Port 0 in the config is one that nobody can have bound for us. */
static int socket_find(const struct sockets *s, const struct addr *a)
{
	for (uint32_t i = 0; i < s->tcp_count; i++)
		if (s->tcp[i].fd >= 0 && addr_equal(&s->tcp[i].addr, a))
			return (int)i;
	return -1;
}

/* A daemon that was killed leaves its ring, and with it the socket, to the
 * kernel for a moment. */
static int socket_bind(const struct addr *a, struct err *e)
{
	const struct timespec moment = {0, IN_USE_STEP_NS};
	int fd = smtp_server_socket(a, e);

	for (int i = 0; fd == -EADDRINUSE && i < IN_USE_STEPS; i++) {
		(void)nanosleep(&moment, NULL);
		fd = smtp_server_socket(a, e);
	}
	return fd;
}

int sockets_bind(struct sockets *s, const struct config *c, struct err *e)
{
	for (uint32_t i = 0; i < c->listen_count; i++) {
		const struct addr *a = &c->listens[i].address;
		int fd;

		if (socket_find(s, a) >= 0)
			continue;
		fd = socket_bind(a, e);
		/* Maybe another sluiced: its lock on the spool says that
		 * better. The listener tries once more after it. */
		if (fd == -EADDRINUSE)
			continue;
		if (fd < 0)
			return fd;
		if (sockets_add(s, a, fd) != 0) {
			close(fd);
			return err_set(e, -E2BIG,
				       "more than %u listening sockets",
				       SOCKETS_MAX);
		}
	}
	return 0;
}

int sockets_take(struct sockets *s, const struct addr *a)
{
	int i = socket_find(s, a), fd;

	if (i < 0)
		return -1;
	fd = s->tcp[i].fd;
	s->tcp[i].fd = -1;
	return fd;
}

int sockets_take_command(struct sockets *s)
{
	int fd = s->command;

	s->command = -1;
	return fd;
}

void sockets_close(struct sockets *s)
{
	char text[ADDR_TEXT_BYTES];

	for (uint32_t i = 0; i < s->tcp_count; i++) {
		if (s->tcp[i].fd < 0)
			continue;
		log_warn("listen",
			 "a socket for %s was passed to sluiced, and `listen` "
			 "does not name it: closed",
			 addr_format(&s->tcp[i].addr, true, text));
		close(s->tcp[i].fd);
	}
	if (s->command >= 0)
		close(s->command);
	sockets_init(s);
}
