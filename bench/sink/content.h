/* SPDX-License-Identifier: BSD-2-Clause
 *
 * content.h - what follows 354: unstuffs, digests and judges it.
 *
 * PURE. Fed with what recv() gave, split anywhere. A line ends with CRLF only,
 * so that a bare LF can never smuggle a second message in. One owner.
 */
#ifndef SLUICE_BENCH_CONTENT_H
#define SLUICE_BENCH_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"

#define CONTENT_HEAD_BYTES 4096

struct XXH3_state_s;

struct content {
	struct XXH3_state_s *hash;
	uint64_t bytes;    /* unstuffed, so far */
	uint64_t cr, crlf; /* CRs seen; CRLFs seen */
	uint64_t bare_lf;
	uint64_t missing_stuffing; /* lines ".x": one dot where two should be */
	uint8_t state;
	bool waiting; /* for it; the head gathers */
	uint32_t head_len;
	char head[CONTENT_HEAD_BYTES]; /* the first bytes, unstuffed */
};

void content_init(struct content *c);
void content_fini(struct content *c);
/* Before each message. `below_trace`: what other MTAs put on top, up to 4 KiB
 * of it, is no part of the digest. */
void content_start(struct content *c, bool below_trace);
/* Bytes taken; fewer than `len` only when the final dot was found, which is
 * what *ended says. */
size_t content_feed(struct content *c, const char *data, size_t len,
		    bool *ended);
/* Bytes of BDAT: nothing is stuffed, nothing ends them. */
void content_feed_raw(struct content *c, const char *data, size_t len);
/* Valid once it has ended. */
struct digest content_digest(struct content *c);
uint64_t content_bare_cr(const struct content *c);
/* Seed and index of the MESSAGE_HEADER line in the head; false if none. */
bool content_id(const struct content *c, uint64_t *seed, uint64_t *index);

#endif
