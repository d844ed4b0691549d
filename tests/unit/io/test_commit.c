/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_commit.c - io_write_sync(): everything, or the first error, once.
 */
#include <signal.h>
#include <sys/resource.h>

#include "io/io_priv.h"
#include "io_test.h"

#define PIECE ((size_t)1000)
#define MANY  200

static uint8_t data[MANY * PIECE];

struct commit {
	struct io_commit c;
	uint32_t calls;
	int res;
};

static void commit_done(struct io_op *op, int res, uint32_t flags,
			const void *bytes)
{
	struct commit *c = op->user;
	assert_int_equal(flags & IO_MORE, 0);
	c->calls++;
	c->res = res;
}

static void commit_init(struct commit *c)
{
	memset(c, 0, sizeof(*c));
	c->c.op.done = commit_done;
	c->c.op.user = c;
}

static int commit_wait(struct io *io, struct commit *c)
{
	loop_until(io, &c->calls, 1);
	loop_for(io, 5 * NS_PER_MS);
	assert_int_equal(c->calls, 1);
	return c->res;
}

static int scratch_file(void)
{
	char path[] = "/tmp/sluice-io-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static void fill(void)
{
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 255);
}

static void check_file(int fd, size_t from, size_t len)
{
	static uint8_t got[sizeof(data)];
	assert_int_equal(pread(fd, got, len, (off_t)from), (ssize_t)len);
	assert_memory_equal(got, data + from, len);
}

/* From one piece to many times a wave and many times the queue: each length
 * crosses the borders differently. */
static void commits_of_every_length_are_written(void **state)
{
	struct io *io = *state;
	fill();
	/* half of the pieces lie in registered memory */
	struct iovec half = {data, sizeof(data) / 2};
	assert_int_equal(io_buffers_register(io, &half, 1, NULL), 0);
	static const uint32_t lengths[] = {1,  2,  14, 15, 16,  17,
					   31, 32, 33, 64, MANY};
	for (size_t n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
		int fd[3] = {scratch_file(), scratch_file(), scratch_file()};
		struct io_write_piece p[MANY];
		for (uint32_t i = 0; i < lengths[n]; i++)
			p[i] = (struct io_write_piece){.fd = fd[i % 3],
						       .data = data + i * PIECE,
						       .len = PIECE,
						       .offset = i * PIECE};
		struct commit c;
		commit_init(&c);
		assert_int_equal(io_write_sync(io, &c.c, p, lengths[n]), 0);
		assert_int_equal(commit_wait(io, &c), 0);
		for (uint32_t i = 0; i < lengths[n]; i++)
			check_file(fd[i % 3], i * PIECE, PIECE);
		for (int i = 0; i < 3; i++)
			close(fd[i]);
	}
}

/* A piece of nothing writes nothing, but its file is synced. */
static void empty_pieces_are_harmless(void **state)
{
	struct io *io = *state;
	int fd = scratch_file();
	struct io_write_piece p[20] = {{fd, data, 0, 5}};
	for (int i = 1; i < 20; i++)
		p[i] = (struct io_write_piece){fd, data, 0, 0};
	static const uint32_t counts[] = {1, 2, 20};
	for (int i = 0; i < 3; i++) {
		struct commit c;
		commit_init(&c);
		assert_int_equal(io_write_sync(io, &c.c, p, counts[i]), 0);
		assert_int_equal(commit_wait(io, &c), 0);
		assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	}
	close(fd);
}

/* Several at once, more than the queue holds, in one turn. */
static void many_commits_at_once_do_not_mix(void **state)
{
	enum { COMMITS = 20 };
	struct io *io = *state;
	static struct commit c[COMMITS];
	static struct io_write_piece p[COMMITS][10];
	int fd[COMMITS];
	fill();
	for (uint32_t k = 0; k < COMMITS; k++) {
		fd[k] = scratch_file();
		for (uint32_t i = 0; i < 10; i++) {
			size_t at = (k * 10 + i) * PIECE;
			p[k][i] = (struct io_write_piece){fd[k], data + at,
							  PIECE, at};
		}
		commit_init(&c[k]);
		assert_int_equal(io_write_sync(io, &c[k].c, p[k], 10), 0);
	}
	for (uint32_t k = 0; k < COMMITS; k++) {
		assert_int_equal(commit_wait(io, &c[k]), 0);
		check_file(fd[k], (size_t)k * 10 * PIECE, 10 * PIECE);
		close(fd[k]);
	}
}

/* Wherever the bad one is, its own error comes, not that of the pieces that
 * were given up because of it, and it comes once. */
static void a_bad_descriptor_reports_its_error_once(void **state)
{
	struct io *io = *state;
	for (uint32_t bad = 0; bad < 20; bad++) {
		int fd = scratch_file();
		struct io_write_piece p[20];
		for (uint32_t i = 0; i < 20; i++)
			p[i] = (struct io_write_piece){.fd = i == bad ? 1 << 20
								      : fd,
						       .data = data + i * PIECE,
						       .len = PIECE,
						       .offset = i * PIECE};
		struct commit c;
		commit_init(&c);
		assert_int_equal(io_write_sync(io, &c.c, p, 20), 0);
		assert_int_equal(commit_wait(io, &c), -EBADF);
		close(fd);
	}
}

