/* SPDX-License-Identifier: BSD-2-Clause
 *
 * board_tables.c - slots of the board: publishing and reading halves.
 *
 * Writers: the one thread that owns the table. Readers: any thread of any
 * program. A half is written by words with release and read with acquire, so
 * that no fence is needed and the thread sanitizer can follow; on x86 both are
 * plain moves. Bound: one half; BOARD_READ_TRIES copies. No allocation here.
 */
#include <errno.h>
#include <string.h>

#include "board_priv.h"
#include "sluice/assert.h"

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

struct board_block *board_demand_block(const struct board *b,
				       enum board_table t, uint32_t slot)
{
	const struct board_shape *s = &board_shapes[t];
	sluice_assert(t < BOARD_TABLES && slot < s->count);
	char *at = (char *)b->file + s->offset + (size_t)slot * s->stride;
	return (struct board_block *)(void *)at;
}

struct board_block *board_grant_block(const struct board *b, enum board_table t,
				      uint32_t slot)
{
	sluice_assert(t < BOARD_TABLES && board_shapes[t].grant_offset > 0);
	char *at = (char *)board_demand_block(b, t, slot);
	at += board_shapes[t].grant_offset;
	return (struct board_block *)(void *)at;
}

void board_block_begin(struct board_block *k)
{
	uint64_t seq = __atomic_load_n(&k->sequence, __ATOMIC_RELAXED);
	/* ordered before the words, which are stored with release */
	__atomic_store_n(&k->sequence, seq | 1, __ATOMIC_RELAXED);
}

void board_block_end(struct board_block *k)
{
	uint64_t seq = __atomic_load_n(&k->sequence, __ATOMIC_RELAXED);
	sluice_assert(seq & 1);
	/* pairs with the first acquire in board_block_read() */
	__atomic_store_n(&k->sequence, seq + 1, __ATOMIC_RELEASE);
}

void board_block_words(struct board_block *k, const void *data, size_t bytes)
{
	sluice_assert(bytes % 8 == 0 && bytes <= BOARD_DATA_MAX);
	for (size_t i = 0; i < bytes / 8; i++) {
		uint64_t word;
		memcpy(&word, (const char *)data + i * 8, 8);
		__atomic_store_n(&k->data[i], word, __ATOMIC_RELEASE);
	}
}

int board_block_read(const struct board_block *k, void *out, size_t bytes)
{
	uint64_t copy[BOARD_DATA_MAX / 8];
	sluice_assert(bytes % 8 == 0 && bytes <= sizeof(copy));
	for (int try = 0; try < BOARD_READ_TRIES; try++) {
		uint64_t seq = __atomic_load_n(&k->sequence, __ATOMIC_ACQUIRE);
		if (seq & 1) {
			cpu_relax();
			continue;
		}
		for (size_t i = 0; i < bytes / 8; i++)
			copy[i] =
				__atomic_load_n(&k->data[i], __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&k->sequence, __ATOMIC_RELAXED) == seq) {
			memcpy(out, copy, bytes);
			return 0;
		}
	}
	return -EAGAIN;
}

static void block_write(struct board_block *k, const void *data, size_t bytes)
{
	board_block_begin(k);
	board_block_words(k, data, bytes);
	board_block_end(k);
}

static bool owns(const struct board *b, enum board_table t)
{
	return t < BOARD_TABLES && board_shapes[t].owner == b->user;
}

static void slot_publish(struct board *b, enum board_table t, uint32_t slot,
			 const void *data)
{
	unsigned char copy[BOARD_DATA_MAX];
	size_t bytes = board_shapes[t].demand_bytes;
	if (data != NULL)
		memcpy(copy, data, bytes);
	else
		memset(copy, 0, bytes);
	memcpy(copy, &b->slots[t][slot], sizeof(struct board_slot));
	block_write(board_demand_block(b, t, slot), copy, bytes);
}

void board_slot_start(struct board *b, enum board_table t, uint32_t slot)
{
	struct board_block *k = board_demand_block(b, t, slot);
	struct board_slot last;
	uint64_t word = __atomic_load_n(&k->data[0], __ATOMIC_RELAXED);
	memcpy(&last, &word, sizeof(last));
	b->slots[t][slot].generation = last.generation;
	b->slots[t][slot].in_use = 0;
	if (last.in_use != 0 || (k->sequence & 1) != 0)
		slot_publish(b, t, slot, NULL);
}

