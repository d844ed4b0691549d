/* SPDX-License-Identifier: BSD-2-Clause
 *
 * board_unit.h - boards in a directory of their own, and processes that die.
 */
#ifndef SLUICE_TESTS_UNIT_BASE_BOARD_UNIT_H
#define SLUICE_TESTS_UNIT_BASE_BOARD_UNIT_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/board_priv.h"
#include "unit.h"

static char dir[64];

static inline int make_dir(void **state)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/sluice-board-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static inline int remove_dir(void **state)
{
	char path[128];
	for (int v = 0; v < 10; v++) {
		(void)snprintf(path, sizeof(path), "%s/board.v%d", dir, v);
		(void)unlink(path);
	}
	return rmdir(dir);
}

static inline struct board *open_as(enum board_user user, uint32_t producers)
{
	struct board_options o = {dir, user, producers};
	struct board *b = NULL;
	struct err e = {""};
	if (board_open(&b, &o, &e) != 0)
		fail_msg("%s", e.text);
	return b;
}

static inline void refused(enum board_user user, int code, const char *part)
{
	struct board_options o = {dir, user, 0};
	struct board *b = NULL;
	struct err e = {""};
	assert_int_equal(board_open(&b, &o, &e), code);
	assert_null(b);
	if (strstr(e.text, part) == NULL)
		fail_msg("'%s' is not in '%s'", part, e.text);
}

/* Runs `fn` in a process of its own, which ends by a signal or with 0. */
static inline pid_t start(void (*fn)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	return pid;
}

static inline int end(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

#define BOARD_TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

#endif
