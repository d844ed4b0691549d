/* SPDX-License-Identifier: BSD-2-Clause
 *
 * content.c - content from the spool to the wire.
 *
 * Called by message.c, session.c and connection.c. Role: worker.
 * Bytes go out as they lie on disk, in one send with the final dot where the
 * message fits into the buffer. Larger ones use two buffers: one is read into
 * while the other is sent. Where lines start with dots the second buffer takes
 * the stuffed text instead.
 * What is sent is what was stored: the content's hash is checked before MAIL
 * (small ones) or before the final dot, which then is never sent.
 * Bound: CHUNK_BYTES per buffer.
 */
#include <errno.h>
#include <string.h>

#include "delivery/delivery_priv.h"

/* BDAT where it is wanted and offered, and where the reply to it can be told
 * from an answer to RCPT: without 354 nothing else would show that replies are
 * out of step, and a message could be lost. */
static bool goes_in_chunks(const struct connection *c)
{
	return c->d->config->delivery.chunking && c->offered.chunking &&
	       c->offered.enhancedstatuscodes;
}

int content_begin(struct connection *c, uint32_t have)
{
	struct message *m = &c->message;
	struct content *ct = &m->content;
	uint64_t total = m->record.content_bytes;
	uint32_t offset = (uint32_t)m->record.content_offset;
	uint32_t got = m->huge || have < offset ? 0 : have - offset;

	if (got > total)
		got = (uint32_t)total;
	memset(ct, 0, sizeof(*ct));
	ct->buf[0] = m->huge ? c->record : c->record + offset;
	ct->size[0] = m->huge ? CHUNK_BYTES : HEAD_BYTES + CHUNK_BYTES - offset;
	ct->buf[1] = c->chunk;
	ct->size[1] = CHUNK_BYTES;
	ct->len[0] = got;
	ct->next_fill = got ? 1 : 0;
	ct->read_at = m->record.content_offset + got;
	ct->left_read = total - got;
	ct->left_hash = total - got;
	ct->chunked = goes_in_chunks(c);
	ct->stuff = !ct->chunked &&
		    (m->flags | m->record.flags) & SPOOL_NEEDS_STUFFING;
	ct->streamed = ct->left_read > 0;
	ct->end[0] = '\r';
	ct->end[1] = '\n';
	smtp_stuffer_init(&ct->stuffer);
	if (ct->stuff)
		ct->next_fill = 0;
	if (!ct->streamed)
		return XXH3_64bits(ct->buf[0], got) == m->record.content_xxh3
			       ? 0
			       : -EBADMSG;
	(void)XXH3_64bits_reset(c->hash);
	(void)XXH3_64bits_update(c->hash, ct->buf[0], got);
	return 0;
}

/* Not before the final dot, and never after it: what has been sent so far is
 * thrown away by the receiver when the connection ends. */
static void content_damaged(struct connection *c, const char *detail)
{
	sluice_assert(!c->message.dot_sent);
	result_finish(c, DELIVERY_UNSENDABLE, PHASE_DATA, NULL, detail);
	connection_close(c);
}

/* Fills the free buffer, if there is one and something to read. */
void content_read(struct connection *c)
{
	struct message *m = &c->message;
	struct content *ct = &m->content;
	uint8_t to = ct->next_fill;
	uint64_t len = ct->left_read;
	int res;

	if (!m->ready || m->reading || !len || ct->len[to])
		return;
	if (len > ct->size[to])
		len = ct->size[to];
	m->reading = true;
	res = spool_read(c->d->spool, &m->read, &m->place, ct->read_at,
			 ct->buf[to], (size_t)len);
	if (res) {
		m->reading = false;
		m->error = res;
		c->broken = true;
		connection_deadline(c, 0);
		return;
	}
	ct->filling = to;
	ct->read_at += len;
	ct->left_read -= len;
	if (!ct->stuff)
		ct->next_fill = 1 - to;
}

void content_arrived(struct connection *c, int res)
{
	struct message *m = &c->message;
	struct content *ct = &m->content;
	uint64_t want = ct->left_hash - ct->left_read;

	if (res < 0 || (uint64_t)res != want) {
		content_damaged(c, "the content cannot be read");
		return;
	}
	(void)XXH3_64bits_update(c->hash, ct->buf[ct->filling], (size_t)res);
	ct->len[ct->filling] = (uint32_t)res;
	ct->left_hash -= want;
	if (!ct->left_hash &&
	    XXH3_64bits_digest(c->hash) != m->record.content_xxh3) {
		content_damaged(c, "the content in the spool is damaged");
		return;
	}
	content_read(c);
	connection_pump(c);
}

