/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_reroute.c - sends a selection another way: reroute, decide --reroute.
 *
 * Role: command. A slice is journaled as a list of recipients, applied, and
 * what waited for a time or a decision is requeued, in one turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/select_task.h"

#define STATES_REROUTE                                                         \
	(SELECT_STATE(RCPT_WAITING) | SELECT_STATE(RCPT_DEFERRED) |            \
	 SELECT_STATE(RCPT_HELD) | SELECT_STATE(RCPT_NEEDS_DECISION) |         \
	 SELECT_STATE(RCPT_FAILED) | SELECT_STATE(RCPT_EXPIRED))

struct rerouting {
	json_t *target; /* the note's value; strings of `way` live in it */
	char *text;
	struct reroute way;
	uint32_t number, part;
	bool noted;
	uint64_t no_path; /* recipients whose provider has no such source */
};

static void rerouting_free(void *table)
{
	struct rerouting *r = table;

	json_decref(r->target);
	free(r->text);
	free(r);
}

/* Where to; -EAGAIN: no room in the journal. */
static int target_note(struct select_task *t, struct rerouting *r)
	RUNS_ON(role_queue, role_spool)
{
	int rc;

	if (r->noted)
		return 0;
	r->number = t->en->reroute_next;
	t->commits++;
	rc = reroute_note(t->en, r->number, 0, r->text, NULL, 0, select_durable,
			  t);
	if (rc != 0) {
		t->commits--;
		return rc;
	}
	t->en->reroute_next++;
	r->noted = true;
	return 0;
}

static int part_note(struct select_task *t, struct rerouting *r,
		     const struct spool_set_item *items, uint32_t count)
	RUNS_ON(role_spool)
{
	int rc;

	t->commits++;
	rc = reroute_note(t->en, r->number, r->part + 1, NULL, items, count,
			  select_durable, t);
	if (rc != 0)
		t->commits--;
	else
		r->part++;
	return rc;
}

/* Of those in a state that it ends. */
static int requeue(struct select_task *t, const struct spool_set_item *items,
		   uint32_t count) RUNS_ON(role_queue, role_spool)
{
	int rc;

	t->commits++;
	rc = spool_set(t->en->spool, SPOOL_SET_REQUEUED, items, count,
		       select_durable, t);
	if (rc != 0) {
		t->commits--;
		return rc;
	}
	return queue_apply_set(t->en->queue, SPOOL_SET_REQUEUED,
			       clock_realtime_s(), items, count);
}

/* -EAGAIN on the way: the next turn begins the slice again, which changes
 * nothing that was done. */
static int reroute_items(struct select_task *t,
			 const struct spool_set_item *items, uint32_t count,
			 uint32_t *done)
{
	struct rerouting *r = t->table;
	uint64_t no_path = 0;
	int rc;

	role_assert(&role_queue);
	role_assert(&role_spool);
	rc = target_note(t, r);
	if (rc == 0)
		rc = part_note(t, r, items, count);
	for (uint32_t i = 0; rc == 0 && i < count; i++)
		if (reroute_apply(t->en, &r->way, items[i].id, items[i].rcpt) ==
		    -ENXIO)
			no_path++;
	if (rc == 0)
		rc = requeue(t, items, count);
	if (rc != 0)
		return rc;
	for (uint32_t i = 0; i < count; i++)
		select_count(t, items[i].id);
	r->no_path += no_path;
	*done = count;
	return 0;
}

static bool reroute_finish(struct select_task *t)
{
	struct rerouting *r = t->table;

	select_act_finish(t);
	json_object_set_new(t->answer, "reroute", json_integer(r->number));
	json_object_set_new(t->answer, "no_path",
			    json_integer((json_int_t)r->no_path));
	return true;
}

static bool source_is_known(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->source_count; i++)
		if (strcmp(c->sources[i].name, name) == 0)
			return true;
	return false;
}

static bool pool_is_known(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->pool_count; i++)
		if (strcmp(c->pools[i].name, name) == 0)
			return true;
	return false;
}

/* False after saying what is wrong. */
static bool way_read(struct client *c, json_t *request, struct reroute *way)
{
	const struct config *config = client_engine(c)->config;
	bool back = json_is_true(json_object_get(request, "back"));

	way->route = json_string_value(json_object_get(request, "route"));
	way->pool = json_string_value(json_object_get(request, "pool"));
	way->source = json_string_value(json_object_get(request, "source"));
	if ((way->route != NULL) + (way->pool != NULL) + (way->source != NULL) +
		    back !=
	    1)
		client_error(c, EX_USAGE,
			     "reroute: say one of route, pool, source, back");
	else if (way->route != NULL && !config_route_valid(way->route))
		client_error(c, EX_USAGE,
			     "reroute: '%.200s' is no route; write HOST or "
			     "HOST:PORT",
			     way->route);
	else if (way->pool != NULL && !pool_is_known(config, way->pool))
		client_error(c, EX_DATAERR, "there is no pool '%.200s'",
			     way->pool);
	else if (way->source != NULL && !source_is_known(config, way->source))
		client_error(c, EX_DATAERR,
			     "there is no source '%.200s': `sluice sources`",
			     way->source);
	else
		return true;
	return false;
}

/* What the note says: strings of its own. */
static struct rerouting *rerouting_new(struct client *c, json_t *request)
{
	static const char *const keys[] = {"route", "pool", "source", "reason"};
	struct rerouting *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->target = json_pack("{s:s,s:I}", "actor", client_actor(c), "since",
			      (json_int_t)clock_realtime_s());
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *j = json_object_get(request, keys[i]);

		if (j != NULL)
			json_object_set(r->target, keys[i], j);
	}
	r->way.route = json_string_value(json_object_get(r->target, "route"));
	r->way.pool = json_string_value(json_object_get(r->target, "pool"));
	r->way.source = json_string_value(json_object_get(r->target, "source"));
	r->text = json_dumps(r->target, JSON_COMPACT);
	if (r->text != NULL)
		return r;
	rerouting_free(r);
	return NULL;
}

void reroute_start(struct client *c, json_t *request, const char *verb,
		   uint32_t states)
{
	struct reroute way;
	struct select_task *t = way_read(c, request, &way)
					? select_start_act(c, verb, request)
					: NULL;

	if (t == NULL)
		return;
	t->table = rerouting_new(c, request);
	t->table_free = rerouting_free;
	if (t->table == NULL) {
		select_free(t);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	t->states = states & STATES_REROUTE;
	t->apply = reroute_items;
	t->counted = true;
	t->finish = reroute_finish;
	t->limit =
		(uint64_t)json_integer_value(json_object_get(request, "limit"));
	client_task(c, &t->task);
}

void verb_reroute(struct client *c, json_t *request)
{
	reroute_start(c, request, "reroute", STATES_REROUTE);
}
