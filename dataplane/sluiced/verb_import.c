/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_import.c - import over the command socket.
 *
 * Role: command, spool. The client sends descriptors; the importer reads and
 * stores them; what has become durable is queued (held) and answered, all of
 * a turn in one packet. If the client goes, what is under way is finished and
 * queued all the same, and the task stays for it: a second run finds it known.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "intake/envelope_json.h"
#include "intake/import.h"
#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/audit.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"

#define ANSWERS_PER_PACKET 256

struct import_task {
	struct task task;
	struct engine *en;
	uint8_t kind;
	bool copy, normalise, ended, gone;
	uint32_t open; /* handed to the importer, not answered */
	uint32_t gathered;
	uint64_t taken, known, refused;
	uint64_t started_ns;
	json_t *taken_list, *known_list, *refused_list;
	json_t *line; /* of the audit, until it is written */
	struct envelope_build envelope;
};

static void lists_new(struct import_task *t)
{
	t->taken_list = json_array();
	t->known_list = json_array();
	t->refused_list = json_array();
	t->gathered = 0;
}

static void lists_send(struct import_task *t)
{
	if (t->gathered == 0)
		return;
	client_send(t->task.client,
		    json_pack("{s:o,s:o,s:o}", "taken", t->taken_list, "known",
			      t->known_list, "refused", t->refused_list));
	lists_new(t);
}

static void answer(struct import_task *t, json_t *list, json_t *item)
{
	json_array_append_new(list, item);
	t->gathered++;
	if (t->gathered >= ANSWERS_PER_PACKET)
		lists_send(t);
	client_wake(t->task.client);
}

static void refuse(struct import_task *t, json_int_t tag, const char *error)
{
	t->refused++;
	answer(t, t->refused_list,
	       json_pack("{s:I,s:o}", "tag", tag, "error", json_text(error)));
}

static void accept_id(struct import_task *t, json_t *list, uint64_t tag,
		      uint64_t id)
{
	char hex[17];

	message_id_format(id, hex);
	answer(t, list,
	       json_pack("{s:I,s:s}", "tag", (json_int_t)tag, "id", hex));
}

static void import_task_free(struct import_task *t)
{
	json_decref(t->line);
	json_decref(t->taken_list);
	json_decref(t->known_list);
	json_decref(t->refused_list);
	envelope_build_fini(&t->envelope);
	free(t);
}

bool import_known(void *user, uint64_t digest, uint64_t *id)
{
	struct engine *en = user;

	return queue_has_digest(en->queue, digest, id);
}

void import_done(void *user, const struct import_result *r)
{
	struct engine *en = user;
	struct import_task *t = r->owner;
	int rc;

	role_assert(&role_queue);
	if (r->verdict == IMPORT_TAKEN) {
		rc = queue_stored(en->queue, r->stored);
		if (rc != 0)
			log_error("import",
				  "a stored message cannot be queued: %s; a "
				  "restart finds it",
				  err_name(rc));
	}
	sluice_assert(t->open > 0);
	t->open--;
	if (t->gone) {
		if (t->open == 0)
			import_task_free(t);
		return;
	}
	if (r->verdict == IMPORT_TAKEN) {
		t->taken++;
		accept_id(t, t->taken_list, r->tag, r->id);
	} else if (r->verdict == IMPORT_KNOWN) {
		t->known++;
		accept_id(t, t->known_list, r->tag, r->id);
	} else {
		refuse(t, (json_int_t)r->tag, r->error);
	}
}

/* What came of it goes into the audit. */
static void import_record(struct import_task *t, const char *result,
			  void (*done)(void *user, int res))
{
	json_t *line = t->line;

	t->line = NULL;
	json_object_set_new(line, "taken", json_integer((json_int_t)t->taken));
	json_object_set_new(line, "known", json_integer((json_int_t)t->known));
	json_object_set_new(line, "refused",
			    json_integer((json_int_t)t->refused));
	json_object_set_new(line, "result", json_string(result));
	audit_write(t->en->audit, line, done, t);
}

static void import_recorded(void *user, int res)
{
	struct import_task *t = user;

	(void)res; /* audit.c says so; every file was answered */
	if (--t->open == 0 && t->gone)
		import_task_free(t);
	else if (!t->gone)
		client_wake(t->task.client);
}

static bool import_task_step(struct task *task)
{
	struct import_task *t = (struct import_task *)task;
	struct client *c = task->client;
	double seconds;

	lists_send(t);
	if (!t->ended || t->open > 0)
		return false;
	if (t->line != NULL) {
		t->open++;
		import_record(t, "done", import_recorded);
		return false;
	}
	seconds = (double)(clock_monotonic_ns() - t->started_ns) / 1e9;
	log_info("import",
		 "by %s: taken %llu, known %llu, refused %llu in %.1f s",
		 client_actor(c), (unsigned long long)t->taken,
		 (unsigned long long)t->known, (unsigned long long)t->refused,
		 seconds);
	client_done(c, json_pack("{s:I,s:I,s:I,s:f}", "taken",
				 (json_int_t)t->taken, "known",
				 (json_int_t)t->known, "refused",
				 (json_int_t)t->refused, "seconds", seconds));
	client_task_end(c);
	return false;
}

