/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_op.c - each operation does what its name says, and says how it failed.
 */
#include <poll.h>
#include <sys/resource.h>

#include "io/io_priv.h"
#include "io_test.h"

#define FILE_BYTES 100000

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 31 + i / 251);
}

/* open, write, fdatasync, fsync, read, rename, unlink: the life of a file. */
static void a_file_is_written_read_renamed_and_removed(void **state)
{
	struct io *io = *state;
	char path[64];
	int dir = scratch_dir(path);
	static uint8_t out[FILE_BYTES], in[FILE_BYTES + 10];
	fill(out, sizeof(out));
	struct seen s;
	seen_init(&s);
	assert_int_equal(io_openat(io, &s.op, dir, "a",
				   O_CREAT | O_RDWR | O_CLOEXEC, 0600),
			 0);
	int fd = seen_wait(io, &s);
	assert_true(fd >= 0);
	seen_init(&s);
	assert_int_equal(io_write(io, &s.op, fd, out, sizeof(out), 5), 0);
	assert_int_equal(seen_wait(io, &s), FILE_BYTES);
	seen_init(&s);
	assert_int_equal(io_fdatasync(io, &s.op, fd), 0);
	assert_int_equal(seen_wait(io, &s), 0);
	seen_init(&s);
	assert_int_equal(io_fsync(io, &s.op, dir), 0);
	assert_int_equal(seen_wait(io, &s), 0);
	seen_init(&s);
	/* asks beyond the end: what is there */
	assert_int_equal(io_read(io, &s.op, fd, in, sizeof(in), 5), 0);
	assert_int_equal(seen_wait(io, &s), FILE_BYTES);
	assert_memory_equal(in, out, FILE_BYTES);
	seen_init(&s);
	assert_int_equal(io_renameat(io, &s.op, dir, "a", dir, "b"), 0);
	assert_int_equal(seen_wait(io, &s), 0);
	assert_int_equal(faccessat(dir, "b", F_OK, 0), 0);
	seen_init(&s);
	assert_int_equal(io_unlinkat(io, &s.op, dir, "b"), 0);
	assert_int_equal(seen_wait(io, &s), 0);
	assert_int_equal(faccessat(dir, "b", F_OK, 0), -1);
	assert_int_equal(io_close_fd(io, fd), 0);
	loop_for(io, 20 * NS_PER_MS);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	close(dir);
	rmdir(path);
}

/* A file system's refusal must reach the caller as it is. */
static void file_errors_are_reported(void **state)
{
	struct io *io = *state;
	char byte = 0;
	struct seen s;
	seen_init(&s);
	io_openat(io, &s.op, AT_FDCWD, "/nonexistent/x", O_RDONLY, 0);
	assert_int_equal(seen_wait(io, &s), -ENOENT);
	seen_init(&s);
	io_unlinkat(io, &s.op, AT_FDCWD, "/nonexistent");
	assert_int_equal(seen_wait(io, &s), -ENOENT);
	seen_init(&s);
	io_renameat(io, &s.op, AT_FDCWD, "/nonexistent", AT_FDCWD, "/tmp/x");
	assert_int_equal(seen_wait(io, &s), -ENOENT);
	seen_init(&s);
	io_write(io, &s.op, -1, &byte, 1, 0);
	assert_int_equal(seen_wait(io, &s), -EBADF);
	seen_init(&s);
	io_read(io, &s.op, 1 << 20, &byte, 1, 0);
	assert_int_equal(seen_wait(io, &s), -EBADF);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	seen_init(&s);
	io_write(io, &s.op, full, &byte, 1, 0);
	assert_int_equal(seen_wait(io, &s), -ENOSPC);
	close(full);
}

static void seen_accepted(struct io_op *op, int res, uint32_t flags,
			  const void *data)
{
	seen_done(op, res, flags, data);
	if (res >= 0)
		close(res);
}

/* One accept serves many connections; a connect has its address copied, for it
 * may be gone when the request is submitted. */
