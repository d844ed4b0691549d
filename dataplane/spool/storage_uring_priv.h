/* SPDX-License-Identifier: BSD-2-Clause
 *
 * storage_uring_priv.h - what the two files of the real storage share.
 *
 * Role: spool. storage_uring.c has what goes through the loop,
 * storage_uring_files.c the plain system calls.
 */
#ifndef SLUICE_STORAGE_URING_PRIV_H
#define SLUICE_STORAGE_URING_PRIV_H

#include "io/io.h"
#include "sluice/assert.h"
#include "spool/storage.h"

#define STORAGE_MAGIC 0x73746f7261676521ULL
#define FILE_MAGIC    0x73746f7266696c65ULL

struct storage_file {
	uint64_t magic;
	struct storage_uring *storage;
	int fd;        /* has a slot in the loop's table, if there is room */
	uint32_t busy; /* writes and reads in flight */
	bool closing;  /* close when `busy` is 0 */
};

struct uring_read {
	struct io_op op;
	struct storage_uring *storage;
	struct storage_read *user;
	struct uring_read *next; /* in the pool */
};

struct uring_commit {
	struct io_commit commit;
	struct storage_uring *storage;
	struct storage_commit *user;
	struct io_write_piece *pieces;
	uint32_t pieces_max;
	struct uring_commit *next; /* in the pool */
};

struct storage_uring {
	uint64_t magic;
	struct io *io;
	int dir_fd;
	int lock_fd;        /* -1: not locked */
	uint32_t in_flight; /* commits and reads */
	struct uring_read *reads;
	struct uring_commit *commits;
};

static inline struct storage_uring *uring_of(void *state)
{
	struct storage_uring *s = state;
	MAGIC_CHECK(s, STORAGE_MAGIC);
	return s;
}

static inline int fd_of(const struct storage_file *f)
{
	MAGIC_CHECK(f, FILE_MAGIC);
	sluice_assert(!f->closing);
	return f->fd;
}

extern const struct storage_ops storage_uring_ops;

/* storage_uring.c */
int storage_uring_commit(void *state, struct storage_commit *user);
int storage_uring_read(void *state, struct storage_read *user);
void storage_uring_destroy(void **state);
/* storage_uring_files.c. One commit or read of `f` is over; a file closed
 * meanwhile goes now. */
void storage_uring_file_used(struct storage_file *f);

#endif
