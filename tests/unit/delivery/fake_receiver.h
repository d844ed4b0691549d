/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fake_receiver.h - an SMTP receiver that misbehaves on request.
 *
 * Listens on a free port of 127.0.0.1; a thread per connection answers with
 * blocking calls. Without rules it accepts everything. A rule changes the
 * answer to one event. Everything it was told is kept for the test to look at.
 */
#ifndef FAKE_RECEIVER_H
#define FAKE_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_at {
	AT_GREETING = 1,
	AT_EHLO,
	AT_HELO,
	AT_MAIL,
	AT_RCPT,
	AT_DATA,
	AT_CONTENT, /* the first bytes after 354 */
	AT_EOM,
	AT_RSET,
	AT_QUIT,
	AT_IDLE, /* after the answer to a final dot, before anything else */
	AT_COUNT
};

enum fake_do {
	DO_SAY = 1, /* `text` instead of the usual answer */
	DO_BYTES,   /* the usual answer (or `text`), one byte per segment */
	DO_CLOSE,   /* after `text`, if there is one */
	DO_RESET,   /* RST */
	DO_STALL,   /* nothing more, until the client hangs up */
	DO_DRIP,    /* `text`, a byte each 50 ms, again and again */
	DO_FLOOD,   /* `text`, again and again, as fast as it goes */
	DO_LATE     /* the usual answer (or `text`) after 100 ms in which the
		     * client may say nothing: else RST */
};

struct fake_rule {
	uint8_t at;
	uint32_t nth; /* event of this kind, counted from 1; 0 = each */
	uint8_t what;
	const char *text; /* with its CRLF */
};

struct fake_options {
	const char *offers; /* EHLO lines; NULL = PIPELINING, 8BITMIME, SIZE */
	const struct fake_rule *rules;
	uint32_t rule_count;
	const char *address; /* NULL = 127.0.0.1 */
	uint16_t port;       /* 0 = any */
};

struct fake_receiver;

struct fake_receiver *fake_receiver_start(const struct fake_options *o);
void fake_receiver_stop(struct fake_receiver **r);
uint16_t fake_receiver_port(const struct fake_receiver *r);
/* How often an event happened so far. */
uint32_t fake_receiver_count(struct fake_receiver *r, enum fake_at at);
uint32_t fake_receiver_connections(struct fake_receiver *r);
/* All commands, a line each; valid until the next call. */
const char *fake_receiver_commands(struct fake_receiver *r);
/* What came between 354 and the final dot of the last message, as it came over
 * the wire (stuffed). */
const char *fake_receiver_content(struct fake_receiver *r, size_t *len);
/* Most RCPT or MAIL or DATA that came in one read: pipelining at work. */
uint32_t fake_receiver_burst(struct fake_receiver *r);
/* Most connections at a time. */
uint32_t fake_receiver_most(struct fake_receiver *r);

#endif
