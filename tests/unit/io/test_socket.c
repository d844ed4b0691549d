/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_socket.c - bytes on sockets: whole, in order, until the very end.
 */
#include <sys/ioctl.h>

#include "io_test.h"

#define BIG 1000000

static uint8_t out[BIG], in[BIG];

static void fill(void)
{
	for (size_t i = 0; i < BIG; i++)
		out[i] = (uint8_t)(i * 131 + i / 257);
	memset(in, 0, BIG);
}

static void small_buffers(int fd)
{
	int bytes = 2048;
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)),
		0);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)),
		0);
}

/* Takes a few bytes per turn, so that the sender meets a full buffer often. */
static void drain_slowly(struct io *io, int fd, size_t want, size_t step)
{
	uint64_t until_ns = clock_monotonic_ns() + WAIT_MAX_NS;
	for (size_t got = 0; got < want;) {
		assert_int_equal(io_step(io, 0), 0);
		ssize_t n = recv(fd, in + got,
				 step < want - got ? step : want - got,
				 MSG_DONTWAIT);
		if (n > 0)
			got += (size_t)n;
		assert_true(clock_monotonic_ns() < until_ns);
	}
}

/* A send that the socket takes only in parts is finished by the loop. */
static void a_large_send_goes_out_whole(void **state)
{
	struct io *io = *state;
	int fd[2];
	fill();
	socket_pair(fd);
	small_buffers(fd[0]);
	struct seen s;
	seen_init(&s);
	assert_int_equal(io_send(io, &s.op, fd[0], out, BIG), 0);
	drain_slowly(io, fd[1], BIG, 3000);
	assert_int_equal(seen_wait(io, &s), BIG);
	assert_memory_equal(in, out, BIG);
	close(fd[0]);
	close(fd[1]);
}

/* SO_SNDTIMEO makes the kernel give a send up half-way (a real short send,
 * then -EAGAIN): the loop resumes at the right byte. */
static void a_short_send_is_resumed_where_it_stopped(void **state)
{
	struct io *io = *state;
	for (int nonblock = 0; nonblock < 2; nonblock++) {
		int fd[2];
		fill();
		socket_pair(fd);
		small_buffers(fd[0]);
		if (nonblock)
			fcntl(fd[0], F_SETFL, O_NONBLOCK);
		struct seen s;
		seen_init(&s);
		struct iovec iov[4] = {{out, 1},
				       {out + 1, 0},
				       {out + 1, 300000},
				       {out + 300001, BIG - 300001}};
		assert_int_equal(io_sendv(io, &s.op, fd[0], iov, 4), 0);
		drain_slowly(io, fd[1], BIG, 777);
		assert_int_equal(seen_wait(io, &s), BIG);
		assert_memory_equal(in, out, BIG);
		close(fd[0]);
		close(fd[1]);
	}
}

/* Bytes arrive as the peer cuts them; nothing is lost between the pieces. */
static void split_data_arrives_in_order(void **state)
{
	struct io *io = *state;
	int fd[2];
	fill();
	socket_pair(fd);
	struct seen r;
	seen_init(&r);
	r.bytes = in;
	r.limit = BIG;
	assert_int_equal(io_recv_multi(io, &r.op, fd[1]), 0);
	size_t sent = 0;
	for (size_t n = 1; n < 700; n += 37) {
		assert_int_equal(write(fd[0], out + sent, n), (ssize_t)n);
		sent += n;
		while (r.length < sent)
			assert_int_equal(io_step(io, WAIT_MAX_NS), 0);
		assert_int_equal(r.ended, 0);
	}
	assert_memory_equal(in, out, sent);
	close(fd[0]);
	assert_int_equal(seen_wait(io, &r), 0);
	assert_int_equal(r.length, sent);
	close(fd[1]);
}

/* Many sockets with more data than there are buffers: all of them starve at
 * times, and all get everything. */
