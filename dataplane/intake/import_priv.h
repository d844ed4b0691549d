/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import_priv.h - shared by the files of the importer only.
 *
 * import.c keeps the window of files; import_desk.c works on one file:
 * read, scan, ask, store.
 */
#ifndef SLUICE_INTAKE_IMPORT_PRIV_H
#define SLUICE_INTAKE_IMPORT_PRIV_H

#include "intake/digest.h"
#include "intake/eml.h"
#include "intake/import.h"
#include "intake/postfix_queue.h"
#include "io/io.h"
#include "spool/spool.h"

#define IMPORT_MAGIC       0x494d5052u
#define IMPORT_NONE        UINT32_MAX
#define IMPORT_READ_BYTES  (256u << 10)
#define IMPORT_STAGE_BYTES (384u << 10)

enum slot_state {
	SLOT_FREE,
	SLOT_READY,  /* waits for a desk */
	SLOT_DESK,   /* a desk works on it */
	SLOT_COMMIT, /* the spool has it: done() will come */
	SLOT_REPORT  /* verdict stands, to be told in the next step */
};

struct import_slot {
	struct import *im;
	uint8_t state; /* enum slot_state */
	uint32_t next; /* in a list of slots */
	int fd;        /* -1: closed */
	uint64_t size_bytes;
	uint64_t tag;
	void *owner;
	bool forgotten;
	uint8_t kind;
	bool copy, normalise;
	struct envelope_build env; /* eml only */
	struct import_result result;
	struct err error;
	char name[IMPORT_NAME_BYTES];
};

enum desk_state {
	DESK_FREE,
	DESK_SCAN,  /* first pass: digest, flags */
	DESK_ASK,   /* taken before? */
	DESK_TWIN,  /* the same message is being stored right now */
	DESK_PUT,   /* content is staged whole: store it in one go */
	DESK_OPEN,  /* large: start its spool message */
	DESK_COPY,  /* large: second pass into the spool */
	DESK_FINISH /* large: all written */
};

/* A place to work on one file. */
struct import_desk {
	struct import *im;
	struct io_op read;
	struct import_slot *slot;
	uint8_t state; /* enum desk_state */
	bool reading;  /* `read` is in flight */
	bool fresh;    /* a read has ended: at() takes what it gave */
	bool whole;    /* all content is in the stage */
	bool last;     /* second pass: the parser is through */
	int read_error;
	uint64_t buffer_at;
	uint32_t buffer_len;
	uint32_t staged, stage_written;
	uint64_t digest;
	struct postfix_queue_source src;
	struct postfix_queue_info info;
	struct postfix_queue *postfix;
	struct eml eml;
	struct envelope_build scratch; /* for the digest */
	struct intake_digest *hash;
	struct spool_message *message;
	uint8_t *buffer; /* IMPORT_READ_BYTES */
	uint8_t *stage;  /* IMPORT_STAGE_BYTES */
};

struct slot_list {
	uint32_t head, tail;
};

struct import {
	uint32_t magic;
	struct io *io;
	struct spool *sp;
	struct import_ops ops;
	void *user;
	uint32_t window, desk_count;
	uint32_t used; /* slots not free */
	struct import_slot *slots;
	struct import_desk *desks;
	uint64_t *storing; /* by slot: its digest, while it is stored */
	struct slot_list free, ready, report;
	struct import_desk *streaming; /* the one large message being copied */
	struct import_stats stats;
};

/* import.c */
void import_slot_done(struct import_slot *s, enum import_verdict v, uint64_t id,
		      const struct spool_stored *m);
void import_slot_refuse(struct import_slot *s, int code);
/* Slot that stores `digest` right now; IMPORT_NONE. */
uint32_t import_twin(const struct import *im, uint64_t digest);

/* import_desk.c */
int import_desk_init(struct import_desk *d, struct import *im);
void import_desk_fini(struct import_desk *d);
void import_desk_start(struct import_desk *d, struct import_slot *s);
/* Goes on as far as it can. */
void import_desk_run(struct import_desk *d);
/* A slot with this digest has ended; id 0: not stored. */
void import_desk_twin_done(struct import_desk *d, uint64_t digest, uint64_t id);

#endif
