/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_change.c - purge and requeue: what an operator decides about a
 * selection for good.
 *
 * A purge asks for the count to be typed, unless --yes; without a terminal to
 * ask on it refuses. What was confirmed is also the most that is purged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli.h"

/* "12,345" and "12345" are the same. */
static bool typed_is(const char *line, uint64_t count)
{
	uint64_t n = 0;
	bool any = false;

	for (; *line != '\0' && *line != '\n'; line++) {
		if (*line == ',' || *line == ' ')
			continue;
		if (*line < '0' || *line > '9' || n > UINT64_MAX / 20)
			return false;
		n = n * 10 + (uint64_t)(*line - '0');
		any = true;
	}
	return any && n == count;
}

/* 0 when the count was typed. */
static int count_confirm(const char *verb, uint64_t recipients,
			 uint64_t messages)
{
	char r[32], m[32], line[64];

	text_count(recipients, r);
	text_count(messages, m);
	fprintf(stderr,
		"sluice: %s: %s recipients of %s messages are removed for "
		"good.\nType the number of recipients to go on: ",
		verb, r, m);
	if (fgets(line, sizeof(line), stdin) != NULL &&
	    typed_is(line, recipients))
		return 0;
	fprintf(stderr, "sluice: %s: that is not %s; nothing was done\n", verb,
		r);
	return EX_DATAERR;
}

int act_confirm(struct cli *cli, const char *verb, json_t *(*request)(void *),
		void *user, bool *nothing)
{
	json_t *j, *done = NULL;
	int rc;

	*nothing = false;
	if (cli->yes || cli->dry_run)
		return 0;
	if (!cli->terminal || !isatty(STDIN_FILENO)) {
		fprintf(stderr,
			"sluice: %s: no terminal to ask on; say --yes, or "
			"--dry-run to see the count\n",
			verb);
		return EX_USAGE;
	}
	j = request(user);
	json_object_set_new(j, "dry_run", json_true());
	rc = connection_ask(cli, j, NULL, NULL, &done);
	if (rc != 0)
		return rc;
	cli->limit = (uint64_t)json_int(done, "recipients");
	*nothing = cli->limit == 0;
	if (!*nothing)
		rc = count_confirm(verb, cli->limit,
				   (uint64_t)json_int(done, "messages"));
	json_decref(done);
	return rc;
}

static void left_print(const struct cli *cli, const json_t *done)
{
	char n[32];

	text_count((uint64_t)json_int(done, "in_flight"), n);
	if (json_int(done, "in_flight") > 0)
		printf("  %s in flight were left alone: ask again when they "
		       "have come back\n",
		       n);
	if (json_is_true(json_object_get(done, "truncated")))
		printf("  there are more than %llu now: they were left alone\n",
		       (unsigned long long)cli->limit);
}

void act_totals_print(const struct cli *cli, const char *would, const char *did,
		      const json_t *done)
{
	char m[32], r[32];

	text_count((uint64_t)json_int(done, "messages"), m);
	text_count((uint64_t)json_int(done, "recipients"), r);
	printf("%s %s recipients of %s messages\n", cli->dry_run ? would : did,
	       r, m);
	left_print(cli, done);
	gave_up_print(done);
	unreadable_warn(done);
}

struct change {
	struct cli *cli;
	const char *verb;
};

static json_t *change_request(void *user)
{
	struct change *p = user;
	json_t *j = act_request(p->cli, p->verb);

	if (p->cli->limit > 0)
		json_object_set_new(j, "limit",
				    json_integer((json_int_t)p->cli->limit));
	return j;
}

int verb_purge(struct cli *cli)
{
	struct change p = {cli, "purge"};
	bool nothing = false;
	json_t *done = NULL;
	int rc = act_reason_missing(cli);

	if (rc == 0)
		rc = act_confirm(cli, "purge", change_request, &p, &nothing);
	if (rc == 0 && !nothing)
		rc = connection_ask(cli, change_request(&p), NULL, NULL, &done);
	if (rc != 0)
		return rc;
	if (nothing)
		done = json_pack("{s:i,s:i}", "messages", 0, "recipients", 0);
	if (cli->json)
		print_json("sluice.purge.1", done);
	else
		act_totals_print(cli, "would purge", "purged", done);
	json_decref(done);
	return 0;
}

int verb_requeue(struct cli *cli)
{
	struct change p = {cli, "requeue"};
	json_t *done = NULL;
	int rc = act_reason_missing(cli);

	if (rc == 0)
		rc = connection_ask(cli, change_request(&p), NULL, NULL, &done);
	if (rc != 0)
		return rc;
	if (cli->json)
		print_json("sluice.requeue.1", done);
	else
		act_totals_print(cli, "would requeue", "requeued", done);
	json_decref(done);
	return 0;
}
