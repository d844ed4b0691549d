/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_content.c - from DATA or BDAT to the reply after the content.
 *
 * Called by smtp_commands.c and smtp_session.c, role worker. Content goes to
 * the spool as it comes, unstuffed; what is wrong with it is answered after
 * its end, while the rest is read and dropped.
 * Bound: the spool's; a piece it has no room for waits, and with it the client.
 * Errors: replies.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"

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
static const struct smtp_complaint loop = {
	554, {5, 4, 6}, "too many Received: lines, a mail loop"};
static const struct smtp_complaint bad_envelope = {
	550, {5, 5, 4}, "the envelope is too large to be stored"};
static const struct smtp_complaint no_rcpts = {
	554, {5, 5, 1}, "no valid recipients"};
static const struct smtp_complaint no_mail = {
	503, {5, 5, 1}, "BDAT comes after RCPT"};

static const struct smtp_complaint *spool_complaint(int rc)
{
	if (rc == -ENOSPC)
		return &no_space;
	if (rc == -EINVAL || rc == -EMSGSIZE)
		return &bad_envelope;
	return &not_stored;
}

/* From here on the rest is read and dropped. */
static void content_refuse(struct smtp_session *s,
			   const struct smtp_complaint *c)
{
	if (s->message)
		spool_message_abort(&s->message);
	s->content.held = false;
	s->content.resume = SMTP_STATE_BDAT;
	s->content.refusal = *c;
	s->state = SMTP_STATE_DISCARD;
	s->server->stats.rejected++;
}

void smtp_content_give_up(struct smtp_session *s)
{
	sluice_assert(s->state == SMTP_STATE_CONTENT);
	content_refuse(s, &no_room);
}

/* ---- the beginning */
static void content_init(struct smtp_session *s, bool chunked)
{
	struct smtp_content *c = &s->content;

	c->chunked = chunked;
	c->ended = c->held = c->last = false;
	c->span_len = 0;
	smtp_unstuffer_init(&c->unstuffer);
	smtp_scan_init(&c->scan);
	smtp_hops_init(&c->hops);
	smtp_normalise_init(&c->normaliser, !chunked);
	s->build.env.arrival_s = clock_realtime_s();
	s->trace = s->server->next_trace++;
	s->state = SMTP_STATE_OPEN;
}

void smtp_data(struct smtp_session *s, const struct smtp_command *c)
{
	(void)c;
	content_init(s, false);
}

/* The chunk is read in any case: commands go on behind it. */
static void chunk_discard(struct smtp_session *s,
			  const struct smtp_complaint *why, uint8_t resume)
{
	s->content.chunked = true;
	s->content.refusal = *why;
	s->content.resume = resume;
	s->state = SMTP_STATE_DISCARD;
}

static bool chunk_too_large(const struct smtp_session *s, uint64_t bytes)
{
	uint64_t max = smtp_limits(s)->size_bytes;

	return max && (bytes > max || s->content.scan.bytes > max - bytes);
}

void smtp_bdat(struct smtp_session *s, const struct smtp_command *c)
{
	if (s->state == SMTP_STATE_RCPT)
		content_init(s, true);
	else if (s->state == SMTP_STATE_MAIL)
		chunk_discard(s, &no_rcpts, s->state);
	else if (s->state != SMTP_STATE_BDAT)
		chunk_discard(s, &no_mail, s->state);
	else
		s->state = s->message ? SMTP_STATE_CONTENT : SMTP_STATE_DISCARD;
	if (s->state != SMTP_STATE_DISCARD &&
	    chunk_too_large(s, c->chunk_bytes))
		content_refuse(s, &too_large);
	s->content.chunk_bytes = s->content.chunk_left = c->chunk_bytes;
	s->content.last = c->chunk_last;
	s->content.ended = c->chunk_bytes == 0;
}

