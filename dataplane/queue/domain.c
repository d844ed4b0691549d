/* SPDX-License-Identifier: BSD-2-Clause
 *
 * domain.c - domains and their providers.
 *
 * Called by the owner and by the files of this room. Role: queue. Bound: O(1);
 * a provider's new order: its domains. Errors: QUEUE_NONE or -ENOMEM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue_priv.h"
#include "sluice/config.h"

#define RCPTS_DEFAULT 100u

struct queue_domain *queue_domain_at(const struct queue *q, uint32_t domain)
{
	return queue_pool_at(&q->domains, domain);
}

struct queue_provider *queue_provider_at(const struct queue *q,
					 uint32_t provider)
{
	return provider < q->provider_count ? &q->providers[provider] : NULL;
}

static int provider_room(struct queue *q, uint32_t provider)
{
	uint32_t room = q->provider_count;

	if (provider >= PROVIDERS_LIMIT)
		return -EINVAL;
	if (provider < q->provider_count)
		return 0;
	if (!queue_array_room(q, &q->providers, &room, provider + 1,
			      sizeof(*q->providers)))
		return -ENOMEM;
	for (uint32_t i = q->provider_count; i < room; i++)
		q->providers[i] = (struct queue_provider){
			.rcpts_max = RCPTS_DEFAULT,
			.domains = QUEUE_NONE,
		};
	q->provider_count = room;
	return 0;
}

static void provider_link(struct queue *q, struct queue_domain *d)
{
	struct queue_provider *p = queue_provider_at(q, d->provider);

	d->provider_prev = QUEUE_NONE;
	d->provider_next = QUEUE_NONE;
	if (p == NULL)
		return;
	d->provider_next = p->domains;
	if (p->domains != QUEUE_NONE)
		queue_domain_at(q, p->domains)->provider_prev = d->number;
	p->domains = d->number;
}

static void provider_unlink(struct queue *q, struct queue_domain *d)
{
	struct queue_provider *p = queue_provider_at(q, d->provider);

	if (d->provider_next != QUEUE_NONE)
		queue_domain_at(q, d->provider_next)->provider_prev =
			d->provider_prev;
	if (d->provider_prev != QUEUE_NONE)
		queue_domain_at(q, d->provider_prev)->provider_next =
			d->provider_next;
	else if (p != NULL)
		p->domains = d->provider_next;
}

int queue_provider_set(struct queue *q, uint32_t provider, const char *name,
		       uint8_t order, uint32_t recipients_per_message)
{
	struct queue_provider *p;
	char *copy;
	int res;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	res = provider_room(q, provider);
	if (res != 0)
		return res;
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	p = &q->providers[provider];
	free(p->name);
	p->name = copy;
	p->rcpts_max = recipients_per_message;
	if (p->rcpts_max == 0 || p->rcpts_max > QUEUE_TAKE_RCPTS_MAX)
		p->rcpts_max = QUEUE_TAKE_RCPTS_MAX;
	if (p->order == order)
		return 0;
	p->order = order;
	for (uint32_t d = p->domains; d != QUEUE_NONE;) {
		struct queue_domain *domain = queue_domain_at(q, d);
		queue_order_reset(q, domain);
		d = domain->provider_next;
	}
	return 0;
}

void queue_provider_shared_hop_set(struct queue *q, uint32_t provider,
				   bool shared)
{
	struct queue_provider *p = queue_provider_at(q, provider);

	if (p != NULL)
		p->shared_hop = shared;
}

static bool flow_init(struct queue *q, struct queue_flow *f)
{
	f->front = queue_list_create(q);
	f->sorted.sentinel = queue_list_create(q);
	f->fresh = queue_list_create(q);
	return f->front != NODE_NONE && f->sorted.sentinel != NODE_NONE &&
	       f->fresh != NODE_NONE;
}

/* Lists take nodes; a domain that cannot get them is not made. */
static int domain_init(struct queue *q, struct queue_domain *d, uint32_t number)
{
	*d = (struct queue_domain){
		.number = number,
		.base = queue_domain_base(q, number),
		.provider = QUEUE_NONE,
		.provider_next = QUEUE_NONE,
		.provider_prev = QUEUE_NONE,
		.held = queue_list_create(q),
	};
	wheel_entry_init(&d->timer);
	return flow_init(q, &d->flows[0]) && flow_init(q, &d->flows[1]) &&
			       d->held != NODE_NONE
		       ? 0
		       : -ENOMEM;
}

