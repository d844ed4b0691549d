/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_shape.c - how old what is there is, by domain: as qshape(1) counts.
 *
 * Role: command. Columns: up to 5, 10, 20 ... 1280 minutes since arrival, and
 * older. Bound: one walk over the index; a row per domain that has mail, and
 * 4 bytes per domain known.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/clock.h"
#include "sluiced/select_task.h"

#define AGES            10u
#define AGE_FIRST_S     300u
#define ROWS_PER_PACKET 256
#define ROWS_DEFAULT    20

struct row {
	uint32_t name; /* number of a domain, or of a sender's */
	uint64_t total;
	uint64_t ages[AGES];
};

struct shape {
	bool senders;
	uint32_t now_s;
	uint32_t *index; /* by number: row + 1 */
	uint32_t index_room;
	struct row *rows;
	uint32_t count, room;
	struct row total;
	bool failed;
};

static void shape_free(void *table)
{
	struct shape *s = table;

	free(s->index);
	free(s->rows);
	free(s);
}

static bool index_room(struct shape *s, uint32_t name)
{
	uint32_t room = s->index_room ? s->index_room : 256;
	uint32_t *index;

	if (name < s->index_room)
		return true;
	while (room <= name)
		room *= 2;
	index = realloc(s->index, room * sizeof(*index));
	if (index == NULL)
		return false;
	memset(index + s->index_room, 0,
	       (room - s->index_room) * sizeof(*index));
	s->index = index;
	s->index_room = room;
	return true;
}

static struct row *row_of(struct shape *s, uint32_t name)
{
	struct row *rows;

	if (!index_room(s, name))
		return NULL;
	if (s->index[name] != 0)
		return &s->rows[s->index[name] - 1];
	if (s->count == s->room) {
		uint32_t room = s->room ? s->room * 2 : 64;

		rows = realloc(s->rows, room * sizeof(*rows));
		if (rows == NULL)
			return NULL;
		s->rows = rows;
		s->room = room;
	}
	s->rows[s->count] = (struct row){.name = name};
	s->index[name] = ++s->count;
	return &s->rows[s->count - 1];
}

static uint32_t age_column(uint32_t age_s)
{
	uint32_t column = 0;

	for (uint32_t end_s = AGE_FIRST_S; column + 1 < AGES && age_s >= end_s;
	     end_s *= 2)
		column++;
	return column;
}

static void shape_entry(struct select_task *t, const struct walker_entry *e)
{
	struct shape *s = t->table;
	struct row *row = row_of(s, s->senders ? e->index.sender_domain
					       : e->index.domain);
	uint32_t column = age_column(s->now_s > e->index.arrival_s
					     ? s->now_s - e->index.arrival_s
					     : 0);

	select_count(t, e->index.id);
	s->total.total++;
	s->total.ages[column]++;
	if (row == NULL) {
		s->failed = true;
		return;
	}
	row->total++;
	row->ages[column]++;
}

static int larger_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->total < y->total ? 1 : x->total > y->total ? -1 : 0;
}

static json_t *row_json(const struct row *row, const char *name)
{
	json_t *ages = json_array();
	json_t *j;

	for (uint32_t i = 0; i < AGES; i++)
		json_array_append_new(ages,
				      json_integer((json_int_t)row->ages[i]));
	j = json_pack("{s:s,s:o,s:I,s:o}", "schema", "sluice.shape.1", "domain",
		      json_text(name), "recipients", (json_int_t)row->total,
		      "ages", ages);
	return j;
}

static const char *row_name(const struct select_task *t, const struct row *row)
{
	const struct shape *s = t->table;

	return s->senders ? queue_sender_domain_text(t->en->queue, row->name)
			  : queue_domain_name(t->en->queue, row->name);
}

static json_t *columns_json(void)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i + 1 < AGES; i++)
		json_array_append_new(list, json_integer(AGE_FIRST_S << i));
	return list;
}

static bool shape_finish(struct select_task *t)
{
	struct client *c = t->task.client;
	struct shape *s = t->table;
	uint64_t limit = t->limit != 0 ? t->limit : ROWS_DEFAULT;
	json_t *list = json_array(), *j;

	if (s->failed) {
		json_decref(list);
		client_error(c, EX_OSERR, "shape: out of memory");
		return true;
	}
	if (s->count > 0)
		qsort(s->rows, s->count, sizeof(*s->rows), larger_first);
	for (uint32_t i = 0; i < s->count && i < limit; i++) {
		json_array_append_new(
			list, row_json(&s->rows[i], row_name(t, &s->rows[i])));
		if (json_array_size(list) < ROWS_PER_PACKET)
			continue;
		client_send(c, json_pack("{s:o}", "rows", list));
		list = json_array();
	}
	client_send(c, json_pack("{s:o}", "rows", list));
	j = select_totals(t);
	json_object_set_new(j, "domains", json_integer(s->count));
	json_object_set_new(j, "columns", columns_json());
	json_object_set_new(j, "total", row_json(&s->total, "TOTAL"));
	client_done(c, j);
	return true;
}

void verb_shape(struct client *c, json_t *request)
{
	struct selection *s = request_selection_or_all(c, request);
	struct select_task *t = s ? select_start(c, "shape", s, false) : NULL;
	struct shape *shape;

	if (t == NULL)
		return;
	shape = calloc(1, sizeof(*shape));
	if (shape == NULL) {
		select_free(t);
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	shape->senders = json_is_true(json_object_get(request, "senders"));
	shape->now_s = clock_realtime_s();
	t->table = shape;
	t->table_free = shape_free;
	t->limit =
		(uint64_t)json_integer_value(json_object_get(request, "limit"));
	t->each = shape_entry;
	t->finish = shape_finish;
	client_task(c, &t->task);
}
