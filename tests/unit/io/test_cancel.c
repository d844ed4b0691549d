/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_cancel.c - a cancelled operation ends once, whenever the cancel comes.
 */
#include <poll.h>

#include "io/io_priv.h"
#include "io_test.h"

static int cancel_after(struct io *io, struct seen *s, bool submitted)
{
	if (submitted)
		loop_for(io, 5 * NS_PER_MS);
	assert_int_equal(s->calls, 0);
	assert_int_equal(io_cancel(io, &s->op), 0);
	assert_int_equal(s->calls, 0); /* never inside io_cancel() */
	assert_int_equal(io_cancel(io, &s->op), 0);
	int res = seen_wait(io, s);
	loop_for(io, 5 * NS_PER_MS);
	assert_int_equal(s->ended, 1);
	assert_int_equal(io_cancel(io, &s->op), -ENOENT);
	return res;
}

/* Each kind that can wait, cancelled before and after the kernel has it. */
static void each_waiting_operation_can_be_cancelled(void **state)
{
	struct io *io = *state;
	static char big[1000000];
	struct sockaddr_in sa;
	int fd[2], pfd[2], nfd[2], lfd = listener(&sa);
	socket_pair(fd);
	assert_int_equal(pipe2(pfd, O_CLOEXEC), 0);
	assert_int_equal(pipe2(nfd, O_CLOEXEC | O_NONBLOCK), 0);
	for (int submitted = 0; submitted < 2; submitted++) {
		struct seen s;
		char byte;
		seen_init(&s);
		io_accept_multi(io, &s.op, lfd);
		assert_int_equal(cancel_after(io, &s, submitted), -ECANCELED);
		seen_init(&s);
		io_recv_multi(io, &s.op, fd[0]);
		assert_int_equal(cancel_after(io, &s, submitted), -ECANCELED);
		seen_init(&s);
		io_poll_multi(io, &s.op, fd[0], POLLIN);
		assert_int_equal(cancel_after(io, &s, submitted), -ECANCELED);
		seen_init(&s);
		io_read(io, &s.op, pfd[0], &byte, 1, IO_STREAM);
		assert_int_equal(cancel_after(io, &s, submitted), -ECANCELED);
		seen_init(&s); /* the loop polls for this one */
		io_read(io, &s.op, nfd[0], &byte, 1, IO_STREAM);
		assert_int_equal(cancel_after(io, &s, submitted), -ECANCELED);
		seen_init(&s); /* part of it is out already */
		io_send(io, &s.op, fd[0], big, sizeof(big));
		assert_int_equal(cancel_after(io, &s, submitted), -ECANCELED);
	}
	for (int i = 0; i < 2; i++) {
		close(fd[i]);
		close(pfd[i]);
		close(nfd[i]);
	}
	close(lfd);
}

