/* SPDX-License-Identifier: BSD-2-Clause
 *
 * process.h - child processes of a measurement.
 *
 * Only children that were started here are ever signalled, by their pid. A
 * child gets SIGTERM when this process dies. One thread.
 */
#ifndef SLUICE_BENCH_PROCESS_H
#define SLUICE_BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sluice/err.h"

#define PROCESS_ARGS_MAX 40

struct process {
	pid_t pid; /* 0 = none */
	char name[64];
	char log[4096]; /* where its output went */
};

/* argv[0] is a path, or a name to be looked up in PATH. Output of both kinds
 * goes to `log`. */
int process_start(struct process *p, const char *const *argv, const char *log,
		  struct err *e);
/* Waits for its end, at most `wait_ns`. 0 = ended, *status as waitpid() gives
 * it; -ETIMEDOUT; -EINTR after SIGINT or SIGTERM to us. */
int process_wait(struct process *p, uint64_t wait_ns, int *status);
/* Ended already? */
bool process_is_over(struct process *p, int *status);
/* SIGTERM, after ten seconds SIGKILL. NULL status is fine. */
void process_stop(struct process *p, int *status);
/* Start, wait, and make any status but 0 and `also` an error that quotes the
 * last line of the log. */
int process_run(const char *const *argv, const char *log, uint64_t wait_ns,
		int also, struct err *e);
/* Puts what the log ends with into `e` and returns `code`. */
int process_blame(const struct process *p, int code, struct err *e);
/* SIGINT and SIGTERM end waits with -EINTR from now on. */
void process_signals_catch(void);
bool process_interrupted(void);
void process_sleep(uint64_t ns);

#endif
