/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dialogue.c - the SMTP dialogue of a receiver: lines, verbs, replies.
 *
 * Called for each piece received. Thread: the loop's. Bound: a command line
 * of 2 KiB; longer ones are answered 500 and counted.
 * Everything a client does wrong is counted, then answered as RFC 5321 says.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sink/sink_priv.h"
#include "sluice/assert.h"

#define SIZE_MAX_BYTES (1ULL << 30)

void sink_greet(struct sink_connection *c)
{
	if (!sink_judge_greeting(c))
		return;
	sink_reply(c, "220 " SINK_NAME " ESMTP");
	c->must_wait = true;
}

void sink_transaction_end(struct sink_connection *c)
{
	c->rcpt_count = c->rcpt_asked = 0;
	c->state = SINK_READY;
}

static void verb_ehlo(struct sink_connection *c, const char *args, size_t len)
{
	char size[40];

	if (len == 0) {
		c->sink->errors.syntax++;
		sink_reply(c, "501 5.5.4 EHLO needs a name");
		return;
	}
	if (c->policy->no_ehlo) {
		sink_reply(c, "500 5.5.1 No such command");
		return;
	}
	if (!sink_misbehave(c, ODD_EHLO))
		return;
	sink_transaction_end(c);
	sink_reply(c, "250-" SINK_NAME);
	if (!c->policy->no_pipelining)
		sink_reply(c, "250-PIPELINING");
	if (!c->policy->no_8bitmime)
		sink_reply(c, "250-8BITMIME");
	if (c->policy->chunking)
		sink_reply(c, "250-CHUNKING");
	if (c->policy->smtputf8)
		sink_reply(c, "250-SMTPUTF8");
	if (!c->policy->no_dsn)
		sink_reply(c, "250-DSN");
	snprintf(size, sizeof(size), "250-SIZE %llu",
		 (unsigned long long)(c->policy->size_max ? c->policy->size_max
							  : SIZE_MAX_BYTES));
	sink_reply(c, size);
	sink_reply(c, "250 ENHANCEDSTATUSCODES");
	c->must_wait = true;
}

static void verb_helo(struct sink_connection *c, const char *args, size_t len)
{
	if (!sink_misbehave(c, ODD_HELO))
		return;
	sink_transaction_end(c);
	sink_reply(c, "250 " SINK_NAME);
}

static void verb_data(struct sink_connection *c, const char *args, size_t len)
{
	/* Nobody accepted, but pipelined: no error of the client's. */
	if (c->rcpt_count == 0) {
		sink_reply(c, "554 5.5.1 No valid recipients");
		return;
	}
	if (!sink_misbehave(c, ODD_DATA))
		return;
	sink_reply(c, "354 End data with <CR><LF>.<CR><LF>");
	content_start(&c->content, c->sink->below_trace);
	c->content_seen = false;
	c->state = SINK_CONTENT;
	c->must_wait = true;
}

static void verb_rset(struct sink_connection *c, const char *args, size_t len)
{
	if (!sink_misbehave(c, ODD_RSET))
		return;
	if (c->state != SINK_GREETED)
		sink_transaction_end(c);
	sink_reply(c, "250 2.0.0 Ok");
}

static void verb_noop(struct sink_connection *c, const char *args, size_t len)
{
	sink_reply(c, "250 2.0.0 Ok");
}

static void verb_quit(struct sink_connection *c, const char *args, size_t len)
{
	if (!sink_misbehave(c, ODD_QUIT))
		return;
	sink_reply_close(c, "221 2.0.0 Bye");
}

#define ANYWHERE (SINK_GREETED | SINK_READY | SINK_MAIL | SINK_RCPT | SINK_BDAT)

static const struct verb {
	char name[5];
	uint8_t where; /* states it is allowed in */
	void (*run)(struct sink_connection *c, const char *args, size_t len);
} verbs[] = {
	{"MAIL", SINK_READY, sink_mail},
	{"RCPT", SINK_MAIL | SINK_RCPT, sink_rcpt_to},
	{"DATA", SINK_MAIL | SINK_RCPT, verb_data},
	{"BDAT", SINK_MAIL | SINK_RCPT | SINK_BDAT, sink_bdat},
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

static void content_end(struct sink_connection *c)
{
	struct sink_protocol_errors *errors = &c->sink->errors;

	errors->bare_lf += c->content.bare_lf;
	errors->bare_cr += content_bare_cr(&c->content);
	errors->missing_stuffing += c->content.missing_stuffing;
	if (c->policy->silent_after_354)
		c->state = SINK_DEAF;
	else if (c->policy->close_after_dot)
		sink_connection_close(c);
	else if (sink_misbehave(c, ODD_DOT))
		sink_take(c);
	if (c->state == SINK_CONTENT)
		sink_transaction_end(c);
}

static size_t content_receive(struct sink_connection *c, const char *data,
			      size_t len)
{
	bool ended;
	size_t used;

	if (c->policy->drop_in_data)
		sink_connection_close(c);
	if (!c->content_seen)
		sink_misbehave(c, ODD_CONTENT);
	c->content_seen = true;
	if (c->state != SINK_CONTENT)
		return len;
	used = content_feed(&c->content, data, len, &ended);
	if (ended)
		content_end(c);
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
		if (c->state == SINK_CONTENT)
			used = content_receive(c, data, len);
		else if (c->state == SINK_CHUNK)
			used = sink_chunk_receive(c, data, len);
		else
			used = command_receive(c, data, len);
		sluice_assert(used <= len);
		data += used;
		len -= used;
	}
}
