/* SPDX-License-Identifier: BSD-2-Clause
 *
 * blocks.c - since when paths are blocked, and what is too long.
 *
 * Called when the release engine says that a path has changed, at start, and
 * once a second. Roles: queue, spool. A provider without any open path is
 * blocked: the clock of lifetime stands (promise 2), and the stretches of it
 * are journaled as a note "block/PROVIDER", with the time of each path's first
 * block. What is blocked for longer than retry.block_max_age asks the operator:
 * its recipients become needs-decision, again after each such time.
 * Bound: ASK_SLICE recipients a second; memory for providers that were blocked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"

#define ASK_SLICE       1000u /* recipients per second */
#define ASK_WALK        1000u /* messages looked at in one go */
#define ASK_WALKS       64u   /* of them per second */
#define BLOCK_KEY_BYTES 700

/* Of a path, or (index source_count) of the provider as a whole. */
struct block {
	uint32_t since_s; /* 0 = open */
	uint32_t asked_s; /* the operator was asked; 0 = not yet */
};

/* Recipients of a blocked path on their way to needs-decision. */
struct ask {
	struct selection *selection; /* NULL = nothing to do */
	struct queue_cursor cursor;
	uint32_t provider;
	uint32_t at; /* which struct block */
	uint32_t decided;
	uint32_t slice; /* decided in this second */
	char reason[400];
};

/* A note as the journal has it, until the rooms are up. */
struct block_note {
	struct block_note *next;
	json_t *value;
	char key[];
};

static bool path_is_stopped(const struct engine *en, uint32_t provider,
			    uint32_t source, bool *open) RUNS_ON(role_queue)
{
	struct release_path_status st;

	if (release_path_status(en->release, provider, source, &st) != 0)
		return false;
	*open |= st.state == PATH_OPEN;
	return st.state == PATH_STOPPED || st.state == PATH_PROBING;
}

/* True if it has changed. */
static bool block_mark(struct block *b, bool stopped, uint32_t now_s)
{
	if (stopped == (b->since_s != 0))
		return false;
	*b = (struct block){stopped ? now_s : 0, 0};
	return true;
}

static struct block *blocks_of(struct engine *en, uint32_t provider)
	RUNS_ON(role_queue)
{
	struct provider *p = &en->providers[provider];

	if (p->blocks == NULL)
		p->blocks = calloc(en->config->source_count + 1ul,
				   sizeof(*p->blocks));
	return p->blocks;
}

static json_t *stretches_json(const struct engine *en, uint32_t provider)
	RUNS_ON(role_queue)
{
	struct queue_stretch s[QUEUE_STRETCHES_MAX];
	uint32_t count = queue_provider_blocks(en->queue, provider, s);
	json_t *j = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(j, json_pack("[I,I]",
						   (json_int_t)s[i].from_s,
						   (json_int_t)s[i].to_s));
	return j;
}

static json_t *paths_json(const struct engine *en, const struct block *b)
{
	json_t *j = json_object();

	for (uint32_t i = 0; i <= en->config->source_count; i++) {
		const char *name = i < en->config->source_count
					   ? en->config->sources[i].name
					   : "";
		if (b[i].since_s != 0)
			json_object_set_new(
				j, name,
				json_pack("[I,I]", (json_int_t)b[i].since_s,
					  (json_int_t)b[i].asked_s));
	}
	return j;
}

static void blocks_note(struct engine *en, uint32_t provider)
	RUNS_ON(role_queue, role_spool)
{
	char key[BLOCK_KEY_BYTES], *text;
	json_t *j = json_pack("{s:o,s:o}", "stretches",
			      stretches_json(en, provider), "paths",
			      paths_json(en, en->providers[provider].blocks));

	text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	snprintf(key, sizeof(key), "block/%s", en->providers[provider].name);
	if (text == NULL ||
	    spool_note(en->spool, key,
		       (struct text){text, (uint32_t)strlen(text)}, NULL,
		       NULL) != 0)
		log_debug("path", "%s: not noted", key);
	free(text);
}

