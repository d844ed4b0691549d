/* SPDX-License-Identifier: BSD-2-Clause
 *
 * spool_priv.h - what the files of the spool share.
 *
 * Role: spool owns every field here; nothing is touched by another thread.
 * Memory is taken once, in spool_open(): chunks for messages that are being
 * written, one commit buffer, three journal buffers (one in flight, one
 * gathering, one spare for what a failed commit leaves over). It is touched
 * only as it is used.
 */
#ifndef SPOOL_PRIV_H
#define SPOOL_PRIV_H

#include <errno.h>
#include <xxhash.h>

#include <stddef.h>

#include "sluice/assert.h"
#include "sluice/intern.h"
#include "spool/format.h"
#include "spool/record.h"
#include "spool/spool.h"

#define SPOOL_MAGIC        0x53504f4fu
#define MESSAGE_MAGIC      0x53504d47u
#define SEGMENT_FILE_MAGIC 0x53504753u

#define CHUNK_BYTES           8192u
#define CHUNK_DATA_BYTES      (CHUNK_BYTES - 16u)
#define SMALL_BYTES_MAX       (1u << 20) /* longer: a segment of its own */
#define STREAMS_MAX           16u        /* such messages at a time */
#define STREAM_WRITES_MAX     256u       /* chunks per commit of a stream */
#define STREAM_FLUSH_CHUNKS   32u        /* worth a commit */
#define STREAM_HELD_BYTES_MAX (2u << 20)
#define STREAM_CHUNKS_RESERVED                                                 \
	(STREAMS_MAX * (SPOOL_PIECE_BYTES_MAX / CHUNK_DATA_BYTES + 2))
#define JOURNAL_DONES_MAX      65536u /* per commit */
#define LAZY_BYTES_MAX         (1u << 20)
#define LAZY_AGE_NS_MAX        200000000ULL
#define RETRY_NS               1000000000ULL /* lazy records after a failure */
#define SEGMENT_NUMBER_MAX     (1u << 26)
#define RESERVE_IDS            65536u
#define SEGMENT_FILES_OPEN_MAX 256u
#define SPACE_AGE_NS_MAX       1000000000ULL
#define SPACE_BYTES_MAX        (16u << 20)
#define FILE_NAME_BYTES        40u

struct chunk {
	struct chunk *next;
	uint32_t used;
	uint8_t data[CHUNK_DATA_BYTES];
};
_Static_assert(sizeof(struct chunk) == CHUNK_BYTES, "chunk size");

struct chunk_pool {
	struct chunk *free;
	struct chunk *all;
	uint32_t count;
	uint32_t untouched; /* all[untouched..] was never used */
	uint32_t available;
};

struct chunk_list {
	struct chunk *head, *tail;
	uint32_t count;
	uint64_t bytes;
};

/* One segment file. Structs live as long as the spool. */
struct segment {
	uint32_t magic;
	struct spool *spool;
	uint32_t number;
	uint32_t tag;              /* 0: not known yet (found, never opened) */
	uint32_t readers;          /* reads in flight */
	struct storage_file *file; /* NULL: closed, reopened for a read */
	uint64_t end;              /* where the next record goes */
	uint64_t journaled_end;    /* all below is known to the journal */
	uint64_t stored;           /* records below journaled_end */
	uint64_t used_tick;        /* for closing the longest unused */
	bool exists;               /* recovery: the file was found */
	bool sealed;               /* nothing beyond `end` counts */
};

struct segment_table {
	struct segment **by_number;
	uint32_t max; /* by_number[0..max-1] may be used */
	uint32_t next_number;
	uint32_t open_files;
	uint32_t count;
	uint64_t tick;
};

enum message_state {
	MESSAGE_FREE,
	MESSAGE_OPEN,     /* the writer has it */
	MESSAGE_FINISHED, /* ours, `done` is owed */
	MESSAGE_ABORTED   /* a stream that still has a write in flight */
};

struct spool_message {
	uint32_t magic;
	uint8_t state; /* enum message_state */
	struct spool *spool;
	struct spool_message *next;
	struct chunk_list chunks; /* envelope, then content */
	uint32_t envelope_bytes;
	uint32_t rcpt_count;
	uint64_t content_bytes;
	uint32_t flags;
	uint64_t id;
	struct spool_place place;
	struct stream *stream; /* NULL: small */
	spool_stored_fn *done;
	void *user;
};

struct message_list {
	struct spool_message *head, *tail;
	uint32_t count;
};

