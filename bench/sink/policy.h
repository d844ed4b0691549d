/* SPDX-License-Identifier: BSD-2-Clause
 *
 * policy.h - how a simulated receiver misbehaves.
 *
 * A listener has one policy; several --policy options for it add up. Constant
 * once parsed. Texts point into argv.
 */
#ifndef SLUICE_BENCH_POLICY_H
#define SLUICE_BENCH_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "sink/oddity.h"
#include "sluice/err.h"
#include "sluice/pace.h"

struct policy {
	bool tempfail_rcpt;      /* 450 to every recipient */
	bool close_after_mail;   /* closed without an answer to MAIL */
	bool drop_in_data;       /* reset after the first content bytes */
	bool silent_after_354;   /* takes content, never answers */
	bool close_after_dot;    /* takes the message, closes instead of 250 */
	bool byte_by_byte;       /* each byte of a reply is a packet */
	bool long_replies;       /* reply lines of 64 KiB */
	bool accept_3_of_5;      /* of five recipients 450 one and 550 one */
	bool no_pipelining;      /* not offered */
	bool no_8bitmime;        /* not offered */
	bool no_dsn;             /* not offered */
	bool chunking;           /* offered */
	bool smtputf8;           /* offered */
	bool no_ehlo;            /* EHLO is unknown, HELO is not */
	const char *reject_rcpt; /* "550 5.1.1 text"; NULL = no */
	const char *banner;      /* instead of 220, then closed; NULL = no */
	struct pace rate;        /* per client; above it 421; 0/0 = no limit */
	uint64_t greylist_ns;    /* 450 until a triple is that old; 0 = no */
	uint64_t slow_ns;        /* before each reply */
	uint64_t every_421;      /* each Nth MAIL is answered 421; 0 = no */
	uint64_t block_after;    /* accepted from a client, then 554; 0 = no */
	uint64_t block_for_ns;   /* how long; 0 = for ever */
	bool block_from_last;    /* a refused attempt starts the time anew */
	uint64_t size_max;       /* said with SIZE; 0 = 1 GiB */
	struct oddity oddities[ODDITY_MAX];
	uint32_t oddity_count;
};

/* Adds "name[:args]" to `p`. -EINVAL with the sentence in `e`. */
int policy_parse(const char *text, struct policy *p, struct err *e);
/* One line for --help. */
const char *policy_names(void);

#endif
