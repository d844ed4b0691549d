/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recover_record.c - one journal record, told to the owner of the index.
 *
 * Called by recover_journal.c for each record whose hash is right; a length
 * is checked all the same. Role: spool. Bound: the record; no allocation but
 * for names never seen before. Errors: -EBADMSG a body that makes no sense;
 * what the visitor returned.
 */
#include <stdlib.h>

#include "spool/recover.h"

static int names_grow(struct recover *r, uint32_t number)
{
	uint32_t max = r->name_max ? r->name_max : 1024;
	const char **grown;

	while (max <= number)
		max *= 2;
	grown = realloc(r->names, max * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->names = grown;
	r->name_max = max;
	return 0;
}

static int read_name(struct recover *r, const uint8_t *b, uint32_t len)
{
	uint32_t number, bytes, name;
	const char *text;

	if (len < NAME_FIXED_BYTES)
		return -EBADMSG;
	number = get_le32(b);
	bytes = get_le32(b + 4);
	text = (const char *)b + NAME_FIXED_BYTES;
	if (number >= NAMES_PER_COMMIT_MAX || bytes > SPOOL_NAME_BYTES_MAX ||
	    bytes != len - NAME_FIXED_BYTES || memchr(text, 0, bytes))
		return -EBADMSG;
	if (number >= r->name_max && names_grow(r, number))
		return -ENOMEM;
	name = intern_add(r->sp->names, text, bytes);
	if (name == INTERN_NONE)
		return -ENOMEM;
	/* One before it may be lost in a hole. */
	while (r->name_count <= number)
		r->names[r->name_count++] = NULL;
	r->names[number] = intern_text(r->sp->names, name);
	return 0;
}

void journal_stored_read(const uint8_t *b, struct spool_stored *out)
{
	*out = (struct spool_stored){
		.id = get_le64(b),
		.place = {.offset = get_le64(b + 8),
			  .segment = get_le32(b + 32),
			  .record_bytes_div8 = get_le32(b + 36)},
		.content_bytes = get_le64(b + 16),
		.digest = get_le64(b + 24),
		.arrival_s = get_le32(b + 40),
		.flags = get_le32(b + 44),
		.sender_hash = get_le32(b + 48),
		.rcpt_count = get_le32(b + 56),
	};
}

static const char *name_text(const struct recover *r, uint32_t number)
{
	return number < r->name_count ? r->names[number] : NULL;
}

static int stored_names(struct recover *r, const uint8_t *b,
			struct spool_stored *m)
{
	uint32_t i;

	m->sender_domain = name_text(r, get_le32(b + 52));
	if (!m->sender_domain)
		return -EBADMSG;
	b += STORED_FIXED_BYTES;
	for (i = 0; i < m->rcpt_count; i++, b += STORED_RCPT_BYTES) {
		r->rcpts[i].domain = name_text(r, get_le32(b));
		r->rcpts[i].local_hash = get_le32(b + 4);
		if (!r->rcpts[i].domain)
			return -EBADMSG;
	}
	m->rcpts = r->rcpts;
	return 0;
}

static int stored_segment(struct recover *r, const struct spool_place *p,
			  struct segment **out)
{
	if (p->segment == 0 || p->segment > SEGMENT_NUMBER_MAX ||
	    p->offset < FILE_HEADER_BYTES || p->offset > UINT64_MAX / 2 ||
	    (uint64_t)p->record_bytes_div8 * 8 < RECORD_HEADER_BYTES)
		return -EBADMSG;
	return segment_table_get(r->sp, p->segment, out);
}

static int read_stored(struct recover *r, const uint8_t *b, uint32_t len)
{
	struct spool_stored m;
	struct segment *s;
	int res;

	if (len < STORED_FIXED_BYTES)
		return -EBADMSG;
	journal_stored_read(b, &m);
	if (m.rcpt_count > STORED_RCPTS_MAX ||
	    len != STORED_FIXED_BYTES + m.rcpt_count * STORED_RCPT_BYTES)
		return -EBADMSG;
	recover_saw_id(r, m.id);
	res = stored_segment(r, &m.place, &s);
	if (res || m.place.offset < s->journaled_end)
		return res;
	res = stored_names(r, b, &m);
	if (res)
		return res;
	s->journaled_end =
		m.place.offset + (uint64_t)m.place.record_bytes_div8 * 8;
	s->stored++;
	r->sp->stats.recovered_messages++;
	return r->v->stored ? r->v->stored(r->user, &m) : 0;
}

/* Too many recipients for the journal: the segment has them. */
static int read_stored_ref(struct recover *r, const uint8_t *b, uint32_t len)
{
	struct spool_place p;
	struct segment *s;
	uint64_t end;
	int res;

	if (len != STORED_REF_BYTES)
		return -EBADMSG;
	p = (struct spool_place){.offset = get_le64(b + 8),
				 .segment = get_le32(b + 16),
				 .record_bytes_div8 = get_le32(b + 20)};
	recover_saw_id(r, get_le64(b));
	res = stored_segment(r, &p, &s);
	if (res || p.offset < s->journaled_end)
		return res;
	end = p.offset + (uint64_t)p.record_bytes_div8 * 8;
	if (!s->exists) {
		s->stored++;
		s->journaled_end = end;
		return 0;
	}
	return recover_scan(r, s, p.offset, end, false, &end);
}

static int read_attempt(struct recover *r, const uint8_t *b, uint32_t len)
{
	if (len != ATTEMPT_BYTES)
		return -EBADMSG;
	recover_saw_id(r, get_le64(b));
	if (!r->v->attempt)
		return 0;
	return r->v->attempt(r->user, get_le64(b), get_le32(b + 8),
			     get_le32(b + 12), get_le32(b + 16),
			     get_le16(b + 20));
}

bool journal_outcome_read(const uint8_t *b, uint32_t len,
			  struct spool_outcome *out)
{
	if (len < OUTCOME_FIXED_BYTES ||
	    len != OUTCOME_FIXED_BYTES + (uint32_t)get_le16(b + 26))
		return false;
	*out = (struct spool_outcome){
		.id = get_le64(b),
		.rcpt = get_le32(b + 8),
		.when_s = get_le32(b + 12),
		.due_s = get_le32(b + 16),
		.state = b[20],
		.reply_class = b[21],
		.attempts = b[22],
		.in_doubt = b[23],
		.source = get_le16(b + 24),
		.reply = {(const char *)b + OUTCOME_FIXED_BYTES,
			  get_le16(b + 26)},
	};
	return true;
}

static int read_outcome(struct recover *r, const uint8_t *b, uint32_t len)
{
	struct spool_outcome o;

	if (!journal_outcome_read(b, len, &o))
		return -EBADMSG;
	recover_saw_id(r, o.id);
	return r->v->outcome ? r->v->outcome(r->user, &o) : 0;
}

static int read_set(struct recover *r, const uint8_t *b, uint32_t len)
{
	struct spool_set_item items[256];
	uint32_t count, at, i;
	int res = 0;

	if (len < SET_FIXED_BYTES)
		return -EBADMSG;
	count = get_le32(b + 8);
	if (count > SET_ITEMS_MAX ||
	    len != SET_FIXED_BYTES + count * SET_ITEM_BYTES)
		return -EBADMSG;
	for (at = 0; at < count && !res; at += i) {
		const uint8_t *from =
			b + SET_FIXED_BYTES + (size_t)at * SET_ITEM_BYTES;

		for (i = 0; i < 256 && at + i < count; i++) {
			items[i] = (struct spool_set_item){get_le64(from),
							   get_le32(from + 8),
							   get_le32(from + 12)};
			from += SET_ITEM_BYTES;
		}
		if (r->v->set)
			res = r->v->set(r->user,
					(enum spool_set_kind)get_le32(b),
					get_le32(b + 4), items, i);
	}
	return res;
}

static int read_note(struct recover *r, const uint8_t *b, uint32_t len)
{
	char key[NOTE_KEY_BYTES_MAX + 1];
	uint32_t key_bytes, value_bytes;
	struct text value;

	if (len < NOTE_FIXED_BYTES)
		return -EBADMSG;
	key_bytes = get_le32(b);
	value_bytes = get_le32(b + 4);
	if (key_bytes == 0 || key_bytes >= sizeof(key) ||
	    len - NOTE_FIXED_BYTES < key_bytes ||
	    len - NOTE_FIXED_BYTES - key_bytes != value_bytes)
		return -EBADMSG;
	memcpy(key, b + NOTE_FIXED_BYTES, key_bytes);
	key[key_bytes] = '\0';
	value.data = (const char *)b + NOTE_FIXED_BYTES + key_bytes;
	value.len = value_bytes;
	return r->v->note ? r->v->note(r->user, key, value) : 0;
}

static int read_sealed(struct recover *r, const uint8_t *b, uint32_t len)
{
	uint32_t number;
	struct segment *s;

	if (len != 16)
		return -EBADMSG;
	number = get_le32(b);
	if (number == 0 || number > SEGMENT_NUMBER_MAX)
		return -EBADMSG;
	if (segment_table_get(r->sp, number, &s))
		return -ENOMEM;
	s->sealed = true;
	s->end = get_le64(b + 8);
	return 0;
}

static int read_ids(struct recover *r, const uint8_t *b, uint32_t len,
		    bool closed)
{
	uint64_t below;

	if (len != 8)
		return -EBADMSG;
	below = get_le64(b);
	/* A clean stop knows exactly which ids were used. */
	if (closed || below > r->reserved)
		r->reserved = below;
	return 0;
}

int recover_record(struct recover *r, uint8_t type, const uint8_t *body,
		   uint32_t len)
{
	r->sp->stats.recovered_records++;
	switch (type) {
	case JOURNAL_COMMIT:
		r->name_count = 0;
		return len == 8 ? 0 : -EBADMSG;
	case JOURNAL_NAME:
		return read_name(r, body, len);
	case JOURNAL_STORED:
		return read_stored(r, body, len);
	case JOURNAL_STORED_REF:
		return read_stored_ref(r, body, len);
	case JOURNAL_ATTEMPT:
		return read_attempt(r, body, len);
	case JOURNAL_OUTCOME:
		return read_outcome(r, body, len);
	case JOURNAL_SET:
		return read_set(r, body, len);
	case JOURNAL_NOTE:
		return read_note(r, body, len);
	case JOURNAL_RESERVE:
		return read_ids(r, body, len, false);
	case JOURNAL_SEALED:
		return read_sealed(r, body, len);
	case JOURNAL_CLOSED:
		return read_ids(r, body, len, true);
	default:
		return -EBADMSG;
	}
}
