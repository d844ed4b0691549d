/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sink_priv.h - shared by the files of the sink only.
 *
 * One thread owns all of it: the one that runs io_step().
 */
#ifndef SLUICE_BENCH_SINK_PRIV_H
#define SLUICE_BENCH_SINK_PRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buffer.h"
#include "io/io.h"
#include "ledger/ledger.h"
#include "sink/content.h"
#include "sink/policy.h"
#include "sluice/addr.h"
#include "sluice/intern.h"
#include "sluice/pace.h"

#define SINK_LISTENERS_MAX 512
#define SINK_RCPTS_MAX     1000 /* in one transaction */
#define SINK_LINE_BYTES    2048 /* of a command */
#define SINK_OUT_BYTES_MAX (8u << 20)
#define SINK_BUCKETS       1024 /* of peers */
#define SINK_NAME          "sink.bench.test"

struct sink_counts {
	uint64_t connections;
	uint64_t messages;          /* accepted with 250 after the final dot */
	uint64_t recipients;        /* of those */
	uint64_t bytes;             /* of their content */
	uint64_t refused;           /* 4xx and 5xx by policy */
	uint64_t first_ns, last_ns; /* of accepted messages; 0 = none */
};

struct sink_protocol_errors {
	uint64_t bare_lf, bare_cr, missing_stuffing;
	uint64_t out_of_order;   /* a command where it is not allowed */
	uint64_t not_waited;     /* sent on before greeting, EHLO or 354 */
	uint64_t syntax;         /* no command, bad path or parameter */
	uint64_t line_too_long;  /* a command over 2 KiB */
	uint64_t cut_in_content; /* connection lost before the final dot */
};

struct sink_listener {
	struct sink *sink;
	struct addr address;
	char name[ADDR_TEXT_BYTES];
	int fd;
	struct io_op accept;
	struct policy policy;
	struct sink_counts counts;
	uint64_t mails; /* MAIL commands, for 421-every */
	uint64_t oddities_done[ODDITY_MAX];
	bool paused; /* out of descriptors: until a connection ends */
};

/* One client address at one listener: what policies remember. */
struct sink_peer {
	struct sink_peer *next; /* in its bucket */
	struct sink_listener *listener;
	struct addr host;
	char name[ADDR_TEXT_BYTES];
	uint32_t id;     /* its place in sink.peers */
	uint32_t number; /* of `host`, over all listeners */
	struct sink_counts counts;
	struct pace_bucket rate;
	uint64_t blocked_until_ns; /* 0 = not blocked */
	uint64_t since_block;      /* messages accepted since the last block */
};

struct sink_arrival {
	uint64_t mail_ns, done_ns; /* monotonic: MAIL read, final dot read */
	uint64_t seed, index;
	uint32_t peer;   /* number in sink.peers */
	uint32_t domain; /* of the first recipient */
	uint32_t rcpts;
	bool known; /* it had a MESSAGE_HEADER */
};

struct sink_rcpt {
	uint64_t hash;
	uint32_t domain;
};

enum sink_state {
	SINK_GREETED = 1, /* waits for EHLO or HELO */
	SINK_READY = 2,
	SINK_MAIL = 4,
	SINK_RCPT = 8,
	SINK_CONTENT = 16,
	SINK_DEAF = 32,  /* whatever comes is thrown away */
	SINK_CHUNK = 64, /* inside of BDAT */
	SINK_BDAT = 128  /* between two chunks */
};

struct sink_connection {
	uint32_t magic;
	struct sink *sink;
	struct sink_peer *peer;
	const struct policy *policy;
	struct sink_connection *next, *prev;
	int fd;
	struct io_op recv;
	struct io_op send;
	struct io_timer timer; /* slow replies; the end of a close */
	enum sink_state state;
	bool recv_done, sending, closing, half_closed, dead;
	bool must_wait;    /* the client has to see a reply first */
	bool close_next;   /* after the replies that are queued */
	bool content_seen; /* of this message */
	bool chunk_last, chunk_refused;
	uint64_t chunk_left;        /* bytes of the chunk still to come */
	const struct oddity *twist; /* changes the next reply */
	uint64_t trickle_ns;        /* between two bytes; 0 = all at once */
	uint64_t mail_ns;
	uint64_t sender_hash;
	struct sink_rcpt *rcpts;
	uint32_t rcpt_count, rcpt_room;
	uint32_t rcpt_asked; /* also refused ones */
	uint32_t line_len;
	char line[SINK_LINE_BYTES];
	struct buffer out;    /* gathers replies */
	struct buffer flying; /* being sent */
	size_t flying_from;   /* byte-by-byte: sent so far */
	struct content content;
};

