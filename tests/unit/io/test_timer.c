/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_timer.c - timers fire once, in time, and never early.
 */
#include "io_test.h"

struct tick {
	struct io_timer timer;
	uint64_t due_ns;
	uint64_t fired_ns;
	uint32_t fired;
	struct io *io;
};

static void tick_fired(struct io_timer *t, uint64_t now_ns)
{
	struct tick *k = t->user;
	k->fired++;
	k->fired_ns = now_ns;
}

static uint32_t xorshift(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* 10,000 timers spread over 300 ms, a third of them cancelled, some moved:
 * each of the others fires exactly once and not before its time. */
static void ten_thousand_timers_fire_once_and_never_early(void **state)
{
	enum { MANY = 10000 };
	struct io *io = *state;
	struct tick *k = calloc(MANY, sizeof(*k));
	uint32_t seed = 0x5eed1234;
	uint64_t from_ns = clock_monotonic_ns();
	for (int i = 0; i < MANY; i++) {
		k[i].due_ns = from_ns + xorshift(&seed) % (300 * NS_PER_MS);
		io_timer_init(&k[i].timer, tick_fired, &k[i]);
		io_timer_set(io, &k[i].timer, k[i].due_ns);
		if (i % 5 == 0) {
			k[i].due_ns += 20 * NS_PER_MS;
			io_timer_set(io, &k[i].timer, k[i].due_ns);
		}
	}
	for (int i = 0; i < MANY; i += 3)
		io_timer_cancel(io, &k[i].timer);
	loop_for(io, 350 * NS_PER_MS);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(k[i].fired, i % 3 == 0 ? 0 : 1);
		if (k[i].fired)
			assert_true(k[i].fired_ns >= k[i].due_ns);
	}
	free(k);
}

/* Nothing to wait for but a timer: the wait has no other limit. */
static void a_timer_ends_a_wait_without_limit(void **state)
{
	struct io *io = *state;
	struct tick far = {.io = io}, near = {.io = io};
	io_timer_init(&far.timer, tick_fired, &far);
	io_timer_init(&near.timer, tick_fired, &near);
	uint64_t now_ns = clock_monotonic_ns();
	io_timer_set(io, &far.timer, now_ns + 100 * 86400 * NS_PER_S);
	io_timer_set(io, &near.timer, now_ns + 10 * NS_PER_MS);
	while (near.fired == 0)
		assert_int_equal(io_step(io, CLOCK_NEVER_NS), 0);
	assert_true(clock_monotonic_ns() - now_ns < NS_PER_S);
	assert_int_equal(far.fired, 0);
	io_timer_cancel(io, &far.timer);
}

/* A pace of thousands a second needs waits well under a millisecond. */
static void a_timer_is_finer_than_a_millisecond(void **state)
{
	struct io *io = *state;
	uint64_t best_ns = CLOCK_NEVER_NS;
	for (int i = 0; i < 50; i++) {
		struct tick k = {.io = io};
		io_timer_init(&k.timer, tick_fired, &k);
		k.due_ns = clock_monotonic_ns() + 300 * NS_PER_US;
		io_timer_set(io, &k.timer, k.due_ns);
		loop_until(io, &k.fired, 1);
		assert_true(k.fired_ns >= k.due_ns);
		if (k.fired_ns - k.due_ns < best_ns)
			best_ns = k.fired_ns - k.due_ns;
	}
	assert_true(best_ns < NS_PER_MS);
}

static void rearm(struct io_timer *t, uint64_t now_ns)
{
	struct tick *k = t->user;
	k->fired++;
	io_timer_set(k->io, t, now_ns); /* due at once, for ever */
}

/* A timer that is always due must not keep the loop from its sockets. */
static void an_always_due_timer_does_not_starve_io(void **state)
{
	struct io *io = *state;
	struct tick k = {.io = io};
	io_timer_init(&k.timer, rearm, &k);
	io_timer_set(io, &k.timer, 0);
	int fd[2];
	socket_pair(fd);
	struct seen r;
	seen_init(&r);
	assert_int_equal(io_recv_multi(io, &r.op, fd[0]), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	loop_until(io, &r.calls, 1);
	assert_true(k.fired > 0 && k.fired < 1000000);
	io_timer_cancel(io, &k.timer);
	io_cancel(io, &r.op);
	loop_until(io, &r.ended, 1);
	close(fd[0]);
	close(fd[1]);
}

/* In one turn: a timer that cancels another that is due as well. */
static struct tick *victim;

static void kill_victim(struct io_timer *t, uint64_t now_ns)
{
	struct tick *k = t->user;
	k->fired++;
	io_timer_cancel(k->io, &victim->timer);
}

static void a_cancelled_timer_does_not_fire_in_the_same_turn(void **state)
{
	struct io *io = *state;
	struct tick a = {.io = io}, b = {.io = io};
	victim = &b;
	io_timer_init(&a.timer, kill_victim, &a);
	io_timer_init(&b.timer, tick_fired, &b);
	uint64_t due_ns = clock_monotonic_ns() + NS_PER_MS;
	io_timer_set(io, &a.timer, due_ns);
	io_timer_set(io, &b.timer, due_ns);
	loop_for(io, 10 * NS_PER_MS);
	assert_int_equal(a.fired, 1);
	assert_int_equal(b.fired, 0);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(ten_thousand_timers_fire_once_and_never_early),
		FACT(a_timer_ends_a_wait_without_limit),
		FACT(a_timer_is_finer_than_a_millisecond),
		FACT(an_always_due_timer_does_not_starve_io),
		FACT(a_cancelled_timer_does_not_fire_in_the_same_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
