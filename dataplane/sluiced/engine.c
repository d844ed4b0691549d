/* SPDX-License-Identifier: BSD-2-Clause
 *
 * engine.c - puts the rooms together and steps them.
 *
 * One thread plays queue, spool, worker and command. engine_step() is the data
 * path: events in, releases out, one commit for all that was gathered.
 */
#include "sluiced/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "intake/import.h"
#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/config_change.h"
#include "sluice/log.h"
#include "sluiced/audit.h"
#include "sluiced/engine_priv.h"
#include "sluiced/listener.h"
#include "sluiced/publish.h"
#include "sluiced/recovery.h"
#include "sluiced/replies.h"

#define RELEASE_BUDGET 256   /* messages per turn */
#define REVIEW_SLICE   16384 /* messages a new hold looks at per turn */
#define WAIT_MAX_NS    (250 * NS_PER_MS)
#define IMPORT_WINDOW  4096
#define DOMAINS_MAX    (1u << 20)
#define PROVIDERS_MAX  (1u << 20)
#define SETTLE_NS_MAX  (10 * NS_PER_S)
#define SPIN_NS        (50 * NS_PER_US)
#define PREFETCH_BYTES (80u << 10) /* what delivery reads before MAIL */
#define FILE_SLOTS     16384u

static uint64_t sender_mix(const char *domain)
{
	uint64_t h = spool_hash(domain, strlen(domain));

	return h * 0x9e3779b97f4a7c15ULL;
}

static bool op_head(void *user, uint32_t domain, bool live,
		    struct release_head *out)
{
	struct engine *en = user;
	struct queue_head h;

	if (!queue_head(en->queue, domain, live, &h))
		return false;
	out->sender_hash = sender_mix(
		queue_sender_domain_text(en->queue, h.sender_domain));
	out->pinned_source =
		h.pinned_source == QUEUE_NONE ? RELEASE_NONE : h.pinned_source;
	out->recipients = h.recipients;
	return true;
}

/* The head is pinned to another source: it is set aside. A source that has left
 * the pool is waited for by nobody. */
static bool head_parked(struct engine *en, uint32_t provider, uint32_t source,
			uint32_t domain, bool live, const struct queue_head *h)
	RUNS_ON(role_queue)
{
	if (h->pinned_source == QUEUE_NONE || h->pinned_source == source ||
	    !config_pool_has(en->config, provider_config(en, provider)->pool,
			     h->pinned_source))
		return false;
	queue_park(en->queue, domain, live, h->pinned_source);
	return true;
}

/* What goes next from this domain: in memory by then, so that its MAIL follows
 * in the step in which its token is spent. */
static void head_prefetch(struct engine *en, uint32_t domain, bool live)
{
	struct queue_head h;

	if (queue_head(en->queue, domain, live, &h))
		spool_prefetch(en->spool, &h.place, PREFETCH_BYTES);
}

static enum release_sent op_send(void *user, uint32_t provider, uint32_t source,
				 uint32_t domain, bool live, uint32_t batch)
{
	struct engine *en = user;
	static struct queue_taken t; /* large; one thread plays this role */
	struct delivery_message m;
	struct queue_head h;

	role_assert(&role_queue);
	if (en->stopping || en->broken != 0)
		return RELEASE_NO_CONNECTION;
	if (!queue_head(en->queue, domain, live, &h))
		return RELEASE_SKIP;
	if (head_parked(en, provider, source, domain, live, &h))
		return RELEASE_SKIP;
	if (!delivery_ready(en->delivery, provider, source, domain)) {
		if (delivery_family_missing(en->delivery, provider, source,
					    domain))
			reach_no_family(en, provider, domain);
		head_prefetch(en, domain, live);
		return RELEASE_NO_CONNECTION;
	}
	if (queue_take(en->queue, domain, live, clock_realtime_s(), &t) != 0)
		return RELEASE_SKIP;
	m = (struct delivery_message){
		.id = t.id,
		.place = t.place,
		.content_bytes = t.content_bytes,
		.flags = t.flags,
		.batch = batch,
		.rcpt_count = t.rcpt_count,
		.rcpts = t.rcpts,
	};
	if (delivery_offer(en->delivery, provider, source, domain, &m) == 0) {
		publish_sent(en->publish, provider, source, batch,
			     t.content_bytes);
		head_prefetch(en, domain, live);
		return RELEASE_SENT;
	}
	for (uint32_t i = t.rcpt_count; i-- > 0;)
		queue_put_back(en->queue, t.id, t.rcpts[i]);
	return RELEASE_NO_CONNECTION;
}

