/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_out.c - the dialogue: which reply belongs to what, and what follows.
 *
 * Called by export_smtp.c. Errors close the connection; what was under way is
 * told as unsent, or as in doubt when the final dot may have arrived.
 */
#include "smtp_out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice/assert.h"
#include "sluice/clock.h"

void smtp_out_wait(struct smtp_out *c, uint64_t for_ns)
{
	c->deadline_ns = clock_monotonic_ns() + for_ns;
}

static void rcpt_result(struct smtp_out *c, uint32_t i, enum smtp_out_result r,
			const char *reply)
{
	c->result(c->user, c->message, c->from + i, r, reply);
}

static void message_over(struct smtp_out *c)
{
	struct export_message *m = c->message;

	c->message = NULL;
	c->done(c->user, m);
}

void smtp_out_close(struct smtp_out *c, const char *why)
{
	enum smtp_out_result r =
		c->state == SMTP_OUT_FINAL ? SMTP_OUT_DOUBT : SMTP_OUT_UNSENT;

	if (c->state == SMTP_OUT_CLOSED)
		return;
	if (c->why[0] == '\0')
		snprintf(c->why, sizeof(c->why), "%s", why);
	c->state = SMTP_OUT_CLOSED;
	close(c->fd);
	XXH3_freeState(c->sum);
	if (c->message == NULL)
		return;
	/* Those that RCPT refused have their result. */
	for (uint32_t i = 0; i < c->count; i++)
		if (c->accepted[i] || i + 1 >= c->heard)
			rcpt_result(c, i, r, c->why);
	for (uint32_t i = c->from + c->count; i < c->message->rcpt_count; i++)
		c->result(c->user, c->message, i, SMTP_OUT_UNSENT, c->why);
	message_over(c);
}

/* Commands that may be said now: all, or one at a time. */
void smtp_out_say(struct smtp_out *c)
{
	uint32_t all = c->count + 2;
	uint32_t upto = c->pipelining ? all : c->heard + 1;

	while (c->said < upto && c->said < all &&
	       sizeof(c->out) - c->out_len > 32768)
		smtp_out_command(c, c->said++);
}

static void transaction_begin(struct smtp_out *c)
{
	uint32_t left = c->message->rcpt_count - c->from;

	c->count = left < SMTP_OUT_RCPTS ? left : SMTP_OUT_RCPTS;
	c->said = c->heard = c->accepted_count = 0;
	memset(c->accepted, 0, sizeof(c->accepted));
	c->refusal[0] = '\0';
	c->state = SMTP_OUT_ENVELOPE;
	smtp_out_wait(c, SMTP_OUT_COMMAND_NS);
	smtp_out_say(c);
}

void smtp_out_send(struct smtp_out *c, struct export_message *m)
{
	char why[SMTP_OUT_REPLY_BYTES];

	sluice_assert(c->state == SMTP_OUT_IDLE && c->message == NULL);
	c->message = m;
	c->from = 0;
	if (smtp_out_may(c, m, why)) {
		transaction_begin(c);
		return;
	}
	for (uint32_t i = 0; i < m->rcpt_count; i++)
		c->result(c->user, m, i, SMTP_OUT_REFUSED, why);
	message_over(c);
}

static void transaction_over(struct smtp_out *c)
{
	c->from += c->count;
	c->count = 0;
	if (c->from < c->message->rcpt_count) {
		transaction_begin(c);
		return;
	}
	c->state = SMTP_OUT_IDLE;
	message_over(c);
}

static void say(struct smtp_out *c, const char *line, enum smtp_out_state state)
{
	int n = snprintf(c->out + c->out_len, sizeof(c->out) - c->out_len,
			 "%s\r\n", line);

	c->out_len += (size_t)n;
	c->state = state;
	smtp_out_wait(c, SMTP_OUT_COMMAND_NS);
}

static void accepted_results(struct smtp_out *c, enum smtp_out_result r)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->accepted[i])
			rcpt_result(c, i, r, c->reply);
	memset(c->accepted, 0, sizeof(c->accepted));
	c->accepted_count = 0;
}

