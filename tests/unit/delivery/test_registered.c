/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_registered.c - reads into registered buffers, files and sockets by slot:
 * used where the host allows it, done without where not.
 */
#include "delivery_room.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delivery/delivery_priv.h"
#include "io/io_priv.h"

#define MESSAGES 20u

static const char *const rcpt[] = {"a@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";
/* More than is read without waiting: the rest comes through the ring. */
static char large[200000];

struct setup {
	struct fake_receiver *f;
	struct room r;
};

static void setup(struct setup *s)
{
	struct fake_options fo = {.offers = NULL};

	s->f = fake_receiver_start(&fo);
	room_open(&s->r, fake_receiver_port(s->f));
	s->r.providers[0].connections_max = 1;
	room_start(&s->r);
}

static void deliver(struct setup *s)
{
	for (uint32_t i = 0; i < sizeof(large); i++)
		large[i] = "0123456789abcd\r\n"[i % 16];
	for (uint32_t i = 0; i < MESSAGES; i++)
		(void)room_store(&s->r, rcpt, 1, large, sizeof(large), 0);
	room_run(&s->r, &s->r.done, MESSAGES);
	assert_int_equal(fake_receiver_count(s->f, AT_EOM), MESSAGES);
}

static void teardown(struct setup *s)
{
	room_close(&s->r);
	fake_receiver_stop(&s->f);
}

/* If a buffer moved out of the registered region, or files were not registered
 * any more, nothing would fail: it would only be slower. So it is counted. */
static void records_are_read_by_slot_and_region(void **state)
{
	struct io_stats before, after;
	struct setup s;

	setup(&s);
	io_stats(s.r.io, &before);
	deliver(&s);
	io_stats(s.r.io, &after);
	assert_true(after.by_region - before.by_region >= MESSAGES);
	/* a commit's writes and syncs, and the reads */
	assert_true(after.by_slot - before.by_slot >= 2 * MESSAGES);
	teardown(&s);
}

/* Whether the one connection goes by slot. */
static bool has_slot(const struct setup *s)
{
	int fd = s->r.d->connections[0].fd;

	assert_true(fd >= 0);
	return s->r.io->files.slots[fd] & IO_SLOT_USABLE;
}

/* One that carries a single message would only lose time by it. */
static void a_connection_used_again_gets_a_slot(void **state)
{
	struct setup s;

	setup(&s);
	(void)room_store(&s.r, rcpt, 1, small, sizeof(small) - 1, 0);
	room_run(&s.r, &s.r.done, 1);
	assert_false(has_slot(&s));
	if (!s.r.io->files.may_wait) {
		teardown(&s);
		skip(); /* a kernel before 6.13 */
	}
	for (uint32_t i = 0; i < 2; i++)
		(void)room_store(&s.r, rcpt, 1, small, sizeof(small) - 1, 0);
	room_run(&s.r, &s.r.done, 3);
	assert_true(has_slot(&s));
	assert_int_equal(fake_receiver_connections(s.f), 1);
	teardown(&s);
}

static uint32_t lines_with(const char *path, const char *words)
{
	char line[1024];
	uint32_t n = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, words) != NULL;
	if (f)
		fclose(f);
	return n;
}

/* In a process of its own, as a user without privileges. */
static int deliver_with_little_memory(const char *log)
{
	struct rlimit l = {1 << 20, 1 << 20};
	uid_t uid = (uid_t)(100000 + getpid());
	struct io_stats st;
	struct setup s;
	int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (setrlimit(RLIMIT_MEMLOCK, &l) ||
	    (geteuid() == 0 && setresuid(uid, uid, uid)) || fd < 0 ||
	    dup2(fd, STDERR_FILENO) < 0)
		return 2;
	setup(&s);
	deliver(&s);
	io_stats(s.r.io, &st);
	teardown(&s);
	return st.by_region > 0 ? 0 : 3;
}

/* Half of the buffers fit: one line says so and what to change, and mail goes
 * out. Comes last: a child that fails goes on from here. */
static void too_little_lockable_memory_is_told_once(void **state)
{
	char log[] = "/tmp/sluice-registered-XXXXXX";
	int status = -1, fd = mkstemp(log);
	pid_t pid;

	assert_true(fd >= 0);
	pid = fork();
	if (pid == 0)
		_exit(deliver_with_little_memory(log));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(lines_with(log, "576 of 1152 KiB of read buffers"), 1);
	assert_int_equal(lines_with(log, "RLIMIT_MEMLOCK (now 1024 KiB)"), 1);
	unlink(log);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_read_by_slot_and_region),
		cmocka_unit_test(a_connection_used_again_gets_a_slot),
		cmocka_unit_test(too_little_lockable_memory_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
