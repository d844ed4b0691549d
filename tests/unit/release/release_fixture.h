/* SPDX-License-Identifier: BSD-2-Clause
 *
 * release_fixture.h - an owner with endless or counted mail, and a clock.
 *
 * Time is simulated: run() asks the engine when it wants to be called and
 * calls it a little late, as a loop would.
 */
#ifndef SLUICE_TEST_RELEASE_FIXTURE_H
#define SLUICE_TEST_RELEASE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sluice/clock.h"
#include "sluice/release.h"

#define DOMAINS_MAX   1024
#define SOURCES_MAX   64
#define PROVIDERS_MAX 8
#define SENT_MAX      2000000

struct sent {
	uint64_t now_ns;
	uint32_t provider, source, domain, batch;
	bool live;
	uint64_t sender;
};

struct mailbox {
	uint32_t waiting;
	uint64_t sender; /* hash of the head's sender; 0 = a new one each */
	uint32_t pinned;
	uint32_t parked;
	uint64_t taken;
};

struct fixture {
	struct release *r;
	uint64_t now_ns;
	uint64_t jitter_ns; /* how late a step may come */
	uint64_t seed;
	struct mailbox domains[DOMAINS_MAX];
	struct mailbox live[DOMAINS_MAX]; /* their live mail */
	/* free connections of a path; UINT32_MAX = as many as wanted */
	uint32_t connections[PROVIDERS_MAX][SOURCES_MAX];
	struct sent *sent;
	uint32_t sent_count;
	bool keep; /* messages stay under way */
	uint64_t offers, refused, skipped, changes, unparks;
	const char *reason;
};

static inline uint64_t fixture_random(struct fixture *f)
{
	f->seed = f->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return f->seed >> 20;
}

static inline struct mailbox *fixture_mailbox(struct fixture *f,
					      uint32_t domain, bool live)
{
	return live ? &f->live[domain] : &f->domains[domain];
}

static inline bool fixture_head(void *user, uint32_t domain, bool live,
				struct release_head *out)
{
	struct fixture *f = user;
	struct mailbox *m = fixture_mailbox(f, domain, live);

	if (m->waiting == 0)
		return false;
	out->sender_hash =
		m->sender ? m->sender : (domain + 1ULL) * 1000003 + m->taken;
	out->pinned_source = m->pinned;
	out->recipients = 1;
	return true;
}

static inline enum release_sent fixture_send(void *user, uint32_t provider,
					     uint32_t source, uint32_t domain,
					     bool live, uint32_t batch)
{
	struct fixture *f = user;
	struct mailbox *m = fixture_mailbox(f, domain, live);
	uint32_t *free_ones = &f->connections[provider][source];
	struct release_head h = {0};

	f->offers++;
	assert_true(fixture_head(f, domain, live, &h));
	if (m->pinned != RELEASE_NONE && m->pinned != source) {
		f->skipped++;
		m->parked++;
		m->waiting--;
		m->pinned = RELEASE_NONE;
		release_domain_waiting(f->r, domain, live, m->waiting,
				       f->now_ns);
		return RELEASE_SKIP;
	}
	if (*free_ones == 0) {
		f->refused++;
		return RELEASE_NO_CONNECTION;
	}
	if (*free_ones != UINT32_MAX)
		(*free_ones)--;
	assert_true(f->sent_count < SENT_MAX);
	f->sent[f->sent_count++] =
		(struct sent){f->now_ns, provider, source,       domain,
			      batch,     live,     h.sender_hash};
	m->taken++;
	m->pinned = RELEASE_NONE;
	if (m->waiting != UINT32_MAX)
		m->waiting--;
	release_domain_waiting(f->r, domain, live, m->waiting, f->now_ns);
	return RELEASE_SENT;
}

static inline void fixture_changed(void *user, uint32_t provider,
				   uint32_t source, const char *reason)
{
	struct fixture *f = user;

	(void)provider;
	(void)source;
	f->changes++;
	f->reason = reason;
}

static inline void fixture_unpark(void *user, uint32_t provider,
				  uint32_t source)
{
	struct fixture *f = user;

	(void)provider;
	(void)source;
	f->unparks++;
}

