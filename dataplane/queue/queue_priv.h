/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue_priv.h - what the files of this room share; nobody else reads it.
 *
 * Recipients ("nodes") and messages lie in chunks that never move and are
 * named by 32-bit numbers. A list is a circle of nodes through a sentinel that
 * is a node itself, so a node leaves its list without knowing which one it is
 * in. The recipients of a message are consecutive nodes: a recipient's index
 * in the envelope is its distance from the message's first node.
 */
#ifndef SLUICE_QUEUE_PRIV_H
#define SLUICE_QUEUE_PRIV_H

#include <stddef.h>

#include "queue/queue.h"
#include "sluice/assert.h"
#include "sluice/intern.h"
#include "sluice/wheel.h"

#define QUEUE_MAGIC     0x51554555u
#define NODE_NONE       QUEUE_NONE
#define CHUNK_SHIFT     12
#define CHUNK_ITEMS     (1u << CHUNK_SHIFT)
#define PAGE_IDS        64u /* ids per page of the index */
#define RUN_CLASSES     64u /* free runs of 1..63 nodes, then longer ones */
#define DIGEST_PARTS    256u
#define OLDEST_SLOT_S   3600u /* granularity of a domain's oldest arrival */
#define PROVIDERS_LIMIT (1u << 24)

enum node_mark {
	MARK_CUSTODY = 1,  /* held: taken over, or HELD by an operator's set */
	MARK_STANDING = 2, /* held by a standing hold that names recipients */
	MARK_ATTEMPT = 4,  /* an attempt without outcome so far */
	MARK_PARKED = 8,   /* waits for its source, outside its domain's list */
	MARK_REROUTED = 16 /* an operator's pin: outcomes do not change it */
};

/* One recipient, or the sentinel of a list, or a free run. */
struct node {
	uint32_t next;
	uint32_t prev;
	uint32_t message; /* slot; NODE_NONE for a sentinel */
	uint32_t domain;
	uint32_t local_hash;
	/* deferred: due; held: since; in flight: when; needs a decision,
	 * failed, expired: the owner's tag */
	uint32_t time_s;
	uint8_t state; /* enum rcpt_state; 0 = sentinel or free */
	uint8_t attempts;
	uint8_t last_class;
	uint8_t marks;
	uint16_t pinned; /* source + 1; 0 = free */
	uint16_t tried;  /* source + 1 of the open attempt */
};
_Static_assert(sizeof(struct node) == 32, "a further recipient costs 32 bytes");

/* Packed: at 68 bytes, with 32 for a recipient and about 10 for the lookups
 * by id and digest, a message stays below 112. */
struct message {
	uint64_t id; /* 0 = free slot, `first` links the next one */
	uint64_t digest;
	uint64_t offset : 40;
	uint64_t content_bytes : 40;
	uint64_t flags : 12;
	uint64_t rcpt_count : 17;
	uint64_t remaining : 17; /* recipients in custody, kept ones too */
	uint64_t released : 1;   /* an attempt has begun: see lifetime.c */
	uint64_t spare : 1;
	uint32_t segment;
	uint32_t record_bytes_div8;
	uint32_t arrival_s;
	uint32_t first_release_s; /* the clock of lifetime; 0 = not yet */
	uint32_t paused_s;        /* held after the first release, in all */
	uint32_t paused_until_s;  /* up to here counted in paused_s */
	uint32_t sender_hash;
	uint32_t sender_domain;
	uint32_t first; /* node */
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct message) == 68, "see the budget above");

struct tally {
	uint64_t messages; /* only of the queue as a whole */
	uint64_t by_state[RCPT_EXPORTED + 1];
	uint64_t waiting_stopped; /* of WAITING: under a hold of the domain */
};

struct due_bucket {
	uint32_t due_s;
	uint32_t sentinel;
};

struct arrival_slot {
	uint32_t slot; /* arrival / OLDEST_SLOT_S */
	uint32_t count;
	uint32_t oldest_s;
};

