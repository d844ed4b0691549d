/* SPDX-License-Identifier: BSD-2-Clause
 *
 * connection.c - who waits for a connection, and who is woken by one.
 *
 * Called by the turn of a provider and by release_connection_ready(). Owner's
 * thread. Bound: a ready connection tries at most RELEASE_WAKES domains, so
 * the work per announced connection is constant however many wait.
 *
 * A domain that got "no connection" on a path marks that path and does not
 * try it again until a connection of the path is announced. Announcements are
 * a short log per provider that a domain reads when its turn comes: nothing
 * is written per domain when a connection becomes ready.
 */
#include <string.h>

#include "release_priv.h"

/* Takes the marks off that the log of announcements has overtaken. */
void rel_connection_sync(const struct release *r, struct domain *d)
{
	const struct provider *p = d->provider;
	uint32_t missed = p->ready_seq - d->ready_seen;

	if (missed > RELEASE_READY_LOG ||
	    (d->marked_ns != 0 &&
	     r->now_ns - d->marked_ns >= RELEASE_RETRY_NS)) {
		memset(d->no_connection, 0, sizeof(d->no_connection));
		d->marked_ns = 0;
	} else {
		for (uint32_t s = d->ready_seen; s != p->ready_seq; s++)
			mask_clear(d->no_connection,
				   p->ready_log[s % RELEASE_READY_LOG]);
	}
	d->ready_seen = p->ready_seq;
}

void rel_connection_missing(struct release *r, struct domain *d,
			    struct path *path)
{
	struct provider *p = path->provider;

	mask_set(d->no_connection, path->index);
	if (d->marked_ns == 0)
		d->marked_ns = r->now_ns;
	mask_clear(p->ready_mask, path->index);
	if (path->in_flight == 0 && path->asked_ns == 0)
		path->asked_ns = r->now_ns;
}

void rel_connection_used(struct path *path)
{
	mask_set(path->provider->ready_mask, path->index);
	path->asked_ns = 0;
	path->wakes -=
		path->wakes < RELEASE_WAKES ? path->wakes : RELEASE_WAKES;
}

/* Nothing is under way on the path, so it is not busy but connecting. */
bool rel_connection_is_coming(const struct release *r, const struct path *path)
{
	return path->in_flight == 0 && path->asked_ns != 0 &&
	       r->now_ns < path->asked_ns + RELEASE_PATIENCE_NS;
}

/* The first of a list that was not tried since the last announcement. */
static struct domain *first_untried(const struct provider *p,
				    const struct link *waiters)
{
	struct domain *d;

	if (link_is_alone(waiters))
		return NULL;
	d = container_of(waiters->next, struct domain, link);
	return d->ready_seen == p->ready_seq ? NULL : d;
}

/* Of those who need this very path and those who take any: who waits longest.
 * Both lists are in the order of waiting. */
static struct domain *longest_waiting(const struct path *path, uint32_t class)
{
	const struct provider *p = path->provider;
	struct domain *d = first_untried(p, &path->waiters[class]);
	struct domain *other = first_untried(p, &p->waiters[class]);

	if (d == NULL || (other != NULL && other->waits_since < d->waits_since))
		return other;
	return d;
}

static void connection_wake(struct release *r, struct path *path)
{
	uint32_t class = rel_share_class(path->provider);
	struct domain *d = longest_waiting(path, class);

	if (d == NULL)
		d = longest_waiting(path, 1 - class);
	if (d == NULL)
		return;
	rel_domain_to_ring(r, d);
	d->woken = true;
	d->woken_path = path->index;
	path->wakes--;
}

void rel_connection_pass_on(struct release *r, struct domain *d)
{
	struct path *path;

	if (!d->woken || d->provider == NULL ||
	    d->woken_path >= d->provider->path_count)
		return;
	d->woken = false;
	path = d->provider->paths[d->woken_path];
	if (path->wakes > 0)
		connection_wake(r, path);
}

void release_connection_ready(struct release *r, uint32_t provider,
			      uint32_t source)
{
	struct provider *p;
	struct path *path;

	MAGIC_CHECK(r, RELEASE_MAGIC);
	p = rel_provider_at(r, provider);
	path = p != NULL ? rel_provider_path(p, source) : NULL;
	if (path == NULL)
		return;
	p->ready_log[p->ready_seq++ % RELEASE_READY_LOG] = (uint8_t)path->index;
	mask_set(p->ready_mask, path->index);
	path->asked_ns = 0;
	if (path->wakes < RELEASE_READY_LOG)
		path->wakes += RELEASE_WAKES;
	connection_wake(r, path);
	rel_path_refresh(r, path);
}
