/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command_attributes.c - what XCLIENT and XFORWARD say of a client.
 *
 * Called by command_parse.c and, for the values, by intake. PURE, any thread.
 * The form is that of Postfix's XCLIENT_README and XFORWARD_README.
 * Bound: one pass. Errors: -EINVAL with a reply.
 */
#include <errno.h>
#include <string.h>

#include "smtp/command_parse_priv.h"

#define complain smtp_complaint_set

static const struct {
	const char *name;
	bool xclient, xforward;
} attributes[SMTP_ATTRIBUTES] = {
	[SMTP_ATTRIBUTE_NAME] = {"NAME", true, true},
	[SMTP_ATTRIBUTE_ADDR] = {"ADDR", true, true},
	[SMTP_ATTRIBUTE_PORT] = {"PORT", true, true},
	[SMTP_ATTRIBUTE_PROTO] = {"PROTO", true, true},
	[SMTP_ATTRIBUTE_HELO] = {"HELO", true, true},
	[SMTP_ATTRIBUTE_LOGIN] = {"LOGIN", true, true},
	[SMTP_ATTRIBUTE_DESTADDR] = {"DESTADDR", true, false},
	[SMTP_ATTRIBUTE_DESTPORT] = {"DESTPORT", true, false},
	[SMTP_ATTRIBUTE_IDENT] = {"IDENT", false, true},
	[SMTP_ATTRIBUTE_SOURCE] = {"SOURCE", false, true},
};

static int attribute_find(uint8_t verb, const struct text *name)
{
	for (int i = 0; i < SMTP_ATTRIBUTES; i++) {
		bool known = verb == SMTP_XCLIENT ? attributes[i].xclient
						  : attributes[i].xforward;

		if (known && smtp_text_is(name, attributes[i].name))
			return i;
	}
	return -1;
}

static int attribute_take(struct smtp_command *cmd, struct text word,
			  struct smtp_complaint *c)
{
	const char *eq = memchr(word.data, '=', word.len);
	char value[SMTP_ATTRIBUTE_BYTES];
	struct text name = word;
	int number;

	if (!eq)
		return complain(c, 501, 5, 4, "an attribute is NAME=value");
	name.len = (uint32_t)(eq - word.data);
	number = attribute_find(cmd->verb, &name);
	if (number < 0)
		return complain(c, 501, 5, 4, "unknown attribute");
	if (cmd->attributes[number].data)
		return complain(c, 501, 5, 4, "an attribute is given twice");
	word.data = eq + 1;
	word.len -= name.len + 1;
	if (smtp_attribute_decode(&word, value) < 0)
		return complain(c, 501, 5, 4,
				"a value is xtext of 1 to 255 characters");
	cmd->attributes[number] = word;
	return 0;
}

int smtp_attributes_take(struct smtp_cursor *cur, struct smtp_command *cmd,
			 struct smtp_complaint *c)
{
	uint32_t count = 0;

	while (cur->at < cur->end) {
		struct text word = smtp_take_until(cur, ' ');

		if (word.len) {
			int res = attribute_take(cmd, word, c);

			if (res)
				return res;
			count++;
		}
	}
	if (!count)
		return complain(c, 501, 5, 4, "syntax: NAME=value ...");
	return 0;
}

/* The value of an upper-case or lower-case digit; -1: it is none. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* One character of xtext; returns how many bytes it took, 0 = malformed. */
static size_t xtext_char(const char *s, size_t len, char *out)
{
	int high, low;

	*out = s[0];
	if (s[0] != '+')
		return (unsigned char)s[0] > 0x20 && s[0] != 0x7f;
	if (len < 3)
		return 0;
	high = hex_value(s[1]);
	low = hex_value(s[2]);
	if (high < 0 || low < 0)
		return 0;
	*out = (char)(high << 4 | low);
	/* No control characters: these go into headers and logs. */
	return (unsigned char)*out < 0x20 || *out == 0x7f ? 0 : 3;
}

int smtp_attribute_decode(const struct text *value,
			  char out[SMTP_ATTRIBUTE_BYTES])
{
	char text[SMTP_ATTRIBUTE_BYTES];
	size_t n = 0, step;

	for (size_t i = 0; i < value->len; i += step) {
		if (n == SMTP_ATTRIBUTE_BYTES - 1)
			return -EINVAL;
		step = xtext_char(value->data + i, value->len - i, &text[n++]);
		if (!step)
			return -EINVAL;
	}
	if (!n || (!smtp_is_ascii(text, n) && !smtp_utf8_ok(text, n)))
		return -EINVAL;
	text[n] = '\0';
	if (strcmp(text, "[UNAVAILABLE]") == 0 ||
	    strcmp(text, "[TEMPUNAVAIL]") == 0)
		n = 0;
	memcpy(out, text, n);
	out[n] = '\0';
	return (int)n;
}
