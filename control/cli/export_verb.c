/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_verb.c - `sluice export`: which kind, and whether it may begin.
 *
 * One thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "export.h"

static int usage(void)
{
	fputs("usage: sluice export postfix QUEUE_DIRECTORY SELECTION --reason "
	      "TEXT [--queue hold|incoming|deferred]\n"
	      "       sluice export eml DIRECTORY SELECTION --reason TEXT\n"
	      "       sluice export smtp HOST:PORT SELECTION --reason TEXT\n"
	      "       sluice export postfix|eml DIRECTORY --finish\n"
	      "       sluice export abandon --reason TEXT\n",
	      stderr);
	return EX_USAGE;
}

static int reason_check(const struct cli *cli)
{
	if (cli->finish || (cli->reason != NULL && *cli->reason != '\0'))
		return 0;
	fputs("sluice: a reason is needed, for the log and for the others: "
	      "--reason TEXT\n",
	      stderr);
	return EX_USAGE;
}

static int selection_check(const struct cli *cli)
{
	bool given = json_object_size(cli->selection) > 0;

	if (cli->finish == !given)
		return 0;
	fputs(given ? "sluice: export: --finish takes no selection: it "
		      "finishes what was begun\n"
		    : "sluice: export: no selection: say which messages, or "
		      "--all\n",
	      stderr);
	return EX_USAGE;
}

int verb_export(struct cli *cli)
{
	const char *kind = cli->arg_count > 0 ? cli->args[0] : "";
	const char *where = cli->arg_count > 1 ? cli->args[1] : "";
	bool abandon = strcmp(kind, "abandon") == 0;
	int rc;

	if (cli->arg_count != (abandon ? 1 : 2) ||
	    (strcmp(kind, "smtp") == 0 && cli->finish))
		return usage();
	rc = reason_check(cli);
	if (rc == 0 && !abandon)
		rc = selection_check(cli);
	if (rc != 0)
		return rc;
	if (abandon)
		return export_abandon(cli);
	if (strcmp(kind, "postfix") == 0)
		return export_postfix(cli, where);
	if (strcmp(kind, "eml") == 0)
		return export_eml(cli, where);
	if (strcmp(kind, "smtp") == 0)
		return export_smtp(cli, where);
	return usage();
}
