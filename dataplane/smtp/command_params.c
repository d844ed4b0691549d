/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command_params.c - the parameters of MAIL and RCPT.
 *
 * Called by command_parse.c. PURE, any thread. Bound: one pass over the line.
 * Errors: -EINVAL with a reply.
 */
#include <string.h>
#include <strings.h>

#include "smtp/command_parse_priv.h"

#define complain smtp_complaint_set
#define text_is  smtp_text_is

static int param_size(struct smtp_command *cmd, const struct text *v,
		      struct smtp_complaint *c)
{
	uint64_t n;

	if (cmd->size_given || smtp_number_parse(v, &n))
		return complain(c, 501, 5, 4, "SIZE wants one number");
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

/* RFC 4954 section 5: whoever does not trust it, treats it as AUTH=<>. It is
 * checked and goes no further. */
static int param_auth(struct smtp_command *cmd, const struct text *v,
		      struct smtp_complaint *c)
{
	(void)cmd;
	if (!text_is(v, "<>") &&
	    (v->len > 500 || !xtext_ok(v->data, v->len, false)))
		return complain(c, 501, 5, 4, "AUTH wants <> or xtext");
	return 0;
}

static int param_notify(struct smtp_command *cmd, const struct text *v,
			struct smtp_complaint *c)
{
	struct smtp_cursor cur = {v->data, v->data};
	uint8_t bits = 0;

	if (cmd->notify || !v->len)
		return complain(c, 501, 5, 4, "NOTIFY wants one list");
	cur.end += v->len;
	while (cur.at < cur.end) {
		struct text word = smtp_take_until(&cur, ',');
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
	{"SIZE", SMTP_MAIL, param_size},     {"BODY", SMTP_MAIL, param_body},
	{"SMTPUTF8", SMTP_MAIL, param_utf8}, {"RET", SMTP_MAIL, param_ret},
	{"ENVID", SMTP_MAIL, param_envid},   {"AUTH", SMTP_MAIL, param_auth},
	{"NOTIFY", SMTP_RCPT, param_notify}, {"ORCPT", SMTP_RCPT, param_orcpt},
};

/* One "NAME" or "NAME=value"; a missing value has data NULL. */
int smtp_param_take(struct smtp_command *cmd, struct text word,
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
		return complain(c, 501, 5, 4, "a parameter without a name");
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
		if (params[i].verb == cmd->verb &&
		    text_is(&word, params[i].name))
			return params[i].take(cmd, &value, c);
	return complain(c, 555, 5, 4, "unsupported parameter");
}