static void one_accept_takes_many_connections(void **state)
{
	enum { MANY = 20 };
	struct io *io = *state;
	struct sockaddr_in sa;
	int lfd = listener(&sa);
	struct seen a;
	seen_init(&a);
	assert_int_equal(io_accept_multi(io, &a.op, lfd), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		struct seen c;
		seen_init(&c);
		int fd = socket(AF_INET,
				SOCK_STREAM | (i % 2 ? SOCK_NONBLOCK : 0), 0);
		struct sockaddr_in to = sa;
		assert_int_equal(io_connect(io, &c.op, fd,
					    (struct sockaddr *)&to, sizeof(to)),
				 0);
		memset(&to, 0, sizeof(to));
		assert_int_equal(seen_wait(io, &c), 0);
		loop_until(io, &a.calls, i + 1);
		assert_true(a.res >= 0);
		assert_true(fcntl(a.res, F_GETFD) & FD_CLOEXEC);
		close(a.res);
		close(fd);
	}
	assert_int_equal(a.ended, 0);
	assert_int_equal(io_cancel(io, &a.op), 0);
	assert_int_equal(seen_wait(io, &a), -ECANCELED);
	close(lfd);
}

/* Out of descriptors: the accept ends and says so, instead of going round; it
 * can be started again, and no connection is lost. */
