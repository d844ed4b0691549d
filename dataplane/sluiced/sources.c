/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sources.c - sources keep their numbers over restarts.
 *
 * The journal names a source by number: of an attempt, of a doubt, of mail that
 * greylisting has pinned. A note "source/N" says which address and name that
 * is; at start the config is numbered by these notes, as a reload numbers it
 * by the config before. Called at recovery, after it, and by a reload.
 * Roles: queue, spool. Bound: CONFIG_SOURCES_MAX.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/config_change.h"
#include "sluice/log.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"

struct known_sources {
	uint32_t count;
	struct config_source list[CONFIG_SOURCES_MAX];
};

static void known_clear(struct config_source *s)
{
	free(s->name);
	memset(s, 0, sizeof(*s));
	s->gone = true; /* a number without a note means nobody */
}

void sources_known_destroy(struct engine *en)
{
	for (uint32_t i = 0; en->known != NULL && i < en->known->count; i++)
		free(en->known->list[i].name);
	free(en->known);
	en->known = NULL;
}

static int known_make(struct engine *en, uint32_t number)
{
	if (en->known == NULL)
		en->known = calloc(1, sizeof(*en->known));
	if (en->known == NULL)
		return -ENOMEM;
	while (en->known->count <= number)
		known_clear(&en->known->list[en->known->count++]);
	return 0;
}

static int known_set(struct engine *en, uint32_t number, const char *name,
		     const struct addr *a, bool gone)
{
	struct config_source *s;
	char *copy = strdup(name);

	if (copy == NULL || known_make(en, number) != 0) {
		free(copy);
		return -ENOMEM;
	}
	s = &en->known->list[number];
	known_clear(s);
	s->name = copy;
	s->address = s->public_address = *a;
	s->gone = gone;
	return 0;
}

int source_from_note(struct engine *en, const char *key, struct text value)
{
	uint32_t number = (uint32_t)strtoul(key + strlen("source/"), NULL, 10);
	json_t *j = json_loadb(value.data, value.len, 0, NULL);
	const char *name = json_string_value(json_object_get(j, "name"));
	const char *address = json_string_value(json_object_get(j, "address"));
	struct addr a;
	int rc = 0;

	if (number < CONFIG_SOURCES_MAX && name != NULL && address != NULL &&
	    addr_parse(address, 0, &a) == 0)
		rc = known_set(en, number, name, &a,
			       json_is_true(json_object_get(j, "gone")));
	else
		log_error("sources", "%s in the journal is unreadable", key);
	json_decref(j);
	return rc;
}

static bool is_known(const struct engine *en, uint32_t number)
{
	const struct config_source *s = &en->config->sources[number], *k;

	if (en->known == NULL || number >= en->known->count)
		return false;
	k = &en->known->list[number];
	return k->name != NULL && strcmp(k->name, s->name) == 0 &&
	       k->gone == s->gone && addr_equal_host(&k->address, &s->address);
}

static int source_note(struct engine *en, uint32_t number) RUNS_ON(role_spool)
{
	const struct config_source *s = &en->config->sources[number];
	char key[32], address[ADDR_TEXT_BYTES];
	json_t *j = json_pack("{s:s,s:s,s:b}", "name", s->name, "address",
			      addr_format(&s->address, false, address), "gone",
			      s->gone);
	char *text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
	int rc = -ENOMEM;

	json_decref(j);
	snprintf(key, sizeof(key), "source/%u", number);
	if (text != NULL)
		rc = spool_note(en->spool, key,
				(struct text){text, (uint32_t)strlen(text)},
				NULL, NULL);
	free(text);
	return rc == 0 ? known_set(en, number, s->name, &s->address, s->gone)
		       : rc;
}

bool sources_note(struct engine *en)
{
	for (uint32_t i = 0; i < en->config->source_count; i++) {
		int rc = is_known(en, i) ? 0 : source_note(en, i);

		if (rc == -EAGAIN)
			return false; /* engine_second() comes back */
		if (rc != 0)
			log_error("sources", "number %u is not noted: %s", i,
				  err_name(rc));
	}
	return true;
}

void sources_settle(struct engine *en, struct config *c)
{
	struct config before = *c;
	struct err e = {""};

	if (en->known == NULL)
		return;
	before.sources = en->known->list;
	before.source_count = en->known->count;
	/* too many over time: what is pinned may go by another source */
	if (config_adopt(c, &before, &e) != 0)
		log_warn("sources",
			 "sources are numbered anew: %s; mail that greylisting "
			 "has pinned may go by another one",
			 e.text);
}
