/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recover_segment.c - messages that the journal does not know (yet).
 *
 * Called by recovery for the tail of a segment, for a whole one, or around a
 * hole in the journal. Role: spool. Each record is checked to its last byte.
 * Every record says where its commit began, so all before that is durable: a
 * hole there is damage, a hole behind it is what the power cut.
 * Bound: one pass over [from, to). Errors: -errno; the visitor's.
 */
#include "sluice/log.h"
#include "spool/recover.h"

struct scan {
	struct recover *r;
	struct segment *segment;
	uint64_t at, to;
	uint64_t end;     /* behind the last good record */
	uint64_t durable; /* where the last commit began */
	bool keep;
	bool in_hole;
	struct hole {
		uint64_t offset, id;
	} holes[HOLES_MAX];
	uint32_t hole_count;
};

/* Envelope and header in one piece; the window moves. */
static int scan_head(struct scan *s, const struct record_header *h,
		     const uint8_t **head)
{
	struct recover *r = s->r;
	size_t len = RECORD_HEADER_BYTES + (size_t)h->envelope_bytes, have;
	int res;

	if (len <= WINDOW_BYTES) {
		res = window_at(&r->segment, s->at, len, head, &have);
		return res ? res : have < len ? -EBADMSG : 0;
	}
	*head = r->sp->head_buffer;
	res = r->sp->st.ops->pread(r->sp->st.state, s->segment->file,
				   r->sp->head_buffer, len, s->at, &have);
	return res ? res : have < len ? -EBADMSG : 0;
}

/* Content and trailer, in as many windows as it takes. */
static int scan_content(struct scan *s, const struct record_header *h)
{
	struct recover *r = s->r;
	uint64_t at = s->at + RECORD_HEADER_BYTES + h->envelope_bytes;
	uint64_t left = h->content_bytes;
	const uint8_t *p;
	size_t have;
	int res;

	(void)XXH3_64bits_reset(r->hash);
	while (left > 0) {
		size_t part = left < WINDOW_BYTES / 2 ? (size_t)left
						      : WINDOW_BYTES / 2;

		res = window_at(&r->segment, at, part, &p, &have);
		if (res)
			return res;
		if (have < part)
			return -EBADMSG;
		(void)XXH3_64bits_update(r->hash, p, part);
		at += part;
		left -= part;
	}
	if (XXH3_64bits_digest(r->hash) != h->content_xxh3)
		return -EBADMSG;
	at = s->at + record_header_total(h) - RECORD_TRAILER_BYTES;
	res = window_at(&r->segment, at, RECORD_TRAILER_BYTES, &p, &have);
	if (res)
		return res;
	return have >= RECORD_TRAILER_BYTES && record_trailer_matches(p, h)
		       ? 0
		       : -EBADMSG;
}

/* A header of this very segment at s->at. */
static int scan_header(struct scan *s, struct record_header *h)
{
	const uint8_t *p;
	size_t have;
	int res;

	res = window_at(&s->r->segment, s->at, RECORD_HEADER_BYTES, &p, &have);
	if (res)
		return res;
	if (have < RECORD_HEADER_BYTES || !record_header_read(p, h) ||
	    h->segment != s->segment->number)
		return -EBADMSG;
	if (s->segment->tag == 0)
		s->segment->tag = h->tag; /* the file's header is damaged */
	return h->tag == s->segment->tag ? 0 : -EBADMSG;
}

static void report(struct scan *s, const struct hole *hole)
{
	char name[FILE_NAME_BYTES];

	segment_name(s->segment->number, name);
	recover_damaged(s->r, name, hole->offset, hole->id);
}

/* What lies before `durable` and is no record was one once. */
static void holes_judge(struct scan *s, uint64_t durable)
{
	uint32_t i, left = 0;

	for (i = 0; i < s->hole_count; i++) {
		if (s->holes[i].offset < durable)
			report(s, &s->holes[i]);
		else
			s->holes[left++] = s->holes[i];
	}
	s->hole_count = left;
}

static void hole_add(struct scan *s, uint64_t id)
{
	struct hole hole = {s->at, id};

	if (s->in_hole && id == 0)
		return;
	s->in_hole = true;
	if (s->hole_count < HOLES_MAX)
		s->holes[s->hole_count++] = hole;
	else
		report(s, &hole);
}

