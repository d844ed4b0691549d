/* SPDX-License-Identifier: BSD-2-Clause
 *
 * spool_oracle.h - what was promised by a spool, and whether it was kept.
 *
 * Keeps its own books of every message and record handed to a spool and of
 * every `done` that ran with 0, and compares them with what a recovered spool
 * tells and holds. Shares no code with the spool but its public header.
 */
#ifndef SPOOL_ORACLE_H
#define SPOOL_ORACLE_H

#include "spool/spool.h"
#include "storage_sim.h"

enum oracle_state {
	ORACLE_WRITING,
	ORACLE_FINISHED, /* done is owed */
	ORACLE_ACKED,
	ORACLE_FAILED,
	ORACLE_ABORTED
};

struct oracle_message {
	struct oracle *oracle;
	uint32_t serial;
	uint32_t content_bytes;
	uint32_t written;
	enum oracle_state state;
	uint64_t id, digest;
	struct spool_message *m; /* being written */
	/* as recovered */
	uint32_t found;
	uint64_t found_id, found_digest;
	struct spool_place place;
	uint64_t found_bytes;
};

enum oracle_kind { ORACLE_ATTEMPT, ORACLE_OUTCOME, ORACLE_SET, ORACLE_NOTE };

struct oracle_event {
	struct oracle *oracle;
	enum oracle_kind kind;
	uint64_t id;
	bool acked;
	uint32_t found;
};

#define ORACLE_MESSAGES_MAX 1024u
#define ORACLE_EVENTS_MAX   4096u

struct oracle {
	uint32_t message_count, event_count;
	struct oracle_message messages[ORACLE_MESSAGES_MAX];
	struct oracle_event events[ORACLE_EVENTS_MAX];
	uint32_t violations, damaged;
	uint32_t last_event; /* serial + 1 of the last event recovered */
	uint64_t id_max;     /* ever acknowledged or recovered */
	uint64_t id_floor;   /* the same, before the last open */
	struct err err;      /* of the last open */
	bool quiet;          /* count violations, do not print them */
	const char *run;     /* printed with each violation */
};

void oracle_init(struct oracle *o);
/* A message with a made-up envelope; -EAGAIN etc. as the spool says. */
int oracle_begin(struct oracle *o, struct spool *sp, uint32_t content_bytes,
		 struct oracle_message **out);
int oracle_write(struct oracle_message *m, uint32_t bytes);
int oracle_finish(struct oracle_message *m);
void oracle_abort(struct oracle_message *m);
/* A record about a message that is acknowledged; `lazy`: nobody waits. */
int oracle_record(struct oracle *o, struct spool *sp, enum oracle_kind kind,
		  const struct oracle_message *m, bool lazy);
/* Any acknowledged message; NULL: none. */
struct oracle_message *oracle_pick(struct oracle *o, uint32_t dice);
/* Power went: what was not acknowledged is open. Forgets spool pointers. */
void oracle_power_lost(struct oracle *o);

/* Opens the spool and checks everything it tells and holds. */
int oracle_open(struct oracle *o, struct storage_sim *sim,
		const struct spool_options *opt, struct spool **out);
void oracle_check(struct oracle *o, struct storage_sim *sim, struct spool *sp);
/* Steps and polls until nothing is in flight. */
void oracle_drain(struct storage_sim *sim, struct spool *sp);

/* A clock that moves only when told. */
uint64_t oracle_now_ns(void);
void oracle_tick(uint64_t ns);

#endif