/* By time; only the last may go on (to_s 0). */
struct pauses {
	struct queue_stretch *list; /* [QUEUE_STRETCHES_MAX] or NULL */
	uint32_t count;
};

/* A sorted list. `size` counts what ever was put in: at most that many. */
struct order_run {
	uint32_t sentinel;
	uint32_t size;
};

/* What waits of a domain: its backlog, or its live mail. */
struct queue_flow {
	uint32_t front;          /* sentinel: put back, the latest first */
	struct order_run sorted; /* waiting, in the provider's order */
	struct order_run *runs;  /* more of them, the later the shorter */
	uint32_t run_count, run_room;
	uint32_t fresh_count; /* at most: some have left since */
	uint32_t fresh;       /* sentinel: waiting, to be sorted in */
	uint32_t ready;       /* recipients in front, in order, fresh */
	uint32_t told;        /* what domain_waiting() said last */
};

struct queue_domain {
	uint32_t number;
	uint32_t base; /* whose name it has: itself, unless rerouted */
	uint32_t provider;
	struct queue_flow flows[2]; /* [1] live mail */
	uint32_t held;              /* sentinel */
	uint32_t holds;             /* standing holds over the whole domain */
	bool dirty;                 /* in queue->dirty */
	uint32_t bucket_count, bucket_room;
	struct due_bucket *buckets; /* by due_s */
	uint32_t slot_count, slot_room;
	struct arrival_slot *slots; /* by slot */
	struct pauses pauses;       /* held as a whole */
	struct wheel_entry timer;   /* when the first bucket is due */
	struct tally tally;
	uint32_t provider_next; /* next domain of the same provider */
	uint32_t provider_prev;
};

struct queue_provider {
	char *name;
	uint8_t order;
	bool set;
	bool shared_hop; /* its domains are reached by one next hop */
	uint32_t rcpts_max;
	uint32_t domains; /* first one; QUEUE_NONE */
	struct pauses blocks;
	struct tally tally;
};

/* Things of one size in chunks that never move. */
struct pool {
	char **chunks;
	uint32_t chunk_count, chunk_room;
	uint32_t used; /* numbers given out so far */
	uint32_t item_bytes;
};

struct page_entry {
	uint64_t page;  /* id / PAGE_IDS */
	uint32_t slots; /* number in queue->pages */
	uint32_t count; /* ids in it */
};

struct digest_part {
	uint32_t *slots; /* message slot + 1 */
	uint32_t room, count;
};

struct park_list {
	uint32_t provider;
	uint32_t source;
	uint32_t sentinel;
};

/* Sorted by key; see hold_index.c. */
struct hold_key {
	uint64_t key;
	const struct selection *selection;
};

struct queue {
	uint32_t magic;
	uint32_t now_s; /* latest time heard of */
	struct queue_ops ops;
	void *user;
	struct pool nodes, messages, pages, domains;
	uint32_t runs[RUN_CLASSES]; /* free runs of nodes, by length */
	uint32_t message_free;
	uint32_t page_free;
	struct page_entry *directory; /* by page, without holes in order */
	uint32_t directory_count, directory_room, directory_dead;
	uint32_t in_flight; /* sentinel */
	struct digest_part digests[DIGEST_PARTS];
	struct intern *domain_names;
	struct intern *sender_names;
	struct queue_provider *providers;
	char **source_names;
	uint32_t provider_count, source_count;
	struct wheel due; /* domains with deferred mail; ticks of 1 s */
	uint32_t *dirty;  /* domains whose number has to be told */
	uint32_t dirty_count, dirty_room;
	struct park_list *parks;
	uint32_t park_count, park_room;
	struct queue_hold *holds;
	uint32_t hold_count, hold_room;
	struct queue_doubt *doubts;
	uint32_t *doubt_table; /* index + 1, by id and recipient */
	uint32_t doubt_count, doubt_room, doubt_table_room;
	uint32_t rcpt_holds;        /* holds that are matched per recipient */
	struct hold_key *hold_keys; /* of those that name ids or senders */
	uint32_t hold_key_count, hold_key_room;
	const struct selection **hold_others; /* the rest of them */
	uint32_t hold_other_count, hold_other_room;
	bool reviewing; /* a hold came or went: hold_review.c */
	uint32_t review_next;
	struct tally tally;
	uint64_t extra_bytes; /* arrays beside the pools */
};

