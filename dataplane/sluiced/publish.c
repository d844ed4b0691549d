/* SPDX-License-Identifier: BSD-2-Clause
 *
 * publish.c - demand halves and event rings of the board.
 *
 * Called by the engine and by results.c. Role: queue. Slots are taken when a
 * provider gets its first message and given back when it has none left.
 * Bound: active providers times sources per turn of PUBLISH_NS; memory per
 * provider and source, allocated when a provider becomes active.
 */
#include "sluiced/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/config_change.h"
#include "sluice/event.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"

#define PUBLISH_NS   (250 * NS_PER_MS)
#define BEAT_NS      NS_PER_S
#define OPEN_BATCHES 4 /* of a path, whose answers are not all in */

struct path_slot {
	uint32_t slot; /* on the board; BOARD_NONE */
	uint32_t generation;
	uint64_t accepted, refused;
	uint32_t last_class;
	struct open_batch {
		uint32_t sent, answered; /* messages */
		struct event_batch e;
	} batches[OPEN_BATCHES];
};

struct provider_slot {
	uint32_t slot;
	uint32_t path_count;
	struct path_slot *paths; /* by source; NULL until active */
};

struct publish {
	struct engine *en;
	struct board *board;
	uint64_t next_ns, beat_ns;
	uint32_t sources[CONFIG_SOURCES_MAX]; /* slots */
	uint32_t source_count;
	struct provider_slot *providers;
	uint32_t provider_room;
	uint64_t no_slot; /* providers or paths that found the table full */
};

static void address_of(const struct addr *a, uint8_t out[16], uint32_t *family)
{
	memset(out, 0, 16);
	*family = a->sa.sa_family;
	if (a->sa.sa_family == AF_INET6)
		memcpy(out, &a->in6.sin6_addr, 16);
	else
		memcpy(out, &a->in.sin_addr, 4);
}

static void source_write(struct publish *p, const struct config_source *s,
			 uint32_t *slot)
{
	struct board_source_demand d = {.slot = {.in_use = 1}};
	uint32_t family;

	if (*slot == BOARD_NONE &&
	    board_slot_take(p->board, BOARD_SOURCES, slot) != 0) {
		p->no_slot++;
		*slot = BOARD_NONE;
		return;
	}
	snprintf(d.name, sizeof(d.name), "%s", s->name);
	address_of(&s->public_address, d.public_address, &family);
	address_of(&s->address, d.address, &d.family);
	board_source_write(p->board, *slot, &d);
}

void publish_sources(struct publish *p)
{
	const struct config *c = p->en->config;

	sluice_assert(c->source_count <= CONFIG_SOURCES_MAX);
	while (p->source_count < c->source_count)
		p->sources[p->source_count++] = BOARD_NONE;
	for (uint32_t i = 0; i < c->source_count; i++) {
		if (!c->sources[i].gone) {
			source_write(p, &c->sources[i], &p->sources[i]);
		} else if (p->sources[i] != BOARD_NONE) {
			board_slot_free(p->board, BOARD_SOURCES, p->sources[i]);
			p->sources[i] = BOARD_NONE;
		}
	}
}

int publish_create(struct engine *en, struct publish **out, struct err *e)
{
	struct board_options o = {en->config->run.dir, BOARD_SLUICED, 1};
	struct publish *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	p->en = en;
	rc = board_open(&p->board, &o, e);
	if (rc != 0) {
		free(p);
		return rc;
	}
	publish_sources(p);
	*out = p;
	return 0;
}

void publish_destroy(struct publish **pp)
{
	struct publish *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	for (uint32_t i = 0; i < p->provider_room; i++)
		free(p->providers[i].paths);
	free(p->providers);
	board_close(&p->board);
	free(p);
}

static int providers_grow(struct publish *p, uint32_t count)
{
	struct provider_slot *ps;
	uint32_t room = p->provider_room ? p->provider_room : 64;

	if (count <= p->provider_room)
		return 0;
	while (room < count)
		room *= 2;
	ps = realloc(p->providers, room * sizeof(*ps));
	if (ps == NULL)
		return -ENOMEM;
	for (uint32_t i = p->provider_room; i < room; i++)
		ps[i] = (struct provider_slot){BOARD_NONE, 0, NULL};
	p->providers = ps;
	p->provider_room = room;
	return 0;
}

/* The provider's own memory, made when it is first needed. NULL: none. */
static struct provider_slot *provider_slot(struct publish *p, uint32_t n)
{
	uint32_t sources = p->en->config->source_count;
	struct provider_slot *ps;

