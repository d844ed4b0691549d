/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_act.c - verbs that change something: hold, release.
 *
 * Each says what it touched. --dry-run prints the exact count and does
 * nothing.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"

int act_reason_missing(const struct cli *cli)
{
	if (cli->reason != NULL && *cli->reason != '\0')
		return 0;
	fputs("sluice: a reason is needed, for the log and for the others: "
	      "--reason TEXT\n",
	      stderr);
	return EX_USAGE;
}

static void warnings_print(const json_t *done)
{
	const json_t *w;
	size_t i;

	json_array_foreach(json_object_get(done, "warnings"), i, w)
	{
		fputs("sluice: warning: ", stderr);
		print_safe_to(stderr, json_string_value(w), 700);
		fputc('\n', stderr);
	}
	unreadable_warn(done);
}

json_t *act_request(struct cli *cli, const char *verb)
{
	json_t *r = json_pack("{s:s,s:s,s:b}", "verb", verb, "reason",
			      cli->reason, "dry_run", cli->dry_run);

	if (cli->hold_number > 0)
		json_object_set_new(r, "hold",
				    json_integer((json_int_t)cli->hold_number));
	else
		json_object_set(r, "selection", cli->selection);
	return r;
}

void gave_up_print(const json_t *done)
{
	if (json_int(done, "gave_up") > 0)
		printf("  %lld texts were too much work for the pattern and "
		       "count as no match: make it simpler\n",
		       (long long)json_int(done, "gave_up"));
}

int verb_hold(struct cli *cli)
{
	json_t *done = NULL;
	char m[32], r[32];
	int rc = act_reason_missing(cli);

	if (rc == 0)
		rc = connection_ask(cli, act_request(cli, "hold"), NULL, NULL,
				    &done);
	if (rc != 0)
		return rc;
	warnings_print(done);
	text_count((uint64_t)json_int(done, "messages"), m);
	text_count((uint64_t)json_int(done, "recipients"), r);
	if (cli->json)
		print_json("sluice.hold.1", done);
	else if (cli->dry_run)
		printf("would hold %s recipients of %s messages\n", r, m);
	else
		printf("hold %lld: %s recipients of %s messages are kept back, "
		       "and what arrives later\n",
		       (long long)json_int(done, "hold"), r, m);
	json_decref(done);
	return 0;
}

static void still_held_print(const json_t *done)
{
	size_t i;
	json_t *h;

	json_array_foreach(json_object_get(done, "still_held_by"), i, h)
		printf("  still kept back: hold %lld (%s: %s)\n",
		       (long long)json_int(h, "hold"), json_str(h, "text"),
		       json_str(h, "reason"));
}

/* A selection that equals a hold takes it away: said by name, because who
 * releases may not be who holds. */
static void lifted_print(const struct cli *cli, const json_t *done)
{
	const json_t *h = json_object_get(done, "hold");

	if (json_int(done, "hold_lifted") == 0)
		return;
	printf("hold %lld (%s: ", (long long)json_int(done, "hold_lifted"),
	       json_str(h, "text"));
	print_safe(json_str(h, "reason"), 200);
	printf(") %s%s\n",
	       cli->hold_number == 0 ? "has this very selection and " : "",
	       cli->dry_run ? "would be lifted" : "is lifted");
}

int verb_release(struct cli *cli)
{
	json_t *done = NULL;
	char m[32], r[32];
	int rc = act_reason_missing(cli);

	if (rc == 0 && cli->hold_number > 0 &&
	    json_object_size(cli->selection) > 0) {
		fputs("sluice: release: a selection or --hold N, not both\n",
		      stderr);
		rc = EX_USAGE;
	}
	if (rc == 0)
		rc = connection_ask(cli, act_request(cli, "release"), NULL,
				    NULL, &done);
	if (rc != 0)
		return rc;
	warnings_print(done);
	text_count((uint64_t)json_int(done, "messages"), m);
	text_count((uint64_t)json_int(done, "recipients"), r);
	if (cli->json) {
		print_json("sluice.release.1", done);
	} else {
		lifted_print(cli, done);
		if (cli->hold_number == 0)
			printf("%s %s recipients of %s messages\n",
			       cli->dry_run ? "would release" : "released", r,
			       m);
		still_held_print(done);
	}
	json_decref(done);
	return 0;
}
