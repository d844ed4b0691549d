/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io.h - the io_uring loop: operations, timers, buffers.
 *
 * One `struct io` belongs to the thread that opened it (SINGLE_ISSUER,
 * DEFER_TASKRUN) and all its callbacks run inside io_step() on that thread.
 * Only io_wake() may be called from elsewhere. An operation is a struct
 * embedded in its user's own; zero it before its first use; it must stay alive
 * until its `done` has run with IO_MORE not set, and so must what its pointers
 * name (buffers, paths, iovecs, msghdrs; a sockaddr is copied) and its
 * descriptor: the kernel looks the number up late. In that last `done` it may
 * be freed or started again. Nothing here blocks but io_step() and io_close().
 * Errors come as negative errno in `res`.
 */
#ifndef SLUICE_IO_H
#define SLUICE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "sluice/err.h"
#include "sluice/wheel.h"

struct io;
struct io_op;

#define IO_MORE 1u /* more completions of this operation follow */

/* `res` >= 0: bytes, descriptor or 0. For io_recv_multi `data` is the bytes,
 * valid only during the call. */
typedef void io_done_fn(struct io_op *op, int res, uint32_t flags,
			const void *data);

struct io_op {
	io_done_fn *done;
	void *user;
	uint32_t pending; /* completions still to come; managed by io */
	uint16_t kind;
	uint16_t state;
	/* private to io: what it takes to go on after a part was done */
	int fd;
	int result;
	union {
		const void *buf;
		struct iovec *iov;
		const struct msghdr *msg;
	};
	size_t len;
	size_t moved;
	uint64_t offset;
};

struct io_timer {
	struct wheel_entry entry;
	void (*fired)(struct io_timer *t, uint64_t now_ns);
	void *user;
};

struct io_options {
	uint32_t entries;      /* submission queue size, power of two */
	uint32_t recv_buffers; /* provided-buffer ring: count, power of 2 */
	uint32_t recv_buffer_bytes;
	/* Registered files: descriptors below this can have a slot; 0 = none.
	 * Cut to RLIMIT_NOFILE. */
	uint32_t file_slots;
	/* Watch for completions this long before sleeping; 0 = off. Adapts:
	 * what was not worth it is halved down to a sixteenth. */
	uint64_t spin_ns;
};

/* Checks the kernel first: < 6.1, kernel.io_uring_disabled, seccomp and
 * RLIMIT_MEMLOCK each give a sentence in `e` that says what to change. */
int io_open(struct io **out, const struct io_options *o, struct err *e);
/* Cancels what is in flight and waits for it, so that the kernel writes into
 * no buffer afterwards. No callback runs; descriptors that arrive are closed.
 */
void io_close(struct io **io);

/* Submits, waits until something completes, a timer is due or `wait_max_ns`
 * has passed (0 = do not wait, CLOCK_NEVER_NS = no limit), then runs all
 * callbacks. May come back early with nothing done: on a signal, on a wake,
 * when a far timer needs placing anew. */
int io_step(struct io *io, uint64_t wait_max_ns);
/* Monotonic time as of the start of this turn's callbacks. */
uint64_t io_now_ns(const struct io *io);
/* Pushes queued operations to the kernel without waiting. */
int io_submit(struct io *io);
/* Wakes io_step() from another thread (an eventfd write). */
void io_wake(struct io *io);
/* Called when io_wake() was, on the loop's thread. */
void io_on_wake(struct io *io, void (*fn)(void *user), void *user);

/* Descriptors are plain fds, blocking or not, registered or not. Each returns 0
 * or -errno (nothing queued; -EBUSY: the kernel takes no more just now). */

/* `res` is a new descriptor (close-on-exec, non-blocking). Ends with an error
 * only: after -EMFILE and the like the caller decides when to start anew. */
int io_accept_multi(struct io *io, struct io_op *op, int fd);
int io_connect(struct io *io, struct io_op *op, int fd,
	       const struct sockaddr *sa, socklen_t len);
/* Sends ALL of it (MSG_WAITALL, resubmits short sends) or fails. */
int io_send(struct io *io, struct io_op *op, int fd, const void *buf,
	    size_t len);
/* All of several pieces; `iov` must stay alive; it is consumed. */
int io_sendv(struct io *io, struct io_op *op, int fd, struct iovec *iov,
	     uint32_t count);
/* Multishot into the provided-buffer ring; ends with res 0 (EOF) or an error.
 * When buffers run out it re-arms itself. */
int io_recv_multi(struct io *io, struct io_op *op, int fd);
int io_recvmsg(struct io *io, struct io_op *op, int fd, struct msghdr *msg);
int io_sendmsg(struct io *io, struct io_op *op, int fd,
	       const struct msghdr *msg);
/* Reads until `len` or the end of the file. With IO_STREAM (pipes and the
 * like) one read, whatever it gives. */
