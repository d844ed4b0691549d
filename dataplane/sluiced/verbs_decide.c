/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_decide.c - what needs a decision, and the decision.
 *
 * Role: command. Without an action: what waits for one, by provider and
 * refusal. Bound: GROUPS_MAX groups; what does not fit is one group more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/clock.h"
#include "sluiced/replies.h"
#include "sluiced/select_task.h"

#define GROUPS_MAX        512u
#define GROUPS_PER_PACKET 32
#define REASON_BYTES      400

struct group {
	uint32_t provider;
	uint32_t tag;
	uint8_t reply_class;
	uint64_t messages, recipients, last_id;
	uint32_t oldest_s;
};

struct groups {
	uint32_t count;
	struct group g[GROUPS_MAX + 1]; /* the last one: all others */
};

static struct group *group_of(struct groups *t, const struct queue_entry *e)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->g[i].tag == e->tag && t->g[i].provider == e->provider)
			return &t->g[i];
	if (t->count == GROUPS_MAX)
		return &t->g[GROUPS_MAX];
	t->g[t->count] = (struct group){
		.provider = e->provider,
		.tag = e->tag,
		.reply_class = e->last_class,
	};
	return &t->g[t->count++];
}

static void undecided_entry(struct select_task *t, const struct walker_entry *e)
{
	struct group *g;

	if (e->index.state != RCPT_NEEDS_DECISION)
		return;
	g = group_of(t->table, &e->index);
	select_count(t, e->index.id);
	g->recipients++;
	g->messages += g->recipients == 1 || g->last_id != e->index.id;
	g->last_id = e->index.id;
	if (g->oldest_s == 0 || e->index.arrival_s < g->oldest_s)
		g->oldest_s = e->index.arrival_s;
}

static int larger_first(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->recipients < y->recipients   ? 1
	       : x->recipients > y->recipients ? -1
					       : 0;
}

static json_t *group_json(const struct engine *en, const struct group *g,
			  bool others) RUNS_ON(role_queue)
{
	const struct reply_entry *r = replies_get(en->replies, g->tag);
	json_t *j = json_pack(
		"{s:s,s:I,s:I,s:I}", "schema", "sluice.undecided.1", "messages",
		(json_int_t)g->messages, "recipients",
		(json_int_t)g->recipients, "oldest", (json_int_t)g->oldest_s);

	if (others)
		return j;
	json_object_set_new(j, "provider",
			    json_string(en->providers[g->provider].name));
	if (class_name(g->reply_class) != NULL)
		json_object_set_new(j, "class",
				    json_string(class_name(g->reply_class)));
	reply_add(en, j, g->tag);
	if (r != NULL)
		json_object_set_new(j, "last", json_integer(r->last_s));
	return j;
}

static bool undecided_finish(struct select_task *t)
{
	struct groups *table = t->table;
	json_t *list = json_array();

	role_assert(&role_queue);
	qsort(table->g, table->count, sizeof(table->g[0]), larger_first);
	for (uint32_t i = 0; i <= GROUPS_MAX; i++) {
		if (table->g[i].recipients == 0)
			continue;
		json_array_append_new(
			list, group_json(t->en, &table->g[i], i == GROUPS_MAX));
		if (json_array_size(list) < GROUPS_PER_PACKET)
			continue;
		client_send(t->task.client, json_pack("{s:o}", "groups", list));
		list = json_array();
	}
	client_send(t->task.client, json_pack("{s:o}", "groups", list));
	client_done(t->task.client, select_totals(t));
	return true;
}

static void undecided_list(struct client *c, json_t *request)
{
	struct selection *s = request_selection_or_all(c, request);
	struct select_task *t = s ? select_start(c, "decide", s, false) : NULL;

	if (t == NULL)
		return;
	t->table = calloc(1, sizeof(struct groups));
	t->table_free = free;
	if (t->table == NULL) {
		select_free(t);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	t->each = undecided_entry;
	t->finish = undecided_finish;
	client_task(c, &t->task);
}

/* A refusal that an operator takes for final. */
static int fail_one(struct select_task *t, const struct spool_set_item *item)
{
	char text[REASON_BYTES + 32];
	int n = snprintf(text, sizeof(text), "failed by an operator: %.*s",
			 REASON_BYTES, t->reason);
	struct spool_outcome o = {
		.id = item->id,
		.rcpt = item->rcpt,
		.state = RCPT_FAILED,
		.reply_class = CLASS_UNKNOWN,
		.attempts = queue_attempts(t->en->queue, item->id, item->rcpt),
		.when_s = clock_realtime_s(),
		.reply = {text, (uint32_t)n},
	};
	int rc;

	role_assert(&role_queue);
	role_assert(&role_spool);
	rc = spool_outcome(t->en->spool, &o, select_durable, t);
	if (rc != 0)
		return rc;
	queue_apply_outcome(t->en->queue, &o);
	outcome_heard(t->en, &o, RELEASE_NONE);
	return 0;
}

static int fail_items(struct select_task *t, const struct spool_set_item *items,
		      uint32_t count, uint32_t *done)
{
	int rc;

	for (*done = 0; *done < count; (*done)++) {
		t->commits++;
		rc = fail_one(t, &items[*done]);
		if (rc != 0) {
			t->commits--;
			return rc;
		}
		select_count(t, items[*done].id);
	}
	return 0;
}

static const struct {
	const char *name;
	enum spool_set_kind kind;
	int (*apply)(struct select_task *t, const struct spool_set_item *items,
		     uint32_t count, uint32_t *done);
} actions[] = {{"keep", SPOOL_SET_HELD, NULL},
	       {"requeue", SPOOL_SET_REQUEUED, NULL},
	       {"purge", SPOOL_SET_PURGED, NULL},
	       {"fail", 0, fail_items}};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

void verb_decide(struct client *c, json_t *request)
{
	const char *name =
		json_string_value(json_object_get(request, "action"));
	struct select_task *t;
	size_t i = 0;

	if (json_object_get(request, "action") == NULL) {
		undecided_list(c, request);
		return;
	}
	if (name != NULL && strcmp(name, "reroute") == 0) {
		reroute_start(c, request, "decide",
			      SELECT_STATE(RCPT_NEEDS_DECISION));
		return;
	}
	while (i < ACTIONS &&
	       (name == NULL || strcmp(actions[i].name, name) != 0))
		i++;
	if (i == ACTIONS) {
		client_error(c, EX_USAGE,
			     "decide: '%s' is none of keep, requeue, reroute, "
			     "purge, fail",
			     name ? name : "");
		return;
	}
	t = select_start_act(c, "decide", request);
	if (t == NULL)
		return;
	t->states = SELECT_STATE(RCPT_NEEDS_DECISION);
	t->kind = actions[i].kind;
	t->apply = actions[i].apply;
	t->limit =
		(uint64_t)json_integer_value(json_object_get(request, "limit"));
	t->finish = select_act_finish;
	client_task(c, &t->task);
}
