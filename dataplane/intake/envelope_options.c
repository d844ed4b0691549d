/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope_options.c - what an envelope in JSON asks for beside addresses.
 *
 * Called by envelope_json.c; any thread. ENVID and ORCPT stand as on the wire
 * (xtext). Bound: VALUE_BYTES_MAX per value. Errors: -EINVAL with a sentence.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "intake/envelope_json_priv.h"

#define VALUE_BYTES_MAX 8192u

struct word {
	const char *name;
	uint8_t value;
};

/* 0 when it is none of them. */
static uint8_t word_value(const json_t *v, const struct word *words)
{
	const char *s = json_string_value(v);

	for (; s && words->name; words++)
		if (strcmp(words->name, s) == 0)
			return words->value;
	return 0;
}

/* Printable, without blanks: it goes into an SMTP command. */
static bool is_value(const json_t *v)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);

	if (!s || !len || len > VALUE_BYTES_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] <= 32 || s[i] == 127)
			return false;
	return true;
}

static int notify_fill(const json_t *list, size_t number, uint8_t *notify,
		       struct err *e)
{
	static const struct word words[] = {{"never", NOTIFY_NEVER},
					    {"success", NOTIFY_SUCCESS},
					    {"failure", NOTIFY_FAILURE},
					    {"delay", NOTIFY_DELAY},
					    {NULL, 0}};
	size_t i;
	json_t *v;
	bool good = json_is_array(list) && json_array_size(list) > 0;

	*notify = 0;
	json_array_foreach(list, i, v)
	{
		uint8_t bit = word_value(v, words);

		good = good && bit;
		*notify |= bit;
	}
	if (good && (*notify == NOTIFY_NEVER || !(*notify & NOTIFY_NEVER)))
		return 0;
	return err_set(
		e, -EINVAL,
		"envelope: recipient %zu: \"notify\" must be [\"never\"] "
		"or a list of \"success\", \"failure\", \"delay\"",
		number);
}

int envelope_rcpt_dsn(const json_t *v, size_t number, struct envelope_build *b,
		      struct envelope_rcpt *r, struct err *e)
{
	const json_t *orcpt = json_object_get(v, "orcpt");
	const json_t *notify = json_object_get(v, "notify");
	const char *s = json_string_value(orcpt);
	int rc = 0;

	if (notify)
		rc = notify_fill(notify, number, &r->notify, e);
	if (rc || !orcpt)
		return rc;
	if (!is_value(orcpt) || !strchr(s, ';') || s[0] == ';')
		return err_set(e, -EINVAL,
			       "envelope: recipient %zu: \"orcpt\" must be "
			       "\"type;address\" as in RCPT TO",
			       number);
	return envelope_build_text(b, s, json_string_length(orcpt), &r->orcpt);
}

static int value_fill(const json_t *object, const char *key,
		      struct envelope_build *b, struct text *out, struct err *e)
{
	const json_t *v = json_object_get(object, key);

	if (!v)
		return 0;
	if (!is_value(v))
		return err_set(e, -EINVAL,
			       "envelope: \"%s\" must be text without blanks "
			       "and control characters",
			       key);
	return envelope_build_text(b, json_string_value(v),
				   json_string_length(v), out);
}

static int word_fill(const json_t *object, const char *key,
		     const struct word *words, uint8_t *out, struct err *e)
{
	const json_t *v = json_object_get(object, key);

	if (!v)
		return 0;
	*out = word_value(v, words);
	return *out ? 0
		    : err_set(e, -EINVAL,
			      "envelope: \"%s\" must be \"%s\" or \"%s\"", key,
			      words[0].name, words[1].name);
}

int envelope_options(const json_t *object, struct envelope_build *b,
		     struct err *e)
{
	static const struct word rets[] = {
		{"full", RET_FULL}, {"hdrs", RET_HDRS}, {NULL, 0}};
	static const struct word bodies[] = {
		{"7bit", BODY_7BIT}, {"8bitmime", BODY_8BITMIME}, {NULL, 0}};
	const json_t *utf8 = json_object_get(object, "smtputf8");
	struct envelope *env = &b->env;
	int rc = value_fill(object, "envid", b, &env->envid, e);

	if (!rc)
		rc = value_fill(object, "origin", b, &env->origin, e);
	if (!rc)
		rc = word_fill(object, "ret", rets, &env->ret, e);
	if (!rc)
		rc = word_fill(object, "body", bodies, &env->body, e);
	if (!rc && utf8 && !json_is_boolean(utf8))
		rc = err_set(e, -EINVAL,
			     "envelope: \"smtputf8\" must be true or false");
	if (!rc && json_is_true(utf8))
		env->smtputf8 = 1;
	return rc;
}
