/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_import_faults.c - what an import says when the disk fails, is full, is
 * slow, or loses power.
 *
 * Files lie on the real disk, the spool on the simulated one.
 */
#include "intake/import.h"

#include "queue_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "io/io.h"
#include "sluice/clock.h"
#include "spool/spool.h"
#include "storage_sim.h"

#define FILES 60

struct fixture {
	struct storage_sim *sim;
	struct storage st;
	struct io *io;
	struct spool *sp;
	struct import *im;
	uint32_t told, taken, known, refused;
	uint64_t digests[FILES];
	uint64_t found[FILES * 3]; /* after recovery */
	uint32_t found_count;
	int code;
	char error[ERR_TEXT_BYTES];
};

static bool known(void *user, uint64_t digest, uint64_t *id)
{
	struct fixture *f = user;

	for (uint32_t i = 0; i < f->found_count; i++)
		if (f->found[i] == digest) {
			*id = i;
			return true;
		}
	for (uint32_t i = 0; i < FILES; i++)
		if (digest && f->digests[i] == digest) {
			*id = i;
			return true;
		}
	return false;
}

static void done(void *user, const struct import_result *r)
{
	struct fixture *f = user;

	f->told++;
	if (r->verdict == IMPORT_TAKEN) {
		f->taken++;
		f->digests[r->tag] = r->stored->digest;
	} else if (r->verdict == IMPORT_KNOWN) {
		f->known++;
	} else {
		f->refused++;
		f->code = r->code;
		snprintf(f->error, sizeof(f->error), "%s", r->error);
	}
}

static int found(void *user, const struct spool_stored *m)
{
	struct fixture *f = user;

	assert_true(f->found_count < FILES * 3);
	f->found[f->found_count++] = m->digest;
	return 0;
}

static int nothing_attempt(void *u, uint64_t id, uint32_t first, uint32_t n,
			   uint32_t when_s, uint16_t source)
{
	return 0;
}

static int nothing_outcome(void *u, const struct spool_outcome *o)
{
	return 0;
}

static int nothing_set(void *u, enum spool_set_kind kind, uint32_t when_s,
		       const struct spool_set_item *items, uint32_t count)
{
	return 0;
}

static int nothing_note(void *u, const char *key, struct text value)
{
	return 0;
}

static void nothing_damaged(void *u, const char *where, uint64_t id)
{
}

static const struct spool_visitor visitor = {found,           nothing_attempt,
					     nothing_outcome, nothing_set,
					     nothing_note,    nothing_damaged};

static void open_spool(struct fixture *f, uint32_t gather_bytes)
{
	static const struct import_ops ops = {known, done};
	struct spool_options o = {.gather_bytes_max = gather_bytes,
				  .segment_bytes = 4 << 20};
	struct import_options io = {.window = 32, .desks = 8};
	struct err e;

	f->found_count = 0;
	if (spool_open(&f->sp, &f->st, &o, &visitor, f, &e))
		fail_msg("%s", e.text);
	assert_int_equal(import_create(&f->im, f->io, f->sp, &io, &ops, f), 0);
}

static void open_all(struct fixture *f, uint64_t seed, uint32_t gather_bytes)
{
	struct io_options io = {.entries = 64};

	memset(f, 0, sizeof(*f));
	f->sim = storage_sim_create(seed);
	f->st = storage_sim_storage(f->sim);
	assert_int_equal(io_open(&f->io, &io, NULL), 0);
	open_spool(f, gather_bytes);
}

static void turn(struct fixture *f)
{
	io_step(f->io, storage_sim_poll(f->sim) ? 0 : NS_PER_MS);
	import_step(f->im);
	spool_step(f->sp);
}

/* Nothing of ours is left in flight. */
static void settle(struct fixture *f)
{
	uint64_t until = clock_monotonic_ns() + 20 * NS_PER_S;

	while (!import_idle(f->im) || !spool_idle(f->sp)) {
		assert_true(clock_monotonic_ns() < until);
		turn(f);
	}
	import_destroy(&f->im);
	spool_close(&f->sp);
}

static void close_all(struct fixture *f)
{
	settle(f);
	io_close(&f->io);
	storage_sim_destroy(&f->sim);
}

/* File `number`: a few hundred bytes, or `lines` long ones. */
static void submit(struct fixture *f, uint32_t number, uint32_t lines)
{
	struct import_file in = {.name = "A1", .tag = number};
	char path[] = "/tmp/sluice-fault-XXXXXX", line[128];
	struct queue_file q;
	int rc;

	queue_begin(&q);
	queue_text(&q, 'S', "a@src.test");
	queue_text(&q, 'R', "b@dst.test");
	queue_message(&q);
	for (uint32_t i = 0; i <= lines; i++) {
		snprintf(line, sizeof(line), "%0100u", number);
		queue_text(&q, 'N', line);
	}
	queue_extracted(&q);
	queue_end(&q);
	in.fd = mkstemp(path);
	unlink(path);
	assert_int_equal(write(in.fd, q.data, q.len), (ssize_t)q.len);
	queue_free(&q);
	while ((rc = import_submit(f->im, &in)) == -EAGAIN)
		turn(f);
	assert_int_equal(rc, 0);
}

