/* SPDX-License-Identifier: BSD-2-Clause
 *
 * holds.c - standing holds, journaled as notes, back after a restart.
 *
 * Called by the command socket and by the reflex. Roles: queue, spool.
 * A hold is a note "hold/N" whose value is a JSON object; an empty value lifts
 * it. Bound: one walk of the index when the selection is not a plain provider,
 * domain or everything.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/intern.h"
#include "sluice/log.h"
#include "sluice/nearest.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"

#define NAMES_MAX 20000u /* more are not searched for a near one */

static void hold_key(uint32_t number, char key[32])
{
	snprintf(key, 32, "hold/%u", number);
}

static char *hold_text(const struct selection *s, const char *reason,
		       const char *actor, uint32_t since_s)
{
	json_t *j = json_pack("{s:o,s:s,s:s,s:I}", "selection",
			      selection_to_json(s), "reason", reason, "actor",
			      actor, "since", (json_int_t)since_s);
	char *text;

	if (j == NULL)
		return NULL;
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return text;
}

int hold_place(struct engine *en, struct selection *s, const char *reason,
	       const char *actor, uint32_t *number, spool_done_fn *done,
	       void *user)
{
	uint32_t since_s = clock_realtime_s();
	uint32_t n = en->hold_next;
	char *text = hold_text(s, reason, actor, since_s);
	char key[32];
	int rc;

	if (text == NULL)
		return -ENOMEM;
	hold_key(n, key);
	rc = spool_note(en->spool, key,
			(struct text){text, (uint32_t)strlen(text)}, done,
			user);
	free(text);
	if (rc != 0)
		return rc;
	/* The number is in the journal: never another hold's. */
	en->hold_next++;
	*number = n;
	rc = queue_hold_add(en->queue, n, s, reason, since_s);
	if (rc != 0)
		spool_note(en->spool, key, (struct text){"", 0}, NULL, NULL);
	return rc;
}

/* A lifted hold is a note without a value: when it was lifted is another. The
 * clock of lifetime stood until then. */
static void time_note(struct engine *en) RUNS_ON(role_spool)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", clock_realtime_s());

	(void)spool_note(en->spool, "time", (struct text){text, (uint32_t)len},
			 NULL, NULL);
}

int time_from_note(struct engine *en, struct text value)
{
	char text[16];

	role_assert(&role_queue);
	snprintf(text, sizeof(text), "%.*s", (int)value.len,
		 value.len > 0 ? value.data : "");
	queue_time_set(en->queue, (uint32_t)strtoul(text, NULL, 10));
	return 0;
}

int hold_lift(struct engine *en, uint32_t number, spool_done_fn *done,
	      void *user)
{
	char key[32];
	int rc;

	time_note(en);
	hold_key(number, key);
	rc = spool_note(en->spool, key, (struct text){"", 0}, done, user);
	if (rc == 0) /* -ENOENT: lifted by another in the meantime */
		queue_hold_remove(en->queue, number);
	return rc;
}

static int hold_restore(struct engine *en, uint32_t number, json_t *j)
{
	struct selection *s = NULL;
	const char *reason = json_string_value(json_object_get(j, "reason"));
	uint32_t since_s =
		(uint32_t)json_integer_value(json_object_get(j, "since"));
	int rc = selection_from_json(json_object_get(j, "selection"), &s, NULL);

	if (rc == 0)
		rc = queue_hold_add(en->queue, number, s, reason ? reason : "",
				    since_s);
	if (rc != 0)
		selection_destroy(&s);
	return rc;
}

int hold_from_note(struct engine *en, const char *key, struct text value)
{
	uint32_t number = (uint32_t)strtoul(key + strlen("hold/"), NULL, 10);
	json_t *j;
	int rc;

	role_assert(&role_queue);
	if (number >= en->hold_next)
		en->hold_next = number + 1;
	if (value.len == 0) {
		queue_hold_remove(en->queue, number);
		return 0;
	}
	j = json_loadb(value.data, value.len, 0, NULL);
	if (j == NULL) {
		log_error("hold", "hold %u in the journal is unreadable",
			  number);
		return 0;
	}
	rc = hold_restore(en, number, j);
	json_decref(j);
	return rc;
}

json_t *holds_json(const struct engine *en)
{
	json_t *list = json_array();
	size_t bytes = 0;

	for (uint32_t i = 0; i < queue_hold_count(en->queue); i++) {
		const struct queue_hold *h = queue_hold_at(en->queue, i);
		char text[256];

		selection_format(h->selection, text, sizeof(text));
		if (!json_list_add(list,
				   json_pack("{s:i,s:o,s:o,s:s,s:I}", "hold",
					     (int)h->number, "text",
					     json_text(text), "selection",
					     selection_to_json(h->selection),
					     "reason", h->reason, "since",
					     (json_int_t)h->since_s),
				   &bytes))
			break;
	}
	return list;
}

/* ---- a hold on a name that nobody has holds nothing: a typo, mostly */

static void name_unknown(json_t *list, const char *what, const char *name,
			 const char *near)
{
	char text[700];

	if (near != NULL)
		snprintf(text, sizeof(text),
			 "no %s '%s' is known; did you mean '%s'?", what, name,
			 near);
	else
		snprintf(text, sizeof(text), "no %s '%s' is known", what, name);
	json_array_append_new(list, json_text(text));
}

static void provider_unknown(const struct engine *en, json_t *list,
			     const char *name) RUNS_ON(role_queue)
{
	const char *near = NULL;
	unsigned least = 0;

	if (provider_find(en, name) != QUEUE_NONE)
		return;
	for (uint32_t i = 0; i < en->provider_count && i < NAMES_MAX; i++)
		if (text_nearer(name, en->providers[i].name, &least))
			near = en->providers[i].name;
	name_unknown(list, "provider", name, near);
}

static void source_unknown(const struct engine *en, json_t *list,
			   const char *name)
{
	const char *near = NULL;
	unsigned least = 0;

	for (uint32_t i = 0; i < en->config->source_count; i++) {
		const char *known = en->config->sources[i].name;

		if (strcmp(known, name) == 0)
			return;
		if (text_nearer(name, known, &least))
			near = known;
	}
	name_unknown(list, "source", name, near);
}

static void domain_unknown(const struct engine *en, json_t *list,
			   const char *name) RUNS_ON(role_queue)
{
	uint32_t count = queue_domain_count(en->queue);
	const char *near = NULL;
	unsigned least = 0;

	if (strchr(name, '*') != NULL ||
	    queue_domain_find(en->queue, name) != QUEUE_NONE ||
	    intern_find(en->fixed_domains, name, strlen(name)) != INTERN_NONE)
		return;
	for (uint32_t d = 0; d < count && d < NAMES_MAX; d++)
		if (text_nearer(name, queue_domain_name(en->queue, d), &least))
			near = queue_domain_name(en->queue, d);
	name_unknown(list, "mail for domain", name, near);
}

json_t *names_unknown(const struct engine *en, const struct selection *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->providers.count; i++)
		provider_unknown(en, list, s->providers.items[i]);
	for (uint32_t i = 0; i < s->domains.count; i++)
		domain_unknown(en, list, s->domains.items[i]);
	for (uint32_t i = 0; i < s->sources.count; i++)
		source_unknown(en, list, s->sources.items[i]);
	return list;
}
