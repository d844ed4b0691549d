/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_refuse.c - refusals: said, logged, counted; and the last words.
 *
 * Called by the other files of the server, role worker.
 * Bound: `errors` of the listener, then the session ends. No errors.
 */
#include "intake/smtp_priv.h"
#include "sluice/assert.h"
#include "sluice/log.h"

void smtp_error_count(struct smtp_session *s)
{
	s->errors++;
	if (s->errors == smtp_limits(s)->errors &&
	    s->state < SMTP_STATE_CLOSING)
		smtp_goodbye(s, "421 4.7.0 too many errors");
}

static void refusal_log(const struct smtp_session *s, const char *reply)
{
	char client[ADDR_TEXT_BYTES];

	if (log_enabled(LOG_INFO_))
		log_info("intake", "%s: %s", smtp_client_text(s, client),
			 reply);
}

void smtp_complain(struct smtp_session *s, const struct smtp_complaint *c)
{
	char text[SMTP_REPLY_MAX - 2];

	smtp_complaint_format(c, text, sizeof(text));
	if (c->code == 521) {
		smtp_goodbye(s, text);
		return;
	}
	smtp_reply(s, "%s", text);
	refusal_log(s, text);
	if (c->code >= 500)
		smtp_error_count(s);
}

void smtp_complain_as(struct smtp_session *s, uint16_t code, uint16_t subject,
		      uint16_t detail, const char *text)
{
	struct smtp_complaint c = {
		.code = code,
		.enhanced = {code / 100, subject, detail},
		.text = text,
	};

	smtp_complain(s, &c);
}

void smtp_goodbye(struct smtp_session *s, const char *line)
{
	sluice_assert(!s->committing);
	smtp_reply(s, "%s", line);
	if (line[0] != '2')
		refusal_log(s, line);
	if (s->message)
		spool_message_abort(&s->message);
	s->content.held = false;
	s->state = SMTP_STATE_CLOSING;
	smtp_time_last(s, SMTP_STOP_NS);
}
