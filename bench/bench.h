/* SPDX-License-Identifier: BSD-2-Clause
 *
 * bench.h - what every sluice-bench command shares.
 *
 * Each command is one function: it parses its own arguments, runs to its end
 * on the calling thread and returns a sysexits status. Results go to stdout
 * (text, or one JSON object with --json), everything else to stderr.
 */
#ifndef SLUICE_BENCH_H
#define SLUICE_BENCH_H

#define BENCH_PROGRAM "sluice-bench"

int bench_backlog(int argc, char **argv);
int bench_sink(int argc, char **argv);
int bench_accept(int argc, char **argv);
int bench_drain(int argc, char **argv);
/* The canned client that drain compares with; also callable on its own. */
int bench_ceiling(int argc, char **argv);
int bench_load(int argc, char **argv);

#endif
