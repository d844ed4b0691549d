/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_storage_uring.c - the real storage keeps storage.h's promises on a real
 * directory.
 *
 * A wait that takes longer than WAIT_MAX_NS fails instead of hanging.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/io_priv.h"
#include "sluice/clock.h"
#include "spool/storage.h"

#define WAIT_MAX_NS (20 * NS_PER_S)
#define MANY        300

struct fixture {
	char base[64];
	char dir[80];
	struct io *io;
	struct storage st;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct io_options o = {.entries = 64, .file_slots = 256};
	snprintf(f->base, sizeof(f->base), "/tmp/sluice-storage-XXXXXX");
	if (f == NULL || mkdtemp(f->base) == NULL)
		return -1;
	snprintf(f->dir, sizeof(f->dir), "%s/spool", f->base);
	if (io_open(&f->io, &o, NULL) != 0 ||
	    storage_uring_create(f->io, f->dir, &f->st, NULL) != 0)
		return -1;
	*state = f;
	return 0;
}

static int remove_one(void *user, const char *name)
{
	const struct fixture *f = user;
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	if (unlink(path) != 0)
		rmdir(path);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	f->st.ops->list(f->st.state, "", remove_one, f);
	f->st.ops->destroy(&f->st.state);
	assert_null(f->st.state);
	io_close(&f->io);
	rmdir(f->dir);
	rmdir(f->base);
	free(f);
	return 0;
}

static struct storage_file *make(struct fixture *f, const char *name)
{
	struct storage_file *file = NULL;
	assert_int_equal(f->st.ops->open(f->st.state, name,
					 STORAGE_CREATE | STORAGE_WRITE, &file),
			 0);
	assert_non_null(file);
	return file;
}

struct waiter {
	uint32_t calls;
	int res;
};

static void committed(struct storage_commit *c, int res)
{
	struct waiter *w = c->user;
	w->calls++;
	w->res = res;
}

static void was_read(struct storage_read *r, int res)
{
	struct waiter *w = r->user;
	w->calls++;
	w->res = res;
}

static int wait_for(struct fixture *f, struct waiter *w)
{
	uint64_t until_ns = clock_monotonic_ns() + WAIT_MAX_NS;
	while (w->calls == 0) {
		assert_int_equal(io_step(f->io, NS_PER_S), 0);
		assert_true(clock_monotonic_ns() < until_ns);
	}
	assert_int_equal(io_step(f->io, 0), 0);
	assert_int_equal(w->calls, 1);
	return w->res;
}

/* What a commit wrote is what a read and the file itself give, over several
 * files and more writes than one chain or the pool's first size holds. */
static void committed_bytes_can_be_read_back(void **state)
{
	struct fixture *f = *state;
	struct storage_file *file[3] = {make(f, "a"), make(f, "b"),
					make(f, "c")};
	static uint8_t data[MANY][100], got[MANY * 100];
	static struct storage_write writes[MANY];
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			memset(data[i], (int)(i + round), sizeof(data[i]));
			writes[i] = (struct storage_write){
				.file = file[i % 3],
				.data = data[i],
				.len = sizeof(data[i]),
				.offset = i / 3 * sizeof(data[i])};
		}
		struct waiter w = {0};
		struct storage_commit c = {.writes = writes,
					   .count = MANY,
					   .done = committed,
					   .user = &w};
		assert_int_equal(f->st.ops->commit(f->st.state, &c), 0);
		assert_int_equal(wait_for(f, &w), 0);
		for (uint32_t k = 0; k < 3; k++) {
			struct waiter rw = {0};
			struct storage_read r = {.file = file[k],
						 .data = got,
						 .len = sizeof(got),
						 .offset = 0,
						 .done = was_read,
						 .user = &rw};
			assert_int_equal(f->st.ops->read(f->st.state, &r), 0);
			/* short only at the end of the file */
			assert_int_equal(wait_for(f, &rw), MANY / 3 * 100);
			for (uint32_t i = 0; i < MANY / 3; i++)
				assert_memory_equal(got + (size_t)i * 100,
						    data[i * 3 + k], 100);
		}
	}
	for (int k = 0; k < 3; k++) {
		f->st.ops->close(f->st.state, &file[k]);
		assert_null(file[k]);
	}
}

