/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_replies.c - what receivers refused with, lately.
 *
 * Role: command. Bound: the table of replies.h.
 */
#include <string.h>
#include <sysexits.h>

#include "sluiced/client.h"
#include "sluiced/engine_priv.h"
#include "sluiced/replies.h"

#define REPLIES_PER_PACKET 32

void reply_add(const struct engine *en, json_t *j, uint32_t tag)
{
	const struct reply_entry *r = replies_get(en->replies, tag);

	if (r != NULL)
		json_object_set_new(j, "reply",
				    json_bytes(r->text, r->text_len));
}

static json_t *reply_json(const struct engine *en, const struct reply_entry *r)
	RUNS_ON(role_queue)
{
	char hex[17] = "";
	json_t *j;

	if (r->id != 0)
		message_id_format(r->id, hex);
	j = json_pack(
		"{s:s,s:s,s:s,s:I,s:I,s:I,s:s}", "schema", "sluice.reply.1",
		"provider", en->providers[r->provider].name, "class",
		class_name(r->reply_class) ? class_name(r->reply_class) : "",
		"count", (json_int_t)r->count, "first", (json_int_t)r->first_s,
		"last", (json_int_t)r->last_s, "id", hex);
	json_object_set_new(j, "text", json_bytes(r->text, r->text_len));
	if (r->source < en->config->source_count)
		json_object_set_new(
			j, "source",
			json_string(en->config->sources[r->source].name));
	return j;
}

/* A provider by name; UINT32_MAX for all; false after saying what is wrong. */
static bool provider_wanted(struct client *c, json_t *request, uint32_t *number)
	RUNS_ON(role_queue)
{
	const struct engine *en = client_engine(c);
	json_t *value = json_object_get(request, "provider");
	const char *name = json_string_value(value);

	*number = UINT32_MAX;
	if (value == NULL)
		return true;
	if (name != NULL)
		*number = provider_find(en, name);
	if (*number != UINT32_MAX)
		return true;
	client_error(c, EX_DATAERR,
		     "there is no provider '%s': `sluice providers` lists them",
		     name ? name : "");
	return false;
}

void verb_replies(struct client *c, json_t *request)
{
	struct engine *en = client_engine(c);
	json_int_t limit =
		json_integer_value(json_object_get(request, "limit"));
	json_t *list = json_array();
	const struct reply_entry *r;
	json_int_t count = 0;
	uint32_t provider;

	role_assert(&role_queue);
	if (!provider_wanted(c, request, &provider)) {
		json_decref(list);
		return;
	}
	for (uint32_t i = 0; (limit <= 0 || count < limit) &&
			     (r = replies_recent(en->replies, i)) != NULL;
	     i++) {
		if (provider != UINT32_MAX && r->provider != provider)
			continue;
		count++;
		json_array_append_new(list, reply_json(en, r));
		if (json_array_size(list) < REPLIES_PER_PACKET)
			continue;
		client_send(c, json_pack("{s:o}", "replies", list));
		list = json_array();
	}
	client_send(c, json_pack("{s:o}", "replies", list));
	client_done(c, json_pack("{s:I}", "count", count));
}
