/* SPDX-License-Identifier: BSD-2-Clause
 *
 * commit.c - everything that has gathered, in one write chain and one sync.
 *
 * Called by spool_step() and by the storage's completion. Role: spool.
 * Messages alone go to the segment only; the journal joins when a record is
 * waited for or lazy ones have lain long enough. One commit is in flight at a
 * time. Bound: gather_bytes_max of messages, one journal buffer.
 * Errors: reported to each `done`; the files of a failed commit are sealed and
 * never written again.
 */
#include "spool/spool_priv.h"

static void commit_done(struct storage_commit *op, int res);

/* Lays one message into the commit buffer. */
static void message_lay(struct spool *sp, struct spool_message *m)
{
	struct commit *c = &sp->commit;
	uint8_t *to = c->data + c->len;
	uint64_t bytes = record_bytes(m->envelope_bytes, m->content_bytes);
	uint64_t body =
		RECORD_HEADER_BYTES + m->envelope_bytes + m->content_bytes;
	struct record_header h = {.segment = c->segment->number,
				  .tag = c->segment->tag,
				  .commit_back_div8 = (uint32_t)(c->len / 8),
				  .flags = m->flags,
				  .envelope_bytes = m->envelope_bytes,
				  .id = m->id,
				  .content_bytes = m->content_bytes};

	chunk_list_copy(&m->chunks, to + RECORD_HEADER_BYTES);
	chunk_list_release(&sp->chunks, &m->chunks);
	h.envelope_xxh3 =
		XXH3_64bits(to + RECORD_HEADER_BYTES, m->envelope_bytes);
	h.content_xxh3 =
		XXH3_64bits(to + body - m->content_bytes, m->content_bytes);
	record_header_write(to, &h);
	memset(to + body, 0, align8(body) - body);
	record_trailer_write(to + bytes - RECORD_TRAILER_BYTES, &h);
	m->place =
		(struct spool_place){c->segment->number, (uint32_t)(bytes / 8),
				     c->segment_offset + c->len};
	c->len += bytes;
}

/* The segment that the next messages go to. */
static int segment_ensure(struct spool *sp, uint64_t bytes)
{
	struct segment *s = sp->active;

	if (s && s->end > FILE_HEADER_BYTES &&
	    s->end + bytes > sp->opt.segment_bytes) {
		journal_sealed(sp, s->number, s->end);
		segment_seal(sp, &sp->active);
	}
	if (!sp->active && sp->ahead) {
		sp->active = sp->ahead;
		sp->ahead = NULL;
	}
	if (sp->active)
		return 0;
	return segment_create(sp, sp->opt.segment_bytes, &sp->active);
}

static bool message_fits(const struct spool *sp, const struct spool_message *m,
			 uint64_t bytes, uint64_t bound)
{
	const struct commit *c = &sp->commit;

	if (c->len + bytes > c->max || !journal_has_room(sp, bound, 0))
		return false;
	return c->len == 0 ||
	       c->segment_offset + c->len + bytes <= sp->opt.segment_bytes;
}

static int gather_messages(struct spool *sp)
{
	struct commit *c = &sp->commit;
	struct spool_message *m = sp->finished.head;
	int res;

	c->len = 0;
	c->segment = NULL;
	if (!m)
		return 0;
	res = segment_ensure(sp,
			     record_bytes(m->envelope_bytes, m->content_bytes));
	if (res)
		return res;
	c->segment = sp->active;
	c->segment_offset = sp->active->end;
	while ((m = sp->finished.head) != NULL) {
		uint64_t bound = journal_stored_bound(m->rcpt_count);

		if (!message_fits(
			    sp, m,
			    record_bytes(m->envelope_bytes, m->content_bytes),
			    bound)) {
			sp->finished_until_ns = 0; /* right after this one */
			break;
		}
		message_list_pop(&sp->finished);
		message_lay(sp, m);
		/* Its stored record must find room after the commit. */
		sp->journal.reserved += bound;
		c->journal_reserved += bound;
		message_list_push(&c->messages, m);
	}
	return 0;
}

static int gather_journal(struct spool *sp)
{
	struct commit *c = &sp->commit;
	struct journal *j = &sp->journal;
	int res;

	c->gather = -1;
	if (!journal_wanted(sp, spool_now_ns(sp)))
		return 0;
	c->gather = journal_take(sp);
	sp->reserve_taken = sp->reserve_asked;
	res = journal_file_ensure(sp);
	if (res)
		return res;
	journal_gather_seal(&j->gather[c->gather], j->sequence,
			    journal_seed(j->number, j->tag), j->end);
	return 0;
}

