/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_postfix.c - puts messages into a Postfix queue.
 *
 * Files are staged with the owner and the mode that Postfix wants, and placed
 * by one rename each: complete or not there at all. One thread.
 * The name of a queue file is made of its inode and a time; whether this
 * Postfix uses long names, and whether the queue has folders by the first
 * character, is read off what is there (export_queue.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "export_queue.h"
#include "export_stage.h"
#include "postfix_write.h"
#include "sluice/clock.h"

struct postfix_export {
	struct cli *cli;
	struct stage stage;
	struct queue_target queue;
	struct postfix_write *write;
	uid_t uid;
	gid_t gid;
};

static int sink(void *user, const void *data, size_t len)
{
	return stage_write(*(int *)user, data, len);
}

static int piece(void *user, const void *data, size_t len)
{
	return postfix_write_content(user, data, len);
}

static int file_fill(struct postfix_export *x, const struct export_message *m,
		     int fd)
{
	uint8_t size[POSTFIX_SIZE_BYTES];
	int rc = postfix_write_begin(x->write, &m->env, clock_realtime_s(),
				     sink, &fd);

	if (rc == 0)
		rc = export_message_content(m, piece, x->write);
	if (rc == 0)
		rc = postfix_write_end(x->write, size);
	if (rc == 0 && pwrite(fd, size, sizeof(size), 0) != sizeof(size))
		rc = errno != 0 ? -errno : -EIO;
	if (rc == 0 && fchown(fd, x->uid, x->gid) != 0)
		rc = -errno;
	/* Postfix takes a file with u+rwx as finished; it is not in its sight
	 * yet. */
	if (rc == 0 && fchmod(fd, 0700) != 0)
		rc = -errno;
	return rc;
}

static int postfix_stage(void *user, const struct export_message *m,
			 struct err *e)
{
	struct postfix_export *x = user;
	int fd, rc = stage_create(&x->stage, m->id, &fd, e);

	if (rc != 0)
		return rc;
	errno = 0;
	rc = file_fill(x, m, fd);
	close(fd);
	if (rc == 0)
		return 0;
	unlinkat(x->stage.dir, m->id, 0);
	if (rc == -EINVAL || rc == -EBADMSG) {
		err_set(e, rc,
			rc == -EINVAL ? "an address in its envelope cannot be "
					"written into a queue file"
				      : "its content is damaged in the spool "
					"(checksum)");
		return 1;
	}
	return err_set(e, rc, "%s/" STAGE_DIR "/%s: %s", x->stage.path, m->id,
		       err_name(rc));
}

static int postfix_sync(void *user, struct err *e)
{
	struct postfix_export *x = user;

	return stage_sync(&x->stage, e);
}

static void placed_print(struct postfix_export *x, const char *id,
			 const char *path)
{
	json_t *j;

	if (!x->cli->json)
		return;
	j = json_pack("{s:s,s:s}", "id", id, "file", path);
	print_json("sluice.exported.1", j);
	json_decref(j);
}

static int one_place(struct postfix_export *x, const char *id, bool again,
		     struct err *e)
{
	char path[QUEUE_PATH_BYTES];
	int rc = queue_target_place(&x->queue, x->stage.dir, id, path);

	if (rc == -ENOENT && again)
		return 0;
	if (rc != 0)
		return err_set(e, rc,
			       "%s/" STAGE_DIR "/%s cannot be moved to %s: %s; "
			       "it is handed over and waits there: repair "
			       "this, then --finish",
			       x->stage.path, id, path, err_name(rc));
	placed_print(x, id, path);
	return 0;
}

static int postfix_place(void *user, char (*ids)[EXPORT_ID_BYTES],
			 uint32_t count, bool again, struct err *e)
{
	struct postfix_export *x = user;
	int rc = 0;

	for (uint32_t i = 0; i < count && rc == 0; i++)
		rc = one_place(x, ids[i], again, e);
	if (rc == 0)
		rc = queue_target_sync(&x->queue, e);
	return rc == 0 ? dir_fsync(x->stage.dir, x->stage.path, e) : rc;
}

static int postfix_clean(void *user, struct err *e)
{
	struct postfix_export *x = user;

	return stage_clean(&x->stage, e);
}

static int postfix_token(void *user, const char *token, struct err *e)
{
	struct postfix_export *x = user;

	return stage_token(&x->stage, token, e);
}

static const struct export_kind kind = {
	.name = "postfix",
	.stage = postfix_stage,
	.sync = postfix_sync,
	.place = postfix_place,
	.clean = postfix_clean,
	.token = postfix_token,
};

/* The owner of the queue's folder is the owner of its files. */
static int owner_find(struct postfix_export *x, struct err *e)
{
	struct stat st;
	struct passwd *pw;

	if (fstat(x->queue.dir, &st) != 0)
		return err_set(e, -errno, "%s: %s", x->stage.path,
			       err_name(errno));
	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	pw = getpwuid(st.st_uid);
	x->uid = st.st_uid;
	x->gid = pw != NULL ? pw->pw_gid : st.st_gid;
	if (geteuid() != 0 && geteuid() != x->uid)
		return err_set(e, -EPERM,
			       "%s: its files belong to another user (uid "
			       "%u): run this as root",
			       x->stage.path, (unsigned)x->uid);
	return 0;
}

static int postfix_open(struct postfix_export *x, const char *dir,
			struct export_found *found)
{
	const char *queue = x->cli->queue != NULL ? x->cli->queue : "hold";
	struct err e = {""};
	int rc = queue_target_check(dir, queue, &e);

	/* Only then something is created there. */
	if (rc == 0)
		rc = stage_open(&x->stage, dir, "", found, &e);
	if (rc == 0)
		rc = queue_target_open(&x->queue, x->stage.base, queue, &e);
	if (rc == 0)
		rc = owner_find(x, &e);
	if (rc == 0)
		return 0;
	fprintf(stderr, "sluice: export: %s\n", e.text);
	return rc == -EINVAL   ? EX_USAGE
	       : rc == -EPERM  ? EX_NOPERM
	       : rc == -EACCES ? EX_NOPERM
			       : EX_NOINPUT;
}

int export_postfix(struct cli *cli, const char *dir)
{
	struct postfix_export x = {
		.cli = cli,
		.stage = {.base = -1, .dir = -1},
		.queue = {.dir = -1},
	};
	struct export_found found = {"", 0, false};
	char *path = realpath(dir, NULL);
	int rc;

	if (path == NULL) {
		fprintf(stderr, "sluice: %s: %s\n", dir, err_name(errno));
		return EX_NOINPUT;
	}
	if (cli->dry_run) {
		rc = export_dry_run(cli, kind.name, path);
		free(path);
		return rc;
	}
	x.write = malloc(sizeof(*x.write));
	rc = x.write != NULL ? postfix_open(&x, path, &found) : EX_OSERR;
	if (rc == 0)
		rc = export_run(cli, &kind, &x, path, &found);
	queue_target_close(&x.queue);
	stage_close(&x.stage, found.over);
	free(x.write);
	free(path);
	return rc;
}
