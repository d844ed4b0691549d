/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_open.c - sets a loop up and takes it down.
 *
 * Called by each role that has a loop, on its own thread, once.
 * Bound: all memory of the loop is allocated here.
 * Errors: what the host refuses, with a sentence (io_system.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/io_priv.h"
#include "io/io_system.h"
#include "sluice/clock.h"

#define ENTRIES_MIN   (2u * IO_COMMIT_WAVE)
#define ENTRIES_USUAL 256u
#define CQ_PER_SQ     4u
#define CLOSE_WAIT_NS (10 * NS_PER_S)

static int ring_open(struct io *io, const struct io_options *o,
		     const struct io_system *sys, struct err *e)
{
	uint32_t entries = o->entries == 0 ? ENTRIES_USUAL : o->entries;
	if (entries < ENTRIES_MIN)
		entries = ENTRIES_MIN;
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = entries * CQ_PER_SQ};
	int res = sys->setup(entries, &io->ring, &p);
	if (res < 0)
		return io_system_explain(sys, res, "io_uring_setup", e);
	io->slots = calloc(p.sq_entries, sizeof(*io->slots));
	if (io->slots == NULL) {
		io_uring_queue_exit(&io->ring);
		return err_set(e, -ENOMEM, "io loop: out of memory");
	}
	/* Saves a table look-up per call; the loop works without as well. */
	(void)sys->register_ring(&io->ring);
	return 0;
}

static int buffers_open(struct io *io, const struct io_options *o,
			const struct io_system *sys, struct err *e)
{
	int res = io_buffers_open(&io->buffers, o);
	if (res == -EINVAL)
		return err_set(e, res,
			       "receive buffers: the number (%u) must be a "
			       "power of two up to 32768 and the size (%u) "
			       "not 0",
			       o->recv_buffers, o->recv_buffer_bytes);
	if (res < 0)
		return err_set(e, res, "receive buffers: %s", err_name(res));
	if (io->buffers.count == 0)
		return 0;
	struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)io->buffers.ring,
				       .ring_entries = io->buffers.count,
				       .bgid = 0};
	res = sys->register_buf_ring(&io->ring, &reg);
	if (res == 0)
		return 0;
	io_buffers_close(&io->buffers);
	return io_system_explain(sys, res, "io_uring_register (buffer ring)",
				 e);
}

static int wake_open(struct io *io, struct err *e)
{
	io->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (io->wake_fd < 0)
		return err_set(e, -errno, "eventfd: %s", err_name(errno));
	int res = io_wake_arm(io);
	if (res == 0)
		return 0;
	close(io->wake_fd);
	return err_set(e, res, "io loop: %s", err_name(res));
}

static void ring_close(struct io *io)
{
	io_uring_queue_exit(&io->ring);
	io_files_close(io);
	free(io->slots);
}

static int parts_open(struct io *io, const struct io_options *o,
		      const struct io_system *sys, struct err *e)
{
	int res = ring_open(io, o, sys, e);
	if (res < 0)
		return res;
	res = io_files_open(io, o->file_slots, sys);
	if (res < 0)
		err_set(e, res, "io loop: %s", err_name(res));
	else
		res = buffers_open(io, o, sys, e);
	if (res == 0) {
		res = wake_open(io, e);
		if (res == 0)
			return 0;
		/* the ring first: it knows the buffers */
		ring_close(io);
		io_buffers_close(&io->buffers);
		return res;
	}
	ring_close(io);
	return res;
}

int io_open_on(struct io **out, const struct io_options *o,
	       const struct io_system *sys, struct err *e)
{
	int res = io_system_check(sys, e);
	if (res < 0)
		return res;
	struct io *io = calloc(1, sizeof(*io));
	if (io == NULL)
		return err_set(e, -ENOMEM, "io loop: out of memory");
	io->magic = IO_MAGIC;
	io->owner = pthread_self();
	io->spin_max_ns = o->spin_ns;
	io->spin_ns = o->spin_ns;
	io->now_ns = clock_monotonic_ns();
	wheel_init(&io->wheel, IO_TIMER_TICK_NS, io->now_ns);
	atomic_init(&io->woken, false);
	atomic_init(&io->sleeping, false);
	res = parts_open(io, o, sys, e);
	if (res < 0) {
		free(io);
		return res;
	}
	*out = io;
	return 0;
}

int io_open(struct io **out, const struct io_options *o, struct err *e)
{
	return io_open_on(out, o, &io_system_real, e);
}

/* A descriptor that came too late would be lost. */
static void close_arrived(const struct io_uring_cqe *cqe)
{
	if ((cqe->user_data & IO_TAG_MASK) != IO_TAG_OP || cqe->res < 0)
		return;
	const struct io_op *op = io_uring_cqe_get_data(cqe);
	if (op->kind == IO_KIND_ACCEPT || op->kind == IO_KIND_OPEN)
		close(cqe->res);
}

static void drop_completions(struct io *io)
{
	struct io_uring_cqe *cqe;
	unsigned head;
	io_uring_for_each_cqe(&io->ring, head, cqe)
	{
		close_arrived(cqe);
		if (!(cqe->flags & IORING_CQE_F_MORE))
			io->in_flight--;
		io_uring_cq_advance(&io->ring, 1);
	}
}

/* Queue exit alone would let the kernel finish reads and writes later, into
 * memory that is somebody else's by then. */
static void drain(struct io *io)
{
	uint64_t until_ns = clock_monotonic_ns() + CLOSE_WAIT_NS;
	io_submit(io);
	while (io->in_flight > 0 && clock_monotonic_ns() < until_ns) {
		struct io_uring_sync_cancel_reg all = {
			.flags = IORING_ASYNC_CANCEL_ANY |
				 IORING_ASYNC_CANCEL_ALL,
			.timeout = {.tv_sec = 0, .tv_nsec = 0}};
		(void)io_uring_register_sync_cancel(&io->ring, &all);
		struct __kernel_timespec ts = {.tv_sec = 0,
					       .tv_nsec = 10 * NS_PER_MS};
		struct io_uring_cqe *cqe;
		(void)io_uring_submit_and_wait_timeout(&io->ring, &cqe, 1, &ts,
						       NULL);
		drop_completions(io);
	}
}

void io_close(struct io **iop)
{
	struct io *io = *iop;
	if (io == NULL)
		return;
	MAGIC_CHECK(io, IO_MAGIC);
	sluice_assert(!io->stepping &&
		      pthread_equal(io->owner, pthread_self()));
	*iop = NULL;
	drain(io);
	ring_close(io);
	close(io->wake_fd);
	io_buffers_close(&io->buffers);
	io->magic = 0;
	free(io);
}
