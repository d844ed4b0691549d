/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import.h - takes custody of message files.
 *
 * Role: worker, on the thread that also plays spool. The command socket hands
 * in open files; each is read (io_uring), its digest asked for, stored, and
 * reported when that is durable. Never sends: everything starts held.
 * Bound: `window` files at a time, `desks` of them being read, each with
 * IMPORT_DESK_BYTES of buffers, whatever the size of the file. Only a message
 * with more than 64 recipients, or more than 16 KiB of envelope, allocates.
 */
#ifndef SLUICE_INTAKE_IMPORT_H
#define SLUICE_INTAKE_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/envelope.h"
#include "sluice/err.h"

struct import;
struct io;
struct spool;
struct spool_stored;

#define IMPORT_NAME_BYTES 256u
#define IMPORT_DESK_BYTES (768u << 10)

enum import_kind { IMPORT_POSTFIX, IMPORT_EML };

struct import_file {
	int fd;                     /* a regular file, open for reading */
	const char *name;           /* postfix: the queue id; copied */
	uint64_t tag;               /* comes back with the result */
	void *owner;                /* the same; see import_forget() */
	uint8_t kind;               /* enum import_kind */
	bool copy;                  /* SPOOL_COPY: not to be released yet */
	bool normalise;             /* repair bare CR and LF */
	const struct envelope *env; /* eml only; copied */
};

enum import_verdict { IMPORT_TAKEN, IMPORT_KNOWN, IMPORT_REFUSED };

struct import_result {
	uint64_t tag;
	void *owner;
	uint8_t verdict;                   /* enum import_verdict */
	uint64_t id;                       /* taken, known: durable */
	const struct spool_stored *stored; /* taken: valid during the call */
	int code;                          /* refused: negative errno */
	const char *error; /* refused: one sentence; valid during the call */
};

struct import_ops {
	/* Is a message of this digest in custody, durably? Then its id. From
	 * the moment done() was called with IMPORT_TAKEN this must say yes. */
	bool (*known)(void *user, uint64_t digest, uint64_t *id);
	/* May call import_submit(). */
	void (*done)(void *user, const struct import_result *r);
};

struct import_options {
	uint32_t window; /* 256 if 0 */
	uint32_t desks;  /* 16 if 0 */
};

int import_create(struct import **out, struct io *io, struct spool *sp,
		  const struct import_options *o, const struct import_ops *ops,
		  void *user);
/* Only when import_idle(), or after both io and spool were closed. */
void import_destroy(struct import **im);

/* 0: the descriptor is ours and will be closed, done() will be called, not
 * before this returns. -EAGAIN: the window is full. -EINVAL: no regular file, a
 * name that is too long, no envelope for eml; -E2BIG, -ENOMEM: its envelope. */
int import_submit(struct import *im, const struct import_file *f);
/* Once per loop turn, before spool_step(); not from within a callback of the
 * spool. */
void import_step(struct import *im);
bool import_idle(const struct import *im);
/* How many more import_submit() would take. */
uint32_t import_room(const struct import *im);
/* The one who asked is gone: what is under way is finished, not reported. */
void import_forget(struct import *im, const void *owner);

struct import_stats {
	uint64_t taken, known, refused;
	uint64_t bytes; /* of content taken */
	uint64_t again; /* times a desk waited for room in the spool */
};
void import_stats(const struct import *im, struct import_stats *out);

#endif
