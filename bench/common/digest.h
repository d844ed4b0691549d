/* SPDX-License-Identifier: BSD-2-Clause
 *
 * digest.h - XXH3-128 of message content, and its text form.
 *
 * What is digested: the content as it must arrive, CRLF line ends, dots
 * unstuffed, from the first header byte up to and including the last CRLF.
 * Plain values, any thread.
 */
#ifndef SLUICE_BENCH_DIGEST_H
#define SLUICE_BENCH_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES      16
#define DIGEST_TEXT_BYTES 33 /* 32 hex digits and the 0 */

struct digest {
	uint8_t bytes[DIGEST_BYTES];
};

/* Of `len` bytes, with "\r\n" added when they do not end with it. */
struct digest digest_content(const void *data, size_t len);
bool digest_equal(const struct digest *a, const struct digest *b);
/* Returns `buf`. */
const char *digest_format(const struct digest *d, char buf[DIGEST_TEXT_BYTES]);
/* Exactly 32 hex digits at `text`; -EINVAL. */
int digest_parse(const char *text, size_t len, struct digest *out);

#endif
