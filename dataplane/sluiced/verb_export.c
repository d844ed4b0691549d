/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_export.c - `export`: whether a session may begin, and its tables.
 *
 * Role: command, queue. What is refused is refused before anything is
 * journaled or handed out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/clock.h"
#include "sluiced/audit.h"
#include "sluiced/export.h"

static const char *request_text(json_t *request, const char *key)
{
	const char *s = json_string_value(json_object_get(request, key));

	return s != NULL ? s : "";
}

static bool kind_known(const char *kind)
{
	return strcmp(kind, "postfix") == 0 || strcmp(kind, "eml") == 0 ||
	       strcmp(kind, "smtp") == 0;
}

/* Answers why not; true if it may begin. */
static bool export_may(struct client *c, const struct export_task *t)
{
	const struct engine *en = t->en;
	struct queue_counts counts;

	if (en->stopping) {
		client_error(c, EX_TEMPFAIL, "export: sluiced is stopping");
	} else if (en->exporting || en->importing) {
		client_error(c, EX_TEMPFAIL,
			     "export: another export or an import is running: "
			     "one at a time");
	} else if (t->token[0] != '\0' && !export_token_known(en, t->token)) {
		client_error(c, EX_DATAERR,
			     "export: %s holds what an export of another spool "
			     "left behind (session %s): finish it with that "
			     "one's config first",
			     t->where, t->token);
	} else {
		queue_counts(en->queue, &counts);
		if (t->smtp || t->abandon || counts.exporting == 0 ||
		    strcmp(t->token, export_token_current(en)) == 0)
			return true;
		client_error(c, EX_TEMPFAIL,
			     "export: one to %s was broken off, %llu "
			     "recipients are handed over there: finish it "
			     "first with `sluice export %s --finish`, or, if "
			     "that place is lost for good, take them back with "
			     "`sluice export abandon`",
			     export_current_where(en),
			     (unsigned long long)counts.exporting,
			     export_current_where(en));
	}
	return false;
}

static bool task_tables(struct export_task *t)
{
	t->window = t->smtp ? EXPORT_WINDOW_SMTP : EXPORT_WINDOW;
	t->entries = calloc(t->window, sizeof(*t->entries));
	t->free_tags = calloc(t->window, sizeof(*t->free_tags));
	t->work = calloc(t->window, sizeof(*t->work));
	if (t->entries == NULL || t->free_tags == NULL || t->work == NULL ||
	    t->kind == NULL || t->where == NULL || t->reason == NULL)
		return false;
	for (uint32_t i = 0; i < t->window; i++) {
		t->entries[i].task = t;
		t->free_tags[t->free_count++] = t->window - 1 - i;
	}
	return true;
}

static struct export_task *task_new(struct client *c, json_t *request)
{
	struct export_task *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->en = client_engine(c);
	t->task.step = export_step;
	t->task.packet = export_packet;
	t->task.destroy = export_destroy;
	t->kind = strdup(request_text(request, "kind"));
	t->where = strdup(request_text(request, "where"));
	t->reason = strdup(request_text(request, "reason"));
	t->smtp = strcmp(request_text(request, "kind"), "smtp") == 0;
	t->dry_run = json_is_true(json_object_get(request, "dry_run"));
	t->finish = json_is_true(json_object_get(request, "finish"));
	t->abandon = json_is_true(json_object_get(request, "abandon"));
	snprintf(t->token, sizeof(t->token), "%s",
		 request_text(request, "token"));
	/* An empty directory needs nobody who knows its token. */
	if (!export_token_known(t->en, t->token) &&
	    json_integer_value(json_object_get(request, "staged")) == 0)
		t->token[0] = '\0';
	t->started_ns = clock_monotonic_ns();
	if (!task_tables(t)) {
		export_task_free(t);
		return NULL;
	}
	return t;
}

/* For the audit: what was asked. */
static void export_line(struct client *c, struct export_task *t,
			json_t *request)
{
	static const char *const keys[] = {"kind",   "where",  "selection",
					   "reason", "finish", "abandon"};

	t->line = audit_line(c, "export");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *j = json_object_get(request, keys[i]);

		if (t->line != NULL && j != NULL)
			json_object_set(t->line, keys[i], j);
	}
}

static void export_start(struct client *c, struct export_task *t,
			 json_t *request)
{
	if (!export_may(c, t)) {
		export_task_free(t);
		return;
	}
	if (t->token[0] == '\0')
		export_token_new(t->token);
	t->phase = t->smtp || t->dry_run || t->abandon ? EXPORT_OPENING
						       : EXPORT_NOTING;
	t->session = !t->dry_run;
	if (t->session) {
		t->en->exporting = true;
		export_line(c, t, request);
	}
	client_task(c, &t->task);
}

void verb_export(struct client *c, json_t *request)
{
	const char *kind = request_text(request, "kind");
	bool finish = json_is_true(json_object_get(request, "finish"));
	bool abandon = json_is_true(json_object_get(request, "abandon"));
	struct selection *s = NULL;
	struct export_task *t;

	if (!abandon && !kind_known(kind)) {
		client_error(c, EX_USAGE,
			     "export: kind is postfix, eml or smtp");
		return;
	}
	if (!finish && request_reason(c, request) == NULL)
		return;
	if (!finish && !abandon) {
		s = request_selection(c, request);
		if (s == NULL)
			return;
	}
	t = task_new(c, request);
	if (t == NULL) {
		selection_destroy(&s);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	t->selection = s;
	export_start(c, t, request);
}
