/* SPDX-License-Identifier: BSD-2-Clause
 *
 * replies.h - what receivers have refused with, lately: a bounded table.
 *
 * PURE. One entry for a provider, a class, a code and a text in which digits
 * and <addresses> do not count; it keeps the last such text verbatim. Bound:
 * REPLIES_MAX entries made at the start; the one not heard for longest makes
 * room. A tag names an entry, and an entry that is gone has no other's tag.
 */
#ifndef SLUICED_REPLIES_H
#define SLUICED_REPLIES_H

#include <stdint.h>

#include "sluice/envelope.h"

#define REPLIES_MAX      1024u
#define REPLY_TEXT_BYTES 512u

struct reply_entry {
	uint64_t count; /* since the entry was made */
	uint64_t id;    /* of the last message; 0 = none was being sent */
	uint64_t used;  /* order of hearing; 0 = free */
	uint32_t tag;
	uint32_t provider;
	uint32_t source; /* index; UINT32_MAX = not known any more */
	uint32_t first_s, last_s;
	uint8_t reply_class;
	uint32_t text_len;
	char text[REPLY_TEXT_BYTES];
};

struct replies;

struct replies *replies_create(void);
void replies_destroy(struct replies **r);
/* What was heard: provider, source, class, id, and when in `last_s`. Returns
 * the tag, never 0. */
uint32_t replies_hear(struct replies *r, const struct reply_entry *what,
		      struct text text);
/* NULL: forgotten, or 0. Valid until the next replies_hear(). */
const struct reply_entry *replies_get(const struct replies *r, uint32_t tag);
/* The i-th, the one heard last first; NULL behind the last. O(REPLIES_MAX)
 * for i == 0, which sorts; the others are of that order. */
const struct reply_entry *replies_recent(struct replies *r, uint32_t i);

#endif
