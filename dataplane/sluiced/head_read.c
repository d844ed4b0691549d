/* SPDX-License-Identifier: BSD-2-Clause
 *
 * head_read.c - reads and decodes header and envelope of a record.
 *
 * Called by the walker and by `show`. Role: command.
 * Errors: -EBADMSG damaged record, -EIO, -ENOMEM in `res`.
 */
#include "sluiced/head_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_FIRST_BYTES 8192u

static void on_read(struct spool_read *r, int res);

static int read_more(struct head_read *h, size_t bytes)
{
	uint64_t whole = (uint64_t)h->place.record_bytes_div8 * 8;
	char *buf;

	if (bytes > whole)
		bytes = whole;
	if (bytes > h->room) {
		buf = realloc(h->buf, bytes);
		if (buf == NULL)
			return -ENOMEM;
		h->buf = buf;
		h->room = bytes;
	}
	h->read.done = on_read;
	h->read.user = h;
	return spool_read(h->spool, &h->read, &h->place, 0, h->buf, bytes);
}

static int head_decode(struct head_read *h)
{
	uint32_t count = spool_record_rcpt_count(h->buf, h->have);

	if (count > ENVELOPE_RCPTS_MAX)
		return -EBADMSG;
	free(h->rcpts);
	h->rcpts = calloc(count ? count : 1, sizeof(*h->rcpts));
	if (h->rcpts == NULL)
		return -ENOMEM;
	return spool_record_decode(h->buf, h->have, &h->record, h->rcpts,
				   count);
}

static void head_done(struct head_read *h, int res)
{
	h->res = res;
	h->pending = false;
	h->done(h);
}

struct text head_read_header(const struct head_read *h)
{
	const char *content, *end;
	size_t have;

	if (h->record.content_offset >= h->have)
		return (struct text){"", 0};
	content = h->buf + h->record.content_offset;
	have = h->have - h->record.content_offset;
	if (have > h->record.content_bytes)
		have = h->record.content_bytes;
	end = memmem(content, have, "\r\n\r\n", 4);
	if (end != NULL)
		have = (size_t)(end - content) + 2;
	return (struct text){content, (uint32_t)have};
}

/* The header goes on behind what was read, and may be read on. */
static bool header_is_cut(const struct head_read *h)
{
	uint64_t content_end =
		h->record.content_offset + h->record.content_bytes;
	struct text t = head_read_header(h);

	return h->header && h->have < content_end && h->have == h->room &&
	       h->room < HEAD_HEADER_BYTES_MAX &&
	       (t.len == 0 || t.data + t.len == h->buf + h->have);
}

static void head_decoded(struct head_read *h)
{
	int rc = head_decode(h);

	if (rc != 0 || !header_is_cut(h)) {
		head_done(h, rc);
		return;
	}
	rc = read_more(h, HEAD_HEADER_BYTES_MAX);
	if (rc != 0)
		head_done(h, rc);
}

static void on_read(struct spool_read *r, int res)
{
	struct head_read *h = r->user;
	uint64_t head;
	int rc;

	if (res < 0) {
		head_done(h, res);
		return;
	}
	h->have = (size_t)res;
	head = spool_record_head_bytes(h->buf, h->have);
	if (head == 0) {
		head_done(h, -EBADMSG);
	} else if (head > h->have) {
		if (h->have < h->room || head <= h->room) {
			head_done(h, -EBADMSG); /* shorter than it says */
			return;
		}
		rc = read_more(h, head);
		if (rc != 0)
			head_done(h, rc);
	} else {
		head_decoded(h);
	}
}

static int head_begin(struct head_read *h, struct spool *sp,
		      const struct spool_place *p, size_t want_bytes,
		      bool header, void (*done)(struct head_read *h),
		      void *user)
{
	int rc;

	memset(h, 0, sizeof(*h));
	h->spool = sp;
	h->place = *p;
	h->done = done;
	h->user = user;
	h->header = header;
	h->pending = true;
	rc = read_more(h, want_bytes > HEAD_FIRST_BYTES ? want_bytes
							: HEAD_FIRST_BYTES);
	if (rc != 0) {
		h->pending = false;
		head_read_fini(h);
	}
	return rc;
}

int head_read_start(struct head_read *h, struct spool *sp,
		    const struct spool_place *p, size_t want_bytes,
		    void (*done)(struct head_read *h), void *user)
{
	return head_begin(h, sp, p, want_bytes, false, done, user);
}

int head_read_header_start(struct head_read *h, struct spool *sp,
			   const struct spool_place *p,
			   void (*done)(struct head_read *h), void *user)
{
	return head_begin(h, sp, p, 0, true, done, user);
}

void head_read_fini(struct head_read *h)
{
	free(h->buf);
	free(h->rcpts);
	h->buf = NULL;
	h->rcpts = NULL;
	h->room = 0;
}
