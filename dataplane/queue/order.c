/* SPDX-License-Identifier: BSD-2-Clause
 *
 * order.c - waiting recipients of a domain in the provider's order.
 *
 * Called when a recipient begins to wait, and before the head is looked at.
 * Role: queue. Errors: none; without memory for another run everything goes
 * into one.
 *
 * What comes in order is appended or prepended, O(1). The rest is collected;
 * when the head is wanted, or FRESH_MAX have gathered, it is merge-sorted into
 * a run. Of two neighbouring small runs the older one is at least twice as
 * long, else they are merged; big ones stay as they are until there are 64.
 * So nobody ever walks through the backlog to sort in what came back. The head
 * is the least of the runs' heads.
 */
#include <string.h>

#include "queue_priv.h"
#include "sluice/config.h"

#define FRESH_MAX 8192u
#define RUN_BIG   32768u /* not merged while there is room for runs */
#define RUNS_MAX  64u

struct order_key {
	uint64_t first;
	uint64_t id;
	uint32_t node;
};

static struct order_key key_of(const struct queue *q, uint8_t order, uint32_t n)
{
	const struct message *m = queue_message(q, queue_node(q, n)->message);
	struct order_key k = {.id = m->id, .node = n};

	if (order == ORDER_NEWEST)
		k.first = UINT32_MAX - m->arrival_s;
	else if (order == ORDER_SMALLEST)
		k.first = m->content_bytes;
	else
		k.first = m->arrival_s;
	return k;
}

static bool key_less(const struct order_key *a, const struct order_key *b)
{
	if (a->first != b->first)
		return a->first < b->first;
	if (a->id != b->id)
		return a->id < b->id;
	return a->node < b->node;
}

static bool node_less(const struct queue *q, uint8_t order, uint32_t a,
		      uint32_t b)
{
	struct order_key ka = key_of(q, order, a);
	struct order_key kb = key_of(q, order, b);

	return key_less(&ka, &kb);
}

static uint8_t domain_order(const struct queue *q, const struct queue_domain *d)
{
	const struct queue_provider *p = queue_provider_at(q, d->provider);

	return p != NULL ? p->order : (uint8_t)ORDER_OLDEST;
}

/* Chains below are singly linked by `next` and end with NODE_NONE. */
static uint32_t chain_merge(struct queue *q, uint8_t order, uint32_t a,
			    uint32_t b)
{
	uint32_t head = NODE_NONE;
	uint32_t *link = &head;

	while (a != NODE_NONE && b != NODE_NONE) {
		uint32_t *from = node_less(q, order, b, a) ? &b : &a;
		*link = *from;
		link = &queue_node(q, *from)->next;
		*from = *link;
	}
	*link = a != NODE_NONE ? a : b;
	return head;
}

/* Cuts the ascending run off that `*rest` begins with. */
static uint32_t chain_run(struct queue *q, uint8_t order, uint32_t *rest)
{
	uint32_t first = *rest, last = first;
	uint32_t next = queue_node(q, last)->next;

	while (next != NODE_NONE && !node_less(q, order, next, last)) {
		last = next;
		next = queue_node(q, last)->next;
	}
	queue_node(q, last)->next = NODE_NONE;
	*rest = next;
	return first;
}

/* Bottom-up: bin i holds a sorted chain of about 2^i runs. */
static uint32_t chain_sort(struct queue *q, uint8_t order, uint32_t rest)
{
	uint32_t bins[32];
	uint32_t used = 0, sorted = NODE_NONE, i;

	while (rest != NODE_NONE) {
		uint32_t run = chain_run(q, order, &rest);
		for (i = 0; i < used && bins[i] != NODE_NONE; i++) {
			run = chain_merge(q, order, bins[i], run);
			bins[i] = NODE_NONE;
		}
		if (i == used)
			used++;
		bins[i] = run;
	}
	for (i = 0; i < used; i++)
		sorted = chain_merge(q, order, bins[i], sorted);
	return sorted;
}

/* Takes all nodes out of a list, as a chain. */
static uint32_t list_to_chain(struct queue *q, uint32_t sentinel)
{
	struct node *s = queue_node(q, sentinel);
	uint32_t first = s->next;

	if (first == sentinel)
		return NODE_NONE;
	queue_node(q, s->prev)->next = NODE_NONE;
	s->next = sentinel;
	s->prev = sentinel;
	return first;
}

/* The chain becomes the whole of an empty list. */
static void chain_to_list(struct queue *q, uint32_t sentinel, uint32_t chain)
{
	uint32_t before = sentinel;

	queue_node(q, sentinel)->next = chain;
	while (chain != NODE_NONE) {
		struct node *node = queue_node(q, chain);
		node->prev = before;
		before = chain;
		if (node->next == NODE_NONE)
			node->next = sentinel;
		chain = node->next == sentinel ? NODE_NONE : node->next;
	}
	queue_node(q, sentinel)->prev = before;
}

static uint32_t chain_length(const struct queue *q, uint32_t chain)
{
	uint32_t count = 0;

	for (; chain != NODE_NONE; chain = queue_node(q, chain)->next)
		count++;
	return count;
}

static struct order_run *run_last(struct queue_flow *f)
{
	return f->run_count > 0 ? &f->runs[f->run_count - 1] : &f->sorted;
}

