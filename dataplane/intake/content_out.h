/* SPDX-License-Identifier: BSD-2-Clause
 *
 * content_out.h - lines in, CRLF content out, with what was noticed.
 *
 * PURE. Readers hand in the text of lines without their line ends, in pieces
 * of any size; the sink gets content with CRLF, unstuffed, in large pieces.
 * Whatever CR or LF is inside a line's text is bare: it is passed on and
 * flagged, or, with `normalise`, repaired: a bare CR or LF ends the line, and
 * CRs directly before a line end are dropped.
 */
#ifndef SLUICE_INTAKE_CONTENT_OUT_H
#define SLUICE_INTAKE_CONTENT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTENT_OUT_BYTES 16384u

struct content_out {
	int (*sink)(void *user, const void *data, uint32_t len);
	void *user;
	uint64_t bytes; /* put so far */
	uint32_t flags; /* enum spool_message_flag bits */
	uint32_t used;
	bool normalise;
	bool in_line; /* the line has a byte already */
	bool cr_held; /* normalise: a CR whose meaning is not known yet */
	uint8_t buf[CONTENT_OUT_BYTES];
};

void content_out_init(struct content_out *o, bool normalise,
		      int (*sink)(void *user, const void *data, uint32_t len),
		      void *user);
/* Return 0 or what the sink returned. */
int content_out_text(struct content_out *o, const void *data, size_t len);
int content_out_line_end(struct content_out *o);
/* Ends an unfinished line with CRLF and empties the buffer. */
int content_out_finish(struct content_out *o);

/* Does any byte have its top bit set? */
bool content_has_8bit(const void *data, size_t len);

#endif