static inline struct fixture *fixture_create(void)
{
	static const struct release_limits limits = {PROVIDERS_MAX, SOURCES_MAX,
						     DOMAINS_MAX};
	static const struct release_ops ops = {fixture_head, fixture_send,
					       fixture_changed, fixture_unpark};
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->sent = malloc(SENT_MAX * sizeof(*f->sent));
	assert_non_null(f->sent);
	f->now_ns = 1000 * NS_PER_S;
	f->seed = 1;
	for (uint32_t d = 0; d < DOMAINS_MAX; d++)
		f->domains[d].pinned = f->live[d].pinned = RELEASE_NONE;
	memset(f->connections, 0xff, sizeof(f->connections));
	f->r = release_create(&limits, &ops, f, f->now_ns);
	assert_non_null(f->r);
	return f;
}

static inline void fixture_destroy(struct fixture *f)
{
	release_destroy(&f->r);
	assert_null(f->r);
	free(f->sent);
	free(f);
}

/* Sources 0..sources-1; batches of a minute. */
static inline void fixture_provider_share(struct fixture *f, uint32_t provider,
					  struct pace max,
					  struct pace per_source,
					  uint32_t sources, uint8_t live_share)
{
	static struct release_provider_config c;

	c = (struct release_provider_config){
		.pace_max = max,
		.pace_per_source = per_source,
		.pace_start = PACE_UNLIMITED,
		.batch_interval_ns = 60 * NS_PER_S,
		.batch_max = 100,
		.source_count = sources,
		.live_share = live_share,
	};
	for (uint32_t i = 0; i < sources; i++)
		c.sources[i] = i;
	assert_int_equal(release_provider_set(f->r, provider, &c, f->now_ns),
			 0);
}

static inline void fixture_provider(struct fixture *f, uint32_t provider,
				    struct pace max, struct pace per_source,
				    uint32_t sources)
{
	fixture_provider_share(f, provider, max, per_source, sources, 0);
}

static inline void fixture_domain(struct fixture *f, uint32_t domain,
				  uint32_t provider, struct pace pace,
				  uint32_t waiting)
{
	assert_int_equal(
		release_domain_set(f->r, domain, provider, pace, f->now_ns), 0);
	f->domains[domain].waiting = waiting;
	release_domain_waiting(f->r, domain, false, waiting, f->now_ns);
}

static inline void fixture_live(struct fixture *f, uint32_t domain,
				uint32_t waiting)
{
	f->live[domain].waiting = waiting;
	release_domain_waiting(f->r, domain, true, waiting, f->now_ns);
}

/* Answers for everything sent since `from`: accepted. */
static inline void fixture_done(struct fixture *f, uint32_t from, bool accepted)
{
	for (uint32_t i = from; i < f->sent_count; i++)
		release_done(f->r, f->sent[i].provider, f->sent[i].source,
			     f->sent[i].batch, accepted, f->now_ns);
}

static inline void fixture_step(struct fixture *f)
{
	uint32_t from = f->sent_count;
	uint32_t steps = 0;

	while (release_step(f->r, f->now_ns, 64)) {
		assert_true(++steps < 100000); /* spinning */
		if (f->sent_count + 1000 >= SENT_MAX)
			break;
	}
	if (!f->keep)
		fixture_done(f, from, true);
}

static inline void fixture_run(struct fixture *f, uint64_t until_ns)
{
	while (f->now_ns < until_ns) {
		uint64_t next_ns = release_next_ns(f->r);
		uint64_t late_ns =
			f->jitter_ns ? fixture_random(f) % f->jitter_ns : 0;

		if (next_ns <= f->now_ns)
			next_ns = f->now_ns;
		if (next_ns >= until_ns - late_ns) {
			f->now_ns = until_ns;
			fixture_step(f);
			return;
		}
		f->now_ns = next_ns + late_ns;
		fixture_step(f);
	}
}

static inline struct release_path_status
fixture_status(struct fixture *f, uint32_t provider, uint32_t source)
{
	struct release_path_status st;

	assert_int_equal(release_path_status(f->r, provider, source, &st), 0);
	return st;
}

static inline struct pace per_second(uint32_t n)
{
	return (struct pace){n, NS_PER_S};
}

#endif
