/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export.c - the session: messages in, batches, answers.
 *
 * One thread; a kind's functions do the writing. Protocol and the order of
 * what becomes durable: docs/command-socket.md. Bound: `window` messages, told
 * by sluiced; BATCH_MESSAGES share a sync.
 * Whatever fails ends the session; nothing is lost by that, and the next run
 * goes on where this one was.
 */
#include "export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "sluice/clock.h"

#define BATCH_MESSAGES 1024
#define WINDOW_MAX     65536

struct export_session {
	struct cli *cli;
	const struct export_kind *kind;
	void *user;
	struct connection *connection;
	char (*ids)[EXPORT_ID_BYTES]; /* by tag */
	uint32_t window;
	char (*batch)[EXPORT_ID_BYTES]; /* of a call of place() */
	json_t *staged;                 /* tags, not synced yet */
	json_t *failed;
	struct export_message *open; /* its recipients are still coming */
	int open_fd;
	uint64_t expected, over, refused;
	uint64_t started_ns, shown_ns;
	json_t *done;
};

static int session_error(const struct err *e)
{
	fprintf(stderr, "sluice: export: %s\n", e->text);
	return EX_IOERR;
}

static int session_odd(void)
{
	fputs("sluice: export: sluiced said what makes no sense\n", stderr);
	return EX_PROTOCOL;
}

static int tags_send(struct export_session *s, const char *key, json_t *tags)
{
	return connection_send(s->connection, json_pack("{s:O}", key, tags),
			       NULL, 0);
}

/* What is staged becomes durable, and sluiced is told. */
static int batch_flush(struct export_session *s)
{
	struct err e = {""};
	int rc = 0;

	if (json_array_size(s->staged) > 0) {
		if (s->kind->sync(s->user, &e) != 0)
			return session_error(&e);
		rc = tags_send(s, "staged", s->staged);
	}
	json_array_clear(s->staged);
	if (rc == 0 && json_array_size(s->failed) > 0)
		rc = tags_send(s, "failed", s->failed);
	json_array_clear(s->failed);
	return rc;
}

static int message_stage(struct export_session *s,
			 const struct export_message *m)
{
	struct err e = {""};
	int rc;

	if (m->tag >= s->window)
		return session_odd();
	memcpy(s->ids[m->tag], m->id, EXPORT_ID_BYTES);
	rc = s->kind->stage(s->user, m, &e);
	if (rc < 0)
		return session_error(&e);
	if (rc > 0) {
		export_refuse(s->cli, m->id, e.text);
		s->refused++;
	}
	json_array_append_new(rc > 0 ? s->failed : s->staged,
			      json_integer(m->tag));
	if (json_array_size(s->staged) + json_array_size(s->failed) >=
	    BATCH_MESSAGES)
		return batch_flush(s);
	return 0;
}

/* A message whose recipients do not fit into one packet. */
static int message_open(struct export_session *s, struct export_message *m)
{
	s->open_fd = dup(m->fd);
	m->fd = s->open_fd;
	s->open = m;
	return s->open_fd >= 0 ? 0 : EX_OSERR;
}

static int message_close(struct export_session *s, int rc)
{
	if (s->open_fd >= 0)
		close(s->open_fd);
	s->open_fd = -1;
	export_message_free(&s->open);
	return rc;
}

static int on_recipients(struct export_session *s, json_t *list)
{
	if (s->open == NULL || !export_message_rcpts(s->open, list))
		return session_odd();
	if (!export_message_complete(s->open))
		return 0;
	return message_close(s, message_stage(s, s->open));
}

static int on_messages(struct export_session *s, json_t *list, const int *fds,
		       uint32_t fd_count)
{
	int rc = 0;
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		struct export_message *m =
			rc == 0 && s->open == NULL
				? export_message_parse(j, fds, fd_count)
				: NULL;

		if (m == NULL)
			return rc != 0 ? rc : session_odd();
		if (!export_message_complete(m)) {
			rc = message_open(s, m);
			continue;
		}
		rc = message_stage(s, m);
		export_message_free(&m);
	}
	return rc;
}

/* The tags of a packet are in their place now. */
static int tags_place(struct export_session *s, json_t *tags, bool again)
{
	struct err e = {""};
	uint32_t n = 0;
	size_t i;
	json_t *j;

	json_array_foreach(tags, i, j)
	{
		json_int_t tag = json_integer_value(j);

		if (tag < 0 || tag >= (json_int_t)s->window || n == s->window)
			return session_odd();
		memcpy(s->batch[n++], s->ids[tag], EXPORT_ID_BYTES);
	}
	if (s->kind->place(s->user, s->batch, n, again, &e) != 0)
		return session_error(&e);
	return tags_send(s, "placed", tags);
}

