/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_status.c - status: what an operator sees first.
 *
 * Role: command. Bound: one pass over providers and their sources; counts are
 * kept by the queue, never counted here.
 */
#include <math.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"

#define STATUS_PROVIDERS 64 /* the largest: a packet has to hold them */

static json_t *counts_json(const struct queue_counts *q)
{
	return json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
		"messages", (json_int_t)q->messages, "recipients",
		(json_int_t)q->recipients, "waiting", (json_int_t)q->waiting,
		"deferred", (json_int_t)q->deferred, "held",
		(json_int_t)q->held, "needs_decision",
		(json_int_t)q->needs_decision, "in_flight",
		(json_int_t)q->in_flight, "exporting", (json_int_t)q->exporting,
		"delivered", (json_int_t)q->delivered, "failed",
		(json_int_t)q->failed, "expired", (json_int_t)q->expired,
		"purged", (json_int_t)q->purged, "exported",
		(json_int_t)q->exported, "oldest",
		(json_int_t)q->oldest_arrival_s, "next_due",
		(json_int_t)q->next_due_s);
}

/* What all paths of a provider may do together, right now. */
struct allowed {
	double per_s;          /* INFINITY = unlimited */
	enum path_state state; /* the best of its paths */
	uint64_t next_ns;      /* when the first stopped one goes on; 0 */
	const char *reason;    /* of a path that is not open */
};

static int state_rank(enum path_state s)
{
	switch (s) {
	case PATH_OPEN:
		return 3;
	case PATH_PROBING:
		return 2;
	case PATH_STOPPED:
		return 1;
	default:
		return 0;
	}
}

static void allowed_add(struct allowed *a, const struct release_path_status *st)
{
	if (state_rank(st->state) > state_rank(a->state))
		a->state = st->state;
	if (st->state == PATH_OPEN)
		a->per_s += pace_is_unlimited(st->pace)
				    ? INFINITY
				    : pace_per_second(st->pace);
	else
		a->reason = st->reason;
	if (st->state == PATH_STOPPED &&
	    (a->next_ns == 0 || st->not_before_ns < a->next_ns))
		a->next_ns = st->not_before_ns;
}

static struct allowed provider_allowed(const struct engine *en,
				       uint32_t provider) RUNS_ON(role_queue)
{
	const struct config_provider *c = provider_config(en, provider);
	const struct config_pool *pool = &en->config->pools[c->pool];
	struct allowed a = {0.0, PATH_CLOSED, 0, NULL};

	for (uint32_t i = 0; i < pool->source_count; i++) {
		struct release_path_status st;

		if (release_path_status(en->release, provider, pool->sources[i],
					&st) == 0)
			allowed_add(&a, &st);
	}
	if (!pace_is_unlimited(c->pace_max) &&
	    pace_per_second(c->pace_max) < a.per_s)
		a.per_s = pace_per_second(c->pace_max);
	return a;
}

static json_t *refusal_json(const struct engine *en, const struct provider *p)
{
	if (p->refusal_s == 0)
		return json_null();
	return json_pack("{s:o,s:I,s:s,s:s}", "text", json_text(p->refusal),
			 "time", (json_int_t)p->refusal_s, "class",
			 class_name(p->refusal_class), "source",
			 en->config->sources[p->refusal_source].name);
}

static const char *state_text(const struct queue_counts *q,
			      const struct allowed *a)
{
	if (q->waiting + q->in_flight == 0 && q->held > 0)
		return "held";
	if (q->waiting + q->in_flight + q->deferred + q->held == 0)
		return "done";
	return path_state_name(a->state);
}

static double eta_s(const struct queue_counts *q, double per_s)
{
	uint64_t left = q->waiting + q->in_flight + q->deferred;

	if (left == 0)
		return 0.0;
	return per_s > 0.0 ? (double)left / per_s : -1.0;
}

static void json_set_real(json_t *j, const char *key, double v)
{
	json_object_set_new(j, key,
			    isfinite(v) && v >= 0 ? json_real(v) : json_null());
}

static bool provider_is_used(const struct queue_counts *q)
{
	return q->recipients + q->delivered + q->failed + q->expired +
		       q->purged + q->other_done >
	       0;
}

