/* SPDX-License-Identifier: BSD-2-Clause
 *
 * measure_slots.c - what registered files and buffers are worth: the figures in
 * docs/io.md. Not a test: it never fails.
 *
 *   measure_slots [ROUNDS]
 *
 * Each kind is measured in turn, round after round; medians of the rounds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/io.h"
#include "sluice/clock.h"

#define ROUNDS_MAX 101
#define PAIRS      100
#define OPS        20000u
#define SLOTS      4096u
#define READ_BYTES 65536u

static struct io *io;
static uint32_t rounds = 15;
static uint64_t counted;

struct kind {
	const char *name;
	double ns[ROUNDS_MAX];
};

static void count_up(struct io_op *op, int res, uint32_t flags,
		     const void *data)
{
	if (res < 0)
		fprintf(stderr, "measure_slots: %s\n", err_name(res));
	counted++;
}

static void wait_for(uint64_t want)
{
	while (counted < want)
		io_step(io, CLOCK_NEVER_NS);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void report(struct kind *k)
{
	qsort(k->ns, rounds, sizeof(k->ns[0]), compare);
	printf("%-44s median %7.1f ns   quartiles %7.1f %7.1f\n", k->name,
	       k->ns[rounds / 2], k->ns[rounds / 4], k->ns[rounds * 3 / 4]);
}

static void register_all(const int *fd, uint32_t count, bool in)
{
	for (uint32_t i = 0; i < count; i++) {
		if (in)
			io_file_register(io, fd[i], IO_FILE_WAITS);
		else
			io_file_unregister(io, fd[i]);
	}
	io_step(io, 0);
	io_step(io, 0);
}

/* ---- sockets: one byte sent and received, all pairs at once ---- */

static int pair[PAIRS * 2];

static double socket_round(void)
{
	static struct io_op op[PAIRS * 2];
	static struct msghdr msg[PAIRS];
	static struct iovec iov[PAIRS];
	static char byte[PAIRS];
	uint64_t from_ns = clock_monotonic_ns();
	counted = 0;
	for (uint64_t want = 0; want < OPS;) {
		for (uint32_t i = 0; i < PAIRS; i++) {
			op[2 * i].done = op[2 * i + 1].done = count_up;
			iov[i] = (struct iovec){&byte[i], 1};
			msg[i] = (struct msghdr){.msg_iov = &iov[i],
						 .msg_iovlen = 1};
			io_send(io, &op[2 * i], pair[2 * i], "x", 1);
			io_recvmsg(io, &op[2 * i + 1], pair[2 * i + 1],
				   &msg[i]);
		}
		wait_for(want += 2 * PAIRS);
	}
	return (double)(clock_monotonic_ns() - from_ns) / (double)counted;
}

/* What it costs to have a slot: in and out again. */
static double slot_round(void)
{
	enum { TIMES = 20 };
	uint64_t from_ns = clock_monotonic_ns();
	for (int i = 0; i < TIMES; i++) {
		register_all(pair, PAIRS * 2, true);
		register_all(pair, PAIRS * 2, false);
	}
	return (double)(clock_monotonic_ns() - from_ns) / (TIMES * PAIRS * 2);
}

static void measure_sockets(void)
{
	struct kind plain = {"socket, 1 byte: by number", {0}};
	struct kind slot = {"socket, 1 byte: by slot", {0}};
	struct kind both = {"into a slot and out again", {0}};
	for (uint32_t i = 0; i < PAIRS; i++)
		socketpair(AF_UNIX, SOCK_STREAM, 0, &pair[2 * i]);
	for (uint32_t r = 0; r < rounds; r++) {
		plain.ns[r] = socket_round();
		register_all(pair, PAIRS * 2, true);
		slot.ns[r] = socket_round();
		register_all(pair, PAIRS * 2, false);
		both.ns[r] = slot_round();
	}
	report(&plain);
	report(&slot);
	report(&both);
	for (uint32_t i = 0; i < PAIRS * 2; i++)
		close(pair[i]);
}

/* ---- files in the page cache: reads, and writes without a sync ---- */

static double file_round(int fd, uint8_t *buf, uint32_t bytes, bool write_it)
{
	static struct io_op op[PAIRS];
	uint64_t from_ns = clock_monotonic_ns();
	counted = 0;
	for (uint64_t want = 0; want < OPS;) {
		for (uint32_t i = 0; i < PAIRS; i++) {
			uint64_t at = (uint64_t)(i % 16) * READ_BYTES;
			uint8_t *to = buf + (size_t)i * bytes;
			op[i].done = count_up;
			if (write_it)
				io_write(io, &op[i], fd, to, bytes, at);
			else
				io_read(io, &op[i], fd, to, bytes, at);
		}
		wait_for(want += PAIRS);
	}
	return (double)(clock_monotonic_ns() - from_ns) / (double)counted;
}

static void measure_file(uint32_t bytes, bool write_it)
{
	static const char *const how[] = {"by number", "by slot",
					  "by slot, registered buffer"};
	struct kind kind[3] = {0};
	char name[3][64], path[] = "measure-XXXXXX";
	size_t len = (size_t)PAIRS * bytes;
	uint8_t *buf = aligned_alloc(4096, len);
	int fd = mkstemp(path);
	struct err e = {""};
	unlink(path);
	memset(buf, 1, len);
	for (uint32_t i = 0; i < 16; i++)
		if (pwrite(fd, buf, READ_BYTES, i * READ_BYTES) < 0)
			perror(path);
	for (uint32_t r = 0; r < rounds; r++) {
		kind[0].ns[r] = file_round(fd, buf, bytes, write_it);
		io_file_register(io, fd, 0);
		io_step(io, 0);
		kind[1].ns[r] = file_round(fd, buf, bytes, write_it);
		if (io_buffers_register(io, buf, len, &e) != 0)
			fprintf(stderr, "measure_slots: %s\n", e.text);
		kind[2].ns[r] = file_round(fd, buf, bytes, write_it);
		io_buffers_unregister(io, buf);
		io_file_unregister(io, fd);
		io_step(io, 0);
	}
	for (int k = 0; k < 3; k++) {
		snprintf(name[k], sizeof(name[k]), "%s, %2u KiB: %s",
			 write_it ? "write" : "read", bytes / 1024, how[k]);
		kind[k].name = name[k];
		report(&kind[k]);
	}
	close(fd);
	free(buf);
}

int main(int argc, char **argv)
{
	struct io_options o = {.entries = 1024, .file_slots = SLOTS};
	struct io_stats st;
	struct err e = {""};
	if (argc > 1)
		rounds = (uint32_t)strtoul(argv[1], NULL, 10);
	if (rounds == 0 || rounds > ROUNDS_MAX)
		rounds = ROUNDS_MAX;
	if (io_open(&io, &o, &e) != 0) {
		fprintf(stderr, "measure_slots: %s\n", e.text);
		return 1;
	}
	measure_sockets();
	measure_file(4096, false);
	measure_file(READ_BYTES, false);
	measure_file(4096, true);
	measure_file(READ_BYTES, true);
	io_stats(io, &st);
	printf("%llu requests by slot, %llu with a registered buffer\n",
	       (unsigned long long)st.by_slot,
	       (unsigned long long)st.by_region);
	io_close(&io);
	return 0;
}
