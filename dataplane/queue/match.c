/* SPDX-License-Identifier: BSD-2-Clause
 *
 * match.c - does a selection speak of this recipient?
 *
 * Called by walks and by standing holds. Role: queue, reads only. Bound: the
 * terms of the selection. Errors: none.
 *
 * Addresses are known by hash only (32 bits, the domain exactly), account,
 * client and headers not at all: such a match is MATCH_MAYBE and the caller
 * confirms it by the stored record.
 */
#include <string.h>

#include "queue_priv.h"
#include "sluice/domain.h"

static bool name_in(const struct selection_list *l, const char *name)
{
	if (l->count == 0)
		return true;
	for (uint32_t i = 0; i < l->count && name != NULL; i++) {
		if (strcmp(l->items[i], name) == 0)
			return true;
	}
	return false;
}

static bool domain_in(const struct selection_list *l, const char *name)
{
	if (l->count == 0)
		return true;
	for (uint32_t i = 0; i < l->count; i++) {
		if (domain_match(l->items[i], name))
			return true;
	}
	return false;
}

bool queue_match_domain(const struct queue *q, const struct selection *s,
			const struct queue_domain *d)
{
	const struct queue_provider *p = queue_provider_at(q, d->provider);

	return name_in(&s->providers, p != NULL ? p->name : NULL) &&
	       domain_in(&s->domains, queue_domain_name(q, d->number));
}

/* Nothing but domains decides: such a hold touches no message. */
bool queue_match_is_scope(const struct selection *s)
{
	return !selection_is_empty(s) && s->senders.count == 0 &&
	       s->sender_domains.count == 0 && s->recipients.count == 0 &&
	       s->sources.count == 0 && s->id_count == 0 && s->states == 0 &&
	       s->older_s == 0 && s->newer_s == 0 && s->larger_bytes == 0 &&
	       s->smaller_bytes == 0 && !selection_needs_record(s);
}

static bool sender_in(const struct selection_list *l, uint32_t sender_hash)
{
	for (uint32_t i = 0; i < l->count; i++) {
		if (spool_hash(l->items[i], strlen(l->items[i])) == sender_hash)
			return true;
	}
	return l->count == 0;
}

static bool rcpt_in(const struct queue *q, const struct selection_list *l,
		    const struct node *node)
{
	const char *name = queue_domain_name(q, node->domain);

	for (uint32_t i = 0; i < l->count; i++) {
		const char *domain = mail_address_domain(l->items[i]);
		if (domain == NULL || strcasecmp(domain, name) != 0)
			continue;
		size_t local = (size_t)(domain - l->items[i]) - 1;
		if (spool_hash(l->items[i], local) == node->local_hash)
			return true;
	}
	return l->count == 0;
}

static bool source_in(const struct queue *q, const struct selection_list *l,
		      const struct node *node)
{
	if (l->count == 0)
		return true;
	if (node->pinned == 0 || node->pinned > q->source_count)
		return false;
	return name_in(l, q->source_names[node->pinned - 1]);
}

static bool id_in(const struct selection *s, uint64_t id)
{
	for (uint32_t i = 0; i < s->id_count; i++) {
		if (s->ids[i] == id)
			return true;
	}
	return s->id_count == 0;
}

/* As an operator sees it: what a hold over the domain keeps back is held. */
uint8_t queue_effective_state(const struct queue *q, const struct node *node)
{
	if (node->state == RCPT_WAITING &&
	    queue_domain_at(q, node->domain)->holds > 0)
		return RCPT_HELD;
	return node->state;
}

static bool state_in(const struct queue *q, const struct selection *s,
		     const struct node *node)
{
	uint8_t state = queue_effective_state(q, node);

	if (s->states == 0)
		return !rcpt_state_is_done(state) ||
		       (s->id_count > 0 && rcpt_state_is_kept(state));
	return (s->states >> (state & 31)) & 1;
}

static bool message_matches(const struct queue *q, const struct selection *s,
			    const struct message *m, uint32_t now_s)
{
	uint32_t age_s = now_s > m->arrival_s ? now_s - m->arrival_s : 0;

	if (s->older_s != 0 && age_s < s->older_s)
		return false;
	if (s->newer_s != 0 && age_s > s->newer_s)
		return false;
	if (s->larger_bytes != 0 && m->content_bytes <= s->larger_bytes)
		return false;
	if (s->smaller_bytes != 0 && m->content_bytes >= s->smaller_bytes)
		return false;
	return id_in(s, m->id) && sender_in(&s->senders, m->sender_hash) &&
	       domain_in(&s->sender_domains,
			 intern_text(q->sender_names, m->sender_domain));
}

enum match queue_match(const struct queue *q, const struct selection *s,
		       uint32_t n, uint32_t now_s)
{
	const struct node *node = queue_node(q, n);
	const struct message *m = queue_message(q, node->message);

	if (selection_is_empty(s) || !state_in(q, s, node) ||
	    !message_matches(q, s, m, now_s) ||
	    !queue_match_domain(q, s, queue_domain_at(q, node->domain)) ||
	    !source_in(q, &s->sources, node) ||
	    !rcpt_in(q, &s->recipients, node))
		return MATCH_NO;
	return s->senders.count > 0 || s->recipients.count > 0 ||
			       selection_needs_record(s)
		       ? MATCH_MAYBE
		       : MATCH_EXACT;
}
