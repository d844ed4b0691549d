/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_board.c - the board between two processes, also when one dies.
 */
#include <fcntl.h>

#include "board_unit.h"
#include "sluice/clock.h"

/* A path whose numbers all say the same: a torn copy shows at once. */
static struct board_path_demand path_of(uint64_t n)
{
	return (struct board_path_demand){
		.provider = (uint32_t)n,
		.source = (uint32_t)n,
		.released = n,
		.accepted = n,
		.refused = n,
		.pace_period_ns = n,
		.not_before_ns = n,
		.grant_epoch = n,
		.pace_count = (uint32_t)n,
		.last_class = (uint32_t)n,
	};
}

static void assert_whole(const struct board_path_demand *d)
{
	assert_int_equal(d->released, d->accepted);
	assert_int_equal(d->released, d->refused);
	assert_int_equal(d->released, d->not_before_ns);
	assert_int_equal(d->released, d->grant_epoch);
	assert_int_equal((uint32_t)d->released, d->provider);
	assert_int_equal((uint32_t)d->released, d->last_class);
}

static void whoever_comes_first_makes_the_file(void **state)
{
	refused(BOARD_READER, -ENOENT, "is sluiced running");
	struct board *control = open_as(BOARD_CONTROL, 0);
	struct board *sluiced = open_as(BOARD_SLUICED, 2);
	struct board *reader = open_as(BOARD_READER, 0);
	struct board_source_demand in = {.name = "out1", .family = 2}, out;
	uint32_t slot;
	assert_int_equal(board_slot_take(sluiced, BOARD_SOURCES, &slot), 0);
	board_source_write(sluiced, slot, &in);
	assert_int_equal(board_slots_used(reader, BOARD_SOURCES), slot + 1);
	assert_int_equal(board_source_read(reader, slot, &out), 0);
	assert_string_equal(out.name, "out1");
	assert_int_equal(out.slot.in_use, 1);
	assert_int_equal(out.slot.generation, 1);
	board_close(&reader);
	board_close(&sluiced);
	board_close(&control);
	assert_null(control);
}

/* Catches: two daemons that write the same cache lines. */
static void a_second_writer_of_a_kind_is_refused(void **state)
{
	struct board *b = open_as(BOARD_SLUICED, 1);
	refused(BOARD_SLUICED, -EBUSY, "a sluiced is running with this board");
	struct board *c = open_as(BOARD_CONTROL, 0);
	board_close(&c);
	board_close(&b);
	b = open_as(BOARD_SLUICED, 1);
	board_close(&b);
}

static void patch_header(uint32_t version, uint64_t magic)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/board.v%d", dir, BOARD_VERSION);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &magic, 8, 0), 8);
	assert_int_equal(
		pwrite(fd, &version, 4, offsetof(struct board_header, version)),
		4);
	(void)close(fd);
}

/* Catches: reading another layout as ours, or a message that says nothing. */
static void another_version_is_refused_in_clear_words(void **state)
{
	struct board *b = open_as(BOARD_SLUICED, 0);
	board_close(&b);
	patch_header(BOARD_VERSION + 1, BOARD_FILE_MAGIC);
	refused(BOARD_CONTROL, -EPROTO,
		"has version 2 and this program speaks version 1");
	patch_header(BOARD_VERSION, 0);
	refused(BOARD_READER, -EPROTO, "is not a board");
	patch_header(BOARD_VERSION, BOARD_FILE_MAGIC);
	b = open_as(BOARD_READER, 0);
	board_close(&b);
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/board.v%d", dir, BOARD_VERSION);
	assert_int_equal(truncate(path, 4096), 0);
	refused(BOARD_SLUICED, -EPROTO, "made by another build");
}

