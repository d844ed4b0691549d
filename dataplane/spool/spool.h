/* SPDX-License-Identifier: BSD-2-Clause
 *
 * spool.h - durable messages and outcomes.
 *
 * Role: spool. Everything appended in one loop turn shares one commit (write
 * chain + fdatasync); while a commit is in flight the next one gathers. `done`
 * callbacks run inside the loop, after the commit they belong to.
 * Format: docs/spool-format.md. Ids are 64 bits, never reused, and say nothing
 * about place.
 */
#ifndef SLUICE_SPOOL_H
#define SLUICE_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/envelope.h"
#include "sluice/err.h"
#include "sluice/outcome.h"
#include "spool/storage.h"

struct spool;
struct spool_message; /* one message being written */

/* Where a record lies. May change by reclaim; ids do not. */
struct spool_place {
	uint32_t segment;
	uint32_t record_bytes_div8; /* whole record, in units of 8 bytes */
	uint64_t offset;            /* of the record's header */
};

enum spool_message_flag {
	SPOOL_NEEDS_STUFFING = 1, /* a line of the content starts with '.' */
	SPOOL_HAS_8BIT = 2,
	SPOOL_SMTPUTF8 = 4,
	SPOOL_BODY_8BITMIME = 8,
	SPOOL_LIVE = 16,       /* came by SMTP, not taken over */
	SPOOL_BARE_CR_LF = 32, /* content has a bare CR or LF */
	SPOOL_COPY = 64,       /* --copy: not to be released yet */
	SPOOL_TAKEN = 128      /* starts HELD: released by an operator */
};

struct spool_rcpt_index {
	const char *domain;  /* 0-terminated */
	uint32_t local_hash; /* XXH3 of the local part, folded to 32 bits */
};

/* What the index needs to know of a stored message; pointers are valid only
 * during the call. */
struct spool_stored {
	uint64_t id;
	struct spool_place place;
	uint64_t content_bytes;
	uint32_t arrival_s;
	uint32_t flags;
	uint32_t sender_hash;      /* of the whole sender address, folded */
	const char *sender_domain; /* "" for the null sender */
	uint64_t digest;           /* of envelope, arrival and content */
	uint32_t rcpt_count;
	const struct spool_rcpt_index *rcpts;
};

struct spool_outcome {
	uint64_t id;
	uint32_t rcpt;       /* index in the envelope */
	uint8_t state;       /* enum rcpt_state: done, or deferred/held/... */
	uint8_t reply_class; /* enum reply_class */
	uint8_t attempts;    /* charged so far */
	uint8_t in_doubt;    /* connection lost after the final dot */
	uint16_t source;     /* pinned source + 1; 0 = none */
	uint32_t when_s;     /* now */
	uint32_t due_s;      /* deferred: when again */
	struct text reply;   /* head of the reply text, <= 512 bytes */
};

enum spool_set_kind {
	SPOOL_SET_RELEASED = 1,
	SPOOL_SET_HELD = 2,
	SPOOL_SET_PURGED = 3,
	SPOOL_SET_REQUEUED = 4
};

/* A run of recipients of consecutive ids: every recipient of `count` messages
 * from `id` on, or (count == 0) the one recipient `rcpt` of `id`. */
struct spool_set_item {
	uint64_t id;
	uint32_t count;
	uint32_t rcpt;
};

/* Called in journal order while spool_open() recovers. */
struct spool_visitor {
	int (*stored)(void *user, const struct spool_stored *m);
	/* `source`: index at that time + 1. An attempt without a later outcome
	 * of the same recipient may have been delivered. */
	int (*attempt)(void *user, uint64_t id, uint32_t rcpt_first,
		       uint32_t rcpt_count, uint32_t when_s, uint16_t source);
	int (*outcome)(void *user, const struct spool_outcome *o);
	int (*set)(void *user, enum spool_set_kind kind, uint32_t when_s,
		   const struct spool_set_item *items, uint32_t count);
	/* Standing holds, audit lines: `key` names it, empty text = removed. */
	int (*note)(void *user, const char *key, struct text value);
	/* A damaged record that was skipped, with its place. */
	void (*damaged)(void *user, const char *where, uint64_t id);
};

struct spool_options {
	uint64_t segment_bytes; /* 64 MiB if 0 */
	uint64_t journal_bytes; /* a new journal file after this; 256 MiB */
	uint64_t min_free_bytes;
	uint64_t min_free_inodes;
	uint32_t gather_bytes_max; /* memory for one commit; 4 MiB if 0 */
	uint64_t (*now_ns)(void);  /* NULL: clock_monotonic_ns() */
	/* How long taken-over messages may wait for more of them before a
	 * commit begins; 0 = not at all. */
	uint64_t patience_ns;
};

typedef void spool_done_fn(void *user, int res);
/* `id` is valid and durable when res == 0; `m` as for the visitor, NULL when
 * res != 0. */
typedef void spool_stored_fn(void *user, int res, const struct spool_stored *m);

/* Recovers first (visitor may be NULL); `-EBUSY` second daemon, `-EPROTO`
 * unknown format version, each with a sentence in `e`. */
int spool_open(struct spool **out, const struct storage *st,
	       const struct spool_options *o, const struct spool_visitor *v,
	       void *user, struct err *e);
