/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_submit.c - the submission queue.
 *
 * Called by whatever starts or resumes an operation, on the loop's thread.
 * Bound: a full queue is pushed to the kernel at once, without waiting.
 * Errors: -EBUSY, -EAGAIN: the kernel takes no more just now.
 */
#include <errno.h>

#include "io/io_priv.h"

/* The kernel may take fewer requests than were queued. A chain that is cut in
 * two there loses its order, so whoever relies on it has to look. */
void io_submitted(struct io *io, uint32_t ready, int res)
{
	io->stats.enters++;
	if (ready > 0 && (io_uring_sq_ready(&io->ring) > 0 ||
			  (res >= 0 && (uint32_t)res < ready)))
		io->splits++;
}

int io_submit(struct io *io)
{
	MAGIC_CHECK(io, IO_MAGIC);
	uint32_t tries = 0;
	uint32_t ready;
	while ((ready = io_uring_sq_ready(&io->ring)) > 0) {
		int res = io_uring_submit(&io->ring);
		io_submitted(io, ready, res);
		if (res == -EINTR)
			continue;
		if (res < 0)
			return res;
		if (res == 0 && ++tries > 3)
			return -EBUSY;
	}
	return 0;
}

bool io_sqe_room(struct io *io, uint32_t count)
{
	if (io_uring_sq_space_left(&io->ring) >= count)
		return true;
	return io_submit(io) == 0 && io_uring_sq_space_left(&io->ring) >= count;
}

struct io_uring_sqe *io_sqe(struct io *io)
{
	MAGIC_CHECK(io, IO_MAGIC);
	sluice_assert(pthread_equal(io->owner, pthread_self()));
	if (!io_sqe_room(io, 1))
		return NULL;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);
	sluice_assert(sqe != NULL);
	io->in_flight++;
	io->stats.submitted++;
	return sqe;
}

void io_sqe_finish(struct io_uring_sqe *sqe, void *who, enum io_tag tag)
{
	sluice_assert(((uintptr_t)who & IO_TAG_MASK) == 0);
	io_uring_sqe_set_data64(sqe, (uintptr_t)who | tag);
}

union io_slot *io_sqe_slot(struct io *io, const struct io_uring_sqe *sqe)
{
	return &io->slots[sqe - io->ring.sq.sqes];
}
