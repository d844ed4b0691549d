/* SPDX-License-Identifier: BSD-2-Clause
 *
 * journal_api.c - attempts, outcomes, sets and notes from their owner.
 *
 * Called by the daemon, once per event. Role: spool.
 * Bound: one record each, sets one per SET_ITEMS_MAX items. No allocation.
 * Errors: -EAGAIN no room before the next commit, nothing was taken;
 * -EMSGSIZE; -EINVAL.
 */
#include "sluice/clock.h"
#include "spool/spool_priv.h"

/* Room for `bytes` of records, else -EAGAIN and a wake-up later. */
static int room(struct spool *sp, uint64_t bytes, spool_done_fn *done)
{
	MAGIC_CHECK(sp, SPOOL_MAGIC);
	if (bytes > sp->journal.gather_bytes_max / 2)
		return -EMSGSIZE;
	if (journal_has_room(sp, bytes + journal_record_bytes(8), done ? 1 : 0))
		return 0;
	sp->room_wanted = true;
	return -EAGAIN;
}

int spool_attempt(struct spool *sp, uint64_t id, uint32_t rcpt_first,
		  uint32_t rcpt_count, uint16_t source, spool_done_fn *done,
		  void *user)
{
	int res = room(sp, journal_record_bytes(ATTEMPT_BYTES), done);
	uint8_t *b;

	if (res)
		return res;
	b = journal_append(sp, JOURNAL_ATTEMPT, ATTEMPT_BYTES, !done);
	put_le64(b, id);
	put_le32(b + 8, rcpt_first);
	put_le32(b + 12, rcpt_count);
	put_le32(b + 16, clock_realtime_s());
	put_le16(b + 20, source);
	journal_forced(sp, done, user);
	return 0;
}

int spool_outcome(struct spool *sp, const struct spool_outcome *o,
		  spool_done_fn *done, void *user)
{
	uint32_t reply = o->reply.len;
	uint8_t *b;
	int res;

	if (reply > OUTCOME_REPLY_BYTES_MAX)
		reply = OUTCOME_REPLY_BYTES_MAX;
	res = room(sp, journal_record_bytes(OUTCOME_FIXED_BYTES + reply), done);
	if (res)
		return res;
	b = journal_append(sp, JOURNAL_OUTCOME, OUTCOME_FIXED_BYTES + reply,
			   !done);
	put_le64(b, o->id);
	put_le32(b + 8, o->rcpt);
	put_le32(b + 12, o->when_s);
	put_le32(b + 16, o->due_s);
	b[20] = o->state;
	b[21] = o->reply_class;
	b[22] = o->attempts;
	b[23] = o->in_doubt;
	put_le16(b + 24, o->source);
	put_le16(b + 26, (uint16_t)reply);
	if (reply > 0)
		memcpy(b + OUTCOME_FIXED_BYTES, o->reply.data, reply);
	journal_forced(sp, done, user);
	return 0;
}

static void set_append(struct spool *sp, enum spool_set_kind kind,
		       const struct spool_set_item *items, uint32_t count,
		       bool lazy)
{
	uint32_t i;
	uint8_t *b =
		journal_append(sp, JOURNAL_SET,
			       SET_FIXED_BYTES + count * SET_ITEM_BYTES, lazy);

	put_le32(b, (uint32_t)kind);
	put_le32(b + 4, clock_realtime_s());
	put_le32(b + 8, count);
	b += SET_FIXED_BYTES;
	for (i = 0; i < count; i++, b += SET_ITEM_BYTES) {
		put_le64(b, items[i].id);
		put_le32(b + 8, items[i].count);
		put_le32(b + 12, items[i].rcpt);
	}
}

int spool_set(struct spool *sp, enum spool_set_kind kind,
	      const struct spool_set_item *items, uint32_t count,
	      spool_done_fn *done, void *user)
{
	uint64_t records = (uint64_t)count / SET_ITEMS_MAX + 1;
	uint32_t at = 0, part;
	int res;

	res = room(sp,
		   records * journal_record_bytes(SET_FIXED_BYTES) +
			   (uint64_t)count * SET_ITEM_BYTES,
		   done);
	if (res)
		return res;
	do {
		part = count - at < SET_ITEMS_MAX ? count - at : SET_ITEMS_MAX;
		set_append(sp, kind, items + at, part, !done);
		at += part;
	} while (at < count);
	journal_forced(sp, done, user);
	return 0;
}

int spool_note(struct spool *sp, const char *key, struct text value,
	       spool_done_fn *done, void *user)
{
	uint64_t key_bytes = strlen(key);
	uint64_t body = NOTE_FIXED_BYTES + key_bytes + value.len;
	uint8_t *b;
	int res;

	if (key_bytes == 0 || key_bytes > NOTE_KEY_BYTES_MAX)
		return -EINVAL;
	if (body > JOURNAL_BODY_BYTES_MAX)
		return -EMSGSIZE;
	res = room(sp, journal_record_bytes(body), done);
	if (res)
		return res;
	b = journal_append(sp, JOURNAL_NOTE, (uint32_t)body, !done);
	put_le32(b, (uint32_t)key_bytes);
	put_le32(b + 4, value.len);
	/* Lengths are stored: no terminating 0. */
	memcpy(b + NOTE_FIXED_BYTES, key, key_bytes); // NOLINT
	if (value.len > 0)
		memcpy(b + NOTE_FIXED_BYTES + key_bytes, value.data, value.len);
	journal_forced(sp, done, user);
	return 0;
}
