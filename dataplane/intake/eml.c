/* SPDX-License-Identifier: BSD-2-Clause
 *
 * eml.c - lines of a message file, whatever they end with.
 *
 * PURE; called by import (role worker) and by tests.
 * Bound: one window of POSTFIX_QUEUE_AT_MAX per step.
 * Errors: -EPROTO no RFC 5322 message; what the source or an op returned.
 */
#include "intake/eml.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sluice/assert.h"
#include "spool/spool.h"

void eml_begin(struct eml *m, const struct postfix_queue_source *src,
	       const struct envelope *env, bool normalise,
	       const struct postfix_queue_ops *ops, void *user, struct err *e)
{
	sluice_assert(e && ops->envelope && ops->content);
	e->text[0] = '\0';
	content_out_init(&m->out, normalise, ops->content, user);
	m->src = src;
	m->ops = ops;
	m->env = env;
	m->user = user;
	m->e = e;
	m->at = 0;
	m->started = false;
}

static bool field_start(const char *s, uint32_t len)
{
	uint32_t i = 0;

	while (i < len && s[i] > 32 && s[i] < 127 && s[i] != ':')
		i++;
	if (!i)
		return false;
	while (i < len && (s[i] == ' ' || s[i] == '\t'))
		i++;
	return i < len && s[i] == ':';
}

static int start_check(struct eml *m, const char *data, uint32_t len)
{
	if (len >= 5 && !memcmp(data, "From ", 5))
		return err_set(m->e, -EPROTO,
			       "starts with a \"From \" line: this is an mbox "
			       "file; split it into messages first (formail "
			       "-s, or import it as mbox)");
	if (!field_start(data, len))
		return err_set(m->e, -EPROTO,
			       "does not start with a header field: not an "
			       "RFC 5322 message");
	return 0;
}

static int eml_start(struct eml *m, const char *data, uint32_t len)
{
	int rc = start_check(m, data, len);

	if (rc)
		return rc;
	m->started = true;
	return m->ops->envelope(m->user, m->env);
}

static int window_lines(struct eml *m, const char *data, uint32_t len)
{
	while (len) {
		const char *lf = memchr(data, '\n', len);
		uint32_t n = lf ? (uint32_t)(lf - data) : len;
		uint32_t text = lf && n && data[n - 1] == '\r' ? n - 1 : n;
		int rc = content_out_text(&m->out, data, text);

		if (!rc && lf)
			rc = content_out_line_end(&m->out);
		if (rc)
			return rc;
		n += lf ? 1 : 0;
		data += n;
		len -= n;
	}
	return 0;
}

static int eml_end(struct eml *m, struct postfix_queue_info *info)
{
	const struct envelope *env = m->env;
	bool eight = env->body == BODY_8BITMIME;
	int rc = content_out_finish(&m->out);

	if (rc)
		return rc;
	*info = (struct postfix_queue_info){
		.flags = m->out.flags | (eight ? SPOOL_BODY_8BITMIME : 0) |
			 (env->smtputf8 ? SPOOL_SMTPUTF8 : 0),
		.content_bytes = m->out.bytes,
		.arrival_s = env->arrival_s,
	};
	return 0;
}

int eml_step(struct eml *m, struct postfix_queue_info *info)
{
	uint64_t left = m->src->size_bytes - m->at;
	const void *bytes;
	const char *data;
	uint32_t got;
	int rc;

	if (!m->src->size_bytes)
		return err_set(m->e, -EPROTO, "is empty");
	if (!left)
		return eml_end(m, info);
	rc = m->src->at(m->src->user, m->at, POSTFIX_QUEUE_AT_MAX, &bytes,
			&got);
	if (rc == -EAGAIN)
		return rc;
	if (rc || !got || got > left)
		return err_set(m->e, rc ? rc : -EBADMSG,
			       "offset %" PRIu64 ": cannot read: %s", m->at,
			       rc ? err_name(rc) : "the size has changed");
	data = bytes;
	if (!m->started)
		rc = eml_start(m, data, got);
	/* Is a CR at the end of the window half of a CRLF? Next window. */
	if (got < left && got > 1 && data[got - 1] == '\r')
		got--;
	if (!rc)
		rc = window_lines(m, data, got);
	if (rc)
		return rc;
	m->at += got;
	return 1;
}
