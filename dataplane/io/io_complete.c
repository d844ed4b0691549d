/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_complete.c - what a completion means, kind by kind.
 *
 * Called by io_step() for each entry of the completion queue.
 * Role: the loop's thread. Bound: one callback (two at the end of a cancelled
 * multishot) and at most one new request per completion.
 * Errors: an operation that cannot go on, since the kernel takes no request,
 * ends with -EBUSY.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "io/io_priv.h"

/* `op` may be gone afterwards. */
void io_op_finish(struct io_op *op, int res)
{
	sluice_assert(op->pending > 0);
	op->pending--;
	op->result = res;
	if (op->pending > 0) {
		op->state |= IO_OP_FINISHED;
		return;
	}
	op->done(op, res, 0, NULL);
}

static void op_again(struct io *io, struct io_op *op)
{
	if (op->state & IO_OP_CANCELLED) {
		io_op_finish(op, -ECANCELED);
		return;
	}
	struct io_uring_sqe *sqe = io_sqe(io);
	if (sqe == NULL)
		io_op_finish(op, -EBUSY);
	else
		io_op_prepare(io, op, sqe);
}

/* The kernel waits for readiness by itself except where it cannot: O_NONBLOCK
 * on a descriptor without asynchronous reads. */
static void op_poll(struct io *io, struct io_op *op)
{
	if (op->state & IO_OP_CANCELLED) {
		io_op_finish(op, -ECANCELED);
		return;
	}
	struct io_uring_sqe *sqe = io_sqe(io);
	if (sqe == NULL) {
		io_op_finish(op, -EBUSY);
		return;
	}
	op->state |= IO_OP_POLLING;
	io_uring_prep_poll_add(sqe, op->fd, io_op_poll_events(op));
	io_sqe_file(io, sqe);
	io_sqe_finish(sqe, op, IO_TAG_RETRY);
}

/* True when it was a transient error and the operation goes on. */
static bool op_retried(struct io *io, struct io_op *op, int res)
{
	if (res == -EINTR)
		op_again(io, op);
	else if (res == -EAGAIN)
		op_poll(io, op);
	else
		return false;
	return true;
}

/* The poll of op_poll() has ended. */
static void retry_complete(struct io *io, struct io_op *op, int res)
{
	op->state &= (uint16_t)~IO_OP_POLLING;
	if (res < 0)
		io_op_finish(op, res);
	else
		op_again(io, op);
}

/* Done at once, or at the first error: nothing to resume. */
static void plain_complete(struct io *io, struct io_op *op, int res)
{
	bool has_retry =
		op->kind == IO_KIND_RECVMSG || op->kind == IO_KIND_SENDMSG;
	if (!has_retry || !op_retried(io, op, res))
		io_op_finish(op, res);
}

static int moved_bytes(const struct io_op *op)
{
	return op->moved < INT_MAX ? (int)op->moved : INT_MAX;
}

static bool read_is_over(const struct io_op *op, int res)
{
	return res == 0 || op->offset == IO_STREAM || op->moved == op->len;
}

static void read_complete(struct io *io, struct io_op *op, int res)
{
	if (op_retried(io, op, res))
		return;
	if (res > 0)
		op->moved += (size_t)res;
	if (res < 0)
		io_op_finish(op, res);
	else if (read_is_over(op, res))
		io_op_finish(op, moved_bytes(op));
	else
		op_again(io, op);
}

/* io_send and io_write: all of it, or an error. */
static void write_complete(struct io *io, struct io_op *op, int res)
{
	if (op_retried(io, op, res))
		return;
	if (res > 0)
		op->moved += (size_t)res;
	if (res < 0)
		io_op_finish(op, res);
	else if (op->moved == op->len)
		io_op_finish(op, moved_bytes(op));
	else if (res == 0)
		io_op_finish(op, -EIO); /* would go round for ever */
	else
		op_again(io, op);
}

/* Drops `bytes` from the front of what is left. */
static void iov_consume(struct io_op *op, size_t bytes)
{
	while (op->len > 0 && bytes >= op->iov->iov_len) {
		bytes -= op->iov->iov_len;
		op->iov++;
		op->len--;
	}
	if (bytes > 0) {
		sluice_assert(op->len > 0);
		op->iov->iov_base = (uint8_t *)op->iov->iov_base + bytes;
		op->iov->iov_len -= bytes;
	}
}

