/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ledger_priv.h - shared by the files that load and compare.
 */
#ifndef SLUICE_BENCH_LEDGER_PRIV_H
#define SLUICE_BENCH_LEDGER_PRIV_H

#include "ledger/ledger.h"

struct ledger_rcpt {
	uint64_t hash;
	const char *line; /* in the mapped file */
	uint32_t right;   /* arrivals as they should be */
	uint32_t wrong;   /* arrivals with another digest */
};

struct ledger_entry {
	uint64_t seed, index;
	struct digest digest;
	uint32_t rcpt_first;
	uint32_t rcpt_count; /* its recipients are consecutive */
};

struct ledger_file {
	char *data;
	size_t len;
};

struct ledger {
	struct ledger_entry *entries;
	struct ledger_rcpt *rcpts;
	uint32_t *slots; /* open addressing: entry number + 1; 0 = free */
	struct ledger_file *files;
	uint32_t entry_count, entry_room;
	uint32_t rcpt_count, rcpt_room;
	uint32_t slot_count; /* a power of two */
	uint32_t file_count;
	uint64_t unknown;
};

static inline uint32_t ledger_slot(const struct ledger *l, uint64_t seed,
				   uint64_t index)
{
	uint64_t h =
		(seed * 0x9e3779b97f4a7c15ULL ^ index) * 0xd6e8feb86659fd93ULL;

	return (uint32_t)(h >> 32) & (l->slot_count - 1);
}

#endif
