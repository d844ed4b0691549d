/* SPDX-License-Identifier: BSD-2-Clause
 *
 * pause.c - stretches of time in which the clock of lifetime stands.
 *
 * Called for holds over a domain and for blocks of a provider. Role: queue.
 * Bound: PAUSES_MAX stretches of each. Errors: -ENOMEM.
 *
 * Too many to remember: the two that lie closest together become one. A
 * lifetime may so come out longer by what lay between them, never shorter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue_priv.h"

static void closest_merge(struct pauses *p)
{
	struct queue_stretch *l = p->list;
	uint32_t at = 0;

	for (uint32_t i = 1; i + 1 < p->count; i++) {
		if (l[i + 1].from_s - l[i].to_s < l[at + 1].from_s - l[at].to_s)
			at = i;
	}
	l[at].to_s = l[at + 1].to_s;
	p->count--;
	memmove(&l[at + 1], &l[at + 2], (p->count - at - 1) * sizeof(*l));
}

int queue_pause_begin(struct pauses *p, uint32_t from_s)
{
	if (p->list == NULL)
		p->list = calloc(QUEUE_STRETCHES_MAX, sizeof(*p->list));
	if (p->list == NULL)
		return -ENOMEM;
	if (p->count > 0 && p->list[p->count - 1].to_s == 0)
		return 0; /* it goes on */
	/* time that was counted already is not counted again */
	if (p->count > 0 && from_s < p->list[p->count - 1].to_s)
		from_s = p->list[p->count - 1].to_s;
	if (p->count == QUEUE_STRETCHES_MAX)
		closest_merge(p);
	p->list[p->count++] = (struct queue_stretch){from_s, 0};
	return 0;
}

void queue_pause_end(struct pauses *p, uint32_t to_s)
{
	struct queue_stretch *last;

	if (p->count == 0 || p->list[p->count - 1].to_s != 0)
		return;
	last = &p->list[p->count - 1];
	last->to_s = to_s > last->from_s ? to_s : last->from_s + 1;
}

/* Of the stretch, what lies after `from_s` and before `to_s`. */
static uint32_t stretch_within(const struct queue_stretch *s, uint32_t *from_s,
			       uint32_t to_s)
{
	uint32_t begin_s = s->from_s > *from_s ? s->from_s : *from_s;
	uint32_t end_s = s->to_s != 0 && s->to_s < to_s ? s->to_s : to_s;

	if (end_s <= begin_s)
		return 0;
	*from_s = end_s;
	return end_s - begin_s;
}

/* Both lists are in order: what both speak of counts once. */
uint32_t queue_pauses_within_s(const struct pauses *a, const struct pauses *b,
			       uint32_t from_s, uint32_t to_s)
{
	uint32_t sum_s = 0, i = 0, k = 0;

	while (i < a->count || k < b->count) {
		bool first = k == b->count ||
			     (i < a->count &&
			      a->list[i].from_s <= b->list[k].from_s);
		sum_s += stretch_within(first ? &a->list[i++] : &b->list[k++],
					&from_s, to_s);
	}
	return sum_s;
}
