/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_ops.c - starts operations.
 *
 * Called by everybody who does I/O, on the loop's thread.
 * Bound: one queue entry per call; nothing is waited for.
 * Errors: -EBUSY and nothing is queued; all else comes in `done`.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "io/io_priv.h"

/* Takes an entry and makes `op` one that is in flight. */
static struct io_uring_sqe *op_begin(struct io *io, struct io_op *op,
				     enum io_kind kind, int fd)
{
	sluice_assert(op->done != NULL && op->pending == 0);
	struct io_uring_sqe *sqe = io_sqe(io);
	if (sqe == NULL)
		return NULL;
	op->pending = 1;
	op->kind = (uint16_t)kind;
	op->fd = fd;
	op->state = 0;
	op->buf = NULL;
	op->len = 0;
	op->moved = 0;
	op->offset = 0;
	return sqe;
}

/* For kinds that io_op_prepare() knows. */
static int op_start(struct io *io, struct io_op *op, enum io_kind kind, int fd,
		    const void *buf, size_t len, uint64_t offset)
{
	struct io_uring_sqe *sqe = op_begin(io, op, kind, fd);
	if (sqe == NULL)
		return -EBUSY;
	op->buf = buf;
	op->len = len;
	op->offset = offset;
	io_op_prepare(io, op, sqe);
	return 0;
}

int io_accept_multi(struct io *io, struct io_op *op, int fd)
{
	return op_start(io, op, IO_KIND_ACCEPT, fd, NULL, 0, 0);
}

int io_connect(struct io *io, struct io_op *op, int fd,
	       const struct sockaddr *sa, socklen_t len)
{
	if (len > sizeof(struct sockaddr_storage))
		return -EINVAL;
	struct io_uring_sqe *sqe = op_begin(io, op, IO_KIND_CONNECT, fd);
	if (sqe == NULL)
		return -EBUSY;
	union io_slot *slot = io_sqe_slot(io, sqe);
	memcpy(&slot->addr, sa, len);
	io_uring_prep_connect(sqe, fd, (struct sockaddr *)&slot->addr, len);
	io_sqe_file(io, sqe);
	io_sqe_finish(sqe, op, IO_TAG_OP);
	return 0;
}

int io_send(struct io *io, struct io_op *op, int fd, const void *buf,
	    size_t len)
{
	return op_start(io, op, IO_KIND_SEND, fd, buf, len, 0);
}

int io_sendv(struct io *io, struct io_op *op, int fd, struct iovec *iov,
	     uint32_t count)
{
	return op_start(io, op, IO_KIND_SENDV, fd, iov, count, 0);
}

int io_recv_multi(struct io *io, struct io_op *op, int fd)
{
	if (io->buffers.count == 0)
		return -ENOBUFS;
	return op_start(io, op, IO_KIND_RECV, fd, NULL, 0, 0);
}

int io_recvmsg(struct io *io, struct io_op *op, int fd, struct msghdr *msg)
{
	return op_start(io, op, IO_KIND_RECVMSG, fd, msg, 0, 0);
}

int io_sendmsg(struct io *io, struct io_op *op, int fd,
	       const struct msghdr *msg)
{
	return op_start(io, op, IO_KIND_SENDMSG, fd, msg, 0, 0);
}

int io_read(struct io *io, struct io_op *op, int fd, void *buf, size_t len,
	    uint64_t offset)
{
	return op_start(io, op, IO_KIND_READ, fd, buf, len, offset);
}

int io_write(struct io *io, struct io_op *op, int fd, const void *buf,
	     size_t len, uint64_t offset)
{
	return op_start(io, op, IO_KIND_WRITE, fd, buf, len, offset);
}

int io_poll_multi(struct io *io, struct io_op *op, int fd, uint32_t events)
{
	return op_start(io, op, IO_KIND_POLL, fd, NULL, events, 0);
}

static int sync_start(struct io *io, struct io_op *op, int fd, uint32_t flags)
{
	struct io_uring_sqe *sqe = op_begin(io, op, IO_KIND_PLAIN, fd);
	if (sqe == NULL)
		return -EBUSY;
	io_uring_prep_fsync(sqe, fd, flags);
	io_sqe_file(io, sqe);
	io_sqe_finish(sqe, op, IO_TAG_OP);
	return 0;
}

int io_fdatasync(struct io *io, struct io_op *op, int fd)
{
	return sync_start(io, op, fd, IORING_FSYNC_DATASYNC);
}

int io_fsync(struct io *io, struct io_op *op, int fd)
{
	return sync_start(io, op, fd, 0);
}

int io_openat(struct io *io, struct io_op *op, int dirfd, const char *path,
	      int flags, uint32_t mode)
{
	struct io_uring_sqe *sqe = op_begin(io, op, IO_KIND_OPEN, dirfd);
	if (sqe == NULL)
		return -EBUSY;
	io_uring_prep_openat(sqe, dirfd, path, flags, mode);
	io_sqe_finish(sqe, op, IO_TAG_OP);
	return 0;
}

int io_renameat(struct io *io, struct io_op *op, int olddir, const char *old,
		int newdir, const char *new_)
{
	struct io_uring_sqe *sqe = op_begin(io, op, IO_KIND_PLAIN, olddir);
	if (sqe == NULL)
		return -EBUSY;
	io_uring_prep_renameat(sqe, olddir, old, newdir, new_, 0);
	io_sqe_finish(sqe, op, IO_TAG_OP);
	return 0;
}

int io_unlinkat(struct io *io, struct io_op *op, int dirfd, const char *path)
{
	struct io_uring_sqe *sqe = op_begin(io, op, IO_KIND_PLAIN, dirfd);
	if (sqe == NULL)
		return -EBUSY;
	io_uring_prep_unlinkat(sqe, dirfd, path, 0);
	io_sqe_finish(sqe, op, IO_TAG_OP);
	return 0;
}

int io_close_fd(struct io *io, int fd)
{
	io_file_unregister(io, fd);
	struct io_uring_sqe *sqe = io_sqe(io);
	if (sqe == NULL) /* a descriptor must not leak: at once, then */
		return close(fd) == 0 ? 0 : -errno;
	io_uring_prep_close(sqe, fd);
	io_sqe_finish(sqe, NULL, IO_TAG_NOBODY);
	return 0;
}

int io_cancel_start(struct io *io, struct io_op *op)
{
	struct io_uring_sqe *sqe = io_sqe(io);
	if (sqe == NULL)
		return -EBUSY;
	enum io_tag tag = op->state & IO_OP_POLLING ? IO_TAG_RETRY : IO_TAG_OP;
	op->pending++;
	io_uring_prep_cancel64(sqe, (uintptr_t)op | tag, 0);
	io_sqe_finish(sqe, op, IO_TAG_CANCEL);
	return 0;
}

/* The operation ends when both its own last completion and the cancel's have
 * come: so a late cancel can never meet the next use of the same memory. */
int io_cancel(struct io *io, struct io_op *op)
{
	if (op->pending == 0)
		return -ENOENT;
	if (op->state & IO_OP_CANCELLED)
		return 0;
	if (op->kind == IO_KIND_COMMIT)
		return io_commit_cancel(io, (struct io_commit *)op);
	int res = io_cancel_start(io, op);
	if (res == 0)
		op->state |= IO_OP_CANCELLED;
	return res;
}
