/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_spool_power.c - power is cut at every call of a scripted run; then any
 * call fails once, in several ways; and the test itself is tested: with a disk
 * that lies about syncs it has to find losses.
 *
 * Usage: test_spool_power [SEED [RUNS]]. Without a seed one is drawn. The seed
 * is printed first; the same seed gives the same run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sluice/assert.h"
#include "sluice/log.h"
#include "spool_oracle.h"

#define STEPS       110u
#define STEPS_AFTER 12u
#define WRITERS_MAX 6u

static const struct spool_options options = {.segment_bytes = 24u << 10,
					     .journal_bytes = 6u << 10,
					     .now_ns = oracle_now_ns};

struct run {
	struct storage_sim *sim;
	struct spool *sp;
	struct oracle oracle;
	struct sim_random dice;
	struct oracle_message *writers[WRITERS_MAX];
	char name[128];
};

static void run_init(struct run *r, uint64_t seed, const char *what,
		     uint64_t at)
{
	memset(r, 0, sizeof(*r));
	r->dice.state = seed * 2 + 1;
	r->sim = storage_sim_create(seed ^ (at * 0x51ed270b));
	snprintf(r->name, sizeof(r->name), "seed %llu, %s at call %llu",
		 (unsigned long long)seed, what, (unsigned long long)at);
	r->oracle.run = r->name;
}

static uint32_t message_bytes(struct run *r)
{
	switch (sim_below(&r->dice, 24)) {
	case 0:
		return 0;
	case 1: /* of its own segment */
		return (1u << 20) + sim_below(&r->dice, 300000);
	case 2:
	case 3:
		return 20000 + sim_below(&r->dice, 20000);
	default:
		return 10 + sim_below(&r->dice, 2500);
	}
}

/* A piece of a message that is being written, or its end. */
static void writer_step(struct run *r, uint32_t w)
{
	struct oracle_message *m = r->writers[w];

	if (!m) {
		if (oracle_begin(&r->oracle, r->sp, message_bytes(r),
				 &r->writers[w]))
			r->writers[w] = NULL;
		return;
	}
	if (m->written < m->content_bytes) {
		int res = oracle_write(m, 100000);

		if (!res || res == -EAGAIN)
			return;
	} else if (sim_below(&r->dice, 12) != 0) {
		int res = oracle_finish(m);

		if (res == -EAGAIN)
			return;
		if (!res) {
			r->writers[w] = NULL;
			return;
		}
	}
	oracle_abort(m);
	r->writers[w] = NULL;
}

static void record_step(struct run *r)
{
	struct oracle_message *m =
		oracle_pick(&r->oracle, sim_below(&r->dice, 100000));

	if (m)
		(void)oracle_record(&r->oracle, r->sp,
				    (enum oracle_kind)sim_below(&r->dice, 4), m,
				    sim_below(&r->dice, 2));
}

static void close_now(struct run *r)
{
	uint32_t w;

	for (w = 0; w < WRITERS_MAX; w++)
		if (r->writers[w])
			oracle_abort(r->writers[w]);
	memset(r->writers, 0, sizeof(r->writers));
	oracle_drain(r->sim, r->sp);
	spool_close(&r->sp);
}

/* One open that may fail for the plan's sake; false: give up. */
static bool open_now(struct run *r)
{
	int res, tries;

	for (tries = 0; tries < 3; tries++) {
		res = oracle_open(&r->oracle, r->sim, &options, &r->sp);
		if (!res)
			return true;
		r->sp = NULL;
		if (storage_sim_is_off(r->sim))
			return false;
	}
	return false;
}

static void steps(struct run *r, uint32_t count, bool restarts)
{
	uint32_t i;

	for (i = 0; i < count && r->sp && !storage_sim_is_off(r->sim); i++) {
		uint32_t act = sim_below(&r->dice, 100);

		oracle_tick(7000000);
		if (act < 60)
			writer_step(r, sim_below(&r->dice, WRITERS_MAX));
		else if (act < 85)
			record_step(r);
		if (act % 3 == 0)
			(void)spool_step(r->sp);
		if (act % 4 == 0)
			(void)storage_sim_poll(r->sim);
		if (restarts && i % 50 == 49) {
			close_now(r);
			if (!open_now(r))
				return;
		}
	}
}

/* The power is off, or is cut now: reboot and look. Or the power is on and
 * only the process died. */
static void cut_and_check(struct run *r, bool power)
{
	if (r->sp)
		close_now(r);
	oracle_power_lost(&r->oracle);
	if (power)
		storage_sim_reboot(r->sim);
	else
		storage_sim_restart(r->sim);
	storage_sim_plan(r->sim, &(struct sim_plan){0});
	if (!open_now(r)) {
		r->oracle.violations++;
		if (!r->oracle.quiet)
			printf("VIOLATION %s: does not open: %s\n", r->name,
			       r->oracle.err.text);
		return;
	}
	oracle_check(&r->oracle, r->sim, r->sp);
}

/* Cut once more while it recovers. */
static void cut_in_recovery(struct run *r)
{
	if (r->sp)
		close_now(r);
	oracle_power_lost(&r->oracle);
	storage_sim_reboot(r->sim);
	storage_sim_plan(
		r->sim,
		&(struct sim_plan){.cut_at = 1 + sim_below(&r->dice, 12)});
	(void)open_now(r);
}

