/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs.c - the table of verbs, what their requests have in common, and the
 * two shortest of them.
 *
 * Role: command.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/selection.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"
#include "sluiced/record_match.h"

#define DOUBTS_PER_PACKET 256
#define LIST_BYTES_MAX    32768u

static const struct verb verbs[] = {
	{"status", verb_status, ""},
	{"providers", verb_providers, ""},
	{"sources", verb_sources, ""},
	{"list", verb_list, " selection limit "},
	{"count", verb_count, " selection "},
	{"show", verb_show, " id "},
	{"hold", verb_hold, " selection reason dry_run "},
	{"release", verb_release, " selection hold reason dry_run "},
	{"purge", verb_purge, " selection reason dry_run limit "},
	{"requeue", verb_requeue, " selection reason dry_run limit "},
	{"reroute", verb_reroute,
	 " selection route pool source back reason dry_run limit "},
	{"decide", verb_decide,
	 " selection action route pool source back reason dry_run limit "},
	{"replies", verb_replies, " provider limit "},
	{"shape", verb_shape, " selection senders limit "},
	{"audit", verb_audit, ""},
	{"trace", verb_trace, " id "},
	{"reload", verb_reload, ""},
	{"recovered", verb_recovered, ""},
	{"tail", verb_tail, ""},
	{"import", verb_import, " kind copy normalise reason "},
	{"export", verb_export,
	 " kind where token staged selection reason finish abandon dry_run "},
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
	struct record_match *match = NULL;
	struct selection *s = NULL;
	struct err e = {""};

	if (j == NULL) {
		client_error(c, EX_USAGE,
			     "no selection: say which messages, or --all");
		return NULL;
	}
	if (selection_from_json(j, &s, &e) != 0) {
		client_error(c, EX_USAGE, "%s", e.text);
		return NULL;
	}
	if (record_match_create(s, &match, &e) != 0) {
		client_error(c, EX_USAGE, "%s", e.text);
		selection_destroy(&s);
		return NULL;
	}
	record_match_destroy(&match);
	if (selection_is_empty(s)) {
		client_error(c, EX_USAGE,
			     "the selection is empty: say which messages, or "
			     "--all");
		selection_destroy(&s);
		return NULL;
	}
	return s;
}

struct selection *request_selection_or_all(struct client *c, json_t *request)
{
	if (json_object_get(request, "selection") == NULL)
		json_object_set_new(request, "selection",
				    json_pack("{s:b}", "all", 1));
	return request_selection(c, request);
}

json_t *json_bytes(const char *data, size_t len)
{
	json_t *j = json_stringn(data, len);
	char *copy;
	size_t n = 0;

	if (j != NULL)
		return j;
	copy = malloc(len * 2 + 1);
	if (copy == NULL)
		return json_null();
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c < 0x80) {
			copy[n++] = (char)c;
		} else {
			copy[n++] = (char)(0xc0 | (c >> 6));
			copy[n++] = (char)(0x80 | (c & 0x3f));
		}
	}
	j = json_stringn(copy, n);
	free(copy);
	return j ? j : json_null();
}

json_t *json_text(const char *s)
{
	return json_bytes(s, strlen(s));
}

bool json_list_add(json_t *list, json_t *item, size_t *bytes)
{
	if (*bytes >= LIST_BYTES_MAX) {
		json_decref(item);
		return false;
	}
	*bytes += json_dumpb(item, NULL, 0, JSON_COMPACT);
	json_array_append_new(list, item);
	return true;
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
