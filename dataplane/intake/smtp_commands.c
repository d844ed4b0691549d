/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_commands.c - what each command does, and in which state it may come.
 *
 * Called by smtp_session.c for each whole line; role worker.
 * Bound: rcpts_max recipients. Errors: replies.
 */
#include <errno.h>
#include <string.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

#define IN(state) (1u << SMTP_STATE_##state)

void smtp_message_reset(struct smtp_session *s)
{
	sluice_assert(!s->committing);
	if (s->message)
		spool_message_abort(&s->message);
	envelope_build_reset(&s->build);
	s->held = false;
	if (s->state > SMTP_STATE_READY && s->state != SMTP_STATE_CLOSING)
		s->state = SMTP_STATE_READY;
}

static void complain(struct smtp_session *s, uint16_t code, uint16_t subject,
		     uint16_t detail, const char *text)
{
	struct smtp_complaint c = {
		.code = code,
		.enhanced = {code / 100, subject, detail},
		.text = text,
	};

	smtp_complain(s, &c);
}

static void hello(struct smtp_session *s, const struct smtp_command *c)
{
	size_t n = c->argument.len;

	if (n >= sizeof(s->helo))
		n = sizeof(s->helo) - 1;
	memcpy(s->helo, c->argument.data, n);
	s->helo[n] = '\0';
	s->state = SMTP_STATE_READY;
	smtp_message_reset(s);
}

static void do_ehlo(struct smtp_session *s, const struct smtp_command *c)
{
	hello(s, c);
	s->esmtp = true;
	smtp_reply(s,
		   "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME"
		   "\r\n250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES",
		   s->server->host,
		   (unsigned long long)s->listen->size_max_bytes);
}

static void do_helo(struct smtp_session *s, const struct smtp_command *c)
{
	hello(s, c);
	s->esmtp = false;
	smtp_reply(s, "250 %s", s->server->host);
}

static int sender_keep(struct smtp_session *s, const struct smtp_command *c)
{
	struct envelope *env = &s->build.env;
	char client[ADDR_TEXT_BYTES];
	int rc;

	addr_format(&s->client, false, client);
	rc = envelope_build_text(&s->build, c->path.whole.data,
				 c->path.whole.len, &env->sender);
	if (!rc)
		rc = envelope_build_text(&s->build, c->envid.data, c->envid.len,
					 &env->envid);
	if (!rc)
		rc = envelope_build_text(&s->build, client, strlen(client),
					 &env->client);
	return rc;
}

static void do_mail(struct smtp_session *s, const struct smtp_command *c)
{
	struct envelope *env = &s->build.env;
	uint64_t max = s->listen->size_max_bytes;

	if (c->size_given && max && c->size_bytes > max) {
		complain(s, 552, 3, 4, "message is larger than is taken here");
		return;
	}
	if (sender_keep(s, c)) {
		envelope_build_reset(&s->build);
		complain(s, 451, 3, 0, "out of memory");
		return;
	}
	env->body = c->body;
	env->ret = c->ret;
	env->smtputf8 = c->smtputf8;
	s->state = SMTP_STATE_MAIL;
	smtp_reply(s, "250 2.1.0 ok");
}

static int rcpt_keep(struct smtp_session *s, const struct smtp_command *c)
{
	struct envelope_rcpt r = {.notify = c->notify};
	int rc = envelope_build_address(&s->build, &c->path.local,
					&c->path.domain, &r.address);

	if (!rc)
		rc = envelope_build_text(&s->build, c->orcpt.data, c->orcpt.len,
					 &r.orcpt);
	return rc ? rc : envelope_build_rcpt(&s->build, &r);
}

static void do_rcpt(struct smtp_session *s, const struct smtp_command *c)
{
	int rc;

	if (!s->may_relay)
		complain(s, 550, 7, 1, "you may not relay through this host");
	else if (s->build.env.rcpt_count >= s->server->opt.rcpts_max)
		complain(s, 452, 5, 3, "too many recipients");
	else if (!c->path.domain.len)
		complain(s, 550, 1, 1, "no mailboxes here, only relaying");
	else if (c->path.utf8 && !s->build.env.smtputf8)
		complain(s, 553, 6, 7, "this address needs SMTPUTF8");
	else if ((rc = rcpt_keep(s, c)) == -EINVAL)
		complain(s, 501, 1, 3, "the domain is no domain name");
	else if (rc)
		complain(s, 452, 3, 1, "no memory for more recipients");
	else {
		s->state = SMTP_STATE_RCPT;
		smtp_reply(s, "250 2.1.5 ok");
	}
}

static void do_data(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	s->build.env.arrival_s = clock_realtime_s();
	s->state = SMTP_STATE_OPEN;
}

static void do_rset(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	smtp_message_reset(s);
	smtp_reply(s, "250 2.0.0 ok");
}

static void do_noop(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	smtp_reply(s, "250 2.0.0 ok");
}

static void do_vrfy(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	smtp_reply(s, "252 2.5.0 try and see");
}

static void do_quit(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	smtp_goodbye(s, "221 2.0.0 bye");
}

#define ANY (IN(START) | IN(READY) | IN(MAIL) | IN(RCPT))

/* Commands come only in these four states. */
static const struct {
	uint32_t states;
	void (*run)(struct smtp_session *s, const struct smtp_command *c);
	const char *when;
} commands[] = {
	[SMTP_EHLO] = {ANY, do_ehlo, ""},
	[SMTP_HELO] = {ANY, do_helo, ""},
	[SMTP_MAIL] = {IN(READY), do_mail, "MAIL comes once, after EHLO"},
	[SMTP_RCPT] = {IN(MAIL) | IN(RCPT), do_rcpt, "RCPT comes after MAIL"},
	[SMTP_DATA] = {IN(RCPT), do_data, "no valid recipients"},
	[SMTP_RSET] = {ANY, do_rset, ""},
	[SMTP_NOOP] = {ANY, do_noop, ""},
	[SMTP_QUIT] = {ANY, do_quit, ""},
	[SMTP_VRFY] = {ANY, do_vrfy, ""},
};

void smtp_command_line(struct smtp_session *s, const char *line, size_t len)
{
	struct smtp_command cmd;
	struct smtp_complaint c;

	sluice_assert(s->state <= SMTP_STATE_RCPT);
	if (smtp_command_parse(line, len, &cmd, &c)) {
		smtp_complain(s, &c);
		return;
	}
	sluice_assert(cmd.verb < sizeof(commands) / sizeof(*commands));
	if (commands[cmd.verb].states & 1u << s->state)
		commands[cmd.verb].run(s, &cmd);
	else
		complain(s, cmd.verb == SMTP_DATA ? 554 : 503, 5, 1,
			 commands[cmd.verb].when);
}
