/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_spool.c - what the spool promises to its callers while it runs.
 */
#include <errno.h>

#include "spool_fixture.h"

/* Catches: any loss between finish, commit, close and the next open. */
static void what_was_acknowledged_is_there_after_a_restart(void **state)
{
	struct fixture *f = *state;
	uint32_t i;

	for (i = 0; i < 200; i++) {
		fixture_store(f, 100 + i * 37 % 5000);
		if (i % 9 != 0)
			continue;
		fixture_drain(f);
		assert_int_equal(oracle_record(&f->oracle, f->sp, i % 4,
					       oracle_pick(&f->oracle, i),
					       i % 2),
				 0);
	}
	for (i = 0; i < 3; i++) {
		fixture_close(f);
		fixture_open(f);
		fixture_check(f);
		assert_int_equal(f->oracle.damaged, 0);
	}
	assert_int_equal(oracle_pick(&f->oracle, 199)->serial, 199);
}

/* Catches: acknowledging before the sync, or a second commit in flight. */
static void nothing_is_acknowledged_before_its_commit(void **state)
{
	struct fixture *f = *state;
	struct oracle_message *first = fixture_store(f, 100), *second;

	assert_int_equal(spool_step(f->sp), 0);
	assert_int_equal(first->state, ORACLE_FINISHED);
	second = fixture_store(f, 100);
	assert_int_equal(spool_step(f->sp), 0);
	assert_true(storage_sim_poll(f->sim));
	assert_int_equal(first->state, ORACLE_ACKED);
	assert_int_equal(second->state, ORACLE_FINISHED);
	assert_false(spool_idle(f->sp));
	fixture_drain(f);
	assert_int_equal(second->state, ORACLE_ACKED);
}

/* Catches: one sync per message instead of one per turn. */
static void messages_of_a_turn_share_one_commit(void **state)
{
	struct fixture *f = *state;
	struct spool_stats before, after;
	uint64_t calls;
	uint32_t i;

	spool_stats(f->sp, &before);
	calls = storage_sim_calls(f->sim);
	for (i = 0; i < 30; i++)
		fixture_store(f, 500);
	fixture_drain(f);
	spool_stats(f->sp, &after);
	assert_int_equal(after.commits - before.commits, 1);
	assert_int_equal(after.appended - before.appended, 30);
	/* one write and one sync: the journal follows lazily */
	assert_int_equal(storage_sim_calls(f->sim) - calls, 2);
}

/* Catches: an acknowledgement after a failed sync, a retry on the same file,
 * lazy records lost with it. */
static void a_failed_sync_is_never_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct oracle_message *good = fixture_store(f, 300), *bad, *later;
	uint32_t segments;

	fixture_drain(f);
	segments = storage_sim_file_count(f->sim, "segments");
	bad = fixture_store(f, 300);
	assert_int_equal(
		oracle_record(&f->oracle, f->sp, ORACLE_OUTCOME, good, true),
		0);
	/* segment and journal are written, the first sync fails */
	storage_sim_plan(f->sim, &(struct sim_plan){.fail_at = 3,
						    .fault = SIM_FAIL,
						    .fail_error = -EIO});
	fixture_drain(f);
	assert_int_equal(bad->state, ORACLE_FAILED);
	later = fixture_store(f, 300);
	fixture_drain(f);
	assert_int_equal(later->state, ORACLE_ACKED);
	assert_int_equal(storage_sim_file_count(f->sim, "segments"),
			 segments + 1);
	/* nobody waited for the outcome: it must come through all the same */
	oracle_tick(10000000000);
	assert_int_equal(spool_step(f->sp), 0);
	fixture_drain(f);
	f->oracle.events[0].acked = true;
	fixture_crash(f);
	fixture_open(f);
	fixture_check(f);
	assert_int_equal(f->oracle.messages[bad->serial].found, 0);
}

