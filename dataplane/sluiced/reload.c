/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reload.c - another config while mail is under way.
 *
 * Called by main() on SIGHUP and by the verb `reload`, between two turns of
 * the loop. What can fail comes first: the file, the rules, new sockets, the
 * resolver; on an error the old config stays, whole. Then everything changes
 * before the next message is released. Paces go on from what was spent
 * (pace_bucket_set()): a reload never gives a fresh full bucket.
 * Bound: providers times sources of a pool, and domains.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/config_change.h"
#include "sluice/intern.h"
#include "sluice/log.h"
#include "sluiced/audit.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"
#include "sluiced/listener.h"
#include "sluiced/publish.h"
#include "sluiced/service.h"

#define CHANGES_MAX 200 /* sentences; more are counted */

struct reload {
	struct engine *en;
	struct config *c;
	struct classify *rules;
	struct classify_scratch *scratch;
	struct fixed_domains fixed;
	uint32_t *config_of; /* by provider; in the end that of before */
	json_t *changes, *restart;
	uint32_t change_count;
	bool listening; /* listener_config_prepare() has been called */
};

static void change_note(void *user, const struct config_change *c)
{
	struct reload *r = user;
	char text[2 * CONFIG_CHANGE_TEXT + 400];

	if (r->change_count++ >= CHANGES_MAX)
		return;
	if (c->before == NULL)
		snprintf(text, sizeof(text), "%s: added: %s", c->key, c->after);
	else if (c->after == NULL)
		snprintf(text, sizeof(text), "%s: removed: %s", c->key,
			 c->before);
	else
		snprintf(text, sizeof(text), "%s: %s -> %s", c->key, c->before,
			 c->after);
	json_array_append_new(r->changes, json_text(text));
}

static void restart_note(void *user, const char *key)
{
	struct reload *r = user;

	json_array_append_new(r->restart, json_string(key));
}

static void unused_note(void *user, const char *sentence)
{
	(void)user;
	log_warn("config", "%s", sentence);
}

static void changes_find(struct reload *r)
{
	char text[64];

	r->changes = json_array();
	r->restart = json_array();
	config_diff(r->en->config, r->c, change_note, r);
	if (r->change_count > CHANGES_MAX) {
		snprintf(text, sizeof(text), "and %u more",
			 r->change_count - CHANGES_MAX);
		json_array_append_new(r->changes, json_string(text));
	}
	config_restart_keys(r->en->config, r->c, restart_note, r);
}

/* A path is never taken away from a provider: with those of earlier configs
 * it must not have too many. */
static int pools_check(const struct reload *r, struct err *e)
	RUNS_ON(role_queue)
{
	const struct engine *en = r->en;
	struct release_path_status st;

	if (r->c->source_count <= RELEASE_SOURCES_MAX)
		return 0;
	for (uint32_t n = 0; n < en->provider_count; n++) {
		uint32_t pool = r->c->providers[r->config_of[n]].pool;
		uint32_t count = 0;

		for (uint32_t s = 0; s < r->c->source_count; s++)
			count += config_pool_has(r->c, pool, s) ||
				 release_path_status(en->release, n, s, &st) ==
					 0;
		if (count > RELEASE_SOURCES_MAX)
			return err_set(
				e, -E2BIG,
				"provider %s had %u sources over time, "
				"more than %u; restart to forget the old",
				en->providers[n].name, count,
				RELEASE_SOURCES_MAX);
	}
	return 0;
}

/* Providers keep their numbers by name; new ones get the next. */
static int providers_number(struct reload *r, struct err *e) RUNS_ON(role_queue)
{
	struct engine *en = r->en;
	uint32_t number;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < r->c->provider_count; i++)
		rc = provider_make(en, r->c->providers[i].name, &number);
	if (rc == 0) {
		r->config_of =
			calloc(en->provider_count + 1, sizeof(*r->config_of));
		rc = r->config_of == NULL ? -ENOMEM : 0;
	}
	if (rc == 0)
		rc = fixed_domains_make(en, r->c, &r->fixed);
	if (rc != 0)
		return err_set(e, rc, "providers: %s", err_name(rc));
	for (uint32_t i = 0; i < r->c->provider_count; i++)
		r->config_of[provider_find(en, r->c->providers[i].name)] = i;
	return pools_check(r, e);
}

