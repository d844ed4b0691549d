/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_commit.c - many writes, then fdatasync of every file written.
 *
 * Called by the spool's storage, on the loop's thread.
 * Requests go out in waves of at most IO_COMMIT_WAVE. A commit that fits into
 * one wave is a chain per file: its writes, then its fdatasync, each waiting
 * for the one before; files go on side by side. A longer one writes in waves
 * and syncs in the last ones, which start when all writes are over. A chain
 * breaks at an error and at a short write; what it left undone, and the rest of
 * a short piece, goes into the next wave. When the kernel took only part of
 * what was queued, a chain may have been cut in two and its sync may have run
 * too early: it is done once more. Bound: memory lies in struct io_commit;
 * waves that get nowhere are counted. Errors: the first one; nothing more is
 * started after it.
 */
#include <errno.h>

#include "io/io_priv.h"

#define STALLED_MAX 64u
#define WRITE_MAX   ((size_t)1 << 30)

enum part_state { PART_WAITING, PART_DONE };

static bool part_is_sync(const struct io_commit_part *p)
{
	return p->data == NULL;
}

static struct io_commit_part *part_add(struct io_commit *c, int fd)
{
	sluice_assert(c->wave < IO_COMMIT_WAVE);
	struct io_commit_part *p = &c->parts[c->wave++];
	*p = (struct io_commit_part){.commit = c, .fd = fd};
	return p;
}

/* Is this the first piece of its file? */
static bool piece_is_first(const struct io_commit *c, uint32_t i)
{
	for (uint32_t k = i; k > 0; k--)
		if (c->pieces[k - 1].fd == c->pieces[i].fd)
			return false;
	return true;
}

static void write_add(struct io_commit *c, const struct io_write_piece *w)
{
	if (w->len == 0)
		return;
	struct io_commit_part *p = part_add(c, w->fd);
	p->data = w->data;
	p->len = w->len;
	p->offset = w->offset;
}

/* All of it at once: file by file, the sync behind the writes. */
static void wave_fill_whole(struct io_commit *c)
{
	for (uint32_t i = 0; i < c->count; i++) {
		if (!piece_is_first(c, i))
			continue;
		for (uint32_t k = i; k < c->count; k++)
			if (c->pieces[k].fd == c->pieces[i].fd)
				write_add(c, &c->pieces[k]);
		part_add(c, c->pieces[i].fd);
	}
	c->next_write = c->count;
	c->next_sync = c->count;
}

static bool commit_is_short(const struct io_commit *c)
{
	uint32_t parts = c->count;
	if (parts > IO_COMMIT_WAVE)
		return false;
	for (uint32_t i = 0; i < c->count; i++)
		parts += piece_is_first(c, i);
	return parts <= IO_COMMIT_WAVE;
}

/* Tops the wave up; syncs only when no write is left to wait for. */
static void wave_fill(struct io_commit *c)
{
	while (c->next_write < c->count && c->wave < IO_COMMIT_WAVE)
		write_add(c, &c->pieces[c->next_write++]);
	if (c->wave > 0)
		return;
	while (c->next_sync < c->count && c->wave < IO_COMMIT_WAVE) {
		uint32_t i = c->next_sync++;
		if (piece_is_first(c, i))
			part_add(c, c->pieces[i].fd);
	}
}

static void part_prepare(struct io *io, struct io_commit_part *p, bool link)
{
	struct io_uring_sqe *sqe = io_sqe(io);
	sluice_assert(sqe != NULL);
	uint32_t bytes = (uint32_t)(p->len < WRITE_MAX ? p->len : WRITE_MAX);
	int index =
		part_is_sync(p) ? -1 : io_registered_index(io, p->data, bytes);
	if (part_is_sync(p))
		io_uring_prep_fsync(sqe, p->fd, IORING_FSYNC_DATASYNC);
	else if (index < 0)
		io_uring_prep_write(sqe, p->fd, p->data, bytes, p->offset);
	else
		io_uring_prep_write_fixed(sqe, p->fd, p->data, bytes, p->offset,
					  index);
	io_sqe_file(io, sqe);
	if (link)
		sqe->flags |= IOSQE_IO_LINK;
	io_sqe_finish(sqe, p, IO_TAG_PART);
}

