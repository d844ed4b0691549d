/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_server.h - takes mail over SMTP from hosts that may relay.
 *
 * Role: worker, on the thread that also plays spool. ESMTP with PIPELINING,
 * SIZE, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, CHUNKING and DSN, XCLIENT and
 * XFORWARD from hosts in `trust`; no STARTTLS and no AUTH: who may relay is
 * decided by client address (or what a trusted host says of it), everybody
 * else gets 550 5.7.1 at RCPT. 250 to a message means durable. Content is
 * stored as it came below one Received: line. Strict: a line ends with CRLF
 * only; content with a bare CR or LF is refused with 550 5.6.11 (the code that
 * Exchange uses for it) after its end, which only CRLF.CRLF is, or repaired
 * with `bare_newline: normalise`.
 * Bound: `sessions_max` sessions, each with SMTP_SESSION_BYTES of buffers
 * (memory is touched only as it is used).
 */
#ifndef SLUICE_INTAKE_SMTP_SERVER_H
#define SLUICE_INTAKE_SMTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/config.h"
#include "sluice/err.h"

struct io;
struct smtp_server;
struct spool;
struct spool_stored;

#define SMTP_SESSION_BYTES (96u << 10)

struct smtp_server_options {
	const char *host;      /* greeting and Received:; copied */
	uint32_t sessions_max; /* of all: 1000 if 0; more get 421 */
	/* For listeners whose config says 0: */
	uint32_t rcpts_max;  /* per message: 1000 if 0; more get 452 4.5.3 */
	uint32_t errors_max; /* per session: 20 if 0; then 421 */
	uint64_t timeout_ns; /* for a command: 5 minutes if 0; then 421 */
	uint64_t session_ns; /* for a session: 4 hours if 0; then 421 */
};

struct smtp_server_ops {
	/* A message came to custody, durably; before its 250 is sent. */
	void (*stored)(void *user, const struct spool_stored *m);
};

int smtp_server_create(struct smtp_server **out, struct io *io,
		       struct spool *sp, const struct smtp_server_options *o,
		       const struct smtp_server_ops *ops, void *user);
/* Only when smtp_server_idle(), or after both io and spool were closed. */
void smtp_server_destroy(struct smtp_server **s);
/* Binds and listens; `l` must stay. -EINVAL: allows the whole Internet. */
int smtp_server_listen(struct smtp_server *s, const struct config_listen *l,
		       struct err *e);
/* The same on a socket that listens already; it is the server's from then on,
 * also after an error. */
int smtp_server_listen_on(struct smtp_server *s, const struct config_listen *l,
			  int fd, struct err *e);
/* What `l` says has changed: it counts from each session's next command on. */
void smtp_server_changed(struct smtp_server *s, const struct config_listen *l);
/* Room for more sessions in all (-ENOMEM), then how many there may be. */
int smtp_server_room(struct smtp_server *s, uint32_t sessions_max);
void smtp_server_sessions_set(struct smtp_server *s, uint32_t sessions_max);
/* Accepts no more there; sessions that came in by it go on, so `l` must stay
 * still. */
void smtp_server_unlisten(struct smtp_server *s, const struct config_listen *l);
/* Binds and listens: a descriptor, or -errno with a sentence. */
int smtp_server_socket(const struct addr *a, struct err *e);
/* Once per loop turn, before spool_step(); not from within a callback of the
 * spool. */
void smtp_server_step(struct smtp_server *s);
/* Accepts no more; sessions end with 421 when their message is through. */
void smtp_server_stop(struct smtp_server *s);
bool smtp_server_idle(const struct smtp_server *s);
/* The port that listener `number` got (for port 0). */
uint16_t smtp_server_port(const struct smtp_server *s, uint32_t number);

struct smtp_server_stats {
	uint64_t sessions, refused_sessions, messages, bytes, rejected;
	uint32_t sessions_now;
};
void smtp_server_stats(const struct smtp_server *s,
		       struct smtp_server_stats *out);

#endif
