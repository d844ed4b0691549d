/* SPDX-License-Identifier: BSD-2-Clause
 *
 * message.c - a message while it is being written.
 *
 * Called by intake. Role: spool. Envelope and content lie encoded in chunks
 * until the commit copies them out, or, above SMALL_BYTES_MAX, until a stream
 * has written them to a segment of their own.
 * Bound: the pools. Errors: as spool.h says; -EAGAIN takes nothing.
 */
#include "spool/spool_priv.h"

void message_list_push(struct message_list *l, struct spool_message *m)
{
	m->next = NULL;
	if (l->tail)
		l->tail->next = m;
	else
		l->head = m;
	l->tail = m;
	l->count++;
}

struct spool_message *message_list_pop(struct message_list *l)
{
	struct spool_message *m = l->head;

	if (!m)
		return NULL;
	l->head = m->next;
	if (!l->head)
		l->tail = NULL;
	l->count--;
	m->next = NULL;
	return m;
}

static struct spool_message *message_take(struct spool *sp)
{
	struct spool_message *m = sp->message_free;

	if (m)
		sp->message_free = m->next;
	else if (sp->messages_untouched < sp->messages_max)
		m = &sp->messages[sp->messages_untouched++];
	else
		return NULL;
	sluice_assert(m->state == MESSAGE_FREE);
	*m = (struct spool_message){
		.magic = MESSAGE_MAGIC, .spool = sp, .state = MESSAGE_OPEN};
	return m;
}

void message_free(struct spool *sp, struct spool_message *m)
{
	MAGIC_CHECK(m, MESSAGE_MAGIC);
	sluice_assert(m->state != MESSAGE_FREE && m->stream == NULL);
	chunk_list_release(&sp->chunks, &m->chunks);
	m->magic = 0;
	m->state = MESSAGE_FREE;
	m->next = sp->message_free;
	sp->message_free = m;
}

static int again(struct spool *sp)
{
	sp->finished_until_ns = 0; /* room comes with the commit */
	sp->room_wanted = true;
	return -EAGAIN;
}

/* Some chunks are kept for streams, which always get on and give theirs back;
 * so a crowd of half-written messages cannot block itself. */
static bool chunks_for_small(const struct spool *sp, uint32_t need)
{
	return need + STREAM_CHUNKS_RESERVED <= sp->chunks.available;
}

static bool chunks_for_stream(const struct spool *sp, const struct stream *s,
			      uint32_t need)
{
	uint32_t held = s->message->chunks.count + s->in_flight.count;

	return chunks_for_small(sp, need) ||
	       (held <= 1 && need <= sp->chunks.available);
}

static void sink(void *user, const void *data, size_t len)
{
	struct spool_message *m = user;

	chunk_list_append(&m->spool->chunks, &m->chunks, data, len);
}

int spool_message_begin(struct spool *sp, const struct envelope *env,
			uint32_t flags, struct spool_message **out)
{
	struct chunk_list none = {0};
	struct spool_message *m;
	uint32_t bytes;
	int res;

	MAGIC_CHECK(sp, SPOOL_MAGIC);
	res = envelope_size(env, &bytes);
	if (res)
		return res;
	if (space_is_short(sp))
		return -ENOSPC;
	if (!chunks_for_small(sp, chunk_list_need(&none, bytes)))
		return again(sp);
	/* Names are learned here, so that no commit can fail for memory. */
	res = describe_envelope(sp, env);
	if (res)
		return res;
	m = message_take(sp);
	if (!m)
		return again(sp);
	m->flags = flags;
	m->envelope_bytes = bytes;
	m->rcpt_count = env->rcpt_count;
	envelope_encode(env, sink, m);
	sluice_assert(m->chunks.bytes == bytes);
	*out = m;
	return 0;
}

static bool is_large(const struct spool_message *m, uint64_t more)
{
	return record_bytes(m->envelope_bytes, m->content_bytes + more) >
	       SMALL_BYTES_MAX;
}