void blocks_changed(struct engine *en, uint32_t provider)
{
	const struct config_pool *pool =
		&en->config->pools[provider_config(en, provider)->pool];
	uint32_t now_s = clock_realtime_s();
	bool changed = false, open = false, any = false;
	struct block *b = blocks_of(en, provider);

	if (b == NULL || !en->delivery_up)
		return;
	for (uint32_t i = 0; i < pool->source_count; i++) {
		uint32_t source = pool->sources[i];
		bool stopped = path_is_stopped(en, provider, source, &open);

		any |= stopped;
		changed |= block_mark(&b[source], stopped, now_s);
	}
	changed |=
		block_mark(&b[en->config->source_count], any && !open, now_s);
	if (!changed)
		return;
	queue_provider_block_set(en->queue, provider, any && !open, now_s);
	blocks_note(en, provider);
}

/* The operator is asked about what waits for `at` now. */
static void ask_begin(struct engine *en, uint32_t provider, uint32_t at)
	RUNS_ON(role_queue)
{
	const struct provider *p = &en->providers[provider];
	const struct config *c = en->config;
	bool path = at < c->source_count;
	struct ask *a = en->ask;
	char since[32];
	time_t when = p->blocks[at].since_s;
	struct tm tm;
	json_t *j;

	gmtime_r(&when, &tm);
	strftime(since, sizeof(since), "%Y-%m-%d %H:%M UTC", &tm);
	j = path ? json_pack("{s:[s],s:[s],s:[s,s]}", "provider", p->name,
			     "source", c->sources[at].name, "state", "waiting",
			     "deferred")
		 : json_pack("{s:[s],s:[s,s]}", "provider", p->name, "state",
			     "waiting", "deferred");
	*a = (struct ask){.provider = provider, .at = at};
	if (j == NULL || selection_from_json(j, &a->selection, NULL) != 0)
		a->selection = NULL;
	json_decref(j);
	snprintf(a->reason, sizeof(a->reason),
		 "%s%s: blocked since %s; the last answer was: %.250s", p->name,
		 path ? " via this recipient's source" : "", since,
		 p->refusal[0] != '\0' ? p->refusal : "none");
}

static void ask_one(void *user, const struct queue_entry *e)
{
	struct engine *en = user;
	struct ask *a;
	struct spool_outcome o = {
		.id = e->id,
		.rcpt = e->rcpt,
		.state = RCPT_NEEDS_DECISION,
		.reply_class = e->last_class,
		.attempts = e->attempts,
		.when_s = clock_realtime_s(),
	};

	role_assert(&role_queue);
	role_assert(&role_spool);
	a = en->ask;
	o.reply = (struct text){a->reason, (uint32_t)strlen(a->reason)};
	outcome_journal(en, &o);
	queue_apply_outcome(en->queue, &o);
	a->decided++;
	a->slice++;
}

static void ask_end(struct engine *en) RUNS_ON(role_queue, role_spool)
{
	struct ask *a = en->ask;
	struct block *b = &en->providers[a->provider].blocks[a->at];

	selection_destroy(&a->selection);
	b->asked_s = clock_realtime_s();
	blocks_note(en, a->provider);
	if (a->decided > 0)
		log_warn("block", "%u recipients need a decision: %s",
			 a->decided, a->reason);
}

/* It may have been opened in the meantime: the rest goes. */
static void ask_step(struct engine *en, uint32_t now_s)
	RUNS_ON(role_queue, role_spool)
{
	struct ask *a = en->ask;
	bool more = true;

	a->slice = 0;
	for (uint32_t i = 0; more && i < ASK_WALKS && a->slice < ASK_SLICE; i++)
		more = en->providers[a->provider].blocks[a->at].since_s != 0 &&
		       queue_walk(en->queue, &a->cursor, a->selection, now_s,
				  ASK_WALK, ask_one, en);
	if (!more)
		ask_end(en);
}

static bool is_too_old(const struct block *b, uint32_t now_s, uint64_t max_s)
{
	uint32_t from_s = b->asked_s != 0 ? b->asked_s : b->since_s;

	return b->since_s != 0 && now_s > from_s && now_s - from_s >= max_s;
}

/* The first that is due; a provider as a whole before its paths. */
static bool ask_find(struct engine *en, uint32_t now_s) RUNS_ON(role_queue)
{
	uint64_t max_s = en->config->retry.block_max_age_ns / NS_PER_S;

	for (uint32_t n = 0; n < en->provider_count; n++) {
		const struct block *b = en->providers[n].blocks;

		for (uint32_t i = en->config->source_count + 1;
		     b != NULL && i-- > 0;) {
			if (!is_too_old(&b[i], now_s, max_s))
				continue;
			ask_begin(en, n, i);
			return en->ask->selection != NULL;
		}
	}
	return false;
}