/* Catches: intake eating the reserve, or a full disk that cannot drain. */
static void below_the_reserve_only_outcomes_are_taken(void **state)
{
	struct fixture *f = *state;
	struct oracle_message *m, *stored;

	fixture_close(f);
	f->opt.min_free_bytes = 1u << 30;
	f->opt.min_free_inodes = 100;
	fixture_open(f);
	stored = fixture_store(f, 100);
	fixture_drain(f);
	storage_sim_free_space(f->sim, (1u << 30) - 1, 1000);
	oracle_tick(2000000000);
	assert_int_equal(oracle_begin(&f->oracle, f->sp, 100, &m), -ENOSPC);
	assert_int_equal(
		oracle_record(&f->oracle, f->sp, ORACLE_OUTCOME, stored, false),
		0);
	fixture_drain(f);
	assert_true(f->oracle.events[0].acked);
	storage_sim_free_space(f->sim, 2u << 30, 99);
	oracle_tick(2000000000);
	assert_int_equal(oracle_begin(&f->oracle, f->sp, 100, &m), -ENOSPC);
	storage_sim_free_space(f->sim, 2u << 30, 1000);
	oracle_tick(2000000000);
	fixture_store(f, 100);
}

static void count_room(void *user)
{
	++*(uint32_t *)user;
}

#define CROWD 1000u

/* Half-written messages hold all the memory there is. Catches: a crowd that
 * blocks itself for ever. */
static void a_crowd_of_half_written_messages_gets_through(void **state)
{
	struct fixture *f = *state;
	static struct oracle_message *crowd[CROWD];
	uint32_t i, turns, left = CROWD, refused = 0, room = 0;

	spool_on_room(f->sp, count_room, &room);
	memset(crowd, 0, sizeof(crowd));
	for (turns = 0; left > 0; turns++) {
		assert_true(turns < 5000);
		for (i = 0; i < CROWD; i++) {
			struct oracle_message *m = crowd[i];

			if (!m) {
				if (oracle_begin(&f->oracle, f->sp, 60000,
						 &crowd[i]))
					crowd[i] = NULL;
				continue;
			}
			if (!m->m)
				continue;
			if (m->written < m->content_bytes)
				refused += oracle_write(m, 9000) == -EAGAIN;
			else if (!oracle_finish(m))
				left--;
		}
		(void)spool_step(f->sp);
		(void)storage_sim_poll(f->sim);
	}
	assert_true(refused > 0);
	assert_true(room > 0);
	fixture_close(f);
	fixture_open(f);
	fixture_check(f);
}

/* Catches: a large message that needs as much memory as it is long, or is
 * acknowledged before its last byte is durable. */
static void a_large_message_has_a_segment_of_its_own(void **state)
{
	struct fixture *f = *state;
	uint32_t before = storage_sim_file_count(f->sim, "segments");
	struct oracle_message *m, *dropped;

	assert_int_equal(oracle_begin(&f->oracle, f->sp, 9u << 20, &m), 0);
	while (m->written < m->content_bytes) {
		int res = oracle_write(m, 1u << 17);

		assert_true(res == 0 || res == -EAGAIN);
		if (res)
			fixture_drain(f);
	}
	assert_int_equal(storage_sim_file_count(f->sim, "segments"),
			 before + 1);
	assert_int_equal(oracle_finish(m), 0);
	fixture_drain(f);
	assert_int_equal(m->state, ORACLE_ACKED);
	/* one that is given up leaves nothing */
	assert_int_equal(oracle_begin(&f->oracle, f->sp, 3u << 20, &dropped),
			 0);
	while (dropped->written < 2u << 20)
		if (oracle_write(dropped, 1u << 17))
			fixture_drain(f);
	oracle_abort(dropped);
	fixture_drain(f);
	assert_int_equal(storage_sim_file_count(f->sim, "segments"),
			 before + 1);
	fixture_crash(f);
	fixture_open(f);
	fixture_check(f);
}

