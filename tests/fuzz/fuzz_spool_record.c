/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_spool_record.c - any bytes as a stored message's record.
 *
 * Each input is tried as it is, then with its hashes made right: otherwise
 * nothing would ever get past them. Whatever decodes must lie within the input
 * and encode to the same envelope again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fuzz.h"
#include "sluice/assert.h"
#include "spool/record.h"

#define RCPTS_MAX 512u

struct encoded {
	uint8_t data[1u << 16];
	size_t len;
};

static void encoded_add(void *user, const void *data, size_t len)
{
	struct encoded *e = user;

	sluice_assert(len <= sizeof(e->data) - e->len);
	memcpy(e->data + e->len, data, len);
	e->len += len;
}

static void within(const uint8_t *data, size_t size, const struct text *t)
{
	const uint8_t *p = (const uint8_t *)t->data;

	sluice_assert(t->len == 0 || (p >= data && p + t->len <= data + size));
}

static void check(const uint8_t *data, size_t size,
		  const struct spool_record *r)
{
	uint64_t head = spool_record_head_bytes(data, size);
	static struct encoded e;
	uint32_t bytes, i;

	sluice_assert(head >= RECORD_HEADER_BYTES && head <= size);
	sluice_assert(r->content_offset == head);
	sluice_assert(r->env.rcpt_count == spool_record_rcpt_count(data, size));
	within(data, size, &r->env.sender);
	within(data, size, &r->env.envid);
	within(data, size, &r->env.client);
	within(data, size, &r->env.account);
	within(data, size, &r->env.origin);
	within(data, size, &r->env.forwarded);
	for (i = 0; i < r->env.rcpt_count; i++) {
		within(data, size, &r->env.rcpts[i].address);
		within(data, size, &r->env.rcpts[i].orcpt);
	}
	if (envelope_size(&r->env, &bytes))
		return; /* a domain that no writer would have taken */
	e.len = 0;
	envelope_encode(&r->env, encoded_add, &e);
	sluice_assert(e.len == bytes);
	sluice_assert(bytes == head - RECORD_HEADER_BYTES);
	/* All but one byte that is always 0 when we write it. */
	e.data[11] = data[RECORD_HEADER_BYTES + 11];
	sluice_assert(memcmp(e.data, data + RECORD_HEADER_BYTES, bytes) == 0);
}

static void decode(const uint8_t *data, size_t size)
{
	static struct envelope_rcpt rcpts[RCPTS_MAX];
	struct spool_record r = {.id = 42};
	uint32_t count = spool_record_rcpt_count(data, size);
	int res = spool_record_decode(data, size, &r, rcpts, RCPTS_MAX);

	sluice_assert(res == 0 || res == -EBADMSG || res == -EMSGSIZE);
	if (res == 0)
		check(data, size, &r);
	else
		sluice_assert(r.id == 42 && r.env.rcpts == NULL);
	if (res == -EMSGSIZE)
		sluice_assert(count > RCPTS_MAX || count == 0);
}

/* Makes both hashes right for what is there. */
static void hashes_mend(uint8_t *data, size_t size)
{
	uint32_t envelope = get_le32(data + 40);

	if (envelope > size - RECORD_HEADER_BYTES) {
		envelope = (uint32_t)(size - RECORD_HEADER_BYTES);
		put_le32(data + 40, envelope);
	}
	put_le32(data, RECORD_MAGIC);
	put_le64(data + 32, XXH3_64bits(data + RECORD_HEADER_BYTES, envelope));
	put_le64(data + 56, XXH3_64bits_withSeed(data, 56, RECORD_MAGIC));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	decode(data, size);
	if (size < RECORD_HEADER_BYTES || size > 1u << 16)
		return 0;
	copy = malloc(size);
	sluice_assert(copy != NULL);
	memcpy(copy, data, size);
	hashes_mend(copy, size);
	decode(copy, size);
	free(copy);
	return 0;
}

size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	static const uint32_t rcpt_counts[] = {0, 1, 2, 30, 511};
	struct envelope_rcpt rcpts[RCPTS_MAX];
	struct envelope env = {.sender = {"a@example.org", 13},
			       .envid = {"x", 1},
			       .origin = {"4QRS", 4},
			       .client = {"192.0.2.1", 9},
			       .arrival_s = 5,
			       .rcpts = rcpts};
	struct record_header h = {.segment = 1, .tag = 3, .id = 9};
	static struct encoded e;
	uint32_t i;

	if (number >= sizeof(rcpt_counts) / sizeof(rcpt_counts[0]))
		return 0;
	env.rcpt_count = rcpt_counts[number];
	for (i = 0; i < env.rcpt_count; i++)
		rcpts[i] = (struct envelope_rcpt){
			{"bb@example.net", 14}, {"rfc822;b", 8}, 1};
	e.len = 0;
	envelope_encode(&env, encoded_add, &e);
	h.envelope_bytes = (uint32_t)e.len;
	h.envelope_xxh3 = XXH3_64bits(e.data, e.len);
	h.content_bytes = 10;
	sluice_assert(RECORD_HEADER_BYTES + e.len <= max);
	record_header_write(out, &h);
	memcpy(out + RECORD_HEADER_BYTES, e.data, e.len);
	return RECORD_HEADER_BYTES + e.len;
}
