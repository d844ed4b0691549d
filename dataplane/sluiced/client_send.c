/* SPDX-License-Identifier: BSD-2-Clause
 *
 * client_send.c - packets and events on their way to clients of the command
 * socket.
 *
 * Called by verbs, tasks and events. Role: command. Bound: one packet of a
 * client in the ring; a client that does not read its events loses them
 * beyond 1,024 and is told how many. Errors: the client is closed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice/assert.h"
#include "sluiced/command_priv.h"

#define TAIL_BACKLOG_MAX 1024 /* events waiting for a slow reader */

/* The descriptors of a packet go beside it. */
static void packet_fds_attach(struct client *c, const struct packet *p)
{
	struct cmsghdr *h = (struct cmsghdr *)c->send_control;

	memset(c->send_control, 0, sizeof(c->send_control));
	c->send_msg.msg_control = c->send_control;
	c->send_msg.msg_controllen = CMSG_SPACE(sizeof(int) * p->fd_count);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int) * p->fd_count);
	memcpy(CMSG_DATA(h), p->fds, sizeof(int) * p->fd_count);
}

static void client_send_next(struct client *c)
{
	struct packet *p = c->out;

	if (c->sending || p == NULL || c->closing)
		return;
	c->send_iov = (struct iovec){p->data, p->len};
	c->send_msg = (struct msghdr){.msg_iov = &c->send_iov, .msg_iovlen = 1};
	if (p->fd_count > 0)
		packet_fds_attach(c, p);
	c->sending = io_sendmsg(c->command->en->io, &c->send_op, c->fd,
				&c->send_msg) == 0;
	if (!c->sending)
		client_close(c);
}

void client_fds_close(const int *fds, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		close(fds[i]);
}

void client_packet_drop_first(struct client *c)
{
	struct packet *p = c->out;

	c->out = p->next;
	if (c->out == NULL)
		c->out_end = &c->out;
	c->out_count--;
	client_fds_close(p->fds, p->fd_count);
	free(p);
}

void client_on_sent(struct io_op *op, int res, uint32_t flags, const void *data)
{
	struct client *c = op->user;

	(void)flags;
	(void)data;
	c->sending = false;
	client_packet_drop_first(c);
	if (res < 0) {
		client_close(c);
		return;
	}
	if (c->task != NULL)
		c->runnable = true;
	client_send_next(c);
}

/* The descriptors are the packet's. */
static void client_send_bytes(struct client *c, const char *text, size_t len,
			      const int *fds, uint32_t fd_count)
{
	struct packet *p = c->closing ? NULL : malloc(sizeof(*p) + len);

	if (p == NULL) {
		client_fds_close(fds, fd_count);
		client_close(c);
		return;
	}
	p->next = NULL;
	p->len = len;
	p->fd_count = fd_count;
	if (fd_count > 0)
		memcpy(p->fds, fds, sizeof(int) * fd_count);
	memcpy(p->data, text, len);
	*c->out_end = p;
	c->out_end = &p->next;
	c->out_count++;
	client_send_next(c);
}

void client_send_fds(struct client *c, json_t *packet, const int *fds,
		     uint32_t fd_count)
{
	char *text = packet ? json_dumps(packet, JSON_COMPACT) : NULL;

	sluice_assert(fd_count <= CLIENT_SEND_FDS_MAX);
	json_decref(packet);
	if (text == NULL) {
		client_fds_close(fds, fd_count);
		client_close(c);
		return;
	}
	client_send_bytes(c, text, strlen(text), fds, fd_count);
	free(text);
}

void client_send(struct client *c, json_t *packet)
{
	client_send_fds(c, packet, NULL, 0);
}

void client_done(struct client *c, json_t *fields)
{
	if (fields == NULL)
		fields = json_object();
	json_object_set_new(fields, "done", json_true());
	client_send(c, fields);
	client_receive(c);
}

void client_error(struct client *c, int status, const char *fmt, ...)
{
	char text[ERR_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	client_send(c, json_pack("{s:s,s:i}", "error", text, "code", status));
	client_receive(c);
}

bool command_tail_wanted(const struct command *cmd)
{
	return cmd->tailing > 0;
}

static void tail_lost_tell(struct client *c)
{
	char line[64];
	int n = snprintf(line, sizeof(line),
			 "{\"type\":\"lost\",\"events\":%llu}",
			 (unsigned long long)c->tail_lost);

	c->tail_lost = 0;
	client_send_bytes(c, line, (size_t)n, NULL, 0);
}

void command_tail(struct command *cmd, const char *line, size_t len)
{
	for (struct client *c = cmd->clients; c != NULL; c = c->next) {
		if (!c->tailing)
			continue;
		if (c->out_count >= TAIL_BACKLOG_MAX) {
			c->tail_lost++;
			continue;
		}
		if (c->tail_lost > 0)
			tail_lost_tell(c);
		client_send_bytes(c, line, len, NULL, 0);
	}
}
