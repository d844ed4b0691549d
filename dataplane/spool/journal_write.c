/* SPDX-License-Identifier: BSD-2-Clause
 *
 * journal_write.c - journal buffers on their way to disk, and back when that
 * fails.
 *
 * Called by commit.c, spool.c and recovery. Role: spool.
 * A file that failed once is never written again: what nobody waits for is
 * gathered again for the next file, what somebody waits for is reported.
 * Bound: one pass over a buffer. Errors: -errno of the storage.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "sluice/clock.h"
#include "spool/spool_priv.h"

static int gather_create(struct journal_gather *g, size_t bytes)
{
	g->data = calloc(1, bytes);
	g->dones = calloc(JOURNAL_DONES_MAX, sizeof(*g->dones));
	g->names = calloc(NAMES_PER_COMMIT_MAX, sizeof(*g->names));
	return g->data && g->dones && g->names ? 0 : -ENOMEM;
}

int journal_create(struct spool *sp)
{
	struct journal *j = &sp->journal;
	int i;

	j->gather_bytes_max = (size_t)sp->opt.gather_bytes_max * 2;
	for (i = 0; i < 3; i++) {
		if (gather_create(&j->gather[i], 3 * j->gather_bytes_max))
			return -ENOMEM;
		journal_gather_reset(sp, &j->gather[i]);
	}
	j->gathering = 0;
	j->spare = 1;
	return journal_names_fit(sp);
}

void journal_destroy(struct spool *sp)
{
	struct journal *j = &sp->journal;
	int i;

	for (i = 0; i < 3; i++) {
		free(j->gather[i].data);
		free(j->gather[i].dones);
		free(j->gather[i].names);
	}
	free(j->name_generation);
	free(j->name_number);
	if (j->file)
		sp->st.ops->close(sp->st.state, &j->file);
	memset(j, 0, sizeof(*j));
}

int journal_file_ensure(struct spool *sp)
{
	struct journal *j = &sp->journal;
	struct file_header h = {.created_s = clock_realtime_s()};
	struct storage_file *f = NULL;
	int res;

	if (j->file && j->end >= sp->opt.journal_bytes) {
		sp->st.ops->close(sp->st.state, &j->file);
		j->file = NULL;
	}
	if (j->file)
		return 0;
	if (getrandom(&h.tag, sizeof(h.tag), 0) != (ssize_t)sizeof(h.tag))
		h.tag = clock_realtime_ns();
	/* Numbers go on also when a file of that name is in the way. */
	h.number = ++j->last_number;
	h.previous = j->number;
	h.previous_end = j->end;
	res = file_create(&sp->st, JOURNAL_MAGIC, &h, 0, &f);
	if (res)
		return res;
	j->file = f;
	j->number = h.number;
	j->tag = h.tag;
	j->end = FILE_HEADER_BYTES;
	return 0;
}

void journal_gather_seal(struct journal_gather *g, uint64_t sequence,
			 uint64_t seed, uint64_t offset)
{
	size_t at;

	put_le64(g->data + JOURNAL_HEADER_BYTES, sequence);
	for (at = 0; at < g->len;) {
		uint8_t *r = g->data + at;
		uint32_t body = get_le32(r + 12);

		put_le64(r, XXH3_64bits_withSeed(r + 8, 8 + (size_t)body,
						 seed ^ (offset + at)));
		at += journal_record_bytes(body);
	}
	sluice_assert(at == g->len);
}

/* The buffer that is neither gathering nor spare. */
static uint32_t third(const struct journal *j)
{
	return 3 - j->gathering - j->spare;
}

int journal_take(struct spool *sp)
{
	struct journal *j = &sp->journal;
	uint32_t taken = j->gathering;
	struct journal_gather *g = &j->gather[taken];

	sluice_assert(j->in_flight_bytes == 0 && g->len > 0);
	j->gathering = third(j);
	journal_gather_reset(sp, &j->gather[j->gathering]);
	j->in_flight_bytes = g->len;
	return (int)taken;
}

