/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_out_text.c - what goes over the wire: commands, stuffed content.
 *
 * Called by smtp_out.c. Bound: its buffer; a command is at most LINE_ROOM.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "smtp_out.h"

#define LINE_ROOM 20000u

static bool is_clean(struct text t)
{
	for (uint32_t i = 0; i < t.len; i++)
		if ((unsigned char)t.data[i] < 32 || t.data[i] == 127)
			return false;
	return true;
}

static bool envelope_fits(const struct export_message *m)
{
	if (!is_clean(m->env.sender) || !is_clean(m->env.envid) ||
	    m->env.sender.len + m->env.envid.len > LINE_ROOM / 2)
		return false;
	for (uint32_t i = 0; i < m->rcpt_count; i++)
		if (!is_clean(m->rcpts[i].address) ||
		    !is_clean(m->rcpts[i].orcpt) ||
		    m->rcpts[i].address.len + m->rcpts[i].orcpt.len >
			    LINE_ROOM / 2)
			return false;
	return true;
}

bool smtp_out_may(const struct smtp_out *c, const struct export_message *m,
		  char why[SMTP_OUT_REPLY_BYTES])
{
	if (m->env.smtputf8 && !c->utf8)
		snprintf(why, SMTP_OUT_REPLY_BYTES,
			 "5.6.7 it needs SMTPUTF8, which is not offered");
	else if (c->size_max > 0 && m->bytes > c->size_max)
		snprintf(why, SMTP_OUT_REPLY_BYTES,
			 "5.3.4 it has %llu bytes, %llu are taken",
			 (unsigned long long)m->bytes,
			 (unsigned long long)c->size_max);
	else if (!envelope_fits(m))
		snprintf(why, SMTP_OUT_REPLY_BYTES,
			 "5.5.4 its envelope does not fit into SMTP commands");
	else
		return true;
	return false;
}

static void out_add(struct smtp_out *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void out_add(struct smtp_out *c, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(c->out + c->out_len, sizeof(c->out) - c->out_len, fmt,
		      ap);
	va_end(ap);
	if (n > 0)
		c->out_len += (size_t)n;
}

static void mail_command(struct smtp_out *c, const struct export_message *m)
{
	const struct envelope *env = &m->env;

	out_add(c, "MAIL FROM:<%.*s>", (int)env->sender.len,
		env->sender.len ? env->sender.data : "");
	if (c->size_max > 0)
		out_add(c, " SIZE=%llu", (unsigned long long)m->bytes);
	if (c->eight_bit && env->body != BODY_UNKNOWN)
		out_add(c, " BODY=%s",
			env->body == BODY_7BIT ? "7BIT" : "8BITMIME");
	if (env->smtputf8)
		out_add(c, " SMTPUTF8");
	if (c->dsn && env->ret != RET_UNKNOWN)
		out_add(c, " RET=%s", env->ret == RET_FULL ? "FULL" : "HDRS");
	if (c->dsn && env->envid.len > 0)
		out_add(c, " ENVID=%.*s", (int)env->envid.len, env->envid.data);
	out_add(c, "\r\n");
}

static void notify_add(struct smtp_out *c, uint8_t notify)
{
	static const char *const names[] = {"NEVER", "SUCCESS", "FAILURE",
					    "DELAY"};
	const char *before = " NOTIFY=";

	for (unsigned i = 0; i < 4; i++) {
		if (!(notify & (1u << i)))
			continue;
		out_add(c, "%s%s", before, names[i]);
		before = ",";
	}
}

static void rcpt_command(struct smtp_out *c, const struct envelope_rcpt *r)
{
	out_add(c, "RCPT TO:<%.*s>", (int)r->address.len, r->address.data);
	if (c->dsn)
		notify_add(c, r->notify);
	if (c->dsn && r->orcpt.len > 0)
		out_add(c, " ORCPT=%.*s", (int)r->orcpt.len, r->orcpt.data);
	out_add(c, "\r\n");
}

void smtp_out_command(struct smtp_out *c, uint32_t number)
{
	const struct export_message *m = c->message;

	if (number == 0)
		mail_command(c, m);
	else if (number <= c->count)
		rcpt_command(c, &m->rcpts[c->from + number - 1]);
	else
		out_add(c, "DATA\r\n");
}

/* Dots at line starts are doubled. The buffer has room for twice a piece. */
static void stuff(struct smtp_out *c, const char *data, size_t len)
{
	char *to = c->out + c->out_len;

	for (size_t i = 0; i < len; i++) {
		if (c->line_start && data[i] == '.')
			*to++ = '.';
		c->line_start = data[i] == '\n' && c->last_cr;
		c->last_cr = data[i] == '\r';
		*to++ = data[i];
	}
	c->out_len = (size_t)(to - c->out);
}

static int content_end(struct smtp_out *c)
{
	if (XXH3_64bits_digest(c->sum) != c->message->xxh3)
		return -EBADMSG;
	out_add(c, "%s.\r\n", c->line_start ? "" : "\r\n");
	return 1;
}

int smtp_out_content(struct smtp_out *c)
{
	const struct export_message *m = c->message;
	uint64_t left = m->bytes - c->content_at;
	ssize_t n;

	if (left == 0)
		return content_end(c);
	if (left > sizeof(c->piece))
		left = sizeof(c->piece);
	do
		n = pread(m->fd, c->piece, left,
			  (off_t)(m->offset + c->content_at));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -EBADMSG;
	XXH3_64bits_update(c->sum, c->piece, (size_t)n);
	c->content_at += (uint64_t)n;
	stuff(c, c->piece, (size_t)n);
	return 0;
}

static bool word_is(const char *line, const char *word)
{
	size_t n = strlen(word);

	return strncasecmp(line, word, n) == 0 &&
	       (line[n] == '\0' || line[n] == ' ');
}

void smtp_out_extension(struct smtp_out *c, const char *line)
{
	c->pipelining |= word_is(line, "PIPELINING");
	c->eight_bit |= word_is(line, "8BITMIME");
	c->utf8 |= word_is(line, "SMTPUTF8");
	c->dsn |= word_is(line, "DSN");
	if (word_is(line, "SIZE") && line[4] == ' ')
		c->size_max = strtoull(line + 5, NULL, 10);
}
