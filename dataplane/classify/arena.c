/* SPDX-License-Identifier: BSD-2-Clause
 *
 * arena.c - memory that lives and dies with one rule set.
 *
 * Called by the loader only, never on the message path.
 * Bound: the rule file, which has a maximum size.
 * Errors: NULL when there is no memory.
 */
#include "classify/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"

#define ARENA_CHUNK_BYTES 65536
#define ARENA_ALIGN       16

struct arena_chunk {
	struct arena_chunk *next;
	size_t used_bytes, size_bytes;
	_Alignas(ARENA_ALIGN) char data[];
};

struct arena {
	struct arena_chunk *first;
};

struct arena *arena_create(void)
{
	return calloc(1, sizeof(struct arena));
}

void arena_destroy(struct arena **a)
{
	struct arena_chunk *chunk, *next;

	if (*a == NULL)
		return;
	for (chunk = (*a)->first; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(*a);
	*a = NULL;
}

static struct arena_chunk *arena_grow(struct arena *a, size_t size_bytes)
{
	struct arena_chunk *chunk;

	if (size_bytes < ARENA_CHUNK_BYTES)
		size_bytes = ARENA_CHUNK_BYTES;
	chunk = calloc(1, sizeof(*chunk) + size_bytes);
	if (chunk == NULL)
		return NULL;
	chunk->size_bytes = size_bytes;
	chunk->next = a->first;
	a->first = chunk;
	return chunk;
}

void *arena_alloc(struct arena *a, size_t size_bytes)
{
	struct arena_chunk *chunk = a->first;
	void *out;

	sluice_assert(size_bytes < SIZE_MAX / 2);
	size_bytes =
		(size_bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (chunk == NULL || chunk->size_bytes - chunk->used_bytes < size_bytes)
		chunk = arena_grow(a, size_bytes);
	if (chunk == NULL)
		return NULL;
	out = chunk->data + chunk->used_bytes;
	chunk->used_bytes += size_bytes;
	return out;
}

char *arena_copy(struct arena *a, const char *text, size_t len)
{
	char *out = arena_alloc(a, len + 1);

	if (out != NULL && len > 0)
		memcpy(out, text, len);
	return out;
}
