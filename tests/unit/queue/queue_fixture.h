/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue_fixture.h - a queue with an owner that remembers what it was told.
 */
#ifndef SLUICE_TEST_QUEUE_FIXTURE_H
#define SLUICE_TEST_QUEUE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>

#include "queue/queue.h"
#include "sluice/config.h"

#define FIXTURE_DOMAINS 4096

struct fixture {
	struct queue *q;
	uint32_t waiting[FIXTURE_DOMAINS];  /* as domain_waiting() said */
	uint32_t flows[FIXTURE_DOMAINS][2]; /* backlog, live mail */
	uint32_t providers;                 /* domain d is at d % providers */
	uint64_t done;                      /* message_done() calls */
	uint64_t done_id;                   /* of the last one */
	uint64_t next_id;
	uint32_t now_s;
};

static inline void fixture_waiting(void *user, uint32_t domain, bool live,
				   uint32_t waiting)
{
	struct fixture *f = user;

	assert_true(domain < FIXTURE_DOMAINS);
	f->flows[domain][live] = waiting;
	f->waiting[domain] = f->flows[domain][0] + f->flows[domain][1];
}

static inline uint32_t fixture_domain_new(void *user, uint32_t domain,
					  const char *name)
{
	struct fixture *f = user;

	assert_string_equal(queue_domain_name(f->q, domain), name);
	return domain % f->providers;
}

static inline void fixture_done(void *user, uint64_t id,
				const struct spool_place *p)
{
	struct fixture *f = user;

	(void)p;
	f->done++;
	f->done_id = id;
}

static inline struct fixture *fixture_create(uint32_t providers)
{
	static const struct queue_ops ops = {fixture_waiting,
					     fixture_domain_new, fixture_done};
	struct fixture *f = calloc(1, sizeof(*f));
	char name[16];

	assert_non_null(f);
	f->providers = providers;
	f->next_id = 1;
	f->now_s = 1700000000;
	f->q = queue_create(&ops, f);
	assert_non_null(f->q);
	for (uint32_t i = 0; i < providers; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(
			queue_provider_set(f->q, i, name, ORDER_OLDEST, 100),
			0);
		queue_provider_shared_hop_set(f->q, i, true);
	}
	return f;
}

static inline void fixture_destroy(struct fixture *f)
{
	queue_destroy(&f->q);
	assert_null(f->q);
	free(f);
}

/* Local part "uN" at each of `domains`; sender "s@SENDER". */
struct fixture_message {
	uint64_t id; /* 0 = the next */
	uint32_t arrival_s;
	uint32_t flags;
	uint64_t content_bytes;
	const char *sender; /* domain */
	uint32_t count;
	const char *const *domains;
};

static inline uint64_t fixture_store(struct fixture *f,
				     const struct fixture_message *m)
{
	struct spool_rcpt_index *rcpts = calloc(m->count, sizeof(*rcpts));
	uint64_t id = m->id ? m->id : f->next_id++;
	char text[300];
	struct spool_stored s = {
		.id = id,
		.place = {1, 2, (id & 0xffffffff) * 8},
		.content_bytes = m->content_bytes,
		.arrival_s = m->arrival_s ? m->arrival_s : f->now_s,
		.flags = m->flags,
		.sender_domain = m->sender ? m->sender : "",
		.digest = id * 0x9e3779b97f4a7c15ULL,
		.rcpt_count = m->count,
		.rcpts = rcpts,
	};

	assert_non_null(rcpts);
	snprintf(text, sizeof(text), "s@%s", s.sender_domain);
	s.sender_hash = spool_hash(text, m->sender ? strlen(text) : 0);
	for (uint32_t i = 0; i < m->count; i++) {
		snprintf(text, sizeof(text), "u%u", i);
		rcpts[i].domain = m->domains[i];
		rcpts[i].local_hash = spool_hash(text, strlen(text));
	}
	assert_int_equal(queue_stored(f->q, &s), 0);
	free(rcpts);
	return id;
}

/* One recipient, u0@domain. */
static inline uint64_t fixture_store_one(struct fixture *f, const char *domain,
					 uint32_t arrival_s, uint32_t flags)
{
	struct fixture_message m = {
		.arrival_s = arrival_s,
		.flags = flags,
		.content_bytes = 1000,
		.sender = "sender.test",
		.count = 1,
		.domains = &domain,
	};

	return fixture_store(f, &m);
}

static inline int fixture_outcome(struct fixture *f, uint64_t id, uint32_t rcpt,
				  uint8_t state, uint32_t due_s)
{
	struct spool_outcome o = {
		.id = id,
		.rcpt = rcpt,
		.state = state,
		.when_s = f->now_s,
		.due_s = due_s,
	};

	return queue_apply_outcome(f->q, &o);
}

static inline struct selection *fixture_selection(const char *json)
{
	struct selection *s = NULL;
	struct err e = {""};
	json_t *j = json_loads(json, 0, NULL);

	assert_non_null(j);
	if (selection_from_json(j, &s, &e) != 0)
		fail_msg("%s: %s", json, e.text);
	json_decref(j);
	return s;
}

static inline uint64_t fixture_take_id(struct fixture *f, const char *domain)
{
	static struct queue_taken t;
	uint32_t d = queue_domain_find(f->q, domain);

	if (d == QUEUE_NONE || (queue_take(f->q, d, true, f->now_s, &t) != 0 &&
				queue_take(f->q, d, false, f->now_s, &t) != 0))
		return 0;
	return t.id;
}

static inline uint32_t fixture_waiting_of(struct fixture *f, const char *domain)
{
	return f->waiting[queue_domain_find(f->q, domain)];
}

static inline void fixture_set(struct fixture *f, enum spool_set_kind kind,
			       uint64_t id, uint32_t count, uint32_t rcpt)
{
	struct spool_set_item item = {id, count, rcpt};

	assert_int_equal(queue_apply_set(f->q, kind, f->now_s, &item, 1), 0);
}

#endif
