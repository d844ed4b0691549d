/* SPDX-License-Identifier: BSD-2-Clause
 *
 * storage_uring_files.c - the real storage's synchronous calls.
 *
 * Called by the spool at start, for new segments and at stop, on its thread.
 * A file that is closed while a commit or a read still uses it stays open until
 * that is done: the kernel looks a descriptor up only when its turn in the
 * chain comes, and the number may be another file's by then.
 * Bound: one small allocation per open file.
 * Errors: -errno of the system call; -EBUSY when another daemon has the spool.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "spool/storage_uring_priv.h"

/* 0 for what system calls return, -errno otherwise. */
static int result(int res)
{
	return res < 0 ? -errno : 0;
}

static int uring_open(void *state, const char *name, uint32_t flags,
		      struct storage_file **out)
{
	struct storage_uring *s = uring_of(state);
	int how = O_CLOEXEC | O_NOFOLLOW;
	how |= flags & (STORAGE_WRITE | STORAGE_CREATE) ? O_RDWR : O_RDONLY;
	if (flags & STORAGE_CREATE)
		how |= O_CREAT | O_EXCL;
	struct storage_file *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f->magic = FILE_MAGIC;
	f->storage = s;
	f->fd = openat(s->dir_fd, name, how, 0600);
	if (f->fd < 0) {
		int res = -errno;
		free(f);
		return res;
	}
	/* segments and journals live long; without a slot it works as well */
	(void)io_file_register(s->io, f->fd, 0);
	*out = f;
	return 0;
}

static void file_free(struct storage_file *f)
{
	io_file_unregister(f->storage->io, f->fd);
	close(f->fd);
	f->magic = 0;
	free(f);
}

void storage_uring_file_used(struct storage_file *f)
{
	MAGIC_CHECK(f, FILE_MAGIC);
	sluice_assert(f->busy > 0);
	if (--f->busy == 0 && f->closing)
		file_free(f);
}

static void uring_close(void *state, struct storage_file **fp)
{
	uring_of(state);
	struct storage_file *f = *fp;
	*fp = NULL;
	if (f == NULL)
		return;
	MAGIC_CHECK(f, FILE_MAGIC);
	sluice_assert(!f->closing);
	f->closing = true;
	if (f->busy == 0)
		file_free(f);
}

static int uring_mkdir(void *state, const char *name)
{
	struct storage_uring *s = uring_of(state);
	struct stat st;
	if (mkdirat(s->dir_fd, name, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (fstatat(s->dir_fd, name, &st, 0) != 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* "" is the spool itself. */
static int dir_open(struct storage_uring *s, const char *dir)
{
	int fd = openat(s->dir_fd, *dir == '\0' ? "." : dir,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool name_is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int uring_list(void *state, const char *dir,
		      int (*each)(void *user, const char *name), void *user)
{
	int fd = dir_open(uring_of(state), dir);
	if (fd < 0)
		return fd;
	DIR *d = fdopendir(fd);
	if (d == NULL) {
		int code = -errno;
		close(fd);
		return code;
	}
	int res = 0;
	while (res == 0) {
		errno = 0;
		/* safe: nobody else has this stream */
		const struct dirent *e =
			readdir(d); /* NOLINT(concurrency-mt-unsafe) */
		if (e == NULL) {
			res = -errno;
			break;
		}
		if (!name_is_dots(e->d_name))
			res = each(user, e->d_name);
	}
	closedir(d);
	return res;
}

static int uring_size(void *state, struct storage_file *f, uint64_t *bytes)
{
	uring_of(state);
	struct stat st;
	if (fstat(fd_of(f), &st) != 0)
		return -errno;
	*bytes = (uint64_t)st.st_size;
	return 0;
}

static int uring_pread(void *state, struct storage_file *f, void *buf,
		       size_t len, uint64_t offset, size_t *got)
{
	uring_of(state);
	size_t have = 0;
	while (have < len) {
		ssize_t n = pread(fd_of(f), (uint8_t *)buf + have, len - have,
				  (off_t)(offset + have));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*got = have;
	return 0;
}

/* From the page cache, or not at all. */
static int uring_read_now(void *state, struct storage_file *f, void *buf,
			  size_t len, uint64_t offset)
{
	struct iovec iov = {buf, len};
	ssize_t n;

	(void)uring_of(state);
	n = preadv2(fd_of(f), &iov, 1, (off_t)offset, RWF_NOWAIT);
	return n >= 0 && (size_t)n == len ? 0 : -EAGAIN;
}

static void uring_prefetch(void *state, struct storage_file *f, size_t len,
			   uint64_t offset)
{
	(void)uring_of(state);
	(void)posix_fadvise(fd_of(f), (off_t)offset, (off_t)len,
			    POSIX_FADV_WILLNEED);
}

static int uring_pwrite(void *state, struct storage_file *f, const void *buf,
			size_t len, uint64_t offset)
{
	uring_of(state);
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd_of(f), (const uint8_t *)buf + done,
				   len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int uring_sync(void *state, struct storage_file *f)
{
	uring_of(state);
	return result(fdatasync(fd_of(f)));
}

static int uring_sync_dir(void *state, const char *dir)
{
	int fd = dir_open(uring_of(state), dir);
	if (fd < 0)
		return fd;
	int res = result(fsync(fd));
	close(fd);
	return res;
}

static int uring_truncate(void *state, struct storage_file *f, uint64_t bytes)
{
	uring_of(state);
	return result(ftruncate(fd_of(f), (off_t)bytes));
}

/* The size stays what was written: recovery then sees where a file ends. It
 * costs nothing (docs/io.md has the measurement). */
static int uring_preallocate(void *state, struct storage_file *f,
			     uint64_t bytes)
{
	uring_of(state);
	return result(
		fallocate(fd_of(f), FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes));
}

static int uring_rename(void *state, const char *from, const char *to)
{
	struct storage_uring *s = uring_of(state);
	return result(renameat(s->dir_fd, from, s->dir_fd, to));
}

static int uring_unlink(void *state, const char *name)
{
	return result(unlinkat(uring_of(state)->dir_fd, name, 0));
}

static int uring_free_space(void *state, uint64_t *bytes, uint64_t *inodes)
{
	struct statvfs v;
	if (fstatvfs(uring_of(state)->dir_fd, &v) != 0)
		return -errno;
	*bytes = (uint64_t)v.f_bavail * v.f_frsize;
	/* some file systems make inodes as they need them and count none */
	*inodes = v.f_files == 0 ? UINT64_MAX : v.f_favail;
	return 0;
}

static int uring_lock(void *state)
{
	struct storage_uring *s = uring_of(state);
	if (s->lock_fd >= 0)
		return 0;
	int fd = openat(s->dir_fd, "LOCK",
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int res = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(fd);
		return res;
	}
	s->lock_fd = fd;
	return 0;
}

const struct storage_ops storage_uring_ops = {
	.open = uring_open,
	.close = uring_close,
	.mkdir = uring_mkdir,
	.list = uring_list,
	.size = uring_size,
	.pread = uring_pread,
	.pwrite = uring_pwrite,
	.sync = uring_sync,
	.sync_dir = uring_sync_dir,
	.truncate = uring_truncate,
	.preallocate = uring_preallocate,
	.rename = uring_rename,
	.unlink = uring_unlink,
	.free_space = uring_free_space,
	.lock = uring_lock,
	.commit = storage_uring_commit,
	.read = storage_uring_read,
	.read_now = uring_read_now,
	.prefetch = uring_prefetch,
	.destroy = storage_uring_destroy,
};
