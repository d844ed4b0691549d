/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs.c - the table of verbs, what their requests have in common, and the
 * two shortest of them.
 *
 * Role: command.
 */
#include <string.h>
#include <sysexits.h>

#include "sluice/selection.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"

#define DOUBTS_PER_PACKET 256

static const struct verb verbs[] = {
	{"status", verb_status, ""},
	{"providers", verb_providers, ""},
	{"sources", verb_sources, ""},
	{"list", verb_list, " selection limit "},
	{"count", verb_count, " selection "},
	{"show", verb_show, " id "},
	{"hold", verb_hold, " selection reason dry_run "},
	{"release", verb_release, " selection hold reason dry_run "},
	{"recovered", verb_recovered, ""},
	{"tail", verb_tail, ""},
	{"import", verb_import, " kind copy normalise "},
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

struct selection *request_selection(struct client *c, json_t *request)
{
	json_t *j = json_object_get(request, "selection");
	struct selection *s = NULL;
	struct err e = {""};

	if (j == NULL) {
		client_error(c, EX_USAGE,
			     "no selection: say which messages, or --all");
		return NULL;
	}
	if (selection_from_json(j, &s, &e) != 0) {
		client_error(c, EX_USAGE, "selection: %s", e.text);
		return NULL;
	}
	if (selection_is_empty(s)) {
		client_error(c, EX_USAGE,
			     "the selection is empty: say which messages, or "
			     "--all");
		selection_destroy(&s);
		return NULL;
	}
	return s;
}

const char *request_reason(struct client *c, json_t *request)
{
	const char *reason =
		json_string_value(json_object_get(request, "reason"));

	if (reason == NULL || *reason == '\0') {
		client_error(c, EX_USAGE, "a reason is needed: --reason TEXT");
		return NULL;
	}
	return reason;
}

void verb_tail(struct client *c, json_t *request)
{
	(void)request;
	client_tail(c);
}

void verb_recovered(struct client *c, json_t *request)
{
	const struct engine *en = client_engine(c);
	uint32_t count = queue_doubt_count(en->queue);
	json_t *list = json_array();
	char hex[17];

	(void)request;
	for (uint32_t i = 0; i < count; i++) {
		const struct queue_doubt *d = queue_doubt_at(en->queue, i);
		const char *source =
			d->source > 0 && d->source <= en->config->source_count
				? en->config->sources[d->source - 1].name
				: "";

		message_id_format(d->id, hex);
		json_array_append_new(
			list,
			json_pack("{s:s,s:i,s:I,s:s,s:s}", "id", hex, "rcpt",
				  (int)d->rcpt, "time", (json_int_t)d->when_s,
				  "source", source, "cause",
				  d->cause == 1 ? "crash" : "connection lost"));
		if (json_array_size(list) == DOUBTS_PER_PACKET) {
			client_send(c, json_pack("{s:o}", "doubts", list));
			list = json_array();
		}
	}
	client_send(c, json_pack("{s:o}", "doubts", list));
	client_done(c, json_pack("{s:i}", "count", (int)count));
}
