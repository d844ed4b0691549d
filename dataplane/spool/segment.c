/* SPDX-License-Identifier: BSD-2-Clause
 *
 * segment.c - the segments there are, and their open files.
 *
 * Called by commit, stream, recovery and spool_read(). Role: spool.
 * Bound: SEGMENT_FILES_OPEN_MAX files are open for reading; the longest
 * unused one makes room. A new segment costs one small allocation per
 * spool.segment_bytes of mail. Errors: -errno of the storage.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "sluice/clock.h"
#include "spool/spool_priv.h"

static int table_grow(struct segment_table *t, uint32_t number)
{
	uint64_t max = t->max ? t->max : 64;
	struct segment **grown;

	while (max <= number)
		max *= 2;
	grown = realloc(t->by_number, max * sizeof(struct segment *));
	if (!grown)
		return -ENOMEM;
	memset(grown + t->max, 0, (max - t->max) * sizeof(struct segment *));
	t->by_number = grown;
	t->max = (uint32_t)max;
	return 0;
}

struct segment *segment_table_find(struct spool *sp, uint32_t number)
{
	struct segment_table *t = &sp->segments;

	return number < t->max ? t->by_number[number] : NULL;
}

int segment_table_get(struct spool *sp, uint32_t number, struct segment **out)
{
	struct segment_table *t = &sp->segments;
	struct segment *s = segment_table_find(sp, number);

	if (!s) {
		if (number >= t->max && table_grow(t, number))
			return -ENOMEM;
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->magic = SEGMENT_FILE_MAGIC;
		s->number = number;
		s->spool = sp;
		s->end = FILE_HEADER_BYTES;
		s->journaled_end = FILE_HEADER_BYTES;
		t->by_number[number] = s;
		t->count++;
		if (t->next_number <= number)
			t->next_number = number + 1;
	}
	*out = s;
	return 0;
}

static void file_close(struct spool *sp, struct segment *s)
{
	if (!s->file)
		return;
	sp->st.ops->close(sp->st.state, &s->file);
	s->file = NULL;
	sp->segments.open_files--;
}

void segment_table_close(struct spool *sp)
{
	struct segment_table *t = &sp->segments;
	uint32_t i;

	for (i = 0; i < t->max; i++) {
		if (!t->by_number[i])
			continue;
		file_close(sp, t->by_number[i]);
		free(t->by_number[i]);
	}
	free(t->by_number);
	memset(t, 0, sizeof(*t));
}

static uint64_t tag_new(void)
{
	uint64_t tag = 0;

	if (getrandom(&tag, sizeof(tag), 0) != (ssize_t)sizeof(tag))
		tag = clock_realtime_ns();
	/* The low half is in every record and 0 means "not known". */
	return tag | 1;
}

int segment_create(struct spool *sp, uint64_t bytes, struct segment **out)
{
	struct file_header h = {.tag = tag_new(),
				.created_s = clock_realtime_s()};
	struct storage_file *f = NULL;
	struct segment *s;
	int res;

	h.number = sp->segments.next_number;
	res = segment_table_get(sp, h.number, &s);
	if (res)
		return res;
	res = file_create(&sp->st, SEGMENT_MAGIC, &h, bytes, &f);
	if (res)
		return res;
	s->tag = (uint32_t)h.tag;
	s->exists = true;
	s->file = f;
	sp->segments.open_files++;
	sp->stats.segments++;
	*out = s;
	return 0;
}

void segment_seal(struct spool *sp, struct segment **sptr)
{
	struct segment *s = *sptr;

	*sptr = NULL;
	s->sealed = true;
	/* Gives back what was preallocated; nothing depends on it. */
	(void)sp->st.ops->truncate(sp->st.state, s->file, s->end);
	if (s->readers == 0)
		file_close(sp, s);
}

void segment_discard(struct spool *sp, struct segment **sptr)
{
	struct segment *s = *sptr;
	char name[FILE_NAME_BYTES];

	*sptr = NULL;
	sluice_assert(s->readers == 0);
	file_close(sp, s);
	segment_name(s->number, name);
	(void)sp->st.ops->unlink(sp->st.state, name);
	s->exists = false;
	s->sealed = true;
	sp->stats.segments--;
}

/* Closes the longest unused file that is only read and not in use. */
static void make_room(struct spool *sp)
{
	struct segment_table *t = &sp->segments;
	struct segment *oldest = NULL;
	uint32_t i;

	for (i = 0; i < t->max; i++) {
		struct segment *s = t->by_number[i];

		if (!s || !s->file || s->readers || !s->sealed)
			continue;
		if (!oldest || s->used_tick < oldest->used_tick)
			oldest = s;
	}
	if (oldest)
		file_close(sp, oldest);
}

int segment_open_for_read(struct spool *sp, struct segment *s)
{
	char name[FILE_NAME_BYTES];
	int res;

	MAGIC_CHECK(s, SEGMENT_FILE_MAGIC);
	s->used_tick = ++sp->segments.tick;
	if (s->file)
		return 0;
	if (sp->segments.open_files >= SEGMENT_FILES_OPEN_MAX)
		make_room(sp);
	segment_name(s->number, name);
	res = sp->st.ops->open(sp->st.state, name, 0, &s->file);
	if (!res)
		sp->segments.open_files++;
	return res;
}
