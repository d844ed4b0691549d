/* SPDX-License-Identifier: BSD-2-Clause
 *
 * choose.c - which source carries the next message of a domain.
 *
 * Called by the turn of a provider. Owner's thread, reads only.
 * Bound: one or two passes over the pool (at most 256 sources).
 *
 * Rendezvous hashing (Thaler & Ravishankar, 1998): every source gets a weight
 * from a hash of (provider, source, sender); the highest that can send wins.
 * So a sender keeps its source, and a source that closes moves only its own
 * share. A source without a token, or whose connections are all busy, passes
 * the message to the sender's next-ranked one; one that is just connecting
 * gets a moment of patience, lest a cold start scatters senders.
 */
#include "release_priv.h"

#define NO_PATH UINT32_MAX

/* Finaliser of splitmix64 (Steele, Lea, Flood): every bit changes half. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

uint64_t rel_choose_seed(const struct provider *p, uint32_t source)
{
	return mix(mix(p->hash) + source + 1);
}

enum wanted { WANT_DUE, WANT_NOT_MARKED, WANT_READY };

static bool path_fits(const struct provider *p, const struct domain *d,
		      uint32_t i, enum wanted want)
{
	if (want == WANT_DUE)
		return true;
	if (mask_has(d->no_connection, i))
		return false;
	return want == WANT_NOT_MARKED || mask_has(p->ready_mask, i);
}

/* The sender's best path among those with a token. */
static uint32_t path_best(const struct provider *p, const struct domain *d,
			  uint64_t hash, uint64_t now_ns, enum wanted want)
{
	uint32_t best = NO_PATH;
	uint64_t best_weight = 0;

	for (uint32_t i = 0; i < p->path_count; i++) {
		if (p->due_ns[i] > now_ns || !path_fits(p, d, i, want))
			continue;
		uint64_t weight = mix(p->seed[i] ^ hash);
		if (best == NO_PATH || weight > best_weight) {
			best = i;
			best_weight = weight;
		}
	}
	return best;
}

/* When the first path (not marked, if `d`) has a token. */
static uint64_t paths_due_ns(const struct provider *p, const struct domain *d)
{
	uint64_t due_ns = CLOCK_NEVER_NS;

	for (uint32_t i = 0; i < p->path_count; i++) {
		if (p->due_ns[i] < due_ns &&
		    (d == NULL || !mask_has(d->no_connection, i)))
			due_ns = p->due_ns[i];
	}
	return due_ns;
}

static void choose_try(struct choice *c, uint32_t path)
{
	c->kind = CHOICE_TRY;
	c->path = path;
}

static void choose_no_token(const struct provider *p, struct choice *c)
{
	c->kind = CHOICE_NO_TOKEN;
	c->due_ns = paths_due_ns(p, NULL);
}

static void choose_wait_any(const struct release *r, const struct domain *d,
			    struct choice *c)
{
	uint64_t due_ns = paths_due_ns(d->provider, d);

	c->kind = CHOICE_WAIT_ANY;
	c->due_ns = r->now_ns + RELEASE_RETRY_NS;
	if (due_ns > r->now_ns && due_ns < c->due_ns)
		c->due_ns = due_ns;
}

static void choose_wait_path(const struct release *r, uint32_t path,
			     const struct provider *p, struct choice *c)
{
	const struct path *connecting = p->paths[path];

	c->kind = CHOICE_WAIT_PATH;
	c->path = path;
	c->due_ns = r->now_ns + RELEASE_RETRY_NS;
	if (rel_connection_is_coming(r, connecting))
		c->due_ns = connecting->asked_ns + RELEASE_PATIENCE_NS;
}

/* The head must go by `path`. If that takes longer than a moment, it is
 * offered to another path: the owner sets it aside and says SKIP. */
static void choose_pinned(const struct release *r, const struct domain *d,
			  uint32_t path, struct choice *c)
{
	const struct provider *p = d->provider;
	uint64_t due_ns = p->due_ns[path];

	if (due_ns <= r->now_ns) {
		if (!mask_has(d->no_connection, path)) {
			choose_try(c, path);
			return;
		}
		if (rel_connection_is_coming(r, p->paths[path]) ||
		    p->paths[path]->in_flight > 0) {
			choose_wait_path(r, path, p, c);
			return;
		}
	} else if (due_ns - r->now_ns <= RELEASE_PATIENCE_NS) {
		c->kind = CHOICE_TIMED;
		c->due_ns = due_ns;
		return;
	}
	for (uint32_t i = 0; i < p->path_count; i++) {
		if (i != path && p->due_ns[i] <= r->now_ns &&
		    !mask_has(d->no_connection, i)) {
			choose_try(c, i);
			return;
		}
	}
	if (due_ns <= r->now_ns)
		choose_wait_path(r, path, p, c);
	else if (path_best(p, d, 0, r->now_ns, WANT_DUE) != NO_PATH)
		choose_wait_any(r, d, c);
	else
		choose_no_token(p, c);
}

static void choose_free(const struct release *r, const struct domain *d,
			uint64_t hash, struct choice *c)
{
	const struct provider *p = d->provider;
	uint32_t best = path_best(p, d, hash, r->now_ns, WANT_DUE);

	if (best == NO_PATH) {
		choose_no_token(p, c);
		return;
	}
	if (!mask_has(d->no_connection, best)) {
		choose_try(c, best);
		return;
	}
	if (rel_connection_is_coming(r, p->paths[best])) {
		choose_wait_path(r, best, p, c);
		return;
	}
	best = path_best(p, d, hash, r->now_ns,
			 c->asked_unknown ? WANT_READY : WANT_NOT_MARKED);
	if (best == NO_PATH) {
		choose_wait_any(r, d, c);
		return;
	}
	/* opening a connection on every source for one message would look
	 * odd to the receiver: one new one per turn */
	if (!mask_has(p->ready_mask, best))
		c->asked_unknown = true;
	choose_try(c, best);
}

void rel_choose_path(const struct release *r, const struct domain *d,
		     const struct release_head *head, struct choice *c)
{
	const struct provider *p = d->provider;
	const struct path *pinned = NULL;

	if (head->pinned_source != RELEASE_NONE)
		pinned = rel_provider_path(p, head->pinned_source);
	if (pinned != NULL && pinned->in_pool)
		choose_pinned(r, d, pinned->index, c);
	else
		choose_free(r, d, head->sender_hash, c);
}
