/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_records.c - what is handed in comes out again, also at the edges: many
 * recipients, long sets, long replies, empty texts.
 */
#include <errno.h>
#include <stdio.h>

#include "spool_fixture.h"

struct seen {
	uint32_t messages, rcpts, wrong, items, notes, outcomes;
	uint64_t last_item;
	uint32_t note_bytes, reply_bytes;
	char sender_domain[256];
	uint32_t sender_hash, first_local, last_local;
	uint64_t digest[8];
};

static int on_stored(void *user, const struct spool_stored *m)
{
	struct seen *s = user;
	char domain[32];
	uint32_t i;

	s->digest[s->messages++ % 8] = m->digest;
	s->rcpts = m->rcpt_count;
	snprintf(s->sender_domain, sizeof(s->sender_domain), "%s",
		 m->sender_domain);
	s->sender_hash = m->sender_hash;
	for (i = 0; i < m->rcpt_count; i++) {
		snprintf(domain, sizeof(domain), "d%u.test", i % 700);
		s->wrong += strcmp(m->rcpts[i].domain, domain) != 0;
	}
	if (m->rcpt_count) {
		s->first_local = m->rcpts[0].local_hash;
		s->last_local = m->rcpts[m->rcpt_count - 1].local_hash;
	}
	return 0;
}

static int on_set(void *user, enum spool_set_kind kind, uint32_t when_s,
		  const struct spool_set_item *items, uint32_t count)
{
	struct seen *s = user;
	uint32_t i;

	for (i = 0; i < count; i++) {
		s->wrong += items[i].id != s->last_item + 1 ||
			    kind != SPOOL_SET_HELD;
		s->last_item = items[i].id;
		s->items++;
	}
	return 0;
}

static int on_note(void *user, const char *key, struct text value)
{
	struct seen *s = user;

	s->notes++;
	s->note_bytes = value.len;
	return 0;
}

static int on_outcome(void *user, const struct spool_outcome *o)
{
	struct seen *s = user;

	s->outcomes++;
	s->reply_bytes = o->reply.len;
	return 0;
}

static const struct spool_visitor visitor = {.stored = on_stored,
					     .outcome = on_outcome,
					     .set = on_set,
					     .note = on_note};

static void on_done(void *user, int res, const struct spool_stored *m)
{
	assert_int_equal(res, 0);
	assert_int_equal(on_stored(user, m), 0);
}

/* Closes, opens again, tells into `s`. */
static void reopen(struct fixture *f, struct seen *s)
{
	struct storage st = storage_sim_storage(f->sim);
	struct err e;

	fixture_close(f);
	memset(s, 0, sizeof(*s));
	assert_int_equal(spool_open(&f->sp, &st, &f->opt, &visitor, s, &e), 0);
}

static void store_rcpts(struct fixture *f, uint32_t count, const char *origin,
			struct seen *s)
{
	struct envelope_rcpt *rcpts = calloc(count, sizeof(*rcpts));
	char(*addresses)[40] = calloc(count, 40);
	struct envelope env = {.sender = {"News@list.example.org", 21},
			       .origin = {origin, (uint32_t)strlen(origin)},
			       .rcpt_count = count,
			       .rcpts = rcpts};
	struct spool_message *m;
	uint32_t i;

	assert_true(rcpts && addresses);
	for (i = 0; i < count; i++) {
		snprintf(addresses[i], 40, "\"user@%u\"@d%u.test", i, i % 700);
		rcpts[i].address = (struct text){
			addresses[i], (uint32_t)strlen(addresses[i])};
	}
	assert_int_equal(spool_message_begin(f->sp, &env, 0, &m), 0);
	assert_int_equal(spool_message_write(m, "Hi\r\n", 4), 0);
	assert_int_equal(spool_message_finish(&m, 0, on_done, s), 0);
	fixture_drain(f);
	free(rcpts);
	free(addresses);
}