static void starved_receivers_get_everything(void **state)
{
	enum { PEERS = 30, EACH = 20000 };
	struct io *io = *state;
	static struct seen r[PEERS];
	static uint8_t got[PEERS][EACH];
	int fd[PEERS][2];
	fill();
	for (int i = 0; i < PEERS; i++) {
		socket_pair(fd[i]);
		assert_int_equal(write(fd[i][0], out + i, EACH), EACH);
		close(fd[i][0]);
		seen_init(&r[i]);
		r[i].bytes = got[i];
		r[i].limit = EACH;
		assert_int_equal(io_recv_multi(io, &r[i].op, fd[i][1]), 0);
	}
	for (int i = 0; i < PEERS; i++) {
		assert_int_equal(seen_wait(io, &r[i]), 0);
		assert_int_equal(r[i].length, EACH);
		assert_memory_equal(got[i], out + i, EACH);
		close(fd[i][1]);
	}
	struct io_stats st;
	io_stats(io, &st);
	assert_true(st.recv_starved > 0); /* else this test shows nothing */
}

/* SIGPIPE would end the daemon. */
static void sending_to_a_closed_peer_is_an_error(void **state)
{
	struct io *io = *state;
	int fd[2];
	socket_pair(fd);
	close(fd[1]);
	struct seen s;
	seen_init(&s);
	io_send(io, &s.op, fd[0], out, 10);
	assert_int_equal(seen_wait(io, &s), -EPIPE);
	struct iovec iov = {out, 10};
	seen_init(&s);
	io_sendv(io, &s.op, fd[0], &iov, 1);
	assert_int_equal(seen_wait(io, &s), -EPIPE);
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	iov = (struct iovec){out, 10};
	seen_init(&s);
	io_sendmsg(io, &s.op, fd[0], &m);
	assert_int_equal(seen_wait(io, &s), -EPIPE);
	close(fd[0]);
}

/* A peer that vanishes in the middle of a send must end that send. */
static void a_send_in_progress_ends_when_the_peer_goes(void **state)
{
	struct io *io = *state;
	int fd[2];
	socket_pair(fd);
	small_buffers(fd[0]);
	struct seen s;
	seen_init(&s);
	io_send(io, &s.op, fd[0], out, BIG);
	loop_for(io, 10 * NS_PER_MS);
	assert_int_equal(s.calls, 0);
	close(fd[1]);
	int res = seen_wait(io, &s);
	assert_true(res == -EPIPE || res == -ECONNRESET);
	close(fd[0]);
}

/* A reset is an error, not an end of file: the dialogue was cut. */
static void a_reset_is_not_an_end_of_file(void **state)
{
	struct io *io = *state;
	struct sockaddr_in sa;
	int lfd = listener(&sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	int peer = accept(lfd, NULL, NULL);
	struct seen r;
	seen_init(&r);
	assert_int_equal(io_recv_multi(io, &r.op, fd), 0);
	loop_for(io, 5 * NS_PER_MS);
	struct linger hard = {1, 0};
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(peer);
	assert_int_equal(seen_wait(io, &r), -ECONNRESET);
	close(fd);
	close(lfd);
}

/* Without buffers the refusal comes at once, not as a silent wait. */
static void receiving_needs_buffers(void **state)
{
	struct io *io = NULL;
	struct io_options o = {.entries = 32};
	assert_int_equal(io_open(&io, &o, NULL), 0);
	struct seen r;
	seen_init(&r);
	assert_int_equal(io_recv_multi(io, &r.op, 0), -ENOBUFS);
	assert_int_equal(r.calls, 0);
	io_close(&io);
	assert_null(io);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(a_large_send_goes_out_whole),
		FACT(a_short_send_is_resumed_where_it_stopped),
		FACT(split_data_arrives_in_order),
		FACT(starved_receivers_get_everything),
		FACT(sending_to_a_closed_peer_is_an_error),
		FACT(a_send_in_progress_ends_when_the_peer_goes),
		FACT(a_reset_is_not_an_end_of_file),
		cmocka_unit_test(receiving_needs_buffers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
