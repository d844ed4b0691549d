/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_step.c - one turn of the loop; wakes and timers.
 *
 * Called by the role that owns the loop, in a loop of its own.
 * Bound: one turn runs at most the completions and timers there are when their
 * stage begins, so that neither starves the other.
 * Errors: -errno only when the ring itself is unusable.
 */
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "io/io_priv.h"
#include "sluice/clock.h"

#define SPIN_LOOKS       32u /* looks between two readings of the clock */
#define SPIN_MIN_SHARE   16u
#define SLEEP_LONGEST_NS (3600 * NS_PER_S)

static bool kernel_has_work(const struct io *io)
{
	return (IO_URING_READ_ONCE(*io->ring.sq.kflags) &
		(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static bool io_is_ready(struct io *io)
{
	return io_uring_cq_ready(&io->ring) > 0 || kernel_has_work(io) ||
	       atomic_load_explicit(&io->woken, memory_order_relaxed);
}

/* Nothing to wait for: submits and collects in one call, or in none. */
static int enter_now(struct io *io)
{
	uint32_t ready = io_uring_sq_ready(&io->ring);
	if (ready == 0 && !kernel_has_work(io))
		return 0;
	int res = io_uring_submit_and_get_events(&io->ring);
	io_submitted(io, ready, res);
	return res;
}

static int enter_wait(struct io *io, uint64_t wait_ns)
{
	if (wait_ns > SLEEP_LONGEST_NS)
		wait_ns = SLEEP_LONGEST_NS;
	struct __kernel_timespec ts = {.tv_sec = (int64_t)(wait_ns / NS_PER_S),
				       .tv_nsec =
					       (long long)(wait_ns % NS_PER_S)};
	struct io_uring_cqe *cqe;
	uint32_t ready = io_uring_sq_ready(&io->ring);
	int res =
		io_uring_submit_and_wait_timeout(&io->ring, &cqe, 1, &ts, NULL);
	io_submitted(io, ready, res);
	return res;
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

static bool spin_until(struct io *io, uint64_t until_ns)
{
	do {
		for (uint32_t i = 0; i < SPIN_LOOKS; i++) {
			if (io_is_ready(io))
				return true;
			cpu_relax();
		}
		/* who is awaited may need this very processor */
		sched_yield();
	} while (clock_monotonic_ns() < until_ns);
	return io_is_ready(io);
}

/* Looks for up to spin_ns before it lets the thread sleep, for waking a
 * sleeping processor can take longer than the answer. Returns true when there
 * is something to do. */
static bool spin(struct io *io, uint64_t now_ns, uint64_t due_ns)
{
	uint64_t until_ns = now_ns + io->spin_ns;
	if (until_ns > due_ns)
		until_ns = due_ns;
	io->stats.spins++;
	if (spin_until(io, until_ns) || until_ns == due_ns) {
		io->stats.spins_won++;
		return true;
	}
	if (io->spin_ns / 2 >= io->spin_max_ns / SPIN_MIN_SHARE)
		io->spin_ns /= 2;
	return false;
}

static int sleep_until(struct io *io, uint64_t now_ns, uint64_t due_ns)
{
	int res = 0;
	atomic_store(&io->sleeping, true);
	if (!atomic_load(&io->woken))
		res = enter_wait(io, due_ns - now_ns);
	atomic_store_explicit(&io->sleeping, false, memory_order_release);
	/* it would have been worth a longer look */
	if (io->spin_max_ns > 0 &&
	    clock_monotonic_ns() - now_ns < io->spin_max_ns)
		io->spin_ns = io->spin_max_ns;
	return res;
}

static int wait_until(struct io *io, uint64_t now_ns, uint64_t due_ns)
{
	if (due_ns <= now_ns || io_is_ready(io))
		return enter_now(io);
	if (io->spin_ns == 0)
		return sleep_until(io, now_ns, due_ns);
	int res = enter_now(io);
	if (res < 0 || io_is_ready(io))
		return res;
	if (spin(io, now_ns, due_ns))
		return enter_now(io);
	now_ns = clock_monotonic_ns();
	return due_ns <= now_ns ? 0 : sleep_until(io, now_ns, due_ns);
}

/* Submits, and waits if `wait_max_ns` and the timers allow it. */
static int io_collect(struct io *io, uint64_t wait_max_ns)
{
	int res;
	if (wait_max_ns == 0) {
		res = enter_now(io);
	} else {
		uint64_t now_ns = clock_monotonic_ns();
		uint64_t due_ns = wheel_next_ns(&io->wheel);
		if (wait_max_ns < CLOCK_NEVER_NS - now_ns &&
		    now_ns + wait_max_ns < due_ns)
			due_ns = now_ns + wait_max_ns;
		res = wait_until(io, now_ns, due_ns);
	}
	switch (res) {
	case -ETIME:
	case -EINTR:
	case -EAGAIN: /* short of memory, or of completion queue: */
	case -EBUSY:  /* taking completions helps */
		return 0;
	default:
		return res < 0 ? res : 0;
	}
}

static void io_run_completions(struct io *io)
{
	uint32_t left = io->ring.cq.ring_entries;
	struct io_uring_cqe *cqe;
	unsigned head;
	io_uring_for_each_cqe(&io->ring, head, cqe)
	{
		uint64_t user_data = cqe->user_data;
		int res = cqe->res;
		uint32_t flags = cqe->flags;
		io_uring_cq_advance(&io->ring, 1);
		io_complete(io, user_data, res, flags);
		if (--left == 0)
			break;
	}
}

static void io_run_wakes(struct io *io)
{
	if (!atomic_load_explicit(&io->woken, memory_order_relaxed))
		return;
	/* acquire pairs with the store in io_wake() */
	if (atomic_exchange(&io->woken, false) && io->wake_fn != NULL)
		io->wake_fn(io->wake_user);
}

_Static_assert(offsetof(struct io_timer, entry) == 0, "cast below");

static void io_run_timers(struct io *io)
{
	for (uint32_t left = io->wheel.count; left > 0; left--) {
		struct wheel_entry *e = wheel_expire(&io->wheel, io->now_ns);
		if (e == NULL)
			break;
		struct io_timer *t = (struct io_timer *)e;
		t->fired(t, io->now_ns);
	}
}

int io_step(struct io *io, uint64_t wait_max_ns)
{
	MAGIC_CHECK(io, IO_MAGIC);
	sluice_assert(!io->stepping);
	sluice_assert(pthread_equal(io->owner, pthread_self()));
	if (!io->wake_armed)
		(void)io_wake_arm(io);
	if (io->files.retry)
		io_files_retry(io);
	int res = io_collect(io, wait_max_ns);
	io->stepping = true;
	io->now_ns = clock_monotonic_ns();
	io->stats.turns++;
	io_run_completions(io);
	io_run_wakes(io);
	io_run_timers(io);
	io->stepping = false;
	return res;
}

uint64_t io_now_ns(const struct io *io)
{
	return io->now_ns;
}

void io_wake(struct io *io)
{
	MAGIC_CHECK(io, IO_MAGIC);
	atomic_store(&io->woken, true);
	if (!atomic_load(&io->sleeping))
		return; /* it looks at `woken` before it sleeps */
	uint64_t one = 1;
	/* fails only when the counter is full: then it is readable anyway */
	ssize_t n = write(io->wake_fd, &one, sizeof(one));
	(void)n;
}

void io_on_wake(struct io *io, void (*fn)(void *user), void *user)
{
	io->wake_fn = fn;
	io->wake_user = user;
}

static void wake_read(struct io_op *op, int res, uint32_t flags,
		      const void *data)
{
	struct io *io = op->user;
	io->wake_armed = false;
	(void)io_wake_arm(io); /* else the next turn does it */
}

int io_wake_arm(struct io *io)
{
	io->wake_op.done = wake_read;
	io->wake_op.user = io;
	int res = io_read(io, &io->wake_op, io->wake_fd, &io->wake_count,
			  sizeof(io->wake_count), IO_STREAM);
	io->wake_armed = res == 0;
	return res;
}

void io_timer_init(struct io_timer *t,
		   void (*fired)(struct io_timer *, uint64_t now_ns),
		   void *user)
{
	wheel_entry_init(&t->entry);
	t->fired = fired;
	t->user = user;
}

void io_timer_set(struct io *io, struct io_timer *t, uint64_t due_ns)
{
	MAGIC_CHECK(io, IO_MAGIC);
	sluice_assert(t->fired != NULL);
	wheel_insert(&io->wheel, &t->entry, due_ns);
}

void io_timer_cancel(struct io *io, struct io_timer *t)
{
	MAGIC_CHECK(io, IO_MAGIC);
	wheel_cancel(&io->wheel, &t->entry);
}

void io_stats(const struct io *io, struct io_stats *out)
{
	*out = io->stats;
}
