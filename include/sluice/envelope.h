/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope.h - who a message is from, for whom, and what was asked of it.
 *
 * Flat text with lengths, so that intake fills it, the spool stores it and
 * delivery sends it without a copy. Strings are NOT 0-terminated unless said.
 * The owner of the memory is whoever built it; readers keep nothing.
 */
#ifndef SLUICE_ENVELOPE_H
#define SLUICE_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#define ENVELOPE_RCPTS_MAX 100000u

struct text {
	const char *data; /* may be NULL when len is 0 */
	uint32_t len;
};

enum envelope_body { BODY_UNKNOWN, BODY_7BIT, BODY_8BITMIME };
enum envelope_ret { RET_UNKNOWN, RET_FULL, RET_HDRS };
/* NOTIFY bits, RFC 3461; 0 = not given */
enum envelope_notify {
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8
};

struct envelope_rcpt {
	struct text address; /* local@domain, domain as lower-case A-label */
	struct text orcpt;   /* "rfc822;..." as it came, xtext; may be empty */
	uint8_t notify;
};

struct envelope {
	struct text sender;  /* without <>; empty = null sender */
	struct text envid;   /* xtext, may be empty */
	struct text origin;  /* queue id of the MTA it came from */
	struct text client;  /* client address as text */
	struct text account; /* SASL user */
	/* What else an MTA in front told of the client: "NAME=... PORT=...
	 * PROTO=... HELO=... SOURCE=...", values as xtext; may be empty */
	struct text forwarded;
	uint8_t body;       /* enum envelope_body */
	uint8_t ret;        /* enum envelope_ret */
	uint8_t smtputf8;   /* the message needs SMTPUTF8 */
	uint32_t arrival_s; /* seconds since 1970 */
	uint32_t rcpt_count;
	const struct envelope_rcpt *rcpts;
};

#endif