/* Handed over by an earlier run. */
static int on_unfinished(struct export_session *s, json_t *list)
{
	json_t *tags = json_array();
	int rc = 0;
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		json_int_t tag = json_int(j, "tag");
		const char *id = json_str(j, "id");

		if (tag < 0 || tag >= (json_int_t)s->window ||
		    strlen(id) != EXPORT_ID_BYTES - 1) {
			rc = session_odd();
			break;
		}
		memcpy(s->ids[tag], id, EXPORT_ID_BYTES);
		json_array_append_new(tags, json_integer(tag));
	}
	if (rc == 0)
		rc = tags_place(s, tags, true);
	json_decref(tags);
	return rc;
}

static int on_clean(struct export_session *s)
{
	struct err e = {""};

	return s->kind->clean(s->user, &e) == 0 ? 0 : session_error(&e);
}

static int on_ready(struct export_session *s, const json_t *p)
{
	struct err e = {""};
	json_int_t window = json_int(p, "window");

	if (window <= 0 || window > WINDOW_MAX || s->ids != NULL)
		return session_odd();
	s->window = (uint32_t)window;
	s->ids = calloc(s->window, sizeof(*s->ids));
	s->batch = calloc(s->window, sizeof(*s->batch));
	if (s->ids == NULL || s->batch == NULL)
		return EX_OSERR;
	if (s->kind->token(s->user, json_str(p, "token"), &e) != 0)
		return session_error(&e);
	return 0;
}

static int packet_error(const json_t *p)
{
	int rc = (int)json_int(p, "code");

	fprintf(stderr, "sluice: %s\n", json_str(p, "error"));
	return rc > 0 ? rc : EX_SOFTWARE;
}

static int packet_take(struct export_session *s, json_t *p, const int *fds,
		       uint32_t fd_count)
{
	json_t *j;

	if (json_object_get(p, "error") != NULL)
		return packet_error(p);
	if (json_is_true(json_object_get(p, "done"))) {
		s->done = json_incref(p);
		return 0;
	}
	if (json_object_get(p, "ready") != NULL)
		return on_ready(s, p);
	if (s->ids == NULL)
		return session_odd();
	if ((j = json_object_get(p, "messages")) != NULL)
		return on_messages(s, j, fds, fd_count);
	if ((j = json_object_get(p, "recipients")) != NULL)
		return on_recipients(s, j);
	if ((j = json_object_get(p, "handed")) != NULL)
		return tags_place(s, j, false);
	if ((j = json_object_get(p, "unfinished")) != NULL)
		return on_unfinished(s, j);
	if (json_object_get(p, "unfinished_end") != NULL)
		return on_clean(s);
	if (json_object_get(p, "flush") != NULL)
		return batch_flush(s);
	s->over = (uint64_t)json_int(p, "exported");
	return 0;
}

static int packets_take(struct export_session *s)
{
	int fds[CONNECTION_FDS], rc = 0;
	uint32_t fd_count;

	while (rc == 0 && s->done == NULL) {
		json_t *p =
			connection_receive_fds(s->connection, fds, &fd_count);

		if (p == NULL) {
			fputs("sluice: export: sluiced went away; run it "
			      "again: it goes on where it was\n",
			      stderr);
			rc = EX_UNAVAILABLE;
		} else {
			rc = packet_take(s, p, fds, fd_count);
		}
		for (uint32_t i = 0; i < fd_count; i++)
			close(fds[i]);
		json_decref(p);
		export_progress(s->cli, s->started_ns, &s->shown_ns,
				s->over + s->refused, s->expected, false);
	}
	return rc;
}

static int session_run(struct export_session *s, json_t *request)
{
	int rc = connection_open(s->cli, &s->connection);

	if (rc != 0) {
		json_decref(request);
		return rc;
	}
	rc = connection_send(s->connection, request, NULL, 0);
	if (rc == 0)
		rc = packets_take(s);
	connection_close(&s->connection);
	export_progress(s->cli, s->started_ns, &s->shown_ns,
			s->over + s->refused, s->expected, true);
	return rc;
}

int export_run(struct cli *cli, const struct export_kind *kind, void *user,
	       const char *where, struct export_found *found)
{
	struct export_session s = {
		.cli = cli,
		.kind = kind,
		.user = user,
		.open_fd = -1,
		.started_ns = clock_monotonic_ns(),
		.staged = json_array(),
		.failed = json_array(),
	};
	json_t *request = export_request(cli, kind->name, where);
	int rc;

	if (found->token[0] != '\0')
		json_object_set_new(request, "token",
				    json_string(found->token));
	json_object_set_new(request, "staged",
			    json_integer((json_int_t)found->staged));
	s.expected = export_expected(cli);
	rc = session_run(&s, request);
	found->over = rc == 0;
	if (rc == 0)
		rc = export_summary(cli, kind->name, s.done);
	message_close(&s, 0);
	json_decref(s.staged);
	json_decref(s.failed);
	json_decref(s.done);
	free(s.ids);
	free(s.batch);
	return rc;
}