/* RCPT number i, from 0 */
static void rcpt_reply(struct smtp_out *c, uint32_t i, int code)
{
	if (code / 100 == 2 && c->refusal[0] == '\0') {
		c->accepted[i] = true;
		c->accepted_count++;
	} else {
		rcpt_result(c, i, SMTP_OUT_REFUSED,
			    c->refusal[0] ? c->refusal : c->reply);
	}
}

static void data_reply(struct smtp_out *c, int code)
{
	if (code != 354) {
		accepted_results(c, SMTP_OUT_REFUSED);
		say(c, "RSET", SMTP_OUT_RSET);
	} else if (c->refusal[0] != '\0') {
		/* MAIL refused, and content wanted: it might take a dot alone
		 * for an empty message to those that it took. */
		smtp_out_close(c, "it wants content for a MAIL it refused");
	} else if (c->accepted_count == 0) {
		/* Nobody is left, but it waits for content: an empty one. */
		say(c, ".", SMTP_OUT_FINAL);
	} else {
		c->content_at = 0;
		c->line_start = true;
		c->last_cr = false;
		XXH3_64bits_reset(c->sum);
		c->state = SMTP_OUT_CONTENT;
		smtp_out_wait(c, SMTP_OUT_COMMAND_NS);
	}
}

static void envelope_reply(struct smtp_out *c, int code)
{
	uint32_t number = c->heard++;

	smtp_out_wait(c, SMTP_OUT_COMMAND_NS);
	if (number == 0 && code / 100 != 2)
		snprintf(c->refusal, sizeof(c->refusal), "%s", c->reply);
	if (number >= 1 && number <= c->count)
		rcpt_reply(c, number - 1, code);
	if (number == c->count + 1)
		data_reply(c, code);
	else if (!c->pipelining && number == c->count && c->accepted_count == 0)
		say(c, "RSET", SMTP_OUT_RSET); /* no DATA for nobody */
	else
		smtp_out_say(c);
}

static void ehlo_reply(struct smtp_out *c, int code)
{
	char line[256];

	if (code / 100 == 2) {
		c->state = SMTP_OUT_IDLE;
	} else if (c->state == SMTP_OUT_EHLO && code / 100 == 5) {
		snprintf(line, sizeof(line), "HELO %s", c->helo);
		say(c, line, SMTP_OUT_HELO);
	} else {
		smtp_out_close(c, c->reply);
	}
}

static void greeting_reply(struct smtp_out *c, int code)
{
	char line[256];

	if (code != 220) {
		smtp_out_close(c, c->reply);
		return;
	}
	snprintf(line, sizeof(line), "EHLO %s", c->helo);
	say(c, line, SMTP_OUT_EHLO);
}

static void final_reply(struct smtp_out *c, int code)
{
	accepted_results(c, code / 100 == 2 ? SMTP_OUT_ACCEPTED
					    : SMTP_OUT_REFUSED);
	if (code == 421)
		c->state = SMTP_OUT_RSET; /* nothing more is in doubt */
	else
		transaction_over(c);
}

void smtp_out_reply(struct smtp_out *c, int code)
{
	switch (c->state) {
	case SMTP_OUT_GREETING:
		greeting_reply(c, code);
		break;
	case SMTP_OUT_EHLO:
	case SMTP_OUT_HELO:
		ehlo_reply(c, code);
		break;
	case SMTP_OUT_ENVELOPE:
		envelope_reply(c, code);
		break;
	case SMTP_OUT_FINAL:
		final_reply(c, code);
		break;
	case SMTP_OUT_RSET:
		transaction_over(c);
		break;
	default: /* nobody asked: 421, or out of step */
		smtp_out_close(c, c->reply);
	}
	/* It says that it closes; what it had accepted is not taken. */
	if (code == 421)
		smtp_out_close(c, c->reply);
}

void smtp_out_more(struct smtp_out *c)
{
	int rc = smtp_out_content(c);

	if (rc == 1) {
		c->state = SMTP_OUT_FINAL;
		smtp_out_wait(c, SMTP_OUT_FINAL_NS);
	} else if (rc < 0) {
		/* Without its dot nobody takes it for a message. */
		snprintf(c->reply, sizeof(c->reply), "%s",
			 "its content is damaged in the spool (checksum)");
		accepted_results(c, SMTP_OUT_REFUSED);
		smtp_out_close(c, "a message could not be read to its end");
	}
}