static void accept_without_descriptors_ends_and_can_go_on(void **state)
{
	struct io *io = *state;
	struct sockaddr_in sa;
	struct rlimit was, now;
	int lfd = listener(&sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct seen a;
	seen_init(&a);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	now = was;
	now.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(io_accept_multi(io, &a.op, lfd), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	loop_until(io, &a.ended, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(a.res, -EMFILE);
	assert_int_equal(a.calls, 1);
	assert_int_equal(io_accept_multi(io, &a.op, lfd), 0);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	loop_until(io, &a.calls, 2);
	assert_true(a.res >= 0);
	close(a.res);
	io_cancel(io, &a.op);
	loop_until(io, &a.ended, 2);
	close(fd);
	close(lfd);
}

/* A port where nobody listens must not look connected. */
static void connect_to_a_closed_port_is_refused(void **state)
{
	struct io *io = *state;
	struct sockaddr_in sa = {.sin_family = AF_INET};
	struct seen bad;
	seen_init(&bad);
	assert_int_equal(io_connect(io, &bad.op, 0, (struct sockaddr *)&sa,
				    sizeof(struct sockaddr_storage) + 1),
			 -EINVAL);
	close(listener(&sa));
	for (int i = 0; i < 2; i++) {
		struct seen c;
		seen_init(&c);
		int fd = socket(AF_INET, SOCK_STREAM | (i ? SOCK_NONBLOCK : 0),
				0);
		io_connect(io, &c.op, fd, (struct sockaddr *)&sa, sizeof(sa));
		assert_int_equal(seen_wait(io, &c), -ECONNREFUSED);
		close(fd);
	}
}

/* A descriptor passed with a message must arrive. */
static void messages_carry_descriptors(void **state)
{
	struct io *io = *state;
	int fd[2], pass = open("/dev/null", O_RDONLY | O_CLOEXEC);
	socket_pair(fd);
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} out = {0}, in = {0};
	char text[] = "take it", got[16] = "";
	struct iovec iov = {text, sizeof(text)}, riov = {got, sizeof(got)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &out,
			   .msg_controllen = sizeof(out)};
	out.h = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(&out.h), &pass, sizeof(pass));
	struct msghdr r = {.msg_iov = &riov,
			   .msg_iovlen = 1,
			   .msg_control = &in,
			   .msg_controllen = sizeof(in)};
	struct seen rs, ss;
	seen_init(&rs);
	seen_init(&ss);
	assert_int_equal(io_recvmsg(io, &rs.op, fd[1], &r), 0);
	assert_int_equal(io_sendmsg(io, &ss.op, fd[0], &m), 0);
	assert_int_equal(seen_wait(io, &rs), sizeof(text));
	assert_int_equal(seen_wait(io, &ss), sizeof(text));
	assert_string_equal(got, text);
	assert_int_equal(in.h.cmsg_type, SCM_RIGHTS);
	int arrived;
	memcpy(&arrived, CMSG_DATA(&in.h), sizeof(arrived));
	assert_int_equal(close(arrived), 0);
	close(pass);
	close(fd[0]);
	close(fd[1]);
}

/* libunbound's descriptor is only ever polled: each event, until the end. */
static void poll_reports_each_event_and_the_hang_up(void **state)
{
	struct io *io = *state;
	int fd[2];
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	struct seen s;
	seen_init(&s);
	assert_int_equal(io_poll_multi(io, &s.op, fd[0], POLLIN), 0);
	for (uint32_t i = 1; i <= 3; i++) {
		char byte = 'x';
		assert_int_equal(write(fd[1], &byte, 1), 1);
		loop_until(io, &s.calls, i);
		assert_true(s.res & POLLIN);
		assert_int_equal(read(fd[0], &byte, 1), 1);
		loop_for(io, 5 * NS_PER_MS);
		assert_int_equal(s.calls, i);
	}
	close(fd[1]);
	loop_until(io, &s.calls, 4);
	assert_true(s.res & POLLHUP);
	if (s.ended == 0)
		assert_int_equal(io_cancel(io, &s.op), 0);
	loop_until(io, &s.ended, 1);
	close(fd[0]);
}

/* O_NONBLOCK makes the kernel give up at once: the loop must wait instead. */
static void a_nonblocking_pipe_is_waited_for(void **state)
{
	struct io *io = *state;
	int fd[2];
	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	char got[8] = "";
	struct seen s;
	seen_init(&s);
	assert_int_equal(io_read(io, &s.op, fd[0], got, 8, IO_STREAM), 0);
	loop_for(io, 20 * NS_PER_MS);
	assert_int_equal(s.calls, 0);
	assert_int_equal(write(fd[1], "abc", 3), 3);
	assert_int_equal(seen_wait(io, &s), 3);
	assert_memory_equal(got, "abc", 3);
	/* more than a pipe holds: the rest waits for the reader */
	static char big[200000], sink[200000];
	struct seen w;
	seen_init(&w);
	assert_int_equal(
		io_write(io, &w.op, fd[1], big, sizeof(big), IO_STREAM), 0);
	for (size_t left = sizeof(big); left > 0;) {
		assert_int_equal(io_step(io, NS_PER_MS), 0);
		ssize_t n = read(fd[0], sink, sizeof(sink));
		if (n > 0)
			left -= (size_t)n;
	}
	assert_int_equal(seen_wait(io, &w), sizeof(big));
	close(fd[0]);
	close(fd[1]);
}

/* When the kernel refuses to take requests, starting says -EBUSY and leaves
 * nothing queued; what had to go on ends with -EBUSY; the rest survives. */
static void a_kernel_that_takes_no_more_is_reported(void **state)
{
	struct io *io = *state;
	static struct seen s[200];
	int fd[2], other = dup(0), enter_fd = io->ring.enter_ring_fd;
	uint32_t started = 0;
	char byte;
	struct seen short_op;
	socket_pair(fd);
	seen_init(&short_op);
	assert_int_equal(io_read(io, &short_op.op, fd[0], &byte, 1, IO_STREAM),
			 0);
	loop_for(io, NS_PER_MS);
	io->ring.enter_ring_fd = -1;
	do {
		seen_init(&s[started]);
	} while (io_read(io, &s[started].op, fd[0], &byte, 1, IO_STREAM) == 0 &&
		 ++started < 200);
	assert_int_equal(started, 64);
	assert_int_equal(s[started].op.pending, 0);
	struct io_commit c = {.op = {.done = seen_done}};
	struct io_write_piece p = {fd[0], &byte, 1, 0};
	assert_int_equal(io_write_sync(io, &c, &p, 1), -EBUSY);
	assert_int_equal(io_fsync(io, &s[started].op, fd[0]), -EBUSY);
	assert_int_equal(io_unlinkat(io, &s[started].op, -1, "x"), -EBUSY);
	assert_int_equal(io_renameat(io, &s[started].op, -1, "x", -1, "x"),
			 -EBUSY);
	assert_int_equal(io_openat(io, &s[started].op, -1, "x", 0, 0), -EBUSY);
	assert_int_equal(io_cancel(io, &s[0].op), -EBUSY);
	assert_int_equal(io_close_fd(io, other), 0);
	assert_int_equal(fcntl(other, F_GETFD), -1);
	/* a disturbed read would have to be queued again */
	io_complete(io, (uintptr_t)&short_op.op, -EINTR, IORING_CQE_F_MORE);
	assert_int_equal(short_op.ended, 1);
	assert_int_equal(short_op.res, -EBUSY);
	io->ring.enter_ring_fd = enter_fd;
	for (uint32_t i = 0; i < started; i++)
		assert_int_equal(io_cancel(io, &s[i].op), 0);
	for (uint32_t i = 0; i < started; i++)
		assert_int_equal(seen_wait(io, &s[i]), -ECANCELED);
	close(fd[0]);
	close(fd[1]);
}

/* More connections at once than the completion queue holds: the kernel ends
 * the accept in the middle; the loop starts it again and none is lost. */
static void an_overflowing_accept_loses_no_connection(void **state)
{
	enum { MANY = 400 };
	struct io *io = loop_open(32);
	struct sockaddr_in sa;
	int lfd = listener(&sa);
	static int fd[MANY];
	assert_int_equal(listen(lfd, MANY), 0);
	for (int i = 0; i < MANY; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
			connect(fd[i], (struct sockaddr *)&sa, sizeof(sa)), 0);
	}
	struct seen a;
	seen_init(&a);
	a.op.done = seen_accepted;
	assert_int_equal(io_accept_multi(io, &a.op, lfd), 0);
	loop_until(io, &a.calls, MANY);
	assert_int_equal(a.ended, 0);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	io_close(&io);
	close(lfd);
}