static void run_end(struct run *r)
{
	if (r->sp)
		close_now(r);
	storage_sim_destroy(&r->sim);
}

/* Cuts at once, so that a stop cannot tidy up. */
static void power_off(struct run *r)
{
	storage_sim_plan(r->sim, &(struct sim_plan){.cut_at = 1});
}

/* Returns how many calls the script makes when nothing happens. */
static uint64_t calls_of_script(uint64_t seed, uint32_t *violations)
{
	static struct run r;
	uint64_t calls;

	run_init(&r, seed, "nothing", 0);
	if (open_now(&r))
		steps(&r, STEPS, true);
	close_now(&r);
	calls = storage_sim_calls(r.sim);
	if (open_now(&r))
		oracle_check(&r.oracle, r.sim, r.sp);
	if (r.oracle.message_count < 20 || r.oracle.event_count < 5)
		r.oracle.violations++; /* a script that does nothing */
	*violations += r.oracle.violations;
	run_end(&r);
	return calls;
}

static uint32_t run_cut(uint64_t seed, uint64_t at, const struct sim_plan *lie)
{
	static struct run r;
	struct sim_plan plan = *lie;

	plan.cut_at = at;
	run_init(&r, seed, "power cut", at);
	r.oracle.quiet = lie->drop_syncs || lie->drop_dir_syncs;
	storage_sim_plan(r.sim, &plan);
	if (open_now(&r))
		steps(&r, STEPS, true);
	if (at % 3 == 0)
		cut_in_recovery(&r);
	cut_and_check(&r, at % 5 != 4);
	/* Life goes on, or not, and is cut again. */
	if (r.sp && at % 4 != 0)
		steps(&r, STEPS_AFTER, false);
	if (at % 2 == 0)
		power_off(&r);
	cut_and_check(&r, true);
	if (r.oracle.damaged)
		r.oracle.violations++;
	run_end(&r);
	return r.oracle.violations;
}

static uint32_t run_fault(uint64_t seed, uint64_t at, enum sim_fault fault,
			  int error)
{
	static struct run r;
	struct sim_plan plan = {
		.fail_at = at, .fault = fault, .fail_error = error};

	run_init(&r, seed, "fault", at);
	storage_sim_plan(r.sim, &plan);
	if (open_now(&r))
		steps(&r, STEPS, true);
	if (fault != SIM_DEAD && !r.sp) {
		printf("VIOLATION %s: one fault and it never opens again: %s\n",
		       r.name, r.oracle.err.text);
		r.oracle.violations++;
	}
	power_off(&r);
	cut_and_check(&r, at % 3 != 2);
	power_off(&r);
	cut_and_check(&r, true);
	run_end(&r);
	return r.oracle.violations;
}

static uint32_t all_cuts(uint64_t seed, uint64_t calls, uint64_t every,
			 const struct sim_plan *lie)
{
	uint32_t violations = 0;
	uint64_t at;

	for (at = 1; at <= calls; at += every)
		violations += run_cut(seed, at, lie);
	return violations;
}

static uint32_t all_faults(uint64_t seed, uint64_t calls)
{
	uint32_t violations = 0;
	uint64_t at;

	for (at = 1; at <= calls; at++) {
		switch (at % 4) {
		case 0:
			violations += run_fault(seed, at, SIM_FAIL, -ENOSPC);
			break;
		case 1:
			violations += run_fault(seed, at, SIM_SHORT, -EIO);
			break;
		case 2:
			violations += run_fault(seed, at, SIM_DEAD, -EIO);
			break;
		default:
			violations += run_fault(seed, at, SIM_FAIL, -EIO);
		}
	}
	return violations;
}

/* The planted bugs: a disk that says "synced" and is not. */
static uint32_t planted(uint64_t seed, uint64_t calls)
{
	const struct sim_plan no_sync = {.drop_syncs = true};
	const struct sim_plan no_dir_sync = {.drop_dir_syncs = true};
	uint32_t files = all_cuts(seed, calls, 5, &no_sync);
	uint32_t dirs = all_cuts(seed, calls, 5, &no_dir_sync);

	printf("planted: no file sync: %u violations seen; no directory sync: "
	       "%u\n",
	       files, dirs);
	if (files > 0 && dirs > 0)
		return 0;
	printf("VIOLATION: the test does not notice a disk that lies\n");
	return 1;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10)
				 : (uint64_t)time(NULL) % 1000000;
	uint32_t runs = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1, i;
	const struct sim_plan honest = {0};
	uint32_t violations = 0;

	/* Damage is what the planted runs are for: no lines of it. */
	log_init("test_spool_power", LOG_ERROR_ + 1, LOG_TEXT);
	for (i = 0; i < runs; i++, seed++) {
		uint64_t calls = calls_of_script(seed, &violations);

		printf("seed %llu: %llu calls\n", (unsigned long long)seed,
		       (unsigned long long)calls);
		fflush(stdout);
		violations += all_cuts(seed, calls, 1, &honest);
		violations += all_faults(seed, calls);
		if (i == 0)
			violations += planted(seed, calls);
	}
	printf("%u violations\n", violations);
	return violations ? EXIT_FAILURE : EXIT_SUCCESS;
}