/* pool.c */
void *queue_pool_at(const struct pool *p, uint32_t number);
/* The next `count` numbers, all in a row; QUEUE_NONE without memory. */
uint32_t queue_pool_grow(struct pool *p, uint32_t count);
void queue_pool_free(struct pool *p);
uint64_t queue_pool_bytes(const struct pool *p);
/* Grows an array to hold `count` items; false without memory. */
bool queue_array_room(struct queue *q, void *array, uint32_t *room,
		      uint32_t count, size_t item_bytes);

static inline struct node *queue_node(const struct queue *q, uint32_t n)
{
	return (struct node *)(void *)(q->nodes.chunks[n >> CHUNK_SHIFT]) +
	       (n & (CHUNK_ITEMS - 1));
}

static inline struct message *queue_message(const struct queue *q, uint32_t n)
{
	return (struct message *)(void *)(q->messages
						  .chunks[n >> CHUNK_SHIFT]) +
	       (n & (CHUNK_ITEMS - 1));
}

/* node.c */
uint32_t queue_run_alloc(struct queue *q, uint32_t count);
void queue_run_free(struct queue *q, uint32_t first, uint32_t count);
uint32_t queue_list_create(struct queue *q);
void queue_list_append(struct queue *q, uint32_t sentinel, uint32_t n);
void queue_list_prepend(struct queue *q, uint32_t sentinel, uint32_t n);
void queue_list_remove(struct queue *q, uint32_t n);
bool queue_list_is_empty(const struct queue *q, uint32_t sentinel);
/* All of `from` goes behind the last of `to`. */
void queue_list_splice(struct queue *q, uint32_t to, uint32_t from);

/* index.c */
int queue_index_set(struct queue *q, uint64_t id, uint32_t message);
void queue_index_clear(struct queue *q, uint64_t id);
uint32_t queue_index_get(const struct queue *q, uint64_t id);
/* First message with an id >= `id`; QUEUE_NONE if there is none. */
uint32_t queue_index_next(const struct queue *q, uint64_t id);

/* digest.c */
int queue_digest_add(struct queue *q, uint32_t message);
void queue_digest_remove(struct queue *q, uint32_t message);
uint64_t queue_digest_bytes(const struct queue *q);

/* By how the message came, whatever became of it since. */
static inline bool queue_message_is_live(const struct message *m)
{
	return (m->flags & SPOOL_LIVE) != 0;
}

static inline struct queue_flow *
queue_flow_of(const struct queue *q, struct queue_domain *d, uint32_t n)
{
	const struct message *m = queue_message(q, queue_node(q, n)->message);

	return &d->flows[queue_message_is_live(m)];
}

/* order.c */
void queue_order_insert(struct queue *q, struct queue_domain *d, uint32_t n);
/* First in order; NODE_NONE if there is none. */
uint32_t queue_order_head(struct queue *q, struct queue_domain *d, bool live);
/* The order is another one now. */
void queue_order_reset(struct queue *q, struct queue_domain *d);

/* place.c: a recipient changes state; counts follow. */
void queue_place_remove(struct queue *q, uint32_t n);
/* Waiting, or held if something holds it. */
void queue_place_settle(struct queue *q, uint32_t n, bool front);
int queue_place_deferred(struct queue *q, uint32_t n, uint32_t due_s);
void queue_place_in_flight(struct queue *q, uint32_t n, uint32_t when_s);
void queue_place_needs_decision(struct queue *q, uint32_t n);
int queue_place_exporting(struct queue *q, uint32_t n);
int queue_place_parked(struct queue *q, uint32_t n, uint32_t source);
/* A failed or expired one starts afresh. -ENOMEM: it stays as it is. */
int queue_place_revive(struct queue *q, uint32_t n);
/* An outcome; true if it was the last recipient: the message is gone. One that
 * is kept (failed, expired) is none of those that end a message. */
