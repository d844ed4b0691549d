/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_resume.c - what kernels do rarely: give back, disturb, do half.
 *
 * Each fact makes an operation look as if the kernel had it, then hands the
 * loop a completion that a test cannot make a kernel produce at will.
 */
#include <poll.h>

#include "io/io_priv.h"
#include "io_test.h"

static void as_if_started(struct io *io, struct seen *s, enum io_kind kind,
			  int fd)
{
	seen_init(s);
	s->op.kind = kind;
	s->op.fd = fd;
	s->op.pending = 1;
	s->op.offset = IO_STREAM;
	io->in_flight++;
}

static void complete(struct io *io, struct seen *s, int res)
{
	io_complete(io, (uintptr_t)&s->op, res, 0);
}

/* -EAGAIN: waits until the descriptor is ready; -EINTR: at once. */
static void a_read_that_is_given_back_is_tried_again(void **state)
{
	struct io *io = *state;
	static const int errors[] = {-EAGAIN, -EINTR};
	for (int i = 0; i < 2; i++) {
		int fd[2];
		char got[8] = "";
		struct seen s;
		assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
		as_if_started(io, &s, IO_KIND_READ, fd[0]);
		s.op.buf = got;
		s.op.len = sizeof(got);
		complete(io, &s, errors[i]);
		loop_for(io, 2 * NS_PER_MS);
		assert_int_equal(s.calls, 0);
		assert_int_equal(write(fd[1], "abc", 3), 3);
		assert_int_equal(seen_wait(io, &s), 3);
		assert_memory_equal(got, "abc", 3);
		close(fd[0]);
		close(fd[1]);
	}
}

static void a_retry_can_be_cancelled_while_it_waits(void **state)
{
	struct io *io = *state;
	int fd[2];
	char byte;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	for (int i = 0; i < 3; i++) {
		struct seen s;
		as_if_started(io, &s, IO_KIND_READ, fd[0]);
		s.op.buf = &byte;
		s.op.len = 1;
		if (i < 2)
			complete(io, &s, -EAGAIN);
		if (i == 1)
			loop_for(io, 2 * NS_PER_MS);
		assert_int_equal(io_cancel(io, &s.op), 0);
		if (i == 2) /* the cancel came before the completion */
			complete(io, &s, -EAGAIN);
		assert_int_equal(seen_wait(io, &s), -ECANCELED);
	}
	close(fd[0]);
	close(fd[1]);
}

/* The peer must get the rest, no byte twice and none missing. */
static void a_short_send_goes_on_at_the_right_byte(void **state)
{
	struct io *io = *state;
	static const int first[] = {4, -EAGAIN, -EINTR};
	for (int i = 0; i < 3; i++) {
		int fd[2];
		char got[16] = "";
		struct seen s;
		socket_pair(fd);
		as_if_started(io, &s, IO_KIND_SEND, fd[0]);
		s.op.buf = "0123456789";
		s.op.len = 10;
		complete(io, &s, first[i]);
		assert_int_equal(seen_wait(io, &s), 10);
		size_t skip = i == 0 ? 4 : 0;
		assert_int_equal(read(fd[1], got, sizeof(got)),
				 (ssize_t)(10 - skip));
		assert_memory_equal(got, &"0123456789"[skip], 10 - skip);
		close(fd[0]);
		close(fd[1]);
	}
}

/* Every possible cut through pieces of 3, 0, 1 and 4 bytes. */
static void short_vectored_sends_go_on_at_the_right_byte(void **state)
{
	struct io *io = *state;
	for (int cut = 1; cut < 8; cut++) {
		int fd[2];
		char got[16] = "", text[] = "abcdefgh";
		struct iovec iov[] = {
			{text, 3}, {text + 3, 0}, {text + 3, 1}, {text + 4, 4}};
		struct seen s;
		socket_pair(fd);
		as_if_started(io, &s, IO_KIND_SENDV, fd[0]);
		s.op.iov = iov;
		s.op.len = 4;
		complete(io, &s, cut);
		assert_int_equal(seen_wait(io, &s), 8);
		assert_int_equal(read(fd[1], got, sizeof(got)), 8 - cut);
		assert_memory_equal(got, text + cut, (size_t)(8 - cut));
		close(fd[0]);
		close(fd[1]);
	}
}

