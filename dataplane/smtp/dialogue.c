/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dialogue.c - the table of states of an SMTP client.
 *
 * Called by delivery for each reply. PURE, any thread. Bound: O(1).
 * No errors: every code in every state has an entry.
 */
#include "smtp/dialogue.h"

#include <string.h>

#include "sluice/assert.h"
#include "sluice/classify.h"

/* What replies of each class do in a state, one handler per cell. */
enum cell {
	C_GARBAGE,
	C_GREETED,
	C_EHLO_REFUSED,
	C_READY,
	C_NOT_SERVED,
	C_HANG_UP,
	C_MAIL_OK,
	C_MAIL_REFUSED,
	C_RCPT_OK,
	C_RCPT_REFUSED,
	C_GO_AHEAD,
	C_DATA_REFUSED,
	C_CONTENT_REFUSED,
	C_ACCEPTED,
	C_EOM_REFUSED,
	C_LONE_DOT
};

static const struct row {
	uint8_t on[4]; /* 2xx, 3xx, 4xx, 5xx */
	uint8_t phase;
} table[DIALOGUE_STATES] = {
	[DIALOGUE_GREETING] = {{C_GREETED, C_GARBAGE, C_NOT_SERVED,
				C_NOT_SERVED},
			       PHASE_CONNECT},
	[DIALOGUE_EHLO] = {{C_READY, C_GARBAGE, C_NOT_SERVED, C_EHLO_REFUSED},
			   PHASE_EHLO},
	[DIALOGUE_HELO] = {{C_READY, C_GARBAGE, C_NOT_SERVED, C_NOT_SERVED},
			   PHASE_EHLO},
	[DIALOGUE_IDLE] = {{C_HANG_UP, C_HANG_UP, C_HANG_UP, C_HANG_UP},
			   PHASE_QUIT},
	[DIALOGUE_MAIL] = {{C_MAIL_OK, C_GARBAGE, C_MAIL_REFUSED,
			    C_MAIL_REFUSED},
			   PHASE_MAIL},
	[DIALOGUE_RCPT] = {{C_RCPT_OK, C_GARBAGE, C_RCPT_REFUSED,
			    C_RCPT_REFUSED},
			   PHASE_RCPT},
	[DIALOGUE_DATA] = {{C_GARBAGE, C_GO_AHEAD, C_DATA_REFUSED,
			    C_DATA_REFUSED},
			   PHASE_DATA},
	[DIALOGUE_CONTENT] = {{C_GARBAGE, C_GARBAGE, C_CONTENT_REFUSED,
			       C_CONTENT_REFUSED},
			      PHASE_EOM},
	[DIALOGUE_EOM] = {{C_ACCEPTED, C_GARBAGE, C_EOM_REFUSED, C_EOM_REFUSED},
			  PHASE_EOM},
	[DIALOGUE_LONE_DOT] = {{C_LONE_DOT, C_GARBAGE, C_LONE_DOT, C_LONE_DOT},
			       PHASE_EOM},
	[DIALOGUE_RSET] = {{C_READY, C_HANG_UP, C_HANG_UP, C_HANG_UP},
			   PHASE_QUIT},
	[DIALOGUE_QUIT] = {{C_HANG_UP, C_HANG_UP, C_HANG_UP, C_HANG_UP},
			   PHASE_QUIT},
	[DIALOGUE_CLOSED] = {{C_HANG_UP, C_HANG_UP, C_HANG_UP, C_HANG_UP},
			     PHASE_QUIT},
};

void dialogue_init(struct dialogue *d)
{
	memset(d, 0, sizeof(*d));
	d->state = DIALOGUE_GREETING;
	d->awaited = 1; /* the greeting */
}

void dialogue_begin(struct dialogue *d, uint32_t rcpt_count)
{
	sluice_assert(d->state == DIALOGUE_IDLE && rcpt_count);
	memset(d, 0, sizeof(*d));
	d->state = DIALOGUE_MAIL;
	d->rcpt_count = rcpt_count;
}

