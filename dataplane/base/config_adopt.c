/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_adopt.c - a new config takes the place of one that is in use.
 *
 * Called on reload, before anybody has seen the new one. Batches, greylisted
 * mail, paces and journal records name sources by number: a number never goes
 * to another address. Bound: sources of both, squared.
 * Errors: -E2BIG, -ENOMEM; nothing has changed then.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_priv.h"
#include "sluice/assert.h"
#include "sluice/config_change.h"

#define NUMBER_NONE UINT32_MAX

/* ---- what cannot change while the program runs */

enum fixed_kind { FIXED_TEXT, FIXED_64, FIXED_32 };

static const struct fixed {
	const char *key;
	enum fixed_kind kind;
	size_t offset;
} fixed_keys[] = {
#define FIXED(key, kind, member)                                               \
	{                                                                      \
		key, kind, offsetof(struct config, member)                     \
	}
	FIXED("spool.dir", FIXED_TEXT, spool.dir),
	FIXED("spool.min_free", FIXED_64, spool.min_free_bytes),
	FIXED("spool.min_free_inodes", FIXED_64, spool.min_free_inodes),
	FIXED("spool.segment_size", FIXED_64, spool.segment_bytes),
	FIXED("run.dir", FIXED_TEXT, run.dir),
	FIXED("run.socket", FIXED_TEXT, run.socket),
	FIXED("run.user", FIXED_TEXT, run.user),
	FIXED("workers", FIXED_32, workers),
	FIXED("delivery.connections", FIXED_32, delivery.connections_total),
#undef FIXED
};
#define FIXED_COUNT (sizeof(fixed_keys) / sizeof(fixed_keys[0]))

static bool text_differs(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a != b;
	return strcmp(a, b) != 0;
}

static bool fixed_differs(const struct fixed *f, const struct config *a,
			  const struct config *b)
{
	const char *pa = (const char *)a + f->offset;
	const char *pb = (const char *)b + f->offset;

	switch (f->kind) {
	case FIXED_TEXT:
		return text_differs(*(char *const *)(const void *)pa,
				    *(char *const *)(const void *)pb);
	case FIXED_64:
		return memcmp(pa, pb, sizeof(uint64_t)) != 0;
	case FIXED_32:
		return memcmp(pa, pb, sizeof(uint32_t)) != 0;
	}
	return false;
}

bool config_fixed_differs(const struct config *before,
			  const struct config *after, const char *key)
{
	for (size_t i = 0; i < FIXED_COUNT; i++)
		if (strcmp(fixed_keys[i].key, key) == 0)
			return fixed_differs(&fixed_keys[i], before, after);
	return false;
}

void config_restart_keys(const struct config *before,
			 const struct config *after,
			 void (*each)(void *user, const char *key), void *user)
{
	for (size_t i = 0; i < FIXED_COUNT; i++)
		if (fixed_differs(&fixed_keys[i], before, after))
			each(user, fixed_keys[i].key);
}

static int fixed_adopt(struct config_owner *o, const struct config *before)
{
	for (size_t i = 0; i < FIXED_COUNT; i++) {
		const struct fixed *f = &fixed_keys[i];
		char *to = (char *)&o->config + f->offset;
		const char *from = (const char *)before + f->offset;
		char *text;

		if (f->kind != FIXED_TEXT) {
			memcpy(to, from,
			       f->kind == FIXED_64 ? sizeof(uint64_t)
						   : sizeof(uint32_t));
			continue;
		}
		memcpy(&text, from, sizeof(text));
		if (text != NULL) {
			text = config_strdup(&o->arena, text);
			if (text == NULL)
				return -ENOMEM;
		}
		memcpy(to, &text, sizeof(text));
	}
	return 0;
}

/* ---- sources keep their numbers */

struct renumber {
	const struct config *before;
	struct config *c;
	uint32_t *number; /* of each new source */
	uint32_t *heir;   /* new source that has an old number */
};

