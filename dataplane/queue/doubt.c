/* SPDX-License-Identifier: BSD-2-Clause
 *
 * doubt.c - recipients that may have been served twice, by name.
 *
 * Called at the end of recovery and with outcomes in doubt. Role: queue.
 * Bound: O(1); one entry per recipient, the latest doubt counts. Kept until
 * the queue is destroyed, also when the message is gone: an operator asks
 * later. Errors: -ENOMEM.
 */
#include <errno.h>
#include <stdlib.h>

#include "queue_priv.h"

static uint32_t doubt_home(uint64_t id, uint32_t rcpt, uint32_t room)
{
	uint64_t h = (id * 0x9e3779b97f4a7c15ULL) ^ rcpt;

	h *= 0xbf58476d1ce4e5b9ULL;
	return (uint32_t)(h >> 32) & (room - 1);
}

/* Its place in the table, or the empty one where it would stand. */
static uint32_t *doubt_find(uint32_t *table, uint32_t room,
			    const struct queue_doubt *all, uint64_t id,
			    uint32_t rcpt)
{
	uint32_t i = doubt_home(id, rcpt, room);

	while (table[i] != 0 &&
	       (all[table[i] - 1].id != id || all[table[i] - 1].rcpt != rcpt))
		i = (i + 1) & (room - 1);
	return &table[i];
}

static int doubt_table_grow(struct queue *q)
{
	uint32_t room = q->doubt_table_room ? q->doubt_table_room * 2 : 64;
	uint32_t *table = calloc(room, sizeof(*table));

	if (table == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->doubt_count; i++)
		*doubt_find(table, room, q->doubts, q->doubts[i].id,
			    q->doubts[i].rcpt) = i + 1;
	q->extra_bytes += (room - q->doubt_table_room) * sizeof(*table);
	free(q->doubt_table);
	q->doubt_table = table;
	q->doubt_table_room = room;
	return 0;
}

int queue_doubt_add(struct queue *q, const struct queue_doubt *doubt)
{
	uint32_t *at;

	if (!queue_array_room(q, &q->doubts, &q->doubt_room, q->doubt_count + 1,
			      sizeof(*q->doubts)))
		return -ENOMEM;
	if (q->doubt_count >= q->doubt_table_room / 2 &&
	    doubt_table_grow(q) != 0)
		return -ENOMEM;
	at = doubt_find(q->doubt_table, q->doubt_table_room, q->doubts,
			doubt->id, doubt->rcpt);
	if (*at == 0)
		*at = ++q->doubt_count;
	q->doubts[*at - 1] = *doubt;
	return 0;
}

uint32_t queue_doubt_count(const struct queue *q)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	return q->doubt_count;
}

const struct queue_doubt *queue_doubt_at(const struct queue *q, uint32_t i)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	sluice_assert(i < q->doubt_count);
	return &q->doubts[i];
}
