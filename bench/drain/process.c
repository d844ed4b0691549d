/* SPDX-License-Identifier: BSD-2-Clause
 *
 * process.c - child processes of a measurement: start, wait, stop, blame.
 *
 * Called by drain, on its thread. Bound: waits have limits.
 * Errors: -errno; the sentence quotes the last line that a child wrote.
 */
#include "drain/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sluice/assert.h"
#include "sluice/clock.h"

#define POLL_NS (5 * NS_PER_MS)
#define STOP_NS (10 * NS_PER_S)

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = 1;
}

void process_signals_catch(void)
{
	struct sigaction a = {.sa_handler = on_signal};

	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool process_interrupted(void)
{
	return interrupted;
}

void process_sleep(uint64_t ns)
{
	struct timespec t = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};

	nanosleep(&t, NULL);
}

static _Noreturn void child_run(const char *const *argv, const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* Of its own, so that Ctrl-C reaches us first and we stop it. */
	setpgid(0, 0);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(126);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(2, "cannot run %s: %s\n", argv[0], err_name(errno));
	_exit(127);
}

int process_start(struct process *p, const char *const *argv, const char *log,
		  struct err *e)
{
	const char *slash = strrchr(argv[0], '/');
	pid_t pid;

	sluice_assert(p->pid == 0);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return err_set(e, -errno, "fork: %s", err_name(errno));
	if (pid == 0)
		child_run(argv, log);
	p->pid = pid;
	snprintf(p->name, sizeof(p->name), "%s", slash ? slash + 1 : argv[0]);
	snprintf(p->log, sizeof(p->log), "%s", log);
	return 0;
}

bool process_is_over(struct process *p, int *status)
{
	int got;

	if (p->pid == 0)
		return true;
	if (waitpid(p->pid, &got, WNOHANG) != p->pid)
		return false;
	p->pid = 0;
	*status = got;
	return true;
}

int process_wait(struct process *p, uint64_t wait_ns, int *status)
{
	uint64_t end_ns = clock_monotonic_ns() + wait_ns;

	while (!process_is_over(p, status)) {
		if (interrupted)
			return -EINTR;
		if (clock_monotonic_ns() >= end_ns)
			return -ETIMEDOUT;
		process_sleep(POLL_NS);
	}
	return 0;
}

void process_stop(struct process *p, int *status)
{
	uint64_t end_ns = clock_monotonic_ns() + STOP_NS;
	int got = 0;

	if (p->pid == 0)
		return;
	kill(p->pid, SIGTERM);
	while (!process_is_over(p, &got)) {
		if (clock_monotonic_ns() >= end_ns)
			kill(p->pid, SIGKILL);
		process_sleep(POLL_NS);
	}
	if (status)
		*status = got;
}

static void last_line(const char *log, char *line, size_t bytes)
{
	FILE *f = fopen(log, "re");
	char next[400];

	line[0] = 0;
	while (f && fgets(next, sizeof(next), f)) {
		next[strcspn(next, "\n")] = 0;
		if (next[0])
			snprintf(line, bytes, "%.*s", (int)bytes - 1, next);
	}
	if (f)
		fclose(f);
}

int process_blame(const struct process *p, int code, struct err *e)
{
	char line[400];

	last_line(p->log, line, sizeof(line));
	return err_set(e, code, "%s: %s", p->name,
		       line[0] ? line : err_name(code));
}

int process_run(const char *const *argv, const char *log, uint64_t wait_ns,
		int also, struct err *e)
{
	struct process p = {0};
	int status = 0, err = process_start(&p, argv, log, e);

	if (err)
		return err;
	err = process_wait(&p, wait_ns, &status);
	if (err) {
		process_stop(&p, NULL);
		return process_blame(&p, err, e);
	}
	if (!WIFEXITED(status) ||
	    (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != also))
		return process_blame(&p, -ECHILD, e);
	return 0;
}
