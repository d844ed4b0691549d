/* SPDX-License-Identifier: BSD-2-Clause
 *
 * board_priv.h - the layout of the board's file.
 *
 * For board*.c and their tests. Any change here needs a new BOARD_VERSION.
 */
#ifndef SLUICE_BOARD_PRIV_H
#define SLUICE_BOARD_PRIV_H

#include <stddef.h>

#include "sluice/board.h"
#include "sluice/event.h"
#include "sluice/ring.h"

#define BOARD_FILE_MAGIC   0x647261426563756cULL
#define BOARD_HANDLE_MAGIC 0x60a2d000u
#define BOARD_DATA_MAX     248 /* bytes of one half, without the sequence */
#define BOARD_LINE         _Alignas(64)

/* Same place in every version, so that versions know each other. */
struct board_header {
	BOARD_LINE uint64_t magic; /* written last */
	uint32_t version;
	uint32_t unused;
	uint64_t total_bytes;
	uint64_t layout; /* board_layout_sum() of the writer */
};

/* One per writing program, written only by it. */
struct board_user_line {
	BOARD_LINE uint64_t beat_ns;
	uint64_t started_ns;
	uint64_t grants_epoch;
	uint32_t pid;
	uint32_t starts;
	uint32_t slots_used[BOARD_TABLES]; /* of the tables it owns */
};

/* A half: the sequence, and at once behind it the data. */
struct board_block {
	BOARD_LINE uint64_t sequence; /* odd = being written */
	uint64_t data[];
};

#define BOARD_BLOCK(type)                                                      \
	struct {                                                               \
		BOARD_LINE uint64_t sequence;                                  \
		struct type data;                                              \
	}

struct board_provider_slot {
	BOARD_BLOCK(board_provider_demand) demand; /* sluiced */
	BOARD_BLOCK(board_grant) grant;            /* control */
};
struct board_source_slot {
	BOARD_BLOCK(board_source_demand) demand; /* sluiced */
	BOARD_BLOCK(board_grant) grant;          /* control */
};
struct board_path_slot {
	BOARD_BLOCK(board_path_demand) demand; /* sluiced */
	BOARD_BLOCK(board_grant) grant;        /* control */
};
struct board_prefix_slot {
	BOARD_BLOCK(board_prefix) demand; /* sluiced */
};
struct board_limit_slot {
	BOARD_BLOCK(board_limit) demand; /* control */
};
struct board_counters_line {
	BOARD_LINE struct board_counters c;
};

/* The producer's line of a ring, beside ck's own. */
struct board_ring_line {
	BOARD_LINE uint64_t ready; /* 1 once the ring can be used */
	uint64_t pushed;
	uint64_t dropped;
};

#define BOARD_RING(type, count)                                                \
	struct {                                                               \
		struct board_ring_line line;                                   \
		struct ring ring;                                              \
		BOARD_LINE struct type slots[count];                           \
	}

struct board_worker_rings { /* producer: worker k; consumer: control */
	BOARD_RING(event_reply, EVENT_REPLIES_SLOTS) replies;
	BOARD_RING(event_batch, EVENT_BATCHES_SLOTS) batches;
};
struct board_lcore_rings { /* producer: lcore k; consumer: control */
	BOARD_RING(event_snoop, EVENT_SNOOPS_SLOTS) snoops;
};

struct board_file {
	struct board_header header;
	struct board_user_line users[BOARD_READER];
	struct board_provider_slot providers[BOARD_PROVIDERS_MAX];
	struct board_source_slot sources[BOARD_SOURCES_MAX];
	struct board_path_slot paths[BOARD_PATHS_MAX];
	struct board_prefix_slot prefixes[BOARD_PREFIXES_MAX];
	struct board_limit_slot limits[BOARD_LIMITS_MAX];
	/* From here on memory is reserved by the program that writes it. */
	struct board_counters_line counters[BOARD_LIMITS_MAX][BOARD_LCORES_MAX];
	struct board_worker_rings workers[BOARD_WORKERS_MAX];
	struct board_lcore_rings lcores[BOARD_LCORES_MAX];
};
#define BOARD_FIXED_BYTES offsetof(struct board_file, counters)

_Static_assert(sizeof(struct board_header) == 64, "one line");
_Static_assert(sizeof(struct board_user_line) == 64, "one line");
_Static_assert(sizeof(struct board_counters_line) == 64, "one line");
_Static_assert(sizeof(struct board_ring_line) == 64, "one line");
_Static_assert(sizeof(struct board_path_slot) == 128 + 64, "whole lines");
_Static_assert(offsetof(struct event_reply, tail) + EVENT_TAIL_BYTES ==
		       sizeof(struct event_reply),
	       "no hole at the end");
_Static_assert(sizeof(struct event_snoop) == 512, "eight lines");

/* Where the halves of a table lie and who writes them. */
struct board_shape {
	size_t offset;
	uint32_t stride;
	uint32_t count;
	uint32_t demand_bytes;
	uint32_t grant_offset; /* within a slot; 0 = none */
	enum board_user owner; /* of the demand half */
};
extern const struct board_shape board_shapes[BOARD_TABLES];

struct board {
	uint32_t magic;
	enum board_user user;
	uint32_t producers;
	int fd;
	struct board_file *file; /* read-only for BOARD_READER */
	char *dir;
	/* of the tables that we own: */
	uint32_t *free_slots[BOARD_TABLES]; /* a stack */
	uint32_t free_count[BOARD_TABLES];
	struct board_slot *slots[BOARD_TABLES]; /* what we published */
	uint64_t grants_epoch;
};

struct board_block *board_demand_block(const struct board *b,
				       enum board_table t, uint32_t slot);
struct board_block *board_grant_block(const struct board *b, enum board_table t,
				      uint32_t slot);
/* Begin makes the sequence odd, or leaves it odd after a death in mid-write;
 * end makes it even. Between them the data may be written by words. */
void board_block_begin(struct board_block *k);
void board_block_end(struct board_block *k);
void board_block_words(struct board_block *k, const void *data, size_t bytes);
int board_block_read(const struct board_block *k, void *out, size_t bytes);

/* A starting writer takes over its tables and rings. */
void board_slot_start(struct board *b, enum board_table t, uint32_t slot);
int board_tables_start(struct board *b);
void board_tables_fini(struct board *b);
void board_rings_start(struct board *b);
uint64_t board_layout_sum(void);

#endif
