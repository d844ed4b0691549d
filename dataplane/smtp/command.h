/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command.h - writes SMTP commands, so that nothing can be injected.
 *
 * PURE, any thread, no allocation. A command is written whole or not at all.
 * Local parts that need it are quoted; what cannot be said in SMTP (control
 * characters, broken UTF-8) is -EINVAL. Parameters go only where the receiver
 * offered them.
 */
#ifndef SLUICE_SMTP_COMMAND_H
#define SLUICE_SMTP_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/envelope.h"
#include "smtp/reply.h"

struct smtp_writer {
	char *data;
	uint32_t size;
	uint32_t len;
};

struct smtp_mail {
	struct text sender;  /* empty = <> */
	uint64_t size_bytes; /* SIZE=; 0 is not told */
	bool eightbit;       /* BODY=8BITMIME */
	bool smtputf8;
	uint8_t ret;       /* enum envelope_ret */
	struct text envid; /* xtext */
};

/* All: 0, -ENOSPC (does not fit; nothing written), -EINVAL. */
int smtp_write_verb(struct smtp_writer *w, const char *verb);
int smtp_write_hello(struct smtp_writer *w, const char *verb, const char *name);
int smtp_write_mail(struct smtp_writer *w, const struct smtp_mail *m,
		    const struct smtp_extensions *offered);
/* BDAT with all of the content to follow it at once (RFC 3030). */
int smtp_write_bdat_last(struct smtp_writer *w, uint64_t bytes);
int smtp_write_rcpt(struct smtp_writer *w, const struct envelope_rcpt *r,
		    const struct smtp_extensions *offered);

#endif