/* A message in a segment of its own. */
struct stream {
	struct spool *spool;
	struct spool_message *message; /* NULL: free slot */
	struct segment *segment;
	struct storage_commit op;
	struct storage_write writes[STREAM_WRITES_MAX + 1];
	struct chunk_list in_flight;
	bool busy;
	bool header_sent; /* the last commit */
	bool tail_sent;
	int error;
	uint64_t offset; /* of the next byte of the record */
	uint32_t envelope_left;
	uint64_t envelope_xxh3, content_xxh3;
	uint64_t journal_reserved;
	uint8_t header[RECORD_HEADER_BYTES];
	uint8_t tail[8 + RECORD_TRAILER_BYTES];
	XXH3_state_t *hash;
};

struct journal_done {
	spool_done_fn *done;
	void *user;
};

/* The records of one commit to be. Names are numbered anew in each. */
struct journal_gather {
	uint8_t *data;
	size_t len;
	uint64_t generation;
	uint64_t records;
	uint64_t lazy_since_ns;
	bool forced; /* more than lazy records */
	struct journal_done *dones;
	uint32_t done_count;
	uint32_t *names; /* number -> interned */
	uint32_t name_count;
};

struct journal {
	struct storage_file *file; /* NULL: the next commit creates one */
	uint32_t number;           /* of `file`, or of the last that counts */
	uint32_t last_number;      /* ever tried */
	uint64_t tag;
	uint64_t end;      /* durable */
	uint64_t sequence; /* of the next commit */
	struct journal_gather gather[3];
	uint32_t gathering, spare;
	size_t gather_bytes_max; /* a buffer is three times as long */
	size_t in_flight_bytes;
	uint64_t reserved; /* bytes promised to messages in flight */
	uint64_t generation;
	uint64_t retry_ns; /* lazy records wait until then */
	/* by interned number */
	uint64_t *name_generation;
	uint32_t *name_number;
	uint32_t name_max;
};

struct commit {
	struct storage_commit op;
	struct storage_write writes[2];
	bool in_flight;
	bool completing;
	uint8_t *data;
	size_t len, max;
	struct segment *segment;
	uint64_t segment_offset;
	struct message_list messages;
	int gather; /* journal buffer in flight; -1 = none */
	uint64_t journal_reserved;
};

/* Scratch to tell the owner about one message. */
struct describe {
	struct envelope_rcpt *rcpts;
	struct spool_rcpt_index *index;
	uint32_t *names; /* interned, of index[] */
	uint32_t sender_name;
};

struct spool {
	uint32_t magic;
	struct storage st;
	struct spool_options opt;
	struct intern *names;
	struct chunk_pool chunks;
	struct spool_message *messages; /* pool */
	struct spool_message *message_free;
	uint32_t messages_untouched, messages_max;
	struct message_list finished; /* wait for a commit */
	uint64_t finished_until_ns;   /* for no longer than this */
	struct stream *streams;
	struct segment_table segments;
	struct segment *active; /* small messages go there */
	struct segment *ahead;  /* created in a quiet turn */
	struct journal journal;
	struct commit commit;
	struct describe describe;
	uint8_t *head_buffer; /* record head of a large message */
	uint64_t next_id;
	uint64_t reserved_id;   /* durable: ids below may be used */
	uint64_t reserve_asked; /* in a gather or in flight */
	uint64_t reserve_taken; /* in flight */
	void (*on_room)(void *user);
	void *on_room_user;
	bool room_wanted;
	uint32_t reads; /* in flight */
	uint64_t space_checked_ns;
	uint64_t space_bytes_since;
	uint64_t free_inodes;
	struct spool_stats stats;
};

/* file.c: names and headers of the two kinds of files */
struct file_header {
	uint32_t number;
	uint64_t tag;
	uint32_t created_s;
	uint32_t previous;     /* journal: the one before; 0 = none */
	uint64_t previous_end; /* journal: what counts of that one */
};
void segment_name(uint32_t number, char out[FILE_NAME_BYTES]);
void journal_name(uint32_t number, char out[FILE_NAME_BYTES]);
/* 0 when `name` is no name of such a file. */
uint32_t file_number(const char *name, const char *suffix);
/* Creates, writes the header, syncs file and directory: it counts. */
int file_create(const struct storage *st, uint64_t magic,
		const struct file_header *h, uint64_t preallocate_bytes,
		struct storage_file **out);
/* -EBADMSG: neither copy is good; -EPROTO: another format version. */
int file_header_read(const struct storage *st, struct storage_file *f,
		     uint64_t magic, struct file_header *out);
static inline uint64_t journal_seed(uint32_t number, uint64_t tag)
{
	return tag ^ (number * 0x9e3779b97f4a7c15ULL);
}

