/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_unused.c - keys that are accepted and that this build does not use.
 *
 * Called by `sluiced` at start and on reload, and by `sluice check`: a key
 * that does nothing is said to do nothing. Whoever makes use of one takes its
 * line out of the table. Bound: the table times the named things.
 */
#include <stdio.h>
#include <string.h>

#include "config_priv.h"
#include "sluice/config_change.h"

struct unused {
	const char *key;    /* '*': each key of that map */
	const char *unless; /* with this value it means nothing anyway */
	const char *why;
};

static const struct unused unused_keys[] = {
	{"workers", "1", "all work is done by one thread"},
	{"providers.*.batch.first", NULL, "all batches are sized by the pace"},
	{"sources.*.warm_up", NULL, "set the paces by hand"},
	{"reputation", NULL, "the program that reads it is not part of it"},
	{"control", NULL, "the program that reads it is not part of it"},
	{"shaper", NULL, "the program that reads it is not part of it"},
};

struct search {
	const struct config *config;
	const struct unused *what;
	void (*each)(void *user, const char *sentence);
	void *user;
};

static void found(const struct search *s, const struct config_node *n,
		  const char *key)
{
	char text[ERR_TEXT_BYTES];

	if (config_node_empty(n) ||
	    (s->what->unless != NULL && n->type == NODE_SCALAR &&
	     strcmp(n->text, s->what->unless) == 0))
		return;
	(void)snprintf(text, sizeof(text),
		       "%s:%u:%u: '%s' is read, but this build does not use "
		       "it: %s",
		       s->config->path, n->key_line, n->key_column, key,
		       s->what->why);
	s->each(s->user, text);
}

/* `pattern` goes on below the map `n`, which is called `key`. Depth: that of
 * the patterns. */
static void search_map(const struct search *s, const struct config_node *n,
		       const char *pattern, const char *key)
{
	size_t len = strcspn(pattern, ".");
	bool any = len == 1 && *pattern == '*';

	if (n == NULL || n->type != NODE_MAP)
		return;
	for (const struct config_node *i = n->first; i; i = i->next) {
		char sub[256];

		if (!any && (strlen(i->key) != len ||
			     memcmp(i->key, pattern, len) != 0))
			continue;
		if (snprintf(sub, sizeof(sub), "%s%s%s", key, *key ? "." : "",
			     i->key) >= (int)sizeof(sub))
			continue;
		if (pattern[len] == '\0')
			found(s, i, sub);
		else
			search_map(s, i, pattern + len + 1, sub);
	}
}

void config_unused(const struct config *c,
		   void (*each)(void *user, const char *sentence), void *user)
{
	for (size_t i = 0; i < sizeof(unused_keys) / sizeof(unused_keys[0]);
	     i++) {
		const struct search s = {c, &unused_keys[i], each, user};

		search_map(&s, c->tree, unused_keys[i].key, "");
	}
}