static void op_unpark(void *user, uint32_t provider, uint32_t source)
{
	struct engine *en = user;

	queue_unpark_provider(en->queue, provider, source);
}

/* So that a restart goes on as it is now. */
static void paths_note(struct engine *en, uint32_t provider, uint32_t source)
	RUNS_ON(role_queue, role_spool)
{
	const struct config_provider *c = provider_config(en, provider);
	const struct config_pool *pool = &en->config->pools[c->pool];

	if (source != RELEASE_NONE) {
		if (!en->config->sources[source].gone)
			stop_note(en, provider, source);
		return;
	}
	for (uint32_t i = 0; i < pool->source_count; i++)
		stop_note(en, provider, pool->sources[i]);
}

/* A path, or with source RELEASE_NONE a provider, goes faster or slower. */
static void op_changed(void *user, uint32_t provider, uint32_t source,
		       const char *reason)
{
	struct engine *en = user;
	struct release_path_status st;
	const char *via = "all sources", *state = "";
	char pace[32] = "";

	role_assert(&role_queue);
	role_assert(&role_spool);
	if (source != RELEASE_NONE &&
	    release_path_status(en->release, provider, source, &st) == 0) {
		via = en->config->sources[source].name;
		state = path_state_name(st.state);
		pace_format(st.pace, pace);
	}
	paths_note(en, provider, source);
	blocks_changed(en, provider);
	log_info("path", "%s via %s: %s%s%s: %s", en->providers[provider].name,
		 via, state, *pace ? " at " : "", pace, reason);
	if (event_wanted(en))
		event_emit(en, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "type",
					 "path", "provider",
					 en->providers[provider].name, "source",
					 via, "state", state, "pace", pace,
					 "reason", reason));
}

static void op_ready(void *user, uint32_t provider, uint32_t source)
{
	struct engine *en = user;

	release_connection_ready(en->release, provider, source);
}

static void op_message_done(void *user, uint64_t id,
			    const struct spool_place *p)
{
	/* Reclaim of the segment is decided by the spool's own counts. */
	(void)user;
	(void)id;
	(void)p;
}

static const struct release_ops release_ops = {op_head, op_send, op_changed,
					       op_unpark};
static const struct queue_ops queue_ops = {domain_waiting, domain_new,
					   op_message_done};
static const struct delivery_ops delivery_ops = {
	.ready = op_ready,
	.attempt = result_attempt,
	.done = outcomes_done,
	.connect_failed = result_connect_failed,
	.unroutable = engine_unroutable,
	.route = reroute_of_provider,
	.routed = engine_routed,
};

static void engine_second(struct io_timer *t, uint64_t now_ns)
{
	struct engine *en = t->user;
	uint32_t now_s = clock_realtime_s();

	role_assert(&role_queue);
	role_assert(&role_spool);
	queue_tick(en->queue, now_s);
	provider_second(en);
	sources_note(en);
	reach_second(en, now_s);
	blocks_second(en, now_s);
	io_timer_set(en->io, t, now_ns + NS_PER_S);
}

