/* SPDX-License-Identifier: BSD-2-Clause
 *
 * record_decode.c - a message's record, from bytes to struct.
 *
 * Called by readers of records (delivery, the command line's fsck), by commit
 * and recovery; pure, any thread. In place: no copies, no allocation.
 * Bound: one pass over header and envelope. Errors: -EBADMSG on anything that
 * is not exactly a record; any bytes may come in (tests/fuzz).
 */
#include <errno.h>
#include <xxhash.h>

#include "sluice/assert.h"
#include "spool/record.h"

_Static_assert(SPOOL_RECORD_HEADER_BYTES == RECORD_HEADER_BYTES,
	       "one header size");

bool record_header_read(const uint8_t in[RECORD_HEADER_BYTES],
			struct record_header *out)
{
	if (get_le32(in) != RECORD_MAGIC)
		return false;
	if (get_le64(in + 56) != XXH3_64bits_withSeed(in, 56, RECORD_MAGIC))
		return false;
	*out = (struct record_header){
		.segment = get_le32(in + 4),
		.id = get_le64(in + 8),
		.content_bytes = get_le64(in + 16),
		.content_xxh3 = get_le64(in + 24),
		.envelope_xxh3 = get_le64(in + 32),
		.envelope_bytes = get_le32(in + 40),
		.flags = get_le32(in + 44),
		.tag = get_le32(in + 48),
		.commit_back_div8 = get_le32(in + 52),
	};
	/* A right hash does not make a length sane. */
	return out->envelope_bytes <= ENVELOPE_BYTES_MAX &&
	       out->envelope_bytes >=
		       ENVELOPE_FIXED_BYTES + ENVELOPE_TAIL_BYTES &&
	       out->content_bytes <= RECORD_CONTENT_BYTES_MAX;
}

bool record_trailer_matches(const uint8_t in[RECORD_TRAILER_BYTES],
			    const struct record_header *h)
{
	return get_le64(in) == h->content_xxh3 &&
	       get_le32(in + 8) == (uint32_t)h->id &&
	       get_le32(in + 12) == RECORD_END_MAGIC;
}

/* Bytes not read yet. */
struct cursor {
	const uint8_t *at;
	uint32_t left;
};

static bool take_text(struct cursor *c, uint32_t len, struct text *out)
{
	if (len > c->left)
		return false;
	out->data = (const char *)c->at;
	out->len = len;
	c->at += len;
	c->left -= len;
	return true;
}

static bool take_rcpt(struct cursor *c, struct envelope_rcpt *out)
{
	uint32_t address, orcpt;

	if (c->left < ENVELOPE_RCPT_FIXED_BYTES)
		return false;
	address = get_le16(c->at);
	orcpt = get_le16(c->at + 2);
	out->notify = c->at[4];
	c->at += ENVELOPE_RCPT_FIXED_BYTES;
	c->left -= ENVELOPE_RCPT_FIXED_BYTES;
	return take_text(c, address, &out->address) &&
	       take_text(c, orcpt, &out->orcpt);
}

static bool take_forwarded(struct cursor *c, struct text *out)
{
	uint32_t len;

	if (c->left < ENVELOPE_FORWARDED_FIXED_BYTES)
		return false;
	len = get_le16(c->at);
	c->at += ENVELOPE_FORWARDED_FIXED_BYTES;
	c->left -= ENVELOPE_FORWARDED_FIXED_BYTES;
	return take_text(c, len, out);
}

static bool take_fixed(struct cursor *c, struct envelope *out)
{
	const uint8_t *fixed = c->at;

	if (c->left < ENVELOPE_FIXED_BYTES)
		return false;
	c->at += ENVELOPE_FIXED_BYTES;
	c->left -= ENVELOPE_FIXED_BYTES;
	out->arrival_s = get_le32(fixed);
	out->rcpt_count = get_le32(fixed + 4);
	out->body = fixed[8];
	out->ret = fixed[9];
	out->smtputf8 = fixed[10];
	return out->rcpt_count <= ENVELOPE_RCPTS_MAX &&
	       take_text(c, get_le16(fixed + 12), &out->sender) &&
	       take_text(c, get_le16(fixed + 14), &out->envid) &&
	       take_text(c, get_le16(fixed + 16), &out->client) &&
	       take_text(c, get_le16(fixed + 18), &out->account);
}

