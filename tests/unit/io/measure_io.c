/* SPDX-License-Identifier: BSD-2-Clause
 *
 * measure_io.c - the figures in docs/io.md. Not a test: it never fails.
 *
 *   measure_io commit|wake|timer|socket [SPIN_US]
 *
 * Files go into the current directory, for that is the disk in question.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/io.h"
#include "sluice/clock.h"

#define SAMPLES 2000
#define FILES   2
#define BYTES   (64u << 20)

static uint64_t spin_ns;
static uint64_t sample_ns[SAMPLES];

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void report(const char *what, uint32_t count)
{
	uint32_t middle = count / 2;
	uint32_t late = count * 99 / 100;
	qsort(sample_ns, count, sizeof(sample_ns[0]), compare);
	printf("%-34s median %7.1f us   p99 %7.1f us\n", what,
	       (double)sample_ns[middle] / 1e3, (double)sample_ns[late] / 1e3);
}

static struct io *loop_open(void)
{
	struct io *io = NULL;
	struct io_options o = {.entries = 1024,
			       .recv_buffers = 256,
			       .recv_buffer_bytes = 2048,
			       .spin_ns = spin_ns};
	struct err e = {""};
	if (io_open(&io, &o, &e) != 0) {
		fprintf(stderr, "measure_io: %s\n", e.text);
		exit(1);
	}
	return io;
}

static void count_up(struct io_op *op, int res, uint32_t flags,
		     const void *data)
{
	uint32_t *calls = op->user;
	if (res < 0)
		fprintf(stderr, "measure_io: %s\n", err_name(res));
	(*calls)++;
}

static void wait_for(struct io *io, const uint32_t *calls, uint32_t want)
{
	while (*calls < want)
		io_step(io, CLOCK_NEVER_NS);
}

/* ---- commit: pieces of 16 KiB, appended to preallocated files ---- */

#define PIECE 16384u

static int file_make(int mode)
{
	char path[] = "measure-XXXXXX";
	int fd = mkstemp(path);
	unlink(path);
	if (mode >= 0 && fallocate(fd, mode, 0, BYTES) != 0)
		perror("fallocate");
	fsync(fd);
	return fd;
}

static void commit_run(const char *what, uint32_t pieces, uint32_t files,
		       int mode)
{
	enum { COUNT = 300 };
	static char data[PIECE];
	struct io *io = loop_open();
	int fd[FILES] = {file_make(mode), file_make(mode)};
	uint64_t at[FILES] = {0, 0};
	uint32_t calls = 0;
	struct io_commit c = {.op = {.done = count_up, .user = &calls}};
	for (uint32_t n = 0; n < COUNT; n++) {
		struct io_write_piece p[16];
		for (uint32_t i = 0; i < pieces; i++) {
			uint32_t k = i % files;
			p[i] = (struct io_write_piece){fd[k], data,
						       PIECE / pieces, at[k]};
			at[k] += PIECE / pieces;
		}
		uint64_t from_ns = clock_monotonic_ns();
		io_write_sync(io, &c, p, pieces);
		wait_for(io, &calls, n + 1);
		sample_ns[n] = clock_monotonic_ns() - from_ns;
	}
	report(what, COUNT);
	close(fd[0]);
	close(fd[1]);
	io_close(&io);
}

static void plain_run(const char *what)
{
	enum { COUNT = 300 };
	static char data[PIECE];
	int fd = file_make(FALLOC_FL_KEEP_SIZE);
	for (uint32_t n = 0; n < COUNT; n++) {
		uint64_t from_ns = clock_monotonic_ns();
		if (pwrite(fd, data, PIECE, (off_t)n * PIECE) != PIECE ||
		    fdatasync(fd) != 0)
			perror("pwrite, fdatasync");
		sample_ns[n] = clock_monotonic_ns() - from_ns;
	}
	report(what, COUNT);
	close(fd);
}

static void measure_commit(void)
{
	plain_run("pwrite + fdatasync, no io_uring");
	commit_run("1 piece, 1 file", 1, 1, FALLOC_FL_KEEP_SIZE);
	commit_run("8 pieces, 1 file", 8, 1, FALLOC_FL_KEEP_SIZE);
	commit_run("2 pieces, 2 files", 2, 2, FALLOC_FL_KEEP_SIZE);
	commit_run("1 piece, size set by fallocate", 1, 1, 0);
	commit_run("1 piece, not preallocated", 1, 1, -1);
}

/* ---- wake: from another thread until the callback runs ---- */

static _Atomic uint64_t wake_ns;
static uint32_t wake_count;
static atomic_bool stop;
static struct io *wake_io;

static void woken(void *user)
{
	if (wake_count < SAMPLES)
		sample_ns[wake_count++] =
			clock_monotonic_ns() - atomic_load(&wake_ns);
}

static void *waker(void *pause_us)
{
	for (uint32_t i = 0; i < SAMPLES; i++) {
		usleep(*(unsigned *)pause_us);
		atomic_store(&wake_ns, clock_monotonic_ns());
		io_wake(wake_io);
	}
	atomic_store(&stop, true);
	return NULL;
}