static void wait_told(struct fixture *f, uint32_t count)
{
	uint64_t until = clock_monotonic_ns() + 20 * NS_PER_S;

	while (f->told < count) {
		if (clock_monotonic_ns() > until)
			fail_msg("only %u of %u told", f->told, count);
		turn(f);
	}
}

/* Catches "taken" for what is not on disk, and a failure that is not told: the
 * client would wait, or remove the file. */
static void failed_commit_refuses_and_a_second_run_takes(void **state)
{
	struct fixture f;
	struct sim_plan plan = {.fault = SIM_FAIL, .fail_error = -EIO};
	uint32_t failures = 0, before;

	for (uint64_t at = 1; at <= 12; at++) {
		open_all(&f, at, 0);
		plan.fail_at = at;
		storage_sim_plan(f.sim, &plan);
		for (uint32_t i = 0; i < 10; i++)
			submit(&f, i, 0);
		wait_told(&f, 10);
		assert_int_equal(f.taken + f.refused, 10);
		if (f.refused)
			assert_true(strlen(f.error) > 0 && f.code < 0);
		failures += f.refused;
		before = f.taken;
		/* The command runs again over what is still there. */
		storage_sim_plan(f.sim, &(struct sim_plan){0});
		f.told = 0;
		for (uint32_t i = 0; i < 10; i++)
			submit(&f, i, 0);
		wait_told(&f, 10);
		assert_int_equal(f.taken, 10);
		assert_int_equal(f.known, before);
		close_all(&f);
	}
	assert_true(failures > 0);
}

/* Catches a full disk that is not named. */
static void full_disk_refuses_by_name(void **state)
{
	struct fixture f;
	struct spool_options o = {.min_free_bytes = 1 << 30};
	struct err e;
	static const struct import_ops ops = {known, done};

	open_all(&f, 1, 0);
	settle(&f);
	storage_sim_free_space(f.sim, 1 << 20, 1000000);
	if (spool_open(&f.sp, &f.st, &o, &visitor, &f, &e))
		fail_msg("%s", e.text);
	assert_int_equal(import_create(&f.im, f.io, f.sp, NULL, &ops, &f), 0);
	submit(&f, 0, 0);
	submit(&f, 1, 9000);
	wait_told(&f, 2);
	assert_int_equal(f.refused, 2);
	assert_int_equal(f.code, -ENOSPC);
	assert_non_null(strstr(f.error, "A1: no space"));
	close_all(&f);
}

/* Catches half-written messages that wait for each other when the spool has
 * little memory: small, middling and large ones side by side. */
static void little_memory_makes_it_slow_not_stuck(void **state)
{
	static const uint32_t lines[] = {0, 500, 3000, 5000, 20000};
	struct import_stats s;
	struct fixture f;

	open_all(&f, 1, 1 << 20);
	for (uint32_t i = 0; i < FILES; i++)
		submit(&f, i, lines[i % 5]);
	wait_told(&f, FILES);
	if (f.taken != FILES)
		fail_msg("%s", f.error);
	import_stats(f.im, &s);
	assert_true(s.again > 0);
	close_all(&f);
}

/* Catches "taken" before durable: whatever was told must be found after the
 * power has gone at any moment, and a second run must take the rest, and
 * nothing twice. */
static void power_cut_loses_nothing_that_was_taken(void **state)
{
	struct fixture f;
	uint32_t half = 0;

	for (uint64_t at = 1; at < 40; at++) {
		struct sim_plan plan = {.cut_at = at};
		uint64_t until = clock_monotonic_ns() + 5 * NS_PER_S;

		open_all(&f, at, 0);
		storage_sim_plan(f.sim, &plan);
		for (uint32_t i = 0; i < 20; i++)
			submit(&f, i, i == 7 ? 12000 : i);
		while (f.told < 20 && !storage_sim_is_off(f.sim) &&
		       clock_monotonic_ns() < until)
			turn(&f);
		settle(&f);
		storage_sim_reboot(f.sim);
		storage_sim_plan(f.sim, &(struct sim_plan){0});
		open_spool(&f, 0);
		for (uint32_t i = 0; i < 20; i++) {
			bool there = !f.digests[i];

			for (uint32_t j = 0; j < f.found_count; j++)
				there = there || f.found[j] == f.digests[i];
			if (!there)
				fail_msg("cut at %lu: file %u is lost",
					 (unsigned long)at, i);
		}
		half += f.taken > 0 && f.taken < 20;
		f.told = f.taken = f.known = f.refused = 0;
		memset(f.digests, 0, sizeof(f.digests));
		for (uint32_t i = 0; i < 20; i++)
			submit(&f, i, i == 7 ? 12000 : i);
		wait_told(&f, 20);
		assert_int_equal(f.known, f.found_count);
		assert_int_equal(f.taken, 20 - f.found_count);
		close_all(&f);
	}
	assert_true(half > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_commit_refuses_and_a_second_run_takes),
		cmocka_unit_test(full_disk_refuses_by_name),
		cmocka_unit_test(little_memory_makes_it_slow_not_stuck),
		cmocka_unit_test(power_cut_loses_nothing_that_was_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