void dialogue_chunked(struct dialogue *d)
{
	sluice_assert(d->state == DIALOGUE_MAIL && !d->awaited);
	d->chunked = true;
}

void dialogue_sent(struct dialogue *d, enum dialogue_state command,
		   uint32_t count)
{
	d->awaited += count;
	switch (command) {
	case DIALOGUE_RCPT:
		d->rcpt_sent += count;
		sluice_assert(d->rcpt_sent <= d->rcpt_count);
		break;
	case DIALOGUE_DATA:
		d->data_sent = true;
		break;
	case DIALOGUE_RSET:
	case DIALOGUE_QUIT:
		d->state = (uint8_t)command;
		break;
	case DIALOGUE_EOM:
	case DIALOGUE_LONE_DOT:
		sluice_assert(d->state == DIALOGUE_CONTENT ||
			      d->state == DIALOGUE_LONE_DOT);
		d->state = (uint8_t)command;
		break;
	default:
		break;
	}
}

uint8_t dialogue_phase(const struct dialogue *d)
{
	sluice_assert(d->state < DIALOGUE_STATES);
	return table[d->state].phase;
}

static void message_over(struct dialogue *d, struct dialogue_step *out)
{
	out->message_over = true;
	out->reset = d->in_transaction;
	d->in_transaction = false;
	d->state = DIALOGUE_IDLE;
}

static void close_with(struct dialogue *d, uint8_t action,
		       struct dialogue_step *out)
{
	out->action = action;
	out->hang_up = true;
	d->state = DIALOGUE_CLOSED;
}

/* After a refusal that leaves nothing to send: over as soon as every command
 * that went out has been answered. */
static void drain(struct dialogue *d, struct dialogue_step *out)
{
	if (d->rcpt_answered < d->rcpt_sent)
		d->state = DIALOGUE_RCPT;
	else if (d->data_sent)
		d->state = DIALOGUE_DATA;
	else
		message_over(d, out);
}

static void on_mail(struct dialogue *d, bool ok, struct dialogue_step *out)
{
	if (!ok) {
		d->mail_refused = true;
		out->action = DIALOGUE_REFUSED;
		drain(d, out);
		return;
	}
	d->in_transaction = true;
	d->state = DIALOGUE_RCPT;
	out->action = DIALOGUE_GO_ON;
}

static void on_rcpt(struct dialogue *d, bool ok, struct dialogue_step *out)
{
	out->rcpt = d->rcpt_answered++;
	if (d->mail_refused) {
		d->rcpt_unasked |= ok;
		out->action = DIALOGUE_WAIT;
		drain(d, out);
		return;
	}
	out->action = ok ? DIALOGUE_RCPT_OK : DIALOGUE_RCPT_REFUSED;
	d->rcpt_accepted += ok;
	if (d->rcpt_answered < d->rcpt_count)
		return;
	if (!d->rcpt_accepted) {
		drain(d, out);
		return;
	}
	d->state = d->chunked ? DIALOGUE_CONTENT : DIALOGUE_DATA;
	out->content = d->chunked;
}

/* 354. Without a recipient the receiver waits for content all the same. Where
 * it refused MAIL and took recipients, a lone dot would be a message to them.
 */
static void on_go_ahead(struct dialogue *d, struct dialogue_step *out)
{
	if (d->rcpt_unasked) {
		close_with(d, DIALOGUE_GARBAGE, out);
		return;
	}
	if (d->rcpt_accepted) {
		d->state = DIALOGUE_CONTENT;
		out->action = DIALOGUE_SEND_CONTENT;
		return;
	}
	d->state = DIALOGUE_LONE_DOT;
	out->action = DIALOGUE_SEND_LONE_DOT;
}

static void on_data_refused(struct dialogue *d, struct dialogue_step *out)
{
	out->action = d->rcpt_accepted ? DIALOGUE_REFUSED : DIALOGUE_WAIT;
	message_over(d, out);
}

