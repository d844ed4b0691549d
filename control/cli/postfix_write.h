/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_write.h - writes a Postfix queue file (format of Postfix 3.7).
 *
 * Used by `sluice export postfix`. No I/O of its own: bytes go to a sink, in
 * order, and at the end the caller puts the size record over the place holder
 * at offset 0, because it tells what follows. One thread. The reader's side,
 * and what each record means, is in docs/postfix-queue-format.md.
 */
#ifndef SLUICE_CLI_POSTFIX_WRITE_H
#define SLUICE_CLI_POSTFIX_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/envelope.h"

#define POSTFIX_LINE_BYTES 2048u /* Postfix's line_length_limit */
#define POSTFIX_SIZE_BYTES 97u   /* the size record, with type and length */

struct postfix_write {
	/* 0 or -errno, which ends the writing. */
	int (*sink)(void *user, const void *data, size_t len);
	void *user;
	uint64_t at;         /* bytes put so far */
	uint64_t content_at; /* offset of the first content record */
	uint32_t rcpt_count;
	uint32_t notify; /* what was asked for any recipient */
	bool utf8;       /* needs SMTPUTF8 */
	bool utf8_address;
	bool utf8_header;
	bool in_header, line_begun, cr_held;
	uint32_t line_len;
	uint32_t used;
	uint8_t line[POSTFIX_LINE_BYTES];
	uint8_t buf[65536];
};

/* Size record (place holder), envelope, start of content. -EINVAL: an address
 * that Postfix could not read back. */
int postfix_write_begin(struct postfix_write *w, const struct envelope *env,
			uint64_t now_s,
			int (*sink)(void *user, const void *data, size_t len),
			void *user);
/* Content with CRLF line ends, unstuffed, in pieces of any size. */
int postfix_write_content(struct postfix_write *w, const void *data,
			  size_t len);
/* Empties the buffer; `size` goes to offset 0. */
int postfix_write_end(struct postfix_write *w,
		      uint8_t size[POSTFIX_SIZE_BYTES]);

#endif
