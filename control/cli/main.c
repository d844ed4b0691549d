/* SPDX-License-Identifier: BSD-2-Clause
 *
 * main.c - the `sluice` command: finds the verb and runs it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli.h"
#include "sluice/config.h"
#include "sluice/nearest.h"

const struct cli_verb cli_verbs[] = {
	{"status", verb_status, false, "[--json]",
	 "one screen: totals, rate, ETA, providers, holds"},
	{"import", verb_import, false,
	 "postfix DIR [--queue NAME] | eml --envelope FILE.jsonl  [--reason "
	 "TEXT]",
	 "takes custody of a backlog; never sends"},
	{"providers", verb_providers, false, "[--json]",
	 "table of providers: backlog, pace, state, last refusal"},
	{"sources", verb_sources, false, "[--json]",
	 "table of sources and their paths"},
	{"list", verb_list, true, "SELECTION [--limit N] [--json]",
	 "recipients of a selection"},
	{"count", verb_count, true, "SELECTION [--json]", "exact count"},
	{"show", verb_show, false, "ID [--json]",
	 "envelope, header and state of one message"},
	{"hold", verb_hold, true, "SELECTION --reason TEXT [--dry-run]",
	 "keeps a selection back, also what arrives later"},
	{"release", verb_release, true,
	 "SELECTION | --hold N  --reason TEXT [--dry-run]",
	 "lets a selection go"},
	{"purge", verb_purge, true,
	 "SELECTION --reason TEXT [--dry-run] [--yes]",
	 "removes a selection for good; asks for the count"},
	{"requeue", verb_requeue, true, "SELECTION --reason TEXT [--dry-run]",
	 "deferred, undecided and (by --state) failed: to be sent now"},
	{"reroute", verb_reroute, true,
	 "SELECTION --route HOST[:PORT]|--pool P|--source S|--back  --reason "
	 "TEXT [--dry-run]\n  (--source is where from; it selects nothing "
	 "here)",
	 "sends a selection another way, now"},
	{"decide", verb_decide, true,
	 "[SELECTION] | SELECTION --keep|--requeue|--fail|--purge|--reroute "
	 "--route...\n  --reason TEXT [--dry-run] [--yes]",
	 "what needs a decision, by refusal; and the decision"},
	{"replies", verb_replies, true, "[--provider P] [--limit N] [--json]",
	 "what receivers refused with, lately"},
	{"shape", verb_shape, true,
	 "[SELECTION] [--senders] [--limit N] [--json]",
	 "age by domain, as qshape counts"},
	{"trace", verb_trace, false, "ID [--json]",
	 "the whole way of one message, also of one that is gone"},
	{"audit", verb_audit, false, "[--limit N] [--json]",
	 "who did what, to how many, and why"},
	{"export", verb_export, CLI_SELECTS_BESIDE,
	 "postfix DIR [--queue hold|incoming|deferred] | eml DIR | smtp "
	 "HOST:PORT  SELECTION --reason TEXT [--dry-run] | postfix|eml DIR "
	 "--finish | abandon --reason TEXT",
	 "hands a selection back, durably, and only then lets go"},
	{"check", verb_check, false, "[-c FILE]", "validates the config"},
	{"reload", verb_reload, false, "[--json]",
	 "has sluiced read its config again; prints what changed"},
	{"recovered", verb_recovered, false, "[--json]",
	 "what may have been delivered twice"},
	{"tail", verb_tail, false, "[--json]", "events as they happen"},
	{NULL, NULL, false, NULL, NULL},
};

static void usage_all(FILE *f)
{
	fputs("usage: sluice VERB [SELECTION] [OPTIONS]\n\n", f);
	for (const struct cli_verb *v = cli_verbs; v->name != NULL; v++)
		fprintf(f, "  %-10s %s\n", v->name, v->help);
	fputs("\n`sluice VERB --help` tells more. Options for all verbs:\n"
	      "  -c, --config FILE  default " CONFIG_DEFAULT_PATH "\n"
	      "      --socket PATH  the command socket of sluiced\n"
	      "      --json         JSON lines on stdout\n",
	      f);
}

static const struct cli_verb *verb_named(const char *name)
{
	const struct cli_verb *nearest = NULL;
	unsigned least = 0;

	for (const struct cli_verb *v = cli_verbs; v->name != NULL; v++) {
		if (strcmp(name, v->name) == 0)
			return v;
		if (text_nearer(name, v->name, &least))
			nearest = v;
	}
	fprintf(stderr, "sluice: unknown verb '%s'", name);
	if (nearest != NULL)
		fprintf(stderr, "; did you mean '%s'?", nearest->name);
	fputs("\nsluice: `sluice --help` lists them\n", stderr);
	return NULL;
}

int main(int argc, char **argv)
{
	struct cli cli = {.config_path = CONFIG_DEFAULT_PATH};
	const struct cli_verb *v;
	int rc;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		usage_all(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage_all(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("sluice %s\n", SLUICE_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "--bash-completion") == 0) {
		completion_print();
		return 0;
	}
	v = verb_named(argv[1]);
	if (v == NULL)
		return EX_USAGE;
	cli.terminal = isatty(STDERR_FILENO);
	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	cli.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
	rc = cli_options_parse(&cli, v, argc - 1, argv + 1);
	if (rc == 0)
		rc = v->run(&cli);
	json_decref(cli.selection);
	return rc < 0 ? 0 : rc; /* < 0: --help was printed */
}
