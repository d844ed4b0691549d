/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue.h - every message and recipient we have, in memory.
 *
 * Role: queue. Pure data structure: no clock, no I/O. Fed by the spool's
 * visitor at start, by intake, by outcomes. Names are interned; a message with
 * one recipient costs <= 112 bytes all told, a further recipient 32.
 * Per domain it keeps a list of waiting recipients in the provider's order,
 * per-minute buckets of deferred ones, and the held ones. Lists are intrusive
 * indices, so taking, deferring, holding and purging are O(1) each.
 */
#ifndef SLUICE_QUEUE_H
#define SLUICE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/err.h"
#include "sluice/outcome.h"
#include "sluice/selection.h"
#include "spool/spool.h"

struct queue;

#define QUEUE_NONE UINT32_MAX

struct queue_ops {
	/* The number of recipients of a domain that may go has changed: of
	 * those that came by SMTP (SPOOL_LIVE), or of its backlog. */
	void (*domain_waiting)(void *user, uint32_t domain, bool live,
			       uint32_t waiting);
	/* A domain is seen for the first time: returns its provider number. */
	uint32_t (*domain_new)(void *user, uint32_t domain, const char *name);
	/* A message has no recipient left that is ours. */
	void (*message_done)(void *user, uint64_t id,
			     const struct spool_place *p);
};

struct queue *queue_create(const struct queue_ops *ops, void *user);
void queue_destroy(struct queue **q);

/* From the spool: visitor calls and live ones are the same. `now_s` real. */
int queue_stored(struct queue *q, const struct spool_stored *m);
int queue_apply_attempt(struct queue *q, uint64_t id, uint32_t rcpt_first,
			uint32_t rcpt_count, uint32_t when_s, uint16_t source);
/* Any change of one recipient: done, deferred, held, needs decision, waiting.
 */
int queue_apply_outcome(struct queue *q, const struct spool_outcome *o);
int queue_apply_set(struct queue *q, enum spool_set_kind kind, uint32_t when_s,
		    const struct spool_set_item *items, uint32_t count);
/* After recovery: attempts without outcome become doubts and wait again. */
uint32_t queue_recovery_end(struct queue *q, uint32_t now_s);

/* Domains and providers. */
uint32_t queue_domain_find(const struct queue *q, const char *name);
const char *queue_domain_name(const struct queue *q, uint32_t domain);
uint32_t queue_domain_count(const struct queue *q);
uint32_t queue_domain_provider(const struct queue *q, uint32_t domain);
/* Providers are numbered by the owner; `order` = enum config_order. */
int queue_provider_set(struct queue *q, uint32_t provider, const char *name,
		       uint8_t order, uint32_t recipients_per_message);
/* All domains of the provider are reached by one next hop (a configured
 * route): recipients of a message then go in one transaction whatever their
 * domain. Else only those of one domain do: another's hosts would refuse
 * them. Off for a new provider. */
void queue_provider_shared_hop_set(struct queue *q, uint32_t provider,
				   bool shared);
void queue_domain_provider_set(struct queue *q, uint32_t domain,
			       uint32_t provider);
/* Names a source (index, not + 1), for `source` terms of selections. */
int queue_source_set(struct queue *q, uint32_t source, const char *name);

/* The message that goes next from a domain: of its live mail, or of its
 * backlog. */
struct queue_head {
	uint64_t id;
	uint32_t sender_domain; /* interned number; for the rendezvous hash */
	uint32_t pinned_source; /* QUEUE_NONE if free */
	uint32_t recipients;    /* of this transaction */
	struct spool_place place;
};
bool queue_head(struct queue *q, uint32_t domain, bool live,
		struct queue_head *out);

#define QUEUE_TAKE_RCPTS_MAX 1000
/* Takes the head of `domain` and all waiting recipients of that message at the
 * same provider (up to recipients_per_message): they become IN_FLIGHT. */
struct queue_taken {
	uint64_t id;
	struct spool_place place;
	uint64_t content_bytes;
	uint32_t flags; /* enum spool_message_flag */
	uint32_t arrival_s;
	uint32_t first_release_s; /* 0 = this is the first */
	uint32_t rcpt_count;
	uint32_t rcpts[QUEUE_TAKE_RCPTS_MAX]; /* indices in the envelope */
	uint8_t attempts[QUEUE_TAKE_RCPTS_MAX];
	uint32_t domains[QUEUE_TAKE_RCPTS_MAX];
};
int queue_take(struct queue *q, uint32_t domain, bool live, uint32_t now_s,
	       struct queue_taken *out);
