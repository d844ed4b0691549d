/* SPDX-License-Identifier: BSD-2-Clause
 *
 * event.h - what happened, told from one plane to the other.
 *
 * Rings on the board, one producer and one consumer each, fixed slots:
 *   replies, batches  producer: worker k of sluiced   consumer: control
 *   snoops            producer: lcore k of the shaper consumer: control
 * A full ring counts a drop and never waits. Pushing and popping are O(1) and
 * copy one slot; any thread that is the one producer or consumer of its ring.
 */
#ifndef SLUICE_EVENT_H
#define SLUICE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/board.h"

#define EVENT_HEAD_BYTES    1024
#define EVENT_TAIL_BYTES    512
#define EVENT_REPLIES_SLOTS 512
#define EVENT_BATCHES_SLOTS 1024
#define EVENT_SNOOPS_SLOTS  512

/* A reply that was not 2xx. Slots and generation are those of the board. */
struct event_reply {
	uint64_t when_ns; /* real time */
	uint64_t message; /* id; 0 = before any message */
	uint32_t rcpt;    /* index in the envelope; BOARD_NONE = the message */
	uint32_t provider, path;
	uint32_t path_generation;
	uint32_t batch;
	uint32_t wait_s; /* told by the receiver or by the rule */
	uint16_t code;
	uint16_t enhanced[3];
	uint8_t phase;       /* enum reply_phase */
	uint8_t reply_class; /* enum reply_class */
	uint8_t scope;       /* enum reply_scope */
	uint8_t flags;       /* enum event_reply_flag */
	uint32_t text_bytes; /* as received; more than head + tail was cut */
	uint16_t head_bytes, tail_bytes;
	uint32_t unused;
	char rule[BOARD_NAME_BYTES];
	char remote[128];
	char head[EVENT_HEAD_BYTES]; /* not 0-terminated */
	char tail[EVENT_TAIL_BYTES]; /* what follows the head, or the end */
};

enum event_reply_flag {
	EVENT_PERMANENT = 1,
	EVENT_NEEDS_DECISION = 2,
	EVENT_FROM_LAST = 4
};

/* A batch whose answers are all in, or that was judged. */
struct event_batch {
	uint64_t first_ns, last_ns; /* real time, of release and last answer */
	uint64_t bytes;
	uint32_t provider, path;
	uint32_t path_generation;
	uint32_t batch;
	uint32_t released;                   /* messages */
	uint32_t accepted, deferred, failed; /* recipients */
	uint32_t path_refusals;              /* scope path, source, provider */
	uint32_t lost;         /* connection gone, in doubt included */
	uint32_t judged_early; /* 1 = answers were still missing */
	uint32_t unused;
};

/* A 4xx or 5xx line seen on the wire. */
struct event_snoop {
	uint64_t when_ns;
	uint8_t source[16], receiver[16];
	uint32_t family;
	uint32_t limit; /* slot; BOARD_NONE = no limit for this source */
	uint16_t source_port, receiver_port;
	uint16_t code;
	uint16_t text_bytes;
	char text[456]; /* not 0-terminated */
};

/* Fills text_bytes, head and tail. */
void event_reply_text(struct event_reply *r, const char *text, size_t len);

/* False: full, counted as a drop. `k` < board_options.producers. */
bool event_reply_push(struct board *b, uint32_t k, const struct event_reply *r);
bool event_batch_push(struct board *b, uint32_t k, const struct event_batch *r);
bool event_snoop_push(struct board *b, uint32_t k, const struct event_snoop *r);
/* Control only. False: nothing waits, or no such producer has ever started. */
bool event_reply_pop(struct board *b, uint32_t k, struct event_reply *out);
bool event_batch_pop(struct board *b, uint32_t k, struct event_batch *out);
bool event_snoop_pop(struct board *b, uint32_t k, struct event_snoop *out);

struct event_stats {
	uint64_t pushed, dropped; /* since the board was made */
	uint32_t waiting;
};
enum event_kind { EVENT_REPLIES, EVENT_BATCHES, EVENT_SNOOPS };
void event_stats(const struct board *b, enum event_kind kind, uint32_t k,
		 struct event_stats *out);

#endif