/* Catches: control waiting for a sluiced that speaks another version. */
static void peers_are_found_by_their_locks(void **state)
{
	struct err e = {""};
	struct board *b = open_as(BOARD_CONTROL, 0);
	assert_int_equal(board_peer_check(b, BOARD_CONTROL, &e), 0);
	assert_int_equal(board_peer_check(b, BOARD_SLUICED, &e), -ENOENT);
	struct board *s = open_as(BOARD_SLUICED, 0);
	assert_int_equal(board_peer_check(b, BOARD_SLUICED, &e), 0);
	board_close(&s);
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/board.v7", dir);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct flock l = {
		.l_type = F_WRLCK, .l_start = BOARD_SLUICED, .l_len = 1};
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &l), 0);
	assert_int_equal(board_peer_check(b, BOARD_SLUICED, &e), -EPROTO);
	assert_non_null(strstr(e.text, "board.v7"));
	(void)close(fd);
	assert_int_equal(board_peer_check(b, BOARD_SLUICED, &e), -ENOENT);
	board_close(&b);
}

static void write_paths_for_ever(void)
{
	struct board *b = open_as(BOARD_SLUICED, 0);
	uint32_t slot;
	(void)board_slot_take(b, BOARD_PATHS, &slot);
	for (uint64_t n = 1;; n++) {
		struct board_path_demand d = path_of(n);
		board_path_write(b, slot, &d);
	}
}

/* Catches: torn copies, and a reader that spins on a dead writer. The writer
 * is another process, killed at a random moment, many times. */
static void a_reader_never_sees_half_a_write(void **state)
{
	struct unit_random r = unit_random_start(__func__);
	struct board *maker = open_as(BOARD_CONTROL, 0);
	struct board *reader = open_as(BOARD_READER, 0);
	uint64_t whole = 0;
	for (int i = 0; i < 30; i++) {
		pid_t pid = start(write_paths_for_ever);
		struct board_path_demand last = {.released = 0};
		uint64_t until = clock_monotonic_ns() + 3 * NS_PER_MS +
				 unit_random_below(&r, 3 * NS_PER_MS);
		bool changed = false;
		while (clock_monotonic_ns() < until || !changed) {
			struct board_path_demand d = last;
			if (board_path_read(reader, 0, &d) != 0) {
				assert_memory_equal(&d, &last, sizeof(d));
				(void)sched_yield();
				continue;
			}
			assert_whole(&d);
			changed |= d.released > last.released;
			last = d;
			whole++;
		}
		(void)kill(pid, SIGKILL);
		assert_int_equal(end(pid), SIGKILL);
		/* dead: an answer at once, whole or none */
		struct board_path_demand d;
		if (board_path_read(reader, 0, &d) == 0)
			assert_whole(&d);
	}
	assert_true(whole > 30);
	board_close(&reader);
	board_close(&maker);
}

static void die_in_mid_write(void)
{
	struct board *b = open_as(BOARD_SLUICED, 0);
	struct board_path_demand d = path_of(5);
	uint32_t slot;
	(void)board_slot_take(b, BOARD_PATHS, &slot);
	board_path_write(b, slot, &d);
	struct board_block *k = board_demand_block(b, BOARD_PATHS, slot);
	/* a slot in full use, and one that dies while it is taken */
	(void)board_slot_take(b, BOARD_PATHS, &slot);
	board_path_write(b, slot, &d);
	board_block_begin(board_demand_block(b, BOARD_PATHS, slot + 1));
	board_block_begin(k);
	d = path_of(6);
	d.slot = (struct board_slot){1, 1};
	board_block_words(k, &d, 32); /* a third of it */
	(void)raise(SIGKILL);
}

/* Catches: a half that stays locked, a torn half that becomes readable, and a
 * slot whose new owner gets the old one's grant. */
