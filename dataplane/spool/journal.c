/* SPDX-License-Identifier: BSD-2-Clause
 *
 * journal.c - records gather in memory until their commit.
 *
 * Called by api_journal.c, commit.c and recovery. Role: spool.
 * A record is laid out when it is appended and hashed when its commit starts,
 * because only then file and offset are known. Names get numbers within one
 * commit, so that each commit can be read by itself.
 * Bound: gather_bytes_max; whoever appends has asked journal_has_room().
 */
#include <stdlib.h>

#include "sluice/clock.h"
#include "spool/spool_priv.h"

#define NAME_BYTES_MAX                                                         \
	(JOURNAL_HEADER_BYTES + NAME_FIXED_BYTES + SPOOL_NAME_BYTES_MAX + 1)

static struct journal_gather *gathering(struct spool *sp)
{
	return &sp->journal.gather[sp->journal.gathering];
}

bool journal_has_room(const struct spool *sp, uint64_t bytes, uint32_t dones)
{
	const struct journal *j = &sp->journal;
	const struct journal_gather *g = &j->gather[j->gathering];
	uint64_t sum = g->len + j->reserved + bytes;

	/* If the commit in flight fails, what it leaves over and what has
	 * gathered share one buffer. */
	return sum <= j->gather_bytes_max &&
	       sum + j->in_flight_bytes <= 2 * j->gather_bytes_max &&
	       g->done_count + dones <= JOURNAL_DONES_MAX;
}

void journal_gather_reset(struct spool *sp, struct journal_gather *g)
{
	g->len = 0;
	g->records = 0;
	g->forced = false;
	g->done_count = 0;
	g->name_count = 0;
	g->generation = ++sp->journal.generation;
	g->lazy_since_ns = 0;
}

static uint8_t *record_put(struct journal_gather *g, enum journal_type type,
			   uint32_t body_bytes, bool lazy)
{
	uint8_t *r = g->data + g->len;
	uint64_t bytes = journal_record_bytes(body_bytes);

	memset(r, 0, bytes);
	put_le16(r + 8, JOURNAL_RECORD_MAGIC);
	r[10] = (uint8_t)type;
	r[11] = lazy ? JOURNAL_FLAG_LAZY : 0;
	put_le32(r + 12, body_bytes);
	g->len += bytes;
	return r + JOURNAL_HEADER_BYTES;
}

uint8_t *journal_append(struct spool *sp, enum journal_type type,
			uint32_t body_bytes, bool lazy)
{
	struct journal_gather *g = gathering(sp);

	sluice_assert(body_bytes <= JOURNAL_BODY_BYTES_MAX);
	if (g->len == 0) {
		record_put(g, JOURNAL_COMMIT, 8, false);
		g->lazy_since_ns = spool_now_ns(sp);
	}
	g->records++;
	return record_put(g, type, body_bytes, lazy);
}

void journal_forced(struct spool *sp, spool_done_fn *done, void *user)
{
	struct journal_gather *g = gathering(sp);

	g->forced = true;
	if (done) {
		sluice_assert(g->done_count < JOURNAL_DONES_MAX);
		g->dones[g->done_count++] = (struct journal_done){done, user};
	}
}

bool journal_wanted(const struct spool *sp, uint64_t now_ns)
{
	const struct journal *j = &sp->journal;
	const struct journal_gather *g = &j->gather[j->gathering];

	if (g->forced)
		return true;
	if (g->len == 0 || now_ns < j->retry_ns)
		return false;
	return g->len >= LAZY_BYTES_MAX ||
	       now_ns - g->lazy_since_ns >= LAZY_AGE_NS_MAX;
}

/* Room to remember, by interned number, where a name was written last. */
int journal_names_fit(struct spool *sp)
{
	struct journal *j = &sp->journal;
	uint32_t count = intern_count(sp->names);
	uint32_t max = j->name_max ? j->name_max : 4096;
	uint64_t *generation;
	uint32_t *number;

	if (count <= j->name_max)
		return 0;
	while (max < count)
		max *= 2;
	generation = realloc(j->name_generation, max * sizeof(*generation));
	if (!generation)
		return -ENOMEM;
	j->name_generation = generation;
	number = realloc(j->name_number, max * sizeof(*number));
	if (!number)
		return -ENOMEM;
	j->name_number = number;
	memset(generation + j->name_max, 0,
	       (max - j->name_max) * sizeof(*generation));
	j->name_max = max;
	return 0;
}

