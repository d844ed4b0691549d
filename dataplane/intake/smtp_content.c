/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_content.c - from DATA to the reply after the final dot.
 *
 * Called by smtp_session.c, role worker. Content goes to the spool as it
 * comes, unstuffed; what is wrong with it is answered after its end, while the
 * rest is read and dropped.
 * Bound: the spool's; a piece it has no room for waits, and with it the client.
 * Errors: replies.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

#define RECEIVED_BYTES 1024u

static const struct smtp_complaint no_space = {
	452, {4, 3, 1}, "no space left, try again later"};
static const struct smtp_complaint no_room = {
	452, {4, 3, 1}, "too busy for this message, try again later"};
static const struct smtp_complaint not_stored = {
	451, {4, 3, 0}, "could not be stored, try again later"};
static const struct smtp_complaint too_large = {
	552, {5, 3, 4}, "message is larger than is taken here"};
static const struct smtp_complaint bare = {
	550, {5, 6, 11}, "a CR or LF stands alone: a line ends with CRLF"};
static const struct smtp_complaint bad_envelope = {
	550, {5, 5, 4}, "the envelope is too large to be stored"};

static const struct smtp_complaint *spool_complaint(int rc)
{
	if (rc == -ENOSPC)
		return &no_space;
	if (rc == -EINVAL || rc == -EMSGSIZE)
		return &bad_envelope;
	return &not_stored;
}

static const char *protocol(const struct smtp_session *s)
{
	if (!s->esmtp)
		return "SMTP";
	return s->build.env.smtputf8 ? "UTF8SMTP" : "ESMTP";
}

/* The one line that is added; RFC 5321 section 4.4. */
static size_t received_line(const struct smtp_session *s,
			    char out[RECEIVED_BYTES])
{
	bool v6 = s->client.sa.sa_family == AF_INET6;
	time_t now = (time_t)s->build.env.arrival_s;
	char client[ADDR_TEXT_BYTES], date[64];
	struct tm tm;
	int n;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	addr_format(&s->client, false, client);
	n = snprintf(out, RECEIVED_BYTES,
		     "Received: from %s ([%s%s])\r\n"
		     "\tby %s with %s;\r\n\t%s\r\n",
		     s->helo, v6 ? "IPv6:" : "", client, s->server->host,
		     protocol(s), date);
	sluice_assert(n > 0 && n < (int)RECEIVED_BYTES);
	return (size_t)n;
}

static uint32_t begin_flags(const struct smtp_session *s)
{
	const struct envelope *env = &s->build.env;

	return SPOOL_LIVE | (env->smtputf8 ? SPOOL_SMTPUTF8 : 0) |
	       (env->body == BODY_8BITMIME ? SPOOL_BODY_8BITMIME : 0);
}

bool smtp_content_open(struct smtp_session *s)
{
	char line[RECEIVED_BYTES];
	int rc = spool_message_begin(s->server->sp, &s->build.env,
				     begin_flags(s), &s->message);

	if (!rc) {
		rc = spool_message_write(s->message, line,
					 received_line(s, line));
		if (rc)
			spool_message_abort(&s->message);
	}
	if (rc == -EAGAIN)
		return false;
	if (rc) {
		smtp_message_reset(s);
		smtp_complain(s, spool_complaint(rc));
		return true;
	}
	smtp_unstuffer_init(&s->unstuffer);
	smtp_scan_init(&s->scan);
	s->ended = false;
	s->held = false;
	s->state = SMTP_STATE_CONTENT;
	smtp_reply(s, "354 end with <CR><LF>.<CR><LF>");
	return true;
}

/* From here on the rest is read and dropped. */
static void content_refuse(struct smtp_session *s,
			   const struct smtp_complaint *c)
{
	if (s->message)
		spool_message_abort(&s->message);
	s->held = false;
	s->refusal = *c;
	s->state = SMTP_STATE_DISCARD;
	s->server->stats.rejected++;
}

void smtp_content_give_up(struct smtp_session *s)
{
	sluice_assert(s->state == SMTP_STATE_CONTENT);
	content_refuse(s, &no_room);
}

/* False: the spool has no room now; the piece is kept. */
static bool span_store(struct smtp_session *s)
{
	int rc = spool_message_write(s->message, s->span, s->span_len);

	s->held = rc == -EAGAIN;
	if (rc && rc != -EAGAIN)
		content_refuse(s, spool_complaint(rc));
	return rc != -EAGAIN;
}

static void content_check(struct smtp_session *s)
{
	uint64_t max = s->listen->size_max_bytes;

	if (s->scan.bare_cr_lf)
		content_refuse(s, &bare);
	else if (max && s->scan.bytes > max)
		content_refuse(s, &too_large);
}

static void stored(void *user, int res, const struct spool_stored *m)
{
	struct smtp_session *s = user;
	struct smtp_server *server = s->server;

	s->committing = false;
	if (!res) {
		server->stats.messages++;
		server->stats.bytes += m->content_bytes;
		server->ops.stored(server->user, m);
	}
	if (s->dead) {
		smtp_session_reap(s);
		return;
	}
	s->heard_ns = io_now_ns(server->io);
	smtp_message_reset(s);
	if (res)
		smtp_complain(s, spool_complaint(res));
	else
		smtp_reply(s, "250 2.0.0 stored as %016" PRIx64, m->id);
	smtp_session_run(s);
}

static uint32_t end_flags(const struct smtp_session *s)
{
	return (s->scan.needs_stuffing ? SPOOL_NEEDS_STUFFING : 0) |
	       (s->scan.has_8bit ? SPOOL_HAS_8BIT : 0);
}

/* After the final dot. False: the spool cannot take it just now. */
static bool content_end(struct smtp_session *s)
{
	int rc;

	if (s->state == SMTP_STATE_CONTENT &&
	    (!smtp_scan_end(&s->scan) || s->scan.bare_cr_lf))
		content_refuse(s, &bare);
	if (s->state == SMTP_STATE_CONTENT) {
		rc = spool_message_finish(&s->message, end_flags(s), stored, s);
		if (!rc) {
			s->message = NULL;
			s->committing = true;
			s->state = SMTP_STATE_COMMIT;
			return false;
		}
		if (rc == -EAGAIN) {
			s->held = true;
			s->span_len = 0;
			return false;
		}
		content_refuse(s, spool_complaint(rc));
	}
	smtp_message_reset(s);
	smtp_complain(s, &s->refusal);
	return true;
}

bool smtp_content_take(struct smtp_session *s)
{
	size_t used;

	if (s->held && s->span_len && !span_store(s))
		return false;
	s->held = false;
	if (s->ended)
		return content_end(s);
	if (s->in_at == s->in_len)
		return false;
	s->ended = smtp_unstuff(&s->unstuffer, s->in + s->in_at,
				s->in_len - s->in_at, &used, &s->span,
				&s->span_len);
	s->in_at += (uint32_t)used;
	if (s->state == SMTP_STATE_CONTENT && s->span_len) {
		smtp_scan_update(&s->scan, s->span, s->span_len);
		content_check(s);
	}
	if (s->state == SMTP_STATE_CONTENT && s->span_len)
		return span_store(s);
	return true;
}