struct sink {
	struct io *io;
	struct sink_listener listeners[SINK_LISTENERS_MAX];
	uint32_t listener_count;
	struct sink_peer **peers; /* by number of peer, for reports */
	uint32_t peer_count, peer_room, host_count;
	struct sink_peer *buckets[SINK_BUCKETS];
	struct sink_connection *connections;
	struct intern *domains;
	uint64_t *domain_rcpts; /* accepted, by domain number */
	uint32_t domain_room;
	struct ledger *ledger; /* NULL = counts only */
	struct sink_counts counts;
	struct sink_protocol_errors errors;
	bool keep_arrivals;
	bool below_trace; /* compare from the bench header on */
	struct sink_arrival *arrivals;
	uint64_t arrival_count, arrival_room;
	struct sink_triple *triples; /* greylist */
	uint64_t triple_count, triple_room;
	struct io_timer report_timer;
	uint64_t start_ns;
	/* options */
	const char *report_path, *arrivals_path;
	uint64_t report_every_ns, expect, idle_ns;
};

/* listen.c */
int sink_listen(struct sink *s, const char *text, struct err *e);
int sink_accept_start(struct sink *s, struct err *e);
void sink_listen_close(struct sink *s);
/* A descriptor became free: those that ran out of them accept again. */
void sink_accept_resume(struct sink *s);
struct sink_peer *sink_peer_of(struct sink_listener *l, int fd);
/* connection.c */
void sink_connection_open(struct sink_listener *l, int fd);
void sink_connection_close(struct sink_connection *c);
/* The same, so that the client sees a reset. */
void sink_connection_reset(struct sink_connection *c);
void sink_flush(struct sink_connection *c);
/* dialogue.c */
void sink_greet(struct sink_connection *c);
void sink_receive(struct sink_connection *c, const char *data, size_t len);
void sink_transaction_end(struct sink_connection *c);
/* misbehave.c: a reply line (without CRLF) is queued; sink_flush() sends. */
void sink_reply(struct sink_connection *c, const char *text);
void sink_reply_close(struct sink_connection *c, const char *text);
/* What the policy has for this phase. True: go on, the next reply may be
 * changed; false: dealt with. */
bool sink_misbehave(struct sink_connection *c, enum oddity_phase phase);
/* A message was taken, and its client will never hear of it. */
bool sink_took_in_silence(struct sink_connection *c);
/* chunk.c */
void sink_bdat(struct sink_connection *c, const char *args, size_t len);
void sink_chunk_end(struct sink_connection *c);
size_t sink_chunk_receive(struct sink_connection *c, const char *data,
			  size_t len);
/* envelope.c: MAIL and RCPT */
void sink_mail(struct sink_connection *c, const char *args, size_t len);
void sink_rcpt_to(struct sink_connection *c, const char *args, size_t len);
/* judge.c: what the policy says; false = refused, and answered. */
bool sink_judge_greeting(struct sink_connection *c);
bool sink_judge_mail(struct sink_connection *c);
bool sink_judge_rcpt(struct sink_connection *c, const char *rcpt, size_t len);
void sink_refusal_count(struct sink_connection *c);
/* take.c: an accepted message */
void sink_take(struct sink_connection *c);
/* report.c */
int sink_report_write(struct sink *s, bool final, struct err *e);
void sink_report_print(const struct sink *s, FILE *f);
/* verdict.c */
int sink_arrivals_write(const struct sink *s, struct err *e);
void sink_verdict_print(const struct sink *s, FILE *f);
bool sink_verdict_is_clean(const struct sink *s);

#endif