static int rules_read(struct reload *r, struct err *e)
{
	int rc = classify_load(r->c->rules, &r->rules, e);

	if (rc != 0)
		return rc;
	r->scratch = classify_scratch_create(r->rules);
	return r->scratch != NULL ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static bool config_sends(const struct config *c)
{
	for (uint32_t i = 0; i < c->source_count; i++)
		if (!c->sources[i].gone)
			return true;
	return false;
}

/* All that can fail. delivery_config_set() is the last: it is the first that
 * cannot be undone. */
static int reload_prepare(struct reload *r, struct err *e) RUNS_ON(role_queue)
{
	struct engine *en = r->en;
	int rc = config_load(en->config->path, &r->c, e);

	if (rc != 0)
		return rc;
	changes_find(r);
	rc = config_adopt(r->c, en->config, e);
	if (rc == 0 && !config_sends(r->c))
		rc = err_set(e, -EINVAL,
			     "%s: no sources: nothing could be sent; to stop "
			     "everything use `sluice hold --all`",
			     en->config->path);
	if (rc == 0)
		rc = rules_read(r, e);
	if (rc == 0)
		rc = providers_number(r, e);
	if (rc == 0) {
		rc = listener_config_prepare(en->listener, r->c, NULL, e);
		r->listening = rc == 0;
	}
	if (rc == 0)
		rc = delivery_config_set(en->delivery, r->c, r->config_of,
					 en->provider_count, e);
	return rc;
}

static void reload_drop(struct reload *r)
{
	if (r->listening)
		listener_config_drop(r->en->listener);
	classify_scratch_destroy(&r->scratch);
	classify_destroy(&r->rules);
	intern_destroy(&r->fixed.names);
	free(r->fixed.provider);
	free(r->config_of);
	json_decref(r->changes);
	json_decref(r->restart);
	config_destroy(&r->c);
}

/* Another pace.start counts for paths that were eased, too: as after a
 * restart. Stopped ones stay stopped. */
static void starts_grant(struct engine *en, uint32_t provider,
			 const struct config_provider *before)
	RUNS_ON(role_queue)
{
	const struct config_provider *c = provider_config(en, provider);
	const struct config_pool *pool = &en->config->pools[c->pool];
	struct release_path_status st;

	if (pace_equal(before->pace_start, c->pace_start))
		return;
	for (uint32_t i = 0; i < pool->source_count; i++) {
		uint32_t s = pool->sources[i];

		if (release_path_status(en->release, provider, s, &st) == 0 &&
		    st.state == PATH_OPEN &&
		    !pace_equal(st.pace, c->pace_start))
			release_grant(en->release, provider, s, PATH_OPEN,
				      c->pace_start, 0, st.not_before_ns,
				      "pace.start has been changed",
				      clock_monotonic_ns());
	}
}

/* Mail that was set aside for a source that is in the pool no more. */
static void heads_unpark(struct engine *en, uint32_t provider,
			 const struct config *before,
			 const struct config_provider *was) RUNS_ON(role_queue)
{
	const struct config_pool *pool = &before->pools[was->pool];
	uint32_t now = provider_config(en, provider)->pool;

	for (uint32_t i = 0; i < pool->source_count; i++)
		if (!config_pool_has(en->config, now, pool->sources[i]))
			queue_unpark_provider(en->queue, provider,
					      pool->sources[i]);
}

/* A provider that the config names no more keeps its name and its mail. */
static void kind_review(struct provider *p, const struct config_provider *c)
{
	if (strcmp(p->name, c->name) == 0)
		p->kind = PROVIDER_CONFIGURED;
	else if (p->kind == PROVIDER_CONFIGURED)
		p->kind = PROVIDER_DOMAIN;
}

static void providers_apply(struct reload *r, const struct config *before)
	RUNS_ON(role_queue)
{
	struct engine *en = r->en;
	int rc;

	for (uint32_t i = 0; i < en->config->source_count; i++)
		queue_source_set(en->queue, i, en->config->sources[i].name);
	for (uint32_t n = 0; n < en->provider_count; n++) {
		uint32_t was = en->providers[n].config;

		en->providers[n].config = r->config_of[n];
		r->config_of[n] = was;
		kind_review(&en->providers[n], provider_config(en, n));
		heads_unpark(en, n, before, &before->providers[was]);
	}
	rc = providers_register(en);
	if (rc != 0)
		log_error("reload",
			  "not all providers have their new "
			  "settings: %s; restart sluiced",
			  err_name(rc));
	for (uint32_t n = 0; n < en->provider_count; n++)
		starts_grant(en, n, &before->providers[r->config_of[n]]);
}

static void reload_apply(struct reload *r) RUNS_ON(role_queue, role_spool)
{
	struct engine *en = r->en;
	const struct config *before = en->config;
	struct err e = {""};

	en->config = r->c;
	providers_apply(r, before);
	intern_destroy(&en->fixed_domains);
	free(en->fixed_provider);
	en->fixed_domains = r->fixed.names;
	en->fixed_provider = r->fixed.provider;
	r->fixed = (struct fixed_domains){NULL, NULL};
	domains_review(en, before);
	blocks_review(en, before->source_count);
	if (listener_config_apply(en->listener, r->c, &e) != 0)
		log_error("reload", "%s", e.text);
	r->listening = false;
	classify_scratch_destroy(&en->scratch);
	classify_destroy(&en->rules);
	en->rules = r->rules;
	en->scratch = r->scratch;
	r->rules = NULL;
	r->scratch = NULL;
	sources_note(en);
	publish_sources(en->publish);
	log_init("sluiced", r->c->log.level, r->c->log.format);
	config_destroy(&en->own);
	en->own = r->c;
	r->c = NULL;
}

static void reload_tell(struct reload *r, const char *actor)
{
	struct engine *en = r->en;
	const json_t *item;
	size_t i;

	log_info("reload", "%s by %s: %u changes", en->config->path, actor,
		 r->change_count);
	json_array_foreach(r->changes, i, item)
		log_info("reload", "%s", json_string_value(item));
	json_array_foreach(r->restart, i, item)
		log_warn("reload", "%s counts after a restart only",
			 json_string_value(item));
	config_unused(en->config, unused_note, NULL);
	json_decref(en->config_changes);
	json_decref(en->config_restart);
	en->config_changes = r->changes;
	en->config_restart = r->restart;
	r->changes = r->restart = NULL;
	en->config_loaded_s = clock_realtime_s();
	en->config_error_s = 0;
	en->config_error.text[0] = '\0';
}

/* In the audit, too; nobody waits for it: what changed stands in `status`. */
static void reload_record(struct engine *en, struct client *c, int rc,
			  const struct err *e) RUNS_ON(role_command)
{
	json_t *line = audit_line(c, "reload");

	if (line == NULL)
		return;
	if (rc == 0)
		json_object_set(line, "changes", en->config_changes);
	json_object_set_new(line, "result",
			    json_string(rc == 0 ? "done" : e->text));
	audit_write(en->audit, line, NULL, NULL);
}

int engine_reload(struct engine *en, struct client *c, struct err *e)
{
	const char *actor = c != NULL ? client_actor(c) : "SIGHUP";
	struct reload r = {.en = en};
	int rc;

	if (en->stopping)
		return err_set(e, -ESHUTDOWN, "sluiced is stopping");
	service_reloading();
	rc = reload_prepare(&r, e);
	if (rc == 0) {
		reload_apply(&r);
		reload_tell(&r, actor);
	} else {
		en->config_error = *e;
		en->config_error_s = clock_realtime_s();
		log_error("reload", "by %s: %s; the old config stays", actor,
			  e->text);
	}
	reload_record(en, c, rc, e);
	reload_drop(&r);
	service_ready();
	return rc;
}
