/* SPDX-License-Identifier: BSD-2-Clause
 *
 * stream.c - a large message, written to a segment of its own as it comes.
 *
 * Called by message.c and by its own completions. Role: spool.
 * Pieces are synced as they are written, the record's header last: a valid
 * header says that all behind it is durable. Bound: STREAMS_MAX at a time,
 * STREAM_HELD_BYTES_MAX each in memory. Errors: the message fails, its segment
 * is removed.
 */
#include <stdlib.h>

#include "spool/spool_priv.h"

static void stream_done(struct storage_commit *c, int res);

static struct stream *stream_take(struct spool *sp)
{
	uint32_t i;

	for (i = 0; i < STREAMS_MAX; i++)
		if (!sp->streams[i].message)
			return &sp->streams[i];
	return NULL;
}

void stream_content(struct stream *s, const void *data, size_t len)
{
	(void)XXH3_64bits_update(s->hash, data, len);
}

/* The envelope, then the content that is there already. */
static void hash_held(struct stream *s, const struct chunk_list *l)
{
	const struct chunk *c;

	for (c = l->head; c; c = c->next) {
		uint32_t part =
			c->used < s->envelope_left ? c->used : s->envelope_left;

		stream_content(s, c->data, part);
		s->envelope_left -= part;
		if (s->envelope_left == 0 && part > 0) {
			s->envelope_xxh3 = XXH3_64bits_digest(s->hash);
			(void)XXH3_64bits_reset(s->hash);
		}
		stream_content(s, c->data + part, c->used - part);
	}
}

int stream_start(struct spool_message *m)
{
	struct spool *sp = m->spool;
	struct stream *s = stream_take(sp);
	struct segment *segment;
	XXH3_state_t *hash;
	int res;

	if (!s)
		return -EAGAIN;
	res = segment_create(sp, 0, &segment);
	if (res)
		return res;
	hash = s->hash;
	*s = (struct stream){.spool = sp,
			     .message = m,
			     .segment = segment,
			     .hash = hash,
			     .offset = FILE_HEADER_BYTES + RECORD_HEADER_BYTES,
			     .envelope_left = m->envelope_bytes};
	(void)XXH3_64bits_reset(hash);
	hash_held(s, &m->chunks);
	m->stream = s;
	stream_pump(s);
	return 0;
}

static void stream_commit(struct stream *s, uint32_t count)
{
	int res;

	s->busy = true;
	s->op = (struct storage_commit){.writes = s->writes,
					.count = count,
					.done = stream_done,
					.user = s};
	res = s->spool->st.ops->commit(s->spool->st.state, &s->op);
	if (res)
		stream_done(&s->op, res);
}

static void write_add(struct stream *s, uint32_t *count, const void *data,
		      size_t len)
{
	s->writes[(*count)++] =
		(struct storage_write){s->segment->file, data, len, s->offset};
	s->offset += len;
}

/* The end of the record, after the content. */
static void tail_add(struct stream *s, uint32_t *count)
{
	struct spool_message *m = s->message;
	struct record_header h = {.id = m->id};
	uint64_t body =
		RECORD_HEADER_BYTES + m->envelope_bytes + m->content_bytes;
	uint64_t pad = align8(body) - body;

	s->content_xxh3 = XXH3_64bits_digest(s->hash);
	h.content_xxh3 = s->content_xxh3;
	memset(s->tail, 0, sizeof(s->tail));
	record_trailer_write(s->tail + pad, &h);
	write_add(s, count, s->tail, pad + RECORD_TRAILER_BYTES);
	s->tail_sent = true;
}

/* Full chunks, or at the end all of them. */
static void body_send(struct stream *s, bool all)
{
	struct chunk_list *held = &s->message->chunks;
	uint32_t count = 0;

	while (held->head && count < STREAM_WRITES_MAX &&
	       (all || held->head->used == CHUNK_DATA_BYTES)) {
		struct chunk *c = held->head;

		write_add(s, &count, c->data, c->used);
		chunk_list_shift(held, &s->in_flight);
	}
	if (all && !held->head)
		tail_add(s, &count);
	if (count > 0)
		stream_commit(s, count);
}

static void header_send(struct stream *s)
{
	struct spool_message *m = s->message;
	struct spool *sp = s->spool;
	uint64_t bound = journal_stored_bound(m->rcpt_count);
	struct record_header h = {.segment = s->segment->number,
				  .tag = s->segment->tag,
				  .flags = m->flags,
				  .envelope_bytes = m->envelope_bytes,
				  .id = m->id,
				  .content_bytes = m->content_bytes,
				  .content_xxh3 = s->content_xxh3,
				  .envelope_xxh3 = s->envelope_xxh3};

	/* What follows its commit must not fail: the journal's room first. */
	if (!journal_has_room(sp, bound, 0))
		return;
	sp->journal.reserved += bound;
	s->journal_reserved = bound;
	record_header_write(s->header, &h);
	s->writes[0] =
		(struct storage_write){s->segment->file, s->header,
				       sizeof(s->header), FILE_HEADER_BYTES};
	s->header_sent = true;
	stream_commit(s, 1);
}