/* Takes the last run apart and merges it with the chain. */
static uint32_t run_merge_last(struct queue *q, struct queue_flow *f,
			       uint8_t order, uint32_t chain)
{
	struct order_run *last = run_last(f);

	chain = chain_merge(q, order, list_to_chain(q, last->sentinel), chain);
	if (last == &f->sorted)
		return chain;
	queue_run_free(q, last->sentinel, 1);
	f->run_count--;
	return chain;
}

/* Makes one of the two neighbouring runs that are shortest together. */
static void run_merge_pair(struct queue *q, struct queue_flow *f, uint8_t order)
{
	uint32_t at = 0;
	struct order_run *a = f->runs;

	for (uint32_t i = 1; i + 1 < f->run_count; i++) {
		if ((uint64_t)a[i].size + a[i + 1].size <
		    (uint64_t)a[at].size + a[at + 1].size)
			at = i;
	}
	uint32_t chain = list_to_chain(q, a[at].sentinel);
	chain = chain_merge(q, order, chain,
			    list_to_chain(q, a[at + 1].sentinel));
	a[at].size += a[at + 1].size;
	chain_to_list(q, a[at].sentinel, chain);
	queue_run_free(q, a[at + 1].sentinel, 1);
	f->run_count--;
	memmove(&a[at + 1], &a[at + 2], (f->run_count - at - 1) * sizeof(*a));
}

static bool run_add(struct queue *q, struct queue_flow *f, uint32_t chain,
		    uint32_t size)
{
	uint32_t sentinel;

	if (!queue_array_room(q, &f->runs, &f->run_room, f->run_count + 1,
			      sizeof(*f->runs)))
		return false;
	sentinel = queue_list_create(q);
	if (sentinel == NODE_NONE)
		return false;
	chain_to_list(q, sentinel, chain);
	f->runs[f->run_count++] = (struct order_run){sentinel, size};
	return true;
}

static void order_settle(struct queue *q, struct queue_flow *f, uint8_t order)
{
	uint32_t chain, size;

	if (queue_list_is_empty(q, f->fresh))
		return;
	chain = chain_sort(q, order, list_to_chain(q, f->fresh));
	size = chain_length(q, chain);
	f->fresh_count = 0;
	for (;;) {
		struct order_run *last = run_last(f);
		bool base = last == &f->sorted;
		bool empty = queue_list_is_empty(q, last->sentinel);
		bool keep = last->size >= RUN_BIG || last->size / 2 >= size;
		if (!empty && keep && run_add(q, f, chain, size)) {
			if (f->run_count > RUNS_MAX)
				run_merge_pair(q, f, order);
			return;
		}
		size += empty ? 0 : last->size;
		chain = run_merge_last(q, f, order, chain);
		if (!base)
			continue;
		chain_to_list(q, f->sorted.sentinel, chain);
		f->sorted.size = size;
		return;
	}
}

void queue_order_insert(struct queue *q, struct queue_domain *domain,
			uint32_t n)
{
	uint8_t order = domain_order(q, domain);
	struct queue_flow *f = queue_flow_of(q, domain, n);
	uint32_t sentinel = f->sorted.sentinel;
	const struct node *sorted = queue_node(q, sentinel);

	if (sorted->next == sentinel || !node_less(q, order, n, sorted->prev)) {
		queue_list_append(q, sentinel, n);
		f->sorted.size++;
	} else if (node_less(q, order, n, sorted->next)) {
		queue_list_prepend(q, sentinel, n);
		f->sorted.size++;
	} else {
		queue_list_append(q, f->fresh, n);
		if (++f->fresh_count >= FRESH_MAX)
			order_settle(q, f, order);
	}
}

uint32_t queue_order_head(struct queue *q, struct queue_domain *domain,
			  bool live)
{
	uint8_t order = domain_order(q, domain);
	struct queue_flow *f = &domain->flows[live];
	uint32_t best, kept = 0;

	order_settle(q, f, order);
	best = queue_node(q, f->sorted.sentinel)->next;
	if (best == f->sorted.sentinel)
		best = NODE_NONE;
	for (uint32_t i = 0; i < f->run_count; i++) {
		uint32_t sentinel = f->runs[i].sentinel;
		uint32_t n = queue_node(q, sentinel)->next;
		if (n == sentinel) { /* used up */
			queue_run_free(q, sentinel, 1);
			continue;
		}
		f->runs[kept++] = f->runs[i];
		if (best == NODE_NONE || node_less(q, order, n, best))
			best = n;
	}
	f->run_count = kept;
	return best;
}

static void flow_reset(struct queue *q, struct queue_flow *f)
{
	queue_list_splice(q, f->fresh, f->sorted.sentinel);
	for (uint32_t i = 0; i < f->run_count; i++) {
		queue_list_splice(q, f->fresh, f->runs[i].sentinel);
		queue_run_free(q, f->runs[i].sentinel, 1);
	}
	f->run_count = 0;
	f->sorted.size = 0;
}

void queue_order_reset(struct queue *q, struct queue_domain *d)
{
	flow_reset(q, &d->flows[0]);
	flow_reset(q, &d->flows[1]);
}
