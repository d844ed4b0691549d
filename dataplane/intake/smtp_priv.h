/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_priv.h - shared by the files of the SMTP server only.
 *
 * smtp_server.c listens and keeps the sessions, smtp_session.c moves bytes,
 * smtp_reply.c and smtp_refuse.c say, smtp_time.c ends what takes too long,
 * smtp_commands.c answers commands, smtp_envelope.c those of a message's
 * envelope, smtp_proxy.c those of an MTA in front, smtp_content.c takes
 * content, smtp_trace.c writes and counts Received: lines, smtp_normalise.c
 * repairs line ends where that is wanted.
 */
#ifndef SLUICE_INTAKE_SMTP_PRIV_H
#define SLUICE_INTAKE_SMTP_PRIV_H

#include "intake/envelope_build.h"
#include "intake/smtp_normalise.h"
#include "intake/smtp_server.h"
#include "intake/smtp_trace.h"
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
#define SMTP_REPLY_MAX     768u        /* longest reply, EHLO's */
#define SMTP_PIECE_BYTES   (4u << 10)  /* of content that is repaired */
#define SMTP_SKIP_BYTES    (64u << 10) /* of a command line that is too long */
#define SMTP_REFUSALS_MAX  64u         /* sessions that only say 421 */
#define SMTP_LINGER_NS     (3000000000ULL)
#define SMTP_LINGER_BYTES  (4u << 20)
#define SMTP_STOP_NS       (10000000000ULL) /* at shutdown, for content */
#define SMTP_RATE_MIN_BPS  500u             /* of content, as Postfix has it */
#define SMTP_JUNK_MAX      100u /* commands that get a message no further */
#define SMTP_HOPS_MAX      100u /* Received: lines that it may have */

/* In the first five a command line comes next. */
enum smtp_state {
	SMTP_STATE_START, /* before EHLO or HELO */
	SMTP_STATE_READY, /* no message */
	SMTP_STATE_MAIL,  /* sender given */
	SMTP_STATE_RCPT,  /* a recipient accepted */
	SMTP_STATE_BDAT,  /* between two chunks */
	SMTP_STATE_OPEN,  /* DATA or BDAT came: waits for room in the spool */
	SMTP_STATE_CONTENT,
	SMTP_STATE_DISCARD, /* content of a message already refused */
	SMTP_STATE_COMMIT,  /* waits until the message is durable */
	SMTP_STATE_CLOSING, /* the last reply is on its way */
	SMTP_STATE_LINGER,  /* it is sent: reads on until the client closes */
	SMTP_STATES
};

/* Two buffers: one is filled while the other is being sent. */
struct smtp_out {
	uint32_t used[2];
	uint8_t filling;
	bool sending;
	char data[2][SMTP_OUT_BYTES];
};

/* Decoded; empty = not told. */
struct smtp_attributes {
	char text[SMTP_ATTRIBUTES][SMTP_ATTRIBUTE_BYTES];
};

/* Where content comes from and how far it is. */
struct smtp_content {
	bool chunked;        /* BDAT, not DATA */
	bool last;           /* this chunk ends the message */
	bool ended;          /* the final dot, or the chunk's end, has come */
	bool held;           /* `span` or the end waits for the spool */
	uint8_t resume;      /* state after a chunk that was discarded */
	uint64_t chunk_left; /* bytes of this chunk still to come */
	uint64_t chunk_bytes;
	const char *span; /* held content: in `in`, `repaired`, or static */
	size_t span_len;
	struct smtp_unstuffer unstuffer;
	struct smtp_scan scan;
	struct smtp_hops hops;
	struct smtp_normaliser normaliser;
	struct smtp_complaint refusal; /* of what is being discarded */
	char repaired[2 * SMTP_PIECE_BYTES + 2];
};

struct smtp_limits {
	uint32_t sessions, sessions_per_client, messages, rcpts, errors;
	uint64_t size_bytes, timeout_ns, session_ns;
	bool normalise;
};

struct smtp_session {
	uint32_t magic;
	uint8_t state; /* enum smtp_state */
	bool esmtp;
	bool trusted; /* may say XCLIENT and XFORWARD */
	bool may_relay;
	bool receiving;  /* recv is in flight */
	bool committing; /* the spool owes us `done` */
	bool dead;       /* closed; waits for its operations */
	bool skipping;   /* the rest of a line that is too long */
	bool refused;    /* never was a session: one too many */
	uint32_t errors, junk, messages;
	uint32_t rcpts_over; /* refused in this message: too many */
	uint32_t skipped;    /* bytes, see `skipping` */
	uint32_t lingered;   /* bytes */
	struct smtp_server *server;
	struct smtp_session *next_free;
	struct smtp_listener *listener;
	int fd;
	struct addr peer;     /* who is connected */
	struct addr client;   /* the same, or whom XCLIENT names */
	uint64_t deadline_ns; /* for what the client has to do now */
	uint64_t end_ns;      /* for the session */
	uint64_t trace;       /* id in the Received: line */
	struct io_op recv, send;
	struct io_timer timer;
	struct msghdr recv_msg;
	struct iovec recv_iov;
	struct envelope_build build;
	struct spool_message *message;
	uint32_t in_at, in_len; /* not yet consumed: in[in_at..in_len) */
	char helo[DOMAIN_BYTES];
	struct smtp_attributes xclient;  /* for the session */
	struct smtp_attributes xforward; /* for the next message */
	struct smtp_content content;
	struct smtp_out out;
	char in[SMTP_IN_BYTES];
};

