/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_map.c - maps by tables of keys; errors with place and suggestion.
 *
 * Called by every section of the config. Recursion is bounded by the depth of
 * the tables. Errors: -EINVAL with the place; -ENOMEM.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config_priv.h"
#include "sluice/assert.h"
#include "sluice/nearest.h"

#define WORDS_MAX 40

__attribute__((format(printf, 4, 0))) static int
fail_at(struct config_reader *r, uint32_t line, uint32_t column,
	const char *fmt, va_list ap)
{
	char text[ERR_TEXT_BYTES];
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	return err_set(r->e, -EINVAL, "%s:%u:%u: %s", r->name, line, column,
		       text);
}

int config_fail(struct config_reader *r, const struct config_node *n,
		const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int res = fail_at(r, n->line, n->column, fmt, ap);
	va_end(ap);
	return res;
}

int config_fail_key(struct config_reader *r, const struct config_node *n,
		    const char *fmt, ...)
{
	sluice_assert(n->key != NULL);
	va_list ap;
	va_start(ap, fmt);
	int res = fail_at(r, n->key_line, n->key_column, fmt, ap);
	va_end(ap);
	return res;
}

int config_out_of_memory(struct config_reader *r)
{
	return err_set(r->e, -ENOMEM, "%s: out of memory", r->name);
}

bool config_node_empty(const struct config_node *n)
{
	if (n == NULL)
		return true;
	if (n->type != NODE_SCALAR)
		return n->count == 0;
	return n->plain && (n->text[0] == '\0' || strcmp(n->text, "~") == 0 ||
			    strcmp(n->text, "null") == 0);
}

int config_want(struct config_reader *r, const struct config_node *n,
		enum config_node_type type)
{
	static const char *const names[] = {
		[NODE_SCALAR] = "a single value",
		[NODE_LIST] = "a list",
		[NODE_MAP] = "a map of keys",
	};
	static const char *const forms[] = {
		[NODE_SCALAR] = "value",
		[NODE_LIST] = "[one, two]",
		[NODE_MAP] = "{name: value}",
	};
	if (n->type == type)
		return 0;
	if (n->key == NULL)
		return config_fail(r, n,
				   "this is %s and has to be %s; write "
				   "'%s'",
				   names[n->type], names[type], forms[type]);
	return config_fail(r, n, "'%s' is %s and has to be %s; write '%s: %s'",
			   n->key, names[n->type], names[type], n->key,
			   forms[type]);
}

const struct config_node *config_node_find(const struct config_node *map,
					   const char *key)
{
	if (map == NULL || map->type != NODE_MAP)
		return NULL;
	for (const struct config_node *n = map->first; n; n = n->next) {
		if (strcmp(n->key, key) == 0)
			return n;
	}
	return NULL;
}

static int unknown_key(struct config_reader *r, const struct config_node *n,
		       const struct config_key *keys, const char *what)
{
	const char *names[WORDS_MAX + 1];
	char known[300] = "";
	size_t count = 0, len = 0;
	for (; keys[count].name != NULL; count++) {
		sluice_assert(count < WORDS_MAX);
		names[count] = keys[count].name;
		int add = snprintf(known + len, sizeof(known) - len, "%s%s",
				   len > 0 ? ", " : "", names[count]);
		if (add > 0 && len + (size_t)add < sizeof(known))
			len += (size_t)add;
	}
	names[count] = NULL;
	const char *near = text_nearest(n->key, names);
	if (near != NULL)
		return config_fail_key(r, n,
				       "unknown key '%s' in %s; did you "
				       "mean '%s'?",
				       n->key, what, near);
	return config_fail_key(r, n, "unknown key '%s' in %s; known are: %s",
			       n->key, what, known);
}

static int check_keys(struct config_reader *r, const struct config_node *map,
		      const struct config_key *keys, const char *what)
{
	for (const struct config_node *n = map->first; n; n = n->next) {
		const struct config_key *k = keys;
		while (k->name != NULL && strcmp(k->name, n->key) != 0)
			k++;
		if (k->name == NULL)
			return unknown_key(r, n, keys, what);
	}
	return 0;
}

int config_read_map(struct config_reader *r, const struct config_node *n,
		    const struct config_key *keys, void *to, const char *what)
{
	if (config_node_empty(n))
		return 0;
	int res = config_want(r, n, NODE_MAP);
	if (res == 0)
		res = check_keys(r, n, keys, what);
	for (const struct config_key *k = keys; res == 0 && k->name; k++) {
		const struct config_node *value = config_node_find(n, k->name);
		if (value == NULL)
			continue;
		void *place = to != NULL ? (char *)to + k->offset : NULL;
		if (k->keys != NULL)
			res = config_read_map(r, value, k->keys, place,
					      k->name);
		else
			res = k->read(r, value, place);
	}
	return res;
}
