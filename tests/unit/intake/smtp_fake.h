/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_fake.h - the SMTP server over a loop and a spool that are not there.
 *
 * Instead of the rooms io and spool, smtp_fake.c is linked: bytes go in,
 * replies come out, messages lie in memory, time is what the test says. Every
 * run is the same, and fast enough for tens of thousands of sessions a second.
 * Used by test_smtp_smuggling.c, test_smtp_session.c and fuzz_smtp_session.c.
 */
#ifndef SMTP_FAKE_H
#define SMTP_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sluice/config.h"
#include "sluice/envelope.h"

#define FAKE_MESSAGES 64

struct fake_message {
	char *content;
	size_t len;
	uint32_t flags;
	struct envelope env; /* texts are copies, in `texts` */
	struct envelope_rcpt rcpts[8];
	char texts[4096];
};

/* What the spool answers; 0 = it takes everything. */
struct fake_spool {
	int begin, finish, commit; /* -ENOSPC, -EIO ... */
	uint32_t again_every;      /* -EAGAIN to each n-th call */
};

/* `l` stays; its addresses are chosen here, the client is 127.0.0.1. */
void fake_open(struct config_listen *l, uint32_t count);
void fake_close(void);
/* A client connects; forgets what an earlier one stored. */
void fake_connect_to(uint32_t listener, const struct fake_spool *s);
/* It sends; everything that can happen then has happened on return. */
void fake_send(const void *data, size_t len);
static inline void fake_say(const char *text)
{
	fake_send(text, strlen(text));
}
/* It closes its half. */
void fake_hangup(void);
void fake_time_pass(uint64_t ns);
/* sluiced is about to stop; ends the program's use of the server. */
void fake_stop(void);

/* What the server said so far, 0-terminated; `fake_said_len` bytes. */
extern char fake_said[1 << 20];
extern size_t fake_said_len;
/* Both sides have closed, nothing is left of the session. */
bool fake_over(void);
/* The server has shut down its half. */
bool fake_closing(void);
extern struct fake_message fake_stored[FAKE_MESSAGES];
extern uint32_t fake_stored_count; /* may exceed FAKE_MESSAGES */
/* Spool messages begun and neither stored nor aborted. */
extern uint32_t fake_open_messages;

static inline void fake_connect(const struct fake_spool *s)
{
	fake_connect_to(0, s);
}

#endif
