/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_record.c - walks the records of a queue file, pointers included.
 *
 * A record is a type byte, its length in 7-bit groups (least first, top bit:
 * more follow, at most four), and that many bytes. A pointer record holds the
 * offset where reading goes on; 0 is a place holder.
 * PURE; called by postfix_envelope.c and postfix_queue.c.
 * Bound: a walk sees at most as many bytes as the file has, and jumps back at
 * most 10,000 times, as in Postfix.
 * Errors: -EBADMSG; what the source returned: after -EAGAIN the same call goes
 * on where it stopped.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "intake/postfix_priv.h"
#include "sluice/assert.h"

#define JUMPS_BACK_MAX 10000u

void postfix_walk_init(struct postfix_walk *w,
		       const struct postfix_queue_source *src, uint64_t at,
		       struct err *e)
{
	*w = (struct postfix_walk){.src = src, .e = e, .at = at};
}

const char *postfix_type_text(uint8_t type, char buf[8])
{
	if (type > 32 && type < 127)
		snprintf(buf, 8, "'%c'", type);
	else
		snprintf(buf, 8, "0x%02x", type);
	return buf;
}

bool postfix_number(const char *data, uint32_t len, uint64_t *out,
		    uint32_t *used)
{
	uint64_t v = 0;
	uint32_t i = 0, first;

	while (i < len && data[i] == ' ')
		i++;
	for (first = i; i < len && data[i] >= '0' && data[i] <= '9'; i++) {
		if (i - first >= 18)
			return false;
		v = v * 10 + (uint64_t)(data[i] - '0');
	}
	if (i == first)
		return false;
	*out = v;
	*used = i;
	return true;
}

/* Makes sure that the window starts at or before `at` and holds `len` bytes
 * from there, or all up to the end of the file. */
static int window_move(struct postfix_walk *w, uint64_t at, uint32_t len)
{
	uint64_t window_end = w->window_at + w->window_len;
	uint64_t size = w->src->size_bytes;
	const void *data;
	uint32_t got;
	int rc;

	if (w->window && at >= w->window_at && at < window_end &&
	    (at + len <= window_end || window_end == size))
		return 0;
	/* Whatever comes back, the bytes of the last call are gone. */
	w->window = NULL;
	rc = w->src->at(w->src->user, at, POSTFIX_QUEUE_AT_MAX, &data, &got);
	if (rc == -EAGAIN)
		return rc;
	if (rc)
		return err_set(w->e, rc, "offset %" PRIu64 ": cannot read: %s",
			       at, err_name(rc));
	if (!got || got > size - at)
		return err_set(w->e, -EBADMSG,
			       "offset %" PRIu64 ": the file has changed its "
			       "size while it was read",
			       at);
	w->window = data;
	w->window_at = at;
	w->window_len = got;
	return 0;
}

int postfix_walk_bytes(struct postfix_walk *w, uint64_t at, uint32_t len,
		       const char **out)
{
	int rc = window_move(w, at, len);

	if (rc)
		return rc;
	if (at - w->window_at + len > w->window_len)
		return err_set(w->e, -EBADMSG,
			       "offset %" PRIu64 ": the file ends inside a "
			       "record",
			       at);
	*out = (const char *)w->window + (at - w->window_at);
	return 0;
}

/* Length bytes behind the type byte at `p`; 0 = malformed. */
static uint32_t length_decode(const uint8_t *p, uint32_t have, uint32_t *len)
{
	uint32_t v = 0;

	for (uint32_t i = 1; i < POSTFIX_RECORD_HEADER_MAX && i < have; i++) {
		v |= (uint32_t)(p[i] & 0x7f) << (7 * (i - 1));
		if (p[i] & 0x80)
			continue;
		/* Postfix never writes a length longer than need be. */
		if (i > 1 && !p[i])
			return 0;
		*len = v;
		return i + 1;
	}
	return 0;
}

static int record_header(struct postfix_walk *w, struct postfix_record *r)
{
	const uint8_t *p;
	uint32_t have, head;
	char type[8];
	int rc = window_move(w, w->at, POSTFIX_RECORD_HEADER_MAX);

	if (rc)
		return rc;
	sluice_assert(w->window != NULL);
	p = w->window + (w->at - w->window_at);
	have = (uint32_t)(w->window_len - (w->at - w->window_at));
	head = length_decode(p, have, &r->len);
	r->type = p[0];
	r->at = w->at;
	if (!head)
		return err_set(w->e, -EBADMSG,
			       "offset %" PRIu64 ": record %s has a malformed "
			       "length",
			       w->at, postfix_type_text(p[0], type));
	r->data_at = w->at + head;
	if (r->len > w->src->size_bytes - r->data_at)
		return err_set(w->e, -EBADMSG,
			       "offset %" PRIu64 ": record %s of %u bytes runs "
			       "past the end of the file: it is torn",
			       w->at, postfix_type_text(p[0], type), r->len);
	return 0;
}

/* One record, pointers not followed. */
static int record_read(struct postfix_walk *w, struct postfix_record *r)
{
	uint64_t size = w->src->size_bytes;
	uint64_t bytes;
	int rc;

	if (w->at >= size)
		return err_set(w->e, -EBADMSG,
			       "offset %" PRIu64 ": the file ends without an "
			       "end record: it is torn",
			       w->at);
	rc = record_header(w, r);
	if (rc)
		return rc;
	bytes = r->data_at + r->len - r->at;
	if (w->walked + bytes > size)
		return err_set(w->e, -EBADMSG,
			       "offset %" PRIu64 ": pointer records run in a "
			       "circle",
			       r->at);
	r->data = NULL;
	if (bytes <= POSTFIX_QUEUE_AT_MAX) {
		rc = postfix_walk_bytes(w, r->at, (uint32_t)bytes, &r->data);
		if (rc)
			return rc;
		r->data += r->data_at - r->at;
	}
	w->walked += bytes;
	w->at = r->data_at + r->len;
	return 0;
}

static int pointer_follow(struct postfix_walk *w,
			  const struct postfix_record *r)
{
	uint64_t to;
	uint32_t used;

	if (!r->data || !postfix_number(r->data, r->len, &to, &used) ||
	    used != r->len)
		return err_set(w->e, -EBADMSG,
			       "offset %" PRIu64 ": pointer record without a "
			       "number",
			       r->at);
	if (!to)
		return 0;
	if (to >= w->src->size_bytes)
		return err_set(w->e, -EBADMSG,
			       "offset %" PRIu64 ": pointer record to %" PRIu64
			       ", past the end of the file",
			       r->at, to);
	if (to <= w->jumped_to && ++w->jumps_back > JUMPS_BACK_MAX)
		return err_set(w->e, -EBADMSG,
			       "offset %" PRIu64 ": more than %u pointer "
			       "records lead back",
			       r->at, JUMPS_BACK_MAX);
	w->jumped_to = to;
	w->jumps++;
	w->at = to;
	return 0;
}

int postfix_walk_next(struct postfix_walk *w, struct postfix_record *r)
{
	int rc;

	sluice_assert(w->src != NULL);
	do {
		rc = record_read(w, r);
		if (!rc && r->type == POSTFIX_POINTER)
			rc = pointer_follow(w, r);
	} while (!rc && r->type == POSTFIX_POINTER);
	return rc;
}
