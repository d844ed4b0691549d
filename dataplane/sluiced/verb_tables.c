/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_tables.c - providers, sources: a row each, however many there are.
 *
 * Role: command. A task that looks at TABLE_SLICE places per turn and waits
 * while the client has TABLE_BACKLOG packets to read: a backlog for a million
 * domains stalls no mail and fills no memory.
 */
#include <stdlib.h>
#include <sysexits.h>

#include "sluiced/client.h"
#include "sluiced/engine_priv.h"

#define TABLE_SLICE   256
#define TABLE_BACKLOG 64

struct table {
	struct task task;
	/* The row at this place, NULL = none; *over after the last place. */
	json_t *(*row)(const struct engine *en, uint64_t place, bool *over);
	uint64_t place;
};

static json_t *providers_row(const struct engine *en, uint64_t place,
			     bool *over)
{
	role_assert(&role_queue);
	*over = place >= en->provider_count;
	return *over ? NULL : provider_json(en, (uint32_t)place);
}

static json_t *path_json(const struct engine *en, uint32_t provider,
			 uint32_t source, const struct release_path_status *st)
	RUNS_ON(role_queue)
{
	const struct config_source *from = &en->config->sources[source];
	const char *reason =
		from->gone ? "removed from the config" : st->reason;
	struct delivery_stats d = {0};
	char pace[32];
	json_t *j;

	delivery_path_stats(en->delivery, provider, source, &d);
	j = json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:i,s:i,s:I}", "schema",
		      "sluice.path.1", "source", from->name, "provider",
		      en->providers[provider].name, "state",
		      path_state_name(st->state), "pace",
		      pace_format(st->pace, pace), "released",
		      (json_int_t)st->released, "in_flight", (int)st->in_flight,
		      "connections", (int)d.connections_open, "accepted",
		      (json_int_t)d.accepted);
	if (reason != NULL)
		json_object_set_new(j, "reason", json_string(reason));
	return j;
}

/* Places run over the providers of one source after the other; the source is
 * in the upper half, because providers may be added on the way. */
static json_t *sources_row(const struct engine *en, uint64_t place, bool *over)
{
	uint32_t source = (uint32_t)(place >> 32), provider = (uint32_t)place;
	struct release_path_status st;

	role_assert(&role_queue);
	*over = source >= en->config->source_count;
	if (*over || provider >= en->provider_count ||
	    release_path_status(en->release, provider, source, &st) != 0 ||
	    (st.released == 0 && st.state == PATH_OPEN))
		return NULL;
	return path_json(en, provider, source, &st);
}

static uint64_t place_after(const struct table *t)
{
	const struct engine *en = client_engine(t->task.client);

	role_assert(&role_queue);
	if (t->row == sources_row &&
	    (uint32_t)t->place + 1 >= en->provider_count)
		return ((t->place >> 32) + 1) << 32;
	return t->place + 1;
}

static bool table_step(struct task *task)
{
	struct table *t = (struct table *)task;
	struct client *c = task->client;
	bool over = false;

	for (int i = 0; i < TABLE_SLICE && !over; i++) {
		json_t *row;

		if (client_backlog(c) >= TABLE_BACKLOG)
			return false; /* what has been sent wakes us */
		row = t->row(client_engine(c), t->place, &over);
		if (row != NULL)
			client_send(c, row);
		t->place = place_after(t);
	}
	if (!over)
		return true;
	client_done(c, NULL);
	client_task_end(c);
	return false;
}

static void table_destroy(struct task *task)
{
	free(task);
}

static void table_start(struct client *c,
			json_t *(*row)(const struct engine *en, uint64_t place,
				       bool *over))
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	t->task.step = table_step;
	t->task.destroy = table_destroy;
	t->row = row;
	client_task(c, &t->task);
}

void verb_providers(struct client *c, json_t *request)
{
	(void)request;
	table_start(c, providers_row);
}

void verb_sources(struct client *c, json_t *request)
{
	(void)request;
	table_start(c, sources_row);
}
