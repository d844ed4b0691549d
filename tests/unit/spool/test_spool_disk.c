/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_spool_disk.c - the spool over io_uring and a real directory.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/io.h"
#include "sluice/clock.h"
#include "spool/spool.h"

#define MESSAGES  3000u
#define TURNS_MAX 1000000u

struct disk {
	char base[64], dir[80];
	struct io *io;
	struct storage st;
	struct spool *sp;
	uint32_t acked, failed, stored, outcomes;
	uint64_t last_id;
	struct spool_place last_place;
};

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *where)
{
	return remove(path);
}

static int setup(void **state)
{
	struct disk *d = calloc(1, sizeof(*d));
	struct io_options o = {.entries = 256};

	if (!d)
		return -1;
	*state = d;
	snprintf(d->base, sizeof(d->base), "/tmp/sluice-spool-XXXXXX");
	if (!mkdtemp(d->base))
		return -1;
	snprintf(d->dir, sizeof(d->dir), "%s/spool", d->base);
	return io_open(&d->io, &o, NULL) ||
	       storage_uring_create(d->io, d->dir, &d->st, NULL);
}

static int teardown(void **state)
{
	struct disk *d = *state;

	d->st.ops->destroy(&d->st.state);
	io_close(&d->io);
	nftw(d->base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(d);
	return 0;
}

static int on_stored(void *user, const struct spool_stored *m)
{
	struct disk *d = user;

	d->stored++;
	if (m->id > d->last_id)
		d->last_id = m->id;
	d->last_place = m->place;
	return 0;
}

static int on_outcome(void *user, const struct spool_outcome *o)
{
	struct disk *d = user;

	d->outcomes++;
	return 0;
}

static const struct spool_visitor visitor = {.stored = on_stored,
					     .outcome = on_outcome};

static void acked(void *user, int res, const struct spool_stored *m)
{
	struct disk *d = user;

	if (res)
		d->failed++;
	else
		d->acked++;
}

static void turn(struct disk *d, uint64_t wait_ns)
{
	assert_int_equal(spool_step(d->sp), 0);
	assert_int_equal(io_step(d->io, wait_ns), 0);
}

static void drain(struct disk *d)
{
	uint32_t turns = 0;

	while (!spool_idle(d->sp)) {
		turn(d, 10 * NS_PER_MS);
		assert_true(++turns < TURNS_MAX);
	}
}

static void store(struct disk *d, uint32_t bytes)
{
	struct envelope_rcpt to = {.address = {"someone@example.net", 19}};
	struct envelope env = {.sender = {"list@example.org", 16},
			       .arrival_s = 1700000000,
			       .rcpt_count = 1,
			       .rcpts = &to};
	static char piece[65536];
	struct spool_message *m;
	uint32_t part;
	int res;

	memset(piece, 'x', sizeof(piece));
	while ((res = spool_message_begin(d->sp, &env, 0, &m)) == -EAGAIN)
		turn(d, NS_PER_S);
	assert_int_equal(res, 0);
	for (; bytes > 0; bytes -= part) {
		part = bytes < sizeof(piece) ? bytes : sizeof(piece);
		while ((res = spool_message_write(m, piece, part)) == -EAGAIN)
			turn(d, NS_PER_S);
		assert_int_equal(res, 0);
	}
	assert_int_equal(spool_message_finish(&m, 0, acked, d), 0);
}

static void open_spool(struct disk *d)
{
	const struct spool_options o = {.segment_bytes = 1u << 20};
	struct err e;

	d->stored = 0;
	d->outcomes = 0;
	assert_int_equal(spool_open(&d->sp, &d->st, &o, &visitor, d, &e), 0);
}

/* Catches: anything that works on the simulated disk only. */
static void messages_survive_a_restart_on_a_real_disk(void **state)
{
	struct disk *d = *state;
	uint32_t i;

	open_spool(d);
	for (i = 0; i < MESSAGES; i++) {
		store(d, 500 + i % 4000);
		if (i % 50 == 0)
			turn(d, 0);
	}
	store(d, 5u << 20);
	drain(d);
	assert_int_equal(d->acked, MESSAGES + 1);
	for (i = 1; i <= 100; i++) {
		struct spool_outcome o = {.id = i, .state = RCPT_DELIVERED};

		assert_int_equal(spool_outcome(d->sp, &o, NULL, NULL), 0);
	}
	drain(d);
	spool_close(&d->sp);
	open_spool(d);
	assert_int_equal(d->stored, MESSAGES + 1);
	assert_int_equal(d->outcomes, 100);
	spool_close(&d->sp);
}

static void was_read(struct spool_read *r, int res)
{
	*(int *)r->user = res;
}

/* Catches: places that do not lead to the record after a restart. */
static void a_place_leads_to_its_record(void **state)
{
	struct disk *d = *state;
	static uint8_t buf[8192];
	struct envelope_rcpt rcpts[4];
	struct spool_record rec;
	int res = INT32_MIN;
	struct spool_read r = {.done = was_read, .user = &res};

	open_spool(d);
	store(d, 3000);
	drain(d);
	spool_close(&d->sp);
	open_spool(d);
	assert_int_equal(
		spool_read(d->sp, &r, &d->last_place, 0, buf, sizeof(buf)), 0);
	while (res == INT32_MIN)
		turn(d, NS_PER_S);
	assert_int_equal(res, d->last_place.record_bytes_div8 * 8);
	assert_int_equal(spool_record_decode(buf, (size_t)res, &rec, rcpts, 4),
			 0);
	assert_int_equal(rec.content_bytes, 3000);
	assert_memory_equal(rec.env.rcpts[0].address.data,
			    "someone@example.net", 19);
	spool_close(&d->sp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			messages_survive_a_restart_on_a_real_disk, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_place_leads_to_its_record,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