static void sendv_complete(struct io *io, struct io_op *op, int res)
{
	if (op_retried(io, op, res))
		return;
	if (res < 0) {
		io_op_finish(op, res);
		return;
	}
	op->moved += (size_t)res;
	iov_consume(op, (size_t)res);
	if (op->len == 0)
		io_op_finish(op, moved_bytes(op));
	else if (res == 0)
		io_op_finish(op, -EIO);
	else
		op_again(io, op);
}

/* A result that says nothing but "once more". */
static bool accept_is_transient(int res)
{
	return res == -EINTR || res == -ECONNABORTED || res == -EPROTO;
}

static void accept_complete(struct io *io, struct io_op *op, int res, bool more)
{
	if (res >= 0)
		op->done(op, res, IO_MORE, NULL);
	if (more)
		return;
	if (res >= 0 || accept_is_transient(res))
		op_again(io, op);
	else if (res == -EAGAIN)
		op_poll(io, op);
	else
		io_op_finish(op, res);
}

static void recv_complete(struct io *io, struct io_op *op, int res,
			  uint32_t flags)
{
	bool more = flags & IORING_CQE_F_MORE;
	bool has_buffer = flags & IORING_CQE_F_BUFFER;
	uint16_t id = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
	if (res > 0) {
		sluice_assert(has_buffer);
		op->done(op, res, IO_MORE, io_buffers_at(&io->buffers, id));
	}
	if (has_buffer)
		io_buffers_give(&io->buffers, id);
	if (more)
		return;
	if (res == -ENOBUFS)
		io->stats.recv_starved++;
	if (res > 0 || res == -ENOBUFS)
		op_again(io, op);
	else if (!op_retried(io, op, res))
		io_op_finish(op, res);
}

/* After a hang-up a new poll would fire at once, for ever. */
static void poll_complete(struct io *io, struct io_op *op, int res, bool more)
{
	if (more) {
		op->done(op, res, IO_MORE, NULL);
		return;
	}
	if (res < 0 || (res & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
		io_op_finish(op, res);
		return;
	}
	op->done(op, res, IO_MORE, NULL);
	op_again(io, op);
}

static void op_complete(struct io *io, struct io_op *op, int res,
			uint32_t flags)
{
	bool more = flags & IORING_CQE_F_MORE;
	switch ((enum io_kind)op->kind) {
	case IO_KIND_ACCEPT:
		accept_complete(io, op, res, more);
		break;
	case IO_KIND_RECV:
		recv_complete(io, op, res, flags);
		break;
	case IO_KIND_POLL:
		poll_complete(io, op, res, more);
		break;
	case IO_KIND_READ:
		read_complete(io, op, res);
		break;
	case IO_KIND_SEND:
	case IO_KIND_WRITE:
		write_complete(io, op, res);
		break;
	case IO_KIND_SENDV:
		sendv_complete(io, op, res);
		break;
	default:
		plain_complete(io, op, res);
	}
}

/* -ENOENT while the operation still runs: the kernel was just moving it from
 * one list to another. -EALREADY: it ends by itself. */
static void cancel_complete(struct io *io, struct io_op *op, int res)
{
	op->pending--;
	if (op->pending == 0)
		op->done(op, op->result, 0, NULL);
	else if (res == -ENOENT)
		(void)io_cancel_start(io, op);
}

void io_complete(struct io *io, uint64_t user_data, int res, uint32_t flags)
{
	void *who = (void *)(uintptr_t)(user_data & ~IO_TAG_MASK);
	io->stats.completed++;
	if (!(flags & IORING_CQE_F_MORE)) {
		sluice_assert(io->in_flight > 0);
		io->in_flight--;
	}
	switch ((enum io_tag)(user_data & IO_TAG_MASK)) {
	case IO_TAG_OP:
		op_complete(io, who, res, flags);
		break;
	case IO_TAG_RETRY:
		retry_complete(io, who, res);
		break;
	case IO_TAG_CANCEL:
		cancel_complete(io, who, res);
		break;
	case IO_TAG_PART:
		io_commit_part_done(io, who, res);
		break;
	case IO_TAG_FILE:
		io_file_updated(io, (uint32_t)(user_data >> IO_TAG_BITS), res);
		break;
	case IO_TAG_NOBODY:
		break;
	}
}
