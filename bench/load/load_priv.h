/* SPDX-License-Identifier: BSD-2-Clause
 *
 * load_priv.h - shared by the files of the load client only.
 */
#ifndef SLUICE_BENCH_LOAD_PRIV_H
#define SLUICE_BENCH_LOAD_PRIV_H

#include "backlog/message.h"
#include "common/buffer.h"
#include "common/digest.h"
#include "io/io.h"
#include "load/load.h"

#define LOAD_TEMPLATES  256
#define LOAD_EXPECT_MAX (2 * MESSAGE_RCPTS_MAX + 8)
#define LOAD_LINE_BYTES 256 /* of a reply line; the rest is skipped */

/* A message as it goes over the wire. */
struct load_template {
	struct buffer group; /* MAIL, each RCPT, DATA */
	uint32_t rcpt_count;
	size_t ends[MESSAGE_RCPTS_MAX + 1]; /* in it: of MAIL, of each RCPT */
	struct buffer content;              /* stuffed, with the final dot */
	size_t content_bytes;               /* neither */
	size_t header_at;                   /* where the bench header begins */
	size_t digits_at;     /* the index in it; nothing before is stuffed */
	struct digest digest; /* of mixed mail: as the ledger wants it */
	char sender[MESSAGE_ADDRESS_BYTES];
	char rcpts[MESSAGE_RCPTS_MAX][MESSAGE_ADDRESS_BYTES];
};

/* What the server offered in its answer to EHLO. */
enum load_offer {
	LOAD_OFFERS_PIPELINING = 1,
	LOAD_OFFERS_8BITMIME = 2,
	LOAD_OFFERS_SIZE = 4
};

/* A message under way in a session. */
struct load_turn {
	bool busy; /* the rest is valid */
	uint64_t index, due_ns;
	const struct load_template *message;
	struct load_template own; /* mixed mail: the message itself */
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
	bool idle;       /* waits for the next message to be due */
	uint32_t offers; /* enum load_offer */
	uint8_t expect[LOAD_EXPECT_MAX];
	uint32_t expect_count;
	uint32_t done_here;           /* messages on this connection */
	struct load_turn turns[2];    /* the message in flight, the one after */
	struct load_turn *now, *next; /* in turns */
	uint32_t rcpts_asked, rcpts_good; /* of the message in flight */
	uint64_t dot_ns;                  /* when the final dot was queued */
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
	struct message_generator *generator; /* of mixed mail */
	struct profile *profile;
	struct message scratch;
	struct pace_bucket bucket; /* when the next message is due */
	struct io_timer due_timer;
	uint32_t idle_count;
	struct load_session *sessions;
	uint32_t sessions_open;
	uint64_t taken; /* messages handed out */
	uint64_t first_ns, last_ns, progress_ns;
	uint32_t *latency_us; /* of each accepted message */
	int error;            /* ends the run */
};

/* templates.c */
int load_templates_make(struct load *l, struct err *e);
void load_templates_destroy(struct load *l);
/* Makes turn->message that of turn->index. */
void load_message_set(struct load *l, struct load_turn *turn, uint32_t offers);
void load_template_fini(struct load_template *t);
/* Adds the content with the final dot; notes it in the ledger. */
void load_content_add(struct load *l, const struct load_turn *turn,
		      struct buffer *out);
/* schedule.c: takes the next message; false = none is left, or due. */
bool load_turn_take(struct load_session *s, struct load_turn *turn);
/* Nothing is due now: the session is called when something is. */
void load_session_idle(struct load_session *s);
bool load_is_over(const struct load *l);
void load_schedule_init(struct load *l);
/* session.c */
int load_session_start(struct load_session *s);
void load_session_flush(struct load_session *s);
void load_session_end(struct load_session *s);
/* dialogue.c */
void load_receive(struct load_session *s, const char *data, size_t len);
void load_lost(struct load_session *s);
/* A message may be due: begins it. */
void load_session_next(struct load_session *s);

#endif