static void a_starting_writer_repairs_what_the_last_one_left(void **state)
{
	struct board *control = open_as(BOARD_CONTROL, 0);
	assert_int_equal(end(start(die_in_mid_write)), SIGKILL);
	struct board_path_demand d = path_of(77), before = d;
	assert_int_equal(board_path_read(control, 0, &d), -EAGAIN);
	assert_memory_equal(&d, &before, sizeof(d)); /* the last good copy */
	struct board_grant g = {.generation = 1, .state = 1, .pace_count = 9};
	board_grant_write(control, BOARD_PATHS, 0, &g);
	assert_int_equal(board_grant_read(control, BOARD_PATHS, 0, &g), 0);

	struct board *b = open_as(BOARD_SLUICED, 0);
	assert_int_equal(board_path_read(control, 0, &d), 0);
	assert_int_equal(d.slot.in_use, 0);
	assert_int_equal(d.released, 0);
	for (uint32_t other = 1; other < 3; other++) {
		d = path_of(1);
		assert_int_equal(board_path_read(control, other, &d), 0);
		assert_int_equal(d.slot.in_use, 0);
		assert_int_equal(d.released, 0);
	}
	assert_int_equal(board_grant_read(b, BOARD_PATHS, 0, &g), -ESTALE);
	uint32_t slot;
	assert_int_equal(board_slot_take(b, BOARD_PATHS, &slot), 0);
	assert_int_equal(slot, 0);
	assert_int_equal(board_path_read(control, 0, &d), 0);
	assert_int_equal(d.slot.generation, 2);
	assert_int_equal(board_grant_read(b, BOARD_PATHS, 0, &g), -ESTALE);
	g.generation = 2;
	uint64_t epoch = board_grants_epoch(b);
	board_grant_write(control, BOARD_PATHS, 0, &g);
	assert_int_equal(board_grants_epoch(b), epoch + 1);
	assert_int_equal(board_grant_read(b, BOARD_PATHS, 0, &g), 0);
	assert_int_equal(g.pace_count, 9);
	board_close(&b);
	board_close(&control);
}

/* Catches: a restart of control that changes a pace, or keeps half a grant. */
static void grants_outlive_control_but_torn_ones_do_not(void **state)
{
	struct board *control = open_as(BOARD_CONTROL, 0);
	struct board *b = open_as(BOARD_SLUICED, 0);
	uint32_t slots[2];
	struct board_grant g = {.generation = 1, .state = 1, .pace_count = 4};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(board_slot_take(b, BOARD_PATHS, &slots[i]), 0);
		board_grant_write(control, BOARD_PATHS, slots[i], &g);
	}
	board_block_begin(board_grant_block(control, BOARD_PATHS, slots[1]));
	board_close(&control);
	assert_int_equal(board_grant_read(b, BOARD_PATHS, slots[1], &g),
			 -EAGAIN);
	uint64_t epoch = board_grants_epoch(b);
	control = open_as(BOARD_CONTROL, 0);
	assert_int_equal(board_grant_read(b, BOARD_PATHS, slots[0], &g), 0);
	assert_int_equal(g.pace_count, 4);
	assert_int_equal(board_grant_read(b, BOARD_PATHS, slots[1], &g),
			 -ESTALE);
	board_grant_write(control, BOARD_PATHS, slots[0], &g);
	assert_true(board_grants_epoch(b) > epoch); /* it never runs back */
	board_close(&b);
	board_close(&control);
}

/* Catches: a full table that aborts, and a freed slot that is not new. */
static void slots_run_out_and_come_back(void **state)
{
	struct board *b = open_as(BOARD_SLUICED, 0);
	struct board_source_demand d;
	uint32_t slot = 0;
	for (uint32_t i = 0; i < BOARD_SOURCES_MAX; i++) {
		assert_int_equal(board_slot_take(b, BOARD_SOURCES, &slot), 0);
		assert_int_equal(slot, i);
	}
	assert_int_equal(board_slot_take(b, BOARD_SOURCES, &slot), -ENOSPC);
	board_slot_free(b, BOARD_SOURCES, 17);
	assert_int_equal(board_source_read(b, 17, &d), 0);
	assert_int_equal(d.slot.in_use, 0);
	assert_int_equal(board_slot_take(b, BOARD_SOURCES, &slot), 0);
	assert_int_equal(slot, 17);
	assert_int_equal(board_source_read(b, 17, &d), 0);
	assert_int_equal(d.slot.generation, 2);
	board_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOARD_TEST(whoever_comes_first_makes_the_file),
		BOARD_TEST(a_second_writer_of_a_kind_is_refused),
		BOARD_TEST(another_version_is_refused_in_clear_words),
		BOARD_TEST(peers_are_found_by_their_locks),
		BOARD_TEST(a_reader_never_sees_half_a_write),
		BOARD_TEST(a_starting_writer_repairs_what_the_last_one_left),
		BOARD_TEST(grants_outlive_control_but_torn_ones_do_not),
		BOARD_TEST(slots_run_out_and_come_back),
	};
	return cmocka_run_group_tests_name("base/board", tests, NULL, NULL);
}
