/* SPDX-License-Identifier: BSD-2-Clause
 *
 * err.c - error sentences, and the end of a program that cannot go on.
 *
 * Any thread. Bound: ERR_TEXT_BYTES; a longer sentence is cut. Control
 * characters become blanks: a sentence may quote what an operator or a peer
 * wrote, and it stays one line.
 */
#include "sluice/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"

static void err_one_line(char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c < 0x20 || c == 0x7f)
			*text = ' ';
	}
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	sluice_assert(code <= 0);
	if (e != NULL) {
		va_list ap;
		va_start(ap, fmt);
		/* through a copy, so that an argument may be e->text itself */
		char text[ERR_TEXT_BYTES];
		(void)vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		err_one_line(text);
		memcpy(e->text, text, strlen(text) + 1);
	}
	return code;
}

void err_prefix(struct err *e, const char *fmt, ...)
{
	if (e == NULL)
		return;
	char head[ERR_TEXT_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(head, sizeof(head), fmt, ap);
	va_end(ap);
	char text[2 * ERR_TEXT_BYTES + 2];
	(void)snprintf(text, sizeof(text), "%s: %s", head, e->text);
	text[ERR_TEXT_BYTES - 1] = '\0';
	err_one_line(text);
	memcpy(e->text, text, strlen(text) + 1);
}

void err_fatal(int status, const char *fmt, ...)
{
	char text[2 * ERR_TEXT_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_one_line(text);
	(void)fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
	/* at start only: no other thread runs yet */
	exit(status); /* NOLINT(concurrency-mt-unsafe) */
}

const char *err_name(int code)
{
	const char *name = strerrordesc_np(code < 0 ? -code : code);
	return name != NULL ? name : "unknown error";
}

void sluice_bug(const char *file, int line, const char *func, const char *expr)
{
	(void)fprintf(stderr,
		      "%s: bug: %s:%d: %s: '%s' does not hold; please report "
		      "this line\n",
		      program_invocation_short_name, file, line, func, expr);
	abort();
}
