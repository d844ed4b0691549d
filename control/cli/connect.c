/* SPDX-License-Identifier: BSD-2-Clause
 *
 * connect.c - talks to sluiced over its command socket.
 *
 * Protocol: docs/command-socket.md. Errors are said on stderr here, with what
 * to do; callers pass the sysexits code on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli.h"
#include "sluice/config.h"

#define PACKET_BYTES_MAX (512 * 1024)
#define FDS_MAX          64

struct connection {
	int fd;
	char buf[PACKET_BYTES_MAX];
};

static int socket_path(struct cli *cli, char *path, size_t room)
{
	struct config *c = NULL;
	struct err e = {""}, none;

	if (cli->socket_path != NULL) {
		snprintf(path, room, "%s", cli->socket_path);
		return 0;
	}
	if (config_load(cli->config_path, &c, &e) == 0) {
		snprintf(path, room, "%s", c->run.socket);
		config_destroy(&c);
		return 0;
	}
	if (config_socket(cli->config_path, path, room, &none) != 0) {
		fprintf(stderr, "sluice: %s\n", e.text);
		return EX_CONFIG;
	}
	/* sluiced may well be running with the file as it was */
	fprintf(stderr, "sluice: warning: %s\n", e.text);
	return 0;
}

static int unreachable(const char *path)
{
	fprintf(stderr,
		"sluice: %s: %s; is sluiced running with this config?\n", path,
		err_name(errno));
	return EX_UNAVAILABLE;
}

int connection_open(struct cli *cli, struct connection **out)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct connection *c;
	int rc = socket_path(cli, sun.sun_path, sizeof(sun.sun_path));
	int buffer = 1 << 20;

	if (rc != 0)
		return rc;
	c = malloc(sizeof(*c));
	if (c == NULL)
		return EX_OSERR;
	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (c->fd < 0 ||
	    connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
		rc = unreachable(sun.sun_path);
		if (c->fd >= 0)
			close(c->fd);
		free(c);
		return rc;
	}
	setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	*out = c;
	return 0;
}

void connection_close(struct connection **cp)
{
	struct connection *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	close(c->fd);
	free(c);
}

static ssize_t packet_write(int fd, char *text, const int *fds,
			    uint32_t fd_count)
{
	struct iovec iov = {text, strlen(text)};
	_Alignas(struct cmsghdr) char
		control[CMSG_SPACE(sizeof(int) * FDS_MAX)] = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *h;
	ssize_t n;

	if (fd_count > 0) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(h), fds, sizeof(int) * fd_count);
	}
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

int connection_send(struct connection *c, json_t *request, const int *fds,
		    uint32_t fd_count)
{
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	ssize_t n;

	json_decref(request);
	if (text == NULL) {
		fputs("sluice: out of memory, or text that is no UTF-8\n",
		      stderr);
		return EX_OSERR;
	}
	n = packet_write(c->fd, text, fds, fd_count);
	free(text);
	if (n < 0) {
		fprintf(stderr, "sluice: sluiced went away: %s\n",
			err_name(errno));
		return EX_UNAVAILABLE;
	}
	return 0;
}

json_t *connection_receive(struct connection *c, bool wait, bool *none)
{
	ssize_t n;

	if (none != NULL)
		*none = false;
	do
		n = recv(c->fd, c->buf, sizeof(c->buf),
			 wait ? 0 : MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN && none != NULL)
		*none = true;
	return n > 0 ? json_loadb(c->buf, (size_t)n, 0, NULL) : NULL;
}

static uint32_t control_fds(struct msghdr *m, int *fds)
{
	uint32_t count = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL;
	     h = CMSG_NXTHDR(m, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n && count < CONNECTION_FDS; i++)
			memcpy(&fds[count++], CMSG_DATA(h) + i * sizeof(int),
			       sizeof(int));
	}
	return count;
}

json_t *connection_receive_fds(struct connection *c, int *fds,
			       uint32_t *fd_count)
{
	_Alignas(struct cmsghdr) char
		control[CMSG_SPACE(sizeof(int) * CONNECTION_FDS)];
	struct iovec iov = {c->buf, sizeof(c->buf)};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do
		n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*fd_count = n > 0 ? control_fds(&m, fds) : 0;
	return n > 0 ? json_loadb(c->buf, (size_t)n, 0, NULL) : NULL;
}

int connection_fd(const struct connection *c)
{
	return c->fd;
}

int connection_ask(struct cli *cli, json_t *request,
		   void (*each)(struct cli *cli, json_t *packet, void *user),
		   void *user, json_t **done)
{
	struct connection *c = NULL;
	int rc = connection_open(cli, &c);
	json_t *p;

	if (rc != 0) {
		json_decref(request);
		return rc;
	}
	rc = connection_send(c, request, NULL, 0);
	while (rc == 0) {
		p = connection_receive(c, true, NULL);
		if (p == NULL) {
			fputs("sluice: sluiced went away before it answered\n",
			      stderr);
			rc = EX_UNAVAILABLE;
		} else if (json_object_get(p, "error") != NULL) {
			fprintf(stderr, "sluice: %s\n", json_str(p, "error"));
			rc = (int)json_int(p, "code");
			rc = rc > 0 ? rc : EX_SOFTWARE;
		} else if (json_is_true(json_object_get(p, "done"))) {
			if (done != NULL)
				*done = json_incref(p);
			json_decref(p);
			break;
		} else if (each != NULL) {
			each(cli, p, user);
		}
		json_decref(p);
	}
	connection_close(&c);
	return rc;
}
