/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_buffers.c - registered memory: the same bytes, and never those of a
 * region that is no longer registered.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "io/io_priv.h"
#include "io_test.h"

#define REGION_BYTES 65536u

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 31 + i / 251);
}

/* Registered memory must give the same bytes, also at its very edges, and a
 * buffer that only overlaps it must not be taken for it. */
static void registered_buffers_hold_the_same_bytes(void **state)
{
	struct io *io = *state;
	static _Alignas(4096) uint8_t pool[3 * 8192];
	struct err e = {""};
	struct io_stats st;
	assert_int_equal(io_buffers_register(io, pool + 8192, 8192, &e), 0);
	char path[64];
	int dir = scratch_dir(path);
	int fd = openat(dir, "f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	unlinkat(dir, "f", 0);
	static const size_t at[] = {8192, 8192 + 4096, 4096, 12288};
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		size_t n = i == 0 ? 8192 : i == 1 ? 4096 : 8192;
		uint8_t want[8192];
		fill(pool, sizeof(pool));
		memcpy(want, pool + at[i], n);
		struct seen s;
		seen_init(&s);
		io_write(io, &s.op, fd, pool + at[i], n, 0);
		assert_int_equal(seen_wait(io, &s), (int)n);
		memset(pool, 0, sizeof(pool));
		seen_init(&s);
		io_read(io, &s.op, fd, pool + at[i], n, 0);
		assert_int_equal(seen_wait(io, &s), (int)n);
		assert_memory_equal(pool + at[i], want, n);
		io_stats(io, &st);
		assert_int_equal(st.by_region, i == 0 ? 2 : 4);
	}
	close(fd);
	close(dir);
	rmdir(path);
}

static uint8_t *region_map(void)
{
	uint8_t *p = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	return p;
}

/* Reads one byte 'x' into `to`; true when that went by a region. */
static bool read_by_region(struct io *io, int fd, uint8_t *to)
{
	struct io_stats before, after;
	struct seen s;
	*to = 0;
	seen_init(&s);
	io_stats(io, &before);
	assert_int_equal(io_read(io, &s.op, fd, to, 1, 0), 0);
	assert_int_equal(seen_wait(io, &s), 1);
	assert_int_equal(*to, 'x');
	io_stats(io, &after);
	return after.by_region > before.by_region;
}

/* Rooms come and go: memory that was given back, and mapped anew at the same
 * place, must not be written by its old pages. */
static void an_unregistered_region_is_not_used_again(void **state)
{
	struct io *io = *state;
	char path[] = "/tmp/sluice-buffers-XXXXXX";
	int fd = mkstemp(path);
	uint8_t *a = region_map(), *b = region_map();
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(io_buffers_register(io, a, REGION_BYTES, NULL), 0);
	assert_int_equal(io_buffers_register(io, b, REGION_BYTES, NULL), 0);
	assert_true(read_by_region(io, fd, a));
	assert_true(read_by_region(io, fd, b + REGION_BYTES - 1));
	io_buffers_unregister(io, a);
	assert_int_equal(munmap(a, REGION_BYTES), 0);
	assert_ptr_equal(mmap(a, REGION_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 a);
	assert_false(read_by_region(io, fd, a));
	assert_true(read_by_region(io, fd, b));
	assert_int_equal(io_buffers_register(io, a, REGION_BYTES, NULL), 0);
	assert_true(read_by_region(io, fd, a));
	assert_int_equal(io->region_count, 2);
	io_buffers_unregister(io, a);
	io_buffers_unregister(io, b);
	io_buffers_unregister(io, b); /* not one of them: nothing happens */
	munmap(a, REGION_BYTES);
	munmap(b, REGION_BYTES);
	close(fd);
}

/* What cannot be pinned is refused with the name of the call, and leaves room
 * for others. */
static void what_cannot_be_pinned_is_refused(void **state)
{
	struct io *io = *state;
	struct err e = {""};
	assert_int_equal(io_buffers_register(io, (void *)4096, 4096, &e),
			 -EFAULT);
	assert_non_null(strstr(e.text, "io_uring_register (buffers)"));
	uint8_t *p = region_map();
	for (uint32_t i = 0; i < IO_REGIONS_MAX; i++)
		assert_int_equal(io_buffers_register(io, p, 4096, &e), 0);
	assert_int_equal(io_buffers_register(io, p, 4096, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "16 regions"));
	munmap(p, REGION_BYTES);
}

/* 0: it was refused, and the sentence names the limit. The kernel counts per
 * user, so it is one that nobody else is; the ring counts as well. */
static int register_beyond_the_limit(void)
{
	enum { LIMIT = 1 << 20, SMALL = 1 << 18, BIG = 1 << 21 };
	struct rlimit l = {LIMIT, LIMIT};
	uid_t uid = (uid_t)(100000 + getpid());
	struct io_options o = {.entries = 64};
	struct io *io = NULL;
	struct err e = {""};
	uint8_t *p = mmap(NULL, SMALL + BIG, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (setrlimit(RLIMIT_MEMLOCK, &l) != 0 ||
	    (geteuid() == 0 && setresuid(uid, uid, uid) != 0) ||
	    io_open(&io, &o, &e) != 0)
		return 1;
	if (io_buffers_register(io, p, SMALL, &e) != 0)
		return 2;
	if (io_buffers_register(io, p + SMALL, BIG, &e) != -ENOMEM)
		return 3;
	if (strstr(e.text, "RLIMIT_MEMLOCK (now 1024 KiB)") == NULL)
		return 4;
	io_close(&io);
	return 0;
}

static void the_limit_of_locked_memory_is_named(void **state)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(register_beyond_the_limit());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(registered_buffers_hold_the_same_bytes),
		FACT(an_unregistered_region_is_not_used_again),
		FACT(what_cannot_be_pinned_is_refused),
		cmocka_unit_test(the_limit_of_locked_memory_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
