/* SPDX-License-Identifier: BSD-2-Clause
 *
 * main.c - sluice-bench: load, receivers and measurements for any MTA.
 *
 * Finds the command and runs it on this thread. Errors: EX_USAGE.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "bench.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"backlog", bench_backlog, "make a backlog: a queue to import"},
	{"sink", bench_sink, "receive mail and compare it with a ledger"},
	{"accept", bench_accept, "send messages to an MTA, measure its intake"},
	{"load", bench_load, "send mixed mail to an MTA, at a rate"},
	{"ceiling", bench_ceiling, "stream canned dialogues: the upper bound"},
	{"drain", bench_drain, "measure a drain: sluiced, ceiling, Postfix"},
};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void usage(FILE *f)
{
	fprintf(f, "Usage: %s COMMAND [OPTIONS]\n\nCommands:\n", BENCH_PROGRAM);
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(f, "\n%s COMMAND --help lists a command's options.\n",
		BENCH_PROGRAM);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage(stdout);
		return EX_OK;
	}
	for (size_t i = 0; i < COUNT(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "%s: no command '%s'; see --help\n", BENCH_PROGRAM,
		argv[1]);
	return EX_USAGE;
}