/* Number of an interned name within the gathering commit. */
static uint32_t name_number(struct spool *sp, uint32_t name)
{
	struct journal *j = &sp->journal;
	struct journal_gather *g = gathering(sp);
	const char *text = intern_text(sp->names, name);
	uint32_t len = (uint32_t)strlen(text);
	uint8_t *body;

	sluice_assert(name < j->name_max);
	if (j->name_generation[name] == g->generation)
		return j->name_number[name];
	sluice_assert(g->name_count < NAMES_PER_COMMIT_MAX);
	body = journal_append(sp, JOURNAL_NAME, NAME_FIXED_BYTES + len, true);
	put_le32(body, g->name_count);
	put_le32(body + 4, len);
	/* Lengths are stored: no terminating 0. */
	memcpy(body + NAME_FIXED_BYTES, text, len); // NOLINT
	j->name_generation[name] = g->generation;
	j->name_number[name] = g->name_count;
	g->names[g->name_count] = name;
	return g->name_count++;
}

uint64_t journal_stored_bound(uint32_t rcpts)
{
	if (rcpts > STORED_RCPTS_MAX)
		return journal_record_bytes(STORED_REF_BYTES) +
		       2 * journal_record_bytes(16);
	return journal_record_bytes(STORED_FIXED_BYTES +
				    (uint64_t)rcpts * STORED_RCPT_BYTES) +
	       ((uint64_t)rcpts + 1) * NAME_BYTES_MAX +
	       2 * journal_record_bytes(16);
}

static void stored_ref(struct spool *sp, const struct spool_stored *m)
{
	uint8_t *b =
		journal_append(sp, JOURNAL_STORED_REF, STORED_REF_BYTES, true);

	put_le64(b, m->id);
	put_le64(b + 8, m->place.offset);
	put_le32(b + 16, m->place.segment);
	put_le32(b + 20, m->place.record_bytes_div8);
}

static void stored_fixed(uint8_t *b, const struct spool_stored *m)
{
	put_le64(b, m->id);
	put_le64(b + 8, m->place.offset);
	put_le64(b + 16, m->content_bytes);
	put_le64(b + 24, m->digest);
	put_le32(b + 32, m->place.segment);
	put_le32(b + 36, m->place.record_bytes_div8);
	put_le32(b + 40, m->arrival_s);
	put_le32(b + 44, m->flags);
	put_le32(b + 48, m->sender_hash);
	put_le32(b + 56, m->rcpt_count);
}

void journal_stored(struct spool *sp, const struct spool_stored *m,
		    uint32_t sender_name, const uint32_t *rcpt_names)
{
	uint32_t sender, i;
	uint8_t *b;

	if (m->rcpt_count > STORED_RCPTS_MAX) {
		stored_ref(sp, m);
		return;
	}
	/* Names first: their records must not lie inside this one. */
	sender = name_number(sp, sender_name);
	for (i = 0; i < m->rcpt_count; i++)
		name_number(sp, rcpt_names[i]);
	b = journal_append(
		sp, JOURNAL_STORED,
		STORED_FIXED_BYTES + m->rcpt_count * STORED_RCPT_BYTES, true);
	stored_fixed(b, m);
	put_le32(b + 52, sender);
	b += STORED_FIXED_BYTES;
	for (i = 0; i < m->rcpt_count; i++, b += STORED_RCPT_BYTES) {
		put_le32(b, name_number(sp, rcpt_names[i]));
		put_le32(b + 4, m->rcpts[i].local_hash);
	}
}

void journal_sealed(struct spool *sp, uint32_t segment, uint64_t end)
{
	uint8_t *b = journal_append(sp, JOURNAL_SEALED, 16, true);

	put_le32(b, segment);
	put_le64(b + 8, end);
}

void journal_reserve_ids(struct spool *sp)
{
	uint64_t below = sp->next_id + RESERVE_IDS;
	uint8_t *b = journal_append(sp, JOURNAL_RESERVE, 8, true);

	put_le64(b, below);
	sp->reserve_asked = below;
}
