/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command_priv.h - what command.c and client_send.c share: a client of the
 * command socket and the packets on their way to it. Role: command.
 */
#ifndef SLUICED_COMMAND_PRIV_H
#define SLUICED_COMMAND_PRIV_H

#include <sys/socket.h>

#include "sluiced/client.h"
#include "sluiced/engine_priv.h"

struct packet {
	struct packet *next;
	size_t len;
	uint32_t fd_count;
	int fds[CLIENT_SEND_FDS_MAX]; /* closed with the packet */
	char data[];
};

struct client {
	struct client *next;
	struct command *command;
	struct task *task;
	int fd;
	bool tailing, closing, runnable, receiving, sending;
	uint64_t tail_lost;
	char actor[64];
	struct packet *out, **out_end;
	uint32_t out_count;
	struct io_op recv_op, send_op;
	struct msghdr recv_msg, send_msg;
	struct iovec recv_iov, send_iov;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) *
							 CLIENT_FDS_MAX)];
	_Alignas(struct cmsghdr) char send_control[CMSG_SPACE(
		sizeof(int) * CLIENT_SEND_FDS_MAX)];
	char buf[CLIENT_PACKET_BYTES];
};

struct command {
	struct engine *en;
	int fd;
	bool inherited; /* the socket's name is systemd's */
	struct io_op accept_op;
	struct io_timer accept_again;
	struct client *clients;
	uint32_t client_count;
	uint32_t tailing;
};

/* command.c: the next request; no more of this client. */
void client_receive(struct client *c);
void client_close(struct client *c);
/* client_send.c */
void client_fds_close(const int *fds, uint32_t count);
void client_packet_drop_first(struct client *c);
void client_on_sent(struct io_op *op, int res, uint32_t flags,
		    const void *data);

#endif
