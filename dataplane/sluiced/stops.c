/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stops.c - stopped and eased paths survive a restart.
 *
 * Called when the release engine says that a path has changed, and at start.
 * Roles: queue, spool. A note "path/SOURCE/PROVIDER" holds state, time and
 * pace; an empty one says that the path is as configured. A restart neither
 * knocks at a receiver that blocks, nor sends as fast as before it complained.
 * Bound: one note per change; memory for the paths that were not as configured.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"

#define STOP_KEY_BYTES 700

/* A note as the journal has it, until the rooms are up. */
struct stop {
	struct stop *next;
	json_t *value;
	char key[];
};

static uint32_t source_find(const struct config *c, const char *name,
			    size_t len)
{
	for (uint32_t i = 0; i < c->source_count; i++)
		if (strlen(c->sources[i].name) == len &&
		    memcmp(c->sources[i].name, name, len) == 0)
			return i;
	return RELEASE_NONE;
}

static uint32_t until_s(const struct release_path_status *st)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t left_ns =
		st->not_before_ns > now_ns ? st->not_before_ns - now_ns : 0;

	return clock_realtime_s() + (uint32_t)(left_ns / NS_PER_S);
}

static char *stop_text(const struct release_path_status *st, struct pace start)
{
	char pace[32], from[32], *text;
	json_t *j;

	if (st->state == PATH_OPEN && pace_equal(st->pace, start))
		return strdup("");
	j = json_pack("{s:i,s:I,s:s,s:s}", "state", (int)st->state, "until",
		      (json_int_t)until_s(st), "pace",
		      pace_format(st->pace, pace), "start",
		      pace_format(start, from));
	text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	return text;
}

void stop_note(struct engine *en, uint32_t provider, uint32_t source)
{
	struct pace start = provider_config(en, provider)->pace_start;
	struct release_path_status st;
	char key[STOP_KEY_BYTES], *text;

	/* While the notes themselves are applied there is nothing to add. */
	if (!en->delivery_up ||
	    release_path_status(en->release, provider, source, &st) != 0)
		return;
	snprintf(key, sizeof(key), "path/%s/%s",
		 en->config->sources[source].name,
		 en->providers[provider].name);
	text = stop_text(&st, start);
	if (text != NULL &&
	    spool_note(en->spool, key,
		       (struct text){text, (uint32_t)strlen(text)}, NULL,
		       NULL) != 0)
		log_debug("path", "%s: not noted", key);
	free(text);
}

int stop_from_note(struct engine *en, const char *key, struct text value)
{
	struct stop **at = &en->stops, *s;

	while (*at != NULL && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	s = *at;
	if (s != NULL) {
		*at = s->next;
		json_decref(s->value);
		free(s);
	}
	if (value.len == 0)
		return 0;
	s = calloc(1, sizeof(*s) + strlen(key) + 1);
	if (s == NULL)
		return -ENOMEM;
	memcpy(s->key, key, strlen(key) + 1);
	s->value = json_loadb(value.data, value.len, 0, NULL);
	s->next = en->stops;
	en->stops = s;
	return 0;
}

/* An operator who has changed the config means the new pace. */
static void pace_restore(struct engine *en, const json_t *j, uint32_t provider,
			 uint32_t source) RUNS_ON(role_queue)
{
	const char *pace = json_string_value(json_object_get(j, "pace"));
	const char *from = json_string_value(json_object_get(j, "start"));
	struct pace start = provider_config(en, provider)->pace_start;
	struct pace p, was;

	if (pace == NULL || from == NULL || pace_parse(pace, &p) != 0 ||
	    pace_parse(from, &was) != 0 || !pace_equal(was, start) ||
	    pace_compare(p, start) >= 0)
		return;
	release_grant(en->release, provider, source, PATH_OPEN, p, 0, 0,
		      "eased before the restart", clock_monotonic_ns());
}

static void stop_restore(struct engine *en, const struct stop *s)
	RUNS_ON(role_queue)
{
	const char *name = s->key + strlen("path/");
	const char *slash = strchr(name, '/');
	uint64_t now_s = clock_realtime_s(), until, wait_ns = NS_PER_MS;
	uint32_t source, provider;

	if (slash == NULL || s->value == NULL)
		return;
	source = source_find(en->config, name, (size_t)(slash - name));
	if (source == RELEASE_NONE)
		return;
	provider = provider_find(en, slash + 1);
	if (provider == QUEUE_NONE)
		provider = provider_named(en, slash + 1, PROVIDER_DOMAIN);
	pace_restore(en, s->value, provider, source);
	if (json_integer_value(json_object_get(s->value, "state")) == PATH_OPEN)
		return;
	until = (uint64_t)json_integer_value(
		json_object_get(s->value, "until"));
	if (until > now_s)
		wait_ns = (until - now_s) * NS_PER_S;
	release_block(en->release, provider, source, wait_ns, false,
		      "blocked before the restart", clock_monotonic_ns());
}

void stops_restore(struct engine *en)
{
	while (en->stops != NULL) {
		struct stop *s = en->stops;

		stop_restore(en, s);
		en->stops = s->next;
		json_decref(s->value);
		free(s);
	}
}
