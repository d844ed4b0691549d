/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_recovery.c - what an open makes of damaged, missing and foreign files.
 */
#include <errno.h>
#include <stdio.h>

#include "spool_fixture.h"

#define FILES_MAX 64u

static void flip(struct fixture *f, const char *name, uint64_t at)
{
	uint64_t len;
	uint8_t *data;

	assert_true(storage_sim_bytes(f->sim, name, &data, &len));
	assert_true(at < len);
	data[at] ^= 0x40;
}

static void remove_file(struct fixture *f, const char *name)
{
	struct storage st = storage_sim_storage(f->sim);

	assert_int_equal(st.ops->unlink(st.state, name), 0);
	assert_int_equal(st.ops->sync_dir(st.state, "segments"), 0);
	assert_int_equal(st.ops->sync_dir(st.state, "journal"), 0);
}

static void store_some(struct fixture *f, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		fixture_store(f, 200 + i * 11 % 900);
		if (i % 3 == 0)
			fixture_drain(f);
	}
	fixture_drain(f);
}

/* Catches: an id given twice because the message that had it is gone. */
static void ids_are_never_given_again(void **state)
{
	struct fixture *f = *state;
	struct oracle_message *m;
	struct spool_stats s;

	store_some(f, 20);
	fixture_crash(f);
	f->oracle.quiet = true;
	remove_file(f, "segments/00000001.seg");
	fixture_open(f);
	/* the oracle itself checks that ids rise above all it knows */
	m = fixture_store(f, 100);
	fixture_drain(f);
	assert_int_equal(m->state, ORACLE_ACKED);
	assert_int_equal(f->oracle.violations, 0);
	spool_stats(f->sp, &s);
	assert_true(s.next_id > 20);
}

/* Catches: ids that jump at every clean restart. */
static void a_clean_stop_wastes_no_id(void **state)
{
	struct fixture *f = *state;
	struct spool_stats s;

	store_some(f, 20);
	fixture_close(f);
	fixture_open(f);
	spool_stats(f->sp, &s);
	assert_int_equal(s.next_id, 21);
}

static int name_add(void *user, const char *name)
{
	char(*names)[64] = user;
	uint32_t i = 0;

	while (names[i][0])
		i++;
	assert_true(i < FILES_MAX - 1);
	snprintf(names[i], sizeof(names[i]), "journal/%s", name);
	return 0;
}

/* Catches: segments that do not carry all that is needed. */
static void segments_alone_give_every_message_back(void **state)
{
	struct fixture *f = *state;
	struct storage st = storage_sim_storage(f->sim);
	char names[FILES_MAX][64] = {{0}};
	uint32_t i;

	store_some(f, 150);
	fixture_close(f);
	assert_int_equal(st.ops->list(st.state, "journal", name_add, names), 0);
	for (i = 0; names[i][0]; i++)
		remove_file(f, names[i]);
	assert_true(i > 0);
	fixture_open(f);
	fixture_check(f);
	assert_int_equal(f->oracle.damaged, 0);
}

/* Catches: a hole in the journal that takes messages with it, or goes unsaid,
 * or swallows what follows. */
static void a_hole_in_the_journal_is_reported_and_costs_one_record(void **state)
{
	struct fixture *f = *state;
	uint32_t i;

	f->opt.journal_bytes = 1u << 20;
	fixture_close(f);
	fixture_open(f);
	store_some(f, 30);
	for (i = 0; i < 40; i++) {
		assert_int_equal(
			oracle_record(&f->oracle, f->sp, ORACLE_OUTCOME,
				      oracle_pick(&f->oracle, i), false),
			0);
		fixture_drain(f);
	}
	fixture_close(f);
	f->oracle.quiet = true;
	flip(f, "journal/00000002.jnl", 2500);
	fixture_open(f);
	assert_true(f->oracle.damaged >= 1);
	oracle_check(&f->oracle, f->sim, f->sp);
	for (i = 0; i < f->oracle.message_count; i++)
		assert_int_equal(f->oracle.messages[i].found, 1);
	/* at most the one record that was hit */
	assert_in_range(f->oracle.violations, 0, 1);
	f->oracle.violations = 0;
	/* and the spool goes on */
	fixture_store(f, 100);
	fixture_drain(f);
	fixture_close(f);
	fixture_open(f);
	for (i = 0; i < f->oracle.message_count; i++)
		assert_int_equal(f->oracle.messages[i].found, 1);
}

static int stored_place(void *user, const struct spool_stored *m)
{
	struct spool_place *p = user;

	if (m->id == 5)
		*p = m->place;
	return 0;
}

/* Catches: damage before the journal's first word of it that goes unsaid, or
 * costs more than the message it hit. */
