/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recover_journal.c - one journal file, from its header to its end.
 *
 * Called by recover.c, oldest file first. Role: spool.
 * A hole (bytes that are no record) below what is known to be durable is
 * damage: reported, skipped. Above it is a commit that the power cut: the file
 * ends there. Known durable is what the next file's header says, or what lies
 * before a later commit. Bound: one pass; a second one to the end of the file
 * at the first hole.
 */
#include "spool/recover.h"

/* A good record at `at`; -EBADMSG if there is none. */
static int record_at(struct recover *r, const struct journal_file *f,
		     uint64_t at, const uint8_t **rec, uint32_t *body_bytes)
{
	uint64_t seed = journal_seed(f->number, f->header.tag);
	const uint8_t *p;
	size_t have, whole;
	uint32_t body;
	int res;

	res = window_at(&r->window, at, JOURNAL_HEADER_BYTES, &p, &have);
	if (res)
		return res;
	if (have < JOURNAL_HEADER_BYTES ||
	    get_le16(p + 8) != JOURNAL_RECORD_MAGIC)
		return -EBADMSG;
	body = get_le32(p + 12);
	if (body > JOURNAL_BODY_BYTES_MAX)
		return -EBADMSG;
	/* With its padding: what counts must be there to the last byte. */
	whole = journal_record_bytes(body);
	res = window_at(&r->window, at, whole, &p, &have);
	if (res)
		return res;
	if (have < whole || XXH3_64bits_withSeed(p + 8, 8 + (size_t)body,
						 seed ^ at) != get_le64(p))
		return -EBADMSG;
	*rec = p;
	*body_bytes = body;
	return 0;
}

/* Offset of the last commit that begins behind `at`; 0: none. */
static int last_commit_after(struct recover *r, const struct journal_file *f,
			     uint64_t at, uint64_t *found)
{
	const uint8_t *rec;
	uint32_t body;
	int res;

	*found = 0;
	while (at + JOURNAL_HEADER_BYTES <= f->size) {
		res = record_at(r, f, at, &rec, &body);
		if (res && res != -EBADMSG)
			return res;
		if (!res && rec[10] == JOURNAL_COMMIT)
			*found = at;
		at += res ? 8 : journal_record_bytes(body);
	}
	return 0;
}

/* The hole that begins at `at`: where reading goes on; f->size: nowhere. */
static int hole(struct recover *r, struct journal_file *f, uint64_t at,
		uint64_t *next)
{
	char name[FILE_NAME_BYTES];
	const uint8_t *rec;
	uint32_t body;
	int res = 0;

	if (f->last && f->durable == 0)
		res = last_commit_after(r, f, at, &f->durable);
	if (res)
		return res;
	*next = f->size;
	if (at >= f->durable) {
		f->durable = at;
		return 0;
	}
	journal_name(f->number, name);
	recover_damaged(r, name, at, 0);
	/* A name of this commit may be lost with it. */
	r->name_count = 0;
	res = recover_read_ahead(r);
	for (; !res && at < f->durable; at += 8) {
		res = record_at(r, f, at, &rec, &body);
		if (!res)
			break;
		if (res == -EBADMSG)
			res = 0;
	}
	*next = at;
	return res;
}

static int apply(struct recover *r, const struct journal_file *f, uint64_t at,
		 const uint8_t *rec, uint32_t body)
{
	char name[FILE_NAME_BYTES];
	int res = recover_record(r, rec[10], rec + JOURNAL_HEADER_BYTES, body);

	if (res != -EBADMSG)
		return res;
	journal_name(f->number, name);
	recover_damaged(r, name, at, 0);
	return recover_read_ahead(r);
}

int recover_journal(struct recover *r, struct journal_file *f)
{
	uint64_t limit = f->last ? f->size : f->durable;
	uint64_t at = FILE_HEADER_BYTES, end = at;
	const uint8_t *rec;
	uint32_t body;
	int res = 0;

	r->name_count = 0;
	while (!res && at + JOURNAL_HEADER_BYTES <= limit) {
		res = record_at(r, f, at, &rec, &body);
		if (res == -EBADMSG) {
			res = hole(r, f, at, &at);
			continue;
		}
		if (res)
			break;
		if (rec[10] == JOURNAL_COMMIT)
			f->last_commit = at;
		res = apply(r, f, at, rec, body);
		at += journal_record_bytes(body);
		end = at;
	}
	/* What counts ends here; the next file's header will say so. */
	if (f->last)
		f->durable = end;
	return res;
}
