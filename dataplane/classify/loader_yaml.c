/* SPDX-License-Identifier: BSD-2-Clause
 *
 * loader_yaml.c - YAML nodes into checked values, with positions in errors.
 *
 * Called by the loader of rules only. What stands in the file was written by
 * an operator: everything is refused with its place, nothing is asserted.
 * Bound: the document.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "classify/loader.h"

#define NEAR_WORD_BYTES 40

/* Where a node begins; a collection begins with its first scalar. */
static const struct fy_mark *node_mark(struct fy_node *node, int depth)
{
	struct fy_node_pair *pair;
	void *iter = NULL;

	if (node == NULL || depth > 4)
		return NULL;
	if (fy_node_is_scalar(node)) {
		struct fy_token *token = fy_node_get_scalar_token(node);

		return token != NULL ? fy_token_start_mark(token) : NULL;
	}
	if (fy_node_is_sequence(node))
		return node_mark(fy_node_sequence_iterate(node, &iter),
				 depth + 1);
	pair = fy_node_mapping_iterate(node, &iter);
	return pair != NULL ? node_mark(fy_node_pair_key(pair), depth + 1)
			    : NULL;
}

int loader_fail(struct loader *ld, struct fy_node *at, const char *fmt, ...)
{
	const struct fy_mark *mark = node_mark(at, 0);
	char text[ERR_TEXT_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (mark == NULL)
		return err_set(ld->e, -EINVAL, "%s: %s", ld->name, text);
	return err_set(ld->e, -EINVAL, "%s:%d:%d: %s", ld->name, mark->line + 1,
		       mark->column + 1, text);
}

int loader_no_memory(struct loader *ld)
{
	return err_set(ld->e, -ENOMEM, "%s: no memory for the rules", ld->name);
}

/* Edits that make one word of the other, insertion, deletion, replacement. */
static size_t word_distance(const char *a, const char *b)
{
	size_t row[NEAR_WORD_BYTES + 1], i, k, diagonal, above;
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > NEAR_WORD_BYTES || b_len > NEAR_WORD_BYTES)
		return SIZE_MAX;
	for (k = 0; k <= b_len; k++)
		row[k] = k;
	for (i = 1; i <= a_len; i++) {
		diagonal = row[0];
		row[0] = i;
		for (k = 1; k <= b_len; k++) {
			above = row[k];
			row[k] = diagonal + (tolower((unsigned char)a[i - 1]) !=
					     tolower((unsigned char)b[k - 1]));
			if (above + 1 < row[k])
				row[k] = above + 1;
			if (row[k - 1] + 1 < row[k])
				row[k] = row[k - 1] + 1;
			diagonal = above;
		}
	}
	return row[b_len];
}

const char *loader_nearest(const char *word, const char *const *names,
			   size_t count)
{
	size_t i, distance, least = strlen(word) / 3 + 2;
	const char *best = "";

	for (i = 0; i < count; i++) {
		if (names[i] == NULL)
			continue;
		distance = word_distance(word, names[i]);
		if (distance < least) {
			least = distance;
			best = names[i];
		}
	}
	return best;
}

static int key_unknown(struct loader *ld, struct fy_node *key, const char *word,
		       const struct loader_field *fields, size_t count)
{
	const char *names[32] = {NULL}, *nearest;
	size_t i;

	for (i = 0; i < count && i < 32; i++)
		names[i] = fields[i].name;
	nearest = loader_nearest(word, names, i);
	if (*nearest == '\0')
		return loader_fail(ld, key, "unknown key '%.60s'", word);
	return loader_fail(ld, key, "unknown key '%.60s': did you mean '%s'?",
			   word, nearest);
}

static int mapping_pair(struct loader *ld, struct fy_node_pair *pair,
			const struct loader_field *fields, size_t count,
			void *target)
{
	struct fy_node *key = fy_node_pair_key(pair);
	struct fy_node *value = fy_node_pair_value(pair);
	const char *word;
	size_t i;
	int rc;

	rc = loader_string(ld, key, &word);
	for (i = 0; rc == 0 && i < count; i++) {
		if (strcmp(fields[i].name, word) != 0)
			continue;
		if (value == NULL)
			return loader_fail(ld, key, "'%s' has no value", word);
		return fields[i].read(ld, target, value);
	}
	return rc != 0 ? rc : key_unknown(ld, key, word, fields, count);
}

int loader_mapping(struct loader *ld, struct fy_node *map,
		   const struct loader_field *fields, size_t count,
		   void *target)
{
	struct fy_node_pair *pair;
	void *iter = NULL;
	int rc = 0;

	if (!fy_node_is_mapping(map))
		return loader_fail(ld, map, "expected 'key: value' lines");
	while (rc == 0 && (pair = fy_node_mapping_iterate(map, &iter)) != NULL)
		rc = mapping_pair(ld, pair, fields, count, target);
	return rc;
}

int loader_string(struct loader *ld, struct fy_node *value, const char **out)
{
	const char *text;
	size_t len;

	if (value == NULL || !fy_node_is_scalar(value) ||
	    fy_node_is_alias(value))
		return loader_fail(ld, value, "expected a plain value");
	text = fy_node_get_scalar(value, &len);
	if (text == NULL || len == 0)
		return loader_fail(ld, value, "empty value");
	if (memchr(text, '\0', len) != NULL)
		return loader_fail(ld, value, "a NUL character in a value");
	*out = arena_copy(ld->arena, text, len);
	return *out != NULL ? 0 : loader_no_memory(ld);
}

uint32_t loader_count(struct fy_node *value)
{
	int count;

	if (!fy_node_is_sequence(value))
		return 1;
	count = fy_node_sequence_item_count(value);
	return count > 0 ? (uint32_t)count : 0;
}

int loader_each(struct loader *ld, void *target, struct fy_node *value,
		int (*read)(struct loader *ld, void *target,
			    struct fy_node *item))
{
	struct fy_node *item;
	void *iter = NULL;
	int rc = 0;

	if (!fy_node_is_sequence(value))
		return read(ld, target, value);
	while (rc == 0 &&
	       (item = fy_node_sequence_iterate(value, &iter)) != NULL)
		rc = read(ld, target, item);
	return rc;
}

int loader_bool(struct loader *ld, struct fy_node *value, bool *out)
{
	const char *text;
	int rc = loader_string(ld, value, &text);

	if (rc != 0)
		return rc;
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return loader_fail(ld, value, "expected true or false");
	*out = text[0] == 't';
	return 0;
}

struct string_list {
	const char **items;
	uint32_t count;
};

static int string_add(struct loader *ld, void *target, struct fy_node *item)
{
	struct string_list *list = target;

	return loader_string(ld, item, &list->items[list->count++]);
}

int loader_strings(struct loader *ld, struct fy_node *value, const char ***out,
		   uint32_t *count)
{
	struct string_list list = {0};
	int rc;

	list.items = arena_alloc(ld->arena,
				 (loader_count(value) + 1) * sizeof(char *));
	if (list.items == NULL)
		return loader_no_memory(ld);
	rc = loader_each(ld, &list, value, string_add);
	if (rc != 0)
		return rc;
	*out = list.items;
	*count = list.count;
	return 0;
}

int loader_duration(struct loader *ld, struct fy_node *value, const char *text,
		    uint32_t *seconds)
{
	uint32_t found = wait_duration_s(text, strlen(text));

	if (found == 0)
		return loader_fail(ld, value,
				   "'%.40s' is no duration such as 90s, 5m, 4h",
				   text);
	*seconds = found;
	return 0;
}
