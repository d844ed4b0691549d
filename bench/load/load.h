/* SPDX-License-Identifier: BSD-2-Clause
 *
 * load.h - an SMTP load client: many sessions, one thread, one io_uring.
 *
 * Sends N messages to one address, as fast as it answers or at a rate, and
 * waits for every reply. Messages come from templates made before the clock
 * starts, so that the client costs little: their bench header is patched per
 * message. Or they are mixed mail, each made when its turn comes.
 * A message that is refused is counted, not tried again.
 */
#ifndef SLUICE_BENCH_LOAD_H
#define SLUICE_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/addr.h"
#include "sluice/err.h"
#include "sluice/pace.h"

struct ledger_writer;

enum load_pipelining {
	LOAD_STEPS, /* each command waits for its reply: 4 round trips */
	LOAD_GROUP, /* MAIL, RCPT, DATA together: 2 round trips */
	LOAD_NEXT   /* also together with the content before: 1 round trip */
};

struct load_options {
	struct addr target;
	uint64_t messages;
	uint64_t seed;
	uint64_t first_index;
	uint32_t now_s; /* date of the messages; 0 = now */
	uint64_t size_bytes;
	uint32_t sessions;
	uint32_t per_connection; /* messages, then QUIT; 0 = no limit */
	enum load_pipelining pipelining;
	bool canned;              /* one message, always the same bytes */
	bool mixed;               /* sizes, recipients, content of all kinds */
	bool below_trace;         /* ledger: from the bench header on */
	const char *domains_path; /* profile_load(); NULL = campus */
	struct pace rate;         /* messages; 0/0 = as fast as it goes */
	uint64_t spin_ns;         /* as io_options.spin_ns */
	uint64_t timeout_ns;      /* without any reply: give up */
	struct ledger_writer *ledger; /* NULL = none */
	bool (*stop)(void);           /* asked now and then; NULL = never */
};

#define LOAD_REFUSAL_BYTES 256

struct load_result {
	uint64_t accepted;      /* messages with 250 after the final dot */
	uint64_t refused;       /* messages with another reply */
	uint64_t rcpts_refused; /* of messages that were accepted */
	uint64_t lost;          /* connection lost before the reply */
	uint64_t connections;
	uint64_t bytes; /* content of accepted messages */
	uint64_t ns;    /* first MAIL to last reply */
	double rate;    /* accepted per second */
	/* from the final dot to its reply; with a rate: from the time when
	 * the message was due, however late it was begun */
	uint32_t p50_us, p99_us, max_us;
	char refusal[LOAD_REFUSAL_BYTES]; /* the first one; "" = none */
};

/* -ECONNREFUSED, -ETIMEDOUT ... with the sentence in `e`. */
int load_run(const struct load_options *o, struct load_result *out,
	     struct err *e);
/* "none", "group", "next"; -EINVAL. */
int load_pipelining_parse(const char *text, enum load_pipelining *out);

#endif