#define IO_STREAM UINT64_MAX
int io_read(struct io *io, struct io_op *op, int fd, void *buf, size_t len,
	    uint64_t offset);
/* Writes ALL of it or fails; `offset` may be IO_STREAM. */
int io_write(struct io *io, struct io_op *op, int fd, const void *buf,
	     size_t len, uint64_t offset);
int io_fdatasync(struct io *io, struct io_op *op, int fd);
/* All writes, then fdatasync of each distinct fd, linked; `done` runs once,
 * with the first error or 0. The array must stay alive until then. A piece is
 * written at its offset; after an error nothing is known of any piece. */
struct io_write_piece {
	int fd;
	const void *data;
	size_t len;
	uint64_t offset;
};
#define IO_COMMIT_WAVE 16 /* requests in one chain; longer ones take turns */
struct io_commit;
struct io_commit_part {
	struct io_commit *commit;
	const void *data; /* NULL = fdatasync */
	size_t len;
	uint64_t offset;
	int fd;
	uint32_t state;
};
struct io_commit {
	struct io_op op; /* op.done is called once */
	/* private to io */
	const struct io_write_piece *pieces;
	uint32_t count;
	uint32_t next_write; /* first piece not yet in a wave */
	uint32_t next_sync;  /* first piece whose fd is not yet in a wave */
	uint32_t wave;       /* parts in this wave */
	uint32_t parts_left; /* of them still in the kernel */
	uint32_t stalled;    /* waves in a row that got nowhere */
	uint64_t splits;     /* io's count when the wave was queued */
	int first_error;
	struct io_commit_part parts[IO_COMMIT_WAVE];
};
int io_write_sync(struct io *io, struct io_commit *c,
		  const struct io_write_piece *pieces, uint32_t count);
int io_openat(struct io *io, struct io_op *op, int dirfd, const char *path,
	      int flags, uint32_t mode);
int io_renameat(struct io *io, struct io_op *op, int olddir, const char *old,
		int newdir, const char *new_);
int io_unlinkat(struct io *io, struct io_op *op, int dirfd, const char *path);
int io_fsync(struct io *io, struct io_op *op, int fd);
/* Fire and forget, once every operation on `fd` has ended or been cancelled:
 * one that still goes on would meet the number's next owner. */
int io_close_fd(struct io *io, int fd);
/* `res` is the events; ends (IO_MORE not set) on POLLHUP and POLLERR. */
int io_poll_multi(struct io *io, struct io_op *op, int fd, uint32_t events);
/* `op`'s done still runs, mostly with -ECANCELED, never inside this call.
 * -ENOENT: it is not in flight. A second call is fine. */
int io_cancel(struct io *io, struct io_op *op);

/* A long-lived descriptor that the kernel shall keep, so that it need not look
 * the number up each time: operations notice by themselves. Nothing is waited
 * for; until the kernel has it, and where it cannot, `fd` goes by its number,
 * so the result may be ignored: -ENOSPC: the table has no slot for it,
 * -EOPNOTSUPP: there is no table or no IO_FILE_WAITS on this kernel.
 * From then on a close() alone does not close the file: use io_close_fd(), or
 * io_file_unregister() before close(). */
#define IO_FILE_WAITS 1u /* operations on it wait for a peer: needs 6.13 */
int io_file_register(struct io *io, int fd, uint32_t flags);
/* What was started before still means the old file; the number can be another
 * one's at once. Fine for one that is not registered. */
void io_file_unregister(struct io *io, int fd);

/* Memory that reads and writes of files often use, pinned until unregistered:
 * io_read and io_write notice by themselves that a buffer lies in it. All of
 * its pages become resident and count against RLIMIT_MEMLOCK. -ENOMEM with a
 * sentence, -ENOSPC: too many regions; nothing depends on it. */
int io_buffers_register(struct io *io, void *base, size_t len, struct err *e);
/* No operation uses it any more. */
void io_buffers_unregister(struct io *io, const void *base);

/* Timers are exact to the nanosecond they ask for, as far as the kernel wakes
 * the thread in time; never early. io_timer_set() moves a pending one. */
void io_timer_init(struct io_timer *t,
		   void (*fired)(struct io_timer *, uint64_t now_ns),
		   void *user);
void io_timer_set(struct io *io, struct io_timer *t, uint64_t due_ns);
void io_timer_cancel(struct io *io, struct io_timer *t);

struct io_stats {
	uint64_t turns, submitted, completed, enters, recv_starved;
	uint64_t spins, spins_won; /* looked before sleeping; in vain or not */
	uint64_t by_slot;          /* requests on registered files */
	uint64_t by_region;        /* requests with registered buffers */
	uint32_t file_slots;       /* as the kernel granted them; 0: none */
};
void io_stats(const struct io *io, struct io_stats *out);

#endif
