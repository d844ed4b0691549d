/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reroutes.c - recipients that an operator sends another way.
 *
 * Called by the verbs reroute and decide, and at start. Roles: queue, spool.
 * A reroute is a number. Its note "reroute/N" says where to; "reroute/N/PART"
 * lists recipients, "ID RCPT" in hex, at most REROUTE_ITEMS each. They are
 * applied again in the order of their numbers when recovery is over; a part of
 * which nothing is left is dropped from the journal then. Bound: memory for
 * the notes while recovering. Errors: -EAGAIN, -ENOMEM.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/log.h"
#include "sluiced/engine_priv.h"

#define ITEM_BYTES 26 /* "0123456789abcdef 1869f\n" */

struct reroute_note {
	struct reroute_note *next;
	uint32_t number, part; /* part 0: where to */
	uint32_t len;
	char text[];
};

static uint32_t source_named(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->source_count; i++)
		if (strcmp(c->sources[i].name, name) == 0)
			return i;
	return QUEUE_NONE;
}

static bool pool_has(const struct config_pool *p, uint32_t source)
{
	for (uint32_t i = 0; i < p->source_count; i++)
		if (p->sources[i] == source)
			return true;
	return false;
}

/* One of the pool's sources that the provider sends from, by the message's id:
 * the same one over restarts. */
static uint32_t pool_source(const struct config *c, const char *name,
			    const struct config_pool *own, uint64_t id)
{
	uint32_t fits[RELEASE_SOURCES_MAX], count = 0;

	for (uint32_t p = 0; p < c->pool_count; p++) {
		const struct config_pool *pool = &c->pools[p];

		if (strcmp(pool->name, name) != 0)
			continue;
		for (uint32_t i = 0; i < pool->source_count; i++)
			if (count < RELEASE_SOURCES_MAX &&
			    pool_has(own, pool->sources[i]))
				fits[count++] = pool->sources[i];
	}
	if (count == 0)
		return QUEUE_NONE;
	return fits[(id * 0x9e3779b97f4a7c15ULL >> 32) % count];
}

static int reroute_source(struct engine *en, const struct reroute *r,
			  uint64_t id, uint32_t rcpt, uint32_t *source)
	RUNS_ON(role_queue)
{
	const struct config *c = en->config;
	uint32_t provider = queue_provider_of(en->queue, id, rcpt);
	const struct config_pool *own;

	*source = QUEUE_NONE;
	if (provider == QUEUE_NONE)
		return -ENOENT;
	if (r->source == NULL && r->pool == NULL)
		return 0;
	own = &c->pools[provider_config(en, provider)->pool];
	if (r->source != NULL)
		*source = source_named(c, r->source);
	else
		*source = pool_source(c, r->pool, own, id);
	return *source != QUEUE_NONE && pool_has(own, *source) ? 0 : -ENXIO;
}

int reroute_apply(struct engine *en, const struct reroute *r, uint64_t id,
		  uint32_t rcpt)
{
	uint32_t provider = QUEUE_NONE, source;
	int rc = reroute_source(en, r, id, rcpt, &source);

	if (rc != 0)
		return rc;
	if (r->route != NULL) {
		provider = provider_of_route(en, r->route);
		if (provider == QUEUE_NONE)
			return -ENOMEM;
	}
	return queue_reroute(en->queue, id, rcpt, provider, source);
}

const char *reroute_of_provider(void *user, uint32_t provider)
{
	const struct engine *en = user;

	role_assert(&role_queue);
	return provider < en->provider_count ? en->providers[provider].route
					     : NULL;
}

static char *items_text(const struct spool_set_item *items, uint32_t count)
{
	char *text = malloc((size_t)count * ITEM_BYTES + 1);
	size_t at = 0;

	if (text == NULL)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		at += (size_t)snprintf(text + at, ITEM_BYTES + 1,
				       "%" PRIx64 " %x\n", items[i].id,
				       items[i].rcpt);
	return text;
}