/* The head cannot go by the path that is ready: sets it aside until
 * queue_unpark(source). */
int queue_park(struct queue *q, uint32_t domain, bool live, uint32_t source);
uint32_t queue_unpark(struct queue *q, uint32_t source);
/* The same for one provider only: what release_ops.unpark() asks for. */
uint32_t queue_unpark_provider(struct queue *q, uint32_t provider,
			       uint32_t source);
/* Puts a taken recipient back to the FRONT: nothing charged. */
int queue_put_back(struct queue *q, uint64_t id, uint32_t rcpt);

/* Sends a recipient another way: to `provider` (QUEUE_NONE: its domain's own)
 * and from `source` only (QUEUE_NONE: any). Its state stays. The owner's
 * domain_new() is asked for a domain with a key that queue_via_provider()
 * reads. -ENOENT, -EBUSY in flight, -EALREADY done, -ENOMEM. */
int queue_reroute(struct queue *q, uint64_t id, uint32_t rcpt,
		  uint32_t provider, uint32_t source);
/* QUEUE_NONE: the name of a domain, as it is. */
uint32_t queue_via_provider(const char *key);
/* One of those domains: its provider is not the domain's own. */
bool queue_domain_is_via(const struct queue *q, uint32_t domain);

/* Export: from any place into EXPORTING, where nothing but its own outcome (or
 * queue_export_undo()) moves it; failed and expired ones too. -ENOENT, -EBUSY
 * in flight, -EALREADY, -ENOMEM. */
struct queue_prior {
	uint8_t state;
	uint8_t attempts;
	uint8_t last_class;
	uint16_t pinned; /* source + 1 */
	uint32_t due_s;  /* deferred */
};
int queue_export_begin(struct queue *q, uint64_t id, uint32_t rcpt,
		       struct queue_prior *prior);
/* It stays ours: back to where it was, unless a hold or a release in the
 * meantime says otherwise. Nothing is charged. */
int queue_export_undo(struct queue *q, uint64_t id, uint32_t rcpt,
		      const struct queue_prior *prior);

/* What follows happened then or later; time never runs back. */
void queue_time_set(struct queue *q, uint32_t when_s);
/* Moves deferred recipients whose minute has come; call about once a second. */
uint32_t queue_tick(struct queue *q, uint32_t now_s);
/* Nothing is due before; exact for the next four minutes. 0 = none. */
uint32_t queue_next_due_s(const struct queue *q);

/* The clock of lifetime (lifetime.c): starts when the message may go, anew
 * with its first attempt; stands while held or blocked. Asked when a recipient
 * would be deferred once more. */
bool queue_lifetime_is_over(const struct queue *q, uint64_t id, uint32_t rcpt,
			    uint32_t now_s, uint32_t lifetime_s);
/* Of what waits for a domain that cannot be reached, at most `max` recipients
 * that are past their lifetime are handed to expired() IN FLIGHT: each has to
 * end by queue_apply_outcome() before it returns. Returns when to ask again. */
uint32_t queue_expire_waiting(struct queue *q, uint32_t domain, uint32_t now_s,
			      uint32_t lifetime_s, uint32_t max,
			      void (*expired)(void *user, uint64_t id,
					      uint32_t rcpt),
			      void *user);
/* No path of the provider is open from now on, or one is again. */
#define QUEUE_STRETCHES_MAX 8u
struct queue_stretch {
	uint32_t from_s;
	uint32_t to_s; /* 0 = it goes on */
};
void queue_provider_block_set(struct queue *q, uint32_t provider, bool blocked,
			      uint32_t when_s);
/* All that is remembered, by time: to be journaled. Returns how many. */
uint32_t queue_provider_blocks(const struct queue *q, uint32_t provider,
			       struct queue_stretch out[QUEUE_STRETCHES_MAX]);

/* Standing holds: selections that keep matching recipients back, also those
 * that arrive later. Provider and domain holds cost nothing per message. */
struct queue_hold {
	uint32_t number;
	uint32_t since_s;
	struct selection *selection; /* owned by the queue */
	char *reason;                /* owned by the queue */
	uint64_t hash;               /* of the selection */
};
int queue_hold_add(struct queue *q, uint32_t number, struct selection *s,
		   const char *reason, uint32_t since_s);
int queue_hold_remove(struct queue *q, uint32_t number);
/* A hold that names recipients counts at once; in counts and lists it shows
 * as all have been asked. Call in every turn while it returns true. */
