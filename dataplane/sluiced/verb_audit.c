/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_audit.c - the audit file, as it lies there, oldest line first.
 *
 * Role: command. Bound: a block of READ_BYTES at a time, and no more than the
 * client reads. What is no JSON (a line that a crash cut off) is left out.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "sluiced/audit.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"

#define READ_BYTES  (2 * AUDIT_LINE_BYTES) /* holds a line, in any case */
#define BACKLOG_MAX 8

struct audit_task {
	struct task task;
	struct engine *en;
	struct io_op op;
	uint32_t file; /* the next one to open */
	int fd;
	uint64_t offset, count;
	size_t have; /* bytes in buf: the rest of a line, then what was read */
	bool pending, done, gone;
	int res;
	char buf[READ_BYTES];
};

static void audit_task_free(struct audit_task *t)
{
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

static void audit_task_destroy(struct task *task)
{
	struct audit_task *t = (struct audit_task *)task;

	t->gone = true;
	if (!t->pending)
		audit_task_free(t);
}

static void on_read(struct io_op *op, int res, uint32_t flags, const void *data)
{
	struct audit_task *t = op->user;

	(void)flags;
	(void)data;
	t->pending = false;
	t->done = true;
	t->res = res;
	if (t->gone)
		audit_task_free(t);
	else
		client_wake(t->task.client);
}

/* Whole lines of what was read go out; the rest stays. */
static void lines_send(struct audit_task *t)
{
	json_t *list = json_array(), *line;
	char *from = t->buf, *end;

	while ((end = memchr(from, '\n', t->have - (size_t)(from - t->buf))) !=
	       NULL) {
		line = json_loadb(from, (size_t)(end - from), 0, NULL);
		if (json_is_object(line)) {
			json_array_append(list, line);
			t->count++;
		}
		json_decref(line);
		from = end + 1;
	}
	t->have -= (size_t)(from - t->buf);
	memmove(t->buf, from, t->have);
	if (t->have == sizeof(t->buf)) /* no line of ours */
		t->have = 0;
	client_send(t->task.client, json_pack("{s:o}", "lines", list));
}

/* False: the end of the file, or it cannot be read on. */
static bool block_take(struct audit_task *t)
{
	t->done = false;
	if (t->res <= 0) {
		close(t->fd);
		t->fd = -1;
		return false;
	}
	t->have += (size_t)t->res;
	t->offset += (uint64_t)t->res;
	return true;
}

/* False: there is no further file. */
static bool next_open(struct audit_task *t)
{
	while (t->fd < 0 && t->file < AUDIT_FILES)
		t->fd = audit_open(t->en->audit, t->file++);
	t->offset = 0;
	t->have = 0;
	return t->fd >= 0;
}

static bool audit_task_step(struct task *task)
{
	struct audit_task *t = (struct audit_task *)task;

	if (t->pending || client_backlog(task->client) > BACKLOG_MAX)
		return false;
	if (t->done && block_take(t))
		lines_send(t);
	if (t->fd < 0 && !next_open(t)) {
		client_done(task->client,
			    json_pack("{s:I}", "count", (json_int_t)t->count));
		client_task_end(task->client);
		return false;
	}
	t->pending = io_read(t->en->io, &t->op, t->fd, t->buf + t->have,
			     sizeof(t->buf) - t->have, t->offset) == 0;
	return !t->pending; /* the ring is full: the next turn */
}

void verb_audit(struct client *c, json_t *request)
{
	struct audit_task *t = calloc(1, sizeof(*t));

	(void)request;
	if (t == NULL) {
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	t->en = client_engine(c);
	t->fd = -1;
	t->task.step = audit_task_step;
	t->task.destroy = audit_task_destroy;
	t->op.done = on_read;
	t->op.user = t;
	client_task(c, &t->task);
}