static void on_eom(struct dialogue *d, uint8_t action,
		   struct dialogue_step *out)
{
	out->action = action;
	/* After a chunk that failed RSET is due (RFC 3030 2). */
	d->in_transaction = d->chunked && action == DIALOGUE_REFUSED;
	message_over(d, out);
}

static void on_greeting(struct dialogue *d, uint8_t action, uint8_t next,
			struct dialogue_step *out)
{
	out->action = action;
	d->state = next;
}

static void apply(struct dialogue *d, uint8_t cell, struct dialogue_step *out)
{
	switch ((enum cell)cell) {
	case C_GREETED:
		on_greeting(d, DIALOGUE_SEND_EHLO, DIALOGUE_EHLO, out);
		break;
	case C_EHLO_REFUSED:
		on_greeting(d, DIALOGUE_SEND_HELO, DIALOGUE_HELO, out);
		break;
	case C_READY:
		on_greeting(d, DIALOGUE_READY, DIALOGUE_IDLE, out);
		break;
	case C_NOT_SERVED:
		close_with(d, DIALOGUE_NOT_SERVED, out);
		break;
	case C_HANG_UP:
		close_with(d, DIALOGUE_HANG_UP, out);
		break;
	case C_MAIL_OK:
	case C_MAIL_REFUSED:
		on_mail(d, cell == C_MAIL_OK, out);
		break;
	case C_RCPT_OK:
	case C_RCPT_REFUSED:
		on_rcpt(d, cell == C_RCPT_OK, out);
		break;
	case C_GO_AHEAD:
		on_go_ahead(d, out);
		break;
	case C_DATA_REFUSED:
		on_data_refused(d, out);
		break;
	case C_CONTENT_REFUSED:
		close_with(d, DIALOGUE_REFUSED, out);
		break;
	case C_ACCEPTED:
		on_eom(d, DIALOGUE_ACCEPTED, out);
		break;
	case C_EOM_REFUSED:
		on_eom(d, DIALOGUE_REFUSED, out);
		break;
	case C_LONE_DOT:
		on_eom(d, DIALOGUE_WAIT, out);
		break;
	case C_GARBAGE:
		close_with(d, DIALOGUE_GARBAGE, out);
		break;
	}
}

/* A reply before its command. 421 is an announcement that may come at any time
 * (RFC 5321 3.8) and ends what is being done; a refusal may come in the middle
 * of content; anything else means that replies and commands are out of step. */
static void unasked(struct dialogue *d, uint16_t code,
		    struct dialogue_step *out)
{
	uint8_t cell = C_GARBAGE;

	if (d->state == DIALOGUE_IDLE || d->state == DIALOGUE_CLOSED)
		cell = C_HANG_UP;
	else if (d->state == DIALOGUE_EHLO || d->state == DIALOGUE_HELO)
		cell = code == 421 ? C_NOT_SERVED : C_GARBAGE;
	else if (d->state == DIALOGUE_CONTENT)
		cell = table[d->state].on[code / 100 - 2];
	else if (d->state == DIALOGUE_LONE_DOT)
		cell = C_HANG_UP;
	else if (code == 421)
		cell = C_CONTENT_REFUSED;
	apply(d, cell, out);
}

void dialogue_reply(struct dialogue *d, uint16_t code,
		    struct dialogue_step *out)
{
	sluice_assert(d->state < DIALOGUE_STATES);
	sluice_assert(code >= 200 && code < 600);
	memset(out, 0, sizeof(*out));
	out->phase = table[d->state].phase;
	if (!d->awaited) {
		unasked(d, code, out);
		return;
	}
	d->awaited--;
	if (d->mail_refused && d->state == DIALOGUE_RCPT)
		on_rcpt(d, code < 300, out);
	else
		apply(d, table[d->state].on[code / 100 - 2], out);
	if (code == 421) {
		out->hang_up = true;
		out->content = false;
		d->state = DIALOGUE_CLOSED;
	}
}
