/* SPDX-License-Identifier: BSD-2-Clause
 *
 * header_text.h - fields of a message's header, as a person reads them.
 *
 * PURE. For selections by subject and header; nothing that is sent passes
 * through here. Bound: what the caller's buffers hold; the rest is cut off.
 */
#ifndef SLUICED_HEADER_TEXT_H
#define SLUICED_HEADER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The next field called `name` (in any case) from *at on: its body, unfolded,
 * without the white space around it; *at is behind it then. False: there is
 * none before the empty line. */
bool header_next(const char *header, size_t len, size_t *at, const char *name,
		 size_t name_len, char *out, size_t room, size_t *out_len);
/* Encoded words (RFC 2047) of UTF-8, US-ASCII, ISO-8859-1 and -15 and
 * Windows-1252 as UTF-8; others stay as they are. Returns the length. */
size_t header_decode(const char *in, size_t len, char *out, size_t room);

#endif
