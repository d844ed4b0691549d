/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_normalise.h - makes every CR and LF that stands alone a line end.
 *
 * PURE. Only for `bare_newline: normalise`. Where content ends has been decided
 * before, by CRLF.CRLF alone: nothing here can end a message.
 */
#ifndef SLUICE_INTAKE_SMTP_NORMALISE_H
#define SLUICE_INTAKE_SMTP_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>

struct smtp_normaliser {
	bool stuffed; /* a dot behind a line end of LF alone is stuffing */
	bool cr;      /* a CR waits for what follows */
	bool dot;     /* such a dot may come next */
};

/* `stuffed`: the content came by DATA, where clients that end lines with LF
 * double the dots of those lines. */
void smtp_normalise_init(struct smtp_normaliser *n, bool stuffed);
/* Returns bytes written: at most 2 * len + 2, so much must `out` take. */
size_t smtp_normalise(struct smtp_normaliser *n, const char *in, size_t len,
		      char *out);
/* After the last byte; at most 2. */
size_t smtp_normalise_end(struct smtp_normaliser *n, char *out);

#endif
