/* SPDX-License-Identifier: BSD-2-Clause
 *
 * walker.c - selections in slices.
 *
 * Role: command. Gather a slice from the index, read the envelopes that are
 * needed, drop what only the hash matched, hand out the rest.
 * Bound: SLICE_* messages and as many reads at a time.
 */
#include "sluiced/walker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluiced/engine_priv.h"
#include "sluiced/head_read.h"
#include "sluiced/record_match.h"

#define SLICE_PLAIN 8192 /* messages, and about as many recipients */
#define SLICE_READ  128
#define SLICE_STEP  64 /* messages between two looks at the recipients */

struct walker {
	struct engine *en;
	struct selection *selection;
	struct record_match *match; /* what the index cannot tell */
	struct walker_ops ops;
	void *user;
	struct queue_cursor cursor;
	bool envelopes, more, over, failed, orphan;
	struct walker_entry *entries;
	uint32_t count, room;
	struct head_read *heads; /* one per message of the slice */
	uint32_t head_count, reading;
	uint64_t unreadable, unreadable_id; /* so far; the last one */
};

struct walker *walker_create(struct engine *en, struct selection *s,
			     bool envelopes, const struct walker_ops *ops,
			     void *user)
{
	struct walker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->heads = calloc(SLICE_READ, sizeof(*w->heads));
	if (w->heads == NULL || record_match_create(s, &w->match, NULL) != 0) {
		free(w->heads);
		free(w);
		return NULL;
	}
	w->en = en;
	w->selection = s;
	w->envelopes = envelopes || s->senders.count > 0 ||
		       s->recipients.count > 0 || selection_needs_record(s);
	w->ops = *ops;
	w->user = user;
	w->more = true;
	return w;
}

static void heads_drop(struct walker *w)
{
	for (uint32_t i = 0; i < w->head_count; i++)
		head_read_fini(&w->heads[i]);
	w->head_count = 0;
}

static void walker_free(struct walker *w)
{
	heads_drop(w);
	record_match_destroy(&w->match);
	selection_destroy(&w->selection);
	free(w->heads);
	free(w->entries);
	free(w);
}

void walker_destroy(struct walker **wp)
{
	struct walker *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	if (w->reading > 0)
		w->orphan = true; /* the last read frees it */
	else
		walker_free(w);
}

bool walker_over(const struct walker *w)
{
	return w->over;
}

static void gather(void *user, const struct queue_entry *e)
{
	struct walker *w = user;
	struct walker_entry *entries;

	if (w->count == w->room) {
		uint32_t room = w->room ? w->room * 2 : 1024;

		entries = realloc(w->entries, room * sizeof(*entries));
		if (entries == NULL) {
			w->failed = true;
			return;
		}
		w->entries = entries;
		w->room = room;
	}
	w->entries[w->count++] = (struct walker_entry){.index = *e};
}

/* Does the message fit, as far as its record has to tell? Once per record. */
static bool head_fits(struct walker *w, const struct head_read *h)
{
	struct text header = {"", 0};

	if (h->res != 0)
		return false;
	if (h->header)
		header = head_read_header(h);
	return record_match_message(w->match, &h->record.env, header.data,
				    header.len);
}

/* Fills in the addresses; false when the index knew too little, and the record
 * does not fit. `fits`: the message does. */
static bool entry_confirm(struct walker *w, struct walker_entry *e,
			  const struct head_read *h, bool fits)
{
	if (h->res != 0 || e->index.rcpt >= h->record.env.rcpt_count) {
		e->unreadable = true;
		if (!e->index.exact &&
		    (w->unreadable == 0 || w->unreadable_id != e->index.id)) {
			w->unreadable++;
			w->unreadable_id = e->index.id;
		}
		return e->index.exact;
	}
	e->sender = h->record.env.sender;
	e->recipient = h->record.env.rcpts[e->index.rcpt].address;
	e->record = &h->record;
	return e->index.exact ||
	       (fits && record_match_recipient(w->match, e->recipient));
}

static void slice_hand_out(struct walker *w)
{
	uint32_t kept = 0, h = UINT32_MAX;
	uint64_t last = 0;
	bool fits = false;

	for (uint32_t i = 0; i < w->count && w->envelopes; i++) {
		struct walker_entry *e = &w->entries[i];

		if (i == 0 || e->index.id != last) {
			h++;
			fits = !e->index.exact && head_fits(w, &w->heads[h]);
		}
		last = e->index.id;
		/* entries[kept] may be i itself */
		if (entry_confirm(w, e, &w->heads[h], fits))
			w->entries[kept++] = *e;
	}
	if (!w->envelopes)
		kept = w->count;
	if (kept > 0)
		w->ops.slice(w->user, w->entries, kept);
	heads_drop(w);
	w->count = 0;
	w->over = !w->more;
}

static void on_head(struct head_read *h)
{
	struct walker *w = h->user;

	sluice_assert(w->reading > 0);
	if (--w->reading > 0)
		return;
	if (w->orphan)
		walker_free(w);
	else
		w->ops.wake(w->user);
}

static void head_start(struct walker *w, struct head_read *h,
		       struct spool_place place)
{
	int rc;

	w->reading++;
	if (record_match_wants_header(w->match))
		rc = head_read_header_start(h, w->en->spool, &place, on_head,
					    w);
	else
		rc = head_read_start(h, w->en->spool, &place, 0, on_head, w);
	if (rc != 0) {
		h->res = rc;
		w->reading--;
	}
}

static void slice_read(struct walker *w)
{
	uint64_t last = 0;

	w->reading = 1; /* ours: no wake before all are started */
	for (uint32_t i = 0; i < w->count; i++) {
		const struct queue_entry *e = &w->entries[i].index;

		if (i > 0 && e->id == last)
			continue;
		last = e->id;
		sluice_assert(w->head_count < SLICE_READ);
		head_start(w, &w->heads[w->head_count++], e->place);
	}
	w->reading--;
}

/* Reads that found the loop full say nothing of the record: once more. True
 * when there were none. */
static bool slice_is_read(struct walker *w)
{
	bool none = true;

	w->reading++;
	for (uint32_t i = 0; i < w->head_count; i++) {
		struct head_read *h = &w->heads[i];

		if (h->pending || (h->res != -EBUSY && h->res != -EAGAIN))
			continue;
		none = false;
		head_read_fini(h);
		head_start(w, h, h->place);
	}
	w->reading--;
	return none;
}

/* A message may have very many recipients: they bound a slice too. */
static void slice_gather(struct walker *w)
{
	uint32_t left = w->envelopes ? SLICE_READ : SLICE_PLAIN;

	do {
		w->more =
			queue_walk(w->en->queue, &w->cursor, w->selection,
				   clock_realtime_s(), SLICE_STEP, gather, w) &&
			!w->failed;
		left -= SLICE_STEP;
	} while (w->more && left > 0 && w->count < SLICE_PLAIN);
}

bool walker_step(struct walker *w)
{
	if (w->over || w->reading > 0)
		return false;
	if (w->count == 0) {
		slice_gather(w);
		if (w->envelopes)
			slice_read(w);
	}
	if (!slice_is_read(w))
		return w->reading == 0;
	if (w->reading > 0)
		return false;
	slice_hand_out(w);
	return !w->over;
}

bool walker_failed(const struct walker *w)
{
	return w->failed;
}

uint64_t walker_unreadable(const struct walker *w)
{
	return w->unreadable;
}

uint64_t walker_gave_up(const struct walker *w)
{
	return record_match_gave_up(w->match);
}
