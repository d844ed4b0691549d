/* SPDX-License-Identifier: BSD-2-Clause
 *
 * resolver_priv.h - what resolver.c and question.c share.
 *
 * Private to the resolver. One owner thread: the loop's.
 */
#ifndef DELIVERY_RESOLVER_PRIV_H
#define DELIVERY_RESOLVER_PRIV_H

#include <unbound.h>

#include "delivery/list.h"
#include "delivery/resolver.h"
#include "sluice/domain.h"

#define RESOLVER_MAGIC 0x52534c56u
#define DNS_CLASS_IN   1

/* Asked a moment ago. What libunbound's thread has not read yet lies in a
 * pipe: this many always fit, so asking never blocks. */
#define QUESTIONS_YOUNG_MAX 128u
#define SUSPECTS_YOUNG_MAX  (QUESTIONS_YOUNG_MAX / 4)
#define YOUNG_NS            (2 * NS_PER_S)
#define EXPIRIES            4096u /* power of two */

/* When the copy that libunbound keeps of an answer ends: it hands it out until
 * the END of that second. */
struct expiry {
	uint64_t key;
	uint64_t at_s; /* real time */
};

enum question_place {
	QUESTION_LINE = 0,
	QUESTION_OFF,
	QUESTION_YOUNG,
	QUESTION_SLOW,
	QUESTION_TOLD
};

struct question {
	struct link link;
	struct resolver *resolver;
	resolver_fn *fn; /* NULL once it has been told */
	void *user;
	uint64_t asked_ns;      /* monotonic */
	uint64_t due_ns;        /* of one that was put off */
	uint64_t asked_real_ns; /* real time */
	uint16_t type;
	uint8_t place; /* enum question_place: the list it is in */
	bool suspect;
	bool again; /* asked a second time for a fresh copy */
	char name[DOMAIN_BYTES];
};

struct resolver {
	uint32_t magic;
	struct io *io;
	struct ub_ctx *ctx;
	struct io_op poll;
	struct io_timer timer; /* questions that grow old; those put off */
	bool closing;
	uint64_t timeout_ns;
	uint32_t flight_max; /* each may need a socket of libunbound's */
	/* each question is in one of these lists */
	struct link waiting[2]; /* in line; [1] = suspects */
	struct link off;        /* to be asked when a second is over */
	struct link young;      /* with libunbound, oldest first */
	struct link slow;       /* not answered within YOUNG_NS */
	struct link told;       /* given up; libunbound has not */
	uint32_t young_count, suspects_young;
	uint32_t flight_count; /* young, slow and told */
	struct expiry expiries[EXPIRIES];
};

/* question.c */
void questions_init(struct resolver *r);
void questions_fini(struct resolver *r);
/* Hands as many to libunbound as may be under way. */
void questions_pump(struct resolver *r);

#endif