/* Makes a stream of a message that has become too long for memory. */
static int stream_if_needed(struct spool_message *m, size_t len)
{
	struct spool *sp = m->spool;

	if (m->stream ||
	    (!is_large(m, len) &&
	     chunks_for_small(sp, chunk_list_need(&m->chunks, len))))
		return 0;
	/* Out of chunks: it gets its own back by writing them. */
	if (!is_large(m, len) && m->chunks.count < 2)
		return -EAGAIN;
	return stream_start(m);
}

static int room_for_piece(struct spool_message *m, size_t len)
{
	int res = stream_if_needed(m, len);
	uint32_t need = chunk_list_need(&m->chunks, len);

	if (res || !m->stream)
		return res;
	if (m->stream->error)
		return m->stream->error;
	if (m->chunks.bytes > 0 &&
	    m->chunks.bytes + len > STREAM_HELD_BYTES_MAX)
		return -EAGAIN;
	return chunks_for_stream(m->spool, m->stream, need) ? 0 : -EAGAIN;
}

int spool_message_write(struct spool_message *m, const void *data, size_t len)
{
	int res;

	MAGIC_CHECK(m, MESSAGE_MAGIC);
	sluice_assert(m->state == MESSAGE_OPEN);
	if (len > SPOOL_PIECE_BYTES_MAX ||
	    m->content_bytes + len > RECORD_CONTENT_BYTES_MAX)
		return -EMSGSIZE;
	res = room_for_piece(m, len);
	if (res)
		return res == -EAGAIN ? again(m->spool) : res;
	chunk_list_append(&m->spool->chunks, &m->chunks, data, len);
	m->content_bytes += len;
	if (m->stream) {
		stream_content(m->stream, data, len);
		stream_pump(m->stream);
	}
	return 0;
}

/* No id is handed out before a durable reserve covers it. */
static int id_take(struct spool *sp, uint64_t *id)
{
	if (sp->next_id >= sp->reserved_id)
		return again(sp);
	*id = sp->next_id++;
	if (sp->reserve_asked - sp->next_id < RESERVE_IDS / 2 &&
	    journal_has_room(sp, 2 * journal_record_bytes(8), 0))
		journal_reserve_ids(sp);
	return 0;
}

/* For the next commit. What was taken over has nobody waiting for an answer
 * to each: it may gather for a while, so that a big import does not make a
 * commit of every turn. */
static void message_wait(struct spool_message *m)
{
	struct spool *sp = m->spool;
	uint64_t until_ns = 0;

	if (m->flags & SPOOL_TAKEN && sp->opt.patience_ns > 0)
		until_ns = spool_now_ns(sp) + sp->opt.patience_ns;
	if (sp->finished.head == NULL || until_ns < sp->finished_until_ns)
		sp->finished_until_ns = until_ns;
	message_list_push(&sp->finished, m);
}

int spool_message_finish(struct spool_message **mptr, uint32_t flags,
			 spool_stored_fn *done, void *user)
{
	struct spool_message *m = *mptr;
	int res = 0;

	MAGIC_CHECK(m, MESSAGE_MAGIC);
	sluice_assert(m->state == MESSAGE_OPEN && done != NULL);
	if (m->stream)
		res = m->stream->error;
	else if (is_large(m, 0))
		res = stream_start(m);
	if (!res)
		res = id_take(m->spool, &m->id);
	if (res)
		return res == -EAGAIN ? again(m->spool) : res;
	m->flags |= flags;
	m->done = done;
	m->user = user;
	m->state = MESSAGE_FINISHED;
	*mptr = NULL;
	/* A stream goes on in spool_step(): `done` never runs in here. */
	if (!m->stream)
		message_wait(m);
	return 0;
}

void spool_message_abort(struct spool_message **mptr)
{
	struct spool_message *m = *mptr;

	*mptr = NULL;
	if (!m)
		return;
	MAGIC_CHECK(m, MESSAGE_MAGIC);
	sluice_assert(m->state == MESSAGE_OPEN);
	if (m->stream)
		stream_abort(m->stream);
	else
		message_free(m->spool, m);
	room_check(m->spool);
}