/* A chain must lie in one submission, so there must be room for all of it. */
static int wave_submit(struct io *io, struct io_commit *c)
{
	if (!io_sqe_room(io, c->wave))
		return -EBUSY;
	c->parts_left = c->wave;
	c->splits = io->splits;
	for (uint32_t i = 0; i < c->wave; i++)
		part_prepare(io, &c->parts[i],
			     i + 1 < c->wave &&
				     c->parts[i].fd == c->parts[i + 1].fd);
	return 0;
}

static bool wave_has_writes(const struct io_commit *c)
{
	for (uint32_t i = 0; i < c->wave; i++)
		if (!part_is_sync(&c->parts[i]))
			return true;
	return false;
}

/* Keeps what is still to do, in its order. */
static void wave_compact(struct io *io, struct io_commit *c)
{
	bool resync = c->splits != io->splits && wave_has_writes(c);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < c->wave; i++) {
		struct io_commit_part *p = &c->parts[i];
		if (p->state == PART_DONE && !(resync && part_is_sync(p)))
			continue;
		p->state = PART_WAITING;
		c->parts[kept++] = *p;
	}
	c->wave = kept;
}

static void wave_end(struct io *io, struct io_commit *c)
{
	int res = c->first_error;
	if (res == 0) {
		c->stalled++;
		wave_compact(io, c);
		wave_fill(c);
		if (c->wave == 0)
			res = 0;
		else if (c->op.state & IO_OP_CANCELLED)
			res = -ECANCELED;
		else if (c->stalled > STALLED_MAX)
			res = -EIO;
		else if ((res = wave_submit(io, c)) == 0)
			return;
	}
	io_op_finish(&c->op, res);
}

static void write_done(struct io_commit_part *p, int res)
{
	if ((size_t)res >= p->len) {
		p->state = PART_DONE;
		return;
	}
	p->data = (const uint8_t *)p->data + res;
	p->len -= (size_t)res;
	p->offset += (uint64_t)res;
}

/* Not done, and no error: the chain broke before it, or it was disturbed. */
static bool part_is_waiting(const struct io_commit_part *p, int res)
{
	if (res == -ECANCELED)
		return true;
	return !part_is_sync(p) && (res == -EINTR || res == -EAGAIN);
}

void io_commit_part_done(struct io *io, struct io_commit_part *p, int res)
{
	struct io_commit *c = p->commit;
	sluice_assert(c->parts_left > 0);
	c->parts_left--;
	if (res > 0 || (res == 0 && part_is_sync(p))) {
		c->stalled = 0;
		if (part_is_sync(p))
			p->state = PART_DONE;
		else
			write_done(p, res);
	} else if (!part_is_waiting(p, res) && c->first_error == 0) {
		c->first_error = res == 0 ? -EIO : res;
	}
	if (c->parts_left == 0)
		wave_end(io, c);
}

int io_commit_cancel(struct io *io, struct io_commit *c)
{
	if (!io_sqe_room(io, c->wave))
		return -EBUSY;
	c->op.state |= IO_OP_CANCELLED;
	for (uint32_t i = 0; i < c->wave; i++) {
		struct io_uring_sqe *sqe = io_sqe(io);
		sluice_assert(sqe != NULL);
		io_uring_prep_cancel64(
			sqe, (uintptr_t)&c->parts[i] | IO_TAG_PART, 0);
		io_sqe_finish(sqe, NULL, IO_TAG_NOBODY);
	}
	return 0;
}

int io_write_sync(struct io *io, struct io_commit *c,
		  const struct io_write_piece *pieces, uint32_t count)
{
	MAGIC_CHECK(io, IO_MAGIC);
	sluice_assert(c->op.done != NULL && c->op.pending == 0);
	if (count == 0)
		return -EINVAL;
	c->pieces = pieces;
	c->count = count;
	c->next_write = 0;
	c->next_sync = 0;
	c->wave = 0;
	c->stalled = 0;
	c->first_error = 0;
	if (commit_is_short(c))
		wave_fill_whole(c);
	else
		wave_fill(c);
	int res = wave_submit(io, c);
	if (res < 0)
		return res;
	c->op.kind = IO_KIND_COMMIT;
	c->op.state = 0;
	c->op.pending = 1;
	return 0;
}