static int message_found(struct scan *s, const struct record_header *h,
			 const uint8_t *head)
{
	struct recover *r = s->r;
	struct spool *sp = r->sp;
	struct spool_place place = {s->segment->number,
				    (uint32_t)(record_header_total(h) / 8),
				    s->at};
	struct spool_stored m;
	int res;

	res = describe_record(sp, head,
			      RECORD_HEADER_BYTES + (size_t)h->envelope_bytes,
			      &place, &m);
	if (res)
		return res;
	recover_saw_id(r, m.id);
	s->segment->stored++;
	sp->stats.recovered_messages++;
	if (s->keep)
		journal_stored(sp, &m, sp->describe.sender_name,
			       sp->describe.names);
	res = r->v->stored ? r->v->stored(r->user, &m) : 0;
	if (!res && s->keep &&
	    !journal_has_room(sp, sp->journal.gather_bytes_max / 2, 0))
		res = journal_flush(sp);
	return res;
}

/* A whole good record at s->at, or -EBADMSG. */
static int scan_record(struct scan *s, const struct record_header *h)
{
	const uint8_t *head;
	int res;

	if (s->at + record_header_total(h) > s->to)
		return -EBADMSG;
	res = scan_content(s, h);
	if (!res)
		res = scan_head(s, h, &head);
	if (!res)
		res = message_found(s, h, head);
	return res;
}

static int scan_step(struct scan *s)
{
	struct record_header h;
	int res = scan_header(s, &h);
	uint64_t back;

	if (res == -EBADMSG) {
		hole_add(s, 0);
		s->at += 8;
		return 0;
	}
	if (res)
		return res;
	recover_saw_id(s->r, h.id);
	res = scan_record(s, &h);
	if (res && res != -EBADMSG)
		return res;
	if (res) {
		s->in_hole = false;
		hole_add(s, h.id);
		s->at += s->at + record_header_total(&h) <= s->to
				 ? record_header_total(&h)
				 : 8;
		return 0;
	}
	back = (uint64_t)h.commit_back_div8 * 8;
	s->durable = back < s->at ? s->at - back : 0;
	holes_judge(s, s->durable);
	s->in_hole = false;
	s->at += record_header_total(&h);
	s->end = s->at;
	return 0;
}

/* Whatever is left was never acknowledged: cut, but said. */
static void holes_cut(struct scan *s)
{
	uint32_t i;

	for (i = 0; i < s->hole_count; i++)
		if (s->holes[i].id)
			log_info("spool",
				 "segments/%08u.seg: message %016llx at "
				 "offset %llu was cut by a stop and never "
				 "acknowledged",
				 s->segment->number,
				 (unsigned long long)s->holes[i].id,
				 (unsigned long long)s->holes[i].offset);
}

int recover_segment_size(struct recover *r, struct segment *s, uint64_t *size)
{
	int res = segment_open_for_read(r->sp, s);

	return res ? res : r->sp->st.ops->size(r->sp->st.state, s->file, size);
}

static int segment_tag(struct recover *r, struct segment *s)
{
	struct file_header h;
	int res;

	if (s->tag)
		return 0;
	res = file_header_read(&r->sp->st, s->file, SEGMENT_MAGIC, &h);
	if (res == -EPROTO)
		return err_set(r->e, res,
			       "segments/%08u.seg has a format version that "
			       "this program does not know; use the program "
			       "that wrote it",
			       s->number);
	if (!res && h.number == s->number)
		s->tag = (uint32_t)h.tag;
	return res == -EBADMSG ? 0 : res;
}

int recover_scan(struct recover *r, struct segment *segment, uint64_t from,
		 uint64_t to, bool keep, uint64_t *end)
{
	struct scan s = {.r = r,
			 .segment = segment,
			 .at = from,
			 .end = from,
			 .keep = keep};
	char name[FILE_NAME_BYTES];
	uint64_t size;
	int res = recover_segment_size(r, segment, &size);

	if (!res)
		res = segment_tag(r, segment);
	if (res)
		return res;
	s.to = to < size ? to : size;
	window_open(&r->segment, segment->file);
	while (!res && s.at + RECORD_HEADER_BYTES <= s.to)
		res = scan_step(&s);
	if (res)
		return res;
	/* Between two places that the journal knows all was durable. */
	if (to != UINT64_MAX)
		holes_judge(&s, to);
	holes_cut(&s);
	if (segment->journaled_end < s.end)
		segment->journaled_end = s.end;
	*end = s.end;
	segment_name(segment->number, name);
	return recover_settle(r, name, s.durable > from ? s.durable : from,
			      s.end);
}

int recover_read_ahead(struct recover *r)
{
	struct segment_table *t = &r->sp->segments;
	uint64_t end;
	uint32_t i;
	int res = 0;

	for (i = 0; i < t->max && !res; i++) {
		struct segment *s = t->by_number[i];

		if (s && s->exists && !s->sealed)
			res = recover_scan(r, s, s->journaled_end, UINT64_MAX,
					   false, &end);
	}
	return res;
}