json_t *provider_json(const struct engine *en, uint32_t n)
{
	const struct provider *p = &en->providers[n];
	const struct config_provider *c = provider_config(en, n);
	struct queue_counts q;
	struct allowed a;
	char pace[32];
	double rate, drain;
	uint64_t now_ns = clock_monotonic_ns();
	json_t *j;

	if (queue_provider_counts(en->queue, n, &q) != 0 ||
	    !provider_is_used(&q))
		return NULL;
	a = provider_allowed(en, n);
	rate = provider_rate(en, n);
	j = counts_json(&q);
	pace_format(c->pace_max, pace);
	json_object_set_new(j, "schema", json_string("sluice.provider.1"));
	json_object_set_new(j, "provider", json_string(p->name));
	json_object_set_new(j, "by", json_string(provider_kind_name(p->kind)));
	json_object_set_new(j, "domains", json_integer(p->domains));
	json_object_set_new(j, "state", json_string(state_text(&q, &a)));
	json_object_set_new(j, "pace_max", json_string(pace));
	json_set_real(j, "allowed_per_s", a.per_s);
	json_set_real(j, "rate_per_s", rate);
	drain = isfinite(a.per_s) ? a.per_s : rate;
	json_set_real(j, "eta_s", eta_s(&q, drain));
	json_object_set_new(j, "refused", json_integer((json_int_t)p->refused));
	json_object_set_new(j, "refusal", refusal_json(en, p));
	if (a.next_ns > now_ns)
		json_set_real(j, "probe_in_s",
			      (double)(a.next_ns - now_ns) / 1e9);
	if (a.reason != NULL)
		json_object_set_new(j, "reason", json_string(a.reason));
	return j;
}

static json_t *spool_json(const struct engine *en)
{
	struct spool_stats s;

	spool_stats(en->spool, &s);
	return json_pack(
		"{s:s,s:I,s:I,s:I,s:I,s:I,s:b}", "dir", en->config->spool.dir,
		"commits", (json_int_t)s.commits, "segments",
		(json_int_t)s.segments, "journal_bytes",
		(json_int_t)s.journal_bytes, "free_bytes",
		(json_int_t)s.free_bytes, "damaged",
		(json_int_t)s.damaged_records, "out_of_space", s.out_of_space);
}

/* The providers with most left, largest first; all if they are few. Returns
 * how many there are. */
static uint32_t providers_largest(const struct engine *en,
				  uint32_t top[STATUS_PROVIDERS])
	RUNS_ON(role_queue)
{
	uint64_t left[STATUS_PROVIDERS];
	uint32_t count = 0, at;
	struct queue_counts q;

	for (uint32_t n = 0; n < en->provider_count; n++) {
		if (queue_provider_counts(en->queue, n, &q) != 0 ||
		    !provider_is_used(&q))
			continue;
		at = count < STATUS_PROVIDERS ? count : STATUS_PROVIDERS;
		count++;
		for (; at > 0 && left[at - 1] < q.recipients; at--) {
			if (at == STATUS_PROVIDERS)
				continue;
			left[at] = left[at - 1];
			top[at] = top[at - 1];
		}
		if (at == STATUS_PROVIDERS)
			continue;
		left[at] = q.recipients;
		top[at] = n;
	}
	return count;
}

/* Done when the slowest provider is; -1 while one is stopped. */
static double total_eta(const json_t *providers)
{
	double eta = 0.0, one;
	size_t i;
	json_t *p;

	json_array_foreach(providers, i, p)
	{
		const json_t *v = json_object_get(p, "eta_s");

		if (!json_is_number(v))
			return -1.0;
		one = json_number_value(v);
		if (one > eta)
			eta = one;
	}
	return eta;
}

/* When the config was read, why a later one was refused, what of it waits. */
static void config_json(const struct engine *en, json_t *j)
{
	json_object_set_new(j, "config", json_text(en->config->path));
	json_object_set_new(j, "config_loaded",
			    json_integer(en->config_loaded_s));
	if (en->config_error_s != 0)
		json_object_set_new(j, "config_error",
				    json_pack("{s:o,s:I}", "text",
					      json_text(en->config_error.text),
					      "time",
					      (json_int_t)en->config_error_s));
	if (json_array_size(en->config_restart) > 0)
		json_object_set(j, "config_restart", en->config_restart);
}

void verb_status(struct client *c, json_t *request)
{
	struct engine *en = client_engine(c);
	json_t *providers = json_array(), *j, *p;
	uint32_t top[STATUS_PROVIDERS], used;
	struct queue_counts q;

	(void)request;
	role_assert(&role_queue);
	used = providers_largest(en, top);
	for (uint32_t i = 0; i < used && i < STATUS_PROVIDERS; i++) {
		p = provider_json(en, top[i]);
		if (p != NULL)
			json_array_append_new(providers, p);
	}
	queue_counts(en->queue, &q);
	j = json_pack("{s:s,s:o,s:o,s:o,s:I,s:i,s:I,s:I}", "schema",
		      "sluice.status.1", "totals", counts_json(&q), "holds",
		      holds_json(en), "spool", spool_json(en), "since",
		      (json_int_t)en->started_s, "doubts",
		      (int)queue_doubt_count(en->queue), "provider_count",
		      (json_int_t)used, "hold_count",
		      (json_int_t)queue_hold_count(en->queue));
	config_json(en, j);
	json_set_real(j, "rate_per_s", engine_rate(en));
	json_set_real(j, "eta_s", total_eta(providers));
	json_object_set_new(j, "providers", providers);
	if (en->broken != 0)
		json_object_set_new(j, "broken",
				    json_string(err_name(en->broken)));
	client_done(c, j);
}