int board_slot_take(struct board *b, enum board_table t, uint32_t *slot)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(owns(b, t));
	if (b->free_count[t] == 0)
		return -ENOSPC;
	uint32_t taken = b->free_slots[t][--b->free_count[t]];
	struct board_slot *s = &b->slots[t][taken];
	sluice_assert(s->in_use == 0);
	s->generation++;
	s->in_use = 1;
	slot_publish(b, t, taken, NULL);
	uint32_t *used = &b->file->users[b->user].slots_used[t];
	if (taken >= *used)
		__atomic_store_n(used, taken + 1, __ATOMIC_RELEASE);
	*slot = taken;
	return 0;
}

void board_slot_free(struct board *b, enum board_table t, uint32_t slot)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(owns(b, t) && slot < board_shapes[t].count);
	sluice_assert(b->slots[t][slot].in_use == 1);
	b->slots[t][slot].in_use = 0;
	slot_publish(b, t, slot, NULL);
	b->free_slots[t][b->free_count[t]++] = slot;
}

uint32_t board_slots_used(const struct board *b, enum board_table t)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(t < BOARD_TABLES);
	enum board_user owner = board_shapes[t].owner;
	uint32_t used = __atomic_load_n(&b->file->users[owner].slots_used[t],
					__ATOMIC_ACQUIRE);
	return used < board_shapes[t].count ? used : board_shapes[t].count;
}

static void demand_write(struct board *b, enum board_table t, uint32_t slot,
			 const void *data)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(owns(b, t) && slot < board_shapes[t].count);
	sluice_assert(b->slots[t][slot].in_use == 1);
	slot_publish(b, t, slot, data);
}

static int demand_read(const struct board *b, enum board_table t, uint32_t slot,
		       void *out)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	return board_block_read(board_demand_block(b, t, slot), out,
				board_shapes[t].demand_bytes);
}

void board_provider_write(struct board *b, uint32_t slot,
			  const struct board_provider_demand *d)
{
	demand_write(b, BOARD_PROVIDERS, slot, d);
}

void board_source_write(struct board *b, uint32_t slot,
			const struct board_source_demand *d)
{
	demand_write(b, BOARD_SOURCES, slot, d);
}

void board_path_write(struct board *b, uint32_t slot,
		      const struct board_path_demand *d)
{
	demand_write(b, BOARD_PATHS, slot, d);
}

void board_prefix_write(struct board *b, uint32_t slot,
			const struct board_prefix *d)
{
	demand_write(b, BOARD_PREFIXES, slot, d);
}

void board_limit_write(struct board *b, uint32_t slot,
		       const struct board_limit *d)
{
	demand_write(b, BOARD_LIMITS, slot, d);
}

int board_provider_read(const struct board *b, uint32_t slot,
			struct board_provider_demand *out)
{
	return demand_read(b, BOARD_PROVIDERS, slot, out);
}

int board_source_read(const struct board *b, uint32_t slot,
		      struct board_source_demand *out)
{
	return demand_read(b, BOARD_SOURCES, slot, out);
}

int board_path_read(const struct board *b, uint32_t slot,
		    struct board_path_demand *out)
{
	return demand_read(b, BOARD_PATHS, slot, out);
}

int board_prefix_read(const struct board *b, uint32_t slot,
		      struct board_prefix *out)
{
	return demand_read(b, BOARD_PREFIXES, slot, out);
}

int board_limit_read(const struct board *b, uint32_t slot,
		     struct board_limit *out)
{
	return demand_read(b, BOARD_LIMITS, slot, out);
}

void board_grant_write(struct board *b, enum board_table t, uint32_t slot,
		       const struct board_grant *g)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(b->user == BOARD_CONTROL);
	block_write(board_grant_block(b, t, slot), g, sizeof(*g));
	/* after the grant itself: who sees the epoch finds the grant */
	__atomic_store_n(&b->file->users[BOARD_CONTROL].grants_epoch,
			 ++b->grants_epoch, __ATOMIC_RELEASE);
}

int board_grant_read(const struct board *b, enum board_table t, uint32_t slot,
		     struct board_grant *out)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	struct board_grant g;
	struct board_slot now;
	int res =
		board_block_read(board_grant_block(b, t, slot), &g, sizeof(g));
	if (res != 0)
		return res;
	/* one word, written only when the slot changes hands */
	uint64_t word = __atomic_load_n(
		&board_demand_block(b, t, slot)->data[0], __ATOMIC_ACQUIRE);
	memcpy(&now, &word, sizeof(now));
	if (g.state == 0 || now.in_use == 0 || g.generation != now.generation)
		return -ESTALE;
	*out = g;
	return 0;
}

uint64_t board_grants_epoch(const struct board *b)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	return __atomic_load_n(&b->file->users[BOARD_CONTROL].grants_epoch,
			       __ATOMIC_ACQUIRE);
}