int envelope_decode(const uint8_t *data, uint32_t len, struct envelope *out,
		    struct envelope_rcpt *rcpts, uint32_t rcpts_max)
{
	struct cursor c = {data, len};
	struct envelope env = {0};
	uint32_t i;

	if (len < ENVELOPE_FIXED_BYTES + ENVELOPE_TAIL_BYTES)
		return -EBADMSG;
	c.left -= ENVELOPE_TAIL_BYTES;
	if (!take_fixed(&c, &env))
		return -EBADMSG;
	if (env.rcpt_count > c.left / ENVELOPE_RCPT_FIXED_BYTES)
		return -EBADMSG;
	if (env.rcpt_count > rcpts_max)
		return -EMSGSIZE;
	for (i = 0; i < env.rcpt_count; i++)
		if (!take_rcpt(&c, &rcpts[i]))
			return -EBADMSG;
	if (data[11] > 1 || (data[11] && !take_forwarded(&c, &env.forwarded)))
		return -EBADMSG;
	if (c.left != get_le16(data + len - ENVELOPE_TAIL_BYTES) ||
	    !take_text(&c, c.left, &env.origin))
		return -EBADMSG;
	env.rcpts = rcpts;
	*out = env;
	return 0;
}

uint64_t envelope_digest(const uint8_t *data, uint32_t len,
			 uint64_t content_xxh3)
{
	uint32_t origin;

	sluice_assert(len >= ENVELOPE_FIXED_BYTES + ENVELOPE_TAIL_BYTES);
	origin = get_le16(data + len - ENVELOPE_TAIL_BYTES);
	if (origin > len - ENVELOPE_TAIL_BYTES)
		origin = 0; /* damaged: envelope_decode() says so */
	return XXH3_64bits_withSeed(data, len - ENVELOPE_TAIL_BYTES - origin,
				    content_xxh3);
}

uint64_t spool_record_head_bytes(const void *buf, size_t have)
{
	struct record_header h;

	if (have < RECORD_HEADER_BYTES || !record_header_read(buf, &h))
		return 0;
	return RECORD_HEADER_BYTES + (uint64_t)h.envelope_bytes;
}

uint32_t spool_record_rcpt_count(const void *buf, size_t have)
{
	const uint8_t *envelope = (const uint8_t *)buf + RECORD_HEADER_BYTES;
	struct record_header h;
	uint32_t count;

	if (have < RECORD_HEADER_BYTES + ENVELOPE_FIXED_BYTES ||
	    !record_header_read(buf, &h))
		return 0;
	count = get_le32(envelope + 4);
	/* Never more than could be there: callers allocate by this. */
	if (count > ENVELOPE_RCPTS_MAX ||
	    count > h.envelope_bytes / ENVELOPE_RCPT_FIXED_BYTES)
		return 0;
	return count;
}

int spool_record_decode(const void *buf, size_t have, struct spool_record *out,
			struct envelope_rcpt *rcpts, uint32_t rcpts_max)
{
	const uint8_t *envelope = (const uint8_t *)buf + RECORD_HEADER_BYTES;
	struct record_header h;
	struct envelope env;
	int res;

	if (have < RECORD_HEADER_BYTES || !record_header_read(buf, &h) ||
	    have - RECORD_HEADER_BYTES < h.envelope_bytes)
		return -EBADMSG;
	if (XXH3_64bits(envelope, h.envelope_bytes) != h.envelope_xxh3)
		return -EBADMSG;
	res = envelope_decode(envelope, h.envelope_bytes, &env, rcpts,
			      rcpts_max);
	if (res)
		return res;
	*out = (struct spool_record){
		.id = h.id,
		.flags = h.flags,
		.content_offset =
			RECORD_HEADER_BYTES + (uint64_t)h.envelope_bytes,
		.content_bytes = h.content_bytes,
		.content_xxh3 = h.content_xxh3,
		.env = env,
	};
	return 0;
}

uint32_t spool_hash(const char *data, size_t len)
{
	uint64_t h = XXH3_64bits(data, len);

	return (uint32_t)(h ^ (h >> 32));
}
