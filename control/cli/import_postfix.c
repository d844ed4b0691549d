/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import_postfix.c - walks a Postfix queue directory and hands its files over.
 *
 * Refused while that Postfix runs, except for its hold queue, which the queue
 * manager does not touch. Files are first listed (their number is the progress
 * bar's), then claimed one by one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "import.h"
#include "import_claim.h"

#define DEPTH_MAX 4 /* hash_queue_depth and then some */

/* In this order: what a first run had claimed comes first. */
static const char *const queues[] = {"sluice-taken", "hold", "deferred",
				     "active", "incoming"};

struct listing {
	char **paths;
	size_t count, room;
};

struct postfix_import {
	struct claims *claims;
	struct import_session *session;
};

static int listing_add(struct listing *l, const char *path)
{
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 1024;
		char **paths = realloc(l->paths, room * sizeof(*paths));

		if (paths == NULL)
			return -ENOMEM;
		l->paths = paths;
		l->room = room;
	}
	l->paths[l->count] = strdup(path);
	return l->paths[l->count++] ? 0 : -ENOMEM;
}

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->paths[i]);
	free(l->paths);
}

static bool is_directory(int dir, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR;
	return fstatat(dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int list_queue(int base, const char *path, unsigned depth,
		      struct listing *l)
{
	int fd = openat(base, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	char below[512];
	struct dirent *d;
	int rc = 0;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return errno == ENOENT ? 0 : -errno;
	}
	/* A stream of our own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, d->d_name) >=
		    (int)sizeof(below))
			rc = -ENAMETOOLONG;
		else if (!is_directory(dirfd(dir), d))
			rc = listing_add(l, below);
		else if (depth < DEPTH_MAX)
			rc = list_queue(base, below, depth + 1, l);
	}
	closedir(dir);
	return rc;
}

/* The master daemon holds a lock on pid/master.pid while it runs. */
static bool postfix_runs(int dir)
{
	int fd = openat(dir, "pid/master.pid", O_RDWR | O_CLOEXEC);
	bool runs;

	if (fd < 0)
		return false;
	runs = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(fd);
	return runs;
}

static bool is_queue_directory(int dir)
{
	struct stat st;
	unsigned found = 0;

	for (size_t i = 1; i < sizeof(queues) / sizeof(queues[0]); i++)
		found += fstatat(dir, queues[i], &st, 0) == 0 &&
			 S_ISDIR(st.st_mode);
	return found > 0;
}

static int check_directory(struct cli *cli, const char *path, int dir)
{
	if (cli->queue != NULL) {
		bool known = false;

		for (size_t i = 1; i < sizeof(queues) / sizeof(queues[0]); i++)
			known |= strcmp(cli->queue, queues[i]) == 0;
		if (!known) {
			fprintf(stderr,
				"sluice: --queue %s: it is one of "
				"hold, deferred, active, incoming\n",
				cli->queue);
			return EX_USAGE;
		}
	}
	if (!is_queue_directory(dir)) {
		fprintf(stderr,
			"sluice: %s: no Postfix queue directory (no deferred/, "
			"active/, incoming/ or hold/ in it); `postconf -h "
			"queue_directory` prints the right one\n",
			path);
		return EX_NOINPUT;
	}
	if (postfix_runs(dir) &&
	    (cli->queue == NULL || strcmp(cli->queue, "hold") != 0)) {
		fprintf(stderr,
			"sluice: %s: this Postfix is running (pid/master.pid "
			"is "
			"locked): stop it with `postfix stop`, or take only "
			"its hold queue with --queue hold\n",
			path);
		return EX_TEMPFAIL;
	}
	return 0;
}

static int list_all(struct cli *cli, int dir, struct listing *l)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(queues) / sizeof(queues[0]);
	     i++)
		if (i == 0 || cli->queue == NULL ||
		    strcmp(cli->queue, queues[i]) == 0)
			rc = list_queue(dir, queues[i], 0, l);
	return rc;
}

static int on_batch(void *user)
{
	struct postfix_import *im = user;
	struct err e = {""};

	if (claims_sync(im->claims, &e) == 0)
		return 0;
	fprintf(stderr, "sluice: %s\n", e.text);
	return EX_IOERR;
}

/* sluiced names the file by its queue id; we name it by its path. */
static const char *without_name(const struct claim *cl, const char *error)
{
	size_t len = strlen(cl->taken);

	return strncmp(error, cl->taken, len) == 0 &&
			       strncmp(error + len, ": ", 2) == 0
		       ? error + len + 2
		       : error;
}

static void on_settled(void *user, void *item, enum import_verdict v,
		       const char *error)
{
	struct postfix_import *im = user;
	struct claim *cl = item;

	if (v == IMPORT_REFUSED) {
		import_refuse(im->session, cl->origin, without_name(cl, error));
		claim_return(im->claims, cl);
	} else {
		claim_remove(im->claims, cl);
	}
}

static int hand_over(struct postfix_import *im, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct claim *cl;
	struct err e = {""};
	int fd;

	if (claim_take(im->claims, path, &cl, &fd, &e) != 0) {
		import_refuse(im->session, path, e.text);
		return 0;
	}
	return import_add(im->session, fd, slash ? slash + 1 : path, NULL, cl);
}

static int import_listed(struct cli *cli, struct postfix_import *im,
			 const struct listing *l)
{
	static const struct import_ops ops = {on_batch, on_settled};
	int rc = import_open(cli, "postfix", &ops, im, l->count, &im->session);

	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < l->count; i++)
		rc = hand_over(im, l->paths[i]);
	return import_close(&im->session, rc);
}

/* A batch keeps several hundred files open. */
static void files_raise(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_cur >= 8192)
		return;
	rl.rlim_cur = rl.rlim_max < 8192 ? rl.rlim_max : 8192;
	setrlimit(RLIMIT_NOFILE, &rl);
}

int import_postfix(struct cli *cli, const char *dir)
{
	struct postfix_import im = {NULL, NULL};
	struct listing l = {NULL, 0, 0};
	struct err e = {""};
	int rc = EX_NOINPUT, base;

	files_raise();
	base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0) {
		fprintf(stderr, "sluice: %s: %s\n", dir, err_name(errno));
		return EX_NOINPUT;
	}
	rc = check_directory(cli, dir, base);
	if (rc == 0 && list_all(cli, base, &l) != 0) {
		fprintf(stderr, "sluice: %s: cannot be listed: %s\n", dir,
			err_name(errno));
		rc = EX_NOPERM;
	}
	close(base);
	if (rc == 0 && claims_open(dir, &im.claims, &e) != 0) {
		fprintf(stderr, "sluice: %s\n", e.text);
		rc = EX_NOPERM;
	}
	if (rc == 0)
		rc = import_listed(cli, &im, &l);
	claims_close(&im.claims);
	listing_free(&l);
	return rc;
}
