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

struct cursor {
	const char *at, *end;
};

static int complain(struct smtp_complaint *c, uint16_t code, uint16_t subject,
		    uint16_t detail, const char *text)
{
	*c = (struct smtp_complaint){
		code, {(uint16_t)(code / 100), subject, detail}, text};
	return -EINVAL;
}

static bool text_is(const struct text *t, const char *word)
{
	return t->len == strlen(word) &&
	       strncasecmp(t->data, word, t->len) == 0;
}

/* Up to `stop` or the end; takes the stop as well. */
static struct text take_until(struct cursor *cur, char stop)
{
	size_t left = (size_t)(cur->end - cur->at);
	const char *p = left ? memchr(cur->at, stop, left) : NULL;
	struct text t = {cur->at, (uint32_t)((p ? p : cur->end) - cur->at)};

	cur->at = p ? p + 1 : cur->end;
	return t;
}

static int param_size(struct smtp_command *cmd, const struct text *v,
		      struct smtp_complaint *c)
{
	uint64_t n = 0;

	if (cmd->size_given || !v->len || v->len > 19)
		return complain(c, 501, 5, 4, "SIZE wants one number");
	for (uint32_t i = 0; i < v->len; i++) {
		if (v->data[i] < '0' || v->data[i] > '9')
			return complain(c, 501, 5, 4, "SIZE wants one number");
		n = n * 10 + (uint64_t)(v->data[i] - '0');
	}
	cmd->size_given = true;
	cmd->size_bytes = n;
	return 0;
}

static int param_body(struct smtp_command *cmd, const struct text *v,
		      struct smtp_complaint *c)
{
	if (cmd->body != BODY_UNKNOWN)
		return complain(c, 501, 5, 4, "BODY is given twice");
	if (text_is(v, "7BIT"))
		cmd->body = BODY_7BIT;
	else if (text_is(v, "8BITMIME"))
		cmd->body = BODY_8BITMIME;
	else
		return complain(c, 501, 5, 4, "BODY is 7BIT or 8BITMIME");
	return 0;
}

static int param_utf8(struct smtp_command *cmd, const struct text *v,
		      struct smtp_complaint *c)
{
	if (v->data)
		return complain(c, 501, 5, 4, "SMTPUTF8 takes no value");
	cmd->smtputf8 = true;
	return 0;
}

static int param_ret(struct smtp_command *cmd, const struct text *v,
		     struct smtp_complaint *c)
{
	if (cmd->ret != RET_UNKNOWN)
		return complain(c, 501, 5, 4, "RET is given twice");
	if (text_is(v, "FULL"))
		cmd->ret = RET_FULL;
	else if (text_is(v, "HDRS"))
		cmd->ret = RET_HDRS;
	else
		return complain(c, 501, 5, 4, "RET is FULL or HDRS");
	return 0;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* RFC 3461 section 4; UTF-8 as RFC 6533 allows it in ORCPT. */
static bool xtext_ok(const char *s, size_t len, bool utf8)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)s[i];

		if (ch == '+') {
			if (len - i < 3 || !is_hex(s[i + 1]) ||
			    !is_hex(s[i + 2]))
				return false;
			i += 2;
		} else if (ch <= 0x20 || ch == '=' || ch == 0x7f ||
			   (ch >= 0x80 && !utf8)) {
			return false;
		}
	}
	return len != 0;
}

static int param_envid(struct smtp_command *cmd, const struct text *v,
		       struct smtp_complaint *c)
{
	if (cmd->envid.len || v->len > 100 || !xtext_ok(v->data, v->len, false))
		return complain(c, 501, 5, 4,
				"ENVID wants xtext of at most 100 characters");
	cmd->envid = *v;
	return 0;
}

static int param_notify(struct smtp_command *cmd, const struct text *v,
			struct smtp_complaint *c)
{
	struct cursor cur = {v->data, v->data};
	uint8_t bits = 0;

	if (cmd->notify || !v->len)
		return complain(c, 501, 5, 4, "NOTIFY wants one list");
	cur.end += v->len;
	while (cur.at < cur.end) {
		struct text word = take_until(&cur, ',');
		uint8_t bit = text_is(&word, "NEVER")     ? NOTIFY_NEVER
			      : text_is(&word, "SUCCESS") ? NOTIFY_SUCCESS
			      : text_is(&word, "FAILURE") ? NOTIFY_FAILURE
			      : text_is(&word, "DELAY")   ? NOTIFY_DELAY
							  : 0;

		if (!bit)
			return complain(c, 501, 5, 4, "bad word in NOTIFY");
		bits |= bit;
	}
	if ((bits & NOTIFY_NEVER) && bits != NOTIFY_NEVER)
		return complain(c, 501, 5, 4, "NOTIFY=NEVER stands alone");
	cmd->notify = bits;
	return 0;
}

static int param_orcpt(struct smtp_command *cmd, const struct text *v,
		       struct smtp_complaint *c)
{
	const char *semi = v->len ? memchr(v->data, ';', v->len) : NULL;
	size_t type = semi ? (size_t)(semi - v->data) : 0;
	bool utf8 = type == 5 && strncasecmp(v->data, "utf-8", 5) == 0;

	if (cmd->orcpt.len || v->len > 500 || !type ||
	    !xtext_ok(v->data, type, false) ||
	    !xtext_ok(semi + 1, v->len - type - 1, utf8))
		return complain(c, 501, 5, 4, "ORCPT wants type;xtext");
	cmd->orcpt = *v;
	return 0;
}

