/* SPDX-License-Identifier: BSD-2-Clause
 *
 * replies.c - the table of refusals.
 *
 * Called for each refusal and by the verbs that show them. PURE. Bound: a scan
 * of REPLIES_MAX keys per refusal, and of as many entries when one has to go.
 */
#include "sluiced/replies.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sluiced/reaction.h"

#define SLOT_BITS 10u
_Static_assert(REPLIES_MAX == 1u << SLOT_BITS, "a tag is generation and slot");

struct replies {
	uint64_t keys[REPLIES_MAX];
	uint32_t generation[REPLIES_MAX];
	uint32_t order[REPLIES_MAX]; /* of the last replies_recent(0) */
	uint32_t order_count;
	uint64_t heard;
	struct reply_entry entries[REPLIES_MAX];
};

struct replies *replies_create(void)
{
	return calloc(1, sizeof(struct replies));
}

void replies_destroy(struct replies **r)
{
	free(*r);
	*r = NULL;
}

/* The reply's code does count. */
static uint32_t code_of(struct text text)
{
	uint32_t code = 0;

	for (uint32_t i = 0; i < 3 && i < text.len; i++)
		code = code * 256 + (unsigned char)text.data[i];
	return code;
}

static uint64_t key_of(const struct reply_entry *what, struct text text)
{
	uint64_t h = reaction_text_hash(text.data, text.len);

	h = (h ^ code_of(text)) * 0x9e3779b97f4a7c15ULL;
	h = (h ^ what->provider) * 0x9e3779b97f4a7c15ULL;
	h = (h ^ what->reply_class) * 0x9e3779b97f4a7c15ULL;
	return h != 0 ? h : 1; /* 0 is a free slot */
}

static uint32_t slot_of(const struct replies *r, uint64_t key)
{
	for (uint32_t i = 0; i < REPLIES_MAX; i++)
		if (r->keys[i] == key)
			return i;
	return REPLIES_MAX;
}

/* A free one, else the one not heard for longest. */
static uint32_t slot_make(struct replies *r, uint64_t key)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < REPLIES_MAX; i++)
		if (r->entries[i].used < r->entries[oldest].used)
			oldest = i;
	r->keys[oldest] = key;
	r->generation[oldest]++;
	memset(&r->entries[oldest], 0, sizeof(r->entries[oldest]));
	r->entries[oldest].tag = r->generation[oldest] << SLOT_BITS | oldest;
	return oldest;
}

uint32_t replies_hear(struct replies *r, const struct reply_entry *what,
		      struct text text)
{
	uint64_t key = key_of(what, text);
	uint32_t slot = slot_of(r, key);
	struct reply_entry *e;

	if (slot == REPLIES_MAX)
		slot = slot_make(r, key);
	e = &r->entries[slot];
	if (e->count++ == 0)
		e->first_s = what->last_s;
	e->used = ++r->heard;
	e->provider = what->provider;
	e->source = what->source;
	e->reply_class = what->reply_class;
	e->last_s = what->last_s;
	e->id = what->id;
	e->text_len = text.len < REPLY_TEXT_BYTES ? text.len : REPLY_TEXT_BYTES;
	if (e->text_len > 0)
		memcpy(e->text, text.data, e->text_len);
	return e->tag;
}

const struct reply_entry *replies_get(const struct replies *r, uint32_t tag)
{
	const struct reply_entry *e = &r->entries[tag & (REPLIES_MAX - 1)];

	return tag != 0 && e->tag == tag ? e : NULL;
}

/* qsort_r() hands the table over as `user`. */
static int later_first(const void *a, const void *b, void *user)
{
	const struct replies *r = user;
	uint64_t x = r->entries[*(const uint32_t *)a].used;
	uint64_t y = r->entries[*(const uint32_t *)b].used;

	return x < y ? 1 : x > y ? -1 : 0;
}

const struct reply_entry *replies_recent(struct replies *r, uint32_t i)
{
	if (i == 0) {
		r->order_count = 0;
		for (uint32_t n = 0; n < REPLIES_MAX; n++)
			if (r->entries[n].used != 0)
				r->order[r->order_count++] = n;
		qsort_r(r->order, r->order_count, sizeof(r->order[0]),
			later_first, r);
	}
	return i < r->order_count ? &r->entries[r->order[i]] : NULL;
}