static void inherit(struct renumber *r, uint32_t fresh, uint32_t old)
{
	r->number[fresh] = old;
	r->heir[old] = fresh;
}

static void inherit_by(struct renumber *r, bool by_address)
{
	for (uint32_t i = 0; i < r->c->source_count; i++) {
		const struct config_source *s = &r->c->sources[i];

		for (uint32_t k = 0;
		     k < r->before->source_count && r->number[i] == NUMBER_NONE;
		     k++) {
			const struct config_source *b = &r->before->sources[k];

			if (r->heir[k] != NUMBER_NONE)
				continue;
			if (by_address
				    ? addr_equal_host(&s->address, &b->address)
				    : strcmp(s->name, b->name) == 0)
				inherit(r, i, k);
		}
	}
}

/* The new ones go behind; returns how many there are now. */
static uint32_t inherit_rest(struct renumber *r)
{
	uint32_t count = r->before->source_count;

	for (uint32_t i = 0; i < r->c->source_count; i++)
		if (r->number[i] == NUMBER_NONE)
			r->number[i] = count++;
	return count;
}

/* A name that no source can have, so that it is never mistaken for one. */
static int gone_copy(struct config_arena *a, struct config_source *to,
		     const struct config_source *from)
{
	char name[96];

	*to = *from;
	to->gone = true;
	(void)snprintf(name, sizeof(name), "%s%s", from->name,
		       from->gone ? "" : " (removed)");
	to->name = config_strdup(a, name);
	to->helo = config_strdup(a, from->helo != NULL ? from->helo : "");
	return to->name != NULL && to->helo != NULL ? 0 : -ENOMEM;
}

static int sources_lay(struct renumber *r, struct config_arena *a,
		       uint32_t count)
{
	struct config_source *to = config_alloc(a, (count + 1) * sizeof(*to));
	struct config *c = r->c;

	if (to == NULL)
		return -ENOMEM;
	for (uint32_t k = 0; k < r->before->source_count; k++)
		if (r->heir[k] == NUMBER_NONE &&
		    gone_copy(a, &to[k], &r->before->sources[k]) != 0)
			return -ENOMEM;
	for (uint32_t i = 0; i < c->source_count; i++)
		to[r->number[i]] = c->sources[i];
	for (uint32_t p = 0; p < c->pool_count; p++)
		for (uint32_t i = 0; i < c->pools[p].source_count; i++)
			c->pools[p].sources[i] =
				r->number[c->pools[p].sources[i]];
	c->sources = to;
	c->source_count = count;
	return 0;
}

static int sources_adopt(struct config_owner *o, const struct config *before,
			 struct err *e)
{
	struct config *c = &o->config;
	struct renumber r = {before, c, NULL, NULL};
	uint32_t count;

	r.number = config_alloc(&o->arena,
				(c->source_count + 1) * sizeof(*r.number));
	r.heir = config_alloc(&o->arena,
			      (before->source_count + 1) * sizeof(*r.heir));
	if (r.number == NULL || r.heir == NULL)
		return -ENOMEM;
	memset(r.number, 0xff, c->source_count * sizeof(*r.number));
	memset(r.heir, 0xff, before->source_count * sizeof(*r.heir));
	inherit_by(&r, true);
	inherit_by(&r, false);
	count = inherit_rest(&r);
	if (count > CONFIG_SOURCES_MAX)
		return err_set(e, -E2BIG,
			       "%s: %u sources, with those that earlier "
			       "reloads have removed, are too many; restart to "
			       "forget these",
			       c->path, count);
	return sources_lay(&r, &o->arena, count);
}

int config_adopt(struct config *c, const struct config *before, struct err *e)
{
	struct config_owner *o = (struct config_owner *)(void *)c;
	int res;

	MAGIC_CHECK(o, CONFIG_MAGIC);
	res = sources_adopt(o, before, e);
	if (res == 0)
		res = fixed_adopt(o, before);
	return res == -ENOMEM ? err_set(e, res, "%s: out of memory", c->path)
			      : res;
}