int reroute_note(struct engine *en, uint32_t number, uint32_t part,
		 const char *text, const struct spool_set_item *items,
		 uint32_t count, spool_done_fn *done, void *user)
{
	char key[48];
	char *list = NULL;
	int rc;

	if (part == 0) {
		snprintf(key, sizeof(key), "reroute/%u", number);
	} else {
		snprintf(key, sizeof(key), "reroute/%u/%u", number, part);
		text = list = items_text(items, count);
	}
	if (text == NULL)
		return -ENOMEM;
	rc = spool_note(en->spool, key,
			(struct text){text, (uint32_t)strlen(text)}, done,
			user);
	free(list);
	return rc;
}

/* Of the same key; the place in the list where it is or belongs. */
static struct reroute_note **note_place(struct engine *en, uint32_t number,
					uint32_t part)
{
	struct reroute_note **at = &en->reroute_notes;

	while (*at != NULL && ((*at)->number < number ||
			       ((*at)->number == number && (*at)->part < part)))
		at = &(*at)->next;
	return at;
}

int reroute_from_note(struct engine *en, const char *key, struct text value)
{
	struct reroute_note **at, *n;
	uint32_t number, part = 0;
	char *end;

	role_assert(&role_queue);
	number = (uint32_t)strtoul(key + strlen("reroute/"), &end, 10);
	if (*end == '/')
		part = (uint32_t)strtoul(end + 1, NULL, 10);
	if (number >= en->reroute_next)
		en->reroute_next = number + 1;
	at = note_place(en, number, part);
	n = *at;
	if (n != NULL && n->number == number && n->part == part) {
		*at = n->next;
		free(n);
	}
	if (value.len == 0)
		return 0;
	n = malloc(sizeof(*n) + value.len + 1);
	if (n == NULL)
		return -ENOMEM;
	*n = (struct reroute_note){
		.next = *at, .number = number, .part = part, .len = value.len};
	memcpy(n->text, value.data, value.len);
	n->text[value.len] = '\0';
	*at = n;
	return 0;
}

/* Where a reroute led: strings live as long as `j`. */
static void reroute_read(const json_t *j, struct reroute *r)
{
	r->route = json_string_value(json_object_get(j, "route"));
	r->pool = json_string_value(json_object_get(j, "pool"));
	r->source = json_string_value(json_object_get(j, "source"));
}

/* How many of the part's recipients are still here. */
static uint32_t part_restore(struct engine *en, const struct reroute_note *n,
			     const struct reroute *r) RUNS_ON(role_queue)
{
	uint32_t here = 0;
	const char *p = n->text;

	while (*p != '\0') {
		char *end;
		uint64_t id = strtoull(p, &end, 16);
		uint32_t rcpt = (uint32_t)strtoul(end, &end, 16);
		uint8_t state = queue_rcpt_state(en->queue, id, rcpt);

		if (end == p || *end != '\n')
			break;
		p = end + 1;
		if (state == 0 ||
		    (rcpt_state_is_done(state) && !rcpt_state_is_kept(state)))
			continue;
		here++;
		reroute_apply(en, r, id, rcpt);
	}
	return here;
}

/* Nothing of it is left: it need not come back at the next start. */
static void note_drop(struct engine *en, const struct reroute_note *n)
	RUNS_ON(role_spool)
{
	char key[48];

	if (n->part == 0)
		snprintf(key, sizeof(key), "reroute/%u", n->number);
	else
		snprintf(key, sizeof(key), "reroute/%u/%u", n->number, n->part);
	spool_note(en->spool, key, (struct text){"", 0}, NULL, NULL);
}

/* A later reroute of the same recipient has the last word. */
void reroutes_restore(struct engine *en)
{
	struct reroute_note *n = en->reroute_notes, *next;
	json_t *j = NULL;
	struct reroute r = {NULL, NULL, NULL};

	for (; n != NULL; n = next) {
		next = n->next;
		if (n->part == 0) {
			json_decref(j);
			j = json_loadb(n->text, n->len, 0, NULL);
			reroute_read(j, &r);
			if (next == NULL || next->number != n->number)
				note_drop(en, n);
		} else if (part_restore(en, n, &r) == 0) {
			note_drop(en, n);
		}
		free(n);
	}
	json_decref(j);
	en->reroute_notes = NULL;
}
