/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ledger_compare.c - arrivals against what must arrive.
 *
 * Called by the sink for each recipient it accepted, on the sink's thread.
 * Bound: the recipients of one message per arrival; counting walks them all.
 */
#include <stdio.h>
#include <string.h>

#include "ledger/ledger_priv.h"
#include "sluice/assert.h"

enum ledger_mark ledger_arrived(struct ledger *l, uint32_t message,
				uint64_t rcpt_hash, const struct digest *d)
{
	const struct ledger_entry *en;

	if (message == UINT32_MAX) {
		l->unknown++;
		return LEDGER_UNKNOWN;
	}
	sluice_assert(message < l->entry_count);
	en = &l->entries[message];
	for (uint32_t i = 0; i < en->rcpt_count; i++) {
		struct ledger_rcpt *r = &l->rcpts[en->rcpt_first + i];
		bool again = r->right + r->wrong > 0;

		if (r->hash != rcpt_hash)
			continue;
		if (!digest_equal(&en->digest, d)) {
			r->wrong++;
			return LEDGER_ALTERED;
		}
		r->right++;
		return again ? LEDGER_DUPLICATED : LEDGER_DELIVERED;
	}
	l->unknown++;
	return LEDGER_UNKNOWN;
}

void ledger_counts(const struct ledger *l, struct ledger_counts *out)
{
	struct ledger_counts c = {.expected = l->rcpt_count,
				  .unknown = l->unknown};

	for (uint32_t i = 0; i < l->rcpt_count; i++) {
		const struct ledger_rcpt *r = &l->rcpts[i];
		uint64_t arrivals = (uint64_t)r->right + r->wrong;

		if (arrivals == 0)
			c.lost++;
		else
			c.duplicated += arrivals - 1;
		if (r->right)
			c.delivered++;
		if (r->wrong)
			c.altered++;
	}
	*out = c;
}

void ledger_message_counts(const struct ledger *l, struct ledger_counts *out)
{
	struct ledger_counts c = {.expected = l->entry_count};

	for (uint32_t i = 0; i < l->entry_count; i++) {
		const struct ledger_entry *e = &l->entries[i];
		bool all = true, lost = false, altered = false, twice = false;

		for (uint32_t k = 0; k < e->rcpt_count; k++) {
			const struct ledger_rcpt *r =
				&l->rcpts[e->rcpt_first + k];

			all &= r->right > 0;
			lost |= r->right + r->wrong == 0;
			altered |= r->wrong > 0;
			twice |= r->right + r->wrong > 1;
		}
		c.delivered += all;
		c.lost += lost;
		c.altered += altered;
		c.duplicated += twice;
	}
	*out = c;
}

static bool example_fits(const struct ledger_rcpt *r, enum ledger_mark kind)
{
	if (kind == LEDGER_LOST)
		return r->right + r->wrong == 0;
	if (kind == LEDGER_ALTERED)
		return r->wrong > 0;
	return kind == LEDGER_DUPLICATED && r->right + r->wrong > 1;
}

void ledger_examples(const struct ledger *l, enum ledger_mark kind,
		     uint32_t max, void (*each)(void *user, const char *text),
		     void *user)
{
	for (uint32_t i = 0; i < l->rcpt_count && max; i++) {
		const struct ledger_rcpt *r = &l->rcpts[i];
		char text[512];
		int id, rcpt;

		if (!example_fits(r, kind))
			continue;
		id = (int)strcspn(r->line, "\t");
		rcpt = (int)strcspn(r->line + id + 1, "\t");
		snprintf(text, sizeof(text), "%.*s %.*s", id, r->line, rcpt,
			 r->line + id + 1);
		each(user, text);
		max--;
	}
}
