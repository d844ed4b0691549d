/* SPDX-License-Identifier: BSD-2-Clause
 *
 * options.c - options of all verbs, and the selection they build.
 *
 * A selection option may be given several times: any of its values matches.
 * Different options must all match.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"

enum {
	OPT_SOCKET = 256,
	OPT_JSON,
	OPT_YES,
	OPT_DRY_RUN,
	OPT_REASON,
	OPT_LIMIT,
	OPT_HOLD,
	OPT_ENVELOPE,
	OPT_QUEUE,
	OPT_NORMALISE,
	OPT_ACTION,
	OPT_SENDERS,
	OPT_ROUTE,
	OPT_POOL,
	OPT_BACK,
	OPT_FINISH,
	OPT_CONNECTIONS,
	OPT_ALL,
	OPT_LIST,   /* selection: a list of strings */
	OPT_SINGLE, /* selection: one string */
};

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"json", no_argument, NULL, OPT_JSON},
	{"yes", no_argument, NULL, OPT_YES},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"reason", required_argument, NULL, OPT_REASON},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"hold", required_argument, NULL, OPT_HOLD},
	{"envelope", required_argument, NULL, OPT_ENVELOPE},
	{"queue", required_argument, NULL, OPT_QUEUE},
	{"normalise", no_argument, NULL, OPT_NORMALISE},
	{"keep", no_argument, NULL, OPT_ACTION},
	{"requeue", no_argument, NULL, OPT_ACTION},
	{"fail", no_argument, NULL, OPT_ACTION},
	{"purge", no_argument, NULL, OPT_ACTION},
	{"reroute", no_argument, NULL, OPT_ACTION},
	{"route", required_argument, NULL, OPT_ROUTE},
	{"pool", required_argument, NULL, OPT_POOL},
	{"back", no_argument, NULL, OPT_BACK},
	{"senders", no_argument, NULL, OPT_SENDERS},
	{"finish", no_argument, NULL, OPT_FINISH},
	{"connections", required_argument, NULL, OPT_CONNECTIONS},
	{"all", no_argument, NULL, OPT_ALL},
	{"provider", required_argument, NULL, OPT_LIST},
	{"domain", required_argument, NULL, OPT_LIST},
	{"sender", required_argument, NULL, OPT_LIST},
	{"sender-domain", required_argument, NULL, OPT_LIST},
	{"recipient", required_argument, NULL, OPT_LIST},
	{"source", required_argument, NULL, OPT_LIST},
	{"state", required_argument, NULL, OPT_LIST},
	{"id", required_argument, NULL, OPT_LIST},
	{"account", required_argument, NULL, OPT_LIST},
	{"client-ip", required_argument, NULL, OPT_LIST},
	{"subject", required_argument, NULL, OPT_LIST},
	{"header", required_argument, NULL, OPT_LIST},
	{"fingerprint", required_argument, NULL, OPT_LIST},
	{"score", required_argument, NULL, OPT_LIST},
	{"older", required_argument, NULL, OPT_SINGLE},
	{"newer", required_argument, NULL, OPT_SINGLE},
	{"larger", required_argument, NULL, OPT_SINGLE},
	{"smaller", required_argument, NULL, OPT_SINGLE},
	{NULL, 0, NULL, 0}};

void cli_usage(const struct cli_verb *v, bool to_stdout)
{
	FILE *f = to_stdout ? stdout : stderr;

	fprintf(f, "usage: sluice %s %s\n  %s\n", v->name, v->usage, v->help);
	if (v->selects)
		fputs("selection, all that are given must match; one given "
		      "twice: either value does\n"
		      "  --provider P --domain D --sender A --sender-domain D "
		      "--recipient A --source S\n"
		      "  --account USER --client-ip ADDRESS[/BITS] "
		      "--subject REGEX --header 'NAME: REGEX'\n"
		      "  --state waiting|deferred|held|needs-decision|"
		      "in-flight|exporting|failed|expired\n"
		      "  --id ID --older 2h --newer 1d --larger 1MiB "
		      "--smaller 4KiB, or --all\n"
		      "  What failed or expired is found by --state or --id "
		      "only. REGEX: PCRE2, in any case.\n",
		      f);
}

