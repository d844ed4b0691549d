/* SPDX-License-Identifier: BSD-2-Clause
 *
 * turn.c - a provider that is due sends what it may.
 *
 * Called by release_step(). Owner's thread. Bound: RELEASE_TURN_MESSAGES
 * messages, each one pass over the pool; then the next provider.
 * The owner's functions may call back into the engine (counts change, a
 * message is done at once): after each of them only what is re-read counts.
 *
 * Domains take turns by deficit round robin (Shreedhar & Varghese, 1995), those
 * with live mail and those with backlog each in a ring of their own.
 */
#include "release_priv.h"

static uint32_t message_cost(const struct provider *p,
			     const struct release_head *head)
{
	if (!p->count_recipients || head->recipients == 0)
		return 1;
	return head->recipients;
}

/* The next domain of the ring is up. */
static void domain_rotate(struct domain *d)
{
	d->visited = false;
	link_remove(&d->link);
	link_append(&d->provider->ring[d->live], &d->link);
}

/* False: its share of this round is used up, the next domain is up. */
static bool domain_has_credit(struct domain *d, uint32_t cost)
{
	struct provider *p = d->provider;

	if (!d->visited) {
		d->visited = true;
		d->deficit += p->count_recipients ? RELEASE_QUANTUM_RCPTS : 1;
	}
	if (d->deficit >= cost)
		return true;
	domain_rotate(d);
	return false;
}

/* Tokens nobody could have spent (held, stopped, without mail or connection)
 * are not made up for; those that a late loop missed are. */
static void bucket_spend_since(struct pace_bucket *b, uint64_t since_ns,
			       uint64_t now_ns, uint32_t cost)
{
	if (pace_bucket_due_ns(b) < since_ns) {
		b->next_ns = since_ns;
		b->next_rem = 0;
	}
	pace_bucket_spend(b, now_ns, cost);
}

static uint64_t time_later_ns(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns > b_ns ? a_ns : b_ns;
}

static void message_sent(struct release *r, struct domain *d, struct path *path,
			 uint32_t cost, bool both_want)
{
	struct provider *p = path->provider;
	uint64_t since_ns = p->resumed_ns;

	bucket_spend_since(&p->bucket, since_ns, r->now_ns, cost);
	bucket_spend_since(&path->bucket,
			   time_later_ns(path->resumed_ns, since_ns), r->now_ns,
			   cost);
	bucket_spend_since(domain_bucket(d),
			   time_later_ns(d->resumed_ns, since_ns), r->now_ns,
			   cost);
	if (both_want)
		rel_share_spent(p, d->live, cost);
	rel_connection_used(path);
	rel_path_refresh(r, path);
	if (d->place != DOMAIN_RING || d->provider != p)
		return;
	d->deficit -= d->deficit < cost ? d->deficit : cost;
	if (d->deficit == 0)
		domain_rotate(d);
	rel_connection_pass_on(r, d);
}

/* Counted before the call: the owner may report it done inside send(). */
static enum release_sent message_offer(struct release *r, struct domain *d,
				       struct path *path)
{
	struct provider *p = path->provider;
	uint32_t number = rel_batch_next(r, path);
	enum release_sent sent;

	path->in_flight++;
	rel_gate_probe_sent(&path->gate);
	rel_gate_probe_sent(&p->gate);
	if (p->gate.state == PATH_PROBING) {
		p->probe_path = path->index;
		p->probe_batch = number;
	}
	sent = r->ops.send(r->user, p->number, path->source, d->number, d->live,
			   number);
	if (sent == RELEASE_SENT) {
		rel_batch_count(r, path, number);
		return sent;
	}
	path->in_flight--;
	rel_gate_probe_unsent(&path->gate);
	rel_gate_probe_unsent(&p->gate);
	return sent;
}