/* A file: the rest goes behind the first part, and is read from there. */
static void short_file_transfers_go_on_at_the_right_offset(void **state)
{
	struct io *io = *state;
	char path[64], got[16] = "";
	int dir = scratch_dir(path);
	int fd = openat(dir, "f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	unlinkat(dir, "f", 0);
	assert_int_equal(pwrite(fd, "....0123", 8, 0), 8);
	struct seen s;
	as_if_started(io, &s, IO_KIND_WRITE, fd);
	s.op.buf = "0123456789";
	s.op.len = 10;
	s.op.offset = 4;
	complete(io, &s, 4);
	assert_int_equal(seen_wait(io, &s), 10);
	as_if_started(io, &s, IO_KIND_READ, fd);
	memcpy(got, "..", 2);
	s.op.buf = got;
	s.op.len = sizeof(got);
	s.op.offset = 2;
	complete(io, &s, 2);
	assert_int_equal(seen_wait(io, &s), 12); /* to the end of the file */
	assert_memory_equal(got, "..0123456789", 12);
	close(fd);
	close(dir);
	rmdir(path);
}

/* A transfer of nothing would go round for ever. */
static void a_transfer_that_moves_nothing_is_an_error(void **state)
{
	struct io *io = *state;
	static const enum io_kind kinds[] = {IO_KIND_SEND, IO_KIND_SENDV,
					     IO_KIND_WRITE};
	for (int i = 0; i < 3; i++) {
		char byte = 0;
		struct iovec iov = {&byte, 1};
		struct seen s;
		as_if_started(io, &s, kinds[i], -1);
		s.op.buf = &iov;
		s.op.len = 1;
		complete(io, &s, 0);
		assert_int_equal(s.ended, 1);
		assert_int_equal(s.res, -EIO);
	}
}

/* After a hang-up a new poll would fire at once, and again, and again. */
static void a_poll_ends_with_the_hang_up(void **state)
{
	struct io *io = *state;
	struct seen p;
	as_if_started(io, &p, IO_KIND_POLL, -1);
	complete(io, &p, POLLIN | POLLHUP);
	assert_int_equal(p.ended, 1);
	assert_int_equal(p.res, POLLIN | POLLHUP);
}

/* A multishot that the kernel ended without an error is armed again. */
static void an_ended_multishot_is_armed_again(void **state)
{
	struct io *io = *state;
	struct sockaddr_in sa;
	int fd[2], lfd = listener(&sa);
	struct seen p, a, b;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	as_if_started(io, &p, IO_KIND_POLL, fd[0]);
	p.op.len = POLLIN;
	complete(io, &p, POLLIN);
	assert_int_equal(p.calls, 1);
	assert_int_equal(p.ended, 0);
	as_if_started(io, &a, IO_KIND_ACCEPT, lfd);
	complete(io, &a, -ECONNABORTED);
	as_if_started(io, &b, IO_KIND_ACCEPT, lfd);
	complete(io, &b, -EAGAIN);
	loop_for(io, NS_PER_MS);
	assert_int_equal(p.calls, 1);
	assert_int_equal(a.calls + b.calls, 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, sizeof(sa)),
			 0);
	loop_until(io, &p.calls, 2);
	while (a.calls + b.calls == 0)
		assert_int_equal(io_step(io, WAIT_MAX_NS), 0);
	close(a.calls ? a.res : b.res);
	struct seen *all[] = {&p, &a, &b};
	for (int i = 0; i < 3; i++) {
		assert_int_equal(io_cancel(io, &all[i]->op), 0);
		assert_int_equal(seen_wait(io, all[i]), -ECANCELED);
	}
	close(client);
	close(lfd);
	close(fd[0]);
	close(fd[1]);
}

static void count_wake(void *user)
{
	(*(uint32_t *)user)++;
}

/* The read of the eventfd could not be queued: the next turn does it. */
static void the_wake_is_armed_again(void **state)
{
	struct io *io = *state;
	uint32_t wakes = 0;
	io_on_wake(io, count_wake, &wakes);
	loop_for(io, NS_PER_MS);
	assert_int_equal(io_cancel(io, &io->wake_op), 0);
	loop_for(io, NS_PER_MS); /* ended, and started anew by its callback */
	assert_true(io->wake_armed);
	assert_int_equal(io->wake_op.pending, 1);
	atomic_store(&io->sleeping, true); /* so that the eventfd is written */
	io_wake(io);
	atomic_store(&io->sleeping, false);
	loop_until(io, &wakes, 1);
	assert_int_equal(wakes, 1);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(a_read_that_is_given_back_is_tried_again),
		FACT(a_retry_can_be_cancelled_while_it_waits),
		FACT(a_short_send_goes_on_at_the_right_byte),
		FACT(short_vectored_sends_go_on_at_the_right_byte),
		FACT(short_file_transfers_go_on_at_the_right_offset),
		FACT(a_transfer_that_moves_nothing_is_an_error),
		FACT(a_poll_ends_with_the_hang_up),
		FACT(an_ended_multishot_is_armed_again),
		FACT(the_wake_is_armed_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