static const struct param {
	const char *name;
	uint8_t verb;
	int (*take)(struct smtp_command *cmd, const struct text *value,
		    struct smtp_complaint *c);
} params[] = {
	{"SIZE", SMTP_MAIL, param_size},
	{"BODY", SMTP_MAIL, param_body},
	{"SMTPUTF8", SMTP_MAIL, param_utf8},
	{"RET", SMTP_MAIL, param_ret},
	{"ENVID", SMTP_MAIL, param_envid},
	{"NOTIFY", SMTP_RCPT, param_notify},
	{"ORCPT", SMTP_RCPT, param_orcpt},
};

/* One "NAME" or "NAME=value"; a missing value has data NULL. */
static int param_take(struct smtp_command *cmd, struct text word,
		      struct smtp_complaint *c)
{
	const char *eq = word.len ? memchr(word.data, '=', word.len) : NULL;
	struct text value = {NULL, 0};

	if (eq) {
		value.data = eq + 1;
		value.len = word.len - (uint32_t)(eq + 1 - word.data);
		word.len = (uint32_t)(eq - word.data);
	}
	if (!word.len)
		return complain(c, 501, 5, 4, "one space between parameters");
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
		if (params[i].verb == cmd->verb &&
		    text_is(&word, params[i].name))
			return params[i].take(cmd, &value, c);
	return complain(c, 555, 5, 4, "unsupported parameter");
}

/* ":<path>" and the parameters after it. */
static int parse_path(struct cursor *cur, const char *keyword,
		      struct smtp_command *cmd, struct smtp_complaint *c)
{
	struct text word = take_until(cur, ':');
	uint16_t detail = cmd->verb == SMTP_MAIL ? 7 : 3;
	const char *why = NULL;
	size_t used = 0;

	if (!text_is(&word, keyword) || word.data + word.len == cur->end)
		return complain(c, 501, 5, 4,
				cmd->verb == SMTP_MAIL
					? "syntax: MAIL FROM:<address>"
					: "syntax: RCPT TO:<address>");
	if (smtp_path_parse(cur->at, (size_t)(cur->end - cur->at), &used,
			    &cmd->path, &why))
		return complain(c, 501, 1, detail, why);
	cur->at += used;
	if (cmd->verb == SMTP_RCPT && cmd->path.null)
		return complain(c, 501, 1, 3, "a recipient cannot be <>");
	if (cur->at < cur->end && *cur->at++ != ' ')
		return complain(c, 501, 5, 4, "a space after the address");
	while (cur->at < cur->end) {
		int res = param_take(cmd, take_until(cur, ' '), c);

		if (res)
			return res;
	}
	if (cmd->verb == SMTP_MAIL && cmd->path.utf8 && !cmd->smtputf8)
		return complain(c, 553, 6, 7, "this address needs SMTPUTF8");
	return 0;
}

static int parse_mail(struct cursor *cur, struct smtp_command *cmd,
		      struct smtp_complaint *c)
{
	return parse_path(cur, "FROM", cmd, c);
}

static int parse_rcpt(struct cursor *cur, struct smtp_command *cmd,
		      struct smtp_complaint *c)
{
	return parse_path(cur, "TO", cmd, c);
}

static struct text rest(struct cursor *cur)
{
	struct text t = {cur->at, (uint32_t)(cur->end - cur->at)};

	cur->at = cur->end;
	return t;
}

static int parse_hello(struct cursor *cur, struct smtp_command *cmd,
		       struct smtp_complaint *c)
{
	cmd->argument = rest(cur);
	if (smtp_domain_ok(cmd->argument.data, cmd->argument.len))
		return 0;
	return complain(c, 501, 5, 4, "a domain or an address literal please");
}

static int parse_word(struct cursor *cur, struct smtp_command *cmd,
		      struct smtp_complaint *c)
{
	cmd->argument = rest(cur);
	if (cmd->verb == SMTP_VRFY && !cmd->argument.len)
		return complain(c, 501, 5, 4, "syntax: VRFY address");
	return 0;
}

static int parse_bare(struct cursor *cur, struct smtp_command *cmd,
		      struct smtp_complaint *c)
{
	if (cur->at < cur->end)
		return complain(c, 501, 5, 4, "this command takes no argument");
	return 0;
}

static const struct verb {
	const char *name;
	uint8_t verb;
	int (*parse)(struct cursor *cur, struct smtp_command *cmd,
		     struct smtp_complaint *c);
} verbs[] = {
	{"MAIL", SMTP_MAIL, parse_mail},  {"RCPT", SMTP_RCPT, parse_rcpt},
	{"DATA", SMTP_DATA, parse_bare},  {"EHLO", SMTP_EHLO, parse_hello},
	{"HELO", SMTP_HELO, parse_hello}, {"RSET", SMTP_RSET, parse_bare},
	{"QUIT", SMTP_QUIT, parse_bare},  {"NOOP", SMTP_NOOP, parse_word},
	{"VRFY", SMTP_VRFY, parse_word},
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
	struct cursor cur = {line, line + len};
	struct smtp_command cmd = {.verb = SMTP_NONE};
	struct text word;
	int res;

	if (len > SMTP_COMMAND_BYTES_MAX - 2)
		return complain(c, 500, 5, 2, "line is too long");
	if (has_control(line, len))
		return complain(c, 500, 5, 2, "control character in command");
	word = take_until(&cur, ' ');
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