/* A connect nobody answers is given up by a timer of the caller. */
static void a_connect_without_an_answer_can_be_cancelled(void **state)
{
	struct io *io = *state;
	struct sockaddr_in sa;
	int lfd = listener(&sa);
	int fd[80];
	/* a full accept queue leaves further connects unanswered */
	assert_int_equal(listen(lfd, 0), 0);
	for (int i = 0; i < 3; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fd[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	for (int i = 3; i < 5; i++) {
		struct seen s;
		fd[i] = socket(AF_INET,
			       SOCK_STREAM | (i % 2 ? SOCK_NONBLOCK : 0), 0);
		seen_init(&s);
		io_connect(io, &s.op, fd[i], (struct sockaddr *)&sa,
			   sizeof(sa));
		assert_int_equal(cancel_after(io, &s, true), -ECANCELED);
	}
	for (int i = 0; i < 5; i++)
		close(fd[i]);
	close(lfd);
}

/* The completion is on its way already when the cancel is asked for. */
static void an_operation_that_completes_meanwhile_ends_once(void **state)
{
	struct io *io = *state;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 100; i++) {
		struct seen s;
		char byte = 1;
		seen_init(&s);
		io_read(io, &s.op, zero, &byte, 1, 0);
		assert_int_equal(io_submit(io), 0);
		assert_int_equal(io_cancel(io, &s.op), 0);
		assert_int_equal(seen_wait(io, &s), 1);
	}
	close(zero);
}

struct restarted {
	struct seen s; /* first: done finds it by `user` */
	struct io *io;
	int fd;
	uint32_t starts;
	char byte;
};

static void restart(struct io_op *op, int res, uint32_t flags, const void *data)
{
	struct restarted *r = op->user;
	seen_done(op, res, flags, data);
	if (r->starts++ == 0)
		assert_int_equal(
			io_read(r->io, op, r->fd, &r->byte, 1, IO_STREAM), 0);
}

/* An op that is started again in its `done` must not be hit by the cancel of
 * its former life. */
static void a_late_cancel_misses_the_next_use(void **state)
{
	struct io *io = *state;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	int fd[2];
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	struct restarted r = {.io = io, .fd = fd[0]};
	seen_init(&r.s);
	r.s.op.done = restart;
	io_read(io, &r.s.op, zero, &r.byte, 1, 0);
	io_submit(io);
	io_cancel(io, &r.s.op);
	loop_until(io, &r.s.ended, 1);
	loop_for(io, 20 * NS_PER_MS);
	assert_int_equal(r.s.ended, 1); /* the second read still waits */
	assert_int_equal(write(fd[1], "z", 1), 1);
	loop_until(io, &r.s.ended, 2);
	assert_int_equal(r.s.res, 1);
	assert_int_equal(r.byte, 'z');
	close(zero);
	close(fd[0]);
	close(fd[1]);
}

struct quitter {
	struct seen s;
	struct io *io;
	uint32_t after; /* cancels itself in this call */
};

static void quit(struct io_op *op, int res, uint32_t flags, const void *data)
{
	struct quitter *q = op->user;
	seen_done(op, res, flags, data);
	if (q->s.calls == q->after)
		assert_int_equal(io_cancel(q->io, op), 0);
}

/* Cancelled from its own callback while more data is there already. */
static void a_receiver_may_cancel_itself(void **state)
{
	struct io *io = *state;
	static char bytes[100000];
	for (uint32_t after = 1; after < 40; after += 3) {
		int fd[2];
		socket_pair(fd);
		assert_int_equal(write(fd[0], bytes, sizeof(bytes)),
				 sizeof(bytes));
		struct quitter q = {.io = io, .after = after};
		seen_init(&q.s);
		q.s.op.done = quit;
		assert_int_equal(io_recv_multi(io, &q.s.op, fd[1]), 0);
		assert_int_equal(seen_wait(io, &q.s), -ECANCELED);
		assert_true(q.s.length < sizeof(bytes));
		uint32_t calls = q.s.calls;
		loop_for(io, 2 * NS_PER_MS);
		assert_int_equal(q.s.calls, calls);
		close(fd[0]);
		close(fd[1]);
	}
}

/* Data without end must not keep a receiver from being cancelled, at whatever
 * moment the cancel comes. */
static void a_busy_receiver_is_cancelled_in_the_end(void **state)
{
	enum { ROUNDS = 300 };
	struct io *io = NULL;
	struct io_options o = {
		.entries = 64, .recv_buffers = 1024, .recv_buffer_bytes = 32};
	static char bytes[60000];
	assert_int_equal(io_open(&io, &o, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		int fd[2];
		struct seen r;
		socket_pair(fd);
		assert_int_equal(write(fd[0], bytes, sizeof(bytes)),
				 sizeof(bytes));
		seen_init(&r);
		assert_int_equal(io_recv_multi(io, &r.op, fd[1]), 0);
		if (i % 3 > 0)
			assert_int_equal(io_submit(io), 0);
		for (int k = 0; k < i % 5; k++)
			assert_int_equal(io_step(io, 0), 0);
		assert_int_equal(io_cancel(io, &r.op), 0);
		assert_int_equal(seen_wait(io, &r), -ECANCELED);
		close(fd[0]);
		close(fd[1]);
	}
	io_close(&io);
}

/* The kernel answers -ENOENT while it moves a request from list to list: the
 * cancel is tried again, else a quiet socket would keep the operation. */
static void a_cancel_that_finds_nothing_is_tried_again(void **state)
{
	struct io *io = *state;
	int fd[2];
	char byte;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	struct seen s;
	seen_init(&s);
	io_read(io, &s.op, fd[0], &byte, 1, IO_STREAM);
	loop_for(io, NS_PER_MS);
	/* as if a first cancel had been sent and had missed */
	s.op.state |= IO_OP_CANCELLED;
	s.op.pending++;
	io->in_flight++;
	io_complete(io, (uintptr_t)&s.op | IO_TAG_CANCEL, -ENOENT, 0);
	assert_int_equal(s.calls, 0);
	assert_int_equal(seen_wait(io, &s), -ECANCELED);
	close(fd[0]);
	close(fd[1]);
}

/* The kernel must not write into memory after io_close(), and a connection
 * accepted too late must not leak. */
static void closing_ends_all_that_is_in_flight(void **state)
{
	enum { MANY = 40 };
	int fd[2], before = open_descriptors();
	struct io *io = loop_open(64);
	struct sockaddr_in sa;
	int lfd = listener(&sa);
	socket_pair(fd);
	struct seen *s = calloc(MANY, sizeof(*s));
	char *buf = calloc(1, 64);
	for (int i = 0; i < MANY; i++) {
		seen_init(&s[i]);
		if (i % 3 == 0)
			io_accept_multi(io, &s[i].op, lfd);
		else if (i % 3 == 1)
			io_recv_multi(io, &s[i].op, fd[0]);
		else
			io_read(io, &s[i].op, fd[0], buf, 64, IO_STREAM);
	}
	loop_for(io, 5 * NS_PER_MS);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, sizeof(sa)),
			 0);
	/* these complete at once, and nobody takes the completions */
	struct sockaddr_in other_sa;
	int other = listener(&other_sa);
	int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
		connect(late, (struct sockaddr *)&other_sa, sizeof(sa)), 0);
	struct seen a, o;
	seen_init(&a);
	seen_init(&o);
	io_accept_multi(io, &a.op, other);
	io_openat(io, &o.op, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	assert_int_equal(io_submit(io), 0);
	assert_int_equal(io_uring_get_events(&io->ring), 0);
	assert_true(io_uring_cq_ready(&io->ring) >= 2);
	uint64_t from_ns = clock_monotonic_ns();
	io_close(&io);
	assert_int_equal(a.calls + o.calls, 0);
	close(other);
	close(late);
	assert_null(io);
	assert_true(clock_monotonic_ns() - from_ns < 2 * NS_PER_S);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(s[i].calls, 0);
	assert_int_equal(write(fd[1], "late", 4), 4);
	assert_int_equal(buf[0], 0);
	free(buf);
	free(s);
	close(client);
	close(lfd);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(open_descriptors(), before);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(each_waiting_operation_can_be_cancelled),
		FACT(a_connect_without_an_answer_can_be_cancelled),
		FACT(a_cancel_that_finds_nothing_is_tried_again),
		FACT(an_operation_that_completes_meanwhile_ends_once),
		FACT(a_late_cancel_misses_the_next_use),
		FACT(a_receiver_may_cancel_itself),
		cmocka_unit_test(a_busy_receiver_is_cancelled_in_the_end),
		cmocka_unit_test(closing_ends_all_that_is_in_flight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
