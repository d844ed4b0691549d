/* SPDX-License-Identifier: BSD-2-Clause
 *
 * spool.c - the life of a spool: open, step, close; reading.
 *
 * Called by the daemon, on its spool role's thread. spool_step() is the data
 * path: space, large messages, one commit, a segment ahead of need.
 * Bound: the pools, all taken in spool_open(). Errors: as spool.h says.
 */
#include <stdlib.h>

#include "sluice/clock.h"
#include "sluice/log.h"
#include "spool/spool_priv.h"

#define GATHER_BYTES_DEFAULT (4u << 20)
#define GATHER_BYTES_MIN     (2u << 20)
#define CHUNK_MEMORY_FACTOR  12u /* times gather_bytes_max */

static void options_fill(struct spool_options *o)
{
	if (!o->segment_bytes)
		o->segment_bytes = 64u << 20;
	if (!o->journal_bytes)
		o->journal_bytes = 256u << 20;
	if (!o->gather_bytes_max)
		o->gather_bytes_max = GATHER_BYTES_DEFAULT;
	if (o->gather_bytes_max < GATHER_BYTES_MIN)
		o->gather_bytes_max = GATHER_BYTES_MIN;
	if (!o->now_ns)
		o->now_ns = clock_monotonic_ns;
}

static int streams_create(struct spool *sp)
{
	uint32_t i;

	sp->streams = calloc(STREAMS_MAX, sizeof(*sp->streams));
	if (!sp->streams)
		return -ENOMEM;
	for (i = 0; i < STREAMS_MAX; i++) {
		sp->streams[i].hash = XXH3_createState();
		if (!sp->streams[i].hash)
			return -ENOMEM;
	}
	return 0;
}

static int spool_alloc(struct spool *sp)
{
	uint32_t chunks = (uint32_t)((uint64_t)sp->opt.gather_bytes_max *
				     CHUNK_MEMORY_FACTOR / CHUNK_BYTES);

	sp->names = intern_create();
	if (!sp->names || chunk_pool_create(&sp->chunks, chunks) ||
	    describe_create(&sp->describe) || streams_create(sp) ||
	    journal_create(sp))
		return -ENOMEM;
	sp->messages_max = chunks;
	sp->messages = calloc(chunks, sizeof(*sp->messages));
	sp->commit.max = sp->opt.gather_bytes_max;
	sp->commit.data = calloc(1, sp->commit.max);
	sp->head_buffer = calloc(1, RECORD_HEADER_BYTES + ENVELOPE_BYTES_MAX);
	return sp->messages && sp->commit.data && sp->head_buffer ? 0 : -ENOMEM;
}

static void spool_free(struct spool *sp)
{
	uint32_t i;

	for (i = 0; sp->streams && i < STREAMS_MAX; i++)
		(void)XXH3_freeState(sp->streams[i].hash);
	free(sp->streams);
	journal_destroy(sp);
	segment_table_close(sp);
	describe_destroy(&sp->describe);
	chunk_pool_destroy(&sp->chunks);
	intern_destroy(&sp->names);
	free(sp->messages);
	free(sp->commit.data);
	free(sp->head_buffer);
	sp->magic = 0;
	free(sp);
}

static int spool_start(struct spool *sp, const struct spool_visitor *v,
		       void *user, struct err *e)
{
	uint64_t start_ns = clock_monotonic_ns();
	int res;

	res = sp->st.ops->lock(sp->st.state);
	if (res == -EBUSY)
		return err_set(e, res,
			       "another daemon has this spool; one spool, "
			       "one daemon");
	if (res)
		return err_set(e, res, "LOCK cannot be locked: %s",
			       err_name(res));
	res = format_check(&sp->st, e);
	if (res)
		return res;
	res = recover_run(sp, v, user, e);
	if (res) {
		if (e && !e->text[0])
			err_set(e, res, "the spool cannot be read: %s",
				err_name(res));
		return res;
	}
	/* Found out at the start, not at the first message. */
	res = segment_create(sp, sp->opt.segment_bytes, &sp->active);
	if (res)
		return err_set(e, res, "no segment can be created: %s",
			       err_name(res));
	space_refresh(sp, true);
	sp->stats.recover_ns = clock_monotonic_ns() - start_ns;
	return 0;
}