const struct option *cli_options(void)
{
	return options;
}

/* "sender-domain" is "sender_domain" in JSON. */
static void option_key(const char *name, char key[32])
{
	snprintf(key, 32, "%s", name);
	for (char *p = key; *p != '\0'; p++)
		if (*p == '-')
			*p = '_';
}

static void selection_add(struct cli *cli, const char *name, bool list,
			  const char *value)
{
	char key[32];
	json_t *j;

	option_key(name, key);
	if (!list) {
		json_object_set_new(cli->selection, key, json_string(value));
		return;
	}
	j = json_object_get(cli->selection, key);
	if (j == NULL) {
		j = json_array();
		json_object_set_new(cli->selection, key, j);
	}
	json_array_append_new(j, json_string(value));
}

static int number_parse(const char *name, const char *text, uint64_t *out)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-') {
		fprintf(stderr, "sluice: --%s: '%s' is no number\n", name,
			text);
		return EX_USAGE;
	}
	*out = n;
	return 0;
}

static int action_take(struct cli *cli, const char *name)
{
	if (cli->action != NULL && strcmp(cli->action, name) != 0) {
		fprintf(stderr, "sluice: --%s or --%s, not both\n", cli->action,
			name);
		return EX_USAGE;
	}
	cli->action = name;
	return 0;
}

static int option_take(struct cli *cli, int opt, const struct option *o)
{
	switch (opt) {
	case 'c':
		cli->config_path = optarg;
		return 0;
	case OPT_SOCKET:
		cli->socket_path = optarg;
		return 0;
	case OPT_JSON:
		cli->json = true;
		return 0;
	case OPT_YES:
		cli->yes = true;
		return 0;
	case OPT_DRY_RUN:
		cli->dry_run = true;
		return 0;
	case OPT_REASON:
		cli->reason = optarg;
		return 0;
	case OPT_LIMIT:
		return number_parse(o->name, optarg, &cli->limit);
	case OPT_HOLD:
		return number_parse(o->name, optarg, &cli->hold_number);
	case OPT_ENVELOPE:
		cli->envelope_file = optarg;
		return 0;
	case OPT_QUEUE:
		cli->queue = optarg;
		return 0;
	case OPT_NORMALISE:
		cli->normalise = true;
		return 0;
	case OPT_ACTION:
		return action_take(cli, o->name);
	case OPT_SENDERS:
		cli->senders = true;
		return 0;
	case OPT_ROUTE:
		cli->route = optarg;
		return 0;
	case OPT_POOL:
		cli->pool = optarg;
		return 0;
	case OPT_BACK:
		cli->back = true;
		return 0;
	case OPT_FINISH:
		cli->finish = true;
		return 0;
	case OPT_CONNECTIONS:
		return number_parse(o->name, optarg, &cli->connections);
	case OPT_ALL:
		json_object_set_new(cli->selection, "all", json_true());
		return 0;
	default:
		selection_add(cli, o->name, opt == OPT_LIST, optarg);
		return 0;
	}
}

int cli_options_parse(struct cli *cli, const struct cli_verb *v, int argc,
		      char **argv)
{
	int opt, at, rc;

	cli->selection = json_object();
	if (cli->selection == NULL)
		return EX_OSERR;
	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((opt = getopt_long(argc, argv, "c:h", options, &at)) != -1) {
		if (opt == 'h') {
			cli_usage(v, true);
			return -1;
		}
		if (opt == '?') {
			cli_usage(v, false);
			return EX_USAGE;
		}
		rc = option_take(cli, opt, opt == 'c' ? NULL : &options[at]);
		if (rc != 0)
			return rc;
	}
	if (!v->selects && json_object_size(cli->selection) > 0) {
		fprintf(stderr, "sluice: %s takes no selection\n", v->name);
		return EX_USAGE;
	}
	cli->args = argv + optind;
	cli->arg_count = argc - optind;
	if (v->selects && v->selects != CLI_SELECTS_BESIDE &&
	    cli->arg_count > 0) {
		fprintf(stderr,
			"sluice: unexpected '%s'; a selection is made of "
			"options, as --domain %s\n",
			cli->args[0], cli->args[0]);
		return EX_USAGE;
	}
	return 0;
}
