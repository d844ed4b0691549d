/* SPDX-License-Identifier: BSD-2-Clause
 *
 * chunks.c - memory for messages that are being written.
 *
 * Called by message.c, stream.c and commit.c. Role: spool.
 * A fixed number of chunks, taken once; pages are touched on first use.
 * Errors: callers ask chunk_list_need() first; running out is our bug.
 */
#include <stdlib.h>

#include "spool/spool_priv.h"

int chunk_pool_create(struct chunk_pool *p, uint32_t count)
{
	p->all = calloc(count, sizeof(*p->all));
	if (!p->all)
		return -ENOMEM;
	p->count = count;
	p->available = count;
	p->untouched = 0;
	p->free = NULL;
	return 0;
}

void chunk_pool_destroy(struct chunk_pool *p)
{
	free(p->all);
	memset(p, 0, sizeof(*p));
}

static struct chunk *chunk_take(struct chunk_pool *p)
{
	struct chunk *c = p->free;

	sluice_assert(p->available > 0);
	if (c)
		p->free = c->next;
	else
		c = &p->all[p->untouched++];
	p->available--;
	c->next = NULL;
	c->used = 0;
	return c;
}

void chunk_list_release(struct chunk_pool *p, struct chunk_list *l)
{
	if (l->head) {
		l->tail->next = p->free;
		p->free = l->head;
		p->available += l->count;
	}
	*l = (struct chunk_list){0};
	sluice_assert(p->available <= p->count);
}

uint32_t chunk_list_need(const struct chunk_list *l, uint64_t len)
{
	uint64_t left = l->tail ? CHUNK_DATA_BYTES - l->tail->used : 0;

	if (len <= left)
		return 0;
	return (uint32_t)((len - left + CHUNK_DATA_BYTES - 1) /
			  CHUNK_DATA_BYTES);
}

static void list_add(struct chunk_list *l, struct chunk *c)
{
	if (l->tail)
		l->tail->next = c;
	else
		l->head = c;
	l->tail = c;
	l->count++;
}

void chunk_list_append(struct chunk_pool *p, struct chunk_list *l,
		       const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len > 0) {
		struct chunk *c = l->tail;
		size_t part;

		if (!c || c->used == CHUNK_DATA_BYTES) {
			c = chunk_take(p);
			list_add(l, c);
		}
		part = CHUNK_DATA_BYTES - c->used;
		if (part > len)
			part = len;
		memcpy(c->data + c->used, from, part);
		c->used += (uint32_t)part;
		l->bytes += part;
		from += part;
		len -= part;
	}
}

void chunk_list_shift(struct chunk_list *from, struct chunk_list *to)
{
	struct chunk *c = from->head;

	sluice_assert(c != NULL);
	from->head = c->next;
	if (!from->head)
		from->tail = NULL;
	from->count--;
	from->bytes -= c->used;
	c->next = NULL;
	list_add(to, c);
	to->bytes += c->used;
}

void chunk_list_copy(const struct chunk_list *l, uint8_t *out)
{
	const struct chunk *c;

	for (c = l->head; c; c = c->next) {
		memcpy(out, c->data, c->used);
		out += c->used;
	}
}
