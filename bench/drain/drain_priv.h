/* SPDX-License-Identifier: BSD-2-Clause
 *
 * drain_priv.h - shared by the files of drain only.
 *
 * A contender is a program (or the canned client) that takes the same backlog
 * to the same kind of sink. All of them run once per round, one after the
 * other, so that the machine's moods hit all alike.
 */
#ifndef SLUICE_BENCH_DRAIN_PRIV_H
#define SLUICE_BENCH_DRAIN_PRIV_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "drain/process.h"
#include "sluice/err.h"

#define DRAIN_CONTENDERS_MAX 4
#define DRAIN_RUNS_MAX       100

struct drain_sample {
	double rate;        /* messages/s, first to last arrival at the sink */
	double seconds;     /* of that */
	double first_s;     /* from the start signal to the first arrival */
	double settled_s;   /* first arrival until every outcome is durable
			     * and counted; 0 = not measured */
	double import_rate; /* messages/s taken over; 0 = not measured */
	uint64_t delivered, lost, duplicated, altered, protocol_errors;
};

struct drain;

struct drain_contender {
	const char *name;
	int (*run)(struct drain *d, struct drain_sample *out, struct err *e);
	struct drain_sample samples[DRAIN_RUNS_MAX];
};

struct drain {
	/* options */
	uint64_t messages, runs, connections, seed, timeout_ns, spin_ns;
	const char *size, *sluiced, *sluice, *from, *against, *work_parent;
	bool campus, keep, json;
	/* this run */
	char self[PATH_MAX]; /* this program */
	char work[PATH_MAX]; /* the directory of all runs */
	char dir[PATH_MAX];  /* of the present run, empty at its start */
	uint64_t recipients; /* lines of the ledger */
	uint16_t port;       /* of the sink */
	struct process sink;
	struct drain_contender contenders[DRAIN_CONTENDERS_MAX];
	uint32_t contender_count;
};

/* path.c: "<d->dir>/<name>" in a buffer of its own. */
struct drain_path {
	char text[PATH_MAX];
};
struct drain_path drain_path(const struct drain *d, const char *name);
int drain_text_write(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void drain_remove(const char *path);

/* receiver.c */
int drain_sink_start(struct drain *d, bool ledger, struct err *e);
/* Waits until everything has arrived; fills in what the sink knows. `start_ns`
 * is when the contender got its signal. */
int drain_sink_wait(struct drain *d, uint64_t start_ns,
		    struct drain_sample *out, struct err *e);
/* `sluice-bench backlog` into <dir>/<name>, ledger into <dir>/ledger. */
int drain_backlog(struct drain *d, const char *format, const char *name,
		  const char *owner, struct err *e);

/* contenders */
int drain_sluice(struct drain *d, struct drain_sample *out, struct err *e);
int drain_ceiling(struct drain *d, struct drain_sample *out, struct err *e);
int drain_postfix(struct drain *d, struct drain_sample *out, struct err *e);
int drain_postfix_tuned(struct drain *d, struct drain_sample *out,
			struct err *e);
/* -ENOENT, -EPERM with what is missing. */
int drain_postfix_check(struct err *e);

/* report.c */
void drain_report(const struct drain *d);

#endif
