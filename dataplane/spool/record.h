/* SPDX-License-Identifier: BSD-2-Clause
 *
 * record.h - one message's record: written, checked, read.
 *
 * Private to the spool. Pure functions over bytes, any thread. Nothing here
 * trusts a length that it has not checked.
 */
#ifndef SPOOL_RECORD_H
#define SPOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spool/format.h"
#include "spool/spool.h"

/* The 64 bytes in front of a message. */
struct record_header {
	uint32_t segment;
	uint32_t tag; /* of the segment file: no other can know it */
	uint32_t commit_back_div8; /* to the first byte of its commit */
	uint32_t flags;
	uint32_t envelope_bytes;
	uint64_t id;
	uint64_t content_bytes;
	uint64_t content_xxh3;
	uint64_t envelope_xxh3;
};

/* Where the pieces of an encoded envelope go, in order. */
typedef void envelope_sink_fn(void *user, const void *data, size_t len);

/* Encoded size; -EINVAL, -EMSGSIZE (see spool_message_begin()). */
int envelope_size(const struct envelope *env, uint32_t *bytes);
void envelope_encode(const struct envelope *env, envelope_sink_fn *sink,
		     void *user);
/* `out` points into `data`. -EBADMSG; -EMSGSIZE: `rcpts` is too short. */
int envelope_decode(const uint8_t *data, uint32_t len, struct envelope *out,
		    struct envelope_rcpt *rcpts, uint32_t rcpts_max);
/* Identifies a message wherever it lies: envelope without the origin's queue
 * id (which changes when a queue is repaired), arrival, content. */
uint64_t envelope_digest(const uint8_t *data, uint32_t len,
			 uint64_t content_xxh3);

void record_header_write(uint8_t out[RECORD_HEADER_BYTES],
			 const struct record_header *h);
/* False: no header, or damaged. */
bool record_header_read(const uint8_t in[RECORD_HEADER_BYTES],
			struct record_header *out);
static inline uint64_t record_header_total(const struct record_header *h)
{
	return record_bytes(h->envelope_bytes, h->content_bytes);
}
void record_trailer_write(uint8_t out[RECORD_TRAILER_BYTES],
			  const struct record_header *h);
bool record_trailer_matches(const uint8_t in[RECORD_TRAILER_BYTES],
			    const struct record_header *h);

#endif