	if (providers_grow(p, n + 1) != 0)
		return NULL;
	ps = &p->providers[n];
	if (ps->path_count < sources) {
		struct path_slot *paths =
			realloc(ps->paths, sources * sizeof(*paths));

		if (paths == NULL)
			return NULL;
		ps->paths = paths;
		for (uint32_t i = ps->path_count; i < sources; i++)
			paths[i] = (struct path_slot){.slot = BOARD_NONE};
		ps->path_count = sources;
	}
	return ps;
}

static struct path_slot *path_slot(struct publish *p, uint32_t provider,
				   uint32_t source)
{
	struct provider_slot *ps = provider_slot(p, provider);

	return ps != NULL ? &ps->paths[source] : NULL;
}

static void path_write(struct publish *p, uint32_t provider, uint32_t source)
{
	struct path_slot *s = &p->providers[provider].paths[source];
	struct release_path_status st;
	struct delivery_stats ds = {0};
	struct board_path_demand d = {.slot = {0, 0}};

	if (release_path_status(p->en->release, provider, source, &st) != 0)
		return;
	if (s->slot == BOARD_NONE) {
		if (st.released == 0 && st.state == PATH_OPEN)
			return;
		if (board_slot_take(p->board, BOARD_PATHS, &s->slot) != 0) {
			p->no_slot++;
			s->slot = BOARD_NONE;
			return;
		}
	}
	delivery_path_stats(p->en->delivery, provider, source, &ds);
	d.slot.in_use = 1;
	d.provider = p->providers[provider].slot;
	d.source = p->sources[source];
	d.released = st.released;
	d.accepted = s->accepted;
	d.refused = s->refused;
	d.pace_period_ns = st.pace.period_ns;
	d.pace_count = st.pace.count;
	d.not_before_ns = st.not_before_ns;
	d.state = st.state;
	d.batch = st.batch;
	d.batch_released = st.batch_released;
	d.in_flight = st.in_flight;
	d.connections_open = ds.connections_open;
	d.blocks_in_a_row = st.blocks_in_a_row;
	d.last_class = s->last_class;
	board_path_write(p->board, s->slot, &d);
}

static void batch_close(struct publish *p, struct open_batch *b, bool early)
{
	b->e.released = b->sent;
	b->e.judged_early = early;
	event_batch_push(p->board, 0, &b->e);
	memset(b, 0, sizeof(*b));
}

static void path_free(struct publish *p, struct path_slot *s)
{
	for (int i = 0; i < OPEN_BATCHES; i++) {
		struct open_batch *b = &s->batches[i];

		if (b->sent > 0)
			batch_close(p, b, b->answered < b->sent);
	}
	if (s->slot != BOARD_NONE)
		board_slot_free(p->board, BOARD_PATHS, s->slot);
}

/* It has nothing left: a backlog of many domains leaves no memory behind. */
static void provider_free(struct publish *p, struct provider_slot *ps)
{
	for (uint32_t i = 0; i < ps->path_count; i++)
		path_free(p, &ps->paths[i]);
	free(ps->paths);
	ps->paths = NULL;
	ps->path_count = 0;
	if (ps->slot != BOARD_NONE)
		board_slot_free(p->board, BOARD_PROVIDERS, ps->slot);
	ps->slot = BOARD_NONE;
}

static void provider_fill(const struct publish *p, uint32_t n,
			  const struct queue_counts *q,
			  struct board_provider_demand *d) RUNS_ON(role_queue)
{
	const struct config_provider *c = provider_config(p->en, n);

	d->slot.in_use = 1;
	snprintf(d->name, sizeof(d->name), "%s", p->en->providers[n].name);
	d->waiting = q->waiting;
	d->deferred = q->deferred;
	d->held = q->held;
	d->needs_decision = q->needs_decision;
	d->delivered = q->delivered;
	d->failed = q->failed;
	d->pace_count = c->pace_max.count;
	d->pace_period_ns = c->pace_max.period_ns;
	d->in_flight = (uint32_t)q->in_flight;
	d->oldest_arrival_s = q->oldest_arrival_s;
	d->next_due_s = q->next_due_s;
}