/* Puts the domain where it waits for what it lacks. */
static void domain_lacks(struct release *r, struct domain *d,
			 const struct choice *c)
{
	struct provider *p = d->provider;

	switch (c->kind) {
	case CHOICE_NO_TOKEN:
		p->paths_due_ns = c->due_ns;
		return;
	case CHOICE_TIMED:
		rel_domain_wait_until(r, d, c->due_ns);
		return;
	case CHOICE_WAIT_PATH:
		rel_domain_wait_connection(r, d, p->paths[c->path], c->due_ns);
		return;
	case CHOICE_WAIT_ANY:
		rel_domain_wait_connection(r, d, NULL, c->due_ns);
		return;
	case CHOICE_TRY:
		break;
	}
	sluice_assert(!"a choice to try is tried, not waited for");
}

static void head_skipped(struct release *r, struct domain *d,
			 const struct release_head *head, struct path *path)
{
	struct path *pinned;

	if (head->pinned_source == RELEASE_NONE ||
	    head->pinned_source == path->source)
		return;
	pinned = rel_provider_path(path->provider, head->pinned_source);
	if (pinned == NULL)
		return;
	pinned->parked = true;
	rel_path_refresh(r, pinned);
}

/* Offers the head to one path after the other until one takes it. */
static void domain_send(struct release *r, struct domain *d,
			const struct release_head *head, uint32_t cost)
{
	struct provider *p = d->provider;
	struct choice c = {.asked_unknown = false};
	enum release_sent sent = RELEASE_NO_CONNECTION;
	bool both_want = rel_share_both_want(p);

	rel_connection_sync(r, d);
	while (sent == RELEASE_NO_CONNECTION) {
		rel_choose_path(r, d, head, &c);
		if (c.kind != CHOICE_TRY) {
			domain_lacks(r, d, &c);
			return;
		}
		struct path *path = p->paths[c.path];
		sent = message_offer(r, d, path);
		if (sent == RELEASE_SENT)
			message_sent(r, d, path, cost, both_want);
		else if (sent == RELEASE_SKIP)
			head_skipped(r, d, head, path);
		else
			rel_connection_missing(r, d, path);
		if (d->place != DOMAIN_RING || d->provider != p ||
		    !rel_gate_may_send(&p->gate))
			return;
	}
}

static void domain_try(struct release *r, struct domain *d)
{
	struct provider *p = d->provider;
	struct release_head head;
	uint64_t due_ns = pace_bucket_due_ns(domain_bucket(d));
	uint32_t cost;

	if (due_ns > r->now_ns) {
		rel_domain_wait_until(r, d, due_ns);
		return;
	}
	if (!r->ops.head(r->user, d->number, d->live, &head)) {
		d->waiting = 0; /* until the owner counts again */
		rel_domain_out(r, d);
		return;
	}
	if (d->place != DOMAIN_RING || d->provider != p)
		return;
	cost = message_cost(p, &head);
	if (domain_has_credit(d, cost))
		domain_send(r, d, &head, cost);
}

static bool provider_may_send(const struct release *r, const struct provider *p)
{
	return !p->held && rel_gate_may_send(&p->gate) &&
	       !rel_provider_is_empty(p) && p->paths_due_ns <= r->now_ns &&
	       pace_bucket_due_ns(&p->bucket) <= r->now_ns;
}

/* Of the class that is up, or of the other where it has nothing to try. */
static struct domain *ring_first(const struct provider *p)
{
	uint32_t c = rel_share_class(p);

	if (link_is_alone(&p->ring[c]))
		c = 1 - c;
	return container_of(p->ring[c].next, struct domain, link);
}

void rel_provider_turn(struct release *r, struct provider *p, uint32_t *budget)
{
	uint32_t tries = 0;

	sluice_assert(!p->in_turn && *budget > 0);
	p->in_turn = true;
	p->woken = false;
	while (tries<RELEASE_TURN_MESSAGES && * budget> 0 &&
	       provider_may_send(r, p)) {
		tries++;
		(*budget)--;
		domain_try(r, ring_first(p));
	}
	p->in_turn = false;
	rel_provider_schedule(r, p);
}
