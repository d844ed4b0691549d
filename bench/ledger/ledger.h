/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ledger.h - what must arrive, and what did.
 *
 * A ledger is a text file, one line per message and recipient, fields divided
 * by tabs:  <seed>-<index>  recipient  sender  digest  content bytes
 * Lines that start with '#' are comments. Ledgers may be concatenated.
 * Loaded, it is compared with arrivals: per recipient delivered, lost,
 * duplicated or altered. One owner thread.
 */
#ifndef SLUICE_BENCH_LEDGER_H
#define SLUICE_BENCH_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "sluice/err.h"

struct ledger_writer;
struct ledger;

/* -errno with the sentence in `e`; the file is replaced if it is there. */
int ledger_writer_open(struct ledger_writer **out, const char *path,
		       struct err *e);
/* `id` as message_id() makes it. Errors are kept until close. */
void ledger_writer_add(struct ledger_writer *w, const char *id,
		       const char *rcpt, const char *sender,
		       const struct digest *d, uint64_t content_bytes);
/* Flushes; 0 or the first error. */
int ledger_writer_close(struct ledger_writer **w, struct err *e);

struct ledger_counts {
	uint64_t expected;   /* lines of the ledger */
	uint64_t delivered;  /* of those: arrived at least once, unaltered */
	uint64_t lost;       /* never arrived */
	uint64_t altered;    /* arrived at least once with other content */
	uint64_t duplicated; /* arrivals beyond the first of a recipient */
	uint64_t unknown;    /* arrivals that are in no ledger */
};

enum ledger_mark {
	LEDGER_DELIVERED,
	LEDGER_DUPLICATED,
	LEDGER_ALTERED,
	LEDGER_UNKNOWN,
	LEDGER_LOST /* only for ledger_examples() */
};

struct ledger *ledger_create(void);
/* Adds a file; -ENOENT ..., -EINVAL with file:line in `e`. */
int ledger_load(struct ledger *l, const char *path, struct err *e);
void ledger_destroy(struct ledger **l);

/* Message of an id, to be given to ledger_arrived(); UINT32_MAX = unknown. */
uint32_t ledger_message(const struct ledger *l, uint64_t seed, uint64_t index);
/* What a recipient is compared by: domain and local part as they are. */
uint64_t ledger_rcpt_hash(const char *rcpt, size_t len);
/* Counts one arrival of `message` for one recipient. */
enum ledger_mark ledger_arrived(struct ledger *l, uint32_t message,
				uint64_t rcpt_hash, const struct digest *d);
void ledger_counts(const struct ledger *l, struct ledger_counts *out);
/* The same by message: delivered when all its recipients are; lost, altered
 * and duplicated when one of them is. `unknown` is 0. */
void ledger_message_counts(const struct ledger *l, struct ledger_counts *out);
/* First `max` recipients that are lost, duplicated or altered, as
 * "<seed>-<index> recipient". */
void ledger_examples(const struct ledger *l, enum ledger_mark kind,
		     uint32_t max, void (*each)(void *user, const char *text),
		     void *user);

#endif
