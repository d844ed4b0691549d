/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope_build.h - fills a struct envelope piece by piece.
 *
 * Used by every reader of this room and by the SMTP server. Text is copied
 * into chunks that never move, so a struct text stays valid until reset or
 * fini. One owner thread.
 * Bound: `text_max` bytes of text and ENVELOPE_RCPTS_MAX recipients. The first
 * chunk and 64 recipients are allocated by init and kept; only a message with
 * more than that allocates, and reset gives the further chunks back.
 * Errors: -ENOMEM, -E2BIG (a bound was passed).
 */
#ifndef SLUICE_INTAKE_ENVELOPE_BUILD_H
#define SLUICE_INTAKE_ENVELOPE_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "sluice/envelope.h"

#define ENVELOPE_TEXT_MAX (64u << 20)

struct envelope_chunk;

struct envelope_build {
	uint32_t magic;
	uint32_t rcpts_cap;
	uint64_t text_used; /* in all chunks */
	uint64_t text_max;
	struct envelope_chunk *first; /* kept over resets */
	struct envelope_chunk *last;  /* the one being filled */
	struct envelope_rcpt *rcpts;
	struct envelope env; /* env.rcpts is set as they are added */
};

int envelope_build_init(struct envelope_build *b, uint64_t text_max);
void envelope_build_fini(struct envelope_build *b);
/* Empties it; all texts handed out before become invalid. */
void envelope_build_reset(struct envelope_build *b);
/* Room for up to `len` bytes; envelope_build_commit() keeps `used` of them. */
int envelope_build_reserve(struct envelope_build *b, size_t len, char **out);
void envelope_build_commit(struct envelope_build *b, size_t used);
/* A copy of `data`. */
int envelope_build_text(struct envelope_build *b, const char *data, size_t len,
			struct text *out);
/* A recipient's address as the queue wants it: local part as written, domain
 * as its lower-case A-label. -EINVAL: no domain name. */
int envelope_build_address(struct envelope_build *b, const struct text *local,
			   const struct text *domain, struct text *out);
/* `r`'s texts must be this builder's. */
int envelope_build_rcpt(struct envelope_build *b,
			const struct envelope_rcpt *r);

#endif
