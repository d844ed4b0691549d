/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pool.c - things of one size, in chunks that never move.
 *
 * Called by the files of this room. Role: queue. Bound: one chunk of
 * CHUNK_ITEMS per growth; freed only with the queue. Errors: no memory.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "queue_priv.h"

void *queue_pool_at(const struct pool *p, uint32_t number)
{
	sluice_assert(number < p->used);
	return p->chunks[number >> CHUNK_SHIFT] +
	       (size_t)(number & (CHUNK_ITEMS - 1)) * p->item_bytes;
}

static bool pool_add_chunk(struct pool *p)
{
	if (p->chunk_count == p->chunk_room) {
		uint32_t room = p->chunk_room ? p->chunk_room * 2 : 16;
		char **chunks = realloc(p->chunks, room * sizeof(*chunks));
		if (chunks == NULL)
			return false;
		p->chunks = chunks;
		p->chunk_room = room;
	}
	/* pages, not malloc: no header, and nothing is resident before use */
	char *chunk = mmap(NULL, (size_t)CHUNK_ITEMS * p->item_bytes,
			   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	if (chunk == MAP_FAILED)
		return false;
	p->chunks[p->chunk_count++] = chunk;
	return true;
}

uint32_t queue_pool_grow(struct pool *p, uint32_t count)
{
	uint64_t end = (uint64_t)p->used + count;
	uint32_t first = p->used;

	if (end >= QUEUE_NONE)
		return QUEUE_NONE;
	while ((uint64_t)p->chunk_count * CHUNK_ITEMS < end) {
		if (!pool_add_chunk(p))
			return QUEUE_NONE;
	}
	p->used = (uint32_t)end;
	return first;
}

void queue_pool_free(struct pool *p)
{
	for (uint32_t i = 0; i < p->chunk_count; i++)
		munmap(p->chunks[i], (size_t)CHUNK_ITEMS * p->item_bytes);
	free(p->chunks);
	*p = (struct pool){.item_bytes = p->item_bytes};
}

uint64_t queue_pool_bytes(const struct pool *p)
{
	return (uint64_t)p->chunk_count * CHUNK_ITEMS * p->item_bytes +
	       p->chunk_room * sizeof(*p->chunks);
}

bool queue_array_room(struct queue *q, void *array, uint32_t *room,
		      uint32_t count, size_t item_bytes)
{
	void **at = array;
	uint32_t wanted = *room ? *room : 4;
	void *grown;

	if (count <= *room)
		return true;
	while (wanted < count)
		wanted *= 2;
	grown = realloc(*at, wanted * item_bytes);
	if (grown == NULL)
		return false;
	q->extra_bytes += (wanted - *room) * item_bytes;
	*at = grown;
	*room = wanted;
	return true;
}
