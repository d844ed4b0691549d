/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_envelope.c - MAIL and RCPT.
 *
 * Called by smtp_commands.c in the right states only; role worker.
 * Bound: the limit of recipients; refusals beyond it are counted as errors
 * once there were as many. Errors: replies.
 */
#include <errno.h>

#include "intake/smtp_priv.h"

static int sender_keep(struct smtp_session *s, const struct smtp_command *c)
{
	struct envelope *env = &s->build.env;
	int rc = envelope_build_text(&s->build, c->path.whole.data,
				     c->path.whole.len, &env->sender);

	if (!rc)
		rc = envelope_build_text(&s->build, c->envid.data, c->envid.len,
					 &env->envid);
	return rc ? rc : smtp_client_keep(s);
}

void smtp_mail(struct smtp_session *s, const struct smtp_command *c)
{
	const struct smtp_limits *l = smtp_limits(s);
	struct envelope *env = &s->build.env;

	if (l->messages && s->messages >= l->messages) {
		smtp_goodbye(s, "421 4.7.0 enough messages in one session, "
				"come back in a new one");
		return;
	}
	if (c->size_given && l->size_bytes && c->size_bytes > l->size_bytes) {
		smtp_complain_as(s, 552, 3, 4,
				 "message is larger than is taken here");
		return;
	}
	if (sender_keep(s, c)) {
		envelope_build_reset(&s->build);
		smtp_complain_as(s, 451, 3, 0, "out of memory");
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

static void rcpt_too_many(struct smtp_session *s)
{
	smtp_complain_as(s, 452, 5, 3, "too many recipients");
	if (++s->rcpts_over > smtp_limits(s)->rcpts)
		smtp_error_count(s);
}

void smtp_rcpt(struct smtp_session *s, const struct smtp_command *c)
{
	int rc;

	if (!s->may_relay)
		smtp_complain_as(s, 550, 7, 1,
				 "you may not relay through this host");
	else if (s->build.env.rcpt_count >= smtp_limits(s)->rcpts)
		rcpt_too_many(s);
	else if (!c->path.domain.len)
		smtp_complain_as(s, 550, 1, 1,
				 "no mailboxes here, only relaying");
	else if (c->path.utf8 && !s->build.env.smtputf8)
		smtp_complain_as(s, 553, 6, 7, "this address needs SMTPUTF8");
	else if ((rc = rcpt_keep(s, c)) == -EINVAL)
		smtp_complain_as(s, 501, 1, 3, "the domain is no domain name");
	else if (rc)
		smtp_complain_as(s, 452, 3, 1, "no memory for more recipients");
	else {
		s->state = SMTP_STATE_RCPT;
		smtp_reply(s, "250 2.1.5 ok");
	}
}
