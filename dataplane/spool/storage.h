/* SPDX-License-Identifier: BSD-2-Clause
 *
 * storage.h - the few things the spool asks of a disk.
 *
 * Behind a struct of functions so that tests can put a disk there that forgets
 * un-synced writes, tears them, fails any call, and loses power at any write.
 * Synchronous calls are for start-up, new segments and stop; commit() and
 * read() are asynchronous and complete inside the owner's loop turn.
 * Role: spool. Errors: -errno. Names are relative to the spool directory.
 */
#ifndef SLUICE_STORAGE_H
#define SLUICE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct storage_file; /* opaque, one per open file */

struct storage_write {
	struct storage_file *file;
	const void *data; /* stays alive until done */
	size_t len;
	uint64_t offset;
};

/* Writes, then fdatasync of every file written; `done` once, 0 or the first
 * error. After an error nothing is known of any of the writes. */
struct storage_commit {
	struct storage_write *writes;
	uint32_t count;
	void (*done)(struct storage_commit *c, int res);
	void *user;
	void *impl; /* owned by the storage */
};

struct storage_read {
	struct storage_file *file;
	void *data;
	size_t len;
	uint64_t offset;
	void (*done)(struct storage_read *r, int res); /* bytes or -errno */
	void *user;
	void *impl;
};

#define STORAGE_CREATE 1u /* must not exist */
#define STORAGE_WRITE  2u

struct storage_ops {
	int (*open)(void *s, const char *name, uint32_t flags,
		    struct storage_file **out);
	void (*close)(void *s, struct storage_file **f);
	int (*mkdir)(void *s, const char *name); /* 0 also if it is there */
	int (*list)(void *s, const char *dir,
		    int (*each)(void *user, const char *name), void *user);
	int (*size)(void *s, struct storage_file *f, uint64_t *bytes);
	int (*pread)(void *s, struct storage_file *f, void *buf, size_t len,
		     uint64_t offset, size_t *got); /* short only at the end */
	int (*pwrite)(void *s, struct storage_file *f, const void *buf,
		      size_t len, uint64_t offset);
	int (*sync)(void *s, struct storage_file *f);
	int (*sync_dir)(void *s, const char *dir); /* "" = the spool itself */
	int (*truncate)(void *s, struct storage_file *f, uint64_t bytes);
	int (*preallocate)(void *s, struct storage_file *f, uint64_t bytes);
	int (*rename)(void *s, const char *from, const char *to);
	int (*unlink)(void *s, const char *name);
	int (*free_space)(void *s, uint64_t *bytes, uint64_t *inodes);
	int (*lock)(void *s); /* -EBUSY: another daemon has this spool */
	int (*commit)(void *s, struct storage_commit *c);
	int (*read)(void *s, struct storage_read *r);
	/* Only if it need not wait for the disk: all of it, else -EAGAIN. May
	 * be NULL. */
	int (*read_now)(void *s, struct storage_file *f, void *buf, size_t len,
			uint64_t offset);
	/* Begins to read ahead, without waiting. May be NULL. */
	void (*prefetch)(void *s, struct storage_file *f, size_t len,
			 uint64_t offset);
	void (*destroy)(void **s);
};

struct storage {
	const struct storage_ops *ops;
	void *state;
};

struct io;
struct err;
/* The real one: `dir` is created if it is not there (mode 0700). */
int storage_uring_create(struct io *io, const char *dir, struct storage *out,
			 struct err *e);

#endif
