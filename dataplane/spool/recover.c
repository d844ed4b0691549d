/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recover.c - what the spool held when it was stopped, or cut.
 *
 * Called by spool_open(), once. Role: spool. Reads the journals, then the
 * tails of segments that they do not cover, and begins a new journal: old
 * files are never written again. Bound: the journals and what was stored after
 * their last record; content beyond that is not read.
 * Errors: -errno of the storage, -EPROTO, the visitor's, each with a sentence.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sluice/log.h"
#include "spool/recover.h"

void recover_damaged(struct recover *r, const char *name, uint64_t offset,
		     uint64_t id)
{
	char where[FILE_NAME_BYTES + 32];

	snprintf(where, sizeof(where), "%s offset %llu", name,
		 (unsigned long long)offset);
	r->sp->stats.damaged_records++;
	log_error("spool", "damaged record: %s, message %016llx", where,
		  (unsigned long long)id);
	if (r->v->damaged)
		r->v->damaged(r->user, where, id);
}

static int each_segment(void *user, const char *name)
{
	struct recover *r = user;
	uint32_t number = file_number(name, ".seg");
	struct segment *s;

	if (number == 0 || number > SEGMENT_NUMBER_MAX)
		return 0;
	if (segment_table_get(r->sp, number, &s))
		return -ENOMEM;
	s->exists = true;
	r->sp->stats.segments++;
	return 0;
}

