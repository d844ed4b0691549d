/* SPDX-License-Identifier: BSD-2-Clause
 *
 * options.h - command lines as tables: parsing, limits and --help from one.
 *
 * Any thread; reads argv only. Texts that are handed out point into argv.
 */
#ifndef SLUICE_BENCH_OPTIONS_H
#define SLUICE_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_LIST_MAX 1024

enum option_kind {
	OPTION_FLAG,     /* bool */
	OPTION_TEXT,     /* const char * */
	OPTION_NUMBER,   /* uint64_t, between min and max */
	OPTION_SIZE,     /* uint64_t bytes: 4KiB, 1MiB, 512 */
	OPTION_DURATION, /* uint64_t ns: 10s, 5m; a bare number is seconds */
	OPTION_LIST      /* struct option_list, may be repeated */
};

struct option_list {
	const char *items[OPTIONS_LIST_MAX];
	uint32_t count;
};

struct option_spec {
	const char *name;  /* without "--"; NULL ends the table */
	const char *value; /* its name in --help; NULL for flags */
	const char *help;
	enum option_kind kind;
	void *out;         /* type as the kind says; keeps its default */
	uint64_t min, max; /* numbers, sizes; max 0 = no limit */
};

#define OPTIONS_GO_ON (-1)
/* OPTIONS_GO_ON, or the exit status: 0 after --help, EX_USAGE after an error
 * that was printed to stderr. `summary` is the line below the usage line. */
int options_parse(const char *command, const char *summary,
		  const struct option_spec *specs, int argc, char **argv);
/* Prints "sluice-bench COMMAND: text" and returns `status`. */
int options_error(int status, const char *command, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
