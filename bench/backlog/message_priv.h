/* SPDX-License-Identifier: BSD-2-Clause
 *
 * message_priv.h - shared by the files of the generator only.
 */
#ifndef SLUICE_BENCH_MESSAGE_PRIV_H
#define SLUICE_BENCH_MESSAGE_PRIV_H

#include "backlog/message.h"
#include "common/random.h"

#define POOL_LINES 4096

/* Lines of text, made once: bodies are runs of them. */
struct text_pool {
	struct buffer text;             /* lines with CRLF */
	uint32_t start[POOL_LINES + 1]; /* of each line in `text` */
};

struct message_generator {
	struct message_options options;
	const struct profile *profile;
	struct text_pool ascii;
	struct text_pool utf8;
};

void text_pool_init(struct text_pool *p, uint64_t seed, bool utf8);
void text_pool_fini(struct text_pool *p);
/* Who it is from, for whom, when, and which traits it has. */
void envelope_make(const struct message_generator *g, struct random_state *r,
		   struct message *m);
void headers_make(const struct message_generator *g, struct random_state *r,
		  struct message *m);
/* Adds the empty line and a body until the content has `size_bytes`. */
void body_make(const struct message_generator *g, struct random_state *r,
	       struct message *m, uint64_t size_bytes);

#endif
