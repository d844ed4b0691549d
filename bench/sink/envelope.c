/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope.c - MAIL FROM and RCPT TO.
 *
 * Called by the dialogue. Thread: the loop's. Bound: 1,000 recipients.
 */
#include <string.h>
#include <strings.h>

#include "common/buffer.h"
#include "sink/sink_priv.h"
#include "sluice/clock.h"

/* "FROM:<path> PARAMS" or "TO:<path> PARAMS"; the path without <>. Strict:
 * no space after the colon, no missing bracket, printable characters only,
 * a space or '>' only inside quotes. */
static bool path_parse(const char *key, const char *args, size_t len,
		       const char **path, size_t *path_len)
{
	size_t key_len = strlen(key);
	const char *end, *stop = args + len;
	bool quoted = false;

	if (len < key_len + 3 || strncasecmp(args, key, key_len) != 0 ||
	    args[key_len] != ':' || args[key_len + 1] != '<')
		return false;
	*path = args + key_len + 2;
	for (end = *path; end < stop && (quoted || *end != '>'); end++) {
		unsigned char ch = (unsigned char)*end;

		if (ch < ' ' || ch == 127 || (ch == ' ' && !quoted))
			return false;
		if (ch == '"')
			quoted = !quoted;
		else if (ch == '\\' && quoted)
			end++;
	}
	if (end >= stop || (end + 1 < stop && end[1] != ' '))
		return false;
	*path_len = (size_t)(end - *path);
	return true;
}

static void syntax_error(struct sink_connection *c)
{
	c->sink->errors.syntax++;
	sink_reply(c, "501 5.5.4 Syntax error in path or parameters");
}

void sink_mail(struct sink_connection *c, const char *args, size_t len)
{
	const char *path;
	size_t path_len;

	if (!path_parse("FROM", args, len, &path, &path_len)) {
		syntax_error(c);
		return;
	}
	c->mail_ns = c->sink->keep_arrivals ? clock_monotonic_ns() : 0;
	c->sender_hash = ledger_rcpt_hash(path, path_len);
	c->peer->listener->mails++;
	if (!sink_judge_mail(c))
		return;
	sink_reply(c, "250 2.1.0 Ok");
	c->state = SINK_MAIL;
}

static void rcpt_keep(struct sink_connection *c, const char *rcpt, size_t len)
{
	const char *at = memrchr(rcpt, '@', len);
	const char *domain = at ? at + 1 : rcpt + len;

	if (c->rcpt_count == c->rcpt_room) {
		c->rcpt_room = c->rcpt_room ? c->rcpt_room * 2 : 4;
		c->rcpts = bench_realloc(c->rcpts, c->rcpt_room,
					 sizeof(*c->rcpts));
	}
	c->rcpts[c->rcpt_count++] =
		(struct sink_rcpt){ledger_rcpt_hash(rcpt, len),
				   intern_add(c->sink->domains, domain,
					      (size_t)(rcpt + len - domain))};
}

void sink_rcpt_to(struct sink_connection *c, const char *args, size_t len)
{
	const char *path;
	size_t path_len;

	if (!path_parse("TO", args, len, &path, &path_len) || path_len == 0) {
		syntax_error(c);
		return;
	}
	if (c->rcpt_count == SINK_RCPTS_MAX) {
		sink_reply(c, "452 4.5.3 Too many recipients");
		return;
	}
	if (!sink_judge_rcpt(c, path, path_len))
		return;
	rcpt_keep(c, path, path_len);
	sink_reply(c, "250 2.1.5 Ok");
	c->state = SINK_RCPT;
}
