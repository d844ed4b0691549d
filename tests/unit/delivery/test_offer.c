/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_offer.c - a message is offered: what happens in that same turn.
 */
#include "delivery_room.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *const rcpt[] = {"a@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";

struct setup {
	struct fake_receiver *f;
	struct room r;
};

/* 1 = the record lies in the page cache, 0 = it does not, -1 = this file system
 * does not tell. */
static int record_cached(struct setup *s, const struct room_message *m)
{
	char path[512], buf[64];
	struct iovec iov = {buf, sizeof(buf)};
	ssize_t n;
	int fd, error;

	room_segment(&s->r, path, sizeof(path));
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = preadv2(fd, &iov, 1, (off_t)m->m.place.offset, RWF_NOWAIT);
	error = errno;
	(void)close(fd);
	if (n == (ssize_t)sizeof(buf))
		return 1;
	return n < 0 && error == EAGAIN ? 0 : -1;
}

static void drop_cache(struct setup *s)
{
	char path[512];
	int fd;

	room_segment(&s->r, path, sizeof(path));
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fdatasync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	(void)close(fd);
}

static void teardown(struct setup *s)
{
	room_close(&s->r);
	fake_receiver_stop(&s->f);
}

/* An idle connection, and a message that has not been offered yet. */
static struct room_message *offer_prepare(struct setup *s)
{
	struct fake_options fo = {0};
	struct room_message *m;

	s->f = fake_receiver_start(&fo);
	room_open(&s->r, fake_receiver_port(s->f));
	room_patience(&s->r, 5 * NS_PER_S);
	room_start(&s->r);
	(void)room_store(&s->r, rcpt, 1, small, sizeof(small) - 1, 0);
	m = room_store(&s->r, rcpt, 1, small, sizeof(small) - 1, 0);
	s->r.stored--;
	room_run(&s->r, &s->r.done, 1);
	while (!delivery_ready(s->r.d, 0, 0, 0))
		room_turn(&s->r);
	s->r.results[0] = '\0';
	return m;
}

static uint64_t offer_one(struct setup *s, const struct room_message *m)
{
	struct delivery_stats stats;

	assert_int_equal(delivery_offer(s->r.d, 0, 0, 0, &m->m), 0);
	s->r.stored++;
	s->r.offered++;
	delivery_stats(s->r.d, &stats);
	return stats.messages;
}

/* A token is spent for the offer: so MAIL must not wait for a disk that need
 * not be asked. Nothing is told from inside the call. */
static void mail_is_written_in_the_turn_of_the_offer(void **state)
{
	struct setup s;
	struct room_message *m = offer_prepare(&s);
	int cached = record_cached(&s, m);

	if (cached == 1) {
		assert_int_equal(offer_one(&s, m), 2);
		assert_int_equal(s.r.attempts, 1);
		room_run(&s.r, &s.r.done, 2);
		assert_int_equal(s.r.attempts, 2);
		assert_string_equal(s.r.results, "0:accepted/eom/250");
	}
	teardown(&s);
	if (cached != 1)
		skip();
}

/* The page may be back before the offer: then nothing has been shown. */
static void record_that_is_not_in_memory_is_read_first(void **state)
{
	struct setup s;
	struct room_message *m = offer_prepare(&s);
	bool cold = false;

	drop_cache(&s);
	if (record_cached(&s, m) == 0) {
		cold = offer_one(&s, m) == 1;
		room_run(&s.r, &s.r.done, 2);
		assert_string_equal(s.r.results, "0:accepted/eom/250");
	}
	teardown(&s);
	if (!cold)
		skip();
}

/* Catches a prefetch that asks for nothing. */
static void prefetched_record_is_in_memory_soon(void **state)
{
	struct setup s;
	struct room_message *m = offer_prepare(&s);
	int cached;

	drop_cache(&s);
	cached = record_cached(&s, m);
	if (cached == 0) {
		uint64_t until = clock_monotonic_ns() + 10 * NS_PER_S;

		/* it must come by itself: record_cached() starts no reading */
		spool_prefetch(s.r.sp, &m->m.place, 65536);
		while (record_cached(&s, m) == 0 &&
		       clock_monotonic_ns() < until)
			usleep(1000);
		assert_int_equal(record_cached(&s, m), 1);
		assert_int_equal(offer_one(&s, m), 2);
		room_run(&s.r, &s.r.done, 2);
	}
	teardown(&s);
	if (cached != 0)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_is_written_in_the_turn_of_the_offer),
		cmocka_unit_test(record_that_is_not_in_memory_is_read_first),
		cmocka_unit_test(prefetched_record_is_in_memory_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
