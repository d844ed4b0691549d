/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recover_window.c - reading a file in big pieces, and writing it again.
 *
 * Called by recovery only. Role: spool. Bound: WINDOW_BYTES of memory; bytes
 * at the end of a window are read twice. Errors: -errno of the storage.
 */
#include "spool/recover.h"

void window_open(struct window *w, struct storage_file *f)
{
	w->file = f;
	w->from = 0;
	w->have = 0;
}

int window_at(struct window *w, uint64_t offset, size_t len,
	      const uint8_t **data, size_t *have)
{
	size_t got;
	int res;

	sluice_assert(len <= WINDOW_BYTES);
	if (offset < w->from || offset + len > w->from + w->have) {
		res = w->st->ops->pread(w->st->state, w->file, w->data,
					WINDOW_BYTES, offset, &got);
		if (res)
			return res;
		w->from = offset;
		w->have = got;
	}
	*data = w->data + (offset - w->from);
	*have = w->have - (size_t)(offset - w->from);
	return 0;
}

static int settle_pieces(struct window *w, uint64_t at, uint64_t to)
{
	const uint8_t *p;
	size_t have, part;
	int res = 0;

	for (; at < to && !res; at += part) {
		part = to - at < WINDOW_BYTES ? (size_t)(to - at)
					      : WINDOW_BYTES;
		res = window_at(w, at, part, &p, &have);
		if (!res && have < part)
			res = -EIO;
		if (!res)
			res = w->st->ops->pwrite(w->st->state, w->file, p, part,
						 at);
	}
	return res ? res : w->st->ops->sync(w->st->state, w->file);
}

int recover_settle(struct recover *r, const char *name, uint64_t from,
		   uint64_t to)
{
	struct window w = r->segment;
	struct storage_file *f;
	int res;

	if (from >= to)
		return 0;
	res = w.st->ops->open(w.st->state, name, STORAGE_WRITE, &f);
	if (res)
		return res;
	window_open(&w, f);
	res = settle_pieces(&w, from, to);
	w.st->ops->close(w.st->state, &f);
	/* Its memory was ours for a while. */
	window_open(&r->segment, r->segment.file);
	return res;
}
