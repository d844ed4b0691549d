/* SPDX-License-Identifier: BSD-2-Clause
 *
 * selection_text.c - selections written out, and message ids.
 *
 * Called by logs, lists of holds and the journal's notes. Any thread.
 * selection_to_json() gives what selection_from_json() reads, or NULL when
 * memory is out. selection_format() cuts with "..." what does not fit.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "selection_priv.h"
#include "sluice/outcome.h"

#define STATE_BITS 32

static int json_add_list(json_t *j, const char *key,
			 const struct selection_list *l)
{
	if (l->count == 0)
		return 0;
	json_t *array = json_array();
	for (uint32_t i = 0; i < l->count; i++) {
		if (json_array_append_new(array, json_string(l->items[i])) !=
		    0) {
			json_decref(array);
			return -ENOMEM;
		}
	}
	return json_object_set_new(j, key, array) == 0 ? 0 : -ENOMEM;
}

static int json_add_ids(json_t *j, const struct selection *s)
{
	if (s->id_count == 0)
		return 0;
	json_t *array = json_array();
	for (uint32_t i = 0; i < s->id_count; i++) {
		char text[17];
		message_id_format(s->ids[i], text);
		if (json_array_append_new(array, json_string(text)) != 0) {
			json_decref(array);
			return -ENOMEM;
		}
	}
	return json_object_set_new(j, "id", array) == 0 ? 0 : -ENOMEM;
}

static int json_add_states(json_t *j, const struct selection *s)
{
	if (s->states == 0)
		return 0;
	json_t *array = json_array();
	for (uint8_t i = 0; i < STATE_BITS; i++) {
		if ((s->states & 1u << i) == 0 || rcpt_state_name(i) == NULL)
			continue;
		json_t *name = json_string(rcpt_state_name(i));
		if (json_array_append_new(array, name) != 0) {
			json_decref(array);
			return -ENOMEM;
		}
	}
	return json_object_set_new(j, "state", array) == 0 ? 0 : -ENOMEM;
}

static int json_add_number(json_t *j, const char *key, uint64_t value,
			   const char *unit)
{
	char text[32];
	if (value == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%" PRIu64 "%s", value, unit);
	return json_object_set_new(j, key, json_string(text)) == 0 ? 0
								   : -ENOMEM;
}

struct json_t *selection_to_json(const struct selection *s)
{
	json_t *j = json_object();
	int res = j == NULL ? -ENOMEM : 0;
	if (res == 0 && s->all)
		res = json_object_set_new(j, "all", json_true());
	for (const struct selection_term *t = selection_terms;
	     res == 0 && t->name != NULL; t++)
		res = json_add_list(j, t->name, selection_term_list(s, t));
	if (res == 0)
		res = json_add_ids(j, s);
	if (res == 0)
		res = json_add_states(j, s);
	if (res == 0)
		res = json_add_number(j, "older", s->older_s, "s");
	if (res == 0)
		res = json_add_number(j, "newer", s->newer_s, "s");
	if (res == 0)
		res = json_add_number(j, "larger", s->larger_bytes, "B");
	if (res == 0)
		res = json_add_number(j, "smaller", s->smaller_bytes, "B");
	if (res != 0) {
		json_decref(j);
		return NULL;
	}
	return j;
}

struct out {
	char *buf;
	size_t len, max; /* max leaves room for the 0 */
	bool cut;
};

__attribute__((format(printf, 2, 3))) static void out_add(struct out *o,
							  const char *fmt, ...)
{
	if (o->cut)
		return;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(o->buf + o->len, o->max - o->len + 1, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n > o->max - o->len) {
		o->cut = true;
		o->len = o->max;
		return;
	}
	o->len += (size_t)n;
}

/* "key=", with a blank between terms; then the first or a further value. */
static void out_value(struct out *o, const char *key, uint32_t i,
		      const char *value)
{
	if (i > 0)
		out_add(o, ",%s", value);
	else
		out_add(o, "%s%s=%s", o->len > 0 ? " " : "", key, value);
}

static void out_states(struct out *o, uint32_t states)
{
	uint32_t shown = 0;
	for (uint8_t i = 0; i < STATE_BITS; i++) {
		if ((states & 1u << i) != 0 && rcpt_state_name(i) != NULL)
			out_value(o, "state", shown++, rcpt_state_name(i));
	}
}

static void out_number(struct out *o, const char *key, uint64_t value,
		       const char *unit)
{
	if (value > 0)
		out_add(o, "%s%s=%" PRIu64 "%s", o->len > 0 ? " " : "", key,
			value, unit);
}

void selection_format(const struct selection *s, char *buf, uint32_t len)
{
	if (len == 0)
		return;
	struct out o = {.buf = buf, .max = len - 1};
	buf[0] = '\0';
	if (selection_is_empty(s))
		out_add(&o, "nothing");
	if (s->all)
		out_add(&o, "all");
	for (const struct selection_term *t = selection_terms; t->name; t++) {
		const struct selection_list *l = selection_term_list(s, t);
		for (uint32_t i = 0; i < l->count; i++)
			out_value(&o, t->name, i,
				  l->items[i][0] != '\0' ? l->items[i] : "<>");
	}
	for (uint32_t i = 0; i < s->id_count; i++) {
		char id[17];
		message_id_format(s->ids[i], id);
		out_value(&o, "id", i, id);
	}
	out_states(&o, s->states);
	out_number(&o, "older", s->older_s, "s");
	out_number(&o, "newer", s->newer_s, "s");
	out_number(&o, "larger", s->larger_bytes, "B");
	out_number(&o, "smaller", s->smaller_bytes, "B");
	if (o.cut && len > 4)
		memcpy(buf + len - 4, "...", 4);
}

void message_id_format(uint64_t id, char buf[17])
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 15; i >= 0; i--) {
		buf[i] = digits[id & 15];
		id >>= 4;
	}
	buf[16] = '\0';
}

int message_id_parse(const char *text, uint64_t *id)
{
	uint64_t v = 0;
	size_t len = strlen(text);
	if (len == 0 || len > 16)
		return -EINVAL;
	for (; *text != '\0'; text++) {
		char c = *text;
		uint64_t digit;
		if (c >= '0' && c <= '9')
			digit = (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (uint64_t)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			digit = (uint64_t)(c - 'A') + 10;
		else
			return -EINVAL;
		v = v << 4 | digit;
	}
	*id = v;
	return 0;
}