int spool_open(struct spool **out, const struct storage *st,
	       const struct spool_options *o, const struct spool_visitor *v,
	       void *user, struct err *e)
{
	struct spool *sp = calloc(1, sizeof(*sp));
	int res;

	if (e)
		e->text[0] = '\0';
	if (!sp)
		return err_set(e, -ENOMEM, "no memory for the spool");
	sp->magic = SPOOL_MAGIC;
	sp->st = *st;
	if (o)
		sp->opt = *o;
	options_fill(&sp->opt);
	sp->commit.gather = -1;
	sp->segments.next_number = 1;
	if (spool_alloc(sp))
		res = err_set(e, -ENOMEM, "no memory for the spool's pools");
	else
		res = spool_start(sp, v, user, e);
	if (res) {
		spool_free(sp);
		return res;
	}
	*out = sp;
	return 0;
}

/* What a clean stop leaves behind needs no look at any segment. */
static void close_cleanly(struct spool *sp)
{
	uint8_t *b;
	int res;

	if (sp->active && sp->active->end > FILE_HEADER_BYTES) {
		journal_sealed(sp, sp->active->number, sp->active->end);
		segment_seal(sp, &sp->active);
	}
	if (sp->active)
		segment_discard(sp, &sp->active);
	if (sp->ahead)
		segment_discard(sp, &sp->ahead);
	b = journal_append(sp, JOURNAL_CLOSED, 8, true);
	put_le64(b, sp->next_id);
	res = journal_flush(sp);
	if (res)
		log_warn("spool",
			 "the journal could not be closed (%s); the next "
			 "start reads the last segment",
			 err_name(res));
}

void spool_close(struct spool **spp)
{
	struct spool *sp = *spp;

	*spp = NULL;
	if (!sp)
		return;
	MAGIC_CHECK(sp, SPOOL_MAGIC);
	/* What is in flight would come back to memory that is gone. */
	sluice_assert(!sp->commit.in_flight && sp->reads == 0);
	stream_close_all(sp);
	close_cleanly(sp);
	spool_free(sp);
}

/* A quiet turn is the time to create the next segment. */
static void segment_ahead(struct spool *sp)
{
	if (!sp->active || sp->ahead ||
	    sp->active->end < sp->opt.segment_bytes / 2)
		return;
	if (segment_create(sp, sp->opt.segment_bytes, &sp->ahead))
		sp->ahead = NULL; /* tried again when it is needed */
}

/* Enough of them make a commit worth its while. */
#define PATIENT_MESSAGES_MAX 1024u

static bool messages_wanted(const struct spool *sp, uint64_t now_ns)
{
	return sp->finished.head != NULL &&
	       (now_ns >= sp->finished_until_ns ||
		sp->finished.count >= PATIENT_MESSAGES_MAX);
}

uint64_t spool_next_ns(const struct spool *sp)
{
	if (sp->finished.head == NULL || sp->commit.in_flight)
		return CLOCK_NEVER_NS;
	return sp->finished_until_ns;
}

int spool_step(struct spool *sp)
{
	uint64_t now_ns;
	int res = 0;

	MAGIC_CHECK(sp, SPOOL_MAGIC);
	if (sp->commit.completing)
		return 0;
	space_refresh(sp, false);
	stream_step(sp);
	if (sp->commit.in_flight)
		return 0;
	now_ns = spool_now_ns(sp);
	if (messages_wanted(sp, now_ns) || journal_wanted(sp, now_ns))
		res = commit_start(sp);
	else
		segment_ahead(sp);
	return res;
}