/* A file that cannot be written and one that cannot be synced. */
static void other_errors_are_reported_too(void **state)
{
	struct io *io = *state;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int fd[2];
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	struct io_write_piece p = {full, data, 10, 0};
	struct commit c;
	commit_init(&c);
	assert_int_equal(io_write_sync(io, &c.c, &p, 1), 0);
	assert_int_equal(commit_wait(io, &c), -ENOSPC);
	p = (struct io_write_piece){fd[1], data, 10, IO_STREAM};
	commit_init(&c);
	assert_int_equal(io_write_sync(io, &c.c, &p, 1), 0);
	assert_int_equal(commit_wait(io, &c), -EINVAL);
	assert_int_equal(io_write_sync(io, &c.c, &p, 0), -EINVAL);
	close(full);
	close(fd[0]);
	close(fd[1]);
}

/* RLIMIT_FSIZE lets a write begin and cuts it: a short write inside a chain.
 * The chain breaks there; what the kernel says at the next try (-EFBIG) must
 * come out, and nothing may be taken for written. */
static void a_short_write_does_not_pass_for_a_whole_one(void **state)
{
	struct io *io = *state;
	struct rlimit was, now;
	fill();
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	now = was;
	now.rlim_cur = 2 * PIECE + 500;
	int fd = scratch_file();
	struct io_write_piece p[4];
	for (uint32_t i = 0; i < 4; i++)
		p[i] = (struct io_write_piece){fd, data + i * PIECE, PIECE,
					       i * PIECE};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
	struct commit c;
	commit_init(&c);
	int res = io_write_sync(io, &c.c, p, 4);
	if (res == 0)
		loop_until(io, &c.calls, 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(res, 0);
	assert_int_equal(c.res, -EFBIG);
	check_file(fd, 0, 2 * PIECE + 500);
	close(fd);
}

/* A pipe takes what it has room for: short writes that do go on later. The
 * bytes must come out in order although the chain broke again and again.
 * (A pipe cannot be synced, hence -EINVAL at the very end.) */
static void a_broken_chain_is_taken_up_where_it_broke(void **state)
{
	struct io *io = *state;
	int fd[2];
	fill();
	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(fcntl(fd[1], F_SETPIPE_SZ, 4096) >= 4096);
	struct io_write_piece p[5];
	for (uint32_t i = 0; i < 5; i++)
		p[i] = (struct io_write_piece){fd[1], data + (size_t)i * 9000,
					       9000, IO_STREAM};
	struct commit c;
	commit_init(&c);
	assert_int_equal(io_write_sync(io, &c.c, p, 5), 0);
	static uint8_t got[45000];
	size_t length = 0;
	while (length < sizeof(got)) {
		assert_int_equal(io_step(io, NS_PER_MS), 0);
		ssize_t n = read(fd[0], got + length, sizeof(got) - length);
		if (n > 0)
			length += (size_t)n;
		assert_int_equal(c.calls, length == sizeof(got) ? c.calls : 0);
	}
	assert_int_equal(commit_wait(io, &c), -EINVAL);
	assert_memory_equal(got, data, sizeof(got));
	close(fd[0]);
	close(fd[1]);
}

/* The kernel took only part of a submission: the sync of a chain cut in two
 * may have run before its writes. It is done again, and only then. */
static uint64_t requests_of_a_commit(struct io *io, int fd, bool split)
{
	struct io_write_piece p[3];
	for (uint32_t i = 0; i < 3; i++)
		p[i] = (struct io_write_piece){fd, data + i * PIECE, PIECE,
					       i * PIECE};
	struct commit c;
	struct io_stats before, after;
	commit_init(&c);
	io_stats(io, &before);
	assert_int_equal(io_write_sync(io, &c.c, p, 3), 0);
	if (split)
		io_submitted(io, 4, 2); /* two of four requests taken */
	loop_until(io, &c.calls, 1);
	assert_int_equal(c.res, 0);
	io_stats(io, &after);
	return after.submitted - before.submitted;
}

static void a_sync_that_may_have_run_too_early_is_repeated(void **state)
{
	struct io *io = *state;
	int fd = scratch_file();
	assert_int_equal(requests_of_a_commit(io, fd, false), 4);
	assert_int_equal(requests_of_a_commit(io, fd, true), 5);
	assert_int_equal(requests_of_a_commit(io, fd, false), 4);
	close(fd);
}

/* Cancelled at any moment it ends once; whatever it says, memory is free. */
static void a_cancelled_commit_ends_once(void **state)
{
	struct io *io = *state;
	for (int round = 0; round < 20; round++) {
		int fd = scratch_file();
		static struct io_write_piece p[MANY];
		for (uint32_t i = 0; i < MANY; i++)
			p[i] = (struct io_write_piece){fd, data + i * PIECE,
						       PIECE, i * PIECE};
		struct commit c;
		commit_init(&c);
		assert_int_equal(io_write_sync(io, &c.c, p, MANY), 0);
		for (int i = 0; i < round / 2; i++)
			assert_int_equal(io_step(io, 0), 0);
		assert_int_equal(io_cancel(io, &c.c.op), c.calls ? -ENOENT : 0);
		int res = commit_wait(io, &c);
		assert_true(res == 0 || res == -ECANCELED);
		close(fd);
	}
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(commits_of_every_length_are_written),
		FACT(empty_pieces_are_harmless),
		FACT(many_commits_at_once_do_not_mix),
		FACT(a_bad_descriptor_reports_its_error_once),
		FACT(other_errors_are_reported_too),
		FACT(a_short_write_does_not_pass_for_a_whole_one),
		FACT(a_broken_chain_is_taken_up_where_it_broke),
		FACT(a_sync_that_may_have_run_too_early_is_repeated),
		FACT(a_cancelled_commit_ends_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