/* Catches: lengths that are cut to 16 bits, names the journal cannot hold. */
static void what_does_not_fit_is_refused(void **state)
{
	struct fixture *f = *state;
	static char long_text[70000];
	struct envelope_rcpt to = {.address = {long_text, 300}};
	struct envelope env = {.rcpt_count = 1, .rcpts = &to};
	struct spool_message *m;
	struct text value = {long_text, 600u << 10};

	memset(long_text, 'a', sizeof(long_text));
	long_text[3] = '@';
	assert_int_equal(spool_message_begin(f->sp, &env, 0, &m), -EINVAL);
	to.address.len = 200;
	long_text[100] = '\0';
	assert_int_equal(spool_message_begin(f->sp, &env, 0, &m), -EINVAL);
	long_text[100] = 'a';
	env.envid = (struct text){long_text, 66000};
	assert_int_equal(spool_message_begin(f->sp, &env, 0, &m), -EINVAL);
	env.envid.len = 65000;
	assert_int_equal(spool_message_begin(f->sp, &env, 0, &m), 0);
	assert_int_equal(
		spool_message_write(m, NULL, SPOOL_PIECE_BYTES_MAX + 1),
		-EMSGSIZE);
	spool_message_abort(&m);
	assert_null(m);
	env.rcpt_count = ENVELOPE_RCPTS_MAX + 1;
	env.rcpts = NULL;
	assert_int_equal(spool_message_begin(f->sp, &env, 0, &m), -EMSGSIZE);
	assert_int_equal(spool_note(f->sp, "", value, NULL, NULL), -EINVAL);
	assert_int_equal(spool_note(f->sp, "k", value, NULL, NULL), -EMSGSIZE);
}

/* Catches: outcomes dropped or a caller not told when the journal is full. */
static void a_full_journal_buffer_says_again(void **state)
{
	struct fixture *f = *state;
	struct spool_outcome o = {.id = 1, .state = RCPT_DELIVERED};
	uint32_t taken = 0, room = 0;
	struct spool_stats before, after;
	int res;

	spool_on_room(f->sp, count_room, &room);
	spool_stats(f->sp, &before);
	while ((res = spool_outcome(f->sp, &o, NULL, NULL)) == 0)
		taken++;
	assert_int_equal(res, -EAGAIN);
	assert_true(taken > 10000);
	assert_int_equal(room, 0);
	fixture_drain(f);
	assert_int_equal(room, 1);
	spool_stats(f->sp, &after);
	assert_in_range(after.journal_records - before.journal_records, taken,
			taken + 8);
	assert_int_equal(spool_outcome(f->sp, &o, NULL, NULL), 0);
}

static void barrier_reached(void *user, int res)
{
	int *to = user;

	*to = res;
}

/* Catches a barrier that is reached before the lazy outcome beside it, and one
 * that says "durable" of a commit that failed. */
static void a_barrier_covers_what_was_journaled_lazily(void **state)
{
	struct fixture *f = *state;
	struct spool_outcome o = {.id = 1, .state = RCPT_DELIVERED};
	struct spool_stats before, after;
	int res = 1;

	assert_int_equal(spool_barrier(f->sp, barrier_reached, &res),
			 -EALREADY);
	assert_int_equal(spool_outcome(f->sp, &o, NULL, NULL), 0);
	spool_stats(f->sp, &before);
	assert_int_equal(spool_barrier(f->sp, barrier_reached, &res), 0);
	assert_false(spool_idle(f->sp));
	fixture_drain(f);
	assert_int_equal(res, 0);
	spool_stats(f->sp, &after);
	assert_true(after.journal_records > before.journal_records);
	storage_sim_plan(f->sim, &(struct sim_plan){.fail_at = 1,
						    .fault = SIM_FAIL,
						    .fail_error = -EIO});
	res = 1;
	assert_int_equal(spool_outcome(f->sp, &o, NULL, NULL), 0);
	assert_int_equal(spool_barrier(f->sp, barrier_reached, &res), 0);
	fixture_drain(f);
	assert_true(res < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(what_was_acknowledged_is_there_after_a_restart),
		FACT(nothing_is_acknowledged_before_its_commit),
		FACT(messages_of_a_turn_share_one_commit),
		FACT(a_failed_sync_is_never_acknowledged),
		FACT(below_the_reserve_only_outcomes_are_taken),
		FACT(a_crowd_of_half_written_messages_gets_through),
		FACT(a_large_message_has_a_segment_of_its_own),
		FACT(what_does_not_fit_is_refused),
		FACT(a_full_journal_buffer_says_again),
		FACT(a_barrier_covers_what_was_journaled_lazily),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