/* Waits for nothing: step until spool_idle() before; nothing may be in flight.
 * Messages still being written are dropped, `done`s still owed never run. Then
 * what was left to be journaled lazily is written, so that the next start need
 * not look at any segment. */
void spool_close(struct spool **sp);
/* When spool_step() has to be called at the latest for what was gathered;
 * CLOCK_NEVER_NS = nothing waits for time. */
uint64_t spool_next_ns(const struct spool *sp);
/* Starts the next commit if something was gathered and none is in flight. Not
 * from within a `done`: there it does nothing. */
int spool_step(struct spool *sp);
/* Nothing in flight, nobody waits for a commit. */
bool spool_idle(const struct spool *sp);

#define SPOOL_PIECE_BYTES_MAX (1u << 20)

/* Writing a message: begin (envelope is copied), write pieces of CRLF content
 * that is NOT dot-stuffed, finish. Small ones stay in memory until the commit,
 * large ones get a segment of their own and are written as they come.
 * -ENOSPC below the reserve; -EAGAIN: too much in flight, nothing was taken,
 * the message is as it was: try again after spool_on_room(). -EMSGSIZE: a
 * piece above SPOOL_PIECE_BYTES_MAX, an envelope above 16 MiB. -EINVAL: an
 * address domain above 255 bytes, another text above 65535. */
int spool_message_begin(struct spool *sp, const struct envelope *env,
			uint32_t flags, struct spool_message **out);
int spool_message_write(struct spool_message *m, const void *data, size_t len);
/* Takes the message; `flags` are added; 0 = `done` will be called. */
int spool_message_finish(struct spool_message **m, uint32_t flags,
			 spool_stored_fn *done, void *user);
void spool_message_abort(struct spool_message **m);
/* Set once, as io_on_wake(): `fn` runs whenever there is room again after an
 * -EAGAIN. */
void spool_on_room(struct spool *sp, void (*fn)(void *user), void *user);

/* Journal. `done` may be NULL (lazily, with the next commit: such a record is
 * carried over to a new journal file when its commit fails). -EAGAIN as above,
 * -EMSGSIZE: a set or note that no commit could hold. */
int spool_attempt(struct spool *sp, uint64_t id, uint32_t rcpt_first,
		  uint32_t rcpt_count, uint16_t source, spool_done_fn *done,
		  void *user);
int spool_outcome(struct spool *sp, const struct spool_outcome *o,
		  spool_done_fn *done, void *user);
int spool_set(struct spool *sp, enum spool_set_kind kind,
	      const struct spool_set_item *items, uint32_t count,
	      spool_done_fn *done, void *user);
int spool_note(struct spool *sp, const char *key, struct text value,
	       spool_done_fn *done, void *user);

/* `done` when all that was journaled before is durable, also what went there
 * lazily; with an error when that commit failed: lazy records are in a later
 * one then. 0 = it will be called; -EAGAIN as above; -EALREADY: nothing waits
 * for a commit. */
int spool_barrier(struct spool *sp, spool_done_fn *done, void *user);

/* Reading. One spool_read owns its buffer until `done`. */
struct spool_read {
	struct storage_read op;
	void (*done)(struct spool_read *r, int res);
	void *user;
};
/* Raw bytes of a record from `from` on (0 = its header). */
int spool_read(struct spool *sp, struct spool_read *r,
	       const struct spool_place *p, uint64_t from, void *buf,
	       size_t len);

/* The same, at once, if it lies in the page cache: the bytes read. Else
 * -EAGAIN, nothing has happened; -ENOENT. */
int spool_read_now(struct spool *sp, const struct spool_place *p, uint64_t from,
		   void *buf, size_t len);

/* Asks for the first `len` bytes of a record that will be read soon. */
void spool_prefetch(struct spool *sp, const struct spool_place *p, size_t len);

/* A record in memory, decoded in place: no copies, no allocation but the
 * caller's `rcpts` array. `have` may be less than the whole record as long as
 * it holds header and envelope (spool_record_head_bytes()). -EBADMSG. */
struct spool_record {
	uint64_t id;
	uint32_t flags;
	uint64_t content_offset; /* from the record's header */
	uint64_t content_bytes;
	uint64_t content_xxh3;
	struct envelope env; /* points into `buf` and `rcpts` */
};
#define SPOOL_RECORD_HEADER_BYTES 64
/* How many bytes header + envelope take; needs the first 64. 0 = damaged. */
uint64_t spool_record_head_bytes(const void *buf, size_t have);
/* Number of recipients, to size `rcpts`. */
uint32_t spool_record_rcpt_count(const void *buf, size_t have);
int spool_record_decode(const void *buf, size_t have, struct spool_record *out,
			struct envelope_rcpt *rcpts, uint32_t rcpts_max);

struct spool_stats {
	uint64_t commits, commit_bytes, appended, journal_records;
	uint64_t segments, journal_bytes, free_bytes;
	uint64_t next_id;
	uint64_t recovered_messages, recovered_records, damaged_records;
	uint64_t recover_ns;
	bool out_of_space;
};
void spool_stats(const struct spool *sp, struct spool_stats *out);
/* The hash that spool_rcpt_index.local_hash and sender_hash use. */
uint32_t spool_hash(const char *data, size_t len);

#endif
