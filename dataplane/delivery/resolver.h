/* SPDX-License-Identifier: BSD-2-Clause
 *
 * resolver.h - asynchronous DNS questions.
 *
 * Private to delivery. Wraps libunbound: its own thread does the work, answers
 * are handed over on the loop's thread through a descriptor the loop polls.
 * One owner thread. Questions beyond what may be under way wait in line, so
 * that name servers which do not answer hold up nobody else. Allocates per
 * question: questions are asked per domain and TTL, not per message.
 */
#ifndef DELIVERY_RESOLVER_H
#define DELIVERY_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/io.h"
#include "sluice/config.h"
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
	/* When the first of the records behind the answer ends, monotonic;
	 * never late, up to a second early. In the past for a TTL of 0: then
	 * it is good for what asked for it, and for nothing else. */
	uint64_t expires_ns;
	uint32_t count;
	char *const *data; /* RDATA, names uncompressed */
	const int *len;
	const char *why; /* for RESOLVER_FAILED */
};

typedef void resolver_fn(void *user, const struct resolver_answer *a);

struct resolver;

int resolver_open(struct resolver **out, struct io *io, const struct config *c,
		  struct err *e);
/* Questions still open are dropped without a call. Turns the loop until its
 * own operations have ended. */
void resolver_close(struct resolver **r);
/* Nobody waits for an answer of it. */
bool resolver_idle(const struct resolver *r);
/* `fn` is called once, never inside this call. `suspect`: the last answer was
 * RESOLVER_FAILED; such questions may take only a part of what may be under
 * way at a time. -EINVAL: not a domain name. */
int resolver_ask(struct resolver *r, const char *name, enum resolver_type type,
		 bool suspect, resolver_fn *fn, void *user);

#endif
