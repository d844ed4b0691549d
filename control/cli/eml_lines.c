/* SPDX-License-Identifier: BSD-2-Clause
 *
 * eml_lines.c - an envelope as JSON.
 *
 * Called by export_eml.c. Bound: EML_LINE_BYTES of recipients per line.
 */
#include "eml_lines.h"

#include <stdlib.h>
#include <string.h>

static json_t *text_json(struct text t)
{
	return json_stringn(t.data != NULL ? t.data : "", t.len);
}

static json_t *notify_json(uint8_t notify)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} words[] = {{NOTIFY_NEVER, "never"},
		     {NOTIFY_SUCCESS, "success"},
		     {NOTIFY_FAILURE, "failure"},
		     {NOTIFY_DELAY, "delay"}};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (notify & words[i].bit)
			json_array_append_new(list, json_string(words[i].name));
	return list;
}

/* An address alone when nothing was asked for it. */
static json_t *rcpt_json(const struct envelope_rcpt *r)
{
	json_t *address = text_json(r->address), *j;

	if (address == NULL || (r->orcpt.len == 0 && r->notify == 0))
		return address;
	j = json_pack("{s:o}", "address", address);
	if (r->notify != 0)
		json_object_set_new(j, "notify", notify_json(r->notify));
	if (r->orcpt.len > 0 &&
	    json_object_set_new(j, "orcpt", text_json(r->orcpt)) != 0) {
		json_decref(j);
		return NULL;
	}
	return j;
}

/* False: it is no UTF-8. */
static bool text_add(json_t *j, const char *key, struct text t)
{
	return t.len == 0 || json_object_set_new(j, key, text_json(t)) == 0;
}

static json_t *head_json(const struct envelope *env, const char *file)
{
	json_t *j = json_pack("{s:s,s:o?,s:I}", "file", file, "sender",
			      text_json(env->sender), "arrival",
			      (json_int_t)env->arrival_s);

	if (json_object_get(j, "sender") == NULL ||
	    json_is_null(json_object_get(j, "sender")) ||
	    !text_add(j, "envid", env->envid) ||
	    !text_add(j, "origin", env->origin) ||
	    !text_add(j, "client", env->client) ||
	    !text_add(j, "account", env->account)) {
		json_decref(j);
		return NULL;
	}
	if (env->body != BODY_UNKNOWN)
		json_object_set_new(j, "body",
				    json_string(env->body == BODY_7BIT
							? "7bit"
							: "8bitmime"));
	if (env->ret != RET_UNKNOWN)
		json_object_set_new(
			j, "ret",
			json_string(env->ret == RET_FULL ? "full" : "hdrs"));
	if (env->smtputf8)
		json_object_set_new(j, "smtputf8", json_true());
	return j;
}

/* Recipients from *at on, as many as fit. False: one is no UTF-8. */
static bool rcpts_fill(json_t *list, const struct export_message *m,
		       uint32_t *at)
{
	size_t bytes = 0;

	while (*at < m->rcpt_count && bytes < EML_LINE_BYTES) {
		json_t *j = rcpt_json(&m->rcpts[*at]);

		if (j == NULL)
			return false;
		bytes +=
			json_dumpb(j, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) +
			1;
		json_array_append_new(list, j);
		(*at)++;
	}
	return true;
}

static bool line_add(json_t *lines, const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	size_t len = text != NULL ? strlen(text) : 0;
	int rc = -1;

	if (text != NULL) {
		text[len] = '\n'; /* where the 0 was: a length goes along */
		rc = json_array_append_new(lines, json_stringn(text, len + 1));
	}
	free(text);
	return rc == 0;
}

json_t *eml_lines(const struct export_message *m, const char *file)
{
	json_t *lines = json_array();
	json_t *head = head_json(&m->env, file);
	bool good = head != NULL;

	for (uint32_t at = 0; good && at < m->rcpt_count;) {
		json_t *list = json_array();

		good = rcpts_fill(list, m, &at);
		json_object_set_new(head, "recipients", list);
		good = good && line_add(lines, head);
	}
	json_decref(head);
	if (!good) {
		json_decref(lines);
		return NULL;
	}
	return lines;
}
