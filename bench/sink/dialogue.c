/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dialogue.c - the SMTP dialogue of a receiver: lines, verbs, replies.
 *
 * Called for each piece received. Thread: the loop's. Bound: a command line
 * of 2 KiB; longer ones are answered 500 and counted.
 * Everything a client does wrong is counted, then answered as RFC 5321 says.
 */
#include <string.h>
#include <strings.h>

#include "sink/sink_priv.h"
#include "sluice/assert.h"

#define LONG_LINE_BYTES 65536

/* "250 2.1.0 Ok" becomes "250 2.1.0 Ok xxxx...", 64 KiB of it. */
static void long_line_add(struct sink_connection *c, const char *text)
{
	size_t len = strlen(text);

	buffer_add(&c->out, text, len);
	buffer_add(&c->out, " ", 1);
	buffer_reserve(&c->out, LONG_LINE_BYTES);
	memset(c->out.data + c->out.len, 'x', LONG_LINE_BYTES - len - 3);
	c->out.len += LONG_LINE_BYTES - len - 3;
}

void sink_reply(struct sink_connection *c, const char *text)
{
	if (c->closing)
		return;
	if (c->policy->long_replies)
		long_line_add(c, text);
	else
		buffer_add_text(&c->out, text);
	buffer_add(&c->out, "\r\n", 2);
}

void sink_reply_close(struct sink_connection *c, const char *text)
{
	sink_reply(c, text);
	c->closing = true;
	c->state = SINK_DEAF;
}

void sink_greet(struct sink_connection *c)
{
	if (!sink_judge_greeting(c))
		return;
	sink_reply(c, "220 " SINK_NAME " ESMTP");
	c->must_wait = true;
}

static void transaction_end(struct sink_connection *c)
{
	c->rcpt_count = c->rcpt_asked = 0;
	c->state = SINK_READY;
}

static void verb_ehlo(struct sink_connection *c, const char *args, size_t len)
{
	if (len == 0) {
		c->sink->errors.syntax++;
		sink_reply(c, "501 5.5.4 EHLO needs a name");
		return;
	}
	transaction_end(c);
	sink_reply(c, "250-" SINK_NAME);
	if (!c->policy->no_pipelining)
		sink_reply(c, "250-PIPELINING");
	if (!c->policy->no_8bitmime)
		sink_reply(c, "250-8BITMIME");
	sink_reply(c, "250-SIZE 1073741824");
	sink_reply(c, "250-DSN");
	sink_reply(c, "250 ENHANCEDSTATUSCODES");
	c->must_wait = true;
}

static void verb_helo(struct sink_connection *c, const char *args, size_t len)
{
	transaction_end(c);
	sink_reply(c, "250 " SINK_NAME);
}

static void verb_data(struct sink_connection *c, const char *args, size_t len)
{
	/* Nobody accepted, but pipelined: no error of the client's. */
	if (c->rcpt_count == 0) {
		sink_reply(c, "554 5.5.1 No valid recipients");
		return;
	}
	sink_reply(c, "354 End data with <CR><LF>.<CR><LF>");
	content_start(&c->content);
	c->state = SINK_CONTENT;
	c->must_wait = true;
}

static void verb_rset(struct sink_connection *c, const char *args, size_t len)
{
	if (c->state != SINK_GREETED)
		transaction_end(c);
	sink_reply(c, "250 2.0.0 Ok");
}

static void verb_noop(struct sink_connection *c, const char *args, size_t len)
{
	sink_reply(c, "250 2.0.0 Ok");
}

static void verb_quit(struct sink_connection *c, const char *args, size_t len)
{
	sink_reply_close(c, "221 2.0.0 Bye");
}

#define ANYWHERE (SINK_GREETED | SINK_READY | SINK_MAIL | SINK_RCPT)