static uint32_t begin_flags(const struct smtp_session *s)
{
	const struct envelope *env = &s->build.env;

	return SPOOL_LIVE | (env->smtputf8 ? SPOOL_SMTPUTF8 : 0) |
	       (env->body == BODY_8BITMIME ? SPOOL_BODY_8BITMIME : 0);
}

static int message_begin(struct smtp_session *s)
{
	char line[SMTP_RECEIVED_BYTES];
	int rc = spool_message_begin(s->server->sp, &s->build.env,
				     begin_flags(s), &s->message);

	if (rc)
		return rc;
	rc = spool_message_write(s->message, line, smtp_received_line(s, line));
	if (rc)
		spool_message_abort(&s->message);
	return rc;
}

bool smtp_content_open(struct smtp_session *s)
{
	int rc = message_begin(s);

	if (rc == -EAGAIN)
		return false;
	smtp_time_renew(s);
	if (rc && s->content.chunked) {
		content_refuse(s, spool_complaint(rc));
	} else if (rc) {
		smtp_message_reset(s);
		smtp_complain(s, spool_complaint(rc));
	} else {
		s->state = SMTP_STATE_CONTENT;
		if (!s->content.chunked)
			smtp_reply(s, "354 end with <CR><LF>.<CR><LF>");
	}
	return true;
}

/* ---- pieces */

/* False: the spool has no room now; the piece is kept. */
static bool span_store(struct smtp_session *s)
{
	struct smtp_content *c = &s->content;
	int rc;

	if (!c->span_len)
		return true;
	rc = spool_message_write(s->message, c->span, c->span_len);
	c->held = rc == -EAGAIN;
	if (rc == -EAGAIN)
		return false;
	c->span_len = 0;
	if (rc)
		content_refuse(s, spool_complaint(rc));
	return true;
}

/* The next run of content as it came, without stuffing. */
static void span_take(struct smtp_session *s)
{
	struct smtp_content *c = &s->content;
	const char *from = s->in + s->in_at;
	size_t have = s->in_len - s->in_at, used;

	if (smtp_limits(s)->normalise && have > SMTP_PIECE_BYTES)
		have = SMTP_PIECE_BYTES;
	if (c->chunked) {
		used = have < c->chunk_left ? have : (size_t)c->chunk_left;
		c->chunk_left -= used;
		c->ended = c->chunk_left == 0;
		c->span = from;
		c->span_len = used;
	} else {
		c->ended = smtp_unstuff(&c->unstuffer, from, have, &used,
					&c->span, &c->span_len);
	}
	s->in_at += (uint32_t)used;
}

static bool message_ends(const struct smtp_content *c)
{
	return c->ended && (!c->chunked || c->last);
}

static void span_repair(struct smtp_session *s)
{
	struct smtp_content *c = &s->content;

	c->span_len = smtp_normalise(&c->normaliser, c->span, c->span_len,
				     c->repaired);
	if (message_ends(c))
		c->span_len += smtp_normalise_end(&c->normaliser,
						  c->repaired + c->span_len);
	c->span = c->repaired;
}

static void span_check(struct smtp_session *s)
{
	uint64_t max = smtp_limits(s)->size_bytes;
	struct smtp_content *c = &s->content;

	smtp_scan_update(&c->scan, c->span, c->span_len);
	smtp_hops_update(&c->hops, c->span, c->span_len);
	if (c->scan.bare_cr_lf)
		content_refuse(s, &bare);
	else if (max && c->scan.bytes > max)
		content_refuse(s, &too_large);
	else if (c->hops.received > SMTP_HOPS_MAX)
		content_refuse(s, &loop);
}

/* ---- the end */
static void stored_log(const struct smtp_session *s,
		       const struct spool_stored *m)
{
	if (log_enabled(LOG_DEBUG_))
		log_debug("intake",
			  "%016" PRIx64 " is what came with id %016" PRIx64,
			  m->id, s->trace);
}

