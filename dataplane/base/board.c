/* SPDX-License-Identifier: BSD-2-Clause
 *
 * board.c - makes, checks, locks and maps the board's file.
 *
 * Called by each program at its start. The file is made under another name and
 * linked into place whole, so that nobody ever maps half of it. What a program
 * will write is reserved here: a full disk is an error at start, never a
 * SIGBUS later. Errors: -errno with a sentence.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

#define OPEN_TRIES 5

static const char *const user_names[] = {"sluiced", "sluice-control",
					 "sluice-shaper", "reader"};

uint64_t board_layout_sum(void)
{
	const uint64_t parts[] = {
		sizeof(struct board_file),
		sizeof(struct board_provider_demand),
		sizeof(struct board_source_demand),
		sizeof(struct board_path_demand),
		sizeof(struct board_prefix),
		sizeof(struct board_limit),
		sizeof(struct board_grant),
		sizeof(struct event_reply),
		sizeof(struct event_batch),
		sizeof(struct event_snoop),
	};
	uint64_t sum = BOARD_VERSION;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		sum = sum * 1000003 + parts[i];
	return sum;
}

static int board_path(const char *dir, const char *suffix, char path[PATH_MAX],
		      struct err *e)
{
	int n = snprintf(path, PATH_MAX, "%s/board.v%d%s", dir, BOARD_VERSION,
			 suffix);
	if (n < 0 || n >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "run.dir '%s' is too long",
			       dir);
	return 0;
}

static int reserve(int fd, size_t from, size_t bytes, struct err *e)
{
	int res = posix_fallocate(fd, (off_t)from, (off_t)bytes);
	if (res == 0)
		return 0;
	return err_set(e, -res,
		       "no room for the board (%zu KiB): %s; free some "
		       "of the file system of run.dir",
		       bytes / 1024, err_name(res));
}

static int header_write(int fd, struct err *e)
{
	struct board_header h = {
		.version = BOARD_VERSION,
		.total_bytes = sizeof(struct board_file),
		.layout = board_layout_sum(),
	};
	if (pwrite(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		return err_set(e, -EIO, "the board cannot be written");
	h.magic = BOARD_FILE_MAGIC;
	if (pwrite(fd, &h.magic, sizeof(h.magic), 0) !=
	    (ssize_t)sizeof(h.magic))
		return err_set(e, -EIO, "the board cannot be written");
	return 0;
}

/* 0 also when another program was faster. */
static int board_make(const char *dir, const char *path, struct err *e)
{
	char tmp[PATH_MAX], suffix[32];
	(void)snprintf(suffix, sizeof(suffix), ".new.%ld", (long)getpid());
	int res = board_path(dir, suffix, tmp, e);
	if (res != 0)
		return res;
	(void)unlink(tmp); /* of a process that died with our number */
	int fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
	if (fd < 0)
		return err_set(e, -errno,
			       "%s: %s; does run.dir exist, and may "
			       "this user write there?",
			       tmp, err_name(errno));
	if (ftruncate(fd, sizeof(struct board_file)) != 0)
		res = err_set(e, -errno, "%s: %s", tmp, err_name(errno));
	if (res == 0)
		res = reserve(fd, 0, BOARD_FIXED_BYTES, e);
	if (res == 0)
		res = header_write(fd, e);
	/* the group is the planes' common one, whatever the umask says */
	if (res == 0 && fchmod(fd, 0660) != 0)
		res = err_set(e, -errno, "%s: %s", tmp, err_name(errno));
	if (res == 0 && link(tmp, path) != 0 && errno != EEXIST)
		res = err_set(e, -errno, "%s: %s", path, err_name(errno));
	(void)unlink(tmp);
	(void)close(fd);
	return res;
}

static int header_check(int fd, const char *path, struct err *e)
{
	struct board_header h;
	struct stat st;
	if (fstat(fd, &st) != 0 ||
	    pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
	    h.magic != BOARD_FILE_MAGIC)
		return err_set(e, -EPROTO,
			       "%s is not a board; stop all Sluice "
			       "programs and remove it",
			       path);
	if (h.version != BOARD_VERSION)
		return err_set(e, -EPROTO,
			       "%s has version %u and this program "
			       "speaks version %d; start all Sluice "
			       "programs from the same release",
			       path, h.version, BOARD_VERSION);
	if (h.total_bytes != sizeof(struct board_file) ||
	    h.layout != board_layout_sum() ||
	    (uint64_t)st.st_size != h.total_bytes)
		return err_set(e, -EPROTO,
			       "%s was made by another build of this "
			       "version; stop all Sluice programs "
			       "and remove it",
			       path);
	return 0;
}

static struct flock user_lock(enum board_user who)
{
	return (struct flock){
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)who,
		.l_len = 1,
	};
}

/* One writer of each kind; the lock ends with the process, however it ends. */
static int user_take(int fd, enum board_user user, const char *path,
		     struct err *e)
{
	struct flock l = user_lock(user);
	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(e, -EBUSY,
			       "%s: a %s is running with this board; "
			       "stop it or use another run.dir",
			       path, user_names[user]);
	return err_set(e, -errno, "%s: %s", path, err_name(errno));
}