/* chunks.c */
int chunk_pool_create(struct chunk_pool *p, uint32_t count);
void chunk_pool_destroy(struct chunk_pool *p);
void chunk_list_release(struct chunk_pool *p, struct chunk_list *l);
/* Chunks that `len` more bytes would take from the pool. */
uint32_t chunk_list_need(const struct chunk_list *l, uint64_t len);
/* The pool must hold them. */
void chunk_list_append(struct chunk_pool *p, struct chunk_list *l,
		       const void *data, size_t len);
/* Moves the first chunk of `from` to the end of `to`. */
void chunk_list_shift(struct chunk_list *from, struct chunk_list *to);
void chunk_list_copy(const struct chunk_list *l, uint8_t *out);

/* segment.c */
int segment_table_get(struct spool *sp, uint32_t number, struct segment **out);
struct segment *segment_table_find(struct spool *sp, uint32_t number);
void segment_table_close(struct spool *sp);
/* A new one with its write handle; retries with the next number if a file of
 * that name is in the way. */
int segment_create(struct spool *sp, uint64_t bytes, struct segment **out);
/* Nothing more is written to it. */
void segment_seal(struct spool *sp, struct segment **s);
/* Nothing in it ever counted. */
void segment_discard(struct spool *sp, struct segment **s);
int segment_open_for_read(struct spool *sp, struct segment *s);

/* A stored record as it lies in the journal; names by number. */
void journal_stored_read(const uint8_t *body, struct spool_stored *out);
/* False: its length makes no sense. The reply lies in `body`. */
bool journal_outcome_read(const uint8_t *body, uint32_t len,
			  struct spool_outcome *out);

/* journal.c: all append to what gathers; the caller made sure of room */
bool journal_has_room(const struct spool *sp, uint64_t bytes, uint32_t dones);
uint8_t *journal_append(struct spool *sp, enum journal_type type,
			uint32_t body_bytes, bool lazy);
/* Of one stored message: at most. */
uint64_t journal_stored_bound(uint32_t rcpts);
void journal_stored(struct spool *sp, const struct spool_stored *m,
		    uint32_t sender_name, const uint32_t *rcpt_names);
void journal_sealed(struct spool *sp, uint32_t segment, uint64_t end);
void journal_reserve_ids(struct spool *sp);
void journal_forced(struct spool *sp, spool_done_fn *done, void *user);
bool journal_wanted(const struct spool *sp, uint64_t now_ns);
void journal_gather_reset(struct spool *sp, struct journal_gather *g);
int journal_names_fit(struct spool *sp);

/* journal_write.c: files, commits, failures */
int journal_file_ensure(struct spool *sp);
/* Hashes in place: `offset` is where the buffer will lie. */
void journal_gather_seal(struct journal_gather *g, uint64_t sequence,
			 uint64_t seed, uint64_t offset);
/* Takes what gathers: it is in flight. Returns the buffer's number. */
int journal_take(struct spool *sp);
/* Its commit succeeded: the file is longer. */
void journal_committed(struct spool *sp, int gather);
/* Its commit failed: no more to this file; lazy records of it are gathered
 * again before what has gathered since. */
void journal_failed(struct spool *sp, int gather);
void journal_dones(struct spool *sp, int gather, int res);
int journal_create(struct spool *sp);
void journal_destroy(struct spool *sp);
/* Synchronous: at open and at close. */
int journal_flush(struct spool *sp);

/* describe.c: from a record to what the owner is told */
int describe_create(struct describe *d);
void describe_destroy(struct describe *d);
/* `head` holds header and envelope. -EBADMSG; -ENOMEM. */
int describe_envelope(struct spool *sp, const struct envelope *env);
int describe_record(struct spool *sp, const uint8_t *head, size_t have,
		    const struct spool_place *place, struct spool_stored *out);

/* message.c */
struct spool_message *message_list_pop(struct message_list *l);
void message_list_push(struct message_list *l, struct spool_message *m);
void message_free(struct spool *sp, struct spool_message *m);

/* stream.c */
int stream_start(struct spool_message *m);
/* Writes what is worth it; after finish: all. */
void stream_pump(struct stream *s);
void stream_content(struct stream *s, const void *data, size_t len);
void stream_abort(struct stream *s);
/* Finished streams that wait for room in the journal. */
void stream_step(struct spool *sp);
bool stream_idle(const struct spool *sp);
void stream_close_all(struct spool *sp);

/* commit.c */
int commit_start(struct spool *sp);

/* space.c */
void space_refresh(struct spool *sp, bool now);
bool space_is_short(struct spool *sp);
void room_check(struct spool *sp);
static inline uint64_t spool_now_ns(const struct spool *sp)
{
	return sp->opt.now_ns();
}

/* recover*.c */
struct recover;
int recover_run(struct spool *sp, const struct spool_visitor *v, void *user,
		struct err *e);

/* format_file.c: FORMAT and the folders */
int format_check(const struct storage *st, struct err *e);

#endif