bool queue_review_step(struct queue *q, uint32_t slice);
/* Number of the hold with the same selection; 0 if none. */
uint32_t queue_hold_find(const struct queue *q, const struct selection *s);
uint32_t queue_hold_count(const struct queue *q);
const struct queue_hold *queue_hold_at(const struct queue *q, uint32_t i);

/* Walking a selection in slices, so that a big one does not stall the loop.
 * Sender and recipient terms match by hash, those on what only the record has
 * match anything: `exact` says whether the caller has to confirm. Without a
 * `state` term failed and expired recipients are found by `id` only. */
struct queue_cursor {
	uint64_t next_id;
};
struct queue_entry {
	uint64_t id;
	uint32_t rcpt;
	uint8_t state; /* IN_FLIGHT included */
	uint8_t attempts;
	uint8_t last_class;
	uint32_t domain;
	uint32_t provider;
	uint32_t due_s;         /* deferred */
	uint32_t tag;           /* of queue_tag_set(); 0 = none */
	uint32_t pinned_source; /* QUEUE_NONE if free */
	uint32_t sender_domain; /* interned number */
	uint32_t arrival_s;
	uint64_t content_bytes;
	uint32_t flags;
	struct spool_place place;
	bool exact;
	bool custody_hold;  /* taken over and not released yet */
	bool standing_hold; /* kept back by a standing hold (too) */
};
/* Visits at most `slice` messages; returns true while there are more. each()
 * may change the recipient it is given. */
bool queue_walk(struct queue *q, struct queue_cursor *c,
		const struct selection *s, uint32_t now_s, uint32_t slice,
		void (*each)(void *user, const struct queue_entry *e),
		void *user);
/* One message by id; false if it is not here. each() per recipient. */
bool queue_find(struct queue *q, uint64_t id,
		void (*each)(void *user, const struct queue_entry *e),
		void *user);
/* Domain of a recipient; QUEUE_NONE if there is no such one. */
uint32_t queue_rcpt_domain(const struct queue *q, uint64_t id, uint32_t rcpt);
/* enum rcpt_state of a recipient; 0 if there is no such one. */
uint8_t queue_rcpt_state(const struct queue *q, uint64_t id, uint32_t rcpt);
/* A number of the caller's for a recipient that needs a decision, failed or
 * expired (why it did); forgotten when its state changes. */
void queue_tag_set(struct queue *q, uint64_t id, uint32_t rcpt, uint32_t tag);
/* Provider of a recipient's domain; QUEUE_NONE if there is none. */
uint32_t queue_provider_of(const struct queue *q, uint64_t id, uint32_t rcpt);
/* Attempts charged so far; 0 if there is no such recipient. */
uint8_t queue_attempts(const struct queue *q, uint64_t id, uint32_t rcpt);
/* Domain of the sender; "" for the null sender, NULL without the message. */
const char *queue_sender_domain(const struct queue *q, uint64_t id);
/* Text of queue_head.sender_domain. */
const char *queue_sender_domain_text(const struct queue *q, uint32_t number);
bool queue_has_digest(const struct queue *q, uint64_t digest, uint64_t *id);

/* What may have been delivered twice: from recovery and from lost
 * connections after the final dot. */
struct queue_doubt {
	uint64_t id;
	uint32_t rcpt;
	uint32_t when_s;
	uint16_t source; /* + 1 */
	uint8_t cause;   /* 1 = crash, 2 = connection lost after the dot */
};
uint32_t queue_doubt_count(const struct queue *q);
const struct queue_doubt *queue_doubt_at(const struct queue *q, uint32_t i);

struct queue_counts {
	/* In custody: `messages`, with those of which only failed or expired
	 * recipients are left; `recipients`, those that are still to be sent.
	 * Of a provider or domain `messages` = `recipients`: each is a message
	 * there. What a hold over the domain keeps back counts as held. Of the
	 * outcomes `failed` and `expired` count what is kept, the others
	 * count since create. */
	uint64_t messages, recipients;
	uint64_t waiting, deferred, held, needs_decision, in_flight;
	uint64_t exporting;
	uint64_t delivered, failed, expired, purged, exported;
	uint64_t other_done;       /* suppressed and exported */
	uint32_t oldest_arrival_s; /* of what is to be sent (at most 1 h
				    * too old); 0 = none */
	uint32_t next_due_s;       /* of deferred ones; 0 = none */
};
void queue_counts(const struct queue *q, struct queue_counts *out);
int queue_provider_counts(const struct queue *q, uint32_t provider,
			  struct queue_counts *out);
int queue_domain_counts(const struct queue *q, uint32_t domain,
			struct queue_counts *out);
uint64_t queue_memory_bytes(const struct queue *q);

#endif