static void writes_fill(struct spool *sp)
{
	struct commit *c = &sp->commit;
	struct journal *j = &sp->journal;
	uint32_t n = 0;

	if (c->len > 0)
		c->writes[n++] = (struct storage_write){
			c->segment->file, c->data, c->len, c->segment_offset};
	if (c->gather >= 0)
		c->writes[n++] = (struct storage_write){
			j->file, j->gather[c->gather].data,
			j->gather[c->gather].len, j->end};
	c->op = (struct storage_commit){.writes = c->writes,
					.count = n,
					.done = commit_done,
					.user = sp};
}

/* No segment to be had: what waits for one is answered. */
static void finished_fail(struct spool *sp, int res)
{
	struct message_list list = sp->finished;
	struct spool_message *m;

	sp->finished = (struct message_list){0};
	while ((m = message_list_pop(&list)) != NULL) {
		spool_stored_fn *done = m->done;
		void *user = m->user;

		message_free(sp, m);
		done(user, res, NULL);
	}
}

int commit_start(struct spool *sp)
{
	struct commit *c = &sp->commit;
	int res, failed;

	sluice_assert(!c->in_flight);
	/* The journal first: what messages promise goes to the next buffer. */
	res = gather_journal(sp);
	failed = gather_messages(sp);
	if (failed) {
		c->completing = true;
		finished_fail(sp, failed);
		c->completing = false;
		room_check(sp);
	}
	if (c->len == 0 && c->gather < 0)
		return failed;
	c->in_flight = true;
	if (!res) {
		writes_fill(sp);
		res = sp->st.ops->commit(sp->st.state, &c->op);
	}
	if (res)
		commit_done(&c->op, res);
	return res ? res : failed;
}

static void message_stored(struct spool *sp, struct spool_message *m)
{
	struct commit *c = &sp->commit;
	spool_stored_fn *done = m->done;
	void *user = m->user;
	struct spool_stored stored;
	uint64_t at = m->place.offset - c->segment_offset;
	uint64_t bound = journal_stored_bound(m->rcpt_count);
	int res;

	res = describe_record(sp, c->data + at,
			      (size_t)m->place.record_bytes_div8 * 8, &m->place,
			      &stored);
	/* We wrote it ourselves, and its names are known since begin. */
	sluice_assert(res == 0);
	sp->journal.reserved -= bound;
	c->journal_reserved -= bound;
	journal_stored(sp, &stored, sp->describe.sender_name,
		       sp->describe.names);
	sp->stats.appended++;
	message_free(sp, m);
	done(user, 0, &stored);
}

static void messages_done(struct spool *sp)
{
	struct commit *c = &sp->commit;
	struct spool_message *m;

	if (c->len > 0)
		c->segment->end += c->len;
	while ((m = message_list_pop(&c->messages)) != NULL)
		message_stored(sp, m);
	sluice_assert(c->journal_reserved == 0);
	if (c->segment)
		c->segment->journaled_end = c->segment->end;
}

/* The segment keeps what was committed before; nothing more goes there. */
static void messages_failed(struct spool *sp, int res)
{
	struct commit *c = &sp->commit;
	struct spool_message *m;

	sp->journal.reserved -= c->journal_reserved;
	c->journal_reserved = 0;
	if (c->len > 0) {
		journal_sealed(sp, c->segment->number, c->segment->end);
		segment_seal(sp, &sp->active);
	}
	while ((m = message_list_pop(&c->messages)) != NULL) {
		spool_stored_fn *done = m->done;
		void *user = m->user;

		message_free(sp, m);
		done(user, res, NULL);
	}
}

static void commit_done(struct storage_commit *op, int res)
{
	struct spool *sp =
		op == &((struct spool *)op->user)->commit.op ? op->user : NULL;
	struct commit *c;

	MAGIC_CHECK(sp, SPOOL_MAGIC);
	c = &sp->commit;
	sluice_assert(c->in_flight && !c->completing);
	c->completing = true;
	if (!res) {
		sp->stats.commits++;
		sp->stats.commit_bytes += c->len;
		sp->space_bytes_since += c->len;
	}
	if (c->gather >= 0 && !res)
		journal_committed(sp, c->gather);
	else if (c->gather >= 0)
		journal_failed(sp, c->gather);
	if (res)
		messages_failed(sp, res);
	else
		messages_done(sp);
	if (c->gather >= 0)
		journal_dones(sp, c->gather, res);
	c->in_flight = false;
	c->completing = false;
	room_check(sp);
}
