/* SPDX-License-Identifier: BSD-2-Clause
 *
 * xtext.h - the encodings of ENVID and ORCPT values.
 *
 * PURE. RFC 3461 section 4: bytes outside "!".."~", '+' and '=' become +HH.
 * RFC 6533 section 3: in an "utf-8;" address, characters above ASCII and the
 * special ones become \x{HEX} (utf-8-addr-xtext).
 */
#ifndef SLUICE_INTAKE_XTEXT_H
#define SLUICE_INTAKE_XTEXT_H

#include <stddef.h>

#include "intake/envelope_build.h"

/* Writes the encoded text to `to`, at most 3 * len bytes; returns how many. */
size_t xtext_write(char *to, const char *data, size_t len);
/* Appends the encoded text to `b`. -EINVAL: no UTF-8 (xtext_utf8 only). */
int xtext_encode(struct envelope_build *b, const char *data, size_t len,
		 struct text *out);
/* "type;address" as Postfix keeps it, decoded, to the form of RCPT TO. */
int xtext_orcpt(struct envelope_build *b, const char *data, size_t len,
		struct text *out);

#endif
