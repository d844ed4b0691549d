/* SPDX-License-Identifier: BSD-2-Clause
 *
 * release_priv.h - what the files of this room share; nobody else reads it.
 *
 * A provider owns its paths (one per source of its pool) and the ring of its
 * domains that may send now. Everything that waits for a time sits in ONE
 * wheel; everything that waits for a connection in a list of its path or
 * provider; everything that waits for mail nowhere. So a step touches only
 * what is due.
 */
#ifndef SLUICE_RELEASE_PRIV_H
#define SLUICE_RELEASE_PRIV_H

#include <stddef.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/release.h"
#include "sluice/wheel.h"

#define RELEASE_MAGIC 0x52454c45u
/* Tokens missed for longer are forgotten: what a late loop may make up for. */
#define RELEASE_LAG_MAX_NS (50 * NS_PER_MS)
#define RELEASE_TICK_NS    NS_PER_MS
/* A sender's own source may take this long to connect before its mail goes
 * by the next one. */
#define RELEASE_PATIENCE_NS NS_PER_S
/* A connection that nobody announced is asked for again after this. */
#define RELEASE_RETRY_NS       (5 * NS_PER_S)
#define RELEASE_BLOCK_FIRST_NS (300 * NS_PER_S)
#define RELEASE_BLOCK_MAX_NS   (86400 * NS_PER_S)
/* Probes whose recipients were refused, but the path was not. */
#define RELEASE_PROBES_MAX    5
#define RELEASE_TURN_MESSAGES 16 /* then the next provider that is due */
#define RELEASE_QUANTUM_RCPTS 50 /* deficit per round, counting recipients */
#define RELEASE_WAKES         8  /* domains tried per ready connection */
#define RELEASE_READY_LOG     64
#define RELEASE_MASK_WORDS    (RELEASE_SOURCES_MAX / 64)

#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Circular, with a head; a link that is in no list points at itself. */
struct link {
	struct link *next;
	struct link *prev;
};

enum timer_kind {
	TIMER_PROVIDER = 1,
	TIMER_PROVIDER_GATE,
	TIMER_PATH_GATE,
	TIMER_PATH_UNPARK,
	TIMER_DOMAIN
};

struct timer {
	struct wheel_entry entry;
	enum timer_kind kind;
};

/* May something send? One per path, one over all paths of a provider. */
struct gate {
	enum path_state state;
	bool self_judged;       /* the engine judges its probes, not control */
	uint32_t budget;        /* probes that may still be sent */
	uint32_t probes_out;    /* sent, not done */
	uint32_t unjudged;      /* probes in a row that proved nothing */
	uint32_t blocks;        /* in a row */
	uint64_t wait_ns;       /* length of the present stop */
	uint64_t not_before_ns; /* 0 = none */
	const char *reason;
	struct timer timer;
};

struct provider;

struct path {
	struct provider *provider;
	uint32_t source;
	uint16_t index;     /* in provider->paths */
	bool in_pool;       /* false after a reload took it out */
	bool pace_is_start; /* neither granted nor eased so far */
	bool batch_close;   /* the next message starts a batch */
	bool parked;        /* the owner keeps heads aside for it */
	struct pace pace;   /* granted or eased, before the cap */
	struct pace_bucket bucket;
	uint64_t wait_until_ns; /* told wait, or not-before of a grant */
	uint32_t in_flight;
	uint32_t wakes;      /* waiting domains that may still be tried */
	uint64_t asked_ns;   /* connecting since; 0 = not */
	uint64_t resumed_ns; /* tokens from before are forgotten */
	uint32_t batch;      /* number of the present batch */
	uint32_t batch_released;
	uint64_t batch_start_ns;
	uint32_t eased_batch;  /* up to here an ease has been counted */
	uint32_t probe_batch;  /* probes carry this number or a later one */
	uint32_t opened_batch; /* present when it was opened again */
	uint64_t released;
	struct gate gate;
	struct timer unpark;
	struct link waiters[2]; /* flows that wait for this path only */
};

