/* SPDX-License-Identifier: BSD-2-Clause
 *
 * storage_uring.c - the real disk: a directory, io_uring for commits and reads.
 *
 * Called by the spool through struct storage, on the thread of its loop.
 * Bound: requests come from pools that grow to the most ever in flight and are
 * kept; after that nothing is allocated.
 * Errors: -errno; at creation a sentence that names the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluice/err.h"
#include "spool/storage_uring_priv.h"

#define READS_FIRST   64u
#define COMMITS_FIRST 4u
#define PIECES_FIRST  64u

static int commit_reserve(struct uring_commit *c, uint32_t count)
{
	if (count <= c->pieces_max)
		return 0;
	struct io_write_piece *p = realloc(c->pieces, count * sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	c->pieces = p;
	c->pieces_max = count;
	return 0;
}

static void commit_free(struct uring_commit *c)
{
	free(c->pieces);
	free(c);
}

static struct uring_commit *commit_create(struct storage_uring *s)
{
	struct uring_commit *c = calloc(1, sizeof(*c));
	if (c == NULL || commit_reserve(c, PIECES_FIRST) != 0) {
		free(c);
		return NULL;
	}
	c->storage = s;
	return c;
}

static void commit_give(struct storage_uring *s, struct uring_commit *c)
{
	c->next = s->commits;
	s->commits = c;
}

static struct uring_commit *commit_take(struct storage_uring *s)
{
	struct uring_commit *c = s->commits;
	if (c == NULL)
		return commit_create(s);
	s->commits = c->next;
	return c;
}

static void commit_done(struct io_op *op, int res, uint32_t flags,
			const void *data)
{
	struct uring_commit *c = op->user;
	struct storage_uring *s = c->storage;
	struct storage_commit *user = c->user;
	sluice_assert(s->in_flight > 0);
	s->in_flight--;
	for (uint32_t i = 0; i < user->count; i++)
		storage_uring_file_used(user->writes[i].file);
	commit_give(s, c);
	user->impl = NULL;
	user->done(user, res);
}

int storage_uring_commit(void *state, struct storage_commit *user)
{
	struct storage_uring *s = uring_of(state);
	sluice_assert(user->done != NULL && user->count > 0);
	struct uring_commit *c = commit_take(s);
	if (c == NULL)
		return -ENOMEM;
	int res = commit_reserve(c, user->count);
	if (res == 0) {
		for (uint32_t i = 0; i < user->count; i++) {
			const struct storage_write *w = &user->writes[i];
			c->pieces[i] =
				(struct io_write_piece){.fd = fd_of(w->file),
							.data = w->data,
							.len = w->len,
							.offset = w->offset};
		}
		c->commit.op.done = commit_done;
		c->commit.op.user = c;
		res = io_write_sync(s->io, &c->commit, c->pieces, user->count);
	}
	if (res < 0) {
		commit_give(s, c);
		return res;
	}
	for (uint32_t i = 0; i < user->count; i++)
		user->writes[i].file->busy++;
	c->user = user;
	user->impl = c;
	s->in_flight++;
	return 0;
}

static struct uring_read *read_create(struct storage_uring *s)
{
	struct uring_read *r = calloc(1, sizeof(*r));
	if (r != NULL)
		r->storage = s;
	return r;
}

static void read_give(struct storage_uring *s, struct uring_read *r)
{
	r->next = s->reads;
	s->reads = r;
}

static struct uring_read *read_take(struct storage_uring *s)
{
	struct uring_read *r = s->reads;
	if (r == NULL)
		return read_create(s);
	s->reads = r->next;
	return r;
}

static void read_done(struct io_op *op, int res, uint32_t flags,
		      const void *data)
{
	struct uring_read *r = op->user;
	struct storage_uring *s = r->storage;
	struct storage_read *user = r->user;
	sluice_assert(s->in_flight > 0);
	s->in_flight--;
	storage_uring_file_used(user->file);
	read_give(s, r);
	user->impl = NULL;
	user->done(user, res);
}

int storage_uring_read(void *state, struct storage_read *user)
{
	struct storage_uring *s = uring_of(state);
	sluice_assert(user->done != NULL);
	struct uring_read *r = read_take(s);
	if (r == NULL)
		return -ENOMEM;
	r->op.done = read_done;
	r->op.user = r;
	int res = io_read(s->io, &r->op, fd_of(user->file), user->data,
			  user->len, user->offset);
	if (res < 0) {
		read_give(s, r);
		return res;
	}
	user->file->busy++;
	r->user = user;
	user->impl = r;
	s->in_flight++;
	return 0;
}

/* The owner has let everything in flight finish: spool_idle(). */
void storage_uring_destroy(void **state)
{
	if (*state == NULL)
		return;
	struct storage_uring *s = uring_of(*state);
	sluice_assert(s->in_flight == 0);
	*state = NULL;
	while (s->reads != NULL)
		free(read_take(s));
	while (s->commits != NULL)
		commit_free(commit_take(s));
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	s->magic = 0;
	free(s);
}

static int pools_fill(struct storage_uring *s)
{
	for (uint32_t i = 0; i < READS_FIRST; i++) {
		struct uring_read *r = read_create(s);
		if (r == NULL)
			return -ENOMEM;
		read_give(s, r);
	}
	for (uint32_t i = 0; i < COMMITS_FIRST; i++) {
		struct uring_commit *c = commit_create(s);
		if (c == NULL)
			return -ENOMEM;
		commit_give(s, c);
	}
	return 0;
}

/* A new directory's own entry must survive a power loss, too. A parent that
 * may be written but not read cannot be synced alone. */
static int parent_sync(int dir_fd)
{
	int fd = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return syncfs(dir_fd) == 0 ? 0 : -errno;
	int res = fsync(fd) == 0 ? 0 : -errno;
	close(fd);
	return res;
}

static int dir_make(const char *dir, int *dir_fd, struct err *e)
{
	bool made = mkdir(dir, 0700) == 0;
	if (!made && errno != EEXIST)
		return err_set(e, -errno, "spool directory %s: %s", dir,
			       err_name(errno));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -errno, "spool directory %s: %s", dir,
			       err_name(errno));
	int res = made ? parent_sync(fd) : 0;
	if (res < 0) {
		close(fd);
		return err_set(e, res, "spool directory %s: its parent: %s",
			       dir, err_name(res));
	}
	*dir_fd = fd;
	return 0;
}

int storage_uring_create(struct io *io, const char *dir, struct storage *out,
			 struct err *e)
{
	struct storage_uring *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(e, -ENOMEM, "spool: out of memory");
	s->magic = STORAGE_MAGIC;
	s->io = io;
	s->dir_fd = -1;
	s->lock_fd = -1;
	int res = dir_make(dir, &s->dir_fd, e);
	if (res == 0 && (res = pools_fill(s)) < 0)
		err_set(e, res, "spool: out of memory");
	if (res < 0) {
		void *state = s;
		storage_uring_destroy(&state);
		return res;
	}
	*out = (struct storage){.ops = &storage_uring_ops, .state = s};
	return 0;
}
