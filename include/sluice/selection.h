/* SPDX-License-Identifier: BSD-2-Clause
 *
 * selection.h - which messages or recipients a command speaks of.
 *
 * The same terms everywhere: command line, command socket, holds. All terms
 * must hold (AND); a term given more than once is a list (OR). An empty
 * selection selects nothing; `all` selects everything.
 * Selections work on recipients: `--domain a.test` of a message for a.test and
 * b.test takes only the first. Without a `state` term they take what is still
 * to be sent; what failed or expired only by `state` or `id`. Any thread;
 * constant after parse.
 */
#ifndef SLUICE_SELECTION_H
#define SLUICE_SELECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/err.h"

struct json_t; /* jansson */

#define SELECTION_LIST_MAX 64

struct selection_list {
	char **items;
	uint32_t count;
};

struct selection {
	bool all;
	struct selection_list providers;
	struct selection_list domains; /* A-labels; "*.x" below x */
	struct selection_list senders; /* full address; "" = null */
	struct selection_list sender_domains;
	struct selection_list recipients; /* full address */
	struct selection_list sources;    /* source a recipient waits for */
	/* In the stored record only: selection_needs_record(). */
	struct selection_list accounts;   /* SASL user, as it came */
	struct selection_list client_ips; /* addresses or prefixes */
	struct selection_list subjects;   /* PCRE2, any case */
	struct selection_list headers;    /* "NAME: PCRE2" */
	uint64_t *ids;
	uint32_t id_count;
	uint32_t states;  /* bit 1u << (rcpt_state & 31); 0 = any */
	uint32_t older_s; /* age by arrival; 0 = any */
	uint32_t newer_s;
	uint64_t larger_bytes; /* 0 = any */
	uint64_t smaller_bytes;
};

/* {"all":true} or {"provider":["gmail"],"domain":[..],"sender":[..],
 *  "sender_domain":[..],"recipient":[..],"source":[..],"account":[..],
 *  "client_ip":["192.0.2.0/24"],"subject":["^win"],"header":["X-A: b"],
 *  "id":["0000…"],"state":["held"],"older":"2h","newer":"1d",
 *  "larger":"1MiB","smaller":"1MiB"} */
int selection_from_json(const struct json_t *j, struct selection **out,
			struct err *e);
struct json_t *selection_to_json(const struct selection *s);
/* "provider=microsoft state=held": for logs and for lists of holds. */
void selection_format(const struct selection *s, char *buf, uint32_t len);
bool selection_is_empty(const struct selection *s);
/* Has terms that only envelope and header of the stored record can tell. */
bool selection_needs_record(const struct selection *s);
/* Where the pattern of a `header` term begins; its name ends at the ':'. */
const char *selection_header_pattern(const char *term);
void selection_destroy(struct selection **s);

/* A message id as text: 16 lower-case hex digits (leading zeros optional when
 * read). */
void message_id_format(uint64_t id, char buf[17]);
int message_id_parse(const char *text, uint64_t *id);

#endif