/* Many reads at once, more than the pool's first size. */
static void many_reads_at_once_come_back_each_with_its_bytes(void **state)
{
	struct fixture *f = *state;
	struct storage_file *file = make(f, "a");
	static uint32_t numbers[MANY], got[MANY];
	static struct storage_read r[MANY];
	static struct waiter w[MANY];
	for (uint32_t i = 0; i < MANY; i++)
		numbers[i] = i * 2654435761u;
	assert_int_equal(f->st.ops->pwrite(f->st.state, file, numbers,
					   sizeof(numbers), 0),
			 0);
	memset(w, 0, sizeof(w));
	for (uint32_t i = 0; i < MANY; i++) {
		r[i] = (struct storage_read){.file = file,
					     .data = &got[i],
					     .len = 4,
					     .offset = i * 4,
					     .done = was_read,
					     .user = &w[i]};
		assert_int_equal(f->st.ops->read(f->st.state, &r[i]), 0);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(wait_for(f, &w[i]), 4);
		assert_int_equal(got[i], numbers[i]);
	}
	f->st.ops->close(f->st.state, &file);
}

/* The descriptor's number is free for the next file after a close; a commit
 * still on its way must not write into that one. */
static void closing_a_file_does_not_divert_a_commit(void **state)
{
	struct fixture *f = *state;
	struct storage_file *a = make(f, "a");
	static char data[20][50];
	struct storage_write writes[20];
	for (uint32_t i = 0; i < 20; i++) {
		memset(data[i], 'a', sizeof(data[i]));
		writes[i] = (struct storage_write){a, data[i], sizeof(data[i]),
						   i * sizeof(data[i])};
	}
	struct waiter w = {0};
	struct storage_commit c = {
		.writes = writes, .count = 20, .done = committed, .user = &w};
	assert_int_equal(f->st.ops->commit(f->st.state, &c), 0);
	f->st.ops->close(f->st.state, &a);
	assert_null(a);
	struct storage_file *b = make(f, "b");
	assert_int_equal(wait_for(f, &w), 0);
	uint64_t bytes = 1;
	assert_int_equal(f->st.ops->size(f->st.state, b, &bytes), 0);
	assert_int_equal(bytes, 0);
	f->st.ops->close(f->st.state, &b);
	assert_int_equal(f->st.ops->open(f->st.state, "a", 0, &a), 0);
	assert_int_equal(f->st.ops->size(f->st.state, a, &bytes), 0);
	assert_int_equal(bytes, 1000);
	f->st.ops->close(f->st.state, &a);
}

static uint32_t slots_in_use(const struct io *io)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < io->files.count; i++)
		n += io->files.slots[i] != 0;
	return n;
}

/* A slot that outlived its file would keep an unlinked segment's space. */
static void files_have_slots_while_they_are_open(void **state)
{
	struct fixture *f = *state;
	struct storage_file *a = make(f, "a"), *b = make(f, "b");
	struct io_stats before, after;
	assert_int_equal(io_step(f->io, 0), 0);
	assert_int_equal(io_step(f->io, 0), 0);
	assert_int_equal(slots_in_use(f->io), 2);
	struct storage_write writes[2] = {{a, "x", 1, 0}, {b, "y", 1, 0}};
	struct waiter w = {0};
	struct storage_commit c = {
		.writes = writes, .count = 2, .done = committed, .user = &w};
	io_stats(f->io, &before);
	assert_int_equal(f->st.ops->commit(f->st.state, &c), 0);
	f->st.ops->close(f->st.state, &a); /* stays until the commit is over */
	assert_int_equal(wait_for(f, &w), 0);
	io_stats(f->io, &after);
	/* a write and a sync of each */
	assert_int_equal(after.by_slot - before.by_slot, 4);
	f->st.ops->close(f->st.state, &b);
	assert_int_equal(io_step(f->io, 0), 0);
	assert_int_equal(io_step(f->io, 0), 0);
	assert_int_equal(slots_in_use(f->io), 0);
}

