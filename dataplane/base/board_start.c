/* SPDX-License-Identifier: BSD-2-Clause
 *
 * board_start.c - a starting writer takes over what it owns.
 *
 * Called by board_open() of a writer, once. Whatever the last one left, also
 * in mid-write, is rewritten: demand halves become free slots that keep their
 * generation; a grant that was cut in the middle becomes none, whole ones stay
 * in force so that a restart of control changes no pace.
 * Bound: the tables of this writer. Errors: -ENOMEM.
 */
#include <errno.h>
#include <stdlib.h>

#include "board_priv.h"
#include "sluice/assert.h"

#define SHAPE(member, demand, user)                                            \
	.offset = offsetof(struct board_file, member),                         \
	.stride = sizeof(((struct board_file *)0)->member[0]),                 \
	.count = sizeof(((struct board_file *)0)->member) /                    \
		 sizeof(((struct board_file *)0)->member[0]),                  \
	.demand_bytes = sizeof(struct demand), .owner = (user)

#define DATA_FITS(type)                                                        \
	_Static_assert(sizeof(struct type) % 8 == 0 &&                         \
			       sizeof(struct type) <= BOARD_DATA_MAX,          \
		       #type " is copied by words")
DATA_FITS(board_provider_demand);
DATA_FITS(board_source_demand);
DATA_FITS(board_path_demand);
DATA_FITS(board_prefix);
DATA_FITS(board_limit);
DATA_FITS(board_grant);

const struct board_shape board_shapes[BOARD_TABLES] = {
	[BOARD_PROVIDERS] = {SHAPE(providers, board_provider_demand,
				   BOARD_SLUICED),
			     .grant_offset = offsetof(
				     struct board_provider_slot, grant)},
	[BOARD_SOURCES] = {SHAPE(sources, board_source_demand, BOARD_SLUICED),
			   .grant_offset =
				   offsetof(struct board_source_slot, grant)},
	[BOARD_PATHS] = {SHAPE(paths, board_path_demand, BOARD_SLUICED),
			 .grant_offset =
				 offsetof(struct board_path_slot, grant)},
	[BOARD_PREFIXES] = {SHAPE(prefixes, board_prefix, BOARD_SLUICED)},
	[BOARD_LIMITS] = {SHAPE(limits, board_limit, BOARD_CONTROL)},
};

static int table_start(struct board *b, enum board_table t)
{
	uint32_t count = board_shapes[t].count;
	b->free_slots[t] = calloc(count, sizeof(*b->free_slots[t]));
	b->slots[t] = calloc(count, sizeof(*b->slots[t]));
	if (b->free_slots[t] == NULL || b->slots[t] == NULL)
		return -ENOMEM;
	for (uint32_t slot = count; slot-- > 0;) {
		board_slot_start(b, t, slot);
		b->free_slots[t][b->free_count[t]++] = slot;
	}
	return 0;
}

static void grants_start(struct board *b, enum board_table t)
{
	static const struct board_grant none;
	for (uint32_t slot = 0; slot < board_shapes[t].count; slot++) {
		struct board_block *k = board_grant_block(b, t, slot);
		if ((k->sequence & 1) == 0)
			continue;
		board_block_begin(k);
		board_block_words(k, &none, sizeof(none));
		board_block_end(k);
	}
}

int board_tables_start(struct board *b)
{
	for (int t = 0; t < BOARD_TABLES; t++) {
		const struct board_shape *s = &board_shapes[t];
		int res = s->owner == b->user
				  ? table_start(b, (enum board_table)t)
				  : 0;
		if (res != 0)
			return res;
		if (b->user == BOARD_CONTROL && s->grant_offset > 0)
			grants_start(b, (enum board_table)t);
	}
	return 0;
}

void board_tables_fini(struct board *b)
{
	for (int t = 0; t < BOARD_TABLES; t++) {
		free(b->free_slots[t]);
		free(b->slots[t]);
		b->free_slots[t] = NULL;
		b->slots[t] = NULL;
	}
}
