/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope_build.c - chunks of text and a growing list of recipients.
 *
 * Called by the readers and the SMTP server, on their thread.
 * Bound: text_max bytes, ENVELOPE_RCPTS_MAX recipients.
 * Errors: -ENOMEM, -E2BIG, -EINVAL.
 */
#include "intake/envelope_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/domain.h"

#define BUILD_MAGIC       0x456e7642u
#define CHUNK_FIRST_BYTES (16u << 10)
#define CHUNK_BYTES       (256u << 10)
#define RCPTS_FIRST       64u

struct envelope_chunk {
	struct envelope_chunk *next;
	size_t used, cap;
	char data[];
};

static struct envelope_chunk *chunk_create(size_t cap)
{
	struct envelope_chunk *c = malloc(sizeof(*c) + cap);

	if (c) {
		c->next = NULL;
		c->used = 0;
		c->cap = cap;
	}
	return c;
}

int envelope_build_init(struct envelope_build *b, uint64_t text_max)
{
	struct envelope_chunk *c = chunk_create(CHUNK_FIRST_BYTES);
	struct envelope_rcpt *r = malloc(RCPTS_FIRST * sizeof(*r));

	if (!c || !r) {
		free(c);
		free(r);
		return -ENOMEM;
	}
	*b = (struct envelope_build){
		.magic = BUILD_MAGIC,
		.rcpts_cap = RCPTS_FIRST,
		.text_max = text_max,
		.first = c,
		.last = c,
		.rcpts = r,
	};
	return 0;
}

static void chunks_free(struct envelope_chunk *c)
{
	while (c) {
		struct envelope_chunk *next = c->next;

		free(c);
		c = next;
	}
}

void envelope_build_fini(struct envelope_build *b)
{
	if (!b || !b->magic)
		return;
	MAGIC_CHECK(b, BUILD_MAGIC);
	chunks_free(b->first);
	free(b->rcpts);
	*b = (struct envelope_build){0};
}

void envelope_build_reset(struct envelope_build *b)
{
	MAGIC_CHECK(b, BUILD_MAGIC);
	chunks_free(b->first->next);
	b->first->next = NULL;
	b->first->used = 0;
	b->last = b->first;
	b->text_used = 0;
	/* A list of 100,000 is 4 MiB: not kept for the next small one. */
	if (b->rcpts_cap > RCPTS_FIRST) {
		struct envelope_rcpt *r =
			realloc(b->rcpts, RCPTS_FIRST * sizeof(*r));

		if (r) {
			b->rcpts = r;
			b->rcpts_cap = RCPTS_FIRST;
		}
	}
	b->env = (struct envelope){0};
}

int envelope_build_reserve(struct envelope_build *b, size_t len, char **out)
{
	MAGIC_CHECK(b, BUILD_MAGIC);
	if (len > b->text_max || b->text_used > b->text_max - len)
		return -E2BIG;
	if (b->last->cap - b->last->used < len) {
		size_t cap = len > CHUNK_BYTES ? len : CHUNK_BYTES;
		struct envelope_chunk *c = chunk_create(cap);

		if (!c)
			return -ENOMEM;
		b->last->next = c;
		b->last = c;
	}
	*out = b->last->data + b->last->used;
	return 0;
}

void envelope_build_commit(struct envelope_build *b, size_t used)
{
	sluice_assert(used <= b->last->cap - b->last->used);
	b->last->used += used;
	b->text_used += used;
}

int envelope_build_text(struct envelope_build *b, const char *data, size_t len,
			struct text *out)
{
	char *to;
	int rc;

	if (!len) {
		*out = (struct text){0};
		return 0;
	}
	rc = envelope_build_reserve(b, len, &to);
	if (rc)
		return rc;
	memcpy(to, data, len);
	envelope_build_commit(b, len);
	*out = (struct text){.data = to, .len = (uint32_t)len};
	return 0;
}

int envelope_build_address(struct envelope_build *b, const struct text *local,
			   const struct text *domain, struct text *out)
{
	char name[DOMAIN_BYTES];
	size_t len;
	char *to;
	int rc;

	if (!local->len || !domain->len ||
	    domain_normalise(domain->data, domain->len, name))
		return -EINVAL;
	len = strlen(name);
	rc = envelope_build_reserve(b, local->len + 1 + len, &to);
	if (rc)
		return rc;
	memcpy(to, local->data, local->len);
	to[local->len] = '@';
	memcpy(to + local->len + 1, name, len);
	*out = (struct text){.data = to, .len = local->len + 1 + (uint32_t)len};
	envelope_build_commit(b, out->len);
	return 0;
}

static int rcpts_grow(struct envelope_build *b)
{
	uint32_t cap = b->rcpts_cap * 2;
	struct envelope_rcpt *r = realloc(b->rcpts, cap * sizeof(*r));

	if (!r)
		return -ENOMEM;
	b->rcpts = r;
	b->rcpts_cap = cap;
	return 0;
}

int envelope_build_rcpt(struct envelope_build *b, const struct envelope_rcpt *r)
{
	int rc;

	MAGIC_CHECK(b, BUILD_MAGIC);
	if (b->env.rcpt_count >= ENVELOPE_RCPTS_MAX)
		return -E2BIG;
	if (b->env.rcpt_count == b->rcpts_cap) {
		rc = rcpts_grow(b);
		if (rc)
			return rc;
	}
	b->rcpts[b->env.rcpt_count++] = *r;
	b->env.rcpts = b->rcpts;
	return 0;
}