/* A file opened for reading only: the write's error reaches the caller. */
static void a_failing_commit_reports_its_error_once(void **state)
{
	struct fixture *f = *state;
	struct storage_file *good = make(f, "good"), *file = make(f, "bad");
	f->st.ops->close(f->st.state, &file);
	assert_int_equal(f->st.ops->open(f->st.state, "bad", 0, &file), 0);
	struct storage_write writes[3] = {
		{good, "x", 1, 0}, {file, "x", 1, 0}, {good, "x", 1, 1}};
	struct waiter w = {0};
	struct storage_commit c = {
		.writes = writes, .count = 3, .done = committed, .user = &w};
	assert_int_equal(f->st.ops->commit(f->st.state, &c), 0);
	assert_int_equal(wait_for(f, &w), -EBADF);
	f->st.ops->close(f->st.state, &good);
	f->st.ops->close(f->st.state, &file);
}

/* CREATE must not take a file that is there, and nothing opens what is not. */
static void open_says_what_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct storage_file *file = make(f, "a"), *other = NULL;
	assert_int_equal(f->st.ops->open(f->st.state, "a",
					 STORAGE_CREATE | STORAGE_WRITE,
					 &other),
			 -EEXIST);
	assert_int_equal(f->st.ops->open(f->st.state, "none", 0, &other),
			 -ENOENT);
	assert_null(other);
	char path[128];
	snprintf(path, sizeof(path), "%s/link", f->dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(
		f->st.ops->open(f->st.state, "link", STORAGE_WRITE, &other),
		-ELOOP);
	f->st.ops->close(f->st.state, &file);
	f->st.ops->close(f->st.state, &other); /* NULL is fine */
}