struct provider {
	uint32_t number;
	bool held;
	bool in_turn; /* its turn is running: scheduled at its end */
	bool count_recipients;
	struct pace pace_max;
	struct pace pace_per_source;
	struct pace pace_start;
	struct pace granted; /* total; unlimited until a grant says */
	uint64_t batch_interval_ns;
	uint32_t batch_max;
	uint64_t hash;
	struct pace_bucket bucket;
	struct gate gate;
	uint32_t probe_path; /* where the gate's probe went */
	uint32_t probe_batch;
	struct timer timer;
	struct link run; /* in release->run */
	/* [0] backlog, [1] live mail */
	struct link ring[2];    /* flows that may be tried now */
	struct link waiters[2]; /* flows that wait for any connection */
	uint32_t wanting[2];    /* flows in either */
	uint8_t live_share;     /* per cent */
	int32_t live_owed;      /* hundredths of a message; see share.c */
	uint64_t paths_due_ns;  /* no path has a token before; 0 = unknown */
	bool idle;              /* had nothing it could send */
	bool woken;             /* from that by a domain's time */
	uint64_t resumed_ns;    /* tokens from before are forgotten */
	uint32_t ready_seq;     /* connections announced so far */
	uint8_t ready_log[RELEASE_READY_LOG];    /* path of the last ones */
	uint64_t ready_mask[RELEASE_MASK_WORDS]; /* paths that sent last time */
	uint32_t path_count;
	uint32_t path_room;
	struct path **paths;
	uint32_t *source; /* per path */
	uint64_t *due_ns; /* per path; CLOCK_NEVER_NS = may not send */
	uint64_t *seed;   /* per path, for the rendezvous hash */
};

enum domain_place {
	DOMAIN_IDLE,  /* no mail, or held */
	DOMAIN_RING,  /* may be tried */
	DOMAIN_TIMED, /* in the wheel only */
	DOMAIN_WAITS  /* for a connection (and in the wheel, as a fallback) */
};

/* A domain has two of these, side by side: its backlog and its live mail.
 * Each takes its turns, has its own head and waits by itself; the pace is one.
 */
struct domain {
	uint32_t number;
	bool live;
	uint32_t waiting;
	struct provider *provider; /* NULL = never set */
	enum domain_place place;
	bool held;
	bool visited; /* got its quantum of this round */
	bool woken;   /* by a ready connection */
	uint32_t deficit;
	uint32_t woken_path;
	uint64_t waits_since; /* number of its wait, over all domains */
	uint32_t ready_seen;  /* provider->ready_seq it knows of */
	uint64_t resumed_ns;  /* tokens from before are forgotten */
	uint64_t marked_ns;   /* oldest mark in no_connection */
	uint64_t no_connection[RELEASE_MASK_WORDS];
	struct pace_bucket bucket; /* of both: in the backlog's */
	struct link link;
	struct timer timer;
};

struct source {
	bool held;
	uint64_t stopped_until_ns; /* for paths that are created later */
	const char *reason;
};

#define DOMAIN_CHUNK 256 /* flows, two of each domain */

struct release {
	uint32_t magic;
	struct release_limits limits;
	struct release_ops ops;
	void *user;
	uint64_t now_ns; /* latest time heard of */
	struct wheel wheel;
	uint64_t waits;              /* so far, to number them */
	struct link run;             /* providers that are due */
	struct provider **providers; /* [providers_max] */
	uint32_t provider_end;   /* no provider has this number or a higher */
	struct source *sources;  /* [sources_max] */
	struct domain **domains; /* chunks of DOMAIN_CHUNK */
};

