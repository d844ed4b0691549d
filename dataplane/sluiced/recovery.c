/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recovery.c - from the journal to the index, at start.
 *
 * Role: queue, spool. The spool calls the visitor in journal order; at the end
 * attempts without an outcome become doubts, are journaled as such (so that
 * `sluice recovered` still knows them after the next restart) and wait again.
 */
#include "sluiced/recovery.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"

/* How long an import gathers for a commit: its answers come in windows of
 * thousands, and each commit stalls the renames of its claims. */
#define IMPORT_PATIENCE_NS (10 * NS_PER_MS)

static int on_stored(void *user, const struct spool_stored *m)
{
	struct engine *en = user;

	return queue_stored(en->queue, m);
}

/* Of a message that is not here: its record is damaged, which was told, or its
 * last recipient was done before. No reason not to start. */
static int unless_gone(int rc)
{
	return rc == -ENOENT ? 0 : rc;
}

static int on_attempt(void *user, uint64_t id, uint32_t rcpt_first,
		      uint32_t rcpt_count, uint32_t when_s, uint16_t source)
{
	struct engine *en = user;

	return unless_gone(queue_apply_attempt(en->queue, id, rcpt_first,
					       rcpt_count, when_s, source));
}

static int on_outcome(void *user, const struct spool_outcome *o)
{
	struct engine *en = user;
	int rc = unless_gone(queue_apply_outcome(en->queue, o));

	role_assert(&role_queue);
	if (rc == 0)
		outcome_heard(en, o, RELEASE_NONE);
	return rc;
}

static int on_set(void *user, enum spool_set_kind kind, uint32_t when_s,
		  const struct spool_set_item *items, uint32_t count)
{
	struct engine *en = user;

	return queue_apply_set(en->queue, kind, when_s, items, count);
}

static int on_note(void *user, const char *key, struct text value)
{
	struct engine *en = user;

	if (strncmp(key, "hold/", 5) == 0)
		return hold_from_note(en, key, value);
	if (strncmp(key, "reroute/", 8) == 0)
		return reroute_from_note(en, key, value);
	if (strncmp(key, "source/", 7) == 0)
		return source_from_note(en, key, value);
	if (strncmp(key, "path/", 5) == 0)
		return stop_from_note(en, key, value);
	if (strncmp(key, "block/", 6) == 0)
		return block_from_note(en, key, value);
	if (strcmp(key, "time") == 0)
		return time_from_note(en, value);
	if (strncmp(key, "site/", 5) == 0)
		return site_from_note(en, key, value);
	if (strncmp(key, "export/", 7) == 0)
		return export_from_note(en, key, value);
	return 0;
}

static void on_damaged(void *user, const char *where, uint64_t id)
{
	char hex[17];

	(void)user;
	message_id_format(id, hex);
	log_error("damaged", "%s: damaged record%s%s was skipped", where,
		  id != 0 ? " of message " : "", id != 0 ? hex : "");
}

static const struct spool_visitor visitor = {on_stored, on_attempt, on_outcome,
					     on_set,    on_note,    on_damaged};

/* What the crash left in doubt is journaled, with its cause. */
static void doubts_journal(struct engine *en, uint32_t from, uint32_t now_s)
	RUNS_ON(role_spool)
{
	for (uint32_t i = from; i < queue_doubt_count(en->queue); i++) {
		const struct queue_doubt *d = queue_doubt_at(en->queue, i);

		outcome_journal(en, &(struct spool_outcome){
					    .id = d->id,
					    .rcpt = d->rcpt,
					    .state = RCPT_WAITING,
					    .attempts = queue_attempts(
						    en->queue, d->id, d->rcpt),
					    .in_doubt = d->cause,
					    .source = d->source,
					    .when_s = now_s,
				    });
	}
}

int recovery_run(struct engine *en, int *status, struct err *e)
{
	const struct config *c = en->config;
	struct spool_options o = {
		.segment_bytes = c->spool.segment_bytes,
		.min_free_bytes = c->spool.min_free_bytes,
		.min_free_inodes = c->spool.min_free_inodes,
		.patience_ns = IMPORT_PATIENCE_NS,
	};
	struct spool_stats st;
	uint32_t known, crashed;
	int rc;

	*status = EX_CANTCREAT;
	rc = storage_uring_create(en->io, c->spool.dir, &en->storage, e);
	if (rc != 0)
		return rc;
	*status = EX_TEMPFAIL;
	rc = spool_open(&en->spool, &en->storage, &o, &visitor, en, e);
	if (rc != 0)
		return rc;
	known = queue_doubt_count(en->queue);
	crashed = queue_recovery_end(en->queue, clock_realtime_s());
	role_assert(&role_spool);
	doubts_journal(en, known, clock_realtime_s());
	spool_stats(en->spool, &st);
	log_info("recovered",
		 "%s: %llu messages, %llu records in %.3f s; %u recipients may "
		 "have been delivered twice (see `sluice recovered`)",
		 c->spool.dir, (unsigned long long)st.recovered_messages,
		 (unsigned long long)st.recovered_records,
		 (double)st.recover_ns / 1e9, crashed);
	return 0;
}
