/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_out.h - one SMTP connection of `sluice export smtp`.
 *
 * A state machine behind poll(): commands, replies, content. It speaks to a
 * host that the operator names, without TLS and without AUTH; pipelined when
 * that is offered. One thread; nothing here waits.
 * Bound: SMTP_OUT_RCPTS recipients per transaction, one buffer each way.
 */
#ifndef SLUICE_CLI_SMTP_OUT_H
#define SLUICE_CLI_SMTP_OUT_H

#include <netdb.h>
#include <xxhash.h>

#include "export.h"

#define SMTP_OUT_RCPTS       100
#define SMTP_OUT_REPLY_BYTES 512

enum smtp_out_result {
	SMTP_OUT_ACCEPTED, /* 250 to the final dot */
	SMTP_OUT_REFUSED,
	SMTP_OUT_UNSENT, /* the connection failed before the final dot */
	SMTP_OUT_DOUBT   /* and after it, without an answer */
};

enum smtp_out_state {
	SMTP_OUT_CLOSED,
	SMTP_OUT_CONNECTING,
	SMTP_OUT_GREETING,
	SMTP_OUT_EHLO,
	SMTP_OUT_HELO,
	SMTP_OUT_IDLE,
	SMTP_OUT_ENVELOPE, /* MAIL, RCPTs, DATA */
	SMTP_OUT_CONTENT,
	SMTP_OUT_FINAL, /* the final dot is on its way, or sent */
	SMTP_OUT_RSET
};

struct smtp_out {
	int fd;
	enum smtp_out_state state;
	const char *helo;
	/* One per recipient of a message, then `done`. */
	void (*result)(void *user, struct export_message *m, uint32_t rcpt,
		       enum smtp_out_result r, const char *reply);
	void (*done)(void *user, struct export_message *m);
	void *user;
	uint64_t deadline_ns;
	bool pipelining, utf8, eight_bit, dsn;
	uint64_t size_max;              /* 0 = not told */
	char why[SMTP_OUT_REPLY_BYTES]; /* it closed, or was refused */

	struct export_message *message; /* NULL = none under way */
	uint32_t from, count;           /* recipients of this transaction */
	uint32_t said, heard;           /* commands of it */
	bool accepted[SMTP_OUT_RCPTS];
	uint32_t accepted_count;
	char refusal[SMTP_OUT_REPLY_BYTES]; /* of MAIL; "" = none */
	uint64_t content_at;
	bool line_start, last_cr;
	XXH3_state_t *sum;

	char reply[SMTP_OUT_REPLY_BYTES]; /* all lines, a blank between */
	size_t in_len, out_at, out_len;
	char in[8192];
	char out[131072 + 16];
	char piece[65536];
};

/* Starts to connect. `helo`: our name. -errno. */
int smtp_out_open(struct smtp_out *c, const struct addrinfo *to,
		  const char *helo);
/* What was under way is unsent, or in doubt. */
void smtp_out_close(struct smtp_out *c, const char *why);
/* Only when SMTP_OUT_IDLE. */
void smtp_out_send(struct smtp_out *c, struct export_message *m);
short smtp_out_events(const struct smtp_out *c);
void smtp_out_step(struct smtp_out *c, short events, uint64_t now_ns);

/* RFC 5321, 4.5.3.2 */
#define SMTP_OUT_CONNECT_NS (30 * NS_PER_S)
#define SMTP_OUT_COMMAND_NS (300 * NS_PER_S)
#define SMTP_OUT_FINAL_NS   (600 * NS_PER_S)

/* smtp_out.c, for smtp_out_io.c: a whole reply is here; commands that may be
 * said now; content that may; how long to wait for what comes next. */
void smtp_out_reply(struct smtp_out *c, int code);
void smtp_out_say(struct smtp_out *c);
void smtp_out_more(struct smtp_out *c);
void smtp_out_wait(struct smtp_out *c, uint64_t for_ns);

/* smtp_out_text.c: commands and content into the buffer. */
void smtp_out_command(struct smtp_out *c, uint32_t number);
/* False: the message cannot go to this host, `why` says it as a reply. */
bool smtp_out_may(const struct smtp_out *c, const struct export_message *m,
		  char why[SMTP_OUT_REPLY_BYTES]);
/* More content; 1 when all of it, with the final dot, is in the buffer.
 * -errno; -EBADMSG: its checksum is wrong. */
int smtp_out_content(struct smtp_out *c);
void smtp_out_extension(struct smtp_out *c, const char *line);

#endif
