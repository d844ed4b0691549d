/* SPDX-License-Identifier: BSD-2-Clause
 *
 * content_out.c - the one place where content gets its CRLF.
 *
 * PURE; called by the Postfix and eml readers.
 * Bound: one buffer of CONTENT_OUT_BYTES. Errors: only the sink's.
 */
#include "intake/content_out.h"

#include <string.h>

#include "spool/spool.h"

void content_out_init(struct content_out *o, bool normalise,
		      int (*sink)(void *user, const void *data, uint32_t len),
		      void *user)
{
	o->sink = sink;
	o->user = user;
	o->bytes = 0;
	o->flags = 0;
	o->used = 0;
	o->normalise = normalise;
	o->in_line = false;
	o->cr_held = false;
}

bool content_has_8bit(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		if (w & 0x8080808080808080ULL)
			return true;
	}
	for (; len; p++, len--)
		if (*p & 0x80)
			return true;
	return false;
}

static int out_flush(struct content_out *o)
{
	uint32_t n = o->used;

	o->used = 0;
	return n ? o->sink(o->user, o->buf, n) : 0;
}

static int out_bytes(struct content_out *o, const void *data, size_t len)
{
	const uint8_t *p = data;
	int rc;

	o->bytes += len;
	while (len) {
		size_t room = CONTENT_OUT_BYTES - o->used;
		size_t n = len < room ? len : room;

		memcpy(o->buf + o->used, p, n);
		o->used += (uint32_t)n;
		p += n;
		len -= n;
		if (o->used == CONTENT_OUT_BYTES) {
			rc = out_flush(o);
			if (rc)
				return rc;
		}
	}
	return 0;
}

/* Bytes of one line, as they are. */
static int out_piece(struct content_out *o, const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	if (!o->in_line && data[0] == '.')
		o->flags |= SPOOL_NEEDS_STUFFING;
	o->in_line = true;
	return out_bytes(o, data, len);
}

static int out_crlf(struct content_out *o)
{
	o->in_line = false;
	return out_bytes(o, "\r\n", 2);
}

/* A CR that was held back ends a line of its own unless `line_end` follows. */
static int out_held(struct content_out *o, bool line_end)
{
	if (!o->cr_held)
		return 0;
	o->cr_held = false;
	return line_end ? 0 : out_crlf(o);
}

static int text_repaired(struct content_out *o, const uint8_t *p, size_t len)
{
	int rc = 0;

	while (len && !rc) {
		size_t n = 0;

		if (*p == '\r') {
			/* A run of CRs counts as one. */
			o->cr_held = true;
			n = 1;
		} else if (*p == '\n') {
			o->cr_held = false;
			rc = out_crlf(o);
			n = 1;
		} else {
			rc = out_held(o, false);
			while (n < len && p[n] != '\r' && p[n] != '\n')
				n++;
			if (!rc)
				rc = out_piece(o, p, n);
		}
		p += n;
		len -= n;
	}
	return rc;
}

int content_out_text(struct content_out *o, const void *data, size_t len)
{
	bool bare = len && (memchr(data, '\r', len) || memchr(data, '\n', len));

	if (!(o->flags & SPOOL_HAS_8BIT) && content_has_8bit(data, len))
		o->flags |= SPOOL_HAS_8BIT;
	if (o->normalise && (bare || o->cr_held))
		return text_repaired(o, data, len);
	if (bare)
		o->flags |= SPOOL_BARE_CR_LF;
	return out_piece(o, data, len);
}

int content_out_line_end(struct content_out *o)
{
	int rc = out_held(o, true);

	return rc ? rc : out_crlf(o);
}

int content_out_finish(struct content_out *o)
{
	int rc = o->in_line || o->cr_held ? content_out_line_end(o) : 0;

	return rc ? rc : out_flush(o);
}
