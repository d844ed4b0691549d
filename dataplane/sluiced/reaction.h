/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reaction.h - from what a reply means to what is done about it.
 *
 * PURE. One table for all classes and scopes: what becomes of the recipient,
 * and what the reflex does to the path, source, provider or sender domain.
 * Source: design of the classes, docs/release.md; promise 2 (a block bounces
 * nothing) is checked here and nowhere else.
 */
#ifndef SLUICED_REACTION_H
#define SLUICED_REACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/classify.h"

enum reaction_rcpt {
	REACT_PUT_BACK = 1, /* to its place, nothing charged */
	REACT_DEFER,        /* retry with back-off, an attempt is charged */
	REACT_GREYLIST,     /* retry after the told wait, same source */
	REACT_HOLD,         /* the operator looks at it */
	REACT_DECIDE,       /* needs decision */
	REACT_FAIL          /* permanent */
};

enum reaction_reflex {
	REFLEX_NONE = 0,
	REFLEX_EASE, /* slow down what the scope names */
	REFLEX_STOP_PATH,
	REFLEX_STOP_SOURCE,   /* at every provider; of a list: at those that
			       * use it */
	REFLEX_STOP_PROVIDER, /* over every source */
	REFLEX_HOLD_SENDER,   /* hold this sender domain at this provider */
	REFLEX_LEAVE_ALONE    /* the receiver has a problem: back-off if it
			       * says nothing else */
};

struct reaction {
	enum reaction_rcpt rcpt;
	enum reaction_reflex reflex;
};

/* `phase` and `code` of the reply that got verdict `v`. */
struct reaction reaction_of(const struct verdict *v, uint8_t phase,
			    uint16_t code);
/* Seconds until the next try after `attempts` charged ones (1 = first). */
uint32_t reaction_backoff_s(uint32_t attempts, uint32_t first_s,
			    uint32_t max_s);
/* Of unknown texts: what differs from recipient to recipient (addresses, words
 * with digits, case, spacing) does not count. */
uint64_t reaction_text_hash(const char *text, uint32_t len);

/* How many recipients were answered of late, and refused for their content. */
struct reaction_content {
	uint32_t answered;
	uint32_t refused;
};
/* Counts, and says whether they are too many: five, and a tenth. The count
 * forgets: it halves every 500 answers. */
bool reaction_content_alarm(struct reaction_content *c, uint32_t answered,
			    uint32_t refused);
/* Default wait of a greylisting that told none. */
#define REACTION_GREYLIST_S 300u

#endif