/* Space is reserved, but the size says where the bytes end. */
static void preallocated_space_is_not_size(void **state)
{
	struct fixture *f = *state;
	struct storage_file *file = make(f, "a");
	uint64_t bytes = 1;
	char path[128], buf[8] = "";
	struct stat sb;
	snprintf(path, sizeof(path), "%s/a", f->dir);
	int res = f->st.ops->preallocate(f->st.state, file, 1 << 20);
	if (res == -EOPNOTSUPP)
		skip();
	assert_int_equal(res, 0);
	assert_int_equal(f->st.ops->size(f->st.state, file, &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(stat(path, &sb), 0);
	assert_true(sb.st_blocks * 512 >= 1 << 20);
	assert_int_equal(f->st.ops->pwrite(f->st.state, file, "hello", 5, 0),
			 0);
	assert_int_equal(f->st.ops->sync(f->st.state, file), 0);
	size_t got = 99;
	assert_int_equal(f->st.ops->pread(f->st.state, file, buf, 8, 0, &got),
			 0);
	assert_int_equal(got, 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(f->st.ops->truncate(f->st.state, file, 3), 0);
	assert_int_equal(f->st.ops->size(f->st.state, file, &bytes), 0);
	assert_int_equal(bytes, 3);
	assert_int_equal(stat(path, &sb), 0);
	assert_true(sb.st_blocks * 512 < 1 << 20); /* given back */
	f->st.ops->close(f->st.state, &file);
}

struct names {
	char text[256];
	int stop_at;
	int count;
};

static int add_name(void *user, const char *name)
{
	struct names *n = user;
	strcat(n->text, name);
	strcat(n->text, " ");
	return ++n->count == n->stop_at ? -EINTR : 0;
}

static void directories_are_made_listed_and_synced(void **state)
{
	struct fixture *f = *state;
	const struct storage_ops *ops = f->st.ops;
	struct storage_file *file;
	struct names n = {0};
	assert_int_equal(ops->mkdir(f->st.state, "segments"), 0);
	assert_int_equal(ops->mkdir(f->st.state, "segments"), 0);
	file = make(f, "segments/1.seg");
	ops->close(f->st.state, &file);
	assert_int_equal(ops->sync_dir(f->st.state, "segments"), 0);
	assert_int_equal(ops->sync_dir(f->st.state, ""), 0);
	assert_int_equal(ops->sync_dir(f->st.state, "none"), -ENOENT);
	assert_int_equal(ops->list(f->st.state, "segments", add_name, &n), 0);
	assert_string_equal(n.text, "1.seg ");
	assert_int_equal(
		ops->rename(f->st.state, "segments/1.seg", "segments/2.seg"),
		0);
	n = (struct names){.stop_at = 1};
	assert_int_equal(ops->list(f->st.state, "segments", add_name, &n),
			 -EINTR);
	assert_string_equal(n.text, "2.seg ");
	assert_int_equal(ops->list(f->st.state, "none", add_name, &n), -ENOENT);
	assert_int_equal(ops->unlink(f->st.state, "segments/2.seg"), 0);
	assert_int_equal(ops->unlink(f->st.state, "segments/2.seg"), -ENOENT);
	file = make(f, "plain");
	ops->close(f->st.state, &file);
	assert_int_equal(ops->mkdir(f->st.state, "plain"), -ENOTDIR);
}

/* One daemon per spool, also when the other one is the same program, and free
 * again as soon as it is gone, however it went. */
static void a_second_owner_is_refused_until_the_first_is_gone(void **state)
{
	struct fixture *f = *state;
	struct storage other = {0};
	assert_int_equal(f->st.ops->lock(f->st.state), 0);
	assert_int_equal(f->st.ops->lock(f->st.state), 0);
	assert_int_equal(storage_uring_create(f->io, f->dir, &other, NULL), 0);
	assert_int_equal(other.ops->lock(other.state), -EBUSY);
	f->st.ops->destroy(&f->st.state);
	assert_int_equal(other.ops->lock(other.state), 0);
	f->st = other; /* for teardown */
}

static void free_space_is_that_of_the_file_system(void **state)
{
	struct fixture *f = *state;
	uint64_t bytes = 0, inodes = 0;
	assert_int_equal(f->st.ops->free_space(f->st.state, &bytes, &inodes),
			 0);
	assert_true(bytes > 4096 && inodes > 0);
}

/* Mail is private, and a directory that cannot be had is named. */
static void the_directory_is_private_and_named_in_errors(void **state)
{
	struct fixture *f = *state;
	struct stat sb;
	assert_int_equal(stat(f->dir, &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0700);
	struct storage st = {0};
	struct err e = {""};
	assert_int_equal(
		storage_uring_create(f->io, "/nonexistent/spool", &st, &e),
		-ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/spool"));
	assert_int_equal(storage_uring_create(f->io, "/dev/null", &st, &e),
			 -ENOTDIR);
	assert_non_null(strstr(e.text, "/dev/null"));
	assert_null(st.state);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(committed_bytes_can_be_read_back),
		FACT(many_reads_at_once_come_back_each_with_its_bytes),
		FACT(closing_a_file_does_not_divert_a_commit),
		FACT(files_have_slots_while_they_are_open),
		FACT(a_failing_commit_reports_its_error_once),
		FACT(open_says_what_is_wrong),
		FACT(preallocated_space_is_not_size),
		FACT(directories_are_made_listed_and_synced),
		FACT(a_second_owner_is_refused_until_the_first_is_gone),
		FACT(free_space_is_that_of_the_file_system),
		FACT(the_directory_is_private_and_named_in_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
