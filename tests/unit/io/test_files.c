/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_files.c - a registered file goes by its slot, and a slot never means
 * another file than its number does.
 */
#include <poll.h>
#include <sys/resource.h>

#include "io/io_priv.h"
#include "io_test.h"

#define SLOTS 64u

static int slots_setup(void **state)
{
	struct io *io = NULL;
	struct io_options o = {.entries = 64,
			       .recv_buffers = BUFFER_COUNT,
			       .recv_buffer_bytes = BUFFER_BYTES,
			       .file_slots = SLOTS};
	struct err e = {""};
	if (io_open(&io, &o, &e) != 0)
		fail_msg("%s", e.text);
	*state = io;
	return 0;
}

static uint64_t by_slot(struct io *io)
{
	struct io_stats st;
	io_stats(io, &st);
	return st.by_slot;
}

/* Turns the loop until the table is as its owners want it. */
static void settle(struct io *io, int fd)
{
	uint64_t until_ns = clock_monotonic_ns() + WAIT_MAX_NS;
	while (io->files.slots[fd] & (IO_SLOT_BUSY | IO_SLOT_STALE)) {
		assert_int_equal(io_step(io, NS_PER_MS), 0);
		assert_true(clock_monotonic_ns() < until_ns);
	}
}

/* A file without a name that holds `text`. */
static int file_with(const char *text)
{
	char path[] = "/tmp/sluice-files-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void reads(struct io *io, int fd, const char *text)
{
	char got[64] = "";
	struct seen s;
	seen_init(&s);
	assert_int_equal(io_read(io, &s.op, fd, got, sizeof(got) - 1, 0), 0);
	assert_int_equal(seen_wait(io, &s), strlen(text));
	assert_string_equal(got, text);
}

static bool peer_sees_the_end(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;
	return poll(&p, 1, 5000) == 1 && read(fd, &byte, 1) == 0;
}

/* The number is closed: only a request by slot can still reach the file. */
static void operations_go_by_slot(void **state)
{
	struct io *io = *state;
	int fd = file_with("in the slot");
	struct seen s;
	assert_int_equal(io_file_register(io, fd, 0), 0);
	settle(io, fd);
	close(fd);
	reads(io, fd, "in the slot");
	seen_init(&s);
	assert_int_equal(io_write(io, &s.op, fd, "by", 2, 0), 0);
	assert_int_equal(seen_wait(io, &s), 2);
	seen_init(&s);
	assert_int_equal(io_fdatasync(io, &s.op, fd), 0);
	assert_int_equal(seen_wait(io, &s), 0);
	seen_init(&s);
	struct io_commit c = {.op = s.op};
	struct io_write_piece p[2] = {{fd, "my", 2, 0}, {fd, "own", 3, 7}};
	assert_int_equal(io_write_sync(io, &c, p, 2), 0);
	loop_until(io, &s.ended, 1);
	assert_int_equal(s.res, 0);
	reads(io, fd, "my the ownt");
	io_file_unregister(io, fd);
	settle(io, fd);
	seen_init(&s);
	assert_int_equal(io_fdatasync(io, &s.op, fd), 0);
	assert_int_equal(seen_wait(io, &s), -EBADF);
}

/* All that a socket does, by slot. */
static void sockets_go_by_slot(void **state)
{
	struct io *io = *state;
	struct sockaddr_in sa;
	struct seen a, c, r, s;
	char text[8] = "", hello[] = "hello";
	int lfd = listener(&sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (io_file_register(io, lfd, IO_FILE_WAITS) == -EOPNOTSUPP)
		skip(); /* a kernel before 6.13 */
	assert_int_equal(io_file_register(io, fd, IO_FILE_WAITS), 0);
	settle(io, fd);
	seen_init(&a);
	seen_init(&c);
	uint64_t before = by_slot(io);
	assert_int_equal(io_accept_multi(io, &a.op, lfd), 0);
	assert_int_equal(
		io_connect(io, &c.op, fd, (struct sockaddr *)&sa, sizeof(sa)),
		0);
	assert_int_equal(seen_wait(io, &c), 0);
	loop_until(io, &a.calls, 1);
	int peer = a.res;
	seen_init(&r);
	r.bytes = (uint8_t *)text;
	r.limit = sizeof(text) - 1;
	assert_int_equal(io_recv_multi(io, &r.op, fd), 0);
	assert_int_equal(write(peer, "220", 3), 3);
	loop_until(io, &r.calls, 1);
	assert_string_equal(text, "220");
	struct iovec iov = {hello, 5};
	seen_init(&s);
	assert_int_equal(io_sendv(io, &s.op, fd, &iov, 1), 0);
	assert_int_equal(seen_wait(io, &s), 5);
	assert_int_equal(by_slot(io) - before, 4);
	assert_int_equal(io_cancel(io, &r.op), 0);
	assert_int_equal(seen_wait(io, &r), -ECANCELED);
	assert_int_equal(io_cancel(io, &a.op), 0);
	assert_int_equal(seen_wait(io, &a), -ECANCELED);
	assert_int_equal(io_close_fd(io, fd), 0);
	assert_int_equal(io_close_fd(io, lfd), 0);
	loop_for(io, NS_PER_MS);
	assert_int_equal(read(peer, text, 5), 5);
	assert_true(peer_sees_the_end(peer));
	close(peer);
}

/* The kernel has not said yes yet: the request goes by number. */
static void a_file_is_usable_at_once(void **state)
{
	struct io *io = *state;
	int fd = file_with("early");
	assert_int_equal(io_file_register(io, fd, 0), 0);
	uint64_t before = by_slot(io);
	struct seen s;
	char byte = 0;
	seen_init(&s);
	assert_int_equal(io_read(io, &s.op, fd, &byte, 1, 0), 0);
	assert_int_equal(seen_wait(io, &s), 1);
	assert_int_equal(byte, 'e');
	assert_int_equal(by_slot(io), before);
	reads(io, fd, "early");
	assert_true(by_slot(io) > before);
	assert_int_equal(io_close_fd(io, fd), 0);
	loop_for(io, NS_PER_MS);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* A request that waits in the queue keeps to the file it was made for, even
 * when its number has become another file's. */
static void what_was_started_means_the_old_file(void **state)
{
	struct io *io = *state;
	char got[8] = "";
	int fd = file_with("old");
	struct seen s;
	io_file_register(io, fd, 0);
	settle(io, fd);
	seen_init(&s);
	assert_int_equal(io_read(io, &s.op, fd, got, 3, 0), 0);
	io_file_unregister(io, fd);
	close(fd);
	assert_int_equal(file_with("new"), fd);
	io_file_register(io, fd, 0);
	assert_int_equal(seen_wait(io, &s), 3);
	assert_string_equal(got, "old");
	reads(io, fd, "new");
	settle(io, fd);
	reads(io, fd, "new");
	io_close_fd(io, fd);
}

/* The same numbers over and over, with the table's updates at every possible
 * distance: each read must give the bytes of the file opened last. */
static void a_reused_number_never_reaches_the_file_before(void **state)
{
	enum { ROUNDS = 600, FILES = 4 };
	struct io *io = *state;
	unsigned seed = (unsigned)clock_monotonic_ns();
	char text[32];
	int fd[FILES];
	print_message("seed %u\n", seed);
	for (int i = 0; i < FILES; i++)
		fd[i] = -1;
	for (int n = 0; n < ROUNDS; n++) {
		int i = (int)(rand_r(&seed) % FILES);
		if (fd[i] >= 0 && rand_r(&seed) % 2) {
			assert_int_equal(io_close_fd(io, fd[i]), 0);
			assert_int_equal(io_submit(io), 0);
		} else if (fd[i] >= 0) {
			io_file_unregister(io, fd[i]);
			close(fd[i]);
		}
		snprintf(text, sizeof(text), "file %d", n);
		fd[i] = file_with(text);
		if (rand_r(&seed) % 4)
			assert_int_equal(io_file_register(io, fd[i], 0), 0);
		for (unsigned k = rand_r(&seed) % 3; k > 0; k--)
			assert_int_equal(io_step(io, 0), 0);
		if (rand_r(&seed) % 2)
			reads(io, fd[i], text);
	}
	assert_true(by_slot(io) > 0);
	for (int i = 0; i < FILES; i++)
		if (fd[i] >= 0)
			io_close_fd(io, fd[i]);
}

/* Closed by number only, against the rules, and registered again: the slot
 * must follow. */
static void registering_again_replaces_the_file(void **state)
{
	struct io *io = *state;
	int fd = file_with("first");
	io_file_register(io, fd, 0);
	settle(io, fd);
	close(fd);
	assert_int_equal(file_with("second"), fd);
	assert_int_equal(io_file_register(io, fd, 0), 0);
	reads(io, fd, "second");
	settle(io, fd);
	uint64_t before = by_slot(io);
	reads(io, fd, "second");
	assert_true(by_slot(io) > before);
	io_close_fd(io, fd);
}

/* The file is gone before the kernel hears of it: the slot stays empty. */
static void a_file_closed_too_early_leaves_no_slot(void **state)
{
	struct io *io = *state;
	int fd = file_with("gone");
	assert_int_equal(io_file_register(io, fd, 0), 0);
	close(fd);
	settle(io, fd);
	assert_int_equal(io->files.slots[fd], 0);
	assert_int_equal(file_with("next"), fd);
	uint64_t before = by_slot(io);
	reads(io, fd, "next");
	assert_int_equal(by_slot(io), before);
	close(fd);
}

/* A number beyond the table works as ever. */
static void a_table_that_is_full_is_no_failure(void **state)
{
	struct io *io = *state;
	int fd = file_with("beyond"), high = SLOTS;
	assert_int_equal(io_file_register(io, -1, 0), -EBADF);
	assert_int_equal(dup2(fd, high), high);
	assert_int_equal(io_file_register(io, high, 0), -ENOSPC);
	uint64_t before = by_slot(io);
	reads(io, high, "beyond");
	assert_int_equal(by_slot(io), before);
	io_file_unregister(io, high);
	assert_int_equal(io_close_fd(io, high), 0);
	assert_int_equal(dup2(fd, high - 1), high - 1);
	assert_int_equal(io_file_register(io, high - 1, 0), 0);
	settle(io, high - 1);
	reads(io, high - 1, "beyond");
	assert_true(by_slot(io) > before);
	assert_int_equal(io_close_fd(io, high - 1), 0);
	close(fd);
}

/* More slots than files can be open would be refused as a whole. */
static void the_table_keeps_to_the_limit_of_open_files(void **state)
{
	struct rlimit was, now;
	struct io *io = NULL;
	struct io_options o = {.entries = 64, .file_slots = 1u << 19};
	struct io_stats st;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	now = was;
	now.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(io_open(&io, &o, NULL), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	io_stats(io, &st);
	assert_int_equal(st.file_slots, 100);
	io_close(&io);
}

/* Closed while a read waits on it: the read ends, the peer sees the end. */
static void a_waiting_operation_is_cancelled_by_slot(void **state)
{
	struct io *io = *state;
	for (int turns = 0; turns < 4; turns++) {
		int fd[2];
		char byte;
		struct seen s;
		socket_pair(fd);
		io_file_register(io, fd[0], IO_FILE_WAITS);
		settle(io, fd[0]);
		seen_init(&s);
		io_read(io, &s.op, fd[0], &byte, 1, IO_STREAM);
		for (int i = 0; i < turns; i++)
			io_step(io, 0);
		assert_int_equal(io_cancel(io, &s.op), 0);
		assert_int_equal(io_close_fd(io, fd[0]), 0);
		assert_int_equal(seen_wait(io, &s), -ECANCELED);
		assert_true(peer_sees_the_end(fd[1]));
		close(fd[1]);
	}
}

/* Registered or not, nothing stays open behind a loop that is closed. */
static void closing_the_loop_lets_all_files_go(void **state)
{
	int before = open_descriptors(), fd[2];
	struct io *io = NULL;
	void *made = NULL;
	char byte;
	struct seen s;
	slots_setup(&made);
	io = made;
	socket_pair(fd);
	io_file_register(io, fd[0], 0);
	settle(io, fd[0]);
	seen_init(&s);
	io_read(io, &s.op, fd[0], &byte, 1, IO_STREAM);
	close(fd[0]);
	io_close(&io);
	assert_int_equal(s.calls, 0);
	assert_true(peer_sees_the_end(fd[1]));
	close(fd[1]);
	assert_int_equal(open_descriptors(), before);
}

/* The kernel was out of memory: a socket that stayed in the table would never
 * be closed, so the removal is tried again. */
static void a_refused_removal_is_tried_again(void **state)
{
	struct io *io = *state;
	int fd[2];
	socket_pair(fd);
	io_file_register(io, fd[0], 0);
	settle(io, fd[0]);
	close(fd[0]);
	io->files.slots[fd[0]] = IO_SLOT_BUSY; /* as if being removed */
	io_file_updated(io, (uint32_t)fd[0], -ENOMEM);
	settle(io, fd[0]);
	assert_int_equal(io->files.slots[fd[0]], 0);
	assert_true(peer_sees_the_end(fd[1]));
	close(fd[1]);
}

/* The queue is full and the kernel takes nothing: later, then. */
static void an_update_that_finds_no_room_is_sent_later(void **state)
{
	enum { MANY = 64 };
	struct io *io = *state;
	static struct seen s[MANY];
	int fd = file_with("later"), enter_fd = io->ring.enter_ring_fd;
	char byte[MANY];
	loop_for(io, NS_PER_MS);
	io->ring.enter_ring_fd = -1;
	for (int i = 0; i < MANY; i++) {
		seen_init(&s[i]);
		assert_int_equal(io_read(io, &s[i].op, fd, &byte[i], 1, 0), 0);
	}
	assert_int_equal(io_file_register(io, fd, 0), 0);
	assert_true(io->files.retry);
	io->ring.enter_ring_fd = enter_fd;
	for (int i = 0; i < MANY; i++)
		assert_int_equal(seen_wait(io, &s[i]), 1);
	settle(io, fd);
	uint64_t before = by_slot(io);
	reads(io, fd, "later");
	assert_true(by_slot(io) > before);
	io_close_fd(io, fd);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, slots_setup, loop_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(operations_go_by_slot),
		FACT(sockets_go_by_slot),
		FACT(a_file_is_usable_at_once),
		FACT(what_was_started_means_the_old_file),
		FACT(a_reused_number_never_reaches_the_file_before),
		FACT(registering_again_replaces_the_file),
		FACT(a_file_closed_too_early_leaves_no_slot),
		FACT(a_table_that_is_full_is_no_failure),
		cmocka_unit_test(the_table_keeps_to_the_limit_of_open_files),
		FACT(a_waiting_operation_is_cancelled_by_slot),
		cmocka_unit_test(closing_the_loop_lets_all_files_go),
		FACT(a_refused_removal_is_tried_again),
		FACT(an_update_that_finds_no_room_is_sent_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