/* The two last bytes sent decide how the dot gets to a line of its own. */
static void note_end(struct content *ct, const char *data, uint32_t len)
{
	ct->end[0] = len > 1 ? data[len - 2] : ct->end[1];
	ct->end[1] = data[len - 1];
}

static void put_dot(const struct content *ct, struct iovec *iov)
{
	bool line = ct->end[0] == '\r' && ct->end[1] == '\n';
	static char dot[] = "\r\n.\r\n";

	iov->iov_base = line ? dot + 2 : dot;
	iov->iov_len = line ? 3 : 5;
}

static void put_bdat(struct connection *c, struct iovec *iov)
{
	struct message *m = &c->message;
	struct smtp_writer w = {c->command, COMMAND_BYTES, 0};

	(void)smtp_write_bdat_last(&w, m->record.content_bytes);
	iov->iov_base = w.data;
	iov->iov_len = w.len;
	m->content.begun = true;
}

/* From now on the receiver may have the message. */
static void content_ends(struct connection *c)
{
	c->message.dot_sent = true;
	dialogue_sent(&c->dialogue, DIALOGUE_EOM, 1);
	connection_deadline(c, c->d->config->delivery.eom_ns);
}

/* Sends `len` bytes, BDAT before the first or the dot behind the last. */
static void send_piece(struct connection *c, char *data, uint32_t len,
		       bool last)
{
	struct content *ct = &c->message.content;
	uint32_t n = 0;

	if (ct->chunked && !ct->begun)
		put_bdat(c, &c->iov[n++]);
	if (len) {
		note_end(ct, data, len);
		c->iov[n++] = (struct iovec){data, len};
	}
	ct->sending = len != 0;
	if (last && !ct->chunked)
		put_dot(ct, &c->iov[n++]);
	if (last)
		content_ends(c);
	sluice_assert(n);
	connection_sendv(c, n);
}

static bool nothing_to_come(const struct message *m)
{
	return !m->content.left_read && !m->reading;
}

static void pump_plain(struct connection *c)
{
	struct message *m = &c->message;
	struct content *ct = &m->content;
	uint32_t len = ct->len[ct->first];
	bool last = nothing_to_come(m) && !ct->len[1 - ct->first];

	if (last ? m->go : len != 0)
		send_piece(c, ct->buf[ct->first], len, last);
}

static void pump_stuffed(struct connection *c)
{
	struct message *m = &c->message;
	struct content *ct = &m->content;
	uint32_t left = ct->len[0] - ct->raw_at;
	size_t used = 0, n = 0;
	bool last;

	/* Doubled at worst: the rest fits into one piece, with its dot. */
	if (nothing_to_come(m) && left <= CHUNK_BYTES / 2 && !m->go)
		return;
	if (!left && !nothing_to_come(m))
		return;
	if (left)
		n = smtp_stuff(&ct->stuffer, ct->buf[0] + ct->raw_at, left,
			       &used, ct->buf[1], ct->size[1]);
	ct->raw_at += (uint32_t)used;
	last = nothing_to_come(m) && used == left && m->go;
	send_piece(c, ct->buf[1], (uint32_t)n, last);
}

/* Nothing is on the wire and the receiver waits for content. */
void content_pump(struct connection *c)
{
	struct message *m = &c->message;

	sluice_assert(m->active && m->asked && !m->dot_sent);
	if (m->content.stuff)
		pump_stuffed(c);
	else
		pump_plain(c);
}

/* A piece has left: its buffer is free again. */
void content_sent(struct connection *c)
{
	struct message *m = &c->message;
	struct content *ct = &m->content;

	ct->sending = false;
	if (!m->active)
		return;
	if (!ct->stuff) {
		ct->len[ct->first] = 0;
		ct->first = 1 - ct->first;
	} else if (ct->raw_at == ct->len[0]) {
		ct->len[0] = 0;
		ct->raw_at = 0;
	}
	if (!m->dot_sent)
		connection_deadline(c, c->d->config->delivery.data_ns);
	content_read(c);
}
