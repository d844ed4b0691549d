/* SPDX-License-Identifier: BSD-2-Clause
 *
 * board.h - shared memory where the planes meet.
 *
 * A mapped file of fixed layout, DIR/board.vN, made by whichever program comes
 * first. Another layout is another N; programs of two releases never share a
 * file. Every cache line has ONE writing program:
 *   table      demand half     grant half
 *   providers  sluiced         control
 *   sources    sluiced         control
 *   paths      sluiced         control
 *   prefixes   sluiced         -
 *   limits     control         shaper: a line of counters per lcore
 * Event rings are in event.h. Grants that come from the config stay inside the
 * program that read it; only control writes a grant half.
 * A half is guarded by a sequence: odd while it is written. Readers try
 * BOARD_READ_TRIES times, then keep what they have. A writer that died in
 * mid-write leaves it odd until it starts again and rewrites all it owns.
 * One handle per program; writers of a table: the thread that owns it. Reading
 * is for any thread. Nothing allocates after board_open().
 */
#ifndef SLUICE_BOARD_H
#define SLUICE_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/err.h"

#define BOARD_VERSION       1
#define BOARD_READ_TRIES    64
#define BOARD_NAME_BYTES    64 /* with the terminating 0 */
#define BOARD_NONE          UINT32_MAX
#define BOARD_PROVIDERS_MAX 4096
#define BOARD_SOURCES_MAX   1024
#define BOARD_PATHS_MAX     16384
#define BOARD_PREFIXES_MAX  16384
#define BOARD_LIMITS_MAX    4096
#define BOARD_WORKERS_MAX   64
#define BOARD_LCORES_MAX    32

enum board_user { BOARD_SLUICED, BOARD_CONTROL, BOARD_SHAPER, BOARD_READER };

enum board_table {
	BOARD_PROVIDERS,
	BOARD_SOURCES,
	BOARD_PATHS,
	BOARD_PREFIXES,
	BOARD_LIMITS,
	BOARD_TABLES
};

/* Every demand half begins so. `generation` grows each time a slot gets a new
 * owner; a grant names the generation it is meant for. */
struct board_slot {
	uint32_t generation;
	uint32_t in_use; /* 0 or 1 */
};

/* Counters run since sluiced started; times ending in _s are real time. */
struct board_provider_demand {
	struct board_slot slot;
	char name[BOARD_NAME_BYTES];
	uint64_t waiting, deferred, held, needs_decision; /* recipients */
	uint64_t delivered, failed;
	uint64_t pace_period_ns; /* the pace at work now */
	uint32_t pace_count;
	uint32_t in_flight; /* messages */
	uint32_t oldest_arrival_s;
	uint32_t next_due_s;
};

struct board_source_demand {
	struct board_slot slot;
	char name[BOARD_NAME_BYTES];
	uint8_t address[16]; /* IPv4 in the first 4 bytes */
	uint8_t public_address[16];
	uint32_t family; /* AF_INET, AF_INET6 */
	uint32_t in_flight;
};

struct board_path_demand {
	struct board_slot slot;
	uint32_t provider; /* slots in their tables */
	uint32_t source;
	uint64_t released, accepted, refused;
	uint64_t pace_period_ns; /* the pace at work now */
	uint64_t not_before_ns;  /* monotonic */
	uint64_t grant_epoch;    /* of the grant at work; 0 = own rules */
	uint32_t pace_count;
	uint32_t state; /* enum path_state */
	uint32_t batch;
	uint32_t batch_released;
	uint32_t in_flight;
	uint32_t connections_open;
	uint32_t blocks_in_a_row;
	uint32_t last_class; /* enum reply_class of the last refusal */
};

/* A network whose mail hosts belong to a provider. */
struct board_prefix {
	struct board_slot slot;
	uint8_t address[16];
	uint32_t family;
	uint32_t bits;
	uint32_t provider;  /* slot */
	uint32_t expires_s; /* 0 = configured */
};

/* What control allows, of a path, a source or a provider. */
struct board_grant {
	uint32_t generation; /* of the demand it answers */
	uint32_t state;      /* enum path_state; 0 = none given yet */
	uint32_t pace_count;
	uint32_t budget; /* messages while probing */
	uint64_t pace_period_ns;
	uint64_t not_before_ns; /* monotonic; 0 = now */
	uint32_t batch_max;
	uint32_t connections_max;
	uint64_t reason; /* number of the event that caused it */
	uint64_t epoch;  /* grows with every change of this grant */
};

