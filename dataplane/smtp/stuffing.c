/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stuffing.c - dot stuffing over chunks.
 *
 * Called by delivery (stuff), the SMTP server (unstuff) and everything that
 * stores content (scan). PURE, any thread.
 * Bound: one pass; lines by memchr, bytes by memcpy. No errors.
 */
#include "smtp/stuffing.h"

#include <string.h>

#include "sluice/assert.h"

void smtp_scan_init(struct smtp_scan *s)
{
	memset(s, 0, sizeof(*s));
}

static void scan_line(struct smtp_scan *s, uint64_t bytes)
{
	uint32_t n = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;

	if (n > s->line_max_bytes)
		s->line_max_bytes = n;
	s->lines++;
}

/* The part of one line that is in this chunk, with its LF if `lf`. */
static void scan_piece(struct smtp_scan *s, const char *p, size_t n, bool lf)
{
	size_t text = lf ? n - 1 : n;
	bool cr_before = s->cr; /* last byte of the chunk before */

	if (!s->line_bytes && text && p[0] == '.')
		s->needs_stuffing = true;
	if (cr_before && text)
		s->bare_cr_lf = true;
	if (text)
		s->cr = p[text - 1] == '\r';
	if (text > 1 && memchr(p, '\r', text - 1))
		s->bare_cr_lf = true;
	s->line_bytes += n;
	if (!lf)
		return;
	if (!s->cr) {
		s->bare_cr_lf = true; /* ends no line */
		return;
	}
	scan_line(s, s->line_bytes - 2);
	s->line_bytes = 0;
	s->cr = false;
}

void smtp_scan_update(struct smtp_scan *s, const char *data, size_t len)
{
	unsigned char all = 0;
	const char *end = data + len;

	for (size_t i = 0; i < len; i++)
		all |= (unsigned char)data[i];
	if (all & 0x80)
		s->has_8bit = true;
	if (!s->has_nul && len && memchr(data, 0, len))
		s->has_nul = true;
	s->bytes += len;
	while (data < end) {
		const char *lf = memchr(data, '\n', (size_t)(end - data));
		size_t n = (size_t)((lf ? lf + 1 : end) - data);

		scan_piece(s, data, n, lf != NULL);
		data += n;
	}
}

bool smtp_scan_end(struct smtp_scan *s)
{
	bool whole = s->line_bytes == 0 && !s->cr;

	if (s->cr)
		s->bare_cr_lf = true;
	if (!whole)
		scan_line(s, s->line_bytes);
	return whole;
}

enum { STUFF_LINE_START = 0, STUFF_IN_LINE, STUFF_CR };

void smtp_stuffer_init(struct smtp_stuffer *s)
{
	s->state = STUFF_LINE_START;
}

/* How far content may be copied before a dot has to be looked at: to the end
 * of the next line that ends with CRLF. */
static size_t stuff_run(struct smtp_stuffer *s, const char *in, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const char *lf = memchr(in + at, '\n', len - at);
		size_t i;
		bool cr;

		if (!lf)
			break;
		i = (size_t)(lf - in);
		cr = i ? in[i - 1] == '\r' : s->state == STUFF_CR;
		at = i + 1;
		if (!cr)
			s->state = STUFF_IN_LINE;
		else if (at == len || in[at] == '.') {
			s->state = STUFF_LINE_START;
			return at;
		}
	}
	if (len)
		s->state = in[len - 1] == '\r' ? STUFF_CR : STUFF_IN_LINE;
	return len;
}

size_t smtp_stuff(struct smtp_stuffer *s, const char *in, size_t len,
		  size_t *used, char *out, size_t out_size)
{
	size_t from = 0, to = 0;

	sluice_assert(out_size >= 2);
	while (from < len) {
		size_t room, n;

		if (s->state == STUFF_LINE_START && in[from] == '.') {
			if (out_size - to < 2)
				break;
			memcpy(out + to, "..", 2);
			to += 2;
			from++;
			s->state = STUFF_IN_LINE;
			continue;
		}
		room = out_size - to;
		if (!room)
			break;
		n = len - from < room ? len - from : room;
		n = stuff_run(s, in + from, n);
		memcpy(out + to, in + from, n);
		from += n;
		to += n;
	}
	*used = from;
	return to;
}

enum {
	UNSTUFF_LINE_START = 0,
	UNSTUFF_IN_LINE,
	UNSTUFF_CR,     /* in a line, after a CR */
	UNSTUFF_DOT,    /* the dot at a line start; not content */
	UNSTUFF_DOT_CR, /* and a CR: the end, if LF follows */
	UNSTUFF_DONE
};

void smtp_unstuffer_init(struct smtp_unstuffer *u)
{
	u->state = UNSTUFF_LINE_START;
}

/* Content up to the end of this chunk or the next dot at a line start. */
static size_t unstuff_run(struct smtp_unstuffer *u, const char *p, size_t len)
{
	struct smtp_stuffer s = {
		.state = u->state == UNSTUFF_CR ? STUFF_CR : STUFF_IN_LINE};
	size_t n = stuff_run(&s, p, len);

	u->state = s.state == STUFF_LINE_START ? UNSTUFF_LINE_START
		   : s.state == STUFF_CR       ? UNSTUFF_CR
					       : UNSTUFF_IN_LINE;
	return n;
}

/* The byte after a dot at a line start (and after its CR). 1 = the end. */
static int unstuff_dot(struct smtp_unstuffer *u, char c, size_t *used,
		       const char **span, size_t *span_len)
{
	if (u->state == UNSTUFF_DOT) {
		if (c == '\r') {
			u->state = UNSTUFF_DOT_CR;
			*used = 1;
		} else {
			u->state = UNSTUFF_IN_LINE;
		}
		return 0;
	}
	if (c == '\n') {
		u->state = UNSTUFF_DONE;
		*used = 1;
		return 1;
	}
	/* ".\r" and something else: the CR is content after all. */
	*span = "\r";
	*span_len = 1;
	u->state = UNSTUFF_CR;
	return 0;
}

int smtp_unstuff(struct smtp_unstuffer *u, const char *data, size_t len,
		 size_t *used, const char **span, size_t *span_len)
{
	*used = 0;
	*span = data;
	*span_len = 0;
	sluice_assert(u->state != UNSTUFF_DONE);
	if (!len)
		return 0;
	if (u->state == UNSTUFF_LINE_START && data[0] == '.') {
		u->state = UNSTUFF_DOT;
		*used = 1;
		return 0;
	}
	if (u->state == UNSTUFF_DOT || u->state == UNSTUFF_DOT_CR)
		return unstuff_dot(u, data[0], used, span, span_len);
	*span_len = unstuff_run(u, data, len);
	*used = *span_len;
	return 0;
}