/* More operations in one turn than the queue has entries. */
static void a_full_queue_is_pushed_to_the_kernel(void **state)
{
	enum { MANY = 1000 };
	struct io *io = *state;
	static struct seen s[MANY];
	static uint8_t byte[MANY];
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	memset(byte, 1, sizeof(byte));
	for (int i = 0; i < MANY; i++) {
		seen_init(&s[i]);
		assert_int_equal(io_read(io, &s[i].op, fd, &byte[i], 1, 0), 0);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(seen_wait(io, &s[i]), 1);
		assert_int_equal(byte[i], 0);
	}
	struct io_stats st;
	io_stats(io, &st);
	assert_true(st.submitted >= MANY && st.completed >= MANY);
	assert_true(st.enters < MANY / 10);
	close(fd);
}

/* Waiting for nothing takes no time, and a quiet loop keeps to its limit. */
static void a_turn_waits_no_longer_than_asked(void **state)
{
	struct io *io = *state;
	uint64_t from_ns = clock_monotonic_ns();
	assert_int_equal(io_step(io, 0), 0);
	assert_true(clock_monotonic_ns() - from_ns < 50 * NS_PER_MS);
	from_ns = clock_monotonic_ns();
	loop_for(io, 30 * NS_PER_MS);
	uint64_t took_ns = clock_monotonic_ns() - from_ns;
	assert_true(took_ns >= 30 * NS_PER_MS && took_ns < NS_PER_S);
	assert_true(io_now_ns(io) >= from_ns + 30 * NS_PER_MS);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(a_file_is_written_read_renamed_and_removed),
		FACT(file_errors_are_reported),
		FACT(one_accept_takes_many_connections),
		FACT(accept_without_descriptors_ends_and_can_go_on),
		FACT(connect_to_a_closed_port_is_refused),
		FACT(messages_carry_descriptors),
		FACT(poll_reports_each_event_and_the_hang_up),
		FACT(a_nonblocking_pipe_is_waited_for),
		cmocka_unit_test(an_overflowing_accept_loses_no_connection),
		FACT(a_kernel_that_takes_no_more_is_reported),
		FACT(a_full_queue_is_pushed_to_the_kernel),
		FACT(a_turn_waits_no_longer_than_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