void journal_committed(struct spool *sp, int gather)
{
	struct journal *j = &sp->journal;
	struct journal_gather *g = &j->gather[gather];

	j->end += g->len;
	j->sequence++;
	j->in_flight_bytes = 0;
	j->retry_ns = 0;
	sp->stats.journal_records += g->records;
	sp->stats.journal_bytes += g->len;
	sp->reserved_id = sp->reserve_taken;
}

void journal_dones(struct spool *sp, int gather, int res)
{
	struct journal_gather *g = &sp->journal.gather[gather];
	uint32_t i;

	for (i = 0; i < g->done_count; i++)
		g->dones[i].done(g->dones[i].user, res);
	g->done_count = 0;
}

/* A stored record of `from`, with the names it had there. */
static void stored_again(struct spool *sp, const struct journal_gather *from,
			 const uint8_t *body)
{
	struct describe *d = &sp->describe;
	struct spool_stored m;
	uint32_t i;

	journal_stored_read(body, &m);
	sluice_assert(m.rcpt_count <= STORED_RCPTS_MAX);
	for (i = 0; i < m.rcpt_count; i++) {
		const uint8_t *r = body + STORED_FIXED_BYTES +
				   (size_t)i * STORED_RCPT_BYTES;

		d->names[i] = from->names[get_le32(r)];
		d->index[i].domain = intern_text(sp->names, d->names[i]);
		d->index[i].local_hash = get_le32(r + 4);
	}
	m.rcpts = d->index;
	journal_stored(sp, &m, from->names[get_le32(body + 52)], d->names);
}

static void record_again(struct spool *sp, const struct journal_gather *from,
			 const uint8_t *r)
{
	uint32_t body = get_le32(r + 12);
	uint8_t *b;

	switch (r[10]) {
	case JOURNAL_COMMIT:
	case JOURNAL_NAME:
		return;
	case JOURNAL_STORED:
		stored_again(sp, from, r + JOURNAL_HEADER_BYTES);
		return;
	default:
		b = journal_append(sp, (enum journal_type)r[10], body,
				   r[11] & JOURNAL_FLAG_LAZY);
		memcpy(b, r + JOURNAL_HEADER_BYTES, body);
	}
}

/* Appends the records of `from` to what gathers now. */
static void gather_again(struct spool *sp, const struct journal_gather *from,
			 bool lazy_only)
{
	size_t at;

	for (at = 0; at < from->len;) {
		const uint8_t *r = from->data + at;

		if (!lazy_only || (r[11] & JOURNAL_FLAG_LAZY))
			record_again(sp, from, r);
		at += journal_record_bytes(get_le32(r + 12));
	}
}

void journal_failed(struct spool *sp, int failed)
{
	struct journal *j = &sp->journal;
	struct journal_gather *later = &j->gather[j->gathering];
	uint32_t spare = j->spare;

	if (j->file)
		sp->st.ops->close(sp->st.state, &j->file);
	j->file = NULL;
	j->spare = j->gathering;
	j->gathering = spare;
	journal_gather_reset(sp, &j->gather[spare]);
	gather_again(sp, &j->gather[failed], true);
	gather_again(sp, later, false);
	j->gather[spare].forced = later->forced;
	memcpy(j->gather[spare].dones, later->dones,
	       later->done_count * sizeof(*later->dones));
	j->gather[spare].done_count = later->done_count;
	later->done_count = 0;
	later->len = 0;
	j->in_flight_bytes = 0;
	j->retry_ns = spool_now_ns(sp) + RETRY_NS;
}

int journal_flush(struct spool *sp)
{
	struct journal *j = &sp->journal;
	struct journal_gather *g = &j->gather[j->gathering];
	int res = journal_file_ensure(sp);

	if (res || g->len == 0)
		return res;
	journal_gather_seal(g, j->sequence, journal_seed(j->number, j->tag),
			    j->end);
	res = sp->st.ops->pwrite(sp->st.state, j->file, g->data, g->len,
				 j->end);
	if (!res)
		res = sp->st.ops->sync(sp->st.state, j->file);
	if (res)
		return res;
	sp->reserve_taken = sp->reserve_asked;
	journal_committed(sp, (int)j->gathering);
	journal_gather_reset(sp, g);
	return 0;
}
