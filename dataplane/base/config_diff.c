/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_diff.c - what differs between two configs, key by key.
 *
 * Called on reload, on the loop's thread. Compares the files as written, so
 * that a key which is added to the reader needs nothing here. Bound: the size
 * of both files; lists are compared item by item.
 */
#include <stdio.h>
#include <string.h>

#include "config_priv.h"
#include "sluice/assert.h"
#include "sluice/config_change.h"

#define KEY_BYTES 320

struct diff {
	const struct config *before, *after;
	void (*each)(void *user, const struct config_change *c);
	void *user;
};

static void text_add(char *buf, size_t *len, const char *text)
{
	int n = snprintf(buf + *len, CONFIG_CHANGE_TEXT - *len, "%s", text);

	*len += n > 0 ? (size_t)n : 0;
	if (*len < CONFIG_CHANGE_TEXT)
		return;
	memcpy(buf + CONFIG_CHANGE_TEXT - 4, "...", 4);
	*len = CONFIG_CHANGE_TEXT - 1;
}

/* In one line, as YAML would have it. Depth: that of the reader's tables. */
static void node_text(const struct config_node *n, char *buf, size_t *len)
{
	bool map = n->type == NODE_MAP;

	if (n->type == NODE_SCALAR) {
		text_add(buf, len, n->text);
		return;
	}
	text_add(buf, len, map ? "{" : "[");
	for (const struct config_node *i = n->first; i; i = i->next) {
		if (i != n->first)
			text_add(buf, len, ", ");
		if (map) {
			text_add(buf, len, i->key);
			text_add(buf, len, ": ");
		}
		node_text(i, buf, len);
	}
	text_add(buf, len, map ? "}" : "]");
}

static void tell(const struct diff *d, const char *key,
		 const struct config_node *before,
		 const struct config_node *after)
{
	char was[CONFIG_CHANGE_TEXT] = "", is[CONFIG_CHANGE_TEXT] = "";
	struct config_change c = {.key = key};
	size_t len = 0;

	if (before != NULL) {
		node_text(before, was, &len);
		c.before = was;
	}
	len = 0;
	if (after != NULL) {
		node_text(after, is, &len);
		c.after = is;
	}
	c.restart = config_fixed_differs(d->before, d->after, key);
	d->each(d->user, &c);
}

static bool node_equal(const struct config_node *a, const struct config_node *b)
{
	const struct config_node *i = a->first, *k = b->first;

	if (a->type != b->type || a->count != b->count)
		return false;
	if (a->type == NODE_SCALAR)
		return strcmp(a->text, b->text) == 0;
	for (; i != NULL; i = i->next, k = k->next) {
		if (a->type == NODE_MAP)
			k = config_node_find(b, i->key);
		if (k == NULL || !node_equal(i, k))
			return false;
	}
	return true;
}

/* What names an item of a list of maps: its address. */
static const char *item_name(const struct config_node *item)
{
	const struct config_node *a = config_node_find(item, "address");

	return a != NULL && a->type == NODE_SCALAR ? a->text : NULL;
}

/* The item that `item` was before: the same, or of the same name. */
static const struct config_node *item_find(const struct config_node *list,
					   const struct config_node *item)
{
	const char *name = item_name(item), *other;

	for (const struct config_node *i = list ? list->first : NULL; i;
	     i = i->next) {
		other = item_name(i);
		if (name != NULL && other != NULL ? strcmp(name, other) == 0
						  : node_equal(i, item))
			return i;
	}
	return NULL;
}

static void map_diff(const struct diff *d, const char *key, unsigned depth,
		     const struct config_node *before,
		     const struct config_node *after);

static void item_diff(const struct diff *d, const char *key,
		      const struct config_node *before,
		      const struct config_node *after)
{
	char sub[KEY_BYTES];

	if (after->type == NODE_MAP && before->type == NODE_MAP &&
	    snprintf(sub, sizeof(sub), "%s[%s]", key, item_name(after)) <
		    (int)sizeof(sub))
		map_diff(d, sub, 2, before, after);
}

static void list_diff(const struct diff *d, const char *key,
		      const struct config_node *before,
		      const struct config_node *after)
{
	bool same = true;

	for (const struct config_node *i = before->first; i; i = i->next) {
		if (item_find(after, i) != NULL)
			continue;
		same = false;
		tell(d, key, i, NULL);
	}
	for (const struct config_node *i = after->first; i; i = i->next) {
		const struct config_node *was = item_find(before, i);

		if (was == NULL)
			tell(d, key, NULL, i);
		else
			item_diff(d, key, was, i);
		same = same && was != NULL;
	}
	/* an order may mean something; named items have none */
	if (same && before->first && item_name(before->first) == NULL &&
	    !node_equal(before, after))
		tell(d, key, before, after);
}

/* One of them may be NULL. A section at the top is compared key by key also
 * when it is new; below it, what is new is one thing. */
static void node_diff(const struct diff *d, const char *key, unsigned depth,
		      const struct config_node *before,
		      const struct config_node *after)
{
	if (config_node_empty(before))
		before = NULL;
	if (config_node_empty(after))
		after = NULL;
	if (before == after)
		return;
	if ((before == NULL || before->type == NODE_MAP) &&
	    (after == NULL || after->type == NODE_MAP) &&
	    (depth < 2 || (before != NULL && after != NULL)))
		map_diff(d, key, depth, before, after);
	else if (before != NULL && after != NULL && before->type == NODE_LIST &&
		 after->type == NODE_LIST)
		list_diff(d, key, before, after);
	else if (before == NULL || after == NULL || !node_equal(before, after))
		tell(d, key, before, after);
}

static void child_diff(const struct diff *d, const char *key, unsigned depth,
		       const char *name, const struct config_node *before,
		       const struct config_node *after)
{
	char sub[KEY_BYTES];

	/* names are bounded by the reader: 255 characters of a domain */
	if (snprintf(sub, sizeof(sub), "%s%s%s", key, *key ? "." : "", name) <
	    (int)sizeof(sub))
		node_diff(d, sub, depth + 1, before, after);
}

static void map_diff(const struct diff *d, const char *key, unsigned depth,
		     const struct config_node *before,
		     const struct config_node *after)
{
	for (const struct config_node *i = before ? before->first : NULL; i;
	     i = i->next)
		child_diff(d, key, depth, i->key, i,
			   config_node_find(after, i->key));
	for (const struct config_node *i = after ? after->first : NULL; i;
	     i = i->next)
		if (config_node_find(before, i->key) == NULL)
			child_diff(d, key, depth, i->key, NULL, i);
}

void config_diff(const struct config *before, const struct config *after,
		 void (*each)(void *user, const struct config_change *c),
		 void *user)
{
	const struct diff d = {before, after, each, user};

	sluice_assert(each != NULL);
	node_diff(&d, "", 0, before->tree, after->tree);
}
