/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_session.c - hands a selection back: the session.
 *
 * Role: command, queue, spool. The client writes the files, or speaks SMTP;
 * here is decided what it gets, and what is durable when. One session at a
 * time, and none beside an import. First what an earlier run left is settled,
 * then the selection is walked; mail goes on in between.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/audit.h"
#include "sluiced/export.h"

#define BACKLOG_MAX 64

void export_entry_free(struct export_entry *e)
{
	struct export_task *t = e->task;

	free(e->rcpts);
	e->rcpts = NULL;
	e->stage = EXPORT_FREE;
	t->free_tags[t->free_count++] = (uint32_t)(e - t->entries);
}

void export_task_free(struct export_task *t)
{
	for (uint32_t i = 0; t->entries != NULL && i < t->window; i++)
		if (t->entries[i].stage != EXPORT_FREE)
			free(t->entries[i].rcpts);
	if (t->session)
		t->en->exporting = false;
	walker_destroy(&t->walker);
	selection_destroy(&t->selection);
	json_decref(t->handed);
	json_decref(t->line);
	json_decref(t->packet.messages);
	free(t->kind);
	free(t->where);
	free(t->reason);
	free(t->entries);
	free(t->free_tags);
	free(t->work);
	free(t);
}

/* What came of it goes into the audit. */
static void export_record(struct export_task *t, const char *result,
			  void (*done)(void *user, int res))
{
	json_t *line = t->line;

	t->line = NULL;
	json_object_set_new(line, "messages",
			    json_integer((json_int_t)t->messages));
	json_object_set_new(line, "recipients",
			    json_integer((json_int_t)t->recipients));
	json_object_set_new(line, "result", json_text(result));
	audit_write(t->en->audit, line, done, t);
}

void export_destroy(struct task *task)
{
	struct export_task *t = (struct export_task *)task;

	role_assert(&role_queue);
	role_assert(&role_spool);
	walker_destroy(&t->walker);
	t->gone = true;
	export_forsake(t);
	if (t->line != NULL)
		export_record(t, "the client went away", NULL);
	if (t->commits == 0)
		export_task_free(t);
}

static void on_waited(struct export_task *t)
{
	t->commits--;
	if (!t->gone)
		client_wake(t->task.client);
	else if (t->commits == 0)
		export_task_free(t);
}

static void on_noted(void *user, int res)
{
	struct export_task *t = user;

	if (res != 0)
		t->res = res;
	on_waited(t);
}

static void on_recorded(void *user, int res)
{
	(void)res; /* audit.c says so; the act stands */
	on_waited(user);
}

static bool export_end(struct export_task *t, int status, const char *why)
{
	struct client *c = t->task.client;

	if (t->line != NULL)
		export_record(t, why, NULL);
	client_error(c, status,
		     "export: %s; run it again: it goes on where it "
		     "was",
		     why);
	client_task_end(c);
	return false;
}

/* Takes the selection. */
static void walk_begin(struct export_task *t, uint8_t phase,
		       struct selection *s)
{
	walker_destroy(&t->walker);
	t->phase = phase;
	t->walker = s != NULL ? walker_create(t->en, s, !t->dry_run,
					      &export_walker_ops, t)
			      : NULL;
	if (t->walker == NULL) {
		selection_destroy(&s);
		t->res = -ENOMEM;
	}
}

static void walk_unfinished(struct export_task *t)
{
	json_t *j =
		json_pack("{s:[s]}", "state", rcpt_state_name(RCPT_EXPORTING));
	struct selection *s = NULL;

	selection_from_json(j, &s, NULL);
	json_decref(j);
	walk_begin(t, EXPORT_UNFINISHED, s);
}

static void walk_selected(struct export_task *t)
{
	struct selection *s = t->selection;

	t->selection = NULL;
	walk_begin(t, EXPORT_SELECTED, s);
}

static void phase_next(struct export_task *t)
{
	bool told = t->phase == EXPORT_UNFINISHED && !t->abandon;

	if (told)
		client_send(t->task.client,
			    json_pack("{s:b}", "unfinished_end", 1));
	if (t->phase == EXPORT_UNFINISHED && !t->finish && !t->abandon) {
		walk_selected(t);
		return;
	}
	t->phase = EXPORT_ENDING;
	if (!t->dry_run && !t->abandon)
		client_send(t->task.client, json_pack("{s:b}", "flush", 1));
}

static void news_send(struct export_task *t)
{
	struct client *c = t->task.client;

	if (t->handed != NULL)
		client_send(c, json_pack("{s:o}", "handed", t->handed));
	t->handed = NULL;
	if (t->messages > t->announced && !t->dry_run)
		client_send(c, json_pack("{s:I}", "exported",
					 (json_int_t)t->messages));
	t->announced = t->messages;
}

