/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue.c - the index begins and ends.
 *
 * Called by its owner. Role: queue. Pure: no clock, no I/O. Bound of destroy:
 * all domains and holds; messages go with their chunks. Errors: NULL or
 * -ENOMEM without memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue_priv.h"
#include "sluice/clock.h"

static bool queue_init(struct queue *q)
{
	q->nodes.item_bytes = sizeof(struct node);
	q->messages.item_bytes = sizeof(struct message);
	q->pages.item_bytes = PAGE_IDS * sizeof(uint32_t);
	q->domains.item_bytes = sizeof(struct queue_domain);
	for (uint32_t i = 0; i < RUN_CLASSES; i++)
		q->runs[i] = NODE_NONE;
	q->message_free = QUEUE_NONE;
	q->page_free = QUEUE_NONE;
	wheel_init(&q->due, NS_PER_S, 0);
	q->domain_names = intern_create();
	q->sender_names = intern_create();
	q->in_flight = queue_list_create(q);
	return q->domain_names != NULL && q->sender_names != NULL &&
	       q->in_flight != NODE_NONE;
}

struct queue *queue_create(const struct queue_ops *ops, void *user)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->magic = QUEUE_MAGIC;
	q->ops = *ops;
	q->user = user;
	if (!queue_init(q))
		queue_destroy(&q);
	return q;
}

static void domains_free(struct queue *q)
{
	for (uint32_t i = 0; i < q->domains.used; i++) {
		struct queue_domain *d = queue_domain_at(q, i);
		free(d->flows[0].runs);
		free(d->flows[1].runs);
		free(d->buckets);
		free(d->slots);
		free(d->pauses.list);
	}
}

static void names_free(struct queue *q)
{
	for (uint32_t i = 0; i < q->provider_count; i++) {
		free(q->providers[i].name);
		free(q->providers[i].blocks.list);
	}
	for (uint32_t i = 0; i < q->source_count; i++)
		free(q->source_names[i]);
	for (uint32_t i = 0; i < q->hold_count; i++) {
		selection_destroy(&q->holds[i].selection);
		free(q->holds[i].reason);
	}
}

void queue_destroy(struct queue **qp)
{
	struct queue *q = *qp;

	if (q == NULL)
		return;
	MAGIC_CHECK(q, QUEUE_MAGIC);
	domains_free(q);
	names_free(q);
	for (uint32_t i = 0; i < DIGEST_PARTS; i++)
		free(q->digests[i].slots);
	queue_pool_free(&q->nodes);
	queue_pool_free(&q->messages);
	queue_pool_free(&q->pages);
	queue_pool_free(&q->domains);
	intern_destroy(&q->domain_names);
	intern_destroy(&q->sender_names);
	free(q->directory);
	free(q->providers);
	free(q->source_names);
	free(q->dirty);
	free(q->parks);
	free(q->holds);
	free(q->hold_keys);
	free(q->hold_others);
	free(q->doubts);
	free(q->doubt_table);
	q->magic = 0;
	free(q);
	*qp = NULL;
}

int queue_source_set(struct queue *q, uint32_t source, const char *name)
{
	uint32_t room;
	char *copy;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	room = q->source_count;
	if (source >= UINT16_MAX)
		return -EINVAL;
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	if (!queue_array_room(q, &q->source_names, &room, source + 1,
			      sizeof(*q->source_names))) {
		free(copy);
		return -ENOMEM;
	}
	for (uint32_t i = q->source_count; i < room; i++)
		q->source_names[i] = NULL;
	q->source_count = room;
	free(q->source_names[source]);
	q->source_names[source] = copy;
	return 0;
}