static void committed(struct smtp_session *s, const struct spool_stored *m)
{
	struct smtp_server *server = s->server;

	server->stats.messages++;
	server->stats.bytes += m->content_bytes;
	server->ops.stored(server->user, m);
	stored_log(s, m);
	s->messages++;
	s->errors = s->junk = 0;
}

static void stored(void *user, int res, const struct spool_stored *m)
{
	struct smtp_session *s = user;

	s->committing = false;
	if (!res)
		committed(s, m);
	if (s->dead) {
		smtp_session_reap(s);
		return;
	}
	smtp_time_renew(s);
	smtp_message_reset(s);
	if (res)
		smtp_complain(s, spool_complaint(res));
	else
		smtp_reply(s, "250 2.0.0 stored as %016" PRIx64, m->id);
	smtp_session_run(s);
}

static uint32_t end_flags(const struct smtp_scan *scan)
{
	return (scan->needs_stuffing ? SPOOL_NEEDS_STUFFING : 0) |
	       (scan->has_8bit ? SPOOL_HAS_8BIT : 0);
}

/* By BDAT content may end without a line end, which DATA cannot say to a
 * receiver: it gets one. False: no room in the spool just now. */
static bool last_line_end(struct smtp_session *s)
{
	struct smtp_content *c = &s->content;

	if (smtp_scan_end(&c->scan))
		return true;
	if (c->scan.bare_cr_lf) {
		content_refuse(s, &bare);
		return true;
	}
	sluice_assert(c->chunked);
	c->span = "\r\n";
	c->span_len = 2;
	smtp_scan_update(&c->scan, c->span, c->span_len);
	return span_store(s);
}

/* The spool takes the whole. False: not just now, or the commit has begun. */
static bool message_finish(struct smtp_session *s)
{
	int rc;

	if (!last_line_end(s))
		return false;
	if (s->state != SMTP_STATE_CONTENT)
		return true;
	rc = spool_message_finish(&s->message, end_flags(&s->content.scan),
				  stored, s);
	if (!rc) {
		s->message = NULL;
		s->committing = true;
		s->content.held = false;
		s->state = SMTP_STATE_COMMIT;
		return false;
	}
	s->content.held = rc == -EAGAIN;
	if (rc != -EAGAIN)
		content_refuse(s, spool_complaint(rc));
	return rc != -EAGAIN;
}

/* The content that was refused is over: now it is said. */
static void discard_end(struct smtp_session *s)
{
	struct smtp_content *c = &s->content;
	bool over = !c->chunked || (c->last && c->resume == SMTP_STATE_BDAT);

	if (over)
		smtp_message_reset(s);
	else
		s->state = c->resume;
	smtp_complain(s, &c->refusal);
}

/* After the final dot, or a chunk. */
static bool content_end(struct smtp_session *s)
{
	struct smtp_content *c = &s->content;

	if (s->state == SMTP_STATE_CONTENT && !message_ends(c)) {
		s->state = SMTP_STATE_BDAT;
		smtp_reply(s, "250 2.0.0 %" PRIu64 " octets taken",
			   c->chunk_bytes);
		smtp_time_renew(s);
		return true;
	}
	if (s->state == SMTP_STATE_CONTENT && !message_finish(s))
		return false;
	discard_end(s);
	smtp_time_renew(s);
	return true;
}

bool smtp_content_take(struct smtp_session *s)
{
	struct smtp_content *c = &s->content;

	if (c->held && !span_store(s))
		return false;
	c->held = false;
	if (c->ended)
		return content_end(s);
	if (s->in_at == s->in_len)
		return false;
	span_take(s);
	if (s->state == SMTP_STATE_CONTENT) {
		if (smtp_limits(s)->normalise)
			span_repair(s);
		span_check(s);
	}
	if (s->state == SMTP_STATE_CONTENT)
		return span_store(s);
	c->span_len = 0;
	return true;
}