static const struct verb {
	char name[5];
	uint8_t where; /* states it is allowed in */
	void (*run)(struct sink_connection *c, const char *args, size_t len);
} verbs[] = {
	{"MAIL", SINK_READY, sink_mail},
	{"RCPT", SINK_MAIL | SINK_RCPT, sink_rcpt_to},
	{"DATA", SINK_MAIL | SINK_RCPT, verb_data},
	{"EHLO", ANYWHERE, verb_ehlo},
	{"HELO", ANYWHERE, verb_helo},
	{"RSET", ANYWHERE, verb_rset},
	{"NOOP", ANYWHERE, verb_noop},
	{"QUIT", ANYWHERE, verb_quit},
};

/* A line without its CRLF. */
static void line_run(struct sink_connection *c, const char *line, size_t len)
{
	const struct verb *v = NULL;
	size_t skip = 4;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs) && len >= 4; i++)
		if (strncasecmp(line, verbs[i].name, 4) == 0 &&
		    (len == 4 || line[4] == ' '))
			v = &verbs[i];
	if (!v) {
		c->sink->errors.syntax++;
		sink_reply(c, "500 5.5.2 No such command");
		return;
	}
	if (!(v->where & c->state)) {
		c->sink->errors.out_of_order++;
		sink_reply(c, "503 5.5.1 Not now");
		return;
	}
	while (skip < len && line[skip] == ' ')
		skip++;
	v->run(c, line + skip, len - skip);
}

/* A line that ended with LF at line[len]. */
static void line_end(struct sink_connection *c, const char *line, size_t len)
{
	if (len > 0 && line[len - 1] == '\r')
		len--;
	else
		c->sink->errors.bare_lf++;
	if (memchr(line, '\r', len))
		c->sink->errors.bare_cr++;
	line_run(c, line, len);
}

/* Keeps the start of a line whose end has not come yet. */
static void line_keep(struct sink_connection *c, const char *data, size_t len)
{
	size_t room = SINK_LINE_BYTES - c->line_len;

	if (len > room) {
		c->sink->errors.line_too_long++;
		sink_reply_close(c, "500 5.5.2 Line too long");
		return;
	}
	memcpy(c->line + c->line_len, data, len);
	c->line_len += (uint32_t)len;
}

/* One command line, or what there is of it; returns bytes used. */
static size_t command_receive(struct sink_connection *c, const char *data,
			      size_t len)
{
	const char *lf = memchr(data, '\n', len);
	size_t used = lf ? (size_t)(lf - data) : len;

	if (!lf || c->line_len) {
		line_keep(c, data, used);
		if (lf && c->state != SINK_DEAF) {
			uint32_t whole = c->line_len;

			c->line_len = 0;
			line_end(c, c->line, whole);
		}
	} else {
		line_end(c, data, used);
	}
	return lf ? used + 1 : used;
}

static size_t content_receive(struct sink_connection *c, const char *data,
			      size_t len)
{
	struct sink_protocol_errors *errors = &c->sink->errors;
	bool ended;
	size_t used = content_feed(&c->content, data, len, &ended);

	if (c->policy->drop_in_data) {
		sink_connection_close(c);
		return len;
	}
	if (!ended)
		return used;
	errors->bare_lf += c->content.bare_lf;
	errors->bare_cr += content_bare_cr(&c->content);
	errors->missing_stuffing += c->content.missing_stuffing;
	if (c->policy->silent_after_354) {
		c->state = SINK_DEAF;
	} else if (c->policy->close_after_dot) {
		sink_connection_close(c);
	} else {
		sink_take(c);
		transaction_end(c);
	}
	return used;
}

void sink_receive(struct sink_connection *c, const char *data, size_t len)
{
	while (len && c->state != SINK_DEAF) {
		size_t used;

		if (c->must_wait) {
			c->sink->errors.not_waited++;
			c->must_wait = false;
		}
		used = c->state == SINK_CONTENT ? content_receive(c, data, len)
						: command_receive(c, data, len);
		sluice_assert(used <= len);
		data += used;
		len -= used;
	}
}