/* The pure rooms: no I/O yet. */
static int create_pure(struct engine *en, int *status, struct err *e)
{
	struct release_limits limits = {PROVIDERS_MAX, CONFIG_SOURCES_MAX,
					DOMAINS_MAX};
	int rc;

	*status = EX_CONFIG;
	rc = classify_load(en->config->rules, &en->rules, e);
	if (rc != 0)
		return rc;
	*status = EX_OSERR;
	en->scratch = classify_scratch_create(en->rules);
	en->release =
		release_create(&limits, &release_ops, en, clock_monotonic_ns());
	en->queue = queue_create(&queue_ops, en);
	en->replies = replies_create();
	if (en->scratch == NULL || en->release == NULL || en->queue == NULL ||
	    en->replies == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	return providers_create(en, e);
}

/* Recovery is over: sources have the numbers that the journal speaks of. */
static int create_sources(struct engine *en, struct config *c, struct err *e)
{
	int rc;

	role_assert(&role_queue);
	role_assert(&role_spool);
	sources_settle(en, c);
	en->sources_settled = true;
	for (uint32_t i = 0; i < c->source_count; i++)
		queue_source_set(en->queue, i, c->sources[i].name);
	rc = providers_register(en);
	if (rc != 0)
		return err_set(e, rc, "cannot set up providers: %s",
			       err_name(rc));
	sources_note(en);
	return 0;
}

static int create_io(struct engine *en, struct err *e)
{
	struct io_options o = {
		.entries = 1024,
		.recv_buffers = 1024,
		.recv_buffer_bytes = 4096,
		.file_slots = FILE_SLOTS,
		.spin_ns = SPIN_NS,
	};
	int rc = io_open(&en->io, &o, e);

	if (rc != 0)
		return rc;
	io_timer_init(&en->second, engine_second, en);
	io_timer_set(en->io, &en->second, clock_monotonic_ns() + NS_PER_S);
	return 0;
}

static int create_delivery(struct engine *en, struct err *e)
{
	struct delivery_options o = {
		.config = en->config,
		.spool = en->spool,
		.io = en->io,
		.connections_max = en->config->delivery.connections_total,
	};
	int rc = results_create(en);

	role_assert(&role_queue);
	if (rc == 0)
		rc = delivery_create(&en->delivery, &o, &delivery_ops, en, e);
	role_assert(&role_spool);
	if (rc == 0) {
		reroutes_restore(en);
		sites_restore(en);
		stops_restore(en);
		blocks_restore(en);
		domains_to_delivery(en);
		blocks_restored(en);
	}
	return rc;
}

static int create_import(struct engine *en, struct err *e)
{
	static const struct import_ops ops = {import_known, import_done};
	struct import_options o = {.window = IMPORT_WINDOW};
	int rc = import_create(&en->import, en->io, en->spool, &o, &ops, en);

	return rc == 0 ? 0 : err_set(e, rc, "importer: %s", err_name(rc));
}

int engine_create(struct engine **out, struct config *c,
		  struct sockets *sockets, int *status, struct err *e)
{
	struct engine *en = calloc(1, sizeof(*en));
	int rc;

	*status = EX_OSERR;
	if (en == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	role_assert(&role_queue);
	en->magic = ENGINE_MAGIC;
	en->config = c;
	en->hold_next = 1;
	en->reroute_next = 1;
	en->started_s = en->config_loaded_s = clock_realtime_s();
	rc = create_pure(en, status, e);
	if (rc == 0)
		rc = create_io(en, e);
	if (rc == 0)
		rc = recovery_run(en, status, e);
	if (rc == 0)
		rc = create_sources(en, c, e);
	if (rc == 0)
		rc = audit_create(&en->audit, en->io, c->spool.dir, e);
	if (rc == 0)
		rc = create_delivery(en, e);
	if (rc == 0)
		rc = create_import(en, e);
	if (rc == 0)
		rc = publish_create(en, &en->publish, e);
	if (rc == 0)
		rc = listener_create(en, sockets, &en->listener, e);
	if (rc == 0)
		rc = command_create(en, sockets, &en->command, e);
	if (rc != 0) {
		if (e != NULL && e->text[0] == '\0')
			err_set(e, rc, "cannot start: %s", err_name(rc));
		engine_destroy(&en);
		return rc;
	}
	*out = en;
	return 0;
}

/* What was gathered is committed; a disk that fails is not waited for. */
static bool spool_settle(struct engine *en) RUNS_ON(role_spool)
{
	uint64_t until_ns = clock_monotonic_ns() + SETTLE_NS_MAX;

	while (en->spool != NULL && !spool_idle(en->spool)) {
		if (clock_monotonic_ns() > until_ns)
			return false;
		outcomes_step(en);
		spool_step(en->spool);
		io_step(en->io, 10 * NS_PER_MS);
	}
	return true;
}

void engine_destroy(struct engine **enp)
{
	struct engine *en = *enp;

	*enp = NULL;
	if (en == NULL)
		return;
	MAGIC_CHECK(en, ENGINE_MAGIC);
	role_assert(&role_queue);
	role_assert(&role_spool);
	command_destroy(&en->command);
	audit_destroy(&en->audit);
	delivery_destroy(&en->delivery); /* tells of what was in flight */
	publish_destroy(&en->publish);
	if (!spool_settle(en)) {
		log_error("spool", "the last outcomes could not be committed; "
				   "the next start lists them as doubts");
		return; /* the ring still has it: the process ends */
	}
	results_destroy(en);
	spool_close(&en->spool);
	if (en->storage.ops != NULL)
		en->storage.ops->destroy(&en->storage.state);
	io_close(&en->io);
	export_notes_destroy(en);
	import_destroy(&en->import);
	listener_destroy(&en->listener);
	queue_destroy(&en->queue);
	release_destroy(&en->release);
	blocks_destroy(en);
	providers_destroy(en);
	reach_destroy(en);
	replies_destroy(&en->replies);
	domain_states_destroy(en);
	classify_scratch_destroy(&en->scratch);
	classify_destroy(&en->rules);
	sources_known_destroy(en);
	config_destroy(&en->own);
	json_decref(en->config_changes);
	json_decref(en->config_restart);
	en->magic = 0;
	free(en);
}

void engine_broken(struct engine *en, int rc, const char *what)
{
	if (en->broken != 0)
		return;
	en->broken = rc;
	log_error("spool",
		  "%s: %s; nothing more is sent. Look at the disk, then "
		  "restart sluiced: it recovers the spool",
		  what, err_name(rc));
}

/* How long the loop may sleep: until a path is due, not at all while there is
 * work at hand. Deferred mail is moved by the once-a-second timer. */
static uint64_t engine_wait_ns(const struct engine *en, bool busy)
{
	uint64_t now_ns, due_ns, other_ns;

	if (busy)
		return 0;
	due_ns = release_next_ns(en->release);
	other_ns = spool_next_ns(en->spool);
	if (other_ns < due_ns)
		due_ns = other_ns;
	if (due_ns == CLOCK_NEVER_NS)
		return WAIT_MAX_NS;
	now_ns = clock_monotonic_ns();
	if (due_ns <= now_ns)
		return 0;
	return due_ns - now_ns < WAIT_MAX_NS ? due_ns - now_ns : WAIT_MAX_NS;
}

int engine_step(struct engine *en)
{
	bool busy;
	int rc;

	/* Outcomes that found no room come first; until then no new mail. */
	busy = !outcomes_step(en);
	if (!busy)
		busy = release_step(en->release, clock_monotonic_ns(),
				    RELEASE_BUDGET);
	busy |= queue_review_step(en->queue, REVIEW_SLICE);
	busy |= command_step(en->command);
	audit_step(en->audit);
	delivery_tidy(en->delivery);
	import_step(en->import);
	listener_step(en->listener);
	rc = spool_step(en->spool);
	/* A full disk refuses mail and drains on; anything else is for good. */
	if (rc != 0 && rc != -ENOSPC && rc != -EAGAIN)
		engine_broken(en, rc, "a commit cannot be started");
	publish_step(en->publish, io_now_ns(en->io));
	return io_step(en->io, engine_wait_ns(en, busy));
}

static void on_delivery_stopped(void *user)
{
	struct engine *en = user;

	en->delivery_stopped = true;
}

void engine_stop(struct engine *en)
{
	if (en->stopping)
		return;
	en->stopping = true;
	listener_stop(en->listener);
	delivery_stop(en->delivery, on_delivery_stopped, en);
}

bool engine_stopped(const struct engine *en)
{
	if (en->stopping && en->delivery_stopped && en->broken != 0)
		return true;
	return en->stopping && en->delivery_stopped &&
	       en->outcomes_waiting == 0 && import_idle(en->import) &&
	       listener_idle(en->listener) && spool_idle(en->spool) &&
	       audit_idle(en->audit);
}