/* For the shaper: one source address or one group of prefixes. */
struct board_limit {
	struct board_slot slot;
	uint8_t address[16];
	uint32_t family;
	uint32_t bits;
	uint64_t rate_bps;
	uint32_t packets_per_s;
	uint32_t connections_count; /* new ones, per period */
	uint64_t connections_period_ns;
	uint32_t provider; /* slot; BOARD_NONE = all destinations */
	uint32_t blocked;  /* 0 no, 1 drop, 2 reject, 3 cut */
	uint64_t epoch;
};

/* One cache line per limit and lcore, written by that lcore. */
struct board_counters {
	uint64_t packets, bytes;
	uint64_t dropped_packets, dropped_bytes;
	uint64_t marked_packets;
	uint64_t syns, syns_dropped, syns_rejected;
};

struct board;

struct board_options {
	const char *dir; /* run.dir; must exist */
	enum board_user user;
	uint32_t producers; /* sluiced: workers; shaper: lcores; else 0 */
};

/* A writing user creates the file if need be and takes its lock. -ENOENT (a
 * reader, and no file), -EBUSY (a second writer of this kind), -EPROTO (not
 * this version), -ENOSPC, other -errno; always with a sentence. */
int board_open(struct board **out, const struct board_options *o,
	       struct err *e);
void board_close(struct board **b);

/* Is that program up? 0 yes; -ENOENT no; -EPROTO it runs with a board of
 * another version, with a sentence about it. */
int board_peer_check(const struct board *b, enum board_user who, struct err *e);

/* Heartbeat of this handle's user, about once a second. */
void board_beat(struct board *b, uint64_t monotonic_ns);
struct board_beat {
	uint64_t beat_ns; /* monotonic; 0 = never */
	uint64_t started_ns;
	uint32_t pid;
	uint32_t starts; /* how many times this program has started */
};
void board_beat_read(const struct board *b, enum board_user who,
		     struct board_beat *out);

/* A slot of a table whose demand half is ours; published as empty until it is
 * written. -ENOSPC when all are taken: count it, and go on without. */
int board_slot_take(struct board *b, enum board_table t, uint32_t *slot);
void board_slot_free(struct board *b, enum board_table t, uint32_t slot);
/* Slots beyond this were never used. */
uint32_t board_slots_used(const struct board *b, enum board_table t);

/* Publishing; `slot` in the data is filled in by the board. */
void board_provider_write(struct board *b, uint32_t slot,
			  const struct board_provider_demand *d);
void board_source_write(struct board *b, uint32_t slot,
			const struct board_source_demand *d);
void board_path_write(struct board *b, uint32_t slot,
		      const struct board_path_demand *d);
void board_prefix_write(struct board *b, uint32_t slot,
			const struct board_prefix *d);
void board_limit_write(struct board *b, uint32_t slot,
		       const struct board_limit *d);
/* Providers, sources and paths; control only. */
void board_grant_write(struct board *b, enum board_table t, uint32_t slot,
		       const struct board_grant *g);
/* The line of an lcore; shaper only. */
void board_counters_write(struct board *b, uint32_t slot, uint32_t lcore,
			  const struct board_counters *c);

/* Reading: 0, or -EAGAIN after BOARD_READ_TRIES: `out` is as it was. */
int board_provider_read(const struct board *b, uint32_t slot,
			struct board_provider_demand *out);
int board_source_read(const struct board *b, uint32_t slot,
		      struct board_source_demand *out);
int board_path_read(const struct board *b, uint32_t slot,
		    struct board_path_demand *out);
int board_prefix_read(const struct board *b, uint32_t slot,
		      struct board_prefix *out);
int board_limit_read(const struct board *b, uint32_t slot,
		     struct board_limit *out);
/* -ESTALE: the grant is for an earlier owner of the slot, or for none. */
int board_grant_read(const struct board *b, enum board_table t, uint32_t slot,
		     struct board_grant *out);
void board_counters_read(const struct board *b, uint32_t slot, uint32_t lcore,
			 struct board_counters *out);
/* Grows with every board_grant_write(): poll this, then read grants. */
uint64_t board_grants_epoch(const struct board *b);

#endif
