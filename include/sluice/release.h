/* SPDX-License-Identifier: BSD-2-Clause
 *
 * release.h - when the next message may go, to whom, from where.
 *
 * PURE: no clock, no I/O, no threads, no allocation after create beyond new
 * providers, domains and sources. It knows counts and heads, never messages.
 * The owner (sluiced, the simulator, `sluice plan`) hands in time and events
 * and offers three functions; the engine calls send() for each message that
 * may go NOW.
 *
 * Scheduling is per path (provider x source), never per message: a million
 * waiting messages behind one pace cost nothing until it is due.
 * A token of provider, path and domain is spent in the same step in which
 * send() accepts, and send() accepts only if a connection can write MAIL at
 * once: a slow connect never bunches messages behind it.
 */
#ifndef SLUICE_RELEASE_H
#define SLUICE_RELEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/pace.h"

#define RELEASE_NONE        UINT32_MAX
#define RELEASE_SOURCES_MAX 256 /* per pool */

/* The message that would go next from a domain. */
struct release_head {
	uint64_t sender_hash;   /* of the sender's domain, for source choice */
	uint32_t pinned_source; /* greylisted here: RELEASE_NONE if free */
	uint32_t recipients;    /* that would go in this transaction */
};

enum release_sent {
	RELEASE_SENT,          /* MAIL is being written: tokens are spent */
	RELEASE_NO_CONNECTION, /* wanted; release_connection_ready() will tell
				*/
	RELEASE_SKIP           /* this message cannot go by this path now; the
				* owner has taken it off the domain's head */
};
/* A head whose pinned source cannot send within a second is offered to ANOTHER
 * path of its provider: the owner sees source != pinned_source, sets the
 * message aside and answers RELEASE_SKIP; unpark() tells when it may come
 * back. So one stopped path never blocks a domain. */

struct release_ops {
	/* Of the domain's live mail, or of its backlog. False: nothing to
	 * send (its count was stale). */
	bool (*head)(void *user, uint32_t domain, bool live,
		     struct release_head *out);
	/* Send that head on `path`. `batch` numbers the batch. */
	enum release_sent (*send)(void *user, uint32_t provider,
				  uint32_t source, uint32_t domain, bool live,
				  uint32_t batch);
	/* A path's state or pace changed; `reason` is a static sentence.
	 * `source` RELEASE_NONE: the provider as a whole. May be NULL. */
	void (*changed)(void *user, uint32_t provider, uint32_t source,
			const char *reason);
	/* Heads pinned to this path that were set aside (see RELEASE_SKIP) may
	 * come back: the path can send again. May be NULL. */
	void (*unpark)(void *user, uint32_t provider, uint32_t source);
};

struct release_limits {
	uint32_t providers_max;
	uint32_t sources_max;
	uint32_t domains_max;
};

struct release_provider_config {
	struct pace pace_max;
	struct pace pace_per_source;
	struct pace pace_start; /* of each path, until a grant says more */
	uint64_t batch_interval_ns;
	uint32_t batch_max;
	bool count_recipients;
	/* Per cent of what goes out that is live mail, while live mail and
	 * backlog both wait; what one cannot use is the other's. */
	uint8_t live_share;
	uint32_t sources[RELEASE_SOURCES_MAX]; /* the pool */
	uint32_t source_count;
	/* Of the provider's name, so that a sender keeps its source over
	 * restarts that number providers anew; 0 = the number is used. */
	uint64_t hash;
};

/* What a path may do. `not_before_ns` 0 = now. */
enum path_state {
	PATH_OPEN = 1,
	PATH_STOPPED, /* reflex or grant: until not_before */
	PATH_PROBING, /* ONE message (or `budget`) until judged */
	PATH_CLOSED   /* operator or no usable address */
};

struct release_path_status {
	enum path_state state;
	struct pace pace;
	uint64_t not_before_ns;
	uint32_t batch;          /* number of the present batch */
	uint32_t batch_released; /* messages of it */
	uint32_t in_flight;
	uint64_t released; /* messages since create */
	uint32_t blocks_in_a_row;
	const char *reason;
};

struct release;

struct release *release_create(const struct release_limits *l,
			       const struct release_ops *ops, void *user,
			       uint64_t now_ns);
void release_destroy(struct release **r);

/* Numbers are the caller's and dense. Calling again changes the config without
 * ever granting a fresh full bucket. */
int release_provider_set(struct release *r, uint32_t provider,
			 const struct release_provider_config *c,
			 uint64_t now_ns);
int release_domain_set(struct release *r, uint32_t domain, uint32_t provider,
		       struct pace pace, uint64_t now_ns);
/* `waiting` messages of the domain may go (not held, not deferred): of its
 * live mail, or of its backlog. Both share the domain's pace. */
void release_domain_waiting(struct release *r, uint32_t domain, bool live,
			    uint32_t waiting, uint64_t now_ns);
/* An operator's stop on the whole provider / domain / source. */
void release_provider_hold(struct release *r, uint32_t provider, bool hold);
void release_domain_hold(struct release *r, uint32_t domain, bool hold);
void release_source_hold(struct release *r, uint32_t source, bool hold);

/* Delivery's answers. */
void release_connection_ready(struct release *r, uint32_t provider,
			      uint32_t source);
/* One message sent earlier is done. `accepted` if any recipient was. */
void release_done(struct release *r, uint32_t provider, uint32_t source,
		  uint32_t batch, bool accepted, uint64_t now_ns);

/* The reflex: stops a path, a source at all providers, or a provider with all
 * its sources. wait_ns 0: 5 min, doubled for each block in a row, at most
 * 24 h. `from_last`: a later refusal restarts the wait. Then PROBING with one
 * message; accepted = open again. source / provider may be RELEASE_NONE. */
void release_block(struct release *r, uint32_t provider, uint32_t source,
		   uint64_t wait_ns, bool from_last, const char *reason,
		   uint64_t now_ns);
/* rate_limited: halves the path's pace, once per batch; wait_ns may be 0. */
void release_ease(struct release *r, uint32_t provider, uint32_t source,
		  uint32_t batch, uint64_t wait_ns, const char *reason,
		  uint64_t now_ns);
/* A grant: from control through the board, or from the config. */
void release_grant(struct release *r, uint32_t provider, uint32_t source,
		   enum path_state state, struct pace pace, uint32_t budget,
		   uint64_t not_before_ns, const char *reason, uint64_t now_ns);

/* Sends what is due, at most `budget` messages; true if more is due now. */
bool release_step(struct release *r, uint64_t now_ns, uint32_t budget);
/* When release_step() has something to do; CLOCK_NEVER_NS = only on events. */
uint64_t release_next_ns(const struct release *r);

int release_path_status(const struct release *r, uint32_t provider,
			uint32_t source, struct release_path_status *out);
const char *path_state_name(enum path_state s);

#endif
