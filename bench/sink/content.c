/* SPDX-License-Identifier: BSD-2-Clause
 *
 * content.c - what follows 354: unstuffs, digests and judges it.
 *
 * Called by the sink's dialogue for each piece received; by unit tests.
 * Bound: each byte is looked at three times (line end, CR, digest), all of
 * them at memory speed; nothing is copied but the first 4 KiB.
 */
#include "sink/content.h"

#include <string.h>
#include <xxhash.h>

#include "backlog/message.h"
#include "sluice/assert.h"

enum content_state {
	AT_LINE_START,
	AFTER_DOT,    /* the first byte of the line was a dot, not yet used */
	AFTER_DOT_CR, /* ".\r" */
	IN_LINE,
	AFTER_CR /* within a line */
};

void content_init(struct content *c)
{
	c->hash = XXH3_createState();
	sluice_assert(c->hash != NULL);
	content_start(c, false);
}

void content_fini(struct content *c)
{
	XXH3_freeState(c->hash);
	c->hash = NULL;
}

void content_start(struct content *c, bool below_trace)
{
	XXH3_128bits_reset(c->hash);
	c->bytes = c->cr = c->crlf = c->bare_lf = c->missing_stuffing = 0;
	c->state = AT_LINE_START;
	c->head_len = 0;
	c->waiting = below_trace;
}

static void bytes_digest(struct content *c, const char *data, size_t len)
{
	XXH3_128bits_update(c->hash, data, len);
	c->bytes += len;
}

/* Where the bench header begins in the head; NULL if it does not. */
static const char *header_find(const struct content *c)
{
	const char *p = memmem(c->head, c->head_len, MESSAGE_HEADER,
			       sizeof(MESSAGE_HEADER) - 1);

	return p && (p == c->head || p[-1] == '\n') ? p : NULL;
}

/* Drops what stands above the bench header once that is in the head. */
static void trace_drop(struct content *c)
{
	const char *p = header_find(c);

	if (!p && c->head_len < CONTENT_HEAD_BYTES)
		return;
	if (p)
		c->head_len -= (uint32_t)(p - c->head);
	if (p)
		memmove(c->head, p, c->head_len);
	c->waiting = false;
	bytes_digest(c, c->head, c->head_len);
}

static void bytes_take(struct content *c, const char *data, size_t len)
{
	size_t room = CONTENT_HEAD_BYTES - c->head_len;
	size_t part = len < room ? len : room;
	bool waiting = c->waiting;

	if (len == 0)
		return;
	memcpy(c->head + c->head_len, data, part);
	c->head_len += (uint32_t)part;
	if (waiting) {
		trace_drop(c);
		data += part;
		len -= part;
	}
	if (!c->waiting && len)
		bytes_digest(c, data, len);
}

/* Compilers make this a few vector instructions a cache line. */
static uint64_t cr_count(const char *data, size_t len)
{
	uint64_t n = 0;

	while (len) {
		size_t part = len < 255 ? len : 255;
		uint8_t few = 0;

		for (size_t i = 0; i < part; i++)
			few = (uint8_t)(few + (data[i] == '\r'));
		n += few;
		data += part;
		len -= part;
	}
	return n;
}

/* From inside a line to its end; `p` < `end`, and no CR right before it. */
static const char *line_rest(struct content *c, const char *p, const char *end)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));

	if (!lf) {
		c->state = end[-1] == '\r' ? AFTER_CR : IN_LINE;
		return end;
	}
	if (lf > p && lf[-1] == '\r') {
		c->crlf++;
		c->state = AT_LINE_START;
	} else {
		c->bare_lf++;
		c->state = IN_LINE;
	}
	return lf + 1;
}

/* One byte after a line's first dot, or after ".\r". True: the final dot. */
static bool dot_next(struct content *c, char byte)
{
	if (c->state == AFTER_DOT && byte == '\r') {
		c->state = AFTER_DOT_CR;
		return false;
	}
	if (c->state == AFTER_DOT_CR) {
		if (byte == '\n') {
			c->crlf++;
			return true;
		}
		c->missing_stuffing++;
		bytes_take(c, "\r", 1);
	} else if (byte != '.') {
		c->missing_stuffing++;
	}
	c->state = IN_LINE;
	return false;
}

size_t content_feed(struct content *c, const char *data, size_t len,
		    bool *ended)
{
	const char *p = data, *end = data + len, *span = data;

	*ended = false;
	while (p < end && !*ended) {
		switch ((enum content_state)c->state) {
		case AT_LINE_START:
			if (*p != '.') {
				p = line_rest(c, p, end);
				break;
			}
			bytes_take(c, span, (size_t)(p - span));
			span = ++p;
			c->state = AFTER_DOT;
			break;
		case AFTER_DOT:
		case AFTER_DOT_CR:
			*ended = dot_next(c, *p);
			/* Only what starts a line's text is left to take. */
			if (*ended || c->state == AFTER_DOT_CR)
				span = ++p;
			break;
		case AFTER_CR:
			if (*p == '\n') {
				c->crlf++;
				c->state = AT_LINE_START;
				p++;
				break;
			}
			p = line_rest(c, p, end);
			break;
		case IN_LINE:
			p = line_rest(c, p, end);
			break;
		}
	}
	bytes_take(c, span, (size_t)(p - span));
	c->cr += cr_count(data, (size_t)(p - data));
	return (size_t)(p - data);
}

void content_feed_raw(struct content *c, const char *data, size_t len)
{
	bytes_take(c, data, len);
}

struct digest content_digest(struct content *c)
{
	XXH128_canonical_t canonical;
	struct digest out;

	if (c->waiting) {
		/* There is no bench header: all of it counts. */
		c->waiting = false;
		bytes_digest(c, c->head, c->head_len);
	}
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(c->hash));
	memcpy(&out, &canonical, sizeof(out));
	return out;
}

uint64_t content_bare_cr(const struct content *c)
{
	return c->cr - c->crlf;
}

static const char *number_read(const char *p, const char *end, uint64_t *out)
{
	const char *start = p;
	uint64_t v = 0;

	while (p < end && *p >= '0' && *p <= '9')
		v = v * 10 + (uint64_t)(*p++ - '0');
	*out = v;
	return p > start ? p : NULL;
}

bool content_id(const struct content *c, uint64_t *seed, uint64_t *index)
{
	const size_t name = sizeof(MESSAGE_HEADER) - 1;
	const char *end = c->head + c->head_len;
	const char *p = header_find(c);
	uint64_t s, i;

	if (!p)
		return false;
	p = number_read(p + name, end, &s);
	if (!p || p == end || *p != '-')
		return false;
	p = number_read(p + 1, end, &i);
	if (!p)
		return false;
	*seed = s;
	*index = i;
	return true;
}
