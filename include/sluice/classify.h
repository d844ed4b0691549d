/* SPDX-License-Identifier: BSD-2-Clause
 *
 * classify.h - what a receiver's answer means.
 *
 * Pure: rules in, replies in, verdicts out; no I/O after load, no allocation
 * in classify_reply(). A loaded rule set is constant and may be read by many
 * threads; each needs its own `struct classify_scratch`.
 * Rules are data (dataplane/classify/rules/replies.yaml): first match wins,
 * a provider's own rules before general ones, codes as the last resort.
 */
#ifndef SLUICE_CLASSIFY_H
#define SLUICE_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/err.h"

/* Numbers are stored in history and on the board: never renumber. */
enum reply_class {
	CLASS_ACCEPTED = 0,
	CLASS_RATE_LIMITED = 1,
	CLASS_BLOCK_IP_TEMPORARY = 2,
	CLASS_BLOCK_IP_LIST = 3,
	CLASS_BLOCK_DOMAIN_POLICY = 4,
	CLASS_AUTH_REQUIRED = 5,
	CLASS_GREYLISTED = 6,
	CLASS_CONTENT_REJECTED = 7,
	CLASS_MAILBOX_FULL = 8,
	CLASS_TEMPORARY_REMOTE_ERROR = 9,
	CLASS_NO_SUCH_USER = 10,
	CLASS_HOST_UNKNOWN_OR_RELAY_DENIED = 11,
	CLASS_MAILBOX_DISABLED = 12,
	CLASS_MESSAGE_TOO_BIG = 13,
	CLASS_PROTOCOL_TLS = 14,
	CLASS_UNKNOWN = 15,
	CLASS_COUNT_
};

enum reply_scope {
	SCOPE_RECIPIENT = 1,
	SCOPE_MESSAGE = 2,
	SCOPE_SENDER_DOMAIN = 3,
	SCOPE_PATH = 4,
	SCOPE_SOURCE = 5,
	SCOPE_PROVIDER = 6
};

enum reply_phase {
	PHASE_CONNECT = 1, /* the greeting */
	PHASE_EHLO,
	PHASE_STARTTLS,
	PHASE_AUTH,
	PHASE_MAIL,
	PHASE_RCPT,
	PHASE_DATA, /* the answer to DATA */
	PHASE_EOM,  /* the answer to the final dot */
	PHASE_QUIT
};

/* A reply as the client saw it. `text` has the codes of each line removed and
 * its lines joined by '\n'; not 0-terminated. */
struct reply {
	uint16_t code;        /* 200..599 */
	uint8_t phase;        /* enum reply_phase */
	uint16_t enhanced[3]; /* class, subject, detail; {0,0,0} = none */
	const char *text;
	uint32_t text_len;
	const char *provider; /* configured provider name, or "" */
	const char *remote;   /* host name of the receiver, or "" */
};

struct verdict {
	uint8_t reply_class; /* enum reply_class */
	uint8_t scope;       /* enum reply_scope */
	bool permanent;      /* only for recipient and message facts */
	bool needs_decision; /* unknown 5xx that names no address */
	bool from_last;      /* the receiver counts from the LAST offence */
	uint32_t wait_s;     /* 0 = none told, none in the rule */
	const char *rule;    /* id of the rule; "codes" = fallback */
	const char *list;    /* DNSBL or list that is named, or NULL; of a list
			      * that no rule knows: valid until the scratch is
			      * used again */
	const char *delist;  /* note for the operator, or NULL */
};

struct classify;
struct classify_scratch;

/* Loads the rules of `path`; NULL = those compiled into the program. Errors
 * name file:line:column. */
int classify_load(const char *path, struct classify **out, struct err *e);
void classify_destroy(struct classify **c);
size_t classify_rule_count(const struct classify *c);
/* Whether the patterns are machine code. Without executable memory
 * (MemoryDenyWriteExecute) they are interpreted: same verdicts, slower. */
bool classify_jit(const struct classify *c);
struct classify_scratch *classify_scratch_create(const struct classify *c);
void classify_scratch_destroy(struct classify_scratch **s);

/* Always gives a verdict. Bound: the rule set, on at most 2 KiB of text. */
void classify_reply(const struct classify *c, struct classify_scratch *s,
		    const struct reply *r, struct verdict *out);

/* Runs every rule's own examples; returns how many fail and names them. */
int classify_self_test(const struct classify *c,
		       void (*failed)(void *user, const char *rule,
				      const char *example, const char *got),
		       void *user);

const char *class_name(uint8_t reply_class); /* "rate_limited"; NULL */
int class_parse(const char *name);           /* -EINVAL */
const char *scope_name(uint8_t scope);
int scope_parse(const char *name); /* -EINVAL */
const char *phase_name(uint8_t phase);
int phase_parse(const char *name); /* -EINVAL */

#endif
