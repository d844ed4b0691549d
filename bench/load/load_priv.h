/* SPDX-License-Identifier: BSD-2-Clause
 *
 * load_priv.h - shared by the files of the load client only.
 */
#ifndef SLUICE_BENCH_LOAD_PRIV_H
#define SLUICE_BENCH_LOAD_PRIV_H

#include "backlog/message.h"
#include "common/buffer.h"
#include "io/io.h"
#include "load/load.h"

#define LOAD_TEMPLATES  256
#define LOAD_EXPECT_MAX 8
#define LOAD_LINE_BYTES 256 /* of a reply line; the rest is skipped */

struct load_template {
	struct buffer group;       /* MAIL, RCPT, DATA */
	size_t mail_len, rcpt_len; /* parts of it */
	struct buffer content;     /* with the final dot */
	size_t content_bytes;      /* without */
	size_t digits_at;          /* of the index in the bench header */
	char sender[MESSAGE_ADDRESS_BYTES];
	char rcpt[MESSAGE_ADDRESS_BYTES];
};

enum load_expect {
	EXPECT_GREETING,
	EXPECT_EHLO,
	EXPECT_MAIL,
	EXPECT_RCPT,
	EXPECT_DATA,
	EXPECT_EOM,
	EXPECT_RSET,
	EXPECT_QUIT
};

struct load_session {
	uint32_t magic;
	struct load *load;
	int fd;
	bool open, sending, recv_on, quitting, refused;
	bool pipelining; /* offered */
	uint8_t expect[LOAD_EXPECT_MAX];
	uint32_t expect_count;
	uint32_t done_here;         /* messages on this connection */
	uint64_t index, next_index; /* the message in flight, the one after */
	bool busy, next_busy;       /* those are valid */
	uint64_t dot_ns;            /* when the final dot was queued */
	struct buffer out, flying;
	char line[LOAD_LINE_BYTES];
	uint32_t line_len;
	struct io_op connect, recv, send;
};

struct load {
	const struct load_options *options;
	struct load_result result;
	struct io *io;
	struct load_template *templates;
	uint32_t template_count;
	struct load_session *sessions;
	uint32_t sessions_open;
	uint64_t taken; /* messages handed out */
	uint64_t first_ns, last_ns, progress_ns;
	uint32_t *latency_us; /* of each accepted message */
	int error;            /* ends the run */
};

/* templates.c */
void load_templates_make(struct load *l);
void load_templates_destroy(struct load *l);
const struct load_template *load_template_of(const struct load *l,
					     uint64_t index);
/* Adds the content of message `index` with the final dot. */
void load_content_add(struct load *l, uint64_t index, struct buffer *out);
/* session.c */
int load_session_start(struct load_session *s);
void load_session_flush(struct load_session *s);
void load_session_end(struct load_session *s);
/* dialogue.c */
void load_receive(struct load_session *s, const char *data, size_t len);
void load_lost(struct load_session *s);

#endif
