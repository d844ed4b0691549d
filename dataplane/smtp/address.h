/* SPDX-License-Identifier: BSD-2-Clause
 *
 * address.h - syntax of mailboxes and paths (RFC 5321 4.1.2, RFC 6531).
 *
 * PURE, any thread, no allocation; results point into the input. Accepts
 * quoted local parts, UTF-8 in both halves, address literals, `<>`, and
 * `<postmaster>` without a domain. A source route is read and dropped, as
 * RFC 5321 says. Deliberately not enforced: 64 octets of local part (VERP
 * senders are longer), underscores in domains are accepted.
 */
#ifndef SLUICE_SMTP_ADDRESS_H
#define SLUICE_SMTP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "sluice/envelope.h"

struct smtp_mailbox {
	struct text whole;  /* local@domain as written, without <> */
	struct text local;  /* as written, with its quotes */
	struct text domain; /* without '@'; empty for <> and <postmaster> */
	bool null;          /* <> */
	bool quoted;        /* the local part is a quoted string */
	bool literal;       /* the domain is [an address] */
	bool utf8;          /* some byte is not ASCII: needs SMTPUTF8 */
};

/* `local@domain`. -EINVAL with a reason in `why` (may be NULL). */
int smtp_mailbox_parse(const char *s, size_t len, struct smtp_mailbox *out,
		       const char **why);
/* `<local@domain>`, `<@route:local@domain>`, `<>`, `<postmaster>`; `used` is
 * what the path takes of `s`. */
int smtp_path_parse(const char *s, size_t len, size_t *used,
		    struct smtp_mailbox *out, const char **why);

/* How a local part can go over the wire. */
enum smtp_local_kind {
	SMTP_LOCAL_BAD,     /* control characters, broken UTF-8, empty */
	SMTP_LOCAL_DOT,     /* a dot-string: as it is */
	SMTP_LOCAL_QUOTED,  /* already a quoted string: as it is */
	SMTP_LOCAL_UNQUOTED /* has to be quoted */
};
enum smtp_local_kind smtp_local_kind(const char *s, size_t len);
/* A domain name or a literal that may stand in a command. */
bool smtp_domain_ok(const char *s, size_t len);
/* Well-formed UTF-8: shortest form, no surrogates, at most U+10FFFF. */
bool smtp_utf8_ok(const char *s, size_t len);
bool smtp_is_ascii(const char *s, size_t len);

#endif
