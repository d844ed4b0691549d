/* SPDX-License-Identifier: BSD-2-Clause
 *
 * record_match.h - what only the stored record can tell of a selection.
 *
 * PURE. Sender and recipient (the index knows them by hash), account, client
 * address, subject, header fields. Patterns are PCRE2, match in any case,
 * anywhere in the unfolded and decoded text, or in the text as it lies there.
 * Bound: MATCH_STEPS per pattern and text; a pattern that needs more does not
 * match, and is counted.
 */
#ifndef SLUICED_RECORD_MATCH_H
#define SLUICED_RECORD_MATCH_H

#include <stdbool.h>

#include "sluice/envelope.h"
#include "sluice/err.h"
#include "sluice/selection.h"

struct record_match;

/* `s` has to outlive it. -EINVAL: a pattern is wrong, `e` says where. */
int record_match_create(const struct selection *s, struct record_match **out,
			struct err *e);
void record_match_destroy(struct record_match **m);
/* Does it look at header fields? Then `header` below has to be there. */
bool record_match_wants_header(const struct record_match *m);
/* Terms that speak of the message as a whole. */
bool record_match_message(struct record_match *m, const struct envelope *env,
			  const char *header, size_t header_len);
/* The recipient's own. */
bool record_match_recipient(const struct record_match *m, struct text address);
/* Texts that some pattern gave up on. */
uint64_t record_match_gave_up(const struct record_match *m);

#endif
