/* SPDX-License-Identifier: BSD-2-Clause
 *
 * prefilter.c - which patterns can match a text at all.
 *
 * Filled by the loader, then constant; prefilter_run() is on the path of every
 * refusal and allocates nothing. The text is walked once; each three bytes are
 * looked up in a table, and only where they begin, end or lie within a literal
 * of some pattern is that literal compared.
 * Bound: length of the text × literals that share three bytes.
 */
#include "classify/prefilter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"

#define PREFILTER_MAGIC  0x50524546u
#define PREFILTER_SLOTS  8192u
#define PREFILTER_NONE   UINT32_MAX
#define PREFILTER_GROWTH 256u

struct prefilter_entry {
	uint32_t next; /* of the same slot; PREFILTER_NONE = last */
	uint16_t item;
	uint8_t offset; /* of the three bytes in the literal */
	struct literal literal;
};

struct prefilter {
	uint32_t magic;
	uint32_t entry_count, entry_size;
	struct prefilter_entry *entries;
	uint32_t slot[PREFILTER_SLOTS];
	uint16_t slot_load[PREFILTER_SLOTS];
	uint64_t always[PREFILTER_WORDS];
};

struct prefilter *prefilter_create(void)
{
	struct prefilter *p = calloc(1, sizeof(*p));
	uint32_t i;

	if (p == NULL)
		return NULL;
	p->magic = PREFILTER_MAGIC;
	for (i = 0; i < PREFILTER_SLOTS; i++)
		p->slot[i] = PREFILTER_NONE;
	return p;
}

void prefilter_destroy(struct prefilter **p)
{
	if (*p == NULL)
		return;
	MAGIC_CHECK(*p, PREFILTER_MAGIC);
	(*p)->magic = 0;
	free((*p)->entries);
	free(*p);
	*p = NULL;
}

static uint32_t gram_slot(const char *at)
{
	uint32_t gram = (uint32_t)(unsigned char)at[0] |
			(uint32_t)(unsigned char)at[1] << 8 |
			(uint32_t)(unsigned char)at[2] << 16;

	return (gram * 2654435761u) >> 19; /* 13 bits: PREFILTER_SLOTS */
}

/* The place in the literal whose slot is least used so far. */
static uint8_t gram_choose(const struct prefilter *p, const struct literal *l)
{
	uint16_t load, least = UINT16_MAX;
	uint8_t i, best = 0;

	for (i = 0; i + PREFILTER_GRAM_BYTES <= l->len; i++) {
		load = p->slot_load[gram_slot(l->text + i)];
		if (load < least) {
			least = load;
			best = i;
		}
	}
	return best;
}

static int entry_add(struct prefilter *p, uint32_t item,
		     const struct literal *l)
{
	struct prefilter_entry *entry;
	uint32_t slot;

	if (p->entry_count == p->entry_size) {
		uint32_t size = p->entry_size + PREFILTER_GROWTH;

		entry = realloc(p->entries, size * sizeof(*entry));
		if (entry == NULL)
			return -ENOMEM;
		p->entries = entry;
		p->entry_size = size;
	}
	entry = &p->entries[p->entry_count];
	entry->item = (uint16_t)item;
	entry->literal = *l;
	entry->offset = gram_choose(p, l);
	slot = gram_slot(l->text + entry->offset);
	entry->next = p->slot[slot];
	p->slot[slot] = p->entry_count++;
	p->slot_load[slot]++;
	return 0;
}

int prefilter_add(struct prefilter *p, uint32_t item, const char *pattern)
{
	struct literal_set *set;
	uint32_t i;
	int rc = 0;

	MAGIC_CHECK(p, PREFILTER_MAGIC);
	sluice_assert(item < PREFILTER_ITEMS_MAX);
	set = calloc(1, sizeof(*set));
	if (set == NULL)
		return -ENOMEM;
	if (pattern != NULL)
		literals_of_pattern(pattern, set);
	if (set->count == 0)
		p->always[item / 64] |= UINT64_C(1) << item % 64;
	for (i = 0; rc == 0 && i < set->count; i++)
		rc = entry_add(p, item, &set->item[i]);
	free(set);
	return rc;
}

static bool entry_here(const struct prefilter_entry *entry, const char *text,
		       size_t len, size_t at)
{
	size_t start = at - entry->offset;

	return at >= entry->offset && len - start >= entry->literal.len &&
	       memcmp(text + start, entry->literal.text, entry->literal.len) ==
		       0;
}

void prefilter_run(const struct prefilter *p, const char *text, size_t len,
		   uint64_t out[PREFILTER_WORDS])
{
	const struct prefilter_entry *entry;
	uint32_t next;
	size_t at;

	MAGIC_CHECK(p, PREFILTER_MAGIC);
	memcpy(out, p->always, sizeof(p->always));
	for (at = 0; at + PREFILTER_GRAM_BYTES <= len; at++) {
		for (next = p->slot[gram_slot(text + at)];
		     next != PREFILTER_NONE; next = entry->next) {
			entry = &p->entries[next];
			if (entry_here(entry, text, len, at))
				out[entry->item / 64] |= UINT64_C(1)
							 << entry->item % 64;
		}
	}
}

uint32_t prefilter_always_count(const struct prefilter *p)
{
	uint32_t i, count = 0;

	for (i = 0; i < PREFILTER_WORDS; i++)
		count += (uint32_t)__builtin_popcountll(p->always[i]);
	return count;
}
