/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_decide.c - decide: what needs a decision, and the decision; reroute.
 *
 * Without an action it only looks; a decision to purge asks for the count as
 * `purge` does.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"

static void group_row(const json_t *g)
{
	char r[32], when[32];

	text_count((uint64_t)json_int(g, "recipients"), r);
	text_time((uint64_t)json_int(g, "oldest"), when);
	printf("%9s  %-20s %-20s oldest %s\n", r,
	       *json_str(g, "provider") ? json_str(g, "provider") : "others",
	       json_str(g, "class"), when);
	if (*json_str(g, "reply") == '\0')
		return;
	fputs("           ", stdout);
	print_safe(json_str(g, "reply"), 400);
	putchar('\n');
}

static void each_group(struct cli *cli, json_t *p, void *user)
{
	size_t i;
	json_t *g;

	(void)user;
	json_array_foreach(json_object_get(p, "groups"), i, g)
	{
		if (cli->json)
			print_json("sluice.undecided.1", g);
		else
			group_row(g);
	}
}

static int undecided_show(struct cli *cli)
{
	json_t *req = json_pack("{s:s}", "verb", "decide"), *done = NULL;
	int rc;

	if (json_object_size(cli->selection) > 0)
		json_object_set(req, "selection", cli->selection);
	rc = connection_ask(cli, req, each_group, NULL, &done);
	if (rc == 0 && !cli->json)
		fprintf(stderr,
			"%lld recipients of %lld messages need a decision: "
			"sluice decide SELECTION --keep | --requeue | "
			"--reroute | --fail | --purge\n",
			(long long)json_int(done, "recipients"),
			(long long)json_int(done, "messages"));
	json_decref(done);
	return rc;
}

/* The source is no term of the selection here. */
static int source_take(struct cli *cli, json_t *request)
{
	json_t *sources = json_object_get(cli->selection, "source");

	if (sources == NULL)
		return 0;
	if (json_array_size(sources) != 1) {
		fputs("sluice: reroute: one --source; several make a --pool\n",
		      stderr);
		return EX_USAGE;
	}
	json_object_set(request, "source", json_array_get(sources, 0));
	json_object_del(cli->selection, "source");
	return 0;
}

int reroute_target(struct cli *cli, json_t *request)
{
	int rc = source_take(cli, request);

	if (cli->route != NULL)
		json_object_set_new(request, "route", json_string(cli->route));
	if (cli->pool != NULL)
		json_object_set_new(request, "pool", json_string(cli->pool));
	if (cli->back)
		json_object_set_new(request, "back", json_true());
	return rc;
}

static void no_path_print(const json_t *done)
{
	if (json_int(done, "no_path") > 0)
		printf("  %lld of them stay with their sources: their "
		       "provider's pool has none of those (see `sluice "
		       "providers`)\n",
		       (long long)json_int(done, "no_path"));
}

int verb_reroute(struct cli *cli)
{
	json_t *done = NULL, *req;
	int rc = act_reason_missing(cli);

	if (rc != 0)
		return rc;
	req = act_request(cli, "reroute");
	rc = reroute_target(cli, req);
	if (rc != 0)
		json_decref(req);
	else
		rc = connection_ask(cli, req, NULL, NULL, &done);
	if (rc != 0)
		return rc;
	if (cli->json) {
		print_json("sluice.reroute.1", done);
	} else {
		act_totals_print(cli, "would reroute", "rerouted", done);
		no_path_print(done);
	}
	json_decref(done);
	return 0;
}

static json_t *decide_request(void *user)
{
	struct cli *cli = user;
	json_t *j = act_request(cli, "decide");

	json_object_set_new(j, "action", json_string(cli->action));
	if (cli->limit > 0)
		json_object_set_new(j, "limit",
				    json_integer((json_int_t)cli->limit));
	return j;
}

static const struct {
	const char *action, *would, *did;
} words[] = {
	{"keep", "would keep", "keeps, held until released:"},
	{"requeue", "would requeue", "requeued"},
	{"fail", "would fail", "failed"},
	{"purge", "would purge", "purged"},
	{"reroute", "would reroute", "rerouted"},
};

static void decided_print(const struct cli *cli, const json_t *done)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].action, cli->action) == 0)
			act_totals_print(cli, words[i].would, words[i].did,
					 done);
	no_path_print(done);
}

static int decide_reroute(struct cli *cli, json_t **done)
{
	json_t *req = decide_request(cli);
	int rc = reroute_target(cli, req);

	if (rc == 0)
		return connection_ask(cli, req, NULL, NULL, done);
	json_decref(req);
	return rc;
}

int verb_decide(struct cli *cli)
{
	bool nothing = false;
	json_t *done = NULL;
	int rc;

	if (cli->action == NULL)
		return undecided_show(cli);
	rc = act_reason_missing(cli);
	if (rc == 0 && strcmp(cli->action, "purge") == 0)
		rc = act_confirm(cli, "decide --purge", decide_request, cli,
				 &nothing);
	if (rc == 0 && strcmp(cli->action, "reroute") == 0)
		rc = decide_reroute(cli, &done);
	else if (rc == 0 && !nothing)
		rc = connection_ask(cli, decide_request(cli), NULL, NULL,
				    &done);
	if (rc != 0)
		return rc;
	if (nothing)
		done = json_pack("{s:i,s:i}", "messages", 0, "recipients", 0);
	if (cli->json)
		print_json("sluice.decide.1", done);
	else
		decided_print(cli, done);
	json_decref(done);
	return 0;
}