static void check_rcpts(const struct seen *s, uint32_t count)
{
	char last[40];

	snprintf(last, sizeof(last), "\"user@%u\"", count - 1);
	assert_int_equal(s->messages, 1);
	assert_int_equal(s->rcpts, count);
	assert_int_equal(s->wrong, 0);
	assert_string_equal(s->sender_domain, "list.example.org");
	assert_int_equal(s->sender_hash,
			 spool_hash("News@list.example.org", 21));
	assert_int_equal(s->first_local, spool_hash("\"user@0\"", 8));
	assert_int_equal(s->last_local, spool_hash(last, strlen(last)));
}

/* 1000 are in the journal, 1001 only in the segment, 40000 do not fit into
 * memory's share of one message. Catches: any of the three ways cut short. */
static void recipients_come_back_however_many(void **state)
{
	static const uint32_t counts[] = {1, 1000, 1001, 40000};
	struct fixture *f = *state;
	struct seen live, back;
	uint32_t i;

	for (i = 0; i < 4; i++) {
		fixture_close(f);
		storage_sim_destroy(&f->sim);
		f->sim = storage_sim_create(i + 2);
		fixture_open(f);
		memset(&live, 0, sizeof(live));
		store_rcpts(f, counts[i], "4Q1", &live);
		check_rcpts(&live, counts[i]);
		reopen(f, &back);
		check_rcpts(&back, counts[i]);
		assert_int_equal(back.digest[0], live.digest[0]);
	}
}

/* Catches: a digest that a repair of the queue (new queue id) changes, or
 * that does not see the envelope. */
static void the_digest_is_of_the_message_not_of_its_queue_id(void **state)
{
	struct fixture *f = *state;
	struct seen live = {0};

	store_rcpts(f, 2, "4Q1", &live);
	store_rcpts(f, 2, "another-name", &live);
	store_rcpts(f, 3, "4Q1", &live);
	assert_int_equal(live.digest[0], live.digest[1]);
	assert_int_not_equal(live.digest[0], live.digest[2]);
}

/* Catches: a set cut at the size of one record. */
static void a_long_set_comes_back_whole_and_in_order(void **state)
{
	struct fixture *f = *state;
	static struct spool_set_item items[20001];
	struct seen back;
	uint32_t i;

	for (i = 0; i < 20001; i++)
		items[i] = (struct spool_set_item){i + 1, 1, 0};
	assert_int_equal(
		spool_set(f->sp, SPOOL_SET_HELD, items, 20001, NULL, NULL), 0);
	assert_int_equal(spool_set(f->sp, SPOOL_SET_HELD, items, 0, NULL, NULL),
			 0);
	reopen(f, &back);
	assert_int_equal(back.items, 20001);
	assert_int_equal(back.wrong, 0);
}

/* Catches: a reply that is longer than its record, an empty note lost. */
static void texts_come_back_cut_only_where_it_is_said(void **state)
{
	struct fixture *f = *state;
	static char text[200000];
	struct spool_outcome o = {.id = 1, .state = RCPT_DEFERRED};
	struct seen back;

	memset(text, 'r', sizeof(text));
	o.reply = (struct text){text, 5000};
	assert_int_equal(spool_outcome(f->sp, &o, NULL, NULL), 0);
	assert_int_equal(spool_note(f->sp, "hold-1",
				    (struct text){text, sizeof(text)}, NULL,
				    NULL),
			 0);
	reopen(f, &back);
	assert_int_equal(back.outcomes, 1);
	assert_int_equal(back.reply_bytes, 512);
	assert_int_equal(back.note_bytes, sizeof(text));
	assert_int_equal(
		spool_note(f->sp, "hold-1", (struct text){NULL, 0}, NULL, NULL),
		0);
	reopen(f, &back);
	assert_int_equal(back.notes, 2);
	assert_int_equal(back.note_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(recipients_come_back_however_many),
		FACT(the_digest_is_of_the_message_not_of_its_queue_id),
		FACT(a_long_set_comes_back_whole_and_in_order),
		FACT(texts_come_back_cut_only_where_it_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