static bool user_holds(int fd, enum board_user who)
{
	struct flock l = user_lock(who);
	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static int file_open(const struct board_options *o, const char *path,
		     struct err *e)
{
	bool reader = o->user == BOARD_READER;
	for (int i = 0; i < OPEN_TRIES; i++) {
		int fd = open(path, (reader ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			break;
		if (reader)
			return err_set(e, -ENOENT,
				       "%s is not there; is sluiced "
				       "running with this run.dir?",
				       path);
		int res = board_make(o->dir, path, e);
		if (res != 0)
			return res;
	}
	return err_set(e, -errno, "%s: %s", path, err_name(errno));
}

static int reserve_ours(const struct board *b, struct err *e)
{
	const struct board_file *f = NULL;
	int res = 0;
	if (b->producers == 0)
		return 0;
	if (b->user == BOARD_SLUICED)
		return reserve(b->fd, offsetof(struct board_file, workers),
			       b->producers * sizeof(f->workers[0]), e);
	if (b->user == BOARD_SHAPER) {
		res = reserve(b->fd, offsetof(struct board_file, counters),
			      sizeof(f->counters), e);
		if (res == 0)
			res = reserve(b->fd,
				      offsetof(struct board_file, lcores),
				      b->producers * sizeof(f->lcores[0]), e);
	}
	return res;
}

static int board_map(struct board *b, struct err *e)
{
	int prot = b->user == BOARD_READER ? PROT_READ : PROT_READ | PROT_WRITE;
	void *p = mmap(NULL, sizeof(struct board_file), prot, MAP_SHARED, b->fd,
		       0);
	if (p == MAP_FAILED)
		return err_set(e, -errno, "the board cannot be mapped: %s",
			       err_name(errno));
	b->file = p;
	if (b->user == BOARD_READER)
		return 0;
	if (board_tables_start(b) != 0)
		return err_set(e, -ENOMEM, "out of memory for the board");
	board_rings_start(b);
	struct board_user_line *u = &b->file->users[b->user];
	b->grants_epoch = u->grants_epoch;
	__atomic_store_n(&u->started_ns, clock_monotonic_ns(),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&u->pid, (uint32_t)getpid(), __ATOMIC_RELAXED);
	__atomic_store_n(&u->starts, u->starts + 1, __ATOMIC_RELAXED);
	return 0;
}

int board_open(struct board **out, const struct board_options *o, struct err *e)
{
	char path[PATH_MAX];
	uint32_t most = o->user == BOARD_SLUICED  ? BOARD_WORKERS_MAX
			: o->user == BOARD_SHAPER ? BOARD_LCORES_MAX
						  : 0;
	if (o->producers > most)
		return err_set(e, -EINVAL,
			       "%u event rings and the board has %u "
			       "for %s; use fewer workers",
			       o->producers, most, user_names[o->user]);
	int res = board_path(o->dir, "", path, e);
	if (res != 0)
		return res;
	struct board *b = calloc(1, sizeof(*b));
	if (b == NULL || (b->dir = strdup(o->dir)) == NULL) {
		free(b);
		return err_set(e, -ENOMEM, "out of memory for the board");
	}
	b->magic = BOARD_HANDLE_MAGIC;
	b->user = o->user;
	b->producers = o->producers;
	b->fd = file_open(o, path, e);
	res = b->fd < 0 ? b->fd : header_check(b->fd, path, e);
	if (res == 0 && b->user != BOARD_READER)
		res = user_take(b->fd, b->user, path, e);
	if (res == 0)
		res = reserve_ours(b, e);
	if (res == 0)
		res = board_map(b, e);
	if (res != 0) {
		board_close(&b);
		return res;
	}
	*out = b;
	return 0;
}

void board_close(struct board **bp)
{
	struct board *b = *bp;
	*bp = NULL;
	if (b == NULL)
		return;
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	board_tables_fini(b);
	if (b->file != NULL)
		(void)munmap(b->file, sizeof(*b->file));
	if (b->fd >= 0)
		(void)close(b->fd);
	free(b->dir);
	b->magic = 0;
	free(b);
}

/* Does `who` hold the lock of the board file `name`, of another version? */
static bool other_holds(int dir_fd, const char *name, enum board_user who)
{
	char own[32];
	(void)snprintf(own, sizeof(own), "board.v%d", BOARD_VERSION);
	if (strncmp(name, "board.v", 7) != 0 || strcmp(name, own) == 0 ||
	    strspn(name + 7, "0123456789") != strlen(name + 7))
		return false;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	bool holds = user_holds(fd, who);
	(void)close(fd);
	return holds;
}

int board_peer_check(const struct board *b, enum board_user who, struct err *e)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(who < BOARD_READER);
	if (b->user == who || user_holds(b->fd, who))
		return 0;
	DIR *d = opendir(b->dir);
	struct dirent *it;
	/* one stream, one thread */
	while (d != NULL &&
	       (it = readdir(d)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
		if (!other_holds(dirfd(d), it->d_name, who))
			continue;
		int res = err_set(
			e, -EPROTO,
			"%s runs with %s/%s and this program speaks "
			"version %d; start all Sluice programs from the "
			"same release",
			user_names[who], b->dir, it->d_name, BOARD_VERSION);
		(void)closedir(d);
		return res;
	}
	if (d != NULL)
		(void)closedir(d);
	return err_set(e, -ENOENT, "%s is not running", user_names[who]);
}

void board_beat(struct board *b, uint64_t monotonic_ns)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(b->user != BOARD_READER);
	__atomic_store_n(&b->file->users[b->user].beat_ns, monotonic_ns,
			 __ATOMIC_RELAXED);
}

void board_beat_read(const struct board *b, enum board_user who,
		     struct board_beat *out)
{
	MAGIC_CHECK(b, BOARD_HANDLE_MAGIC);
	sluice_assert(who < BOARD_READER);
	const struct board_user_line *u = &b->file->users[who];
	out->beat_ns = __atomic_load_n(&u->beat_ns, __ATOMIC_RELAXED);
	out->started_ns = __atomic_load_n(&u->started_ns, __ATOMIC_RELAXED);
	out->pid = __atomic_load_n(&u->pid, __ATOMIC_RELAXED);
	out->starts = __atomic_load_n(&u->starts, __ATOMIC_RELAXED);
}
