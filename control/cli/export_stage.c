/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_stage.c - files that wait to be handed over.
 *
 * Called by the kinds that write files. Bound: SYNC_FILES_MAX names between
 * two syncs; with more the whole file system is synced, which is faster than
 * thousands of files one by one, and as durable.
 */
#include "export_stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_FILE     "TOKEN"
#define SYNC_FILES_MAX 16

int dir_fsync(int dir, const char *what, struct err *e)
{
	if (fsync(dir) == 0)
		return 0;
	return err_set(e, -errno, "%s: fsync: %s", what, err_name(errno));
}

static void token_read(const struct stage *s, char token[EXPORT_TOKEN_BYTES])
{
	int fd = openat(s->dir, TOKEN_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? read(fd, token, EXPORT_TOKEN_BYTES - 1) : 0;

	token[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

static bool is_staged(const char *name, const char *suffix)
{
	size_t id = EXPORT_ID_BYTES - 1;

	return strspn(name, "0123456789abcdef") == id &&
	       strcmp(name + id, suffix) == 0;
}

/* Calls `each` with every name in it but TOKEN. */
static int names_each(struct stage *s,
		      int (*each)(struct stage *s, const char *name,
				  void *user),
		      void *user)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;
	int rc = 0;

	if (dir == NULL) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	/* A stream of our own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while (rc == 0 && (d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.' && strcmp(d->d_name, TOKEN_FILE) != 0)
			rc = each(s, d->d_name, user);
	closedir(dir);
	return rc;
}

struct staged_count {
	const char *suffix;
	uint64_t count;
};

static int name_count(struct stage *s, const char *name, void *user)
{
	struct staged_count *c = user;

	(void)s;
	c->count += is_staged(name, c->suffix);
	return 0;
}

static int stage_dir(struct stage *s, struct err *e)
{
	if (mkdirat(s->base, STAGE_DIR, 0700) != 0 && errno != EEXIST)
		return err_set(e, -errno, "%s/" STAGE_DIR ": %s", s->path,
			       err_name(errno));
	s->dir = openat(s->base, STAGE_DIR,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (s->dir < 0)
		return err_set(e, -errno, "%s/" STAGE_DIR ": %s", s->path,
			       err_name(errno));
	return dir_fsync(s->base, s->path, e);
}

int stage_open(struct stage *s, const char *dir, const char *staged_suffix,
	       struct export_found *found, struct err *e)
{
	struct staged_count c = {staged_suffix, 0};
	int rc;

	*s = (struct stage){.base = -1, .dir = -1};
	s->path = strdup(dir);
	s->names = calloc(SYNC_FILES_MAX, sizeof(*s->names));
	if (s->path == NULL || s->names == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	s->base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->base < 0)
		return err_set(e, -errno, "%s: %s", dir, err_name(errno));
	rc = stage_dir(s, e);
	if (rc != 0)
		return rc;
	token_read(s, found->token);
	rc = names_each(s, name_count, &c);
	if (rc != 0)
		return err_set(e, rc, "%s/" STAGE_DIR ": %s", dir,
			       err_name(rc));
	found->staged = c.count;
	return 0;
}

void stage_close(struct stage *s, bool over)
{
	/* As long as the session is not over TOKEN is needed, also when
	 * nothing else is there: all was placed, but that is not journaled. */
	if (s->dir >= 0 && over && unlinkat(s->dir, TOKEN_FILE, 0) == 0)
		unlinkat(s->base, STAGE_DIR, AT_REMOVEDIR);
	if (s->dir >= 0)
		close(s->dir);
	if (s->base >= 0)
		close(s->base);
	free(s->path);
	free(s->names);
	s->path = NULL;
	s->names = NULL;
}

int stage_write(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int stage_token(struct stage *s, const char *token, struct err *e)
{
	int fd = openat(s->dir, ".token",
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);
	int rc = fd >= 0 ? stage_write(fd, token, strlen(token)) : -errno;

	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc == 0 && renameat(s->dir, ".token", s->dir, TOKEN_FILE) != 0)
		rc = -errno;
	if (rc != 0)
		return err_set(e, rc, "%s/" STAGE_DIR "/" TOKEN_FILE ": %s",
			       s->path, err_name(rc));
	return dir_fsync(s->dir, s->path, e);
}

int stage_create(struct stage *s, const char *name, int *fd, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;

	*fd = openat(s->dir, name, flags, 0600);
	if (*fd < 0 && errno == EEXIST && unlinkat(s->dir, name, 0) == 0)
		*fd = openat(s->dir, name, flags, 0600);
	if (*fd < 0)
		return err_set(e, -errno, "%s/" STAGE_DIR "/%s: %s", s->path,
			       name, err_name(errno));
	if (s->unsynced < SYNC_FILES_MAX)
		snprintf(s->names[s->unsynced], sizeof(*s->names), "%s", name);
	s->unsynced++;
	return 0;
}

static int file_fsync(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;

	if (fd >= 0)
		close(fd);
	return rc == -ENOENT ? 0 : rc; /* it was refused */
}

int stage_sync(struct stage *s, struct err *e)
{
	int rc = 0;

	if (s->unsynced > SYNC_FILES_MAX && syncfs(s->dir) != 0)
		rc = -errno;
	for (uint32_t i = 0; i < s->unsynced && rc == 0; i++) {
		if (s->unsynced > SYNC_FILES_MAX)
			break;
		rc = file_fsync(s->dir, s->names[i]);
	}
	s->unsynced = 0;
	if (rc != 0)
		return err_set(e, rc, "%s/" STAGE_DIR ": sync: %s", s->path,
			       err_name(rc));
	return dir_fsync(s->dir, s->path, e);
}

static int name_remove(struct stage *s, const char *name, void *user)
{
	(void)user;
	return unlinkat(s->dir, name, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

int stage_clean(struct stage *s, struct err *e)
{
	int rc = names_each(s, name_remove, NULL);

	if (rc != 0)
		return err_set(e, rc,
			       "%s/" STAGE_DIR ": what was not handed over "
			       "cannot be removed: %s",
			       s->path, err_name(rc));
	return dir_fsync(s->dir, s->path, e);
}
