/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_limits.c - descriptors are raised, or the operator is told what to do.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluiced/limits.h"

#define NOBODY 65534

/* In a child without privileges and with these limits: `check` gives its exit
 * status. */
static int run_limited(rlim_t soft, rlim_t hard, int (*check)(void))
{
	struct rlimit rl = {soft, hard};
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (setrlimit(RLIMIT_NOFILE, &rl) != 0 ||
		    (geteuid() == 0 && setuid(NOBODY) != 0))
			_exit(99);
		_exit(check());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static rlim_t soft_now(void)
{
	struct rlimit rl;

	return getrlimit(RLIMIT_NOFILE, &rl) == 0 ? rl.rlim_cur : 0;
}

static int check_raised(void)
{
	struct err e = {""};

	if (limits_raise(1000, &e) != 0)
		return 1;
	return soft_now() == 1600 ? 0 : 2;
}

static int check_refused(void)
{
	struct err e = {""};

	if (limits_raise(2000, &e) != -EMFILE)
		return 1;
	if (!strstr(e.text, "need 2512 open files") ||
	    !strstr(e.text, "may have 1600"))
		return 2;
	return strstr(e.text, "LimitNOFILE=") &&
			       strstr(e.text, "delivery.connections to 1088")
		       ? 0
		       : 3;
}

/* The usual 1024 of a shell and of a unit without LimitNOFILE=. */
static int check_default(void)
{
	struct err e = {""};

	return limits_raise(500, &e) == 0 ? 0 : 1;
}

static void soft_limit_is_raised_as_far_as_it_may(void **state)
{
	assert_int_equal(run_limited(256, 1600, check_raised), 0);
}

static void too_low_a_limit_says_what_to_change(void **state)
{
	assert_int_equal(run_limited(256, 1600, check_refused), 0);
}

static void defaults_fit_into_the_usual_limit(void **state)
{
	assert_int_equal(run_limited(1024, 1024, check_default), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(soft_limit_is_raised_as_far_as_it_may),
		cmocka_unit_test(too_low_a_limit_says_what_to_change),
		cmocka_unit_test(defaults_fit_into_the_usual_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