static void provider_write(struct publish *p, uint32_t n) RUNS_ON(role_queue)
{
	struct board_provider_demand d = {.slot = {0, 0}};
	struct provider_slot *ps;
	struct queue_counts q;

	if (queue_provider_counts(p->en->queue, n, &q) != 0)
		return;
	if (q.recipients == 0) {
		if (n < p->provider_room && p->providers[n].paths != NULL)
			provider_free(p, &p->providers[n]);
		return;
	}
	ps = provider_slot(p, n);
	if (ps == NULL)
		return;
	if (ps->slot == BOARD_NONE &&
	    board_slot_take(p->board, BOARD_PROVIDERS, &ps->slot) != 0) {
		p->no_slot++;
		ps->slot = BOARD_NONE;
		return;
	}
	provider_fill(p, n, &q, &d);
	board_provider_write(p->board, ps->slot, &d);
	for (uint32_t s = 0; s < p->en->config->source_count; s++)
		path_write(p, n, s);
}

void publish_step(struct publish *p, uint64_t now_ns)
{
	if (now_ns >= p->beat_ns) {
		board_beat(p->board, now_ns);
		p->beat_ns = now_ns + BEAT_NS;
	}
	if (now_ns < p->next_ns)
		return;
	p->next_ns = now_ns + PUBLISH_NS;
	for (uint32_t n = 0; n < p->en->provider_count; n++)
		provider_write(p, n);
}

void publish_refusal(struct publish *p, const struct publish_refusal *r)
{
	struct path_slot *s = path_slot(p, r->provider, r->source);
	struct event_reply e = {
		.when_ns = clock_realtime_ns(),
		.message = r->id,
		.rcpt = r->rcpt,
		.provider = BOARD_NONE,
		.path = BOARD_NONE,
		.batch = r->batch,
		.wait_s = r->verdict->wait_s,
		.code = r->reply->code,
		.phase = r->phase,
		.reply_class = r->verdict->reply_class,
		.scope = r->verdict->scope,
	};

	if (s == NULL)
		return;
	s->refused++;
	s->last_class = r->verdict->reply_class;
	e.provider = p->providers[r->provider].slot;
	e.path = s->slot;
	memcpy(e.enhanced, r->reply->enhanced, sizeof(e.enhanced));
	e.flags = (uint8_t)((r->verdict->permanent ? EVENT_PERMANENT : 0) |
			    (r->verdict->needs_decision ? EVENT_NEEDS_DECISION
							: 0) |
			    (r->verdict->from_last ? EVENT_FROM_LAST : 0));
	snprintf(e.rule, sizeof(e.rule), "%s", r->verdict->rule);
	snprintf(e.remote, sizeof(e.remote), "%s", r->remote ? r->remote : "");
	event_reply_text(&e, r->reply->text, r->reply->text_len);
	event_reply_push(p->board, 0, &e);
}

/* The open batch of that number; the oldest makes room for a new one. */
static struct open_batch *batch_find(struct publish *p, struct path_slot *s,
				     uint32_t batch, bool make)
{
	struct open_batch *oldest = &s->batches[0];

	for (int i = 0; i < OPEN_BATCHES; i++) {
		struct open_batch *b = &s->batches[i];

		if (b->sent > 0 && b->e.batch == batch)
			return b;
		if (b->sent == 0 ||
		    (oldest->sent > 0 && b->e.batch < oldest->e.batch))
			oldest = b;
	}
	if (!make)
		return NULL;
	if (oldest->sent > 0)
		batch_close(p, oldest, true);
	oldest->e.batch = batch;
	oldest->e.first_ns = clock_realtime_ns();
	return oldest;
}

void publish_sent(struct publish *p, uint32_t provider, uint32_t source,
		  uint32_t batch, uint64_t bytes)
{
	struct path_slot *s = path_slot(p, provider, source);
	struct open_batch *b;

	if (s == NULL)
		return;
	b = batch_find(p, s, batch, true);
	b->sent++;
	b->e.bytes += bytes;
	b->e.provider = p->providers[provider].slot;
	b->e.path = s->slot;
}

void publish_answered(struct publish *p, uint32_t provider, uint32_t source,
		      uint32_t batch, const struct publish_results *r)
{
	struct path_slot *s = path_slot(p, provider, source);
	struct release_path_status st;
	struct open_batch *b;

	if (s == NULL)
		return;
	s->accepted += r->accepted;
	b = batch_find(p, s, batch, false);
	if (b == NULL)
		return; /* judged early */
	b->answered++;
	b->e.accepted += r->accepted;
	b->e.deferred += r->deferred;
	b->e.failed += r->failed;
	b->e.path_refusals += r->path_refusals;
	b->e.lost += r->lost;
	b->e.last_ns = clock_realtime_ns();
	if (b->answered == b->sent &&
	    (release_path_status(p->en->release, provider, source, &st) != 0 ||
	     st.batch != batch))
		batch_close(p, b, false);
}
