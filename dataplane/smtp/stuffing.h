/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stuffing.h - dot stuffing, its reverse, and what content looks like.
 *
 * PURE, any thread, no allocation. All three take content in chunks split
 * anywhere. A line ends with CRLF and with nothing else: a bare CR or LF is
 * content and is reported, never taken for a line end (nobody can smuggle a
 * second message past us with "\n.\r\n").
 */
#ifndef SLUICE_SMTP_STUFFING_H
#define SLUICE_SMTP_STUFFING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What intake must know of content: spool flags and limits. */
struct smtp_scan {
	uint64_t bytes;
	uint64_t lines;
	uint32_t line_max_bytes; /* longest line, without CRLF */
	bool needs_stuffing;     /* a line starts with '.' */
	bool has_8bit;
	bool has_nul;
	bool bare_cr_lf;
	/* private */
	uint64_t line_bytes;
	bool cr;
};
void smtp_scan_init(struct smtp_scan *s);
void smtp_scan_update(struct smtp_scan *s, const char *data, size_t len);
/* After the last byte: the content ends with CRLF, or is empty. A last line
 * without CRLF counts as a line; a CR at the very end is a bare one. */
bool smtp_scan_end(struct smtp_scan *s);

/* Doubles the dot of each line that starts with one. */
struct smtp_stuffer {
	uint8_t state; /* 0 = at the start of a line */
};
void smtp_stuffer_init(struct smtp_stuffer *s);
/* Returns bytes written to `out`; `used` = bytes taken from `in`. Stops when
 * either is at its end. `out` must have room for 2 bytes or more. */
size_t smtp_stuff(struct smtp_stuffer *s, const char *in, size_t len,
		  size_t *used, char *out, size_t out_size);

/* Takes stuffed data as received after 354. */
struct smtp_unstuffer {
	uint8_t state;
};
void smtp_unstuffer_init(struct smtp_unstuffer *u);
/* Gives the next run of content in `span` (points into `data` or to a constant;
 * its length may be 0) and says in `used` how much of `data` it took. Returns
 * 1 when CRLF.CRLF has been taken (the CRLF before the dot is content), else 0.
 * Call again with the rest while used < len and the result is 0. */
int smtp_unstuff(struct smtp_unstuffer *u, const char *data, size_t len,
		 size_t *used, const char **span, size_t *span_len);

#endif
