/* SPDX-License-Identifier: BSD-2-Clause
 *
 * message.h - the generator: message number I of seed S, always the same.
 *
 * A message depends on the generator's options, the seed and its number only,
 * never on what was made before it, so that two backlogs with neighbouring
 * --first-index fit together. Content has CRLF line ends, is not dot-stuffed
 * and starts with the first header byte. Reading is thread-safe, each
 * `struct message` has one owner.
 */
#ifndef SLUICE_BENCH_MESSAGE_H
#define SLUICE_BENCH_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "backlog/profile.h"
#include "common/buffer.h"

#define MESSAGE_RCPTS_MAX     20
#define MESSAGE_DONE_MAX      3
#define MESSAGE_ADDRESS_BYTES 320
#define MESSAGE_HEADER        "X-Sluice-Bench: "

enum message_trait {
	MESSAGE_8BIT = 1,
	MESSAGE_DOTS = 2,       /* lines that start with a dot */
	MESSAGE_LONG_LINES = 4, /* over 998 bytes, some over 2048 */
	MESSAGE_NO_NEWLINE = 8, /* the last line has no end */
	MESSAGE_HEADERS_ONLY = 16,
	MESSAGE_LOCAL = 32,     /* came from sendmail(1), not by SMTP */
	MESSAGE_RCPTS_LAST = 64 /* sendmail -t: recipients after content */
};

struct message_options {
	uint64_t seed;
	uint64_t size_bytes; /* mean, headers included */
	bool size_fixed;     /* every message exactly size_bytes */
	bool plain;          /* one recipient, no unusual content */
	bool with_body;    /* never headers only: some MTAs add an empty line */
	uint32_t now_s;    /* arrivals lie in the hours before */
	uint32_t spread_s; /* that many seconds before; 0 = all now */
};

struct message {
	uint64_t index;
	uint32_t traits; /* enum message_trait */
	uint32_t arrival_s;
	uint32_t arrival_us;
	uint32_t client; /* host number of the submitting client */
	uint32_t rcpt_count;
	uint32_t done_count;
	char account[64];                   /* SASL user; "" = none */
	char sender[MESSAGE_ADDRESS_BYTES]; /* "" = the null sender */
	char rcpts[MESSAGE_RCPTS_MAX][MESSAGE_ADDRESS_BYTES];
	/* recipients that a Postfix queue marks as delivered before */
	char done[MESSAGE_DONE_MAX][MESSAGE_ADDRESS_BYTES];
	struct buffer content;
};

struct message_generator;

/* `p` must live as long as the generator. */
struct message_generator *
message_generator_create(const struct message_options *o,
			 const struct profile *p);
void message_generator_destroy(struct message_generator **g);
/* Fills `m`; its content buffer is reused from call to call. */
void message_make(const struct message_generator *g, uint64_t index,
		  struct message *m);
void message_fini(struct message *m);
/* "<seed>-<index>", index of at least 10 digits: what MESSAGE_HEADER says. */
const char *message_id(uint64_t seed, uint64_t index, char buf[48]);

#endif
