/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_queue.c - names and folders of a Postfix queue.
 *
 * Called by export_postfix.c. What this Postfix uses is read off its files:
 * one long name anywhere means long ones (enable_long_queue_ids); a folder of
 * one character in the queue means folders (hash_queue_names), as many levels
 * as there are (hash_queue_depth). With nothing to go by: short names, and one
 * level below deferred/, Postfix's defaults. Either kind of name is valid in
 * any Postfix, and `postsuper`, which it runs when it starts, moves a file
 * whose folder is wrong.
 * Bound: NAMES_MAX names are looked at per queue.
 */
#include "export_queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluice/clock.h"

#define NAMES_MAX   256
#define NAME_TRIES  100
#define LONG_ID_LEN 12 /* a long one has more than 6 + 4 + 'z' */

static const char digits[] =
	"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

/* `value` in `base` of the digits, at least `width` of them. */
static char *digits_put(char *to, uint64_t value, unsigned base, int width)
{
	char reverse[24];
	int n = 0;

	for (; value > 0; value /= base)
		reverse[n++] = digits[value % base];
	for (; n < width; width--)
		*to++ = digits[0];
	while (n > 0)
		*to++ = reverse[--n];
	return to;
}

void queue_id_format(bool long_name, uint64_t seconds, uint32_t microseconds,
		     uint64_t inode, char id[32], char hash[8])
{
	char *to = id;

	snprintf(hash, 8, "%05X", microseconds % 1000000);
	if (!long_name) {
		snprintf(id, 32, "%s%llX", hash, (unsigned long long)inode);
		return;
	}
	to = digits_put(to, seconds, 52, 6);
	to = digits_put(to, microseconds % 1000000, 52, 4);
	*to++ = 'z';
	to = digits_put(to, inode, 51, 1);
	*to = '\0';
}

int queue_target_check(const char *dir, const char *queue, struct err *e)
{
	static const char *const needed[] = {"incoming", "active", "deferred",
					     "hold"};
	char path[4200];
	struct stat st;

	if (strcmp(queue, "hold") != 0 && strcmp(queue, "incoming") != 0 &&
	    strcmp(queue, "deferred") != 0)
		return err_set(e, -EINVAL,
			       "--queue %s: it is one of hold, incoming, "
			       "deferred",
			       queue);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, needed[i]);
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			continue;
		return err_set(e, -ENOENT,
			       "%s: no Postfix queue directory (there is no "
			       "%s/ in it); `postconf -h queue_directory` "
			       "prints the right one",
			       dir, needed[i]);
	}
	return 0;
}

static bool is_long(const char *name)
{
	return strlen(name) > LONG_ID_LEN && strchr(name, 'z') != NULL;
}

/* What a folder holds: levels of one-character folders, kinds of names. */
struct look {
	unsigned depth;
	bool files, long_names, short_names;
};

static void look_at(int at, const char *path, unsigned depth, struct look *l)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	unsigned seen = 0;
	struct dirent *d;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	/* A stream of our own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((d = readdir(dir)) != NULL && seen++ < NAMES_MAX) {
		if (d->d_name[0] == '.')
			continue;
		if (strlen(d->d_name) > 1) {
			l->files |= depth == 0;
			l->long_names |= is_long(d->d_name);
			l->short_names |= !is_long(d->d_name);
		} else if (depth < QUEUE_DEPTH_MAX) {
			if (l->depth <= depth)
				l->depth = depth + 1;
			look_at(dirfd(dir), d->d_name, depth + 1, l);
		}
	}
	closedir(dir);
}

int queue_target_open(struct queue_target *q, int base, const char *queue,
		      struct err *e)
{
	static const char *const queues[] = {"hold", "incoming", "active",
					     "deferred"};
	struct stat st;

	*q = (struct queue_target){.name = queue};
	q->dir = openat(base, queue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (q->dir < 0 || fstat(q->dir, &st) != 0)
		return err_set(e, -errno, "%s: %s", queue, err_name(errno));
	q->uid = st.st_uid;
	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		struct look l = {0};

		look_at(base, queues[i], 0, &l);
		q->long_names |= l.long_names;
		if (strcmp(queues[i], queue) != 0)
			continue;
		q->depth = l.depth;
		if (l.depth == 0 && !l.files && strcmp(queue, "deferred") == 0)
			q->depth = 1;
	}
	return 0;
}

void queue_target_close(struct queue_target *q)
{
	if (q->dir >= 0)
		close(q->dir);
	q->dir = -1;
}

static int folder_sync(struct queue_target *q, const char *folder)
{
	int fd = openat(q->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;

	if (fd >= 0)
		close(fd);
	return rc;
}

int queue_target_sync(struct queue_target *q, struct err *e)
{
	int rc = 0;

	for (uint32_t i = 0; i < q->dirty_count && rc == 0; i++)
		rc = folder_sync(q, q->dirty[i]);
	q->dirty_count = 0;
	if (rc == 0)
		rc = folder_sync(q, ".");
	return rc != 0 ? err_set(e, rc, "%s/: fsync: %s", q->name, err_name(rc))
		       : 0;
}

static int folder_dirty(struct queue_target *q, const char *folder)
{
	struct err e;

	for (uint32_t i = 0; i < q->dirty_count; i++)
		if (strcmp(q->dirty[i], folder) == 0)
			return 0;
	if (q->dirty_count == sizeof(q->dirty) / sizeof(q->dirty[0])) {
		int rc = queue_target_sync(q, &e);

		if (rc != 0)
			return rc;
	}
	snprintf(q->dirty[q->dirty_count++], sizeof(q->dirty[0]), "%s", folder);
	return 0;
}

/* "A/1/" for the first characters; made if it is not there. */
static int folder_make(struct queue_target *q, const char *hash, char *folder)
{
	size_t n = 0;
	int rc = 0;

	folder[0] = '\0';
	for (unsigned i = 0; i < q->depth && rc == 0; i++) {
		folder[n++] = hash[i];
		folder[n] = '\0';
		if (mkdirat(q->dir, folder, 0700) == 0)
			rc = fchownat(q->dir, folder, q->uid, (gid_t)-1, 0) == 0
				     ? 0
				     : -errno;
		else if (errno != EEXIST)
			rc = -errno;
		if (rc == 0)
			rc = folder_dirty(q, folder);
		folder[n++] = '/';
		folder[n] = '\0';
	}
	return rc;
}

int queue_target_place(struct queue_target *q, int from, const char *name,
		       char path[QUEUE_PATH_BYTES])
{
	uint64_t now_ns = clock_realtime_ns();
	char id[32], hash[8], folder[2 * QUEUE_DEPTH_MAX + 2];
	char below[QUEUE_PATH_BYTES - 16];
	struct stat st;

	snprintf(path, QUEUE_PATH_BYTES, "%s/", q->name);
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	for (uint32_t i = 0; i < NAME_TRIES; i++) {
		int rc;

		queue_id_format(q->long_names, now_ns / NS_PER_S,
				(uint32_t)(now_ns % NS_PER_S / 1000) + i,
				st.st_ino, id, hash);
		rc = folder_make(q, hash, folder);
		if (rc != 0)
			return rc;
		snprintf(below, sizeof(below), "%s%s", folder, id);
		snprintf(path, QUEUE_PATH_BYTES, "%s/%s", q->name, below);
		if (renameat2(from, name, q->dir, below, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}
