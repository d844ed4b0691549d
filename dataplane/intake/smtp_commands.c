/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_commands.c - what each command does, and in which state it may come.
 *
 * Called by smtp_session.c for each whole line; role worker.
 * Bound: SMTP_JUNK_MAX commands that lead nowhere. Errors: replies.
 */
#include <stdio.h>
#include <string.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"

#define IN(state) (1u << SMTP_STATE_##state)

void smtp_message_reset(struct smtp_session *s)
{
	sluice_assert(!s->committing);
	if (s->message)
		spool_message_abort(&s->message);
	envelope_build_reset(&s->build);
	smtp_attributes_clear(&s->xforward);
	s->content.held = false;
	s->rcpts_over = 0;
	if (s->state > SMTP_STATE_READY && s->state < SMTP_STATE_CLOSING)
		s->state = SMTP_STATE_READY;
}

/* Commands that a client may say for ever without any mail: after some they
 * are mistakes. */
static void junk_count(struct smtp_session *s)
{
	if (++s->junk > SMTP_JUNK_MAX)
		smtp_error_count(s);
}

static void hello(struct smtp_session *s, const struct smtp_command *c)
{
	size_t n = c->argument.len;

	sluice_assert(n < sizeof(s->helo));
	memcpy(s->helo, c->argument.data, n);
	s->helo[n] = '\0';
	s->state = SMTP_STATE_READY;
	smtp_message_reset(s);
}

static void do_ehlo(struct smtp_session *s, const struct smtp_command *c)
{
	static const char offers[] =
		"250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
		"\r\n250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE LOGIN"
		"\r\n";

	hello(s, c);
	s->esmtp = true;
	smtp_reply(s,
		   "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n%s"
		   "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n"
		   "250-SMTPUTF8\r\n250 CHUNKING",
		   s->server->host,
		   (unsigned long long)smtp_limits(s)->size_bytes,
		   s->trusted ? offers : "");
	junk_count(s);
}

static void do_helo(struct smtp_session *s, const struct smtp_command *c)
{
	hello(s, c);
	s->esmtp = false;
	smtp_reply(s, "250 %s", s->server->host);
	junk_count(s);
}

static void do_rset(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	smtp_message_reset(s);
	smtp_reply(s, "250 2.0.0 ok");
	junk_count(s);
}

static void do_noop(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	smtp_reply(s, "250 2.0.0 ok");
	junk_count(s);
}

static void do_vrfy(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	smtp_reply(s, "252 2.0.0 send it and see");
	junk_count(s);
}

static void do_help(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	smtp_reply(s, "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY "
		      "HELP QUIT; RFC 5321 says how");
	junk_count(s);
}

static void do_quit(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	smtp_goodbye(s, "221 2.0.0 bye");
}

#define ANY (IN(START) | IN(READY) | IN(MAIL) | IN(RCPT) | IN(BDAT))

/* Commands come only in these five states. `alone`: whoever says more before
 * the reply has not read RFC 2920, or is not the one who says it. */
static const struct {
	uint32_t states;
	void (*run)(struct smtp_session *s, const struct smtp_command *c);
	const char *when;
	bool alone;
} commands[SMTP_VERBS] = {
	[SMTP_EHLO] = {ANY, do_ehlo, "", true},
	[SMTP_HELO] = {ANY, do_helo, "", true},
	[SMTP_MAIL] = {IN(READY), smtp_mail, "MAIL comes once, after EHLO",
		       false},
	[SMTP_RCPT] = {IN(MAIL) | IN(RCPT), smtp_rcpt, "RCPT comes after MAIL",
		       false},
	[SMTP_DATA] = {IN(RCPT), smtp_data, "DATA comes after RCPT", true},
	[SMTP_BDAT] = {ANY, smtp_bdat, "", false},
	[SMTP_RSET] = {ANY, do_rset, "", false},
	[SMTP_NOOP] = {ANY, do_noop, "", true},
	[SMTP_QUIT] = {ANY, do_quit, "", false},
	[SMTP_VRFY] = {ANY, do_vrfy, "", true},
	[SMTP_HELP] = {ANY, do_help, "", true},
	[SMTP_XCLIENT] = {IN(START) | IN(READY), smtp_xclient,
			  "XCLIENT comes between messages", true},
	[SMTP_XFORWARD] = {IN(READY), smtp_xforward,
			   "XFORWARD comes before MAIL", false},
};

/* False: more has come than may come together. */
static bool in_step(const struct smtp_session *s, uint8_t verb)
{
	if (s->in_at == s->in_len || verb == SMTP_QUIT)
		return true;
	/* A chunk follows its command at once, also of a client that does not
	 * know what EHLO is for. */
	return verb == SMTP_BDAT || (s->esmtp && !commands[verb].alone);
}

static void out_of_order(struct smtp_session *s, uint8_t verb)
{
	if (verb == SMTP_DATA && s->state == SMTP_STATE_MAIL)
		smtp_complain_as(s, 554, 5, 1, "no valid recipients");
	else if (s->state == SMTP_STATE_BDAT)
		smtp_complain_as(s, 503, 5, 1,
				 "BDAT is under way: go on with it, or RSET");
	else
		smtp_complain_as(s, 503, 5, 1, commands[verb].when);
}

void smtp_command_line(struct smtp_session *s, const char *line, size_t len)
{
	struct smtp_command cmd;
	struct smtp_complaint c;

	sluice_assert(s->state <= SMTP_STATE_BDAT);
	if (smtp_command_parse(line, len, &cmd, &c)) {
		smtp_complain(s, &c);
		return;
	}
	sluice_assert(commands[cmd.verb].run);
	if (!in_step(s, cmd.verb))
		smtp_goodbye(s, "554 5.5.0 SMTP protocol synchronization: wait "
				"for the reply");
	else if (commands[cmd.verb].states & 1u << s->state)
		commands[cmd.verb].run(s, &cmd);
	else
		out_of_order(s, cmd.verb);
}
