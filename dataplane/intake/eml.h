/* SPDX-License-Identifier: BSD-2-Clause
 *
 * eml.h - reads one RFC 5322 message from a file.
 *
 * PURE. Line ends may be LF or CRLF; content comes out with CRLF, and a last
 * line without an end gets one. The envelope is the caller's: a header is no
 * envelope. An mbox file (first line "From ") is refused with a hint, and so is
 * what does not start with a header field. Same source and ops as the Postfix
 * reader, same steps.
 */
#ifndef SLUICE_EML_H
#define SLUICE_EML_H

#include <stdbool.h>
#include <stdint.h>

#include "intake/content_out.h"
#include "intake/postfix_queue.h"

struct eml {
	struct content_out out;
	/* private */
	const struct postfix_queue_source *src;
	const struct postfix_queue_ops *ops;
	const struct envelope *env;
	void *user;
	struct err *e;
	uint64_t at;
	bool started;
};

/* All must live until the last step. */
void eml_begin(struct eml *m, const struct postfix_queue_source *src,
	       const struct envelope *env, bool normalise,
	       const struct postfix_queue_ops *ops, void *user, struct err *e);
/* Returns as postfix_queue_step(); -EPROTO: no message, with a sentence. */
int eml_step(struct eml *m, struct postfix_queue_info *info);

#endif
