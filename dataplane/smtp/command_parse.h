/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command_parse.h - reads SMTP commands, for servers.
 *
 * PURE, any thread, no allocation; results point into the line. Strict: what
 * RFC 5321 does not allow is refused, and the refusal says what was wrong, as a
 * reply that can be sent as it is.
 */
#ifndef SLUICE_SMTP_COMMAND_PARSE_H
#define SLUICE_SMTP_COMMAND_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "smtp/address.h"

/* Longest line we read, with CRLF: RFC 5321's 512, SIZE, BODY, SMTPUTF8 and
 * DSN parameters, and room for long local parts. */
#define SMTP_COMMAND_BYTES_MAX 2048

enum smtp_verb {
	SMTP_NONE,
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_QUIT,
	SMTP_VRFY,
	SMTP_HELP,
	SMTP_XCLIENT,
	SMTP_XFORWARD,
	SMTP_VERBS
};

/* What XCLIENT and XFORWARD can say of a client. */
enum smtp_attribute {
	SMTP_ATTRIBUTE_NAME,
	SMTP_ATTRIBUTE_ADDR,
	SMTP_ATTRIBUTE_PORT,
	SMTP_ATTRIBUTE_PROTO,
	SMTP_ATTRIBUTE_HELO,
	SMTP_ATTRIBUTE_LOGIN,
	SMTP_ATTRIBUTE_DESTADDR,
	SMTP_ATTRIBUTE_DESTPORT,
	SMTP_ATTRIBUTE_IDENT,
	SMTP_ATTRIBUTE_SOURCE,
	SMTP_ATTRIBUTES
};
#define SMTP_ATTRIBUTE_BYTES 256 /* decoded, with the terminating 0 */

/* Longest path without <>, RFC 5321 section 4.5.3.1.3. A local part may be
 * longer than the 64 octets of 4.5.3.1.1: senders with VERP are, and bounces
 * come back to them. */
#define SMTP_PATH_BYTES_MAX 254

struct smtp_command {
	uint8_t verb;             /* enum smtp_verb */
	struct text argument;     /* EHLO, HELO, VRFY, NOOP, HELP */
	struct smtp_mailbox path; /* MAIL, RCPT */
	/* MAIL */
	bool size_given;
	uint64_t size_bytes;
	uint8_t body; /* enum envelope_body */
	bool smtputf8;
	uint8_t ret;       /* enum envelope_ret */
	struct text envid; /* xtext */
	/* RCPT */
	uint8_t notify;    /* bits of enum envelope_notify */
	struct text orcpt; /* "rfc822;" + xtext */
	/* BDAT */
	uint64_t chunk_bytes;
	bool chunk_last;
	/* XCLIENT, XFORWARD: xtext by enum smtp_attribute; data NULL = absent
	 */
	struct text attributes[SMTP_ATTRIBUTES];
};

/* A reply, ready to be sent: "501 5.1.7 bad domain" without CRLF. */
struct smtp_complaint {
	uint16_t code;
	uint16_t enhanced[3];
	const char *text; /* static */
};

/* `line` is without its CRLF. -EINVAL with `c` filled in; after a complaint
 * with code 521 the connection has to be closed. */
int smtp_command_parse(const char *line, size_t len, struct smtp_command *out,
		       struct smtp_complaint *c);
/* "501 5.1.7 bad domain"; returns the length without the final 0. */
size_t smtp_complaint_format(const struct smtp_complaint *c, char *buf,
			     size_t size);
/* The text of an attribute, printable, UTF-8, 0-terminated; empty when it is
 * [UNAVAILABLE]. Returns its length, or -EINVAL: no xtext, or too long. */
int smtp_attribute_decode(const struct text *value,
			  char out[SMTP_ATTRIBUTE_BYTES]);

#endif