bool queue_place_done(struct queue *q, uint32_t n, uint8_t state);
void queue_tally_move(struct queue *q, const struct queue_domain *d,
		      uint8_t from, uint8_t to);
void queue_tell_waiting(struct queue *q);
void queue_domain_dirty(struct queue *q, struct queue_domain *d);

/* domain.c */
struct queue_domain *queue_domain_at(const struct queue *q, uint32_t domain);
uint32_t queue_domain_make(struct queue *q, const char *name);
struct queue_provider *queue_provider_at(const struct queue *q,
					 uint32_t provider);
int queue_oldest_add(struct queue *q, struct queue_domain *d,
		     uint32_t arrival_s);
void queue_oldest_remove(struct queue_domain *d, uint32_t arrival_s);

/* defer.c */
int queue_defer_room(struct queue *q, struct queue_domain *d, uint32_t due_s,
		     uint32_t *sentinel);

/* lifetime.c */
void queue_lifetime_restart(struct message *m, uint32_t when_s);
/* The recipient leaves a place in which the clock stood, if it did. */
void queue_lifetime_resume(struct queue *q, const struct node *node);
/* The first one starts the clock anew. */
void queue_lifetime_attempt(struct message *m, uint32_t when_s);

/* pause.c */
int queue_pause_begin(struct pauses *p, uint32_t from_s);
void queue_pause_end(struct pauses *p, uint32_t to_s);
/* What both lists together cover of [from_s, to_s]. */
uint32_t queue_pauses_within_s(const struct pauses *a, const struct pauses *b,
			       uint32_t from_s, uint32_t to_s);

/* match.c */
enum match { MATCH_NO, MATCH_MAYBE, MATCH_EXACT };
enum match queue_match(const struct queue *q, const struct selection *s,
		       uint32_t n, uint32_t now_s);
bool queue_match_is_scope(const struct selection *s);
bool queue_match_domain(const struct queue *q, const struct selection *s,
			const struct queue_domain *d);
uint8_t queue_effective_state(const struct queue *q, const struct node *node);

/* reroute.c */
uint32_t queue_domain_base(const struct queue *q, uint32_t number);

/* hold.c */
void queue_hold_domain(struct queue *q, struct queue_domain *d);
bool queue_hold_matches(const struct queue *q, uint32_t n);

/* hold_index.c */
int queue_hold_index_add(struct queue *q, const struct selection *s);
void queue_hold_index_remove(struct queue *q, const struct selection *s);
bool queue_hold_index_match(const struct queue *q, uint32_t n);
uint64_t queue_hold_hash(const struct selection *s);

/* hold_review.c */
void queue_review_begin(struct queue *q);
/* The first head that no hold keeps back, while a review goes on. */
uint32_t queue_review_head(struct queue *q, struct queue_domain *d, bool live,
			   uint32_t (*first)(struct queue *q,
					     struct queue_domain *d,
					     bool live));

/* doubt.c */
int queue_doubt_add(struct queue *q, const struct queue_doubt *doubt);

/* message.c */
/* Node of a recipient that is still ours or of one that is done;
 * NODE_NONE if there is none. */
uint32_t queue_rcpt_node(const struct queue *q, uint64_t id, uint32_t rcpt);
static inline uint32_t queue_rcpt_of(const struct queue *q, uint32_t n)
{
	return n - queue_message(q, queue_node(q, n)->message)->first;
}

static inline void queue_now(struct queue *q, uint32_t now_s)
{
	if (now_s > q->now_s)
		q->now_s = now_s;
}

#endif
