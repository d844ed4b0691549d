/* SPDX-License-Identifier: BSD-2-Clause
 *
 * drain.c - `sluice-bench drain`: a backlog to a sink, as fast as it goes.
 *
 * Called by main(), on its thread. Contenders take turns, `runs` rounds; each
 * turn has a fresh directory, backlog and sink.
 * Errors: EX_USAGE; EX_UNAVAILABLE with the contender's last words. What went
 * wrong with messages (lost, altered) is a result and in the report.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "bench.h"
#include "common/buffer.h"
#include "common/options.h"
#include "drain/drain_priv.h"
#include "sluice/clock.h"
#include "sluice/config.h"

static const char summary[] =
	"Delivers a backlog to a sink at unlimited pace with sluiced, with a\n"
	"canned client (the ceiling) and, if asked, with Postfix; in turns.";

static int drain_options(struct drain *d, int argc, char **argv)
{
	const struct option_spec specs[] = {
		{"messages", "N", "of a backlog; 20000", OPTION_NUMBER,
		 &d->messages, 2, UINT32_MAX},
		{"size", "SIZE", "of a message; 4KiB", OPTION_TEXT, &d->size, 0,
		 0},
		{"runs", "N", "rounds; 5", OPTION_NUMBER, &d->runs, 1,
		 DRAIN_RUNS_MAX},
		{"connections", "N", "at once; 20", OPTION_NUMBER,
		 &d->connections, 1, 10000},
		{"against", "postfix", "also a private Postfix (as root)",
		 OPTION_TEXT, &d->against, 0, 0},
		{"from", "KIND",
		 "postfix: import a queue first; spool: made ready; spool",
		 OPTION_TEXT, &d->from, 0, 0},
		{"campus", NULL, "the campus profile, not plain messages",
		 OPTION_FLAG, &d->campus, 0, 0},
		{"seed", "S", "of the backlog; 1", OPTION_NUMBER, &d->seed, 0,
		 0},
		{"sluiced", "PATH",
		 "the daemon; beside this program or in PATH", OPTION_TEXT,
		 &d->sluiced, 0, 0},
		{"sluice", "PATH", "the command line, the same way",
		 OPTION_TEXT, &d->sluice, 0, 0},
		{"spin", "TIME", "of sink and canned client, see sink --help",
		 OPTION_DURATION, &d->spin_ns, 0, NS_PER_S},
		{"timeout", "TIME", "of each step of a run; 10m",
		 OPTION_DURATION, &d->timeout_ns, NS_PER_S, 0},
		{"work", "DIR", "where temporary files go; TMPDIR or /tmp",
		 OPTION_TEXT, &d->work_parent, 0, 0},
		{"keep", NULL, "leave temporary files there", OPTION_FLAG,
		 &d->keep, 0, 0},
		{"json", NULL, "print the result as JSON", OPTION_FLAG,
		 &d->json, 0, 0},
		{0}};

	return options_parse("drain", summary, specs, argc, argv);
}

static void contender_add(struct drain *d, const char *name,
			  int (*run)(struct drain *, struct drain_sample *,
				     struct err *))
{
	struct drain_contender *c = &d->contenders[d->contender_count++];

	c->name = name;
	c->run = run;
}

/* Beside this program, in the build tree, or left to PATH. */
static const char *program_find(const struct drain *d, const char *name,
				const char *built, char out[PATH_MAX])
{
	const char *slash = strrchr(d->self, '/');
	int dir = slash ? (int)(slash - d->self) : 0;

	snprintf(out, PATH_MAX, "%.*s/%s", dir, d->self, name);
	if (access(out, X_OK) == 0)
		return out;
	snprintf(out, PATH_MAX, "%.*s/../%s/%s", dir, d->self, built, name);
	if (access(out, X_OK) == 0)
		return out;
	snprintf(out, PATH_MAX, "%s", name);
	return out;
}

