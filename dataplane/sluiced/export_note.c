/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_note.c - the tokens of exports, journaled as notes.
 *
 * Called by the export verb and by recovery. Roles: queue, spool. A session
 * leaves its token in the directory it writes to. A later run that finds it
 * there asks what became of the files beside it; only a daemon that knows the
 * token may answer, or files of another spool would be taken for leftovers.
 * Everything in state `exporting` belongs to the token with the highest
 * number: no other session begins while there is something.
 * Bound: one note per session that did not come to its end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sluice/log.h"
#include "sluiced/export.h"

struct export_note {
	struct export_note *next;
	char token[EXPORT_TOKEN_BYTES];
	uint32_t number;
	char *where;
};

void export_token_new(char token[EXPORT_TOKEN_BYTES])
{
	uint64_t n = 0;

	/* Not for secrecy: two spools must not make the same. */
	while (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		;
	snprintf(token, EXPORT_TOKEN_BYTES, "%016llx", (unsigned long long)n);
}

static struct export_note *note_find(const struct engine *en, const char *token)
{
	struct export_note *n = en->export_notes;

	while (n != NULL && strcmp(n->token, token) != 0)
		n = n->next;
	return n;
}

static const struct export_note *note_current(const struct engine *en)
{
	const struct export_note *best = en->export_notes;

	for (const struct export_note *n = best; n != NULL; n = n->next)
		if (n->number > best->number)
			best = n;
	return best;
}

bool export_token_known(const struct engine *en, const char *token)
{
	return note_find(en, token) != NULL;
}

const char *export_token_current(const struct engine *en)
{
	const struct export_note *n = note_current(en);

	return n != NULL ? n->token : "";
}

const char *export_current_where(const struct engine *en)
{
	const struct export_note *n = note_current(en);

	return n != NULL ? n->where : "";
}

static int note_set(struct engine *en, const char *token, uint32_t number,
		    const char *where)
{
	struct export_note *n = note_find(en, token);
	char *copy = strdup(where);

	if (copy == NULL)
		return -ENOMEM;
	if (n == NULL) {
		n = calloc(1, sizeof(*n));
		if (n == NULL) {
			free(copy);
			return -ENOMEM;
		}
		snprintf(n->token, sizeof(n->token), "%s", token);
		n->next = en->export_notes;
		en->export_notes = n;
	}
	free(n->where);
	n->where = copy;
	n->number = number;
	return 0;
}

int export_note_journal(struct engine *en, const char *token, const char *kind,
			const char *where, spool_done_fn *done, void *user)
{
	const struct export_note *last = note_current(en);
	uint32_t number = last != NULL ? last->number + 1 : 1;
	char key[64], both[4200], *text;
	json_t *j;
	int rc;

	snprintf(key, sizeof(key), "export/%s", token);
	snprintf(both, sizeof(both), "%s %s", kind, where);
	j = json_pack("{s:I,s:s}", "number", (json_int_t)number, "where", both);
	text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	if (text == NULL)
		return -ENOMEM;
	rc = note_set(en, token, number, both);
	if (rc == 0)
		rc = spool_note(en->spool, key,
				(struct text){text, (uint32_t)strlen(text)},
				done, user);
	free(text);
	return rc;
}

static void note_drop(struct engine *en, const char *token)
{
	struct export_note **at = &en->export_notes, *n;

	while (*at != NULL && strcmp((*at)->token, token) != 0)
		at = &(*at)->next;
	n = *at;
	if (n == NULL)
		return;
	*at = n->next;
	free(n->where);
	free(n);
}

/* Lazily, and no harm if it fails: an empty directory is known by being
 * empty. */
void export_note_forget(struct engine *en, const char *token)
{
	char key[64];

	snprintf(key, sizeof(key), "export/%s", token);
	if (spool_note(en->spool, key, (struct text){"", 0}, NULL, NULL) == 0)
		note_drop(en, token);
}

int export_from_note(struct engine *en, const char *key, struct text value)
{
	const char *token = key + strlen("export/");
	json_t *j = json_loadb(value.data, value.len, 0, NULL);
	const char *where = json_string_value(json_object_get(j, "where"));
	int rc = 0;

	if (value.len == 0)
		note_drop(en, token);
	else if (where == NULL || strlen(token) >= EXPORT_TOKEN_BYTES)
		log_error("export", "%s in the journal is unreadable", key);
	else
		rc = note_set(en, token,
			      (uint32_t)json_integer_value(
				      json_object_get(j, "number")),
			      where);
	json_decref(j);
	return rc;
}

bool export_open(const struct engine *en)
{
	struct queue_counts counts;

	if (en->exporting)
		return true;
	queue_counts(en->queue, &counts);
	return counts.exporting > 0;
}

void export_notes_destroy(struct engine *en)
{
	while (en->export_notes != NULL) {
		struct export_note *n = en->export_notes;

		en->export_notes = n->next;
		free(n->where);
		free(n);
	}
}
