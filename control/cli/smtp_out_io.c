/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_out_io.c - the socket of a connection: lines in, buffer out, time.
 *
 * Called by export_smtp.c after poll(). Bound: one buffer each way; a reply's
 * line has to fit into it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sluice/clock.h"
#include "smtp_out.h"

int smtp_out_open(struct smtp_out *c, const struct addrinfo *to,
		  const char *helo)
{
	c->fd = socket(to->ai_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	c->sum = XXH3_createState();
	if (c->sum == NULL ||
	    (connect(c->fd, to->ai_addr, to->ai_addrlen) != 0 &&
	     errno != EINPROGRESS)) {
		int rc = c->sum == NULL ? -ENOMEM : -errno;

		close(c->fd);
		XXH3_freeState(c->sum);
		return rc;
	}
	c->helo = helo;
	c->state = SMTP_OUT_CONNECTING;
	smtp_out_wait(c, SMTP_OUT_CONNECT_NS);
	return 0;
}

static void reply_add(struct smtp_out *c, const char *line)
{
	size_t n = strlen(c->reply);

	snprintf(c->reply + n, sizeof(c->reply) - n, "%s%s", n ? " " : "",
		 line);
}

/* One line without its end. */
static void line_take(struct smtp_out *c, char *line)
{
	size_t len = strlen(line);
	bool good = len >= 3 && strspn(line, "0123456789") == 3 &&
		    (len == 3 || line[3] == ' ' || line[3] == '-');

	for (char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			*p = '?';
	if (!good) {
		smtp_out_close(c, "it does not speak SMTP");
		return;
	}
	reply_add(c, line);
	if (c->state == SMTP_OUT_EHLO && line[0] == '2' && len > 4)
		smtp_out_extension(c, line + 4);
	if (line[3] == '-')
		return;
	line[3] = '\0';
	smtp_out_reply(c, (int)strtol(line, NULL, 10));
	c->reply[0] = '\0';
}

static void lines_take(struct smtp_out *c)
{
	size_t at = 0;
	char *lf;

	while (c->state != SMTP_OUT_CLOSED &&
	       (lf = memchr(c->in + at, '\n', c->in_len - at)) != NULL) {
		size_t end = (size_t)(lf - c->in);

		*lf = '\0';
		if (end > at && lf[-1] == '\r')
			lf[-1] = '\0';
		line_take(c, c->in + at);
		at = end + 1;
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	if (c->in_len == sizeof(c->in))
		smtp_out_close(c, "a line of its reply has no end");
}

static void receive(struct smtp_out *c)
{
	ssize_t n =
		recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		smtp_out_close(c, n < 0 ? err_name(errno)
					: "it closed the connection");
		return;
	}
	c->in_len += (size_t)n;
	lines_take(c);
}

static void transmit(struct smtp_out *c)
{
	ssize_t n;

	if (c->out_at == c->out_len) {
		c->out_at = c->out_len = 0;
		if (c->state == SMTP_OUT_CONTENT)
			smtp_out_more(c);
	}
	if (c->state == SMTP_OUT_CLOSED || c->out_len == 0)
		return;
	n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
		 MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		smtp_out_close(c, err_name(errno));
		return;
	}
	if (n > 0) {
		c->out_at += (size_t)n;
		if (c->state == SMTP_OUT_CONTENT)
			smtp_out_wait(c, SMTP_OUT_COMMAND_NS);
	}
	if (c->out_at == c->out_len) {
		c->out_at = c->out_len = 0;
		if (c->state == SMTP_OUT_ENVELOPE)
			smtp_out_say(c);
	}
}

static void connected(struct smtp_out *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0) {
		smtp_out_close(c, err_name(error));
		return;
	}
	c->state = SMTP_OUT_GREETING;
	smtp_out_wait(c, SMTP_OUT_COMMAND_NS);
}

short smtp_out_events(const struct smtp_out *c)
{
	if (c->state == SMTP_OUT_CONNECTING)
		return POLLOUT;
	if (c->out_len > c->out_at || c->state == SMTP_OUT_CONTENT)
		return POLLIN | POLLOUT;
	return POLLIN;
}

void smtp_out_step(struct smtp_out *c, short events, uint64_t now_ns)
{
	if (c->state == SMTP_OUT_CONNECTING) {
		if (events != 0)
			connected(c);
	} else {
		if (events & (POLLIN | POLLHUP | POLLERR))
			receive(c);
		if (c->state != SMTP_OUT_CLOSED && (events & POLLOUT))
			transmit(c);
	}
	if (c->state != SMTP_OUT_CLOSED && c->state != SMTP_OUT_IDLE &&
	    now_ns > c->deadline_ns)
		smtp_out_close(c, "it does not answer in time");
}
