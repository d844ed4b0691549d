/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_decide.c - decide: what needs a decision, and the decision.
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
};

static void decided_print(const struct cli *cli, const json_t *done)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].action, cli->action) == 0)
			act_totals_print(cli, words[i].would, words[i].did,
					 done);
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
	if (rc == 0 && !nothing)
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
