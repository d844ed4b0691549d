/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sockets.h - listening sockets that are there before they are needed.
 *
 * main() gets them from systemd (LISTEN_FDS), or binds them before it gives up
 * root, so that port 25 works with `run.user`. The listener and the command
 * socket take theirs; what nobody takes is closed.
 */
#ifndef SLUICED_SOCKETS_H
#define SLUICED_SOCKETS_H

#include "sluice/config.h"

#define SOCKETS_MAX 32u

struct sockets {
	struct {
		struct addr addr;
		int fd; /* -1: taken */
	} tcp[SOCKETS_MAX];
	uint32_t tcp_count;
	int command; /* -1: none */
};

void sockets_init(struct sockets *s);
/* Those of LISTEN_FDS. Stream sockets are known by their address, the command
 * socket by its kind (SOCK_SEQPACKET); the names in LISTEN_FDNAMES are for
 * people. -EINVAL: a socket that is none of these. */
int sockets_inherit(struct sockets *s, struct err *e);
/* Binds what `listen` names and is not there yet. */
int sockets_bind(struct sockets *s, const struct config *c, struct err *e);
/* A descriptor, the caller's from then on; -1 if there is none. */
int sockets_take(struct sockets *s, const struct addr *a);
int sockets_take_command(struct sockets *s);
/* Closes what is left, with a word for each. */
void sockets_close(struct sockets *s);

#endif
