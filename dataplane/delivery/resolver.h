/* SPDX-License-Identifier: BSD-2-Clause
 *
 * resolver.h - asynchronous DNS questions.
 *
 * Private to delivery. Wraps libunbound: its own thread does the work, answers
 * are handed over on the loop's thread through a descriptor the loop polls.
 * One owner thread. Allocates per question: questions are asked per domain and
 * TTL, not per message.
 */
#ifndef DELIVERY_RESOLVER_H
#define DELIVERY_RESOLVER_H

#include <stdint.h>

#include "io/io.h"
#include "sluice/err.h"

enum resolver_type { RESOLVER_A = 1, RESOLVER_MX = 15, RESOLVER_AAAA = 28 };

enum resolver_status {
	RESOLVER_OK = 1,
	RESOLVER_NO_DATA, /* the name exists, without this type */
	RESOLVER_NO_NAME, /* NXDOMAIN */
	RESOLVER_FAILED   /* SERVFAIL, refused, no answer: try again later */
};

/* Pointers are valid only during the call. */
struct resolver_answer {
	uint8_t status; /* enum resolver_status */
	uint32_t ttl_s;
	uint32_t count;
	char *const *data; /* RDATA, names uncompressed */
	const int *len;
	const char *why; /* for RESOLVER_FAILED */
};

typedef void resolver_fn(void *user, const struct resolver_answer *a);

struct resolver;

/* `servers` are "addr[:port]"; none = /etc/resolv.conf. */
int resolver_open(struct resolver **out, struct io *io, char *const *servers,
		  uint32_t server_count, struct err *e);
/* Questions still open are dropped without a call. Turns the loop until its
 * own operations have ended. */
void resolver_close(struct resolver **r);
/* `fn` is called once, never inside this call. */
int resolver_ask(struct resolver *r, const char *name, enum resolver_type type,
		 resolver_fn *fn, void *user);

#endif
