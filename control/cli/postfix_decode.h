/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_decode.h - addresses without quotes, DSN values without xtext.
 *
 * Used by the writer of Postfix queue files. Outputs have as much room as the
 * input is long.
 */
#ifndef SLUICE_CLI_POSTFIX_DECODE_H
#define SLUICE_CLI_POSTFIX_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "sluice/envelope.h"

/* "a b"@x -> a b@x; the length, or -1: no room, or the quotes do not end. */
long postfix_unquote(struct text t, char *to, size_t room);
/* RFC 3461 +HH, RFC 6533 \x{HEX}; what is neither stays as it is. */
size_t postfix_xtext_decode(const char *s, size_t len, char *to);
size_t postfix_utf8_decode(const char *s, size_t len, char *to);

#endif
