/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_history.c - what the journal tells of one message while it is in use.
 */
#include <stdio.h>

#include "spool/history.h"
#include "spool_fixture.h"

#define MINE 77u

struct seen {
	uint32_t stored, attempts, outcomes, sets, notes, wakes;
	uint32_t last_when_s;
	bool disorder;
	char reply[32];
};

static void on_stored(void *user, const struct spool_place *place)
{
	struct seen *s = user;

	assert_true(place->segment > 0);
	s->stored++;
}

static void on_attempt(void *user, uint32_t rcpt_first, uint32_t rcpt_count,
		       uint32_t when_s, uint16_t source)
{
	struct seen *s = user;

	(void)when_s;
	assert_int_equal(rcpt_first, 3);
	assert_int_equal(rcpt_count, 2);
	assert_int_equal(source, 9);
	s->attempts++;
}

static void on_outcome(void *user, const struct spool_outcome *o)
{
	struct seen *s = user;

	assert_int_equal(o->id, MINE);
	s->disorder |= o->when_s <= s->last_when_s;
	s->last_when_s = o->when_s;
	snprintf(s->reply, sizeof(s->reply), "%.*s", (int)o->reply.len,
		 o->reply.data);
	s->outcomes++;
}

static void on_set(void *user, enum spool_set_kind kind, uint32_t when_s,
		   const struct spool_set_item *item)
{
	struct seen *s = user;

	(void)when_s;
	assert_int_equal(kind, SPOOL_SET_RELEASED);
	assert_true(item->id == MINE || item->count > 0);
	s->sets++;
}

static void on_note(void *user, const char *key, struct text value)
{
	struct seen *s = user;

	assert_string_equal(key, "a/note");
	assert_int_equal(value.len, 5);
	s->notes++;
}

static void on_wake(void *user)
{
	struct seen *s = user;

	s->wakes++;
}

static const struct spool_history_ops ops = {on_stored, on_attempt, on_outcome,
					     on_set,    on_note,    on_wake};

static void durable(void *user, int res)
{
	(void)user;
	assert_int_equal(res, 0);
}

static int look(struct fixture *f, uint64_t id, struct seen *s)
{
	struct spool_history *h = NULL;
	int over;

	memset(s, 0, sizeof(*s));
	assert_int_equal(spool_history_open(f->sp, id, &ops, s, &h), 0);
	while (!spool_history_over(h))
		if (!spool_history_step(h) && !spool_history_over(h))
			assert_true(storage_sim_poll(f->sim));
	over = spool_history_over(h);
	spool_history_close(&h);
	assert_null(h);
	return over;
}

static void outcome(struct fixture *f, uint64_t id, uint32_t when_s)
{
	struct spool_outcome o = {.id = id,
				  .state = RCPT_DEFERRED,
				  .when_s = when_s,
				  .reply = {"450 later", 9}};

	assert_int_equal(spool_outcome(f->sp, &o, durable, NULL), 0);
	fixture_drain(f);
}

/* Some 30 journal files of 16 KiB, every tenth outcome is ours. */
static void write_much(struct fixture *f)
{
	static const struct spool_set_item items[] = {
		{MINE, 0, 1}, {MINE - 5, 6, 0}, {MINE - 5, 5, 0}, {12, 0, 0}};

	assert_int_equal(spool_attempt(f->sp, MINE, 3, 2, 9, durable, NULL), 0);
	assert_int_equal(spool_attempt(f->sp, 78, 0, 1, 1, durable, NULL), 0);
	assert_int_equal(
		spool_set(f->sp, SPOOL_SET_RELEASED, items, 4, durable, NULL),
		0);
	assert_int_equal(spool_note(f->sp, "a/note", (struct text){"value", 5},
				    durable, NULL),
			 0);
	for (uint32_t i = 1; i <= 4000; i++)
		outcome(f, i % 10 == 0 ? MINE : 1000 + i, i);
}

static void is_all_there(const struct seen *s)
{
	assert_int_equal(s->attempts, 1);
	assert_int_equal(s->sets, 2);
	assert_int_equal(s->notes, 1);
	assert_int_equal(s->outcomes, 400);
	assert_int_equal(s->last_when_s, 4000);
	assert_false(s->disorder);
	assert_string_equal(s->reply, "450 later");
}

/* The oracle knows nothing of what is written here. */
static void reopen(struct fixture *f)
{
	struct storage st = storage_sim_storage(f->sim);

	fixture_close(f);
	assert_int_equal(spool_open(&f->sp, &st, &f->opt, NULL, NULL, NULL), 0);
}

/* Catches: a file left out or read twice, another message's records, an order
 * that is not the journal's. */
static void all_of_one_message_comes_in_order(void **state)
{
	struct fixture *f = *state;
	struct spool_stats st;
	struct seen s;

	write_much(f);
	spool_stats(f->sp, &st);
	assert_true(st.journal_bytes > 100u << 10);
	assert_int_equal(look(f, MINE, &s), 1);
	is_all_there(&s);
	reopen(f);
	assert_int_equal(look(f, MINE, &s), 1);
	is_all_there(&s);
	assert_int_equal(look(f, 99, &s), 1);
	assert_int_equal(s.outcomes + s.attempts + s.sets, 0);
}

static void a_stored_message_has_its_place(void **state)
{
	struct fixture *f = *state;
	struct oracle_message *m = fixture_store(f, 300);
	struct seen s;

	fixture_drain(f);
	/* `stored` is journaled lazily: with the close at the latest */
	reopen(f);
	assert_int_equal(look(f, m->id, &s), 1);
	assert_int_equal(s.stored, 1);
}

/* Catches: a buffer that is freed while the disk writes into it, a spool that
 * never comes to rest. */
static void it_can_be_left_in_the_middle(void **state)
{
	struct fixture *f = *state;
	struct spool_history *h = NULL;
	struct seen s = {0};

	write_much(f);
	assert_int_equal(spool_history_open(f->sp, MINE, &ops, &s, &h), 0);
	while (spool_history_step(h))
		;
	assert_int_equal(spool_history_over(h), 0);
	assert_false(spool_idle(f->sp));
	spool_history_close(&h);
	assert_null(h);
	fixture_drain(f);
	assert_true(spool_idle(f->sp));
	assert_int_equal(s.wakes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(all_of_one_message_comes_in_order),
		FACT(a_stored_message_has_its_place),
		FACT(it_can_be_left_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