static int each_journal(void *user, const char *name)
{
	struct recover *r = user;
	uint32_t number = file_number(name, ".jnl");
	struct journal_file *grown;

	if (number == 0)
		return 0;
	if (r->journal_count == r->journal_max) {
		uint32_t max = r->journal_max ? r->journal_max * 2 : 64;

		grown = realloc(r->journals, max * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->journals = grown;
		r->journal_max = max;
	}
	r->journals[r->journal_count++] =
		(struct journal_file){.number = number};
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct journal_file *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Whether there is anything behind a header that cannot be read. */
static int is_blank(struct recover *r, uint64_t size, bool *blank)
{
	uint64_t at;
	const uint8_t *p;
	size_t have, i;
	int res;

	*blank = true;
	for (at = FILE_HEADER_BYTES; at < size && *blank; at += have) {
		res = window_at(&r->window, at, 1, &p, &have);
		if (res)
			return res;
		if (have == 0)
			break;
		for (i = 0; i < have && *blank; i++)
			*blank = p[i] == 0;
	}
	return 0;
}

static int journal_header(struct recover *r, struct journal_file *f,
			  struct storage_file *file)
{
	char name[FILE_NAME_BYTES];
	bool blank;
	int res;

	journal_name(f->number, name);
	res = r->sp->st.ops->size(r->sp->st.state, file, &f->size);
	if (!res)
		res = file_header_read(&r->sp->st, file, JOURNAL_MAGIC,
				       &f->header);
	if (res == -EPROTO)
		return err_set(r->e, res,
			       "%s has a format version that this program "
			       "does not know; use the program that wrote it",
			       name);
	f->counts = !res && f->header.number == f->number;
	if (f->counts || (res && res != -EBADMSG))
		return res;
	window_open(&r->window, file);
	res = is_blank(r, f->size, &blank);
	/* Blank: cut while it was created, before anything in it counted. */
	if (!res && !blank)
		recover_damaged(r, name, 0, 0);
	return res;
}

static int journal_each(struct recover *r,
			int (*fn)(struct recover *, struct journal_file *,
				  struct storage_file *))
{
	const struct storage *st = &r->sp->st;
	char name[FILE_NAME_BYTES];
	struct storage_file *file;
	uint32_t i;
	int res = 0;

	for (i = 0; i < r->journal_count && !res; i++) {
		journal_name(r->journals[i].number, name);
		res = st->ops->open(st->state, name, 0, &file);
		if (res)
			break;
		res = fn(r, &r->journals[i], file);
		st->ops->close(st->state, &file);
	}
	return res;
}

/* Each header says how much of the file before it counts. */
static void journals_chain(struct recover *r)
{
	struct journal_file *before = NULL;
	uint32_t i;

	for (i = 0; i < r->journal_count; i++) {
		struct journal_file *f = &r->journals[i];

		if (!f->counts)
			continue;
		if (before && f->header.previous == before->number)
			before->durable = f->header.previous_end;
		else if (before)
			before->last = true; /* judge it by itself */
		before = f;
	}
	if (before)
		before->last = true;
}

static int journal_read(struct recover *r, struct journal_file *f,
			struct storage_file *file)
{
	char name[FILE_NAME_BYTES];
	int res;

	if (!f->counts)
		return 0;
	window_open(&r->window, file);
	res = recover_journal(r, f);
	r->journal_number = f->number;
	r->journal_end = f->durable;
	r->sp->stats.journal_bytes += f->size;
	if (res || !f->last || f->last_commit == 0)
		return res;
	journal_name(f->number, name);
	return recover_settle(r, name, f->last_commit, f->durable);
}

/* Stored messages whose segment is gone, or too short for them. */
static int segment_check(struct recover *r, struct segment *s)
{
	char name[FILE_NAME_BYTES];
	uint64_t size = 0;
	int res = 0;

	segment_name(s->number, name);
	if (s->exists)
		res = recover_segment_size(r, s, &size);
	if (!res && s->stored > 0 && size < s->journaled_end)
		recover_damaged(r, name, size, 0);
	return res;
}

/* The tail that no journal covers; afterwards one does. */
static int segment_tail(struct recover *r, struct segment *s)
{
	uint64_t to = s->sealed ? s->end : UINT64_MAX, end;
	struct spool *sp = r->sp;
	int res = segment_check(r, s);

	if (res || !s->exists)
		return res;
	if (s->sealed && s->journaled_end >= s->end)
		return 0;
	res = recover_scan(r, s, s->journaled_end, to, true, &end);
	if (res)
		return res;
	if (s->journaled_end == FILE_HEADER_BYTES) {
		segment_discard(sp, &s);
		return 0;
	}
	s->end = s->journaled_end;
	s->sealed = true;
	journal_sealed(sp, s->number, s->end);
	return 0;
}

/* Gives back what was preallocated and cut, once the journal says so. */
static void segment_trim(struct spool *sp, struct segment *s)
{
	char name[FILE_NAME_BYTES];
	struct storage_file *f;
	uint64_t size;

	segment_name(s->number, name);
	if (sp->st.ops->open(sp->st.state, name, STORAGE_WRITE, &f))
		return;
	/* Preallocated space may lie behind the size. */
	if (!sp->st.ops->size(sp->st.state, f, &size) && size >= s->end)
		(void)sp->st.ops->truncate(sp->st.state, f, s->end);
	sp->st.ops->close(sp->st.state, &f);
}

static int segments_finish(struct recover *r)
{
	struct segment_table *t = &r->sp->segments;
	uint32_t i, first_open = t->max;
	int res = 0;

	for (i = 0; i < t->max && !res; i++) {
		struct segment *s = t->by_number[i];

		if (!s)
			continue;
		if (!s->sealed && first_open == t->max)
			first_open = i;
		res = segment_tail(r, s);
	}
	if (res)
		return res;
	if (r->reserved > r->next_id)
		r->next_id = r->reserved;
	r->sp->next_id = r->next_id;
	journal_reserve_ids(r->sp);
	res = journal_flush(r->sp);
	for (i = first_open; i < t->max && !res; i++)
		if (t->by_number[i] && t->by_number[i]->exists)
			segment_trim(r->sp, t->by_number[i]);
	return res;
}

static int recover_files(struct recover *r)
{
	const struct storage *st = &r->sp->st;
	struct journal *j = &r->sp->journal;
	int res;

	res = st->ops->list(st->state, "segments", each_segment, r);
	if (!res)
		res = st->ops->list(st->state, "journal", each_journal, r);
	if (res)
		return res;
	if (r->journal_count > 0) {
		qsort(r->journals, r->journal_count, sizeof(*r->journals),
		      by_number);
		j->last_number = r->journals[r->journal_count - 1].number;
	}
	res = journal_each(r, journal_header);
	if (res)
		return res;
	journals_chain(r);
	res = journal_each(r, journal_read);
	if (res)
		return res;
	j->number = r->journal_number;
	j->end = r->journal_end;
	res = journal_file_ensure(r->sp);
	return res ? res : segments_finish(r);
}

static int recover_alloc(struct recover *r)
{
	r->window.st = &r->sp->st;
	r->segment.st = &r->sp->st;
	r->window.data = malloc(WINDOW_BYTES);
	r->segment.data = malloc(WINDOW_BYTES);
	r->rcpts = calloc(STORED_RCPTS_MAX, sizeof(*r->rcpts));
	r->hash = XXH3_createState();
	return r->window.data && r->segment.data && r->rcpts && r->hash
		       ? 0
		       : -ENOMEM;
}

int recover_run(struct spool *sp, const struct spool_visitor *v, void *user,
		struct err *e)
{
	static const struct spool_visitor nobody;
	struct recover r = {.sp = sp,
			    .v = v ? v : &nobody,
			    .user = user,
			    .e = e,
			    .next_id = 1};
	int res = recover_alloc(&r);

	if (!res)
		res = recover_files(&r);
	free(r.window.data);
	free(r.segment.data);
	free(r.rcpts);
	free(r.journals);
	free(r.names);
	(void)XXH3_freeState(r.hash);
	return res;
}
