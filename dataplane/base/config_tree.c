/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_tree.c - YAML text to a tree whose nodes know their place.
 *
 * Called by config_parse(). Driven by libfyaml's events, because those carry
 * line and column of every key and value. Bound: DEPTH_MAX levels; the file's
 * size. Errors: -EINVAL with the place, -ENOMEM.
 */
#include <errno.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#include "config_priv.h"
#include "sluice/assert.h"

#define DEPTH_MAX   16
#define CHUNK_BYTES 8192

struct config_chunk {
	struct config_chunk *next;
	size_t used, bytes;
	_Alignas(16) char data[];
};

void *config_alloc(struct config_arena *a, size_t bytes)
{
	bytes = (bytes + 15) & ~(size_t)15;
	struct config_chunk *c = a->chunks;
	if (c == NULL || c->bytes - c->used < bytes) {
		size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
		c = calloc(1, sizeof(*c) + room);
		if (c == NULL)
			return NULL;
		c->bytes = room;
		c->next = a->chunks;
		a->chunks = c;
	}
	void *p = c->data + c->used;
	c->used += bytes;
	return p;
}

static char *arena_text(struct config_arena *a, const char *text, size_t len)
{
	char *copy = config_alloc(a, len + 1);
	if (copy != NULL && len > 0)
		memcpy(copy, text, len);
	return copy;
}

char *config_strdup(struct config_arena *a, const char *text)
{
	return arena_text(a, text, strlen(text));
}

void config_arena_fini(struct config_arena *a)
{
	while (a->chunks != NULL) {
		struct config_chunk *c = a->chunks;
		a->chunks = c->next;
		free(c);
	}
}

struct tree {
	struct config_arena *arena;
	const char *name;
	struct err *e;
	const struct config_node *root;
	/* open maps and lists, outermost first */
	struct config_node *open[DEPTH_MAX];
	uint32_t depth;
	uint32_t documents;
	struct config_node *key; /* a scalar that waits for its value */
};

static int tree_fail(struct tree *t, const struct config_node *n,
		     const char *what)
{
	return err_set(t->e, -EINVAL, "%s:%u:%u: %s", t->name, n->line,
		       n->column, what);
}

static int key_check(struct tree *t, const struct config_node *map,
		     const struct config_node *key)
{
	if (key->type != NODE_SCALAR)
		return tree_fail(t, key,
				 "a key has to be a word; "
				 "write 'key: value'");
	for (const struct config_node *n = map->first; n; n = n->next) {
		if (strcmp(n->key, key->text) == 0)
			return err_set(t->e, -EINVAL,
				       "%s:%u:%u: key '%s' was given before in "
				       "line %u; remove one of them",
				       t->name, key->line, key->column,
				       key->text, n->key_line);
	}
	return 0;
}

static int tree_add(struct tree *t, struct config_node *n)
{
	if (t->depth == 0) {
		t->root = n;
		return 0;
	}
	struct config_node *parent = t->open[t->depth - 1];
	if (parent->type == NODE_MAP && t->key == NULL) {
		t->key = n;
		return key_check(t, parent, n);
	}
	if (parent->type == NODE_MAP) {
		n->key = t->key->text;
		n->key_line = t->key->line;
		n->key_column = t->key->column;
		t->key = NULL;
	}
	if (parent->last != NULL)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->count++;
	return 0;
}

static int tree_open(struct tree *t, struct config_node *n)
{
	int res = tree_add(t, n);
	if (res != 0)
		return res;
	if (t->depth == DEPTH_MAX)
		return tree_fail(t, n, "nested too deep");
	t->open[t->depth++] = n;
	return 0;
}

static struct config_node *
node_create(struct tree *t, enum config_node_type type, struct fy_token *token)
{
	struct config_node *n = config_alloc(t->arena, sizeof(*n));
	if (n == NULL)
		return NULL;
	const struct fy_mark *mark = fy_token_start_mark(token);
	n->type = type;
	n->line = mark != NULL ? (uint32_t)mark->line + 1 : 1;
	n->column = mark != NULL ? (uint32_t)mark->column + 1 : 1;
	return n;
}

