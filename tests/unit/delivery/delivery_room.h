/* SPDX-License-Identifier: BSD-2-Clause
 *
 * delivery_room.h - a spool, a loop, a config and an owner for delivery tests.
 *
 * The owner behaves as the contract says: it offers a message, and after
 * -EAGAIN it waits for ready() before it offers again. So a ready() that is
 * forgotten makes a test fail.
 */
#ifndef DELIVERY_ROOM_H
#define DELIVERY_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "delivery/delivery.h"
#include "fake_receiver.h"
#include "sluice/clock.h"

#define ROOM_MESSAGES_MAX 4096
#define ROOM_TEXT_BYTES   4096
#define ROOM_RCPTS_MAX    1000

enum room_go { GO_NOW, GO_LATER, GO_ERROR, GO_NEVER };

struct room_message {
	struct delivery_message m;
	uint32_t rcpts[ROOM_RCPTS_MAX > 16 ? 16 : ROOM_RCPTS_MAX];
	uint32_t *more_rcpts;
	uint32_t provider, source, domain;
};

struct room {
	char dir[64];
	struct io *io;
	struct storage st;
	struct spool *sp;
	struct config config;
	struct config_source sources[3];
	struct config_provider providers[3];
	char route[64];
	struct delivery *d;
	enum room_go go;
	uint64_t later[64];
	uint32_t later_count;

	struct room_message *messages; /* ROOM_MESSAGES_MAX */
	uint32_t stored, offered;
	bool may_offer;
	bool keep;     /* connections, when their message is done */
	uint64_t kept; /* the last one */
	uint32_t eagain;
	int offer_error;

	/* what delivery said */
	uint32_t ready, attempts, attempt_rcpts, done, failed, unroutable;
	uint32_t relayed;
	uint32_t routed;
	bool permanent;
	char hosts[512]; /* the best MX hosts, as last told */
	uint64_t ttl_ns;
	char results[ROOM_TEXT_BYTES]; /* "accepted/eom/250 ..." */
	char failure[512];             /* "connect/421" or "connect/-" */
	char detail[512];              /* of the last result or failure */
	char reply_text[2048];
	char remote[256];
	char address[1024];
	uint64_t last_id;
};

/* Sources 127.0.0.1 to .3, provider 0 routed to `port`, short timeouts. */
void room_open(struct room *r, uint16_t port);
/* Every timeout of the session, but for connect and idle. */
void room_patience(struct room *r, uint64_t ns);
void room_start(struct room *r); /* creates the delivery; after changes */
void room_close(struct room *r);
/* Stores a message from s@example.org; offered later, in order. */
struct room_message *room_store(struct room *r, const char *const *rcpts,
				uint32_t count, const char *content, size_t len,
				uint32_t flags);
struct room_message *room_store_env(struct room *r, struct envelope *env,
				    const char *content, size_t len,
				    uint32_t flags);
/* Its content is `piece`, `count` times. */
struct room_message *room_store_pieces(struct room *r, struct envelope *env,
				       const char *piece, size_t len,
				       uint32_t count, uint32_t flags);
/* Path of the (last) segment file. */
void room_segment(struct room *r, char *path, size_t size);
/* Turns the loop until *counter >= n; fails the test after 20 s. */
void room_run(struct room *r, const uint32_t *counter, uint32_t n);
void room_run_for(struct room *r, uint64_t span_ns);
void room_turn(struct room *r);

#endif
