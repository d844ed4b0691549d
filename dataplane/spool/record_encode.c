/* SPDX-License-Identifier: BSD-2-Clause
 *
 * record_encode.c - a message's record, from struct to bytes.
 *
 * Called by message.c, commit.c and stream.c; pure, any thread.
 * Bound: the envelope, ENVELOPE_BYTES_MAX encoded.
 * Errors: -EINVAL, -EMSGSIZE as spool_message_begin() says.
 */
#include <errno.h>
#include <xxhash.h>

#include "sluice/assert.h"
#include "spool/record.h"

#define TEXT_BYTES_MAX UINT16_MAX

/* Domains become names of the journal: short and without a 0. */
static bool domain_fits(const struct text *address)
{
	const char *at = NULL;
	size_t len;

	if (address->len > 0)
		at = memrchr(address->data, '@', address->len);
	if (!at)
		return true;
	len = (size_t)(address->data + address->len - (at + 1));
	return len <= SPOOL_NAME_BYTES_MAX && !memchr(at + 1, 0, len);
}

static bool texts_fit(const struct envelope *env)
{
	return env->sender.len <= TEXT_BYTES_MAX &&
	       env->envid.len <= TEXT_BYTES_MAX &&
	       env->origin.len <= TEXT_BYTES_MAX &&
	       env->client.len <= TEXT_BYTES_MAX &&
	       env->account.len <= TEXT_BYTES_MAX &&
	       env->forwarded.len <= TEXT_BYTES_MAX &&
	       domain_fits(&env->sender);
}

int envelope_size(const struct envelope *env, uint32_t *bytes)
{
	uint64_t sum = ENVELOPE_FIXED_BYTES + ENVELOPE_TAIL_BYTES;
	uint32_t i;

	if (!texts_fit(env))
		return -EINVAL;
	if (env->rcpt_count > ENVELOPE_RCPTS_MAX)
		return -EMSGSIZE;
	sum += env->sender.len + env->envid.len + env->origin.len +
	       env->client.len + env->account.len;
	if (env->forwarded.len > 0)
		sum += ENVELOPE_FORWARDED_FIXED_BYTES + env->forwarded.len;
	for (i = 0; i < env->rcpt_count; i++) {
		const struct envelope_rcpt *r = &env->rcpts[i];

		if (r->address.len > TEXT_BYTES_MAX ||
		    r->orcpt.len > TEXT_BYTES_MAX || !domain_fits(&r->address))
			return -EINVAL;
		sum += ENVELOPE_RCPT_FIXED_BYTES + r->address.len +
		       r->orcpt.len;
	}
	if (sum > ENVELOPE_BYTES_MAX)
		return -EMSGSIZE;
	*bytes = (uint32_t)sum;
	return 0;
}

static void put_text(const struct text *t, envelope_sink_fn *sink, void *user)
{
	if (t->len > 0)
		sink(user, t->data, t->len);
}

static void put_rcpt(const struct envelope_rcpt *r, envelope_sink_fn *sink,
		     void *user)
{
	uint8_t fixed[ENVELOPE_RCPT_FIXED_BYTES];

	put_le16(fixed, (uint16_t)r->address.len);
	put_le16(fixed + 2, (uint16_t)r->orcpt.len);
	fixed[4] = r->notify;
	sink(user, fixed, sizeof(fixed));
	put_text(&r->address, sink, user);
	put_text(&r->orcpt, sink, user);
}

static void put_forwarded(const struct text *t, envelope_sink_fn *sink,
			  void *user)
{
	uint8_t fixed[ENVELOPE_FORWARDED_FIXED_BYTES];

	if (t->len == 0)
		return;
	put_le16(fixed, (uint16_t)t->len);
	sink(user, fixed, sizeof(fixed));
	sink(user, t->data, t->len);
}

void envelope_encode(const struct envelope *env, envelope_sink_fn *sink,
		     void *user)
{
	uint8_t fixed[ENVELOPE_FIXED_BYTES] = {0};
	uint8_t tail[ENVELOPE_TAIL_BYTES];
	uint32_t i;

	put_le32(fixed, env->arrival_s);
	put_le32(fixed + 4, env->rcpt_count);
	fixed[8] = env->body;
	fixed[9] = env->ret;
	fixed[10] = env->smtputf8;
	fixed[11] = env->forwarded.len > 0;
	put_le16(fixed + 12, (uint16_t)env->sender.len);
	put_le16(fixed + 14, (uint16_t)env->envid.len);
	put_le16(fixed + 16, (uint16_t)env->client.len);
	put_le16(fixed + 18, (uint16_t)env->account.len);
	sink(user, fixed, sizeof(fixed));
	put_text(&env->sender, sink, user);
	put_text(&env->envid, sink, user);
	put_text(&env->client, sink, user);
	put_text(&env->account, sink, user);
	for (i = 0; i < env->rcpt_count; i++)
		put_rcpt(&env->rcpts[i], sink, user);
	put_forwarded(&env->forwarded, sink, user);
	/* Last, so that the digest can leave it out. */
	put_text(&env->origin, sink, user);
	put_le16(tail, (uint16_t)env->origin.len);
	sink(user, tail, sizeof(tail));
}

void record_header_write(uint8_t out[RECORD_HEADER_BYTES],
			 const struct record_header *h)
{
	sluice_assert(h->envelope_bytes <= ENVELOPE_BYTES_MAX);
	put_le32(out, RECORD_MAGIC);
	put_le32(out + 4, h->segment);
	put_le64(out + 8, h->id);
	put_le64(out + 16, h->content_bytes);
	put_le64(out + 24, h->content_xxh3);
	put_le64(out + 32, h->envelope_xxh3);
	put_le32(out + 40, h->envelope_bytes);
	put_le32(out + 44, h->flags);
	put_le32(out + 48, h->tag);
	put_le32(out + 52, h->commit_back_div8);
	put_le64(out + 56, XXH3_64bits_withSeed(out, 56, RECORD_MAGIC));
}

void record_trailer_write(uint8_t out[RECORD_TRAILER_BYTES],
			  const struct record_header *h)
{
	put_le64(out, h->content_xxh3);
	put_le32(out + 8, (uint32_t)h->id);
	put_le32(out + 12, RECORD_END_MAGIC);
}
