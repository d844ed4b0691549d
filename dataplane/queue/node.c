/* SPDX-License-Identifier: BSD-2-Clause
 *
 * node.c - lists of nodes, and runs of nodes that are free.
 *
 * Called by the files of this room. Role: queue. Bound: O(1); a run longer
 * than 62 searches the list of long free runs. Errors: NODE_NONE, no memory.
 *
 * A message takes as many consecutive nodes as it has recipients. Free runs
 * are kept by length; a longer one is cut when none fits exactly.
 */
#include "queue_priv.h"

static uint32_t run_class(uint32_t count)
{
	return count < RUN_CLASSES ? count : 0;
}

/* A free run keeps its length in `message` and is linked by `next`. */
static void run_push(struct queue *q, uint32_t first, uint32_t count)
{
	struct node *node = queue_node(q, first);
	uint32_t *head = &q->runs[run_class(count)];

	*node = (struct node){.next = *head, .message = count};
	*head = first;
}

static uint32_t run_pop(struct queue *q, uint32_t class)
{
	uint32_t first = q->runs[class];

	if (first != NODE_NONE)
		q->runs[class] = queue_node(q, first)->next;
	return first;
}

/* First fit among the long runs. */
static uint32_t run_pop_long(struct queue *q, uint32_t count)
{
	uint32_t *link = &q->runs[0];

	while (*link != NODE_NONE) {
		uint32_t first = *link;
		struct node *node = queue_node(q, first);
		if (node->message >= count) {
			*link = node->next;
			return first;
		}
		link = &node->next;
	}
	return NODE_NONE;
}

static uint32_t run_pop_cut(struct queue *q, uint32_t count)
{
	uint32_t first = NODE_NONE;

	for (uint32_t c = count; c < RUN_CLASSES && first == NODE_NONE; c++)
		first = run_pop(q, c);
	if (first == NODE_NONE)
		first = run_pop_long(q, count);
	if (first == NODE_NONE)
		return NODE_NONE;
	uint32_t length = queue_node(q, first)->message;
	if (length > count)
		run_push(q, first + count, length - count);
	return first;
}

uint32_t queue_run_alloc(struct queue *q, uint32_t count)
{
	uint32_t first;

	sluice_assert(count > 0);
	first = run_pop_cut(q, count);
	if (first == NODE_NONE)
		first = queue_pool_grow(&q->nodes, count);
	if (first == NODE_NONE)
		return NODE_NONE;
	for (uint32_t i = 0; i < count; i++)
		*queue_node(q, first + i) = (struct node){
			.next = first + i,
			.prev = first + i,
			.message = NODE_NONE,
		};
	return first;
}

void queue_run_free(struct queue *q, uint32_t first, uint32_t count)
{
	run_push(q, first, count);
}

uint32_t queue_list_create(struct queue *q)
{
	return queue_run_alloc(q, 1);
}

static void list_link(struct queue *q, uint32_t before, uint32_t n,
		      uint32_t after)
{
	struct node *node = queue_node(q, n);

	sluice_assert(node->next == n && node->prev == n);
	node->prev = before;
	node->next = after;
	queue_node(q, before)->next = n;
	queue_node(q, after)->prev = n;
}

void queue_list_append(struct queue *q, uint32_t sentinel, uint32_t n)
{
	list_link(q, queue_node(q, sentinel)->prev, n, sentinel);
}

void queue_list_prepend(struct queue *q, uint32_t sentinel, uint32_t n)
{
	list_link(q, sentinel, n, queue_node(q, sentinel)->next);
}

void queue_list_remove(struct queue *q, uint32_t n)
{
	struct node *node = queue_node(q, n);

	queue_node(q, node->prev)->next = node->next;
	queue_node(q, node->next)->prev = node->prev;
	node->next = n;
	node->prev = n;
}

bool queue_list_is_empty(const struct queue *q, uint32_t sentinel)
{
	return queue_node(q, sentinel)->next == sentinel;
}

void queue_list_splice(struct queue *q, uint32_t to, uint32_t from)
{
	struct node *source = queue_node(q, from);
	struct node *target = queue_node(q, to);
	uint32_t first = source->next;
	uint32_t last = source->prev;

	if (first == from)
		return;
	queue_node(q, first)->prev = target->prev;
	queue_node(q, target->prev)->next = first;
	queue_node(q, last)->next = to;
	target->prev = last;
	source->next = from;
	source->prev = from;
}