/* 0 = handed over, the descriptor is the importer's. */
static int file_submit(struct import_task *t, const json_t *j, int fd,
		       struct err *e)
{
	const char *name = json_string_value(json_object_get(j, "name"));
	const json_t *env = json_object_get(j, "envelope");
	struct import_file f = {
		.fd = fd,
		.name = name ? name : "",
		.tag = (uint64_t)json_integer_value(json_object_get(j, "tag")),
		.owner = t,
		.kind = t->kind,
		.copy = t->copy,
		.normalise = t->normalise,
	};
	int rc;

	if (t->kind == IMPORT_EML) {
		rc = env == NULL ? err_set(e, -EINVAL, "no \"envelope\"")
				 : envelope_from_json(env, clock_realtime_s(),
						      &t->envelope, e);
		if (rc != 0)
			return rc;
		f.env = &t->envelope.env;
	}
	rc = import_submit(t->en->import, &f);
	if (rc == -EAGAIN)
		err_set(e, rc, "more files than the window allows");
	else if (rc != 0)
		err_set(e, rc, "cannot be imported: %s", err_name(rc));
	return rc;
}

static void import_task_packet(struct task *task, json_t *packet,
			       const int *fds, uint32_t fd_count)
{
	struct import_task *t = (struct import_task *)task;
	json_t *files = json_object_get(packet, "files"), *j;
	struct err e;
	size_t i;

	if (json_is_true(json_object_get(packet, "end")))
		t->ended = true;
	json_array_foreach(files, i, j)
	{
		json_int_t tag = json_integer_value(json_object_get(j, "tag"));

		e.text[0] = '\0';
		if (i >= fd_count) {
			refuse(t, tag, "no descriptor came with it");
		} else if (t->en->stopping) {
			close(fds[i]);
			refuse(t, tag, "sluiced is stopping");
		} else if (file_submit(t, j, fds[i], &e) != 0) {
			close(fds[i]);
			refuse(t, tag, e.text);
		} else {
			t->open++;
		}
	}
	for (i = json_array_size(files); i < fd_count; i++)
		close(fds[i]);
	client_wake(task->client);
}

static void import_task_destroy(struct task *task)
{
	struct import_task *t = (struct import_task *)task;

	/* Not import_forget(): what is stored has to be queued all the same,
	 * else it is known to nobody before a restart. */
	t->en->importing = false;
	if (t->line != NULL)
		import_record(t, "the client went away", NULL);
	t->gone = true;
	if (t->open == 0)
		import_task_free(t);
}

static const char *import_not_now(const struct engine *en)
{
	if (en->stopping)
		return "sluiced is stopping";
	if (en->importing)
		return "another import is running: one at a time";
	if (export_open(en))
		return "an export is running, or was broken off and has to be "
		       "finished first (see `sluice list --state exporting`)";
	if (import_room(en->import) == 0)
		return "what a broken-off import sent is still being stored: "
		       "try again";
	return NULL;
}

static void import_line(struct import_task *t, json_t *request)
{
	static const char *const keys[] = {"kind", "copy", "reason"};

	t->line = audit_line(t->task.client, "import");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *j = json_object_get(request, keys[i]);

		if (t->line != NULL && j != NULL)
			json_object_set(t->line, keys[i], j);
	}
}

void verb_import(struct client *c, json_t *request)
{
	const char *kind = json_string_value(json_object_get(request, "kind"));
	const char *not_now;
	struct import_task *t;

	if (kind == NULL ||
	    (strcmp(kind, "postfix") != 0 && strcmp(kind, "eml") != 0)) {
		client_error(c, EX_USAGE, "import: kind is postfix or eml");
		return;
	}
	not_now = import_not_now(client_engine(c));
	if (not_now != NULL) {
		client_error(c, EX_TEMPFAIL, "%s", not_now);
		return;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	t->en = client_engine(c);
	t->task.client = c;
	t->task.step = import_task_step;
	t->task.packet = import_task_packet;
	t->task.destroy = import_task_destroy;
	t->kind = strcmp(kind, "eml") == 0 ? IMPORT_EML : IMPORT_POSTFIX;
	t->copy = json_is_true(json_object_get(request, "copy"));
	t->normalise = json_is_true(json_object_get(request, "normalise"));
	t->started_ns = clock_monotonic_ns();
	if (envelope_build_init(&t->envelope, ENVELOPE_TEXT_MAX) != 0) {
		free(t);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	import_line(t, request);
	t->en->importing = true;
	lists_new(t);
	client_send(c, json_pack("{s:b,s:i}", "ready", 1, "window",
				 (int)import_room(t->en->import)));
	client_task(c, &t->task);
}
