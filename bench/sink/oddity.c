/* SPDX-License-Identifier: BSD-2-Clause
 *
 * oddity.c - reads the argument of --policy ...=at.
 *
 * Called at start, on the sink's thread. Errors: -EINVAL with what is wrong.
 */
#include "sink/oddity.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 16777216u /* bytes, lines, ms */

enum argument { ARG_NONE, ARG_TEXT, ARG_NUMBER };

static const char *const phases[ODD_PHASES] = {
	[ODD_GREETING] = "greeting", [ODD_EHLO] = "ehlo", [ODD_HELO] = "helo",
	[ODD_MAIL] = "mail",         [ODD_RCPT] = "rcpt", [ODD_DATA] = "data",
	[ODD_CONTENT] = "content",   [ODD_BDAT] = "bdat", [ODD_DOT] = "dot",
	[ODD_RSET] = "rset",         [ODD_QUIT] = "quit"};

static const struct action {
	const char *name;
	enum argument argument;
} actions[] = {
	[ODD_REPLY] = {"reply", ARG_TEXT},
	[ODD_REPLY_CLOSE] = {"reply-close", ARG_TEXT},
	[ODD_CUT] = {"cut", ARG_TEXT},
	[ODD_CLOSE] = {"close", ARG_NONE},
	[ODD_RESET] = {"reset", ARG_NONE},
	[ODD_STALL] = {"stall", ARG_NONE},
	[ODD_SKIP] = {"skip", ARG_NONE},
	[ODD_GARBAGE] = {"garbage", ARG_NONE},
	[ODD_FLOOD] = {"flood", ARG_NUMBER},
	[ODD_BEFORE] = {"before", ARG_TEXT},
	[ODD_THEN] = {"then", ARG_TEXT},
	[ODD_THEN_CLOSE] = {"then-close", ARG_TEXT},
	[ODD_TWICE] = {"twice", ARG_NONE},
	[ODD_TRICKLE] = {"trickle", ARG_NUMBER},
	[ODD_BARE] = {"bare", ARG_NONE},
	[ODD_LF] = {"lf", ARG_NONE},
	[ODD_LOWER] = {"lower", ARG_NONE},
	[ODD_LINES] = {"lines", ARG_NUMBER},
	[ODD_LONG] = {"long", ARG_NUMBER},
	[ODD_TOOK_CLOSE] = {"took-close", ARG_NONE},
	[ODD_TOOK_RESET] = {"took-reset", ARG_NONE},
	[ODD_TOOK_STALL] = {"took-stall", ARG_NONE},
};

#define ACTIONS (sizeof(actions) / sizeof(*actions))

static bool is_word(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

static int number_parse(const char *text, const char *end, uint64_t *out)
{
	char *stop;
	unsigned long long v;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &stop, 10);
	if (errno || stop != end || v == 0 || v > NUMBER_MAX)
		return -EINVAL;
	*out = v;
	return 0;
}

/* "rcpt" or "rcpt#2" */
static int phase_parse(const char *text, size_t len, struct oddity *o,
		       struct err *e)
{
	const char *hash = memchr(text, '#', len);
	size_t name_len = hash ? (size_t)(hash - text) : len;

	if (hash && number_parse(hash + 1, text + len, &o->times) != 0)
		return err_set(e, -EINVAL,
			       "policy at: '%.*s': after # stands how many "
			       "times",
			       (int)len, text);
	for (int i = 0; i < ODD_PHASES; i++) {
		if (is_word(text, name_len, phases[i])) {
			o->phase = (uint8_t)i;
			return 0;
		}
	}
	return err_set(e, -EINVAL,
		       "policy at: no phase '%.*s'; there are greeting ehlo "
		       "helo mail rcpt data content bdat dot rset quit",
		       (int)name_len, text);
}

static int argument_parse(const char *slash, struct oddity *o, struct err *e)
{
	const struct action *a = &actions[o->action];
	bool good;

	o->text = slash ? slash + 1 : "";
	if (a->argument == ARG_NUMBER)
		good = number_parse(o->text, o->text + strlen(o->text),
				    &o->number) == 0;
	else
		good = !*o->text == (a->argument == ARG_NONE) &&
		       !strpbrk(o->text, "\r\n");
	if (good && o->action >= ODD_TOOK_CLOSE && o->phase != ODD_DOT)
		return err_set(e, -EINVAL, "policy at: '%s' is for dot only",
			       a->name);
	if (good)
		return 0;
	return err_set(e, -EINVAL, "policy at: '%s' needs %s", a->name,
		       a->argument == ARG_NONE   ? "no argument"
		       : a->argument == ARG_TEXT ? "/TEXT"
						 : "/NUMBER");
}

int oddity_parse(const char *text, struct oddity *out, struct err *e)
{
	const char *phase_end = strchr(text, '/');
	struct oddity o = {0};
	const char *name, *slash;
	size_t len;
	int err;

	if (!phase_end)
		return err_set(e, -EINVAL,
			       "policy at: '%s' is not "
			       "PHASE[#N]/ACTION[/ARGUMENT]",
			       text);
	err = phase_parse(text, (size_t)(phase_end - text), &o, e);
	if (err)
		return err;
	name = phase_end + 1;
	slash = strchr(name, '/');
	len = slash ? (size_t)(slash - name) : strlen(name);
	while (o.action < ACTIONS &&
	       !is_word(name, len, actions[o.action].name))
		o.action++;
	if (o.action == ACTIONS)
		return err_set(e, -EINVAL, "policy at: no action '%.*s'",
			       (int)len, name);
	err = argument_parse(slash, &o, e);
	if (!err)
		*out = o;
	return err;
}