static inline void link_init(struct link *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool link_is_alone(const struct link *l)
{
	return l->next == l;
}

static inline void link_remove(struct link *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
	link_init(l);
}

static inline void link_append(struct link *head, struct link *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static inline bool mask_has(const uint64_t *mask, uint32_t i)
{
	return (mask[i / 64] >> (i % 64)) & 1;
}

static inline void mask_set(uint64_t *mask, uint32_t i)
{
	mask[i / 64] |= 1ULL << (i % 64);
}

static inline void mask_clear(uint64_t *mask, uint32_t i)
{
	mask[i / 64] &= ~(1ULL << (i % 64));
}

static inline void release_now(struct release *r, uint64_t now_ns)
{
	if (now_ns > r->now_ns)
		r->now_ns = now_ns;
}

static inline struct pace pace_slower(struct pace a, struct pace b)
{
	return pace_compare(a, b) <= 0 ? a : b;
}

/* Both flows of a domain lie beside each other, the backlog first. */
static inline struct domain *domain_sibling(struct domain *d)
{
	return d->live ? d - 1 : d + 1;
}

static inline struct pace_bucket *domain_bucket(struct domain *d)
{
	return d->live ? &(d - 1)->bucket : &d->bucket;
}

/* share.c */
/* The class that is up: 1 = live mail. */
uint32_t rel_share_class(const struct provider *p);
bool rel_share_both_want(const struct provider *p);
void rel_share_spent(struct provider *p, bool live, uint32_t cost);

/* provider.c */
struct provider *rel_provider_at(const struct release *r, uint32_t provider);
bool rel_provider_is_empty(const struct provider *p);
struct path *rel_provider_path(const struct provider *p, uint32_t source);
void rel_provider_schedule(struct release *r, struct provider *p);
void rel_provider_wake_waiters(struct release *r, struct provider *p);
/* Works out again when the path may send, and tells the provider. */
void rel_path_refresh(struct release *r, struct path *path);
void rel_path_pace_apply(struct release *r, struct path *path);
void rel_timer_init(struct timer *t, enum timer_kind kind);
void rel_path_changed(struct release *r, const struct path *path);

/* domain.c */
void rel_domain_to_ring(struct release *r, struct domain *d);
void rel_domain_out(struct release *r, struct domain *d);
void rel_domain_wait_until(struct release *r, struct domain *d,
			   uint64_t due_ns);
/* `path` NULL = any path of its provider. */
void rel_domain_wait_connection(struct release *r, struct domain *d,
				struct path *path, uint64_t due_ns);
void rel_domain_timer_expired(struct release *r, struct domain *d);

/* connection.c */
void rel_connection_sync(const struct release *r, struct domain *d);
void rel_connection_missing(struct release *r, struct domain *d,
			    struct path *path);
void rel_connection_used(struct path *path);
bool rel_connection_is_coming(const struct release *r, const struct path *path);
/* A woken domain was tried: the next one that waits may have better luck. */
void rel_connection_pass_on(struct release *r, struct domain *d);

/* choose.c */
enum choice_kind {
	CHOICE_TRY,       /* send on `path` */
	CHOICE_NO_TOKEN,  /* the provider waits until `due_ns` */
	CHOICE_TIMED,     /* the domain waits until `due_ns` */
	CHOICE_WAIT_PATH, /* the domain waits for a connection of `path` */
	CHOICE_WAIT_ANY   /* ... of any path */
};
struct choice {
	enum choice_kind kind;
	uint32_t path;
	uint64_t due_ns;
	bool asked_unknown; /* one path without known connection was asked */
};
void rel_choose_path(const struct release *r, const struct domain *d,
		     const struct release_head *head, struct choice *c);
uint64_t rel_choose_seed(const struct provider *p, uint32_t source);

/* batch.c */
uint32_t rel_batch_next(const struct release *r, const struct path *path);
void rel_batch_count(struct release *r, struct path *path, uint32_t number);
struct pace rel_batch_observed_pace(const struct release *r,
				    const struct path *path);

/* gate.c */
void rel_gate_init(struct gate *g, enum timer_kind kind);
bool rel_gate_may_send(const struct gate *g);
void rel_gate_open(struct release *r, struct gate *g, const char *reason);
void rel_gate_probe(struct release *r, struct gate *g, uint32_t budget,
		    bool self_judged, const char *reason);
void rel_gate_stop(struct release *r, struct gate *g, uint64_t wait_ns,
		   const char *reason);
/* Returns true if the gate was not stopped before. */
bool rel_gate_block(struct release *r, struct gate *g, uint64_t wait_ns,
		    bool from_last, const char *reason);
void rel_gate_probe_sent(struct gate *g);
void rel_gate_probe_unsent(struct gate *g);
/* A probe is done: returns true if the state changed. */
bool rel_gate_judge(struct release *r, struct gate *g, bool accepted);

/* reflex.c */
void rel_reflex_gate_expired(struct release *r, struct path *path);
void rel_reflex_provider_gate_expired(struct release *r, struct provider *p);
void rel_reflex_reopened(struct release *r, struct path *path);

/* turn.c */
void rel_provider_turn(struct release *r, struct provider *p, uint32_t *budget);

#endif
