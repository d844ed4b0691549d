/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recover.h - what the files of recovery share.
 *
 * Role: spool, within spool_open() only. Everything here is freed before
 * spool_open() returns.
 */
#ifndef SPOOL_RECOVER_H
#define SPOOL_RECOVER_H

#include "spool/spool_priv.h"

#define WINDOW_BYTES (4u << 20)
#define HOLES_MAX    64u

/* A file seen through a window: sequential reading in big pieces. */
struct window {
	const struct storage *st;
	struct storage_file *file;
	uint8_t *data;
	uint64_t from;
	size_t have;
};

void window_open(struct window *w, struct storage_file *f);
/* At least `len` bytes at `offset` (len <= WINDOW_BYTES), or fewer at the end
 * of the file: *have says how many. */
int window_at(struct window *w, uint64_t offset, size_t len,
	      const uint8_t **data, size_t *have);

struct journal_file {
	uint32_t number;
	struct file_header header;
	uint64_t size;
	uint64_t durable;     /* a hole below is damage, not a torn tail */
	uint64_t last_commit; /* where it begins; all before is durable */
	bool counts;          /* header is good */
	bool last;
};

struct recover {
	struct spool *sp;
	const struct spool_visitor *v;
	void *user;
	struct err *e;
	struct window window;  /* of a journal */
	struct window segment; /* of a segment */
	XXH3_state_t *hash;
	struct journal_file *journals;
	uint32_t journal_count, journal_max;
	const char **names; /* of the commit being read */
	uint32_t name_count, name_max;
	struct spool_rcpt_index *rcpts;
	uint64_t next_id;     /* above every id seen */
	uint64_t reserved;    /* ids below may have been used */
	uint64_t journal_end; /* of the last journal that counts */
	uint32_t journal_number;
};

void recover_damaged(struct recover *r, const char *name, uint64_t offset,
		     uint64_t id);
static inline void recover_saw_id(struct recover *r, uint64_t id)
{
	if (id >= r->next_id && id != UINT64_MAX)
		r->next_id = id + 1;
}

/* recover_journal.c */
int recover_journal(struct recover *r, struct journal_file *f);
/* recover_record.c: one good record; -EBADMSG: its body makes no sense. */
int recover_record(struct recover *r, uint8_t type, const uint8_t *body,
		   uint32_t len);
/* recover_segment.c: messages in [from, to), told to the owner; `keep`: and
 * journaled anew. *end is behind the last good one. */
int recover_scan(struct recover *r, struct segment *s, uint64_t from,
		 uint64_t to, bool keep, uint64_t *end);
/* The journal has a hole: whatever segments hold beyond what it told so far
 * comes now, before what it tells later. */
int recover_read_ahead(struct recover *r);
/* Writes [from, to) of a file again and syncs it: a stop that was no power cut
 * shows bytes that may never have reached the disk, and after a failed sync
 * another one would not write them. */
int recover_settle(struct recover *r, const char *name, uint64_t from,
		   uint64_t to);
int recover_segment_size(struct recover *r, struct segment *s, uint64_t *size);

#endif
