/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command_parse.c - SMTP commands as a server reads them.
 *
 * Called by intake for every line. PURE, any thread. Bound: one pass over the
 * line and a short list of parameters. Errors: -EINVAL with a reply.
 */
#include "smtp/command_parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sluice/domain.h"
#include "smtp/command_parse_priv.h"

#define complain smtp_complaint_set
#define text_is  smtp_text_is

int smtp_complaint_set(struct smtp_complaint *c, uint16_t code,
		       uint16_t subject, uint16_t detail, const char *text)
{
	*c = (struct smtp_complaint){
		code, {(uint16_t)(code / 100), subject, detail}, text};
	return -EINVAL;
}

bool smtp_text_is(const struct text *t, const char *word)
{
	return t->len == strlen(word) &&
	       strncasecmp(t->data, word, t->len) == 0;
}

struct text smtp_take_until(struct smtp_cursor *cur, char stop)
{
	size_t left = (size_t)(cur->end - cur->at);
	const char *p = left ? memchr(cur->at, stop, left) : NULL;
	struct text t = {cur->at, (uint32_t)((p ? p : cur->end) - cur->at)};

	cur->at = p ? p + 1 : cur->end;
	return t;
}

int smtp_number_parse(const struct text *t, uint64_t *out)
{
	uint64_t n = 0;

	if (!t->len || t->len > 18)
		return -EINVAL;
	for (uint32_t i = 0; i < t->len; i++) {
		if (t->data[i] < '0' || t->data[i] > '9')
			return -EINVAL;
		n = n * 10 + (uint64_t)(t->data[i] - '0');
	}
	*out = n;
	return 0;
}

/* ":<path>" and the parameters after it. */
static int parse_path(struct smtp_cursor *cur, const char *keyword,
		      struct smtp_command *cmd, struct smtp_complaint *c)
{
	struct text word = smtp_take_until(cur, ':');
	uint16_t detail = cmd->verb == SMTP_MAIL ? 7 : 3;
	const char *why = NULL;
	size_t used = 0;

	if (!text_is(&word, keyword) || word.data + word.len == cur->end)
		return complain(c, 501, 5, 4,
				cmd->verb == SMTP_MAIL
					? "syntax: MAIL FROM:<address>"
					: "syntax: RCPT TO:<address>");
	/* Not in the RFC, and so common that every server allows it. */
	while (cur->at < cur->end && *cur->at == ' ')
		cur->at++;
	if (smtp_path_parse(cur->at, (size_t)(cur->end - cur->at), &used,
			    &cmd->path, &why))
		return complain(c, 501, 1, detail, why);
	cur->at += used;
	if (cmd->path.whole.len > SMTP_PATH_BYTES_MAX)
		return complain(c, 501, 1, detail, "address is too long");
	if (cmd->verb == SMTP_RCPT && cmd->path.null)
		return complain(c, 501, 1, 3, "a recipient cannot be <>");
	if (cur->at < cur->end && *cur->at++ != ' ')
		return complain(c, 501, 5, 4, "a space after the address");
	while (cur->at < cur->end) {
		struct text param = smtp_take_until(cur, ' ');
		int res = param.len ? smtp_param_take(cmd, param, c) : 0;

		if (res)
			return res;
	}
	if (cmd->verb == SMTP_MAIL && cmd->path.utf8 && !cmd->smtputf8)
		return complain(c, 553, 6, 7, "this address needs SMTPUTF8");
	return 0;
}

static int parse_mail(struct smtp_cursor *cur, struct smtp_command *cmd,
		      struct smtp_complaint *c)
{
	return parse_path(cur, "FROM", cmd, c);
}

static int parse_rcpt(struct smtp_cursor *cur, struct smtp_command *cmd,
		      struct smtp_complaint *c)
{
	return parse_path(cur, "TO", cmd, c);
}

static struct text rest(struct smtp_cursor *cur)
{
	struct text t = {cur->at, (uint32_t)(cur->end - cur->at)};

	cur->at = cur->end;
	return t;
}

/* What cannot stand in a Received: line. A name that is no name otherwise is
 * the client's affair: as Postfix, we take it. */
static int parse_hello(struct smtp_cursor *cur, struct smtp_command *cmd,
		       struct smtp_complaint *c)
{
	cmd->argument = rest(cur);
	if (cmd->argument.len && cmd->argument.len < DOMAIN_BYTES &&
	    !memchr(cmd->argument.data, ' ', cmd->argument.len) &&
	    smtp_utf8_ok(cmd->argument.data, cmd->argument.len))
		return 0;
	return complain(c, 501, 5, 4, "a domain or an address literal please");
}

static int parse_word(struct smtp_cursor *cur, struct smtp_command *cmd,
		      struct smtp_complaint *c)
{
	cmd->argument = rest(cur);
	if (cmd->verb == SMTP_VRFY && !cmd->argument.len)
		return complain(c, 501, 5, 4, "syntax: VRFY address");
	return 0;
}

