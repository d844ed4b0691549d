/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intern.c - append-only string table.
 *
 * Numbers index an array of pointers; an open-addressing table of numbers
 * finds them by hash, at most two thirds full. Text lies in blocks that never
 * move. One owner thread. Bound: memory of the distinct names.
 */
#include "sluice/intern.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "xxhash.h"

#include "sluice/assert.h"

#define INTERN_MAGIC 0x1e7e9a11u
#define BLOCK_BYTES  65536u
#define BLOCK_BIG    (BLOCK_BYTES / 8) /* longer text gets its own block */
#define SLOTS_FIRST  1024u

struct intern_block {
	struct intern_block *next;
	char data[];
};

struct intern_item {
	const char *text; /* 0-terminated, in a block */
	uint32_t len;
	uint32_t hash;
};

struct intern {
	uint32_t magic;
	uint32_t count;
	uint32_t items_max;
	uint32_t slot_count; /* power of two */
	uint32_t *slots;     /* number + 1; 0 = empty */
	struct intern_item *items;
	struct intern_block *blocks; /* the first one is being filled */
	size_t block_used;
	size_t memory_bytes;
};

struct intern *intern_create(void)
{
	struct intern *in = calloc(1, sizeof(*in));
	if (in == NULL)
		return NULL;
	in->slots = calloc(SLOTS_FIRST, sizeof(*in->slots));
	if (in->slots == NULL) {
		free(in);
		return NULL;
	}
	in->magic = INTERN_MAGIC;
	in->slot_count = SLOTS_FIRST;
	in->block_used = BLOCK_BYTES; /* no block yet */
	in->memory_bytes = sizeof(*in) + SLOTS_FIRST * sizeof(*in->slots);
	return in;
}

void intern_destroy(struct intern **inp)
{
	struct intern *in = *inp;
	*inp = NULL;
	if (in == NULL)
		return;
	MAGIC_CHECK(in, INTERN_MAGIC);
	while (in->blocks != NULL) {
		struct intern_block *b = in->blocks;
		in->blocks = b->next;
		free(b);
	}
	free(in->items);
	free(in->slots);
	in->magic = 0;
	free(in);
}

/* The slot that holds the text, or the empty one where it belongs. */
static uint32_t slot_of(const struct intern *in, const char *text, size_t len,
			uint32_t hash)
{
	uint32_t mask = in->slot_count - 1;
	uint32_t at = hash & mask;
	while (in->slots[at] != 0) {
		const struct intern_item *it = &in->items[in->slots[at] - 1];
		if (it->hash == hash && it->len == len &&
		    memcmp(it->text, text, len) == 0)
			break;
		at = (at + 1) & mask;
	}
	return at;
}

static bool slots_grow(struct intern *in)
{
	uint32_t count = in->slot_count * 2;
	uint32_t *slots =
		count > in->slot_count ? calloc(count, sizeof(*slots)) : NULL;
	if (slots == NULL)
		return false;
	for (uint32_t i = 0; i < in->count; i++) {
		uint32_t at = in->items[i].hash & (count - 1);
		while (slots[at] != 0)
			at = (at + 1) & (count - 1);
		slots[at] = i + 1;
	}
	free(in->slots);
	in->slots = slots;
	in->memory_bytes += (count - in->slot_count) * sizeof(*slots);
	in->slot_count = count;
	return true;
}

static bool items_grow(struct intern *in)
{
	size_t max = in->items_max == 0 ? 256 : (size_t)in->items_max * 2;
	if (max >= INTERN_NONE)
		return false;
	struct intern_item *items = realloc(in->items, max * sizeof(*items));
	if (items == NULL)
		return false;
	in->memory_bytes += (max - in->items_max) * sizeof(*items);
	in->items = items;
	in->items_max = (uint32_t)max;
	return true;
}

static char *block_add(struct intern *in, size_t bytes)
{
	struct intern_block *b = malloc(sizeof(*b) + bytes);
	if (b == NULL)
		return NULL;
	in->memory_bytes += sizeof(*b) + bytes;
	b->next = in->blocks;
	in->blocks = b;
	return b->data;
}

static char *text_store(struct intern *in, const char *text, size_t len)
{
	char *place;
	if (len + 1 > BLOCK_BIG) {
		/* behind the block that is being filled */
		struct intern_block *filling = in->blocks;
		place = block_add(in, len + 1);
		if (place != NULL && filling != NULL) {
			struct intern_block *big = in->blocks;
			big->next = filling->next;
			filling->next = big;
			in->blocks = filling;
		}
	} else if (len + 1 > BLOCK_BYTES - in->block_used) {
		place = block_add(in, BLOCK_BYTES);
		if (place != NULL)
			in->block_used = len + 1;
	} else {
		place = in->blocks->data + in->block_used;
		in->block_used += len + 1;
	}
	if (place == NULL)
		return NULL;
	memcpy(place, text, len);
	place[len] = '\0';
	return place;
}

uint32_t intern_add(struct intern *in, const char *text, size_t len)
{
	MAGIC_CHECK(in, INTERN_MAGIC);
	if (len >= UINT32_MAX)
		return INTERN_NONE;
	uint32_t hash = (uint32_t)XXH3_64bits(text, len);
	uint32_t at = slot_of(in, text, len, hash);
	if (in->slots[at] != 0)
		return in->slots[at] - 1;
	if (in->count >= in->slot_count / 3 * 2) {
		if (!slots_grow(in))
			return INTERN_NONE;
		at = slot_of(in, text, len, hash);
	}
	if (in->count == in->items_max && !items_grow(in))
		return INTERN_NONE;
	const char *stored = text_store(in, text, len);
	if (stored == NULL)
		return INTERN_NONE;
	uint32_t number = in->count++;
	in->items[number] = (struct intern_item){stored, (uint32_t)len, hash};
	in->slots[at] = number + 1;
	return number;
}

uint32_t intern_find(const struct intern *in, const char *text, size_t len)
{
	MAGIC_CHECK(in, INTERN_MAGIC);
	uint32_t hash = (uint32_t)XXH3_64bits(text, len);
	uint32_t number = in->slots[slot_of(in, text, len, hash)];
	return number == 0 ? INTERN_NONE : number - 1;
}

const char *intern_text(const struct intern *in, uint32_t number)
{
	MAGIC_CHECK(in, INTERN_MAGIC);
	sluice_assert(number < in->count);
	return in->items[number].text;
}

uint32_t intern_count(const struct intern *in)
{
	MAGIC_CHECK(in, INTERN_MAGIC);
	return in->count;
}

size_t intern_memory_bytes(const struct intern *in)
{
	MAGIC_CHECK(in, INTERN_MAGIC);
	return in->memory_bytes;
}
