/* SPDX-License-Identifier: BSD-2-Clause
 *
 * storage_sim.h - a disk in memory that forgets, tears, fails and loses power.
 *
 * Implements storage.h for tests. One thread; everything random comes from one
 * seed. What it does to whoever forgets a sync:
 * - Un-synced writes survive a power cut sector by sector (512 bytes), each by
 *   a toss: old, new, or, where the file grew, stale bytes of another file.
 * - Created, renamed and removed names survive only by a toss unless their
 *   directory was synced.
 * - After a failed sync the sectors are clean: a second sync that succeeds
 *   does not write them (as Linux does it).
 * Every call that could change the disk is numbered; a plan names the number
 * at which the power goes or the call fails.
 */
#ifndef STORAGE_SIM_H
#define STORAGE_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "spool/storage.h"

struct storage_sim;

enum sim_fault {
	SIM_NONE,
	SIM_FAIL,  /* the call fails with `fail_error`, once */
	SIM_SHORT, /* a write puts down a part, then fails */
	SIM_DEAD   /* from here on every call fails, the power stays on */
};

struct sim_plan {
	uint64_t cut_at;  /* number of the call that never happens; 0 = none */
	uint64_t fail_at; /* 0 = none */
	enum sim_fault fault;
	int fail_error;      /* -EIO, -ENOSPC */
	bool drop_syncs;     /* planted bug: file syncs do nothing */
	bool drop_dir_syncs; /* planted bug: directory syncs do nothing */
};

struct storage_sim *storage_sim_create(uint64_t seed);
void storage_sim_destroy(struct storage_sim **s);
/* A struct storage to hand to spool_open(). */
struct storage storage_sim_storage(struct storage_sim *s);
void storage_sim_plan(struct storage_sim *s, const struct sim_plan *p);
/* Calls so far; counted anew after each storage_sim_plan(). */
uint64_t storage_sim_calls(const struct storage_sim *s);
/* Runs what was queued: commits and reads, in order. True if it did any. */
bool storage_sim_poll(struct storage_sim *s);
bool storage_sim_is_off(const struct storage_sim *s);
/* Decides what the cut left, then power is on again, unlocked. Open files of
 * before stay closed to all but close(). */
void storage_sim_reboot(struct storage_sim *s);
/* The power never went, only the process died: what was written is seen, but
 * no more durable than before. */
void storage_sim_restart(struct storage_sim *s);
/* Another daemon has the lock. */
void storage_sim_lock_away(struct storage_sim *s, bool locked);
void storage_sim_free_space(struct storage_sim *s, uint64_t bytes,
			    uint64_t inodes);
/* Looking at and damaging files from a test. False: no such file. */
bool storage_sim_bytes(struct storage_sim *s, const char *name, uint8_t **data,
		       uint64_t *len);
bool storage_sim_cut_file(struct storage_sim *s, const char *name,
			  uint64_t len);
uint32_t storage_sim_file_count(struct storage_sim *s, const char *dir);

/* xorshift*: the tests' own dice, so that a seed gives the same run
 * everywhere. */
struct sim_random {
	uint64_t state;
};
static inline uint64_t sim_random(struct sim_random *r)
{
	uint64_t x = r->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->state = x;
	return x * 0x2545f4914f6cdd1dULL;
}
static inline uint32_t sim_below(struct sim_random *r, uint32_t n)
{
	return (uint32_t)((sim_random(r) >> 32) % n);
}

#endif
