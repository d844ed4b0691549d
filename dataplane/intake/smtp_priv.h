/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_priv.h - shared by the files of the SMTP server only.
 *
 * smtp_server.c listens and keeps the sessions, smtp_session.c moves bytes,
 * smtp_commands.c answers commands, smtp_content.c takes content.
 */
#ifndef SLUICE_INTAKE_SMTP_PRIV_H
#define SLUICE_INTAKE_SMTP_PRIV_H

#include "intake/envelope_build.h"
#include "intake/smtp_server.h"
#include "io/io.h"
#include "sluice/domain.h"
#include "smtp/command_parse.h"
#include "smtp/stuffing.h"
#include "spool/spool.h"

#define SMTP_SERVER_MAGIC  0x534d5453u
#define SMTP_SESSION_MAGIC 0x534d5445u
#define SMTP_LISTENS_MAX   16u
#define SMTP_HOST_BYTES    256u
#define SMTP_IN_BYTES      (32u << 10)
#define SMTP_OUT_BYTES     (4u << 10)
#define SMTP_REPLY_MAX     640u /* longest reply, EHLO's */

enum smtp_state {
	SMTP_STATE_START, /* before EHLO or HELO */
	SMTP_STATE_READY, /* no message */
	SMTP_STATE_MAIL,  /* sender given */
	SMTP_STATE_RCPT,  /* a recipient accepted */
	SMTP_STATE_OPEN,  /* DATA came: waits for room in the spool */
	SMTP_STATE_CONTENT,
	SMTP_STATE_DISCARD, /* content of a message already refused */
	SMTP_STATE_COMMIT,  /* waits until the message is durable */
	SMTP_STATE_CLOSING, /* the last reply is on its way */
	SMTP_STATES
};

/* Two buffers: one is filled while the other is being sent. */
struct smtp_out {
	uint32_t used[2];
	uint8_t filling;
	bool sending;
	char data[2][SMTP_OUT_BYTES];
};

struct smtp_session {
	uint32_t magic;
	uint8_t state; /* enum smtp_state */
	bool esmtp;
	bool may_relay;
	bool receiving;  /* recv is in flight */
	bool committing; /* the spool owes us `done` */
	bool dead;       /* closed; waits for its operations */
	bool held;       /* `span` or the end waits for the spool */
	bool ended;      /* the final dot has come */
	uint32_t errors;
	struct smtp_server *server;
	struct smtp_session *next_free;
	const struct config_listen *listen;
	int fd;
	struct addr client;
	uint64_t heard_ns; /* last byte from the client */
	struct io_op recv, send;
	struct io_timer timer;
	struct msghdr recv_msg;
	struct iovec recv_iov;
	struct envelope_build build;
	uint64_t size_told; /* MAIL's SIZE= */
	struct spool_message *message;
	struct smtp_unstuffer unstuffer;
	struct smtp_scan scan;
	const char *span; /* held content: in `in`, or static */
	size_t span_len;
	struct smtp_complaint refusal; /* of the content being discarded */
	uint32_t in_at, in_len;        /* not yet consumed: in[in_at..in_len) */
	char helo[DOMAIN_BYTES];
	struct smtp_out out;
	char in[SMTP_IN_BYTES];
};

struct smtp_listener {
	struct smtp_server *server;
	const struct config_listen *config;
	struct io_op accept;
	struct io_timer again;
	bool accepting;
	int fd;
};

struct smtp_server {
	uint32_t magic;
	struct io *io;
	struct spool *sp;
	struct smtp_server_ops ops;
	void *user;
	struct smtp_server_options opt;
	char host[SMTP_HOST_BYTES];
	struct smtp_listener listeners[SMTP_LISTENS_MAX];
	uint32_t listener_count;
	struct smtp_session **sessions; /* made when first needed, then kept */
	uint32_t session_count;         /* made */
	struct smtp_session *free;
	bool stopping;
	uint64_t progress_ns; /* the spool last took something of ours */
	struct smtp_server_stats stats;
};

/* smtp_session.c */
void smtp_session_start(struct smtp_session *s, int fd, const struct addr *peer,
			const struct config_listen *l);
/* Consumes input as far as the state and the buffers allow, then sends what
 * was answered and receives more. */
void smtp_session_run(struct smtp_session *s);
void smtp_session_end(struct smtp_session *s);
/* Frees a dead session once nothing of it is in flight. */
void smtp_session_reap(struct smtp_session *s);
/* One line, CRLF is added. The caller checked smtp_out_room(). */
void smtp_reply(struct smtp_session *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void smtp_complain(struct smtp_session *s, const struct smtp_complaint *c);
/* Last words, then the connection is closed. */
void smtp_goodbye(struct smtp_session *s, const char *line);

/* smtp_commands.c */
void smtp_command_line(struct smtp_session *s, const char *line, size_t len);
void smtp_message_reset(struct smtp_session *s);

/* smtp_content.c: return false when they have to wait for the spool */
bool smtp_content_open(struct smtp_session *s);
bool smtp_content_take(struct smtp_session *s);
void smtp_content_give_up(struct smtp_session *s);

/* smtp_server.c */
void smtp_session_release(struct smtp_session *s);

#endif
