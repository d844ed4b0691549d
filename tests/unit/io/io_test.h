/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_test.h - a loop for each test, and an operation that remembers.
 *
 * Included by the test programs of this folder only. A wait that takes longer
 * than WAIT_MAX_NS fails the test instead of hanging it.
 */
#ifndef SLUICE_IO_TEST_H
#define SLUICE_IO_TEST_H

/* cmocka wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/io.h"
#include "sluice/clock.h"

#define WAIT_MAX_NS  (20 * NS_PER_S)
#define BUFFER_BYTES 256u
#define BUFFER_COUNT 8u

/* What came of an operation. */
struct seen {
	struct io_op op;
	uint32_t calls; /* of done, in all */
	uint32_t ended; /* of done without IO_MORE */
	int res;        /* of the last call */
	uint8_t *bytes; /* received, if not NULL */
	size_t length;
	size_t limit;
};

static inline void seen_done(struct io_op *op, int res, uint32_t flags,
			     const void *data)
{
	struct seen *s = op->user;
	s->calls++;
	s->res = res;
	if (data != NULL && s->bytes != NULL) {
		assert_true(s->length + (size_t)res <= s->limit);
		memcpy(s->bytes + s->length, data, (size_t)res);
	}
	if (data != NULL)
		s->length += (size_t)res;
	if (!(flags & IO_MORE))
		s->ended++;
}

static inline void seen_init(struct seen *s)
{
	memset(s, 0, sizeof(*s));
	s->op.done = seen_done;
	s->op.user = s;
	s->res = INT32_MIN;
}

static inline struct io *loop_open(uint32_t entries)
{
	struct io *io = NULL;
	struct io_options o = {.entries = entries,
			       .recv_buffers = BUFFER_COUNT,
			       .recv_buffer_bytes = BUFFER_BYTES};
	struct err e = {""};
	int res = io_open(&io, &o, &e);
	if (res != 0)
		fail_msg("io_open: %d %s", res, e.text);
	return io;
}

static inline int loop_setup(void **state)
{
	*state = loop_open(64);
	return 0;
}

static inline int loop_teardown(void **state)
{
	struct io *io = *state;
	io_close(&io);
	return 0;
}

/* Turns the loop until *count is at least `want`. */
static inline void loop_until(struct io *io, const uint32_t *count,
			      uint32_t want)
{
	uint64_t until_ns = clock_monotonic_ns() + WAIT_MAX_NS;
	while (*count < want) {
		assert_int_equal(io_step(io, 100 * NS_PER_MS), 0);
		if (clock_monotonic_ns() > until_ns)
			fail_msg("waited in vain: %u of %u", *count, want);
	}
}

/* Turns the loop for a while, for what must NOT happen. */
static inline void loop_for(struct io *io, uint64_t ns)
{
	uint64_t until_ns = clock_monotonic_ns() + ns;
	uint64_t now_ns;
	while ((now_ns = clock_monotonic_ns()) < until_ns)
		assert_int_equal(io_step(io, until_ns - now_ns), 0);
}

static inline int seen_wait(struct io *io, struct seen *s)
{
	loop_until(io, &s->ended, 1);
	assert_int_equal(s->ended, 1);
	return s->res;
}

static inline void socket_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd),
			 0);
}

/* A listener on loopback; *sa is where it is. */
static inline int listener(struct sockaddr_in *sa)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	*sa = (struct sockaddr_in){.sin_family = AF_INET,
				   .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(*sa);
	assert_int_equal(bind(fd, (struct sockaddr *)sa, len), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sa, &len), 0);
	return fd;
}

/* A directory of its own for the test, removed with what is in it. */
static inline int scratch_dir(char path[64])
{
	snprintf(path, 64, "/tmp/sluice-io-XXXXXX");
	assert_non_null(mkdtemp(path));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static inline int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) != -1;
	return count;
}

#endif
