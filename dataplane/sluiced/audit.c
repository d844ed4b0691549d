/* SPDX-License-Identifier: BSD-2-Clause
 *
 * audit.c - the audit file.
 *
 * Called by the verbs that act. Role: command. While one write is under way
 * the next lines gather. Renames at a rotation block the loop for a moment,
 * once in some ten thousand lines. Errors are logged, and told to whoever
 * waits for his line; the act itself stands.
 */
#include "sluiced/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/io.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluice/selection.h"
#include "sluiced/client.h"

#define SETTLE_NS (5 * NS_PER_S)

struct waiter {
	struct waiter *next;
	void (*done)(void *user, int res);
	void *user;
};

struct lines {
	char *data;
	size_t len, room;
	struct waiter *waiters, **end;
};

struct audit {
	struct io *io;
	char *path;
	int fd, dir_fd;
	uint64_t offset;
	struct lines lines[2]; /* one gathers, one is being written */
	unsigned gather;
	struct io_commit commit;
	struct io_write_piece pieces[1];
	bool busy, told;
};

static struct lines *gathering(struct audit *a)
{
	return &a->lines[a->gather];
}

static struct lines *flying(struct audit *a)
{
	return &a->lines[!a->gather];
}

static void lines_init(struct lines *l)
{
	memset(l, 0, sizeof(*l));
	l->end = &l->waiters;
}

static int lines_add(struct lines *l, const char *text, size_t len)
{
	size_t room = l->room ? l->room : 4096;
	char *data;

	while (room < l->len + len + 1)
		room *= 2;
	if (room > l->room) {
		data = realloc(l->data, room);
		if (data == NULL)
			return -ENOMEM;
		l->data = data;
		l->room = room;
	}
	memcpy(l->data + l->len, text, len);
	l->data[l->len + len] = '\n';
	l->len += len + 1;
	return 0;
}

/* Empties it, and tells those who wait. */
static void lines_done(struct lines *l, int res)
{
	struct waiter *w = l->waiters;

	l->waiters = NULL;
	l->end = &l->waiters;
	l->len = 0;
	while (w != NULL) {
		struct waiter *next = w->next;

		w->done(w->user, res);
		free(w);
		w = next;
	}
}

static void path_of(const struct audit *a, uint32_t n, char *path, size_t room)
{
	if (n + 1 == AUDIT_FILES)
		snprintf(path, room, "%s", a->path);
	else
		snprintf(path, room, "%s.%u", a->path, AUDIT_FILES - 1 - n);
}