static int parse_bare(struct smtp_cursor *cur, struct smtp_command *cmd,
		      struct smtp_complaint *c)
{
	(void)cmd;
	if (cur->at < cur->end)
		return complain(c, 501, 5, 4, "this command takes no argument");
	return 0;
}

/* Without the count nobody knows where the next command begins: 521, the
 * connection has to end. */
static int parse_bdat(struct smtp_cursor *cur, struct smtp_command *cmd,
		      struct smtp_complaint *c)
{
	struct text count = smtp_take_until(cur, ' ');
	struct text last = rest(cur);

	if (smtp_number_parse(&count, &cmd->chunk_bytes) ||
	    (last.len && !text_is(&last, "LAST")))
		return complain(c, 521, 5, 4, "syntax: BDAT count [LAST]");
	cmd->chunk_last = last.len != 0;
	return 0;
}

static int parse_unoffered(struct smtp_cursor *cur, struct smtp_command *cmd,
			   struct smtp_complaint *c)
{
	(void)cur;
	(void)cmd;
	return complain(c, 502, 5, 1, "this command is not offered");
}

/* A browser, or a script that was made for one: nothing good will follow. */
static int parse_foreign(struct smtp_cursor *cur, struct smtp_command *cmd,
			 struct smtp_complaint *c)
{
	(void)cur;
	(void)cmd;
	return complain(c, 521, 5, 1, "this is SMTP, closing connection");
}

static const struct verb {
	const char *name;
	uint8_t verb;
	int (*parse)(struct smtp_cursor *cur, struct smtp_command *cmd,
		     struct smtp_complaint *c);
} verbs[] = {
	{"MAIL", SMTP_MAIL, parse_mail},
	{"RCPT", SMTP_RCPT, parse_rcpt},
	{"DATA", SMTP_DATA, parse_bare},
	{"BDAT", SMTP_BDAT, parse_bdat},
	{"EHLO", SMTP_EHLO, parse_hello},
	{"HELO", SMTP_HELO, parse_hello},
	{"RSET", SMTP_RSET, parse_bare},
	{"QUIT", SMTP_QUIT, parse_bare},
	{"NOOP", SMTP_NOOP, parse_word},
	{"VRFY", SMTP_VRFY, parse_word},
	{"HELP", SMTP_HELP, parse_word},
	{"XFORWARD", SMTP_XFORWARD, smtp_attributes_take},
	{"XCLIENT", SMTP_XCLIENT, smtp_attributes_take},
	{"EXPN", SMTP_NONE, parse_unoffered},
	{"AUTH", SMTP_NONE, parse_unoffered},
	{"STARTTLS", SMTP_NONE, parse_unoffered},
	{"ETRN", SMTP_NONE, parse_unoffered},
	{"TURN", SMTP_NONE, parse_unoffered},
	{"SEND", SMTP_NONE, parse_unoffered},
	{"SOML", SMTP_NONE, parse_unoffered},
	{"SAML", SMTP_NONE, parse_unoffered},
	{"GET", SMTP_NONE, parse_foreign},
	{"POST", SMTP_NONE, parse_foreign},
	{"PUT", SMTP_NONE, parse_foreign},
	{"HEAD", SMTP_NONE, parse_foreign},
	{"OPTIONS", SMTP_NONE, parse_foreign},
	{"CONNECT", SMTP_NONE, parse_foreign},
};

static bool has_control(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return true;
	return false;
}

int smtp_command_parse(const char *line, size_t len, struct smtp_command *out,
		       struct smtp_complaint *c)
{
	struct smtp_cursor cur = {line, line};
	struct smtp_command cmd = {.verb = SMTP_NONE};
	struct text word;
	int res;

	if (len > SMTP_COMMAND_BYTES_MAX - 2)
		return complain(c, 500, 5, 2, "line is too long");
	if (has_control(line, len))
		return complain(c, 500, 5, 2, "control character in command");
	while (len && line[len - 1] == ' ')
		len--;
	cur.end += len;
	word = smtp_take_until(&cur, ' ');
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!text_is(&word, verbs[i].name))
			continue;
		cmd.verb = verbs[i].verb;
		res = verbs[i].parse(&cur, &cmd, c);
		if (!res)
			*out = cmd;
		return res;
	}
	return complain(c, 500, 5, 2, "command not recognised");
}

size_t smtp_complaint_format(const struct smtp_complaint *c, char *buf,
			     size_t size)
{
	int n = snprintf(buf, size, "%u %u.%u.%u %s", c->code, c->enhanced[0],
			 c->enhanced[1], c->enhanced[2], c->text);

	if (n < 0 || !size)
		return 0;
	return (size_t)n < size ? (size_t)n : size - 1;
}
