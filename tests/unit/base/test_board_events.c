/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_board_events.c - events from one process to another, heartbeats and
 * counters.
 */
#include "board_unit.h"

static void a_full_ring_counts_drops(void **state)
{
	static struct event_reply r, out;
	struct event_stats s;
	struct board *control = open_as(BOARD_CONTROL, 0);
	assert_false(event_reply_pop(control, 0, &out)); /* no worker yet */
	struct board *b = open_as(BOARD_SLUICED, 2);
	for (uint32_t i = 0; i < EVENT_REPLIES_SLOTS + 100; i++) {
		r.message = i;
		assert_int_equal(event_reply_push(b, 1, &r),
				 i < EVENT_REPLIES_SLOTS - 1);
	}
	event_stats(control, EVENT_REPLIES, 1, &s);
	assert_int_equal(s.pushed, EVENT_REPLIES_SLOTS - 1);
	assert_int_equal(s.dropped, 101);
	assert_int_equal(s.waiting, EVENT_REPLIES_SLOTS - 1);
	assert_false(event_reply_pop(control, 0, &out));
	for (uint32_t i = 0; i < EVENT_REPLIES_SLOTS - 1; i++) {
		assert_true(event_reply_pop(control, 1, &out));
		assert_int_equal(out.message, i);
	}
	assert_false(event_reply_pop(control, 1, &out));
	assert_true(event_reply_push(b, 1, &r));
	event_stats(control, EVENT_REPLIES, 1, &s);
	assert_int_equal(s.dropped, 101);
	assert_int_equal(s.waiting, 1);
	board_close(&b);
	/* what waits outlives the producer and its successor's start */
	b = open_as(BOARD_SLUICED, 2);
	out.message = 0;
	assert_true(event_reply_pop(control, 1, &out));
	assert_int_equal(out.message, r.message);
	board_close(&b);
	board_close(&control);
}

static void push_batches_for_ever(void)
{
	struct board *b = open_as(BOARD_SLUICED, 1);
	for (uint32_t n = 1;; n++) {
		struct event_batch e = {.batch = n,
					.released = n,
					.judged_early = n,
					.bytes = n};
		while (!event_batch_push(b, 0, &e))
			(void)sched_yield();
	}
}

/* Catches: events lost, doubled or torn on the way to another process, and a
 * ring that a killed producer leaves unusable. */
static void events_survive_the_death_of_their_producer(void **state)
{
	struct board *control = open_as(BOARD_CONTROL, 0);
	uint32_t got = 0;
	for (int i = 0; i < 15; i++) {
		pid_t pid = start(push_batches_for_ever);
		struct event_batch e;
		uint32_t last = 0;
		/* what is left of the one before comes first */
		for (uint32_t n = 0; n < 3000;) {
			if (!event_batch_pop(control, 0, &e)) {
				(void)sched_yield();
				continue;
			}
			assert_int_equal(e.batch, e.released);
			assert_int_equal(e.batch, e.judged_early);
			assert_int_equal(e.batch, e.bytes);
			assert_true(e.batch == last + 1 || last == 0 ||
				    e.batch == 1);
			last = e.batch;
			n++;
			got++;
		}
		(void)kill(pid, SIGKILL);
		assert_int_equal(end(pid), SIGKILL);
	}
	struct event_stats s;
	event_stats(control, EVENT_BATCHES, 0, &s);
	/* pushed is counted after the push: a death can lose one count */
	assert_true(s.pushed + 15 >= got + s.waiting);
	assert_true(s.pushed <= got + s.waiting);
	board_close(&control);
}

static void texts_keep_head_and_tail(void **state)
{
	static char text[5000];
	static struct event_reply r;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	static const size_t lens[] = {0,    1,    1023, 1024, 1025,
				      1535, 1536, 1537, 5000};
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t len = lens[i];
		event_reply_text(&r, text, len);
		assert_int_equal(r.text_bytes, len);
		assert_int_equal(r.head_bytes, len < 1024 ? len : 1024);
		size_t rest = len - r.head_bytes;
		assert_int_equal(r.tail_bytes, rest < 512 ? rest : 512);
		assert_memory_equal(r.head, text, r.head_bytes);
		assert_memory_equal(r.tail, text + len - r.tail_bytes,
				    r.tail_bytes);
	}
}

static void heartbeats_and_counters_are_seen_by_others(void **state)
{
	struct board *reader, *shaper = open_as(BOARD_SHAPER, 2);
	struct board *control = open_as(BOARD_CONTROL, 0);
	struct board_counters c = {.packets = 7, .syns_rejected = 9}, out;
	struct board_limit limit = {.bits = 32, .rate_bps = 1000}, seen;
	struct event_snoop snoop = {.code = 421}, popped;
	struct board_beat beat;
	uint32_t slot;
	reader = open_as(BOARD_READER, 0);
	board_beat(shaper, 12345);
	board_beat_read(reader, BOARD_SHAPER, &beat);
	assert_int_equal(beat.beat_ns, 12345);
	assert_int_equal(beat.pid, getpid());
	assert_int_equal(beat.starts, 1);
	board_counters_write(shaper, 3, 1, &c);
	board_counters_read(reader, 3, 1, &out);
	assert_memory_equal(&c, &out, sizeof(c));
	assert_int_equal(board_slot_take(control, BOARD_LIMITS, &slot), 0);
	board_limit_write(control, slot, &limit);
	assert_int_equal(board_limit_read(shaper, slot, &seen), 0);
	assert_int_equal(seen.rate_bps, 1000);
	assert_true(event_snoop_push(shaper, 1, &snoop));
	assert_true(event_snoop_pop(control, 1, &popped));
	assert_int_equal(popped.code, 421);
	board_close(&shaper);
	shaper = open_as(BOARD_SHAPER, 2);
	board_beat_read(reader, BOARD_SHAPER, &beat);
	assert_int_equal(beat.starts, 2);
	board_close(&shaper);
	board_close(&reader);
	board_close(&control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOARD_TEST(a_full_ring_counts_drops),
		BOARD_TEST(events_survive_the_death_of_their_producer),
		BOARD_TEST(texts_keep_head_and_tail),
		BOARD_TEST(heartbeats_and_counters_are_seen_by_others),
	};
	return cmocka_run_group_tests_name("base/board_events", tests, NULL,
					   NULL);
}