static uint32_t domain_new(struct queue *q, uint32_t number)
{
	struct queue_domain *d;
	uint32_t provider = 0;

	if (!queue_array_room(q, &q->dirty, &q->dirty_room, number + 1,
			      sizeof(*q->dirty)) ||
	    queue_pool_grow(&q->domains, 1) != number)
		return QUEUE_NONE;
	d = queue_domain_at(q, number);
	if (domain_init(q, d, number) != 0)
		return QUEUE_NONE;
	if (q->ops.domain_new != NULL)
		provider = q->ops.domain_new(
			q->user, number, intern_text(q->domain_names, number));
	if (provider_room(q, provider) != 0)
		return QUEUE_NONE;
	d->provider = provider;
	provider_link(q, d);
	queue_hold_domain(q, d);
	return number;
}

/* A name that found no memory when it was first seen gets its domain now. */
uint32_t queue_domain_make(struct queue *q, const char *name)
{
	uint32_t number = intern_add(q->domain_names, name, strlen(name));

	if (number == INTERN_NONE)
		return QUEUE_NONE;
	while (q->domains.used <= number) {
		if (domain_new(q, q->domains.used) == QUEUE_NONE)
			return QUEUE_NONE;
	}
	return number;
}

uint32_t queue_domain_find(const struct queue *q, const char *name)
{
	uint32_t number;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	number = intern_find(q->domain_names, name, strlen(name));
	return number < q->domains.used ? number : QUEUE_NONE;
}

const char *queue_domain_name(const struct queue *q, uint32_t domain)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	if (domain < q->domains.used) /* not while it is made */
		domain = queue_domain_at(q, domain)->base;
	return intern_text(q->domain_names, domain);
}

uint32_t queue_domain_count(const struct queue *q)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	return q->domains.used;
}

uint32_t queue_domain_provider(const struct queue *q, uint32_t domain)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	return queue_domain_at(q, domain)->provider;
}

/* Only what is in custody moves: final outcomes stay with the provider that
 * gave them. */
static bool state_moves(uint32_t s)
{
	return s <= RCPT_EXPORTING || rcpt_state_is_kept((uint8_t)s);
}

static void tally_give(struct queue_provider *from, struct queue_provider *to,
		       const struct queue_domain *d)
{
	const struct tally *t = &d->tally;

	sluice_assert(to != NULL);
	for (uint32_t s = RCPT_WAITING; s <= RCPT_EXPORTED; s++) {
		if (!state_moves(s))
			continue;
		if (from != NULL)
			from->tally.by_state[s] -= t->by_state[s];
		to->tally.by_state[s] += t->by_state[s];
	}
	if (from != NULL)
		from->tally.waiting_stopped -= t->waiting_stopped;
	to->tally.waiting_stopped += t->waiting_stopped;
}

/* Heads parked for a source of the old provider wait like all others. */
static void domain_unpark_all(struct queue *q, const struct queue_domain *d)
{
	for (uint32_t i = 0; i < q->park_count; i++) {
		uint32_t sentinel = q->parks[i].sentinel;
		uint32_t n = queue_node(q, sentinel)->next;
		if (q->parks[i].provider != d->provider)
			continue;
		while (n != sentinel) {
			uint32_t next = queue_node(q, n)->next;
			if (queue_node(q, n)->domain == d->number)
				queue_place_settle(q, n, false);
			n = next;
		}
	}
}

void queue_domain_provider_set(struct queue *q, uint32_t domain,
			       uint32_t provider)
{
	struct queue_domain *d;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	d = queue_domain_at(q, domain);
	if (d->provider == provider || provider_room(q, provider) != 0)
		return;
	domain_unpark_all(q, d);
	tally_give(queue_provider_at(q, d->provider), &q->providers[provider],
		   d);
	provider_unlink(q, d);
	d->provider = provider;
	provider_link(q, d);
	queue_order_reset(q, d);
	queue_hold_domain(q, d);
	/* the new provider has heard of no mail of this domain yet */
	queue_domain_dirty(q, d);
	queue_tell_waiting(q);
}
