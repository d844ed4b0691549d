/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_prepare.c - what is left to do of an operation, as a queue entry.
 *
 * Called when an operation starts and each time it goes on: after a short
 * transfer, after -EAGAIN, when a multishot has ended.
 * Role: the loop's thread. Cannot fail.
 */
#include <poll.h>

#include "io/io_priv.h"

/* A request's length is 32 bits, and the kernel cuts at 2 GiB less a page. */
#define PIECE_MAX ((size_t)1 << 30)

static uint32_t piece_bytes(const struct io_op *op)
{
	size_t left = op->len - op->moved;
	return (uint32_t)(left < PIECE_MAX ? left : PIECE_MAX);
}

static uint64_t piece_offset(const struct io_op *op)
{
	return op->offset == IO_STREAM ? IO_STREAM : op->offset + op->moved;
}

static const uint8_t *piece_data(const struct io_op *op)
{
	return (const uint8_t *)op->buf + op->moved;
}

static void prepare_read(struct io *io, struct io_op *op,
			 struct io_uring_sqe *sqe)
{
	uint32_t bytes = piece_bytes(op);
	void *data = (void *)(uintptr_t)piece_data(op);
	int index = io_registered_index(io, data, bytes);
	if (index < 0)
		io_uring_prep_read(sqe, op->fd, data, bytes, piece_offset(op));
	else
		io_uring_prep_read_fixed(sqe, op->fd, data, bytes,
					 piece_offset(op), index);
}

static void prepare_write(struct io *io, struct io_op *op,
			  struct io_uring_sqe *sqe)
{
	uint32_t bytes = piece_bytes(op);
	const void *data = piece_data(op);
	int index = io_registered_index(io, data, bytes);
	if (index < 0)
		io_uring_prep_write(sqe, op->fd, data, bytes, piece_offset(op));
	else
		io_uring_prep_write_fixed(sqe, op->fd, data, bytes,
					  piece_offset(op), index);
}

/* The header lives in the entry's slot: the kernel copies it on submission. */
static void prepare_sendv(struct io *io, struct io_op *op,
			  struct io_uring_sqe *sqe)
{
	union io_slot *slot = io_sqe_slot(io, sqe);
	slot->msg = (struct msghdr){.msg_iov = op->iov, .msg_iovlen = op->len};
	io_uring_prep_sendmsg(sqe, op->fd, &slot->msg,
			      MSG_WAITALL | MSG_NOSIGNAL);
}

static void prepare_recv(struct io_op *op, struct io_uring_sqe *sqe)
{
	io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
}

void io_op_prepare(struct io *io, struct io_op *op, struct io_uring_sqe *sqe)
{
	switch ((enum io_kind)op->kind) {
	case IO_KIND_ACCEPT:
		io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL,
					       SOCK_CLOEXEC | SOCK_NONBLOCK);
		break;
	case IO_KIND_SEND:
		io_uring_prep_send(sqe, op->fd, piece_data(op), piece_bytes(op),
				   MSG_WAITALL | MSG_NOSIGNAL);
		break;
	case IO_KIND_SENDV:
		prepare_sendv(io, op, sqe);
		break;
	case IO_KIND_RECV:
		prepare_recv(op, sqe);
		break;
	case IO_KIND_RECVMSG:
		io_uring_prep_recvmsg(sqe, op->fd,
				      (struct msghdr *)(uintptr_t)op->msg, 0);
		break;
	case IO_KIND_SENDMSG:
		io_uring_prep_sendmsg(sqe, op->fd, op->msg, MSG_NOSIGNAL);
		break;
	case IO_KIND_READ:
		prepare_read(io, op, sqe);
		break;
	case IO_KIND_WRITE:
		prepare_write(io, op, sqe);
		break;
	case IO_KIND_POLL:
		io_uring_prep_poll_multishot(sqe, op->fd, (unsigned)op->len);
		break;
	default:
		sluice_assert(op->kind == IO_KIND_NONE && "never resumed");
	}
	io_sqe_file(io, sqe);
	io_sqe_finish(sqe, op, IO_TAG_OP);
}

uint32_t io_op_poll_events(const struct io_op *op)
{
	switch ((enum io_kind)op->kind) {
	case IO_KIND_SEND:
	case IO_KIND_SENDV:
	case IO_KIND_SENDMSG:
	case IO_KIND_WRITE:
		return POLLOUT;
	default:
		return POLLIN;
	}
}
