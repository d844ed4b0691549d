/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command_parse_priv.h - shared by the files that read commands.
 *
 * command_parse.c knows the verbs, command_params.c the parameters of MAIL and
 * RCPT, command_attributes.c those of XCLIENT and XFORWARD.
 */
#ifndef SLUICE_SMTP_COMMAND_PARSE_PRIV_H
#define SLUICE_SMTP_COMMAND_PARSE_PRIV_H

#include "smtp/command_parse.h"

struct smtp_cursor {
	const char *at, *end;
};

/* Fills `c`; -EINVAL. */
int smtp_complaint_set(struct smtp_complaint *c, uint16_t code,
		       uint16_t subject, uint16_t detail, const char *text);
/* Equal but for case. */
bool smtp_text_is(const struct text *t, const char *word);
/* Up to `stop` or the end; takes the stop as well. */
struct text smtp_take_until(struct smtp_cursor *cur, char stop);

/* A decimal number of at most 18 digits. -EINVAL */
int smtp_number_parse(const struct text *t, uint64_t *out);

/* One "NAME" or "NAME=value" of MAIL or RCPT. */
int smtp_param_take(struct smtp_command *cmd, struct text word,
		    struct smtp_complaint *c);
/* All of "NAME=xtext ..." of XCLIENT or XFORWARD. */
int smtp_attributes_take(struct smtp_cursor *cur, struct smtp_command *cmd,
			 struct smtp_complaint *c);

#endif
