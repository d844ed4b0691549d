/* SPDX-License-Identifier: BSD-2-Clause
 *
 * hold.c - standing holds.
 *
 * Called by the owner (an operator's hold, the reflex, notes at recovery).
 * Role: queue. Bound: a hold on providers, domains or everything: the number
 * of domains, no message is touched; another: one pass over all recipients, in
 * slices, when it comes and when it goes (hold_review.c). Errors: -ENOMEM,
 * -EINVAL, -ENOENT.
 *
 * A hold over a domain is a count in the domain. Another is a mark on each
 * recipient that would wait; it is set whenever a recipient begins to wait, so
 * that what arrives later, or comes back from a deferral, is held as well.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "queue_priv.h"

static void domain_holds_set(struct queue *q, struct queue_domain *d,
			     uint32_t holds, uint32_t since_s)
{
	struct queue_provider *p = queue_provider_at(q, d->provider);
	uint64_t waiting = d->tally.by_state[RCPT_WAITING];
	bool before = d->holds > 0;

	d->holds = holds;
	if (before == (holds > 0))
		return;
	if (before)
		queue_pause_end(&d->pauses, q->now_s);
	else /* without memory the clock goes on: nothing is lost by that */
		(void)queue_pause_begin(&d->pauses, since_s);
	queue_now(q, since_s);
	d->tally.waiting_stopped = before ? 0 : waiting;
	q->tally.waiting_stopped += before ? -waiting : waiting;
	if (p != NULL)
		p->tally.waiting_stopped += before ? -waiting : waiting;
	queue_domain_dirty(q, d);
}

/* Counts the holds over a domain that is new or has a new provider. */
void queue_hold_domain(struct queue *q, struct queue_domain *d)
{
	uint32_t holds = 0;

	for (uint32_t i = 0; i < q->hold_count; i++) {
		const struct selection *s = q->holds[i].selection;
		if (queue_match_is_scope(s) && queue_match_domain(q, s, d))
			holds++;
	}
	domain_holds_set(q, d, holds, q->now_s);
}

/* Does a hold that names recipients keep this one back? */
bool queue_hold_matches(const struct queue *q, uint32_t n)
{
	struct node *node = queue_node(q, n);
	uint8_t state = node->state;
	bool held;

	if (q->rcpt_holds == 0)
		return false;
	/* it is about to wait: that is what `state` terms shall see */
	if (state == 0)
		node->state = RCPT_WAITING;
	held = queue_hold_index_match(q, n);
	node->state = state;
	return held;
}

static void scope_review(struct queue *q, const struct selection *s, bool added,
			 uint32_t since_s)
{
	for (uint32_t i = 0; i < q->domains.used; i++) {
		struct queue_domain *d = queue_domain_at(q, i);
		if (!queue_match_domain(q, s, d))
			continue;
		domain_holds_set(q, d, added ? d->holds + 1 : d->holds - 1,
				 since_s);
	}
}

static struct queue_hold *hold_by_number(struct queue *q, uint32_t number)
{
	for (uint32_t i = 0; i < q->hold_count; i++) {
		if (q->holds[i].number == number)
			return &q->holds[i];
	}
	return NULL;
}

static bool selection_equal(const struct selection *a,
			    const struct selection *b)
{
	struct json_t *ja = selection_to_json(a);
	struct json_t *jb = selection_to_json(b);
	bool equal = ja != NULL && jb != NULL && json_equal(ja, jb);

	json_decref(ja);
	json_decref(jb);
	return equal;
}

/* The selection is the queue's from success on. The same number again (a
 * replayed note) replaces nothing and is no error. */
int queue_hold_add(struct queue *q, uint32_t number, struct selection *s,
		   const char *reason, uint32_t since_s)
{
	struct queue_hold *known;
	char *copy;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	known = hold_by_number(q, number);
	if (known != NULL && !selection_equal(known->selection, s))
		return -EEXIST;
	if (known != NULL) {
		selection_destroy(&s);
		return 0;
	}
	if (number == 0 || selection_is_empty(s))
		return -EINVAL;
	copy = strdup(reason);
	if (copy == NULL ||
	    !queue_array_room(q, &q->holds, &q->hold_room, q->hold_count + 1,
			      sizeof(*q->holds)) ||
	    (!queue_match_is_scope(s) && queue_hold_index_add(q, s) != 0)) {
		free(copy);
		return -ENOMEM;
	}
	queue_now(q, since_s);
	q->holds[q->hold_count++] = (struct queue_hold){
		.number = number,
		.since_s = since_s,
		.selection = s,
		.reason = copy,
		.hash = queue_hold_hash(s),
	};
	if (queue_match_is_scope(s)) {
		scope_review(q, s, true, since_s);
	} else {
		q->rcpt_holds++;
		queue_review_begin(q);
	}
	queue_tell_waiting(q);
	return 0;
}

int queue_hold_remove(struct queue *q, uint32_t number)
{
	struct queue_hold *hold;
	struct queue_hold gone;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	hold = hold_by_number(q, number);
	if (hold == NULL)
		return -ENOENT;
	gone = *hold;
	q->hold_count--;
	memmove(hold, hold + 1,
		(size_t)(&q->holds[q->hold_count] - hold) * sizeof(*hold));
	if (queue_match_is_scope(gone.selection)) {
		scope_review(q, gone.selection, false, 0);
	} else {
		q->rcpt_holds--;
		queue_hold_index_remove(q, gone.selection);
		queue_review_begin(q);
	}
	selection_destroy(&gone.selection);
	free(gone.reason);
	queue_tell_waiting(q);
	return 0;
}

uint32_t queue_hold_find(const struct queue *q, const struct selection *s)
{
	uint64_t hash = queue_hold_hash(s);

	MAGIC_CHECK(q, QUEUE_MAGIC);
	for (uint32_t i = 0; i < q->hold_count; i++) {
		if (q->holds[i].hash == hash &&
		    selection_equal(q->holds[i].selection, s))
			return q->holds[i].number;
	}
	return 0;
}

uint32_t queue_hold_count(const struct queue *q)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	return q->hold_count;
}

const struct queue_hold *queue_hold_at(const struct queue *q, uint32_t i)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	sluice_assert(i < q->hold_count);
	return &q->holds[i];
}