static void log_end(struct export_task *t, double seconds)
{
	log_info(
		"export",
		"%s %s by %s: %llu recipients of %llu messages, %llu of an "
		"earlier run, %llu refused, %llu in doubt, in %.1f s: %s",
		t->abandon ? "abandoned" : t->kind, t->where,
		client_actor(t->task.client), (unsigned long long)t->recipients,
		(unsigned long long)t->messages,
		(unsigned long long)t->unfinished,
		(unsigned long long)t->refused, (unsigned long long)t->in_doubt,
		seconds, t->reason ? t->reason : "");
}

static bool export_done(struct export_task *t) RUNS_ON(role_spool)
{
	struct client *c = t->task.client;
	double seconds = (double)(clock_monotonic_ns() - t->started_ns) / 1e9;

	if (t->work_count > 0 || t->commits > 0 || t->free_count < t->window)
		return false;
	if (t->line != NULL) {
		t->commits++;
		export_record(t, "done", on_recorded);
		return false;
	}
	if (!t->dry_run)
		log_end(t, seconds);
	if (!t->smtp && !t->dry_run && !t->abandon)
		export_note_forget(t->en, t->token);
	client_done(c, json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f}",
				 "messages", (json_int_t)t->messages,
				 "recipients", (json_int_t)t->recipients,
				 "in_flight", (json_int_t)t->in_flight,
				 "copies", (json_int_t)t->copies, "unreadable",
				 (json_int_t)t->unreadable, "refused",
				 (json_int_t)t->refused, "in_doubt",
				 (json_int_t)t->in_doubt, "unfinished",
				 (json_int_t)t->unfinished, "gave_up",
				 (json_int_t)t->gave_up, "seconds", seconds));
	client_task_end(c);
	return false;
}

/* True: there is more to do at once. */
static bool walk_step(struct export_task *t)
{
	struct client *c = t->task.client;

	if (t->stop) {
		walker_destroy(&t->walker);
		t->phase = EXPORT_ENDING;
		return true;
	}
	if (client_backlog(c) > BACKLOG_MAX)
		return false; /* on_sent() wakes us */
	if (t->free_count < EXPORT_SLICE) {
		if (!t->flushed && !t->abandon)
			client_send(c, json_pack("{s:b}", "flush", 1));
		t->flushed = true;
		return false;
	}
	t->flushed = false;
	if (walker_step(t->walker))
		return true;
	if (!walker_over(t->walker))
		return false;
	/* The client will remove what tells it how far the earlier run was:
	 * not before nobody needs that any more. */
	if (t->phase == EXPORT_UNFINISHED && t->free_count < t->window)
		return false;
	if (walker_failed(t->walker))
		t->res = -ENOMEM;
	t->gave_up += walker_gave_up(t->walker);
	phase_next(t);
	return true;
}

static bool opened(struct export_task *t)
{
	if (t->commits > 0)
		return false;
	client_send(t->task.client,
		    json_pack("{s:b,s:i,s:s}", "ready", 1, "window",
			      (int)t->window, "token", t->token));
	if (t->smtp || t->dry_run)
		walk_selected(t);
	else
		walk_unfinished(t);
	return true;
}

/* False: the journal has no room now. */
static bool note_begin(struct export_task *t) RUNS_ON(role_spool)
{
	int rc;

	t->commits++;
	rc = export_note_journal(t->en, t->token, t->kind, t->where, on_noted,
				 t);
	if (rc != 0)
		t->commits--;
	if (rc == -EAGAIN)
		return false;
	t->res = rc;
	t->phase = EXPORT_OPENING;
	return true;
}

bool export_step(struct task *task)
{
	struct export_task *t = (struct export_task *)task;

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (t->en->stopping)
		return export_end(t, EX_TEMPFAIL, "sluiced is stopping");
	if (t->failed)
		return export_end(t, EX_PROTOCOL,
				  "the client said what does not fit");
	if (t->res != 0)
		return export_end(t, EX_IOERR, err_name(t->res));
	if (t->phase == EXPORT_NOTING)
		return !note_begin(t) || t->res != 0;
	if (!export_journal(t))
		return true;
	news_send(t);
	if (t->phase == EXPORT_OPENING)
		return opened(t);
	if (t->phase == EXPORT_ENDING)
		return export_done(t);
	return walk_step(t);
}

void export_packet(struct task *task, json_t *packet, const int *fds,
		   uint32_t fd_count)
{
	struct export_task *t = (struct export_task *)task;

	role_assert(&role_queue);
	role_assert(&role_spool);
	for (uint32_t i = 0; i < fd_count; i++)
		close(fds[i]);
	export_answer(t, packet);
	client_wake(task->client);
}