static void measure_wake(void)
{
	unsigned pause_us = 200;
	pthread_t t;
	wake_io = loop_open();
	io_on_wake(wake_io, woken, NULL);
	pthread_create(&t, NULL, waker, &pause_us);
	/* two wakes that meet count once, so there may be fewer */
	while (!atomic_load(&stop))
		io_step(wake_io, 100 * NS_PER_MS);
	pthread_join(t, NULL);
	report("wake until callback", wake_count);
	io_close(&wake_io);
}

/* ---- timer: how late one fires that is due in 300 us ---- */

struct late {
	struct io_timer timer;
	uint64_t due_ns;
	uint32_t fired;
};

static void fired(struct io_timer *t, uint64_t now_ns)
{
	struct late *l = t->user;
	sample_ns[l->fired++] = now_ns - l->due_ns;
}

static void measure_timer(void)
{
	struct io *io = loop_open();
	struct late l = {.fired = 0};
	io_timer_init(&l.timer, fired, &l);
	for (uint32_t i = 0; i < SAMPLES; i++) {
		l.due_ns = clock_monotonic_ns() + 300 * NS_PER_US;
		io_timer_set(io, &l.timer, l.due_ns);
		while (l.fired == i)
			io_step(io, CLOCK_NEVER_NS);
	}
	report("timer, late by", SAMPLES);
	io_close(&io);
}

/* ---- socket: one byte there and back, two loops in two threads; then many
 * pairs in one loop ---- */

static int pair[2];

struct echo {
	struct io *io;
	struct io_op recv;
	struct io_op send;
	int fd;
	uint32_t received;
	uint32_t sent;
	bool answers;
	char byte;
};

static void echo_sent(struct io_op *op, int res, uint32_t flags,
		      const void *data)
{
	struct echo *e = op->user;
	e->sent++;
}

static void echo_received(struct io_op *op, int res, uint32_t flags,
			  const void *data)
{
	struct echo *e = op->user;
	if (res <= 0)
		return;
	e->received++;
	if (e->answers && e->send.pending == 0)
		io_send(e->io, &e->send, e->fd, &e->byte, 1);
}

static void echo_init(struct echo *e, struct io *io, int fd, bool answers)
{
	*e = (struct echo){.io = io, .fd = fd, .answers = answers};
	e->recv.done = echo_received;
	e->recv.user = e;
	e->send.done = echo_sent;
	e->send.user = e;
	io_recv_multi(io, &e->recv, fd);
}

static void *answerer(void *arg)
{
	struct io *io = loop_open();
	struct echo e;
	echo_init(&e, io, pair[1], true);
	while (!atomic_load(&stop))
		io_step(io, 10 * NS_PER_MS);
	io_close(&io);
	return NULL;
}

static void measure_round_trip(void)
{
	pthread_t t;
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	pthread_create(&t, NULL, answerer, NULL);
	struct io *io = loop_open();
	struct echo e;
	echo_init(&e, io, pair[0], false);
	for (uint32_t i = 0; i < SAMPLES; i++) {
		uint64_t from_ns = clock_monotonic_ns();
		io_send(io, &e.send, e.fd, &e.byte, 1);
		wait_for(io, &e.received, i + 1);
		wait_for(io, &e.sent, i + 1);
		sample_ns[i] = clock_monotonic_ns() - from_ns;
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	report("round trip between two loops", SAMPLES);
	io_close(&io);
}

static void measure_throughput(void)
{
	enum { PAIRS = 200, MESSAGES = 500000 };
	static struct echo e[PAIRS * 2];
	struct io *io = loop_open();
	for (uint32_t i = 0; i < PAIRS; i++) {
		int fd[2];
		socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
		echo_init(&e[2 * i], io, fd[0], true);
		echo_init(&e[2 * i + 1], io, fd[1], true);
		io_send(io, &e[2 * i].send, fd[0], &e[2 * i].byte, 1);
	}
	uint64_t from_ns = clock_monotonic_ns();
	struct io_stats st = {0};
	while (st.completed < 2 * MESSAGES) {
		io_step(io, CLOCK_NEVER_NS);
		io_stats(io, &st);
	}
	double s = (double)(clock_monotonic_ns() - from_ns) / 1e9;
	printf("%d socket pairs in one loop: %.0f messages/s, "
	       "%.0f completions per io_uring_enter\n",
	       PAIRS, (double)st.completed / 2 / s,
	       (double)st.completed / (double)st.enters);
	io_close(&io);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	spin_ns = argc > 2 ? strtoull(argv[2], NULL, 10) * NS_PER_US : 0;
	if (strcmp(what, "commit") == 0) {
		measure_commit();
	} else if (strcmp(what, "wake") == 0) {
		measure_wake();
	} else if (strcmp(what, "timer") == 0) {
		measure_timer();
	} else if (strcmp(what, "socket") == 0) {
		measure_round_trip();
		measure_throughput();
	} else {
		fprintf(stderr, "usage: measure_io commit|wake|timer|socket "
				"[SPIN_US]\n");
		return 2;
	}
	return 0;
}