void stream_pump(struct stream *s)
{
	struct spool_message *m = s->message;
	bool last = m->state == MESSAGE_FINISHED;

	if (s->busy || s->error)
		return;
	if (last && s->tail_sent)
		header_send(s);
	else if (last || m->chunks.count > STREAM_FLUSH_CHUNKS ||
		 s->spool->chunks.available <
			 STREAM_CHUNKS_RESERVED + STREAM_FLUSH_CHUNKS)
		body_send(s, last); /* also to make room for others */
}

static void stream_release(struct stream *s, bool discard)
{
	struct spool *sp = s->spool;
	struct spool_message *m = s->message;

	sp->journal.reserved -= s->journal_reserved;
	s->journal_reserved = 0;
	chunk_list_release(&sp->chunks, &s->in_flight);
	if (discard)
		segment_discard(sp, &s->segment);
	else
		segment_seal(sp, &s->segment);
	m->stream = NULL;
	s->message = NULL;
	message_free(sp, m);
}

/* Reads the head back: its chunks are long gone. */
static int stream_describe(struct stream *s, struct spool_stored *out)
{
	struct spool *sp = s->spool;
	struct spool_message *m = s->message;
	size_t len = RECORD_HEADER_BYTES + (size_t)m->envelope_bytes, got;
	uint64_t bytes = record_bytes(m->envelope_bytes, m->content_bytes);
	int res;

	m->place = (struct spool_place){
		s->segment->number, (uint32_t)(bytes / 8), FILE_HEADER_BYTES};
	res = sp->st.ops->pread(sp->st.state, s->segment->file, sp->head_buffer,
				len, FILE_HEADER_BYTES, &got);
	if (!res && got != len)
		res = -EIO;
	if (!res)
		res = describe_record(sp, sp->head_buffer, len, &m->place, out);
	return res;
}

static void stream_stored(struct stream *s)
{
	struct spool *sp = s->spool;
	struct spool_message *m = s->message;
	spool_stored_fn *done = m->done;
	void *user = m->user;
	struct spool_stored stored;
	int res = stream_describe(s, &stored);

	if (!res) {
		s->segment->end = m->place.offset +
				  (uint64_t)m->place.record_bytes_div8 * 8;
		s->segment->journaled_end = s->segment->end;
		journal_stored(sp, &stored, sp->describe.sender_name,
			       sp->describe.names);
		journal_sealed(sp, s->segment->number, s->segment->end);
		sp->stats.appended++;
	}
	stream_release(s, res != 0);
	done(user, res, res ? NULL : &stored);
}

static void stream_failed(struct stream *s, int res)
{
	struct spool_message *m = s->message;
	spool_stored_fn *done = m->done;
	void *user = m->user;

	s->error = res;
	if (m->state == MESSAGE_OPEN)
		return; /* its writer hears of it at the next call */
	stream_release(s, true);
	done(user, res, NULL);
}

static void stream_done(struct storage_commit *c, int res)
{
	struct stream *s = c->user;
	struct spool *sp = s->spool;
	uint32_t i;

	for (i = 0; i < c->count; i++)
		sp->space_bytes_since += c->writes[i].len;
	s->busy = false;
	chunk_list_release(&sp->chunks, &s->in_flight);
	if (s->message->state == MESSAGE_ABORTED)
		stream_release(s, true);
	else if (res)
		stream_failed(s, res);
	else if (s->header_sent)
		stream_stored(s);
	else
		stream_pump(s);
	room_check(sp);
}

void stream_abort(struct stream *s)
{
	s->message->state = MESSAGE_ABORTED;
	if (!s->busy)
		stream_release(s, true);
}

void stream_step(struct spool *sp)
{
	uint32_t i;

	for (i = 0; i < STREAMS_MAX; i++)
		if (sp->streams[i].message)
			stream_pump(&sp->streams[i]);
}

bool stream_idle(const struct spool *sp)
{
	uint32_t i;

	for (i = 0; i < STREAMS_MAX; i++) {
		const struct stream *s = &sp->streams[i];

		if (s->message &&
		    (s->busy || s->message->state == MESSAGE_FINISHED))
			return false;
	}
	return true;
}

void stream_close_all(struct spool *sp)
{
	uint32_t i;

	for (i = 0; i < STREAMS_MAX; i++) {
		struct stream *s = &sp->streams[i];

		sluice_assert(!s->busy);
		if (s->message)
			stream_release(s, true);
	}
}