static int drain_check(struct drain *d)
{
	struct err e = {{0}};
	uint64_t bytes;

	if (config_size_parse(d->size, &bytes) != 0)
		return options_error(EX_USAGE, "drain",
				     "--size: '%s' is no SIZE", d->size);
	if (strcmp(d->from, "postfix") != 0 && strcmp(d->from, "spool") != 0)
		return options_error(EX_USAGE, "drain",
				     "--from '%s': there are postfix and spool",
				     d->from);
	contender_add(d, "sluice", drain_sluice);
	contender_add(d, "ceiling", drain_ceiling);
	if (!d->against)
		return OPTIONS_GO_ON;
	if (strcmp(d->against, "postfix") != 0)
		return options_error(EX_USAGE, "drain",
				     "--against '%s': there is postfix",
				     d->against);
	if (drain_postfix_check(&e) != 0)
		return options_error(EX_UNAVAILABLE, "drain", "%s", e.text);
	contender_add(d, "postfix", drain_postfix);
	contender_add(d, "postfix_tuned", drain_postfix_tuned);
	return OPTIONS_GO_ON;
}

static int work_make(struct drain *d, struct err *e)
{
	const char *parent = d->work_parent;

	if (!parent) {
		/* One thread here. NOLINTNEXTLINE(concurrency-mt-unsafe) */
		parent = getenv("TMPDIR");
	}
	snprintf(d->work, sizeof(d->work), "%s/sluice-drain-XXXXXX",
		 parent ? parent : "/tmp");
	/* Postfix's processes have other users and walk through it. */
	if (!mkdtemp(d->work) || chmod(d->work, 0755) != 0)
		return err_set(e, -errno, "cannot make %s: %s", d->work,
			       err_name(errno));
	return 0;
}

static int turn(struct drain *d, uint64_t round, struct drain_contender *c,
		struct err *e)
{
	int n = snprintf(d->dir, sizeof(d->dir), "%s/%llu-%s", d->work,
			 (unsigned long long)round, c->name);
	int err = 0;

	if (n < 0 || (size_t)n >= sizeof(d->dir) - 64)
		return err_set(e, -ENAMETOOLONG, "%s is too long", d->work);
	if (mkdir(d->dir, 0755) != 0)
		err = err_set(e, -errno, "%s: %s", d->dir, err_name(errno));
	if (!err)
		err = c->run(d, &c->samples[round], e);
	if (err)
		err_prefix(e, "%s", c->name);
	else
		fprintf(stderr, "round %llu: %s %.0f/s\n",
			(unsigned long long)round + 1, c->name,
			c->samples[round].rate);
	if (!d->keep)
		drain_remove(d->dir);
	return err;
}

static int rounds(struct drain *d, struct err *e)
{
	int err = work_make(d, e);

	process_signals_catch();
	for (uint64_t r = 0; r < d->runs && !err; r++)
		for (uint32_t i = 0; i < d->contender_count && !err; i++)
			err = turn(d, r, &d->contenders[i], e);
	if (!d->keep)
		drain_remove(d->work);
	else
		fprintf(stderr, "files are in %s\n", d->work);
	return err;
}

int bench_drain(int argc, char **argv)
{
	struct drain *d = bench_calloc(1, sizeof(*d));
	char sluiced[PATH_MAX], sluice[PATH_MAX];
	struct err e = {{0}};
	int status;

	d->messages = 20000;
	d->runs = 5;
	d->connections = 20;
	d->seed = 1;
	d->size = "4KiB";
	d->from = "spool";
	d->timeout_ns = 600 * NS_PER_S;
	if (readlink("/proc/self/exe", d->self, sizeof(d->self) - 1) <= 0)
		snprintf(d->self, sizeof(d->self), "%s", BENCH_PROGRAM);
	d->sluiced = program_find(d, "sluiced", "dataplane/sluiced", sluiced);
	d->sluice = program_find(d, "sluice", "control/cli", sluice);
	status = drain_options(d, argc, argv);
	if (status == OPTIONS_GO_ON)
		status = drain_check(d);
	if (status == OPTIONS_GO_ON) {
		status = EX_OK;
		if (rounds(d, &e) != 0)
			status = options_error(EX_UNAVAILABLE, "drain", "%s",
					       e.text);
		else
			drain_report(d);
	}
	free(d);
	return status;
}