void blocks_second(struct engine *en, uint32_t now_s)
{
	if (en->ask == NULL)
		en->ask = calloc(1, sizeof(*en->ask));
	if (en->ask == NULL)
		return;
	if (en->ask->selection != NULL || ask_find(en, now_s))
		ask_step(en, now_s);
}

int block_from_note(struct engine *en, const char *key, struct text value)
{
	struct block_note **at = &en->block_notes, *n;

	while (*at != NULL && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	n = *at;
	if (n == NULL) {
		n = calloc(1, sizeof(*n) + strlen(key) + 1);
		if (n == NULL)
			return -ENOMEM;
		memcpy(n->key, key, strlen(key) + 1);
		n->next = en->block_notes;
		en->block_notes = n;
	}
	json_decref(n->value);
	n->value = json_loadb(value.data, value.len, 0, NULL);
	return 0;
}

static uint32_t number_at(const json_t *pair, size_t i)
{
	return (uint32_t)json_integer_value(json_array_get(pair, i));
}

static void stretches_restore(struct engine *en, uint32_t provider,
			      const json_t *stretches) RUNS_ON(role_queue)
{
	for (size_t i = 0; i < json_array_size(stretches); i++) {
		const json_t *s = json_array_get(stretches, i);

		queue_provider_block_set(en->queue, provider, true,
					 number_at(s, 0));
		if (number_at(s, 1) != 0)
			queue_provider_block_set(en->queue, provider, false,
						 number_at(s, 1));
	}
}

static void block_restore(struct engine *en, const struct block_note *n)
	RUNS_ON(role_queue)
{
	const struct config *c = en->config;
	uint32_t provider = provider_find(en, n->key + strlen("block/"));
	const json_t *paths = json_object_get(n->value, "paths");
	struct block *b;

	if (provider == QUEUE_NONE)
		return; /* it has no mail */
	b = blocks_of(en, provider);
	if (b == NULL)
		return;
	stretches_restore(en, provider, json_object_get(n->value, "stretches"));
	for (uint32_t i = 0; i <= c->source_count; i++) {
		const json_t *pair = json_object_get(
			paths, i < c->source_count ? c->sources[i].name : "");

		b[i] = (struct block){number_at(pair, 0), number_at(pair, 1)};
	}
}

/* After stops_restore(): a path that is not stopped any more is open now. */
void blocks_restore(struct engine *en)
{
	while (en->block_notes != NULL) {
		struct block_note *n = en->block_notes;

		block_restore(en, n);
		en->block_notes = n->next;
		json_decref(n->value);
		free(n);
	}
}

void blocks_restored(struct engine *en)
{
	for (uint32_t n = 0; n < en->provider_count; n++)
		if (en->providers[n].blocks != NULL)
			blocks_changed(en, n);
}

/* Room for more sources; the last place is that of the provider as a whole. */
static void blocks_grow(struct engine *en, uint32_t provider, uint32_t before)
	RUNS_ON(role_queue)
{
	struct provider *p = &en->providers[provider];
	uint32_t now = en->config->source_count;
	struct block *b = realloc(p->blocks, (now + 1ul) * sizeof(*b));

	if (b != NULL) {
		b[now] = b[before];
		memset(&b[before], 0, (now - before) * sizeof(*b));
	} else {
		free(p->blocks); /* since when is not known any more */
	}
	p->blocks = b;
}

void blocks_review(struct engine *en, uint32_t before)
{
	uint32_t now = en->config->source_count;

	if (en->ask != NULL && now != before) {
		selection_destroy(&en->ask->selection); /* asked again soon */
		en->ask->at = 0;
	}
	for (uint32_t n = 0; n < en->provider_count; n++) {
		uint32_t pool = provider_config(en, n)->pool;

		if (en->providers[n].blocks != NULL && now != before)
			blocks_grow(en, n, before);
		if (en->providers[n].blocks == NULL)
			continue;
		for (uint32_t s = 0; s < now; s++)
			if (!config_pool_has(en->config, pool, s))
				en->providers[n].blocks[s] =
					(struct block){0, 0};
		blocks_changed(en, n);
	}
}

void blocks_destroy(struct engine *en)
{
	role_assert(&role_queue);
	for (uint32_t n = 0; n < en->provider_count; n++)
		free(en->providers[n].blocks);
	if (en->ask != NULL)
		selection_destroy(&en->ask->selection);
	free(en->ask);
	en->ask = NULL;
}
