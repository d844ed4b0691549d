/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dialogue.h - the client's side of an SMTP session, as one table of states.
 *
 * PURE, no I/O: the owner tells what it has sent and hands in the code of each
 * reply; the table says what that reply means and what the owner does next.
 * Knows pipelining (replies still to come are counted), refused recipients,
 * the lone dot of RFC 2920 3.1, 421 at any time, and replies nobody asked for.
 */
#ifndef SLUICE_SMTP_DIALOGUE_H
#define SLUICE_SMTP_DIALOGUE_H

#include <stdbool.h>
#include <stdint.h>

/* Named after what the next reply answers. */
enum dialogue_state {
	DIALOGUE_GREETING,
	DIALOGUE_EHLO,
	DIALOGUE_HELO,
	DIALOGUE_IDLE, /* nothing: a message may begin */
	DIALOGUE_MAIL,
	DIALOGUE_RCPT,
	DIALOGUE_DATA,
	DIALOGUE_CONTENT,  /* nothing: content is being sent */
	DIALOGUE_EOM,      /* the final dot */
	DIALOGUE_LONE_DOT, /* a dot without content: nobody was accepted */
	DIALOGUE_RSET,
	DIALOGUE_QUIT,
	DIALOGUE_CLOSED,
	DIALOGUE_STATES
};

/* What the owner does after a reply. */
enum dialogue_action {
	DIALOGUE_WAIT = 1, /* nothing; more replies are to come */
	DIALOGUE_SEND_EHLO,
	DIALOGUE_SEND_HELO,
	DIALOGUE_READY,         /* idle now */
	DIALOGUE_NOT_SERVED,    /* greeting or EHLO refused: close */
	DIALOGUE_GO_ON,         /* without pipelining: the next command */
	DIALOGUE_RCPT_OK,       /* recipient `rcpt`; then as GO_ON */
	DIALOGUE_RCPT_REFUSED,  /* recipient `rcpt`; then as GO_ON */
	DIALOGUE_SEND_CONTENT,  /* 354 */
	DIALOGUE_SEND_LONE_DOT, /* 354, but nobody is left to deliver to */
	DIALOGUE_REFUSED,       /* what is still open of the message */
	DIALOGUE_ACCEPTED,      /* 250 to the final dot */
	DIALOGUE_HANG_UP,       /* close; says nothing of a message */
	DIALOGUE_GARBAGE        /* no SMTP, or a reply too many: close */
};

struct dialogue {
	uint8_t state; /* enum dialogue_state */
	bool mail_refused;
	bool rcpt_unasked; /* a recipient was taken after MAIL was refused */
	bool data_sent;
	bool in_transaction; /* MAIL accepted, not ended by a dot */
	bool chunked;        /* BDAT instead of DATA, with the content */
	uint32_t awaited;    /* replies to commands that were sent */
	uint32_t rcpt_count;
	uint32_t rcpt_sent;
	uint32_t rcpt_answered;
	uint32_t rcpt_accepted;
};

struct dialogue_step {
	uint8_t action;    /* enum dialogue_action */
	uint8_t phase;     /* enum reply_phase of what was answered */
	bool hang_up;      /* 421: after the action, close */
	bool message_over; /* no reply of this message is to come; send RSET
			    * if `reset`, else the connection is idle */
	bool reset;
	bool content; /* after the action: chunked content may go */
	uint32_t rcpt;
};

void dialogue_init(struct dialogue *d);
/* A message begins; MAIL is sent next. */
void dialogue_begin(struct dialogue *d, uint32_t rcpt_count);
/* The message that has begun goes by BDAT. There is no 354 that would tell that
 * replies and commands are still in step: the owner has to look at the reply
 * to the last chunk itself, see smtp_reply_is_of_address(). */
void dialogue_chunked(struct dialogue *d);
/* The command that `d->state` waits for (or several) goes out. */
void dialogue_sent(struct dialogue *d, enum dialogue_state command,
		   uint32_t count);
void dialogue_reply(struct dialogue *d, uint16_t code,
		    struct dialogue_step *out);
/* enum reply_phase of what is being done now, for a lost connection. */
uint8_t dialogue_phase(const struct dialogue *d);

#endif
