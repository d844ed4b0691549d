/* SPDX-License-Identifier: BSD-2-Clause
 *
 * oddity.h - one thing that a simulated receiver does wrong, and where.
 *
 * "PHASE[#N]/ACTION[/ARGUMENT]", as in "rcpt#2/reply/450 4.2.1 busy": at the
 * first N times that the dialogue comes to PHASE (without #N: always) ACTION
 * takes the place of the ordinary reply, or changes it. PURE, constant once
 * parsed. Texts point into what was parsed.
 */
#ifndef SLUICE_BENCH_ODDITY_H
#define SLUICE_BENCH_ODDITY_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/err.h"

#define ODDITY_MAX 6u /* of one listener */

enum oddity_phase {
	ODD_GREETING,
	ODD_EHLO,
	ODD_HELO,
	ODD_MAIL,
	ODD_RCPT,
	ODD_DATA,
	ODD_CONTENT, /* the first bytes of it have come */
	ODD_BDAT,    /* a chunk that is not the last */
	ODD_DOT,     /* or the last chunk */
	ODD_RSET,
	ODD_QUIT,
	ODD_PHASES
};

enum oddity_action {
	/* instead of the reply */
	ODD_REPLY,       /* TEXT ('|' divides lines) */
	ODD_REPLY_CLOSE, /* TEXT, then the connection is closed */
	ODD_CUT,         /* TEXT without an end, then closed */
	ODD_CLOSE,
	ODD_RESET,
	ODD_STALL,   /* nothing, for ever */
	ODD_SKIP,    /* goes on without a word */
	ODD_GARBAGE, /* 512 bytes that are no reply, then nothing */
	ODD_FLOOD,   /* a reply of N lines that never ends, then nothing */
	/* the reply, changed */
	ODD_BEFORE,     /* TEXT comes first */
	ODD_THEN,       /* TEXT follows at once */
	ODD_THEN_CLOSE, /* TEXT follows, then closed */
	ODD_TWICE,
	ODD_TRICKLE, /* each byte on its own, N ms apart */
	ODD_BARE,    /* the code alone */
	ODD_LF,      /* ended by LF alone */
	ODD_LOWER,   /* in lower case */
	ODD_LINES,   /* of N lines */
	ODD_LONG,    /* a line of N bytes */
	/* after the final dot: the message is taken, but nobody says so */
	ODD_TOOK_CLOSE,
	ODD_TOOK_RESET,
	ODD_TOOK_STALL
};

struct oddity {
	uint8_t phase;    /* enum oddity_phase */
	uint8_t action;   /* enum oddity_action */
	uint64_t times;   /* 0 = always */
	uint64_t number;  /* the argument, where it is one */
	const char *text; /* the argument; "" without one */
};

/* -EINVAL with the sentence in `e`. */
int oddity_parse(const char *text, struct oddity *out, struct err *e);

#endif
