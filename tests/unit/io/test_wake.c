/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_wake.c - another thread wakes the loop; no wake is lost.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "io/io_priv.h"
#include "io_test.h"

#define ROUNDS 5000

struct pingpong {
	struct io *io;
	atomic_uint sent;
	atomic_uint seen;
	uint32_t wakes;
};

static void woken(void *user)
{
	struct pingpong *p = user;
	p->wakes++;
	atomic_store(&p->seen, atomic_load(&p->sent));
}

/* Sends the next one only when the last was seen: a lost wake hangs here. */
static void *waker(void *arg)
{
	struct pingpong *p = arg;
	for (unsigned i = 1; i <= ROUNDS; i++) {
		atomic_store(&p->sent, i);
		io_wake(p->io);
		while (atomic_load(&p->seen) < i)
			sched_yield();
	}
	return NULL;
}

static void run_pingpong(struct io *io)
{
	struct pingpong p = {.io = io};
	pthread_t t;
	io_on_wake(io, woken, &p);
	assert_int_equal(pthread_create(&t, NULL, waker, &p), 0);
	uint64_t until_ns = clock_monotonic_ns() + 2 * WAIT_MAX_NS;
	while (atomic_load(&p.seen) < ROUNDS) {
		assert_int_equal(io_step(io, WAIT_MAX_NS), 0);
		assert_true(clock_monotonic_ns() < until_ns);
	}
	pthread_join(t, NULL);
	assert_true(p.wakes >= ROUNDS);
	io_on_wake(io, NULL, NULL);
}

static void no_wake_from_a_thread_is_lost(void **state)
{
	run_pingpong(*state);
}

static void no_wake_is_lost_while_the_loop_spins(void **state)
{
	struct io *io = NULL;
	struct io_options o = {.entries = 64, .spin_ns = 50 * NS_PER_US};
	assert_int_equal(io_open(&io, &o, NULL), 0);
	run_pingpong(io);
	struct io_stats st;
	io_stats(io, &st);
	assert_true(st.spins > 0);
	io_close(&io);
}

/* A wake that comes before the loop waits counts. */
static void a_wake_before_the_wait_ends_the_wait(void **state)
{
	struct io *io = *state;
	struct pingpong p = {.io = io};
	io_on_wake(io, woken, &p);
	uint64_t from_ns = clock_monotonic_ns();
	for (uint32_t i = 1; i <= 10; i++) {
		io_wake(io);
		io_wake(io);
		assert_int_equal(io_step(io, WAIT_MAX_NS), 0);
		assert_int_equal(p.wakes, i);
	}
	assert_true(clock_monotonic_ns() - from_ns < NS_PER_S);
}

static uint32_t timers_fired;

static void timer_fired(struct io_timer *t, uint64_t now_ns)
{
	timers_fired++;
}

/* Looking in vain is cut short; a sleep that was shorter than a look would
 * have been makes it long again. */
static void the_look_adapts_to_what_it_brings(void **state)
{
	struct io *io = NULL;
	struct io_options o = {.entries = 64, .spin_ns = 20 * NS_PER_MS};
	struct io_timer t;
	assert_int_equal(io_open(&io, &o, NULL), 0);
	assert_int_equal(io->spin_ns, o.spin_ns);
	for (int i = 0; i < 6; i++)
		assert_int_equal(io_step(io, 60 * NS_PER_MS), 0);
	assert_int_equal(io->spin_ns, o.spin_ns / 16);
	timers_fired = 0;
	io_timer_init(&t, timer_fired, NULL);
	io_timer_set(io, &t, clock_monotonic_ns() + 5 * NS_PER_MS);
	loop_until(io, &timers_fired, 1);
	assert_int_equal(io->spin_ns, o.spin_ns);
	io_close(&io);
}

/* With spinning on, sockets and timers still work, and the loop sleeps when
 * there is nothing to look for. */
static void a_spinning_loop_serves_sockets_and_sleeps(void **state)
{
	struct io *io = NULL;
	struct io_options o = {.entries = 64,
			       .recv_buffers = 4,
			       .recv_buffer_bytes = 64,
			       .spin_ns = 100 * NS_PER_US};
	assert_int_equal(io_open(&io, &o, NULL), 0);
	int fd[2];
	socket_pair(fd);
	struct seen r, s;
	seen_init(&r);
	assert_int_equal(io_recv_multi(io, &r.op, fd[0]), 0);
	for (uint32_t i = 1; i <= 1000; i++) {
		seen_init(&s);
		assert_int_equal(io_send(io, &s.op, fd[1], "x", 1), 0);
		loop_until(io, &r.calls, i);
		assert_int_equal(seen_wait(io, &s), 1);
	}
	/* due within the look: reached without any sleep */
	struct io_timer t;
	struct io_stats before, after;
	io_stats(io, &before);
	timers_fired = 0;
	io_timer_init(&t, timer_fired, NULL);
	uint64_t due_ns = clock_monotonic_ns() + 20 * NS_PER_US;
	io_timer_set(io, &t, due_ns);
	loop_until(io, &timers_fired, 1);
	io_stats(io, &after);
	assert_true(io_now_ns(io) >= due_ns);
	assert_true(after.spins_won > before.spins_won);
	struct timespec a, b;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	assert_int_equal(io_step(io, 300 * NS_PER_MS), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	int64_t cpu_ns = (b.tv_sec - a.tv_sec) * (int64_t)NS_PER_S +
			 (b.tv_nsec - a.tv_nsec);
	assert_true(cpu_ns < (int64_t)(100 * NS_PER_MS));
	io_close(&io);
	close(fd[0]);
	close(fd[1]);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(no_wake_from_a_thread_is_lost),
		cmocka_unit_test(the_look_adapts_to_what_it_brings),
		cmocka_unit_test(no_wake_is_lost_while_the_loop_spins),
		FACT(a_wake_before_the_wait_ends_the_wait),
		cmocka_unit_test(a_spinning_loop_serves_sockets_and_sleeps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