static int tree_scalar(struct tree *t, struct fy_token *token)
{
	struct config_node *n = node_create(t, NODE_SCALAR, token);
	if (n == NULL)
		return -ENOMEM;
	size_t len = 0;
	const char *text = token != NULL ? fy_token_get_text(token, &len) : "";
	n->text = arena_text(t->arena, text, text != NULL ? len : 0);
	enum fy_scalar_style style = fy_token_scalar_style(token);
	n->plain = style == FYSS_PLAIN;
	/* the mark is behind the quote */
	if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
		n->column -= n->column > 1;
	if (n->text == NULL)
		return -ENOMEM;
	if (strlen(n->text) != len)
		return tree_fail(t, n, "a zero byte in a text; remove it");
	if (token == NULL && t->key != NULL) {
		/* "key:" with nothing after it stands where the key does */
		n->line = t->key->line;
		n->column = t->key->column;
	}
	return tree_add(t, n);
}

static int tree_event(struct tree *t, const struct fy_event *ev)
{
	struct config_node *n;
	switch (ev->type) {
	case FYET_SCALAR:
		return tree_scalar(t, ev->scalar.value);
	case FYET_MAPPING_START:
		n = node_create(t, NODE_MAP, ev->mapping_start.mapping_start);
		return n != NULL ? tree_open(t, n) : -ENOMEM;
	case FYET_SEQUENCE_START:
		n = node_create(t, NODE_LIST,
				ev->sequence_start.sequence_start);
		return n != NULL ? tree_open(t, n) : -ENOMEM;
	case FYET_MAPPING_END:
	case FYET_SEQUENCE_END:
		sluice_assert(t->depth > 0);
		t->depth--;
		return 0;
	case FYET_ALIAS:
		n = node_create(t, NODE_SCALAR, ev->alias.anchor);
		return n == NULL
			       ? -ENOMEM
			       : tree_fail(t, n,
					   "aliases (*name) are not read here; "
					   "write the value out");
	case FYET_DOCUMENT_START:
		if (++t->documents > 1)
			return err_set(t->e, -EINVAL,
				       "%s: more than one YAML document; keep "
				       "the first, remove '---'",
				       t->name);
		return 0;
	default:
		return 0;
	}
}

/* What the YAML parser itself says, as one of our sentences. */
static int syntax_fail(const struct tree *t, struct fy_diag *diag)
{
	void *iter = NULL;
	const struct fy_diag_error *d = fy_diag_errors_iterate(diag, &iter);
	if (d == NULL || d->msg == NULL)
		return err_set(t->e, -EINVAL,
			       "%s: this is not YAML; correct it", t->name);
	return err_set(t->e, -EINVAL, "%s:%d:%d: %s; correct the YAML", t->name,
		       d->line < 1 ? 1 : d->line, d->column < 1 ? 1 : d->column,
		       d->msg);
}

static int tree_build(struct tree *t, struct fy_parser *parser,
		      struct fy_diag *diag)
{
	struct fy_event *ev;
	int res = 0;
	while (res == 0 && (ev = fy_parser_parse(parser)) != NULL) {
		res = tree_event(t, ev);
		fy_parser_event_free(parser, ev);
	}
	if (res == -ENOMEM)
		return err_set(t->e, -ENOMEM, "%s: out of memory", t->name);
	if (res == 0 && fy_diag_got_error(diag))
		return syntax_fail(t, diag);
	return res;
}

int config_tree_parse(struct config_arena *a, const char *text,
		      const char *name, const struct config_node **root,
		      struct err *e)
{
	struct tree t = {.arena = a, .name = name, .e = e};
	struct fy_diag *diag = fy_diag_create(NULL);
	if (diag == NULL)
		return err_set(e, -ENOMEM, "%s: out of memory", name);
	fy_diag_set_collect_errors(diag, true);
	struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET, .diag = diag};
	struct fy_parser *parser = fy_parser_create(&cfg);
	int res = -ENOMEM;
	if (parser == NULL || fy_parser_set_string(parser, text, FY_NT) != 0)
		err_set(e, res, "%s: out of memory", name);
	else
		res = tree_build(&t, parser, diag);
	fy_parser_destroy(parser);
	fy_diag_destroy(diag);
	if (res == 0)
		*root = t.root;
	return res;
}