static void a_damaged_message_is_reported_by_place_and_id(void **state)
{
	struct fixture *f = *state;
	struct storage st = storage_sim_storage(f->sim);
	const struct spool_visitor v = {.stored = stored_place};
	struct spool_place p = {0};
	uint32_t i, found = 0;
	struct err e;

	store_some(f, 12);
	fixture_close(f);
	assert_int_equal(spool_open(&f->sp, &st, &f->opt, &v, &p, &e), 0);
	spool_close(&f->sp);
	assert_int_equal(p.segment, 1);
	for (i = 1; i <= 4; i++) {
		char name[64];

		snprintf(name, sizeof(name), "journal/%08u.jnl", i);
		if (i <= storage_sim_file_count(f->sim, "journal"))
			remove_file(f, name);
	}
	flip(f, "segments/00000001.seg", p.offset + 200);
	f->oracle.quiet = true;
	fixture_open(f);
	assert_int_equal(f->oracle.damaged, 1);
	for (i = 0; i < 12; i++)
		found += f->oracle.messages[i].found;
	assert_int_equal(found, 11);
	assert_int_equal(f->oracle.messages[4].found, 0);
}

/* Catches: messages whose segment somebody removed, silently gone. */
static void a_missing_segment_is_reported(void **state)
{
	struct fixture *f = *state;

	store_some(f, 10);
	fixture_close(f);
	remove_file(f, "segments/00000001.seg");
	f->oracle.quiet = true;
	fixture_open(f);
	assert_int_equal(f->oracle.damaged, 1);
}

/* Catches: a header that dies with one sector. */
static void one_header_copy_is_enough(void **state)
{
	struct fixture *f = *state;

	store_some(f, 10);
	fixture_crash(f);
	flip(f, "journal/00000001.jnl", 20);
	flip(f, "segments/00000001.seg", 512 + 20);
	fixture_open(f);
	fixture_check(f);
	assert_int_equal(f->oracle.damaged, 0);
}

static void format_set(struct fixture *f, const char *text)
{
	uint64_t len;
	uint8_t *data;

	assert_true(storage_sim_bytes(f->sim, "FORMAT", &data, &len));
	assert_true(strlen(text) <= len);
	memset(data, '\n', len);
	memcpy(data, text, strlen(text));
}

static int open_raw(struct fixture *f, struct err *e)
{
	struct storage st = storage_sim_storage(f->sim);

	return spool_open(&f->sp, &st, &f->opt, NULL, NULL, e);
}

/* Catches: guessing at a spool that another version wrote. */
static void an_unknown_format_is_refused_with_a_sentence(void **state)
{
	struct fixture *f = *state;
	struct err e;

	store_some(f, 3);
	fixture_close(f);
	format_set(f, "sluice spool format 7");
	assert_int_equal(open_raw(f, &e), -EPROTO);
	assert_non_null(strstr(e.text, "format 7"));
	format_set(f, "something else");
	assert_int_equal(open_raw(f, &e), -EPROTO);
	assert_non_null(strstr(e.text, "FORMAT"));
	remove_file(f, "FORMAT");
	assert_int_equal(open_raw(f, &e), -EPROTO);
	assert_non_null(strstr(e.text, "no FORMAT"));
}

/* Catches: two daemons on one spool. */
static void a_second_daemon_is_refused_with_a_sentence(void **state)
{
	struct fixture *f = *state;
	struct err e;

	fixture_close(f);
	storage_sim_lock_away(f->sim, true);
	assert_int_equal(open_raw(f, &e), -EBUSY);
	assert_non_null(strstr(e.text, "another daemon"));
	storage_sim_lock_away(f->sim, false);
}

static int refuse(void *user, const struct spool_stored *m)
{
	return -ENOMEM;
}

/* Catches: an index that could not take a message and is used all the same. */
static void what_the_visitor_refuses_stops_the_open(void **state)
{
	struct fixture *f = *state;
	struct storage st = storage_sim_storage(f->sim);
	const struct spool_visitor v = {.stored = refuse};
	struct err e;

	store_some(f, 3);
	fixture_close(f);
	assert_int_equal(spool_open(&f->sp, &st, &f->opt, &v, NULL, &e),
			 -ENOMEM);
	assert_true(e.text[0] != '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(ids_are_never_given_again),
		FACT(a_clean_stop_wastes_no_id),
		FACT(segments_alone_give_every_message_back),
		FACT(a_hole_in_the_journal_is_reported_and_costs_one_record),
		FACT(a_damaged_message_is_reported_by_place_and_id),
		FACT(a_missing_segment_is_reported),
		FACT(one_header_copy_is_enough),
		FACT(an_unknown_format_is_refused_with_a_sentence),
		FACT(a_second_daemon_is_refused_with_a_sentence),
		FACT(what_the_visitor_refuses_stops_the_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
