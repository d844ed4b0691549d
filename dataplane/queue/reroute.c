/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reroute.c - recipients that go another way than their domain does.
 *
 * Called by the owner for an operator's reroute and at recovery. Role: queue.
 * Bound: O(1) a recipient. Errors: -ENOENT, -EBUSY (in flight), -EALREADY
 * (done), -ENOMEM; nothing is changed then.
 *
 * Another next hop is another provider, and a provider has domains: such mail
 * waits in a domain of its own, which has the same name for all who ask. The
 * key of such a domain is the name, VIA_MARK, and the provider's number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue_priv.h"
#include "sluice/domain.h"

#define VIA_MARK '\x01'

uint32_t queue_domain_base(const struct queue *q, uint32_t number)
{
	const char *key = intern_text(q->domain_names, number);
	const char *mark = strchr(key, VIA_MARK);
	uint32_t base;

	if (mark == NULL)
		return number;
	base = intern_find(q->domain_names, key, (size_t)(mark - key));
	return base == INTERN_NONE ? number : base;
}

bool queue_domain_is_via(const struct queue *q, uint32_t domain)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	return queue_domain_at(q, domain)->base != domain;
}

uint32_t queue_via_provider(const char *key)
{
	const char *mark = strchr(key, VIA_MARK);

	return mark == NULL ? QUEUE_NONE
			    : (uint32_t)strtoul(mark + 1, NULL, 10);
}

/* The domain of that name whose mail goes to `provider`. */
static uint32_t via_domain(struct queue *q, uint32_t domain, uint32_t provider)
{
	char key[DOMAIN_BYTES + 16];
	uint32_t base = queue_domain_base(q, domain);

	if (provider == QUEUE_NONE)
		return base;
	snprintf(key, sizeof(key), "%s%c%u", queue_domain_name(q, base),
		 VIA_MARK, provider);
	return queue_domain_make(q, key);
}

static void move_kept(struct queue *q, struct node *node, uint32_t domain)
{
	uint8_t state = node->state;

	queue_tally_move(q, queue_domain_at(q, node->domain), state, 0);
	node->domain = domain;
	queue_tally_move(q, queue_domain_at(q, domain), 0, state);
}

static int move_open(struct queue *q, uint32_t n, uint32_t domain)
{
	struct node *node = queue_node(q, n);
	uint32_t arrival_s = queue_message(q, node->message)->arrival_s;
	uint32_t time_s = node->time_s;
	uint8_t state = node->state;
	int res = queue_oldest_add(q, queue_domain_at(q, domain), arrival_s);

	if (res != 0)
		return res;
	queue_place_remove(q, n);
	queue_oldest_remove(queue_domain_at(q, node->domain), arrival_s);
	node->domain = domain;
	if (state == RCPT_NEEDS_DECISION) {
		queue_place_needs_decision(q, n);
		node->time_s = time_s;
	} else if (state != RCPT_DEFERRED ||
		   queue_place_deferred(q, n, time_s) != 0) {
		queue_place_settle(q, n, false);
	}
	return 0;
}

static int node_may_move(const struct node *node)
{
	if (node->state == RCPT_WAITING || node->state == RCPT_HELD ||
	    node->state == RCPT_DEFERRED ||
	    node->state == RCPT_NEEDS_DECISION ||
	    rcpt_state_is_kept(node->state))
		return 0;
	return rcpt_state_is_done(node->state) ? -EALREADY : -EBUSY;
}

int queue_reroute(struct queue *q, uint64_t id, uint32_t rcpt,
		  uint32_t provider, uint32_t source)
{
	uint32_t n, domain;
	struct node *node;
	int res;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	n = queue_rcpt_node(q, id, rcpt);
	if (n == NODE_NONE)
		return -ENOENT;
	node = queue_node(q, n);
	res = node_may_move(node);
	if (res != 0)
		return res;
	domain = via_domain(q, node->domain, provider);
	if (domain == QUEUE_NONE)
		return -ENOMEM;
	if (rcpt_state_is_kept(node->state))
		move_kept(q, node, domain);
	else
		res = move_open(q, n, domain);
	if (res == 0) {
		node->pinned =
			source == QUEUE_NONE ? 0 : (uint16_t)(source + 1);
		node->marks &= (uint8_t)~MARK_REROUTED;
		if (source != QUEUE_NONE)
			node->marks |= MARK_REROUTED;
	}
	queue_tell_waiting(q);
	return res;
}