struct smtp_listener {
	struct smtp_server *server;
	const struct config_listen *config;
	struct smtp_limits limits;
	uint32_t sessions_now;
	struct io_op accept;
	struct io_timer again;
	bool accepting;
	bool closing; /* accepts no more, until its place is free */
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
	uint32_t session_room;
	struct smtp_session *free;
	uint32_t refusing; /* of them only say 421 */
	bool stopping;
	uint64_t next_trace;
	uint64_t progress_ns; /* the spool last took something of ours */
	struct smtp_server_stats stats;
};

static inline const struct smtp_limits *
smtp_limits(const struct smtp_session *s)
{
	return &s->listener->limits;
}

/* smtp_session.c */
/* `refusal`: no session, but this as the only reply; NULL = welcome. */
void smtp_session_start(struct smtp_session *s, int fd, const struct addr *peer,
			struct smtp_listener *l, const char *refusal);
/* Consumes input as far as the state and the buffers allow, then sends what
 * was answered and receives more. */
void smtp_session_run(struct smtp_session *s);
void smtp_session_end(struct smtp_session *s);
/* Frees a dead session once nothing of it is in flight. */
void smtp_session_reap(struct smtp_session *s);

/* smtp_reply.c */
bool smtp_out_room(const struct smtp_session *s);
/* One line, CRLF is added. The caller checked smtp_out_room(). */
void smtp_reply(struct smtp_session *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* smtp_refuse.c */
void smtp_complain(struct smtp_session *s, const struct smtp_complaint *c);
void smtp_complain_as(struct smtp_session *s, uint16_t code, uint16_t subject,
		      uint16_t detail, const char *text);
/* One more mistake of the client; too many end the session. */
void smtp_error_count(struct smtp_session *s);
/* Last words, then the connection is closed. */
void smtp_goodbye(struct smtp_session *s, const char *line);

/* smtp_time.c */
void smtp_time_start(struct smtp_session *s);
/* The client has a whole `timeout` again. */
void smtp_time_renew(struct smtp_session *s);
/* The client has sent content: its time grows with it. */
void smtp_time_earned(struct smtp_session *s, uint32_t bytes);
/* Nothing is left but to close, within `ns`. */
void smtp_time_last(struct smtp_session *s, uint64_t ns);
/* The session ends `ns` from now at the latest. */
void smtp_time_limit(struct smtp_session *s, uint64_t ns);

/* smtp_commands.c */
void smtp_command_line(struct smtp_session *s, const char *line, size_t len);
void smtp_message_reset(struct smtp_session *s);

/* smtp_envelope.c */
void smtp_mail(struct smtp_session *s, const struct smtp_command *c);
void smtp_rcpt(struct smtp_session *s, const struct smtp_command *c);

/* smtp_proxy.c */
void smtp_xclient(struct smtp_session *s, const struct smtp_command *c);
void smtp_xforward(struct smtp_session *s, const struct smtp_command *c);
void smtp_attributes_clear(struct smtp_attributes *a);
/* Who may relay (by address or login) and who is trusted (by address). */
void smtp_rights_set(struct smtp_session *s);
const char *smtp_client_text(const struct smtp_session *s,
			     char buf[ADDR_TEXT_BYTES]);
/* What is known of the client, into the envelope. */
int smtp_client_keep(struct smtp_session *s);

/* smtp_content.c: return false when they have to wait for the spool */
void smtp_data(struct smtp_session *s, const struct smtp_command *c);
void smtp_bdat(struct smtp_session *s, const struct smtp_command *c);
bool smtp_content_open(struct smtp_session *s);
bool smtp_content_take(struct smtp_session *s);
void smtp_content_give_up(struct smtp_session *s);

/* smtp_trace.c: the one line that is added; returns its length. */
#define SMTP_RECEIVED_BYTES 2048u
size_t smtp_received_line(const struct smtp_session *s,
			  char out[SMTP_RECEIVED_BYTES]);

/* smtp_server.c */
void smtp_session_release(struct smtp_session *s);

#endif
