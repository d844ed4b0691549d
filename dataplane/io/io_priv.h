/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_priv.h - the loop's own state, shared by the files of this folder only.
 *
 * Role: the thread that opened the loop, except `woken` and `sleeping`.
 */
#ifndef SLUICE_IO_PRIV_H
#define SLUICE_IO_PRIV_H

#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/un.h>

#include "io/io.h"
#include "sluice/assert.h"

struct io_system;

#define IO_MAGIC         0x696f2d6c6f6f7021ULL
#define IO_TIMER_TICK_NS 250000ULL
#define IO_REGIONS_MAX   16

/* What an operation is; index of the table in io_complete.c. */
enum io_kind {
	IO_KIND_NONE,
	IO_KIND_PLAIN, /* one completion, nothing to resume */
	IO_KIND_OPEN,  /* likewise, and gives a descriptor */
	IO_KIND_ACCEPT,
	IO_KIND_CONNECT,
	IO_KIND_SEND,
	IO_KIND_SENDV,
	IO_KIND_RECV,
	IO_KIND_RECVMSG,
	IO_KIND_SENDMSG,
	IO_KIND_READ,
	IO_KIND_WRITE,
	IO_KIND_POLL,
	IO_KIND_COMMIT,
	IO_KIND_COUNT
};

/* io_op.state */
#define IO_OP_CANCELLED 1u /* do not resume, do not re-arm */
#define IO_OP_POLLING   2u /* waits for the fd to get ready, then once more */
#define IO_OP_FINISHED  4u /* `result` waits for the cancel's own answer */

/* The low bits of user_data; what it points to is aligned to 8. */
enum io_tag {
	IO_TAG_OP,
	IO_TAG_RETRY,  /* the poll before an op is tried again */
	IO_TAG_CANCEL, /* the cancel of an op */
	IO_TAG_PART,   /* struct io_commit_part */
	IO_TAG_FILE,   /* not a pointer: the slot of an update, shifted */
	IO_TAG_NOBODY
};
#define IO_TAG_BITS 3u
#define IO_TAG_MASK 7ULL

/* Memory the kernel reads while it takes a request, one per queue entry. */
union io_slot {
	struct msghdr msg;
	struct sockaddr_storage addr;
	int fd;
};

/* Registered files: a byte per slot, the slot's number is the descriptor's. */
#define IO_SLOT_WANTED 1u  /* its owner has registered it */
#define IO_SLOT_USABLE 2u  /* the kernel has it: requests go by slot */
#define IO_SLOT_BUSY   4u  /* an update is on its way */
#define IO_SLOT_ADDING 8u  /* that one puts a file in */
#define IO_SLOT_STALE  16u /* another update is needed */
struct io_files {
	uint8_t *slots;
	uint32_t count; /* 0: no table */
	bool may_wait;  /* sockets may go by slot, too */
	bool retry;     /* some slot is stale and not busy */
};

/* Provided buffers: a ring of descriptors, and the bytes. */
struct io_buffers {
	struct io_uring_buf_ring *ring;
	uint8_t *bytes;
	size_t map_bytes; /* of both, one mapping from `ring` on */
	uint32_t count;
	uint32_t each_bytes;
};

struct io {
	uint64_t magic;
	struct io_uring ring;
	pthread_t owner;
	union io_slot *slots; /* one per submission queue entry */
	struct io_buffers buffers;
	/* Registered memory. Free: base NULL; given up: len 0. */
	struct iovec regions[IO_REGIONS_MAX];
	uint32_t region_count; /* up to the last one ever used */
	bool region_table;     /* the kernel has one */
	struct io_files files;
	uint32_t in_flight; /* requests whose last CQE is to come */
	uint64_t splits;    /* the kernel took less than was queued */
	uint64_t now_ns;
	struct wheel wheel;
	bool stepping;
	bool closing;

	uint64_t spin_max_ns; /* constant after open */
	uint64_t spin_ns;     /* adapts: spin_max_ns / 16 .. spin_max_ns */

	int wake_fd;
	uint64_t wake_count; /* where the eventfd is read into */
	struct io_op wake_op;
	bool wake_armed;
	void (*wake_fn)(void *user);
	void *wake_user;
	/* Any thread. io_wake() stores `woken`, then loads `sleeping`; the
	 * loop stores `sleeping`, then loads `woken` (both in one total order,
	 * so that at least one of them sees the other). */
	atomic_bool woken;
	atomic_bool sleeping;

	struct io_stats stats;
};

/* io_open.c: arms the read of the eventfd. */
int io_wake_arm(struct io *io);

/* io_submit.c: an empty entry, counted as in flight; submits when the queue
 * is full. NULL: the kernel takes no more just now. */
struct io_uring_sqe *io_sqe(struct io *io);
/* Room for `count` entries in one go. */
bool io_sqe_room(struct io *io, uint32_t count);
void io_sqe_finish(struct io_uring_sqe *sqe, void *who, enum io_tag tag);
union io_slot *io_sqe_slot(struct io *io, const struct io_uring_sqe *sqe);
/* After each io_uring_enter(): was a chain cut in two? */
void io_submitted(struct io *io, uint32_t ready, int res);
/* The registered region that holds all of the buffer; -1: none. */
int io_registered_index(struct io *io, const void *buf, size_t len);

/* io_files.c. Works also without a table: files then go by number. */
int io_files_open(struct io *io, uint32_t asked, const struct io_system *sys);
void io_files_close(struct io *io);
void io_file_updated(struct io *io, uint32_t number, int res);
void io_files_retry(struct io *io);
/* `sqe` is about a file: by slot, if it has one. After io_uring_prep_*(). */
static inline void io_sqe_file(struct io *io, struct io_uring_sqe *sqe)
{
	if ((uint32_t)sqe->fd >= io->files.count ||
	    !(io->files.slots[sqe->fd] & IO_SLOT_USABLE))
		return;
	sqe->flags |= IOSQE_FIXED_FILE;
	io->stats.by_slot++;
}

/* io_prepare.c: fills `sqe` with what is left to do of `op`. */
void io_op_prepare(struct io *io, struct io_op *op, struct io_uring_sqe *sqe);
/* io_prepare.c: which readiness an op waits for after -EAGAIN. */
uint32_t io_op_poll_events(const struct io_op *op);

/* io_complete.c */
void io_op_finish(struct io_op *op, int res);
void io_complete(struct io *io, uint64_t user_data, int res, uint32_t flags);
/* io_commit.c */
void io_commit_part_done(struct io *io, struct io_commit_part *p, int res);
int io_commit_cancel(struct io *io, struct io_commit *c);

/* io_ops.c: one more completion of `op` will come, that of the cancel. */
int io_cancel_start(struct io *io, struct io_op *op);

/* io_buffers.c */
int io_buffers_open(struct io_buffers *b, const struct io_options *o);
void io_buffers_close(struct io_buffers *b);
void io_buffers_give(struct io_buffers *b, uint16_t id);
static inline void *io_buffers_at(const struct io_buffers *b, uint16_t id)
{
	return b->bytes + (size_t)id * b->each_bytes;
}

#endif