bool spool_idle(const struct spool *sp)
{
	const struct journal *j = &sp->journal;

	MAGIC_CHECK(sp, SPOOL_MAGIC);
	return !sp->commit.in_flight && !sp->finished.head &&
	       !j->gather[j->gathering].forced && sp->reads == 0 &&
	       stream_idle(sp);
}

int spool_barrier(struct spool *sp, spool_done_fn *done, void *user)
{
	struct journal *j = &sp->journal;
	struct journal_gather *g = &j->gather[j->gathering];

	MAGIC_CHECK(sp, SPOOL_MAGIC);
	if (g->len == 0) {
		if (!sp->commit.in_flight || sp->commit.gather < 0)
			return -EALREADY;
		g = &j->gather[sp->commit.gather];
	}
	if (g->done_count == JOURNAL_DONES_MAX)
		return -EAGAIN;
	g->forced = true;
	g->dones[g->done_count++] = (struct journal_done){done, user};
	return 0;
}

static void read_done(struct storage_read *op, int res)
{
	struct spool_read *r =
		(struct spool_read *)((char *)op -
				      offsetof(struct spool_read, op));
	struct segment *s = op->user;

	MAGIC_CHECK(s, SEGMENT_FILE_MAGIC);
	sluice_assert(s->readers > 0 && s->spool->reads > 0);
	s->readers--;
	s->spool->reads--;
	r->done(r, res);
}

int spool_read(struct spool *sp, struct spool_read *r,
	       const struct spool_place *p, uint64_t from, void *buf,
	       size_t len)
{
	uint64_t bytes = (uint64_t)p->record_bytes_div8 * 8;
	struct segment *s = segment_table_find(sp, p->segment);
	int res;

	MAGIC_CHECK(sp, SPOOL_MAGIC);
	if (!s || from > bytes)
		return -ENOENT;
	res = segment_open_for_read(sp, s);
	if (res)
		return res;
	if (len > bytes - from)
		len = (size_t)(bytes - from);
	r->op = (struct storage_read){.file = s->file,
				      .data = buf,
				      .len = len,
				      .offset = p->offset + from,
				      .done = read_done,
				      .user = s};
	s->readers++;
	sp->reads++;
	res = sp->st.ops->read(sp->st.state, &r->op);
	if (res) {
		s->readers--;
		sp->reads--;
	}
	return res;
}

int spool_read_now(struct spool *sp, const struct spool_place *p, uint64_t from,
		   void *buf, size_t len)
{
	uint64_t bytes = (uint64_t)p->record_bytes_div8 * 8;
	struct segment *s = segment_table_find(sp, p->segment);
	int res;

	MAGIC_CHECK(sp, SPOOL_MAGIC);
	if (!s || from > bytes)
		return -ENOENT;
	if (!sp->st.ops->read_now)
		return -EAGAIN;
	res = segment_open_for_read(sp, s);
	if (res)
		return res;
	if (len > bytes - from)
		len = (size_t)(bytes - from);
	res = sp->st.ops->read_now(sp->st.state, s->file, buf, len,
				   p->offset + from);
	return res ? res : (int)len;
}

void spool_prefetch(struct spool *sp, const struct spool_place *p, size_t len)
{
	uint64_t bytes = (uint64_t)p->record_bytes_div8 * 8;
	struct segment *s = segment_table_find(sp, p->segment);

	MAGIC_CHECK(sp, SPOOL_MAGIC);
	if (!s || !sp->st.ops->prefetch || segment_open_for_read(sp, s))
		return;
	sp->st.ops->prefetch(sp->st.state, s->file,
			     (size_t)(bytes < len ? bytes : len), p->offset);
}

void spool_stats(const struct spool *sp, struct spool_stats *out)
{
	MAGIC_CHECK(sp, SPOOL_MAGIC);
	*out = sp->stats;
	out->next_id = sp->next_id;
}
