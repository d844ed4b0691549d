/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import_claim.c - renames, locks, directory syncs, log files.
 *
 * One thread. Bound: SYNC_DIRS_MAX directories remembered between syncs; more
 * are synced at once.
 */
#include "import_claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import_remove.h"

#define TAKEN_DIR     "sluice-taken"
#define SYNC_DIRS_MAX 32
#define PATH_BYTES    512

struct claims {
	int dir;   /* the queue directory */
	int taken; /* sluice-taken/ */
	char dirty[SYNC_DIRS_MAX][PATH_BYTES];
	uint32_t dirty_count;
	bool taken_dirty;
	struct removals *removals;
};

int claims_open(const char *dir, struct claims **out, struct err *e)
{
	struct claims *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	c->removals = removals_create();
	if (c->removals == NULL) {
		free(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	c->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0) {
		rc = err_set(e, -errno, "%s: %s", dir, err_name(errno));
		removals_destroy(&c->removals);
		free(c);
		return rc;
	}
	c->taken = -1;
	if (mkdirat(c->dir, TAKEN_DIR, 0700) != 0 && errno != EEXIST)
		rc = err_set(e, -errno, "%s/" TAKEN_DIR ": %s", dir,
			     err_name(errno));
	else if ((c->taken = openat(c->dir, TAKEN_DIR,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		rc = err_set(e, -errno, "%s/" TAKEN_DIR ": %s", dir,
			     err_name(errno));
	else if (fsync(c->dir) != 0)
		rc = err_set(e, -errno, "%s: fsync: %s", dir, err_name(errno));
	else
		rc = 0;
	if (rc != 0) {
		claims_close(&c);
		return rc;
	}
	*out = c;
	return 0;
}

void claims_close(struct claims **cp)
{
	struct claims *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	removals_destroy(&c->removals);
	/* Only goes when it is empty. */
	if (c->taken >= 0)
		close(c->taken);
	unlinkat(c->dir, TAKEN_DIR, AT_REMOVEDIR);
	close(c->dir);
	free(c);
}

int claims_dir_fd(const struct claims *c)
{
	return c->dir;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static int dir_sync(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	rc = fsync(fd) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

int claims_sync(struct claims *c, struct err *e)
{
	int rc = 0;

	if (c->taken_dirty && fsync(c->taken) != 0)
		rc = -errno;
	for (uint32_t i = 0; rc == 0 && i < c->dirty_count; i++)
		rc = dir_sync(c->dir, c->dirty[i]);
	c->dirty_count = 0;
	c->taken_dirty = false;
	if (rc != 0)
		err_set(e, rc, "queue directory: fsync: %s", err_name(rc));
	return rc;
}

/* Remembers the directory of `origin` for the next sync. */
static int dirty_add(struct claims *c, const char *origin)
{
	size_t len = (size_t)(base_name(origin) - origin);
	char dir[PATH_BYTES];

	if (len == 0 || len > sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, origin, len - 1);
	dir[len - 1] = '\0';
	c->taken_dirty = true;
	for (uint32_t i = 0; i < c->dirty_count; i++)
		if (strcmp(c->dirty[i], dir) == 0)
			return 0;
	if (c->dirty_count == SYNC_DIRS_MAX)
		return claims_sync(c, NULL) ?: dirty_add(c, origin);
	memcpy(c->dirty[c->dirty_count++], dir, len);
	return 0;
}

static int file_check(int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_set(e, -errno, "stat: %s", err_name(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "is no regular file");
	if ((st.st_mode & S_IRWXU) != S_IRWXU)
		return err_set(e, -EAGAIN,
			       "is not finished (mode %04o, Postfix sets u+rwx "
			       "last): the message was never accepted",
			       (unsigned)(st.st_mode & 07777));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return err_set(e, -EBUSY,
			       "is locked: another program is "
			       "working on it");
	return 0;
}

static struct claim *claim_new(const char *origin, const char *taken)
{
	struct claim *cl = calloc(1, sizeof(*cl));

	if (cl == NULL)
		return NULL;
	cl->origin = strdup(origin);
	cl->taken = strdup(taken);
	if (cl->origin == NULL || cl->taken == NULL) {
		free(cl->origin);
		free(cl->taken);
		free(cl);
		return NULL;
	}
	return cl;
}

static void claim_free(struct claim *cl)
{
	free(cl->origin);
	free(cl->taken);
	free(cl);
}

/* Short queue ids repeat: a name that is there already gets a number. */
static int rename_free(struct claims *c, const char *origin, char *name,
		       size_t room)
{
	for (unsigned n = 0; n < 1000; n++) {
		if (n == 0)
			snprintf(name, room, "%s", base_name(origin));
		else
			snprintf(name, room, "%s.%u", base_name(origin), n);
		if (renameat2(c->dir, origin, c->taken, name,
			      RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static bool is_taken(const char *origin)
{
	return strncmp(origin, TAKEN_DIR "/", sizeof(TAKEN_DIR)) == 0;
}

int claim_take(struct claims *c, const char *origin, struct claim **out,
	       int *fd, struct err *e)
{
	char name[PATH_BYTES];
	int f = openat(c->dir, origin,
		       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int rc;

	if (f < 0)
		return err_set(e, -errno, "%s", err_name(errno));
	rc = file_check(f, e);
	if (rc == 0 && is_taken(origin)) {
		snprintf(name, sizeof(name), "%s", base_name(origin));
	} else if (rc == 0) {
		rc = dirty_add(c, origin);
		if (rc == 0)
			rc = rename_free(c, origin, name, sizeof(name));
		if (rc != 0)
			err_set(e, rc, "cannot be moved to " TAKEN_DIR ": %s",
				err_name(rc));
	}
	if (rc == 0 && (*out = claim_new(origin, name)) == NULL)
		rc = err_set(e, -ENOMEM, "out of memory");
	if (rc != 0) {
		close(f);
		return rc;
	}
	*fd = f;
	return 0;
}

static void log_remove(struct claims *c, const char *dir, const char *below)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", dir, below);
	unlinkat(c->dir, path, 0);
}

/* A log has the message's name: defer/ is hashed like deferred/
 * (hash_queue_names), bounce/ and trace/ are not hashed. */
static void logs_remove(struct claims *c, const char *origin)
{
	const char *name = base_name(origin);
	char hashed[8] = {'d', 'e', 'f', 'e', 'r', '/', name[0], '\0'};

	if (strncmp(origin, "deferred/", 9) == 0) {
		log_remove(c, "defer", origin + 9);
	} else {
		log_remove(c, hashed, name);
		log_remove(c, "defer", name);
	}
	log_remove(c, "bounce", name);
	log_remove(c, "trace", name);
}

void claim_remove(struct claims *c, struct claim *cl)
{
	removals_add(c->removals, c->taken, cl->taken);
	cl->taken = NULL; /* goes with the removal */
	logs_remove(c, cl->origin);
	claim_free(cl);
}

void claim_return(struct claims *c, struct claim *cl)
{
	/* What an earlier run had claimed stays where it is. */
	if (!is_taken(cl->origin) &&
	    renameat2(c->taken, cl->taken, c->dir, cl->origin,
		      RENAME_NOREPLACE) != 0)
		fprintf(stderr, "sluice: %s stays in " TAKEN_DIR "/%s: %s\n",
			cl->origin, cl->taken, err_name(errno));
	claim_free(cl);
}
