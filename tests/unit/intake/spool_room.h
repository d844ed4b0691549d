/* SPDX-License-Identifier: BSD-2-Clause
 *
 * spool_room.h - an io loop and a spool in a scratch directory, for tests.
 *
 * What was stored can be read back with its envelope and content. A wait that
 * takes longer than ROOM_WAIT_NS fails instead of hanging.
 */
#ifndef SPOOL_ROOM_H
#define SPOOL_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/io.h"
#include "sluice/clock.h"
#include "spool/spool.h"
#include "spool/storage.h"

#define ROOM_WAIT_NS (30 * NS_PER_S)

struct room {
	char dir[64];
	struct io *io;
	struct storage st;
	struct spool *sp;
	void (*step)(void *user); /* the engine under test */
	void *user;
};

static inline void room_open_in(struct room *r, const char *base,
				const struct spool_options *o)
{
	struct io_options io = {.entries = 256, .file_slots = 256};
	struct spool_options none = {0};
	char spool[80];
	struct err e;

	memset(r, 0, sizeof(*r));
	snprintf(r->dir, sizeof(r->dir), "%s/sluice-intake-XXXXXX", base);
	assert_non_null(mkdtemp(r->dir));
	snprintf(spool, sizeof(spool), "%s/spool", r->dir);
	if (io_open(&r->io, &io, &e))
		fail_msg("%s", e.text);
	if (storage_uring_create(r->io, spool, &r->st, &e))
		fail_msg("%s", e.text);
	if (spool_open(&r->sp, &r->st, o ? o : &none, NULL, NULL, &e))
		fail_msg("%s", e.text);
}

static inline void room_open(struct room *r, const struct spool_options *o)
{
	room_open_in(r, "/tmp", o);
}

static inline void room_turn(struct room *r)
{
	io_step(r->io, 20 * NS_PER_MS);
	if (r->step)
		r->step(r->user);
	spool_step(r->sp);
}

static inline int room_unlink(const char *path, const struct stat *st, int type,
			      struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static inline void room_close(struct room *r)
{
	uint64_t until = clock_monotonic_ns() + ROOM_WAIT_NS;

	while (!spool_idle(r->sp)) {
		assert_true(clock_monotonic_ns() < until);
		room_turn(r);
	}
	spool_close(&r->sp);
	r->st.ops->destroy(&r->st.state);
	io_close(&r->io);
	nftw(r->dir, room_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* A stored message, read back from disk. Free `bytes`. */
struct room_record {
	uint8_t *bytes;
	struct spool_record rec;
	const char *content;
	struct envelope_rcpt rcpts[512];
};

static inline void room_read_done(struct spool_read *r, int res)
{
	*(int *)r->user = res;
}

static inline void room_read(struct room *r, const struct spool_place *p,
			     struct room_record *out)
{
	size_t len = (size_t)p->record_bytes_div8 * 8;
	uint64_t until = clock_monotonic_ns() + ROOM_WAIT_NS;
	struct spool_read op = {.done = room_read_done};
	int res = -EINPROGRESS;

	memset(out, 0, sizeof(*out));
	op.user = &res;
	out->bytes = malloc(len);
	assert_int_equal(spool_read(r->sp, &op, p, 0, out->bytes, len), 0);
	while (res == -EINPROGRESS) {
		assert_true(clock_monotonic_ns() < until);
		room_turn(r);
	}
	assert_int_equal(res, len);
	assert_int_equal(spool_record_decode(out->bytes, len, &out->rec,
					     out->rcpts, 512),
			 0);
	out->content = (const char *)out->bytes + out->rec.content_offset;
}

#endif