int audit_open(const struct audit *a, uint32_t n)
{
	char path[4096];

	path_of(a, n, path, sizeof(path));
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* A line that a crash cut off gets its end, so that the next is one. */
static void tail_mend(struct audit *a)
{
	char last = '\n';

	if (a->offset > 0 &&
	    pread(a->fd, &last, 1, (off_t)a->offset - 1) == 1 && last != '\n')
		(void)lines_add(gathering(a), "", 0);
}

static int file_open(struct audit *a)
{
	struct stat st;

	a->fd = open(a->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (a->fd < 0)
		return -errno;
	if (fstat(a->fd, &st) != 0 || fsync(a->dir_fd) != 0)
		return -errno;
	a->offset = (uint64_t)st.st_size;
	tail_mend(a);
	return 0;
}

int audit_create(struct audit **out, struct io *io, const char *dir,
		 struct err *e)
{
	struct audit *a = calloc(1, sizeof(*a));
	int rc = a == NULL ? -ENOMEM : 0;

	if (rc == 0) {
		a->io = io;
		a->fd = -1;
		lines_init(&a->lines[0]);
		lines_init(&a->lines[1]);
		a->dir_fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		rc = a->dir_fd < 0 ? -errno : 0;
	}
	if (rc == 0 && asprintf(&a->path, "%s/audit.jsonl", dir) < 0) {
		a->path = NULL;
		rc = -ENOMEM;
	}
	if (rc == 0)
		rc = file_open(a);
	if (rc != 0) {
		audit_destroy(&a);
		return err_set(e, rc,
			       "%s/audit.jsonl: %s; sluiced has to be able to "
			       "write it",
			       dir, err_name(rc));
	}
	*out = a;
	return 0;
}

static void lines_fini(struct lines *l)
{
	lines_done(l, -ECANCELED);
	free(l->data);
}

void audit_destroy(struct audit **ap)
{
	struct audit *a = *ap;
	uint64_t until_ns = clock_monotonic_ns() + SETTLE_NS;

	*ap = NULL;
	if (a == NULL)
		return;
	while (!audit_idle(a) && clock_monotonic_ns() < until_ns) {
		audit_step(a);
		io_step(a->io, 10 * NS_PER_MS);
	}
	if (a->busy)
		return; /* the ring still has it: the process ends */
	lines_fini(&a->lines[0]);
	lines_fini(&a->lines[1]);
	if (a->fd >= 0)
		close(a->fd);
	if (a->dir_fd >= 0)
		close(a->dir_fd);
	free(a->path);
	free(a);
}

bool audit_idle(const struct audit *a)
{
	return !a->busy && a->lines[0].len == 0 && a->lines[1].len == 0;
}

static void trouble(struct audit *a, int res)
{
	if (!a->told)
		log_error("audit", "%s: %s; what is done is not recorded there",
			  a->path, err_name(res));
	a->told = true;
}

static void on_written(struct io_op *op, int res, uint32_t flags,
		       const void *data)
{
	struct audit *a = op->user;

	(void)flags;
	(void)data;
	a->busy = false;
	if (res < 0) {
		trouble(a, res);
	} else {
		a->offset += flying(a)->len;
		a->told = false;
	}
	lines_done(flying(a), res < 0 ? res : 0);
}

static void rotate(struct audit *a)
{
	char from[4096], to[4096];
	int rc;

	for (uint32_t n = 1; n < AUDIT_FILES; n++) {
		path_of(a, n, from, sizeof(from));
		path_of(a, n - 1, to, sizeof(to));
		if (rename(from, to) != 0 && errno != ENOENT)
			trouble(a, -errno);
	}
	close(a->fd);
	rc = file_open(a);
	if (rc != 0)
		trouble(a, rc);
}

void audit_step(struct audit *a)
{
	int rc;

	if (audit_idle(a) || a->busy)
		return;
	if (flying(a)->len == 0) { /* else: the ring was full last time */
		if (a->offset > 0 &&
		    a->offset + gathering(a)->len > AUDIT_BYTES_MAX)
			rotate(a);
		a->gather = !a->gather;
	}
	a->pieces[0] = (struct io_write_piece){a->fd, flying(a)->data,
					       flying(a)->len, a->offset};
	memset(&a->commit, 0, sizeof(a->commit));
	a->commit.op.done = on_written;
	a->commit.op.user = a;
	rc = io_write_sync(a->io, &a->commit, a->pieces, 1);
	a->busy = rc == 0;
	if (rc != 0 && rc != -EBUSY && rc != -EAGAIN) {
		trouble(a, rc);
		lines_done(flying(a), rc);
	}
}

/* By the local file alone: a directory server may be slow, and may be what is
 * broken tonight. "" without a name. */
static void user_name(uid_t uid, char name[64])
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd pw, *found;
	char buf[1024];

	name[0] = '\0';
	while (f != NULL &&
	       fgetpwent_r(f, &pw, buf, sizeof(buf), &found) == 0) {
		if (found->pw_uid != uid)
			continue;
		snprintf(name, 64, "%s", found->pw_name);
		break;
	}
	if (f != NULL)
		fclose(f);
}

json_t *audit_line(struct client *c, const char *verb)
{
	json_t *j =
		json_pack("{s:s,s:I,s:s}", "schema", "sluice.audit.1", "time",
			  (json_int_t)clock_realtime_s(), "verb", verb);
	char name[64];
	uid_t uid;
	pid_t pid;

	if (j == NULL || c == NULL)
		return j;
	if (client_peer(c, &uid, &pid)) {
		user_name(uid, name);
		json_object_set_new(j, "user", json_text(name));
		json_object_set_new(j, "uid", json_integer(uid));
		json_object_set_new(j, "pid", json_integer(pid));
	}
	return j;
}

/* A selection of thousands of ids is told in short. */
static void selection_shorten(json_t *line)
{
	json_t *j = json_object_get(line, "selection");
	struct selection *s = NULL;
	char text[512] = "...";

	if (j != NULL && selection_from_json(j, &s, NULL) == 0)
		selection_format(s, text, sizeof(text));
	selection_destroy(&s);
	json_object_set_new(line, "selection", json_text(text));
}

static char *line_text(json_t *line)
{
	if (json_dumpb(line, NULL, 0, JSON_COMPACT) > AUDIT_LINE_BYTES)
		selection_shorten(line);
	return json_dumps(line, JSON_COMPACT);
}

void audit_write(struct audit *a, json_t *line,
		 void (*done)(void *user, int res), void *user)
{
	char *text = line != NULL ? line_text(line) : NULL;
	struct waiter *w = done != NULL ? calloc(1, sizeof(*w)) : NULL;

	json_decref(line);
	if (text == NULL || (done != NULL && w == NULL) ||
	    lines_add(gathering(a), text, strlen(text)) != 0) {
		trouble(a, -ENOMEM);
		free(text);
		free(w);
		if (done != NULL)
			done(user, -ENOMEM);
		return;
	}
	free(text);
	if (w == NULL)
		return;
	w->done = done;
	w->user = user;
	*gathering(a)->end = w;
	gathering(a)->end = &w->next;
}
