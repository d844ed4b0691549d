/* SPDX-License-Identifier: BSD-2-Clause
 *
 * output_postfix.c - a Postfix queue: DIR/deferred/<hash>/ID or DIR/hold/ID.
 *
 * Called by backlog. Bound: one message in memory.
 * Errors: -errno with the file's name. Nothing is synced before finish.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backlog/output.h"
#include "backlog/postfix_file.h"
#include "sluice/assert.h"

#define HASH_DIRS 16

struct postfix_output {
	struct buffer file;
	uint64_t seed;
	enum postfix_ids ids;
	int queue_fd;           /* DIR/deferred or DIR/hold */
	int hash_fd[HASH_DIRS]; /* -1 until needed; unused for hold */
	bool hashed;
	bool chown;
	uid_t uid;
	gid_t gid;
};

static int hash_dir(struct postfix_output *p, char digit, int *fd)
{
	char name[2] = {digit, 0};
	int at = digit >= 'A' ? digit - 'A' + 10 : digit - '0';

	sluice_assert(at >= 0 && at < HASH_DIRS);
	if (p->hash_fd[at] < 0) {
		if (mkdirat(p->queue_fd, name, 0700) != 0 && errno != EEXIST)
			return -errno;
		if (p->chown &&
		    fchownat(p->queue_fd, name, p->uid, p->gid, 0) != 0)
			return -errno;
		p->hash_fd[at] = openat(p->queue_fd, name,
					O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		if (p->hash_fd[at] < 0)
			return -errno;
	}
	*fd = p->hash_fd[at];
	return 0;
}

static int postfix_put(void *state, const struct message *m, struct err *e)
{
	struct postfix_output *p = state;
	char id[POSTFIX_ID_BYTES];
	int fd = p->queue_fd, err = 0;

	postfix_id_make(p->ids, p->seed, m, id);
	p->file.len = 0;
	postfix_file_make(m, id, &p->file);
	if (p->hashed)
		err = hash_dir(p, postfix_id_hash(id), &fd);
	if (!err)
		err = output_file(fd, id, 0700, m->arrival_s, &p->file);
	if (!err && p->chown && fchownat(fd, id, p->uid, p->gid, 0) != 0)
		err = -errno;
	if (err)
		return err_set(e, err, "queue file %s: %s", id, err_name(err));
	return 0;
}

static int postfix_finish(void *state, struct err *e)
{
	struct postfix_output *p = state;
	int err = syncfs(p->queue_fd) == 0 ? 0 : -errno;

	for (int i = 0; i < HASH_DIRS; i++)
		if (p->hash_fd[i] >= 0)
			close(p->hash_fd[i]);
	close(p->queue_fd);
	buffer_fini(&p->file);
	free(p);
	return err ? err_set(e, err, "cannot sync the queue: %s", err_name(err))
		   : 0;
}

static int owner_find(struct postfix_output *p, const char *owner,
		      struct err *e)
{
	const struct passwd *pw;

	if (!owner)
		return 0;
	/* One thread here. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	pw = getpwnam(owner);
	if (!pw)
		return err_set(e, -EINVAL, "no user '%s'", owner);
	p->chown = true;
	p->uid = pw->pw_uid;
	p->gid = pw->pw_gid;
	return 0;
}

static int ids_parse(const char *text, enum postfix_ids *out, struct err *e)
{
	if (strcmp(text, "short") == 0)
		*out = POSTFIX_IDS_SHORT;
	else if (strcmp(text, "long") == 0)
		*out = POSTFIX_IDS_LONG;
	else if (strcmp(text, "mixed") == 0)
		*out = POSTFIX_IDS_MIXED;
	else
		return err_set(e, -EINVAL,
			       "--ids '%s': there are short, long, mixed",
			       text);
	return 0;
}

static int queue_open(struct postfix_output *p, const struct output_options *o,
		      struct err *e)
{
	char path[PATH_MAX];
	int err;

	p->hashed = strcmp(o->queue, "deferred") == 0;
	if (!p->hashed && strcmp(o->queue, "hold") != 0)
		return err_set(e, -EINVAL,
			       "--queue '%s': there are deferred and hold",
			       o->queue);
	snprintf(path, sizeof(path), "%s/%s", o->dir, o->queue);
	err = output_mkdirs(path, 0700, e);
	if (err)
		return err;
	p->queue_fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (p->queue_fd < 0 ||
	    (p->chown && fchown(p->queue_fd, p->uid, p->gid) != 0))
		return err_set(e, -errno, "%s: %s", path, err_name(errno));
	return 0;
}

int output_postfix_open(const struct output_options *o, struct output *out,
			struct err *e)
{
	struct postfix_output *p = bench_calloc(1, sizeof(*p));
	int err;

	p->seed = o->seed;
	p->queue_fd = -1;
	memset(p->hash_fd, -1, sizeof(p->hash_fd));
	err = ids_parse(o->ids, &p->ids, e);
	if (!err)
		err = owner_find(p, o->owner, e);
	if (!err)
		err = queue_open(p, o, e);
	if (err) {
		if (p->queue_fd >= 0)
			close(p->queue_fd);
		free(p);
		return err;
	}
	*out = (struct output){postfix_put, postfix_finish, p};
	return 0;
}
