/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_summary.c - what an export asks for, and what it says about itself.
 *
 * One thread. Data on stdout, progress and refusals on stderr.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "export.h"
#include "sluice/clock.h"

json_t *export_request(struct cli *cli, const char *kind, const char *where)
{
	json_t *r = json_pack("{s:s,s:s,s:s,s:b}", "verb", "export", "kind",
			      kind, "where", where, "dry_run", cli->dry_run);

	if (cli->reason != NULL)
		json_object_set_new(r, "reason", json_string(cli->reason));
	if (cli->finish)
		json_object_set_new(r, "finish", json_true());
	else
		json_object_set(r, "selection", cli->selection);
	return r;
}

uint64_t export_expected(struct cli *cli)
{
	json_t *done = NULL;
	uint64_t n = 0;

	if (!cli->terminal || cli->json || cli->finish)
		return 0;
	if (connection_ask(cli,
			   json_pack("{s:s,s:O}", "verb", "count", "selection",
				     cli->selection),
			   NULL, NULL, &done) == 0)
		n = (uint64_t)json_int(done, "messages");
	json_decref(done);
	return n;
}

void export_progress(struct cli *cli, uint64_t started_ns, uint64_t *shown_ns,
		     uint64_t over, uint64_t expected, bool last)
{
	uint64_t now_ns = clock_monotonic_ns();
	double seconds = (double)(now_ns - started_ns) / 1e9;
	char a[32], b[32];

	if (!cli->terminal || cli->json || expected == 0 ||
	    (!last && now_ns - *shown_ns < 200 * NS_PER_MS))
		return;
	*shown_ns = now_ns;
	text_count(over, a);
	text_count(expected, b);
	fprintf(stderr, "\rexport: %s of %s (%.0f %%), %.0f/s   ", a, b,
		100.0 * (double)over / (double)expected,
		seconds > 0 ? (double)over / seconds : 0.0);
	if (last)
		fputc('\n', stderr);
}

void export_refuse(struct cli *cli, const char *id, const char *why)
{
	if (cli->terminal && !cli->json)
		fputs("\r\033[K", stderr);
	fprintf(stderr, "sluice: message %s stays: %s\n", id, why);
}

/* What was selected and stays, and why. */
static void stays_print(const json_t *done)
{
	static const struct {
		const char *key, *text;
	} rows[] = {
		{"in_flight", "recipients are being delivered just now"},
		{"refused", "recipients could not be exported"},
		{"in_doubt",
		 "recipients may have been taken: the connection was lost "
		 "after the last byte (see `sluice recovered`)"},
		{"copies", "messages were imported with --copy: the MTA they "
			   "came from has them"},
		{"unreadable", "messages could not be read: run it again, and "
			       "if that does not help see the log of sluiced"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (json_int(done, rows[i].key) > 0)
			printf("  stay here: %lld %s\n",
			       (long long)json_int(done, rows[i].key),
			       rows[i].text);
}

int export_summary(struct cli *cli, const char *kind, const json_t *done)
{
	double seconds = json_number_value(json_object_get(done, "seconds"));
	char m[32], r[32];
	bool left = json_int(done, "in_flight") > 0 ||
		    json_int(done, "refused") > 0 ||
		    json_int(done, "in_doubt") > 0 ||
		    json_int(done, "unreadable") > 0;

	text_count((uint64_t)json_int(done, "messages"), m);
	text_count((uint64_t)json_int(done, "recipients"), r);
	if (cli->json) {
		print_json("sluice.export.1", (json_t *)done);
	} else if (cli->dry_run) {
		printf("would export %s recipients of %s messages\n", r, m);
		stays_print(done);
		gave_up_print(done);
	} else {
		printf("exported %s recipients of %s messages in %.1f s "
		       "(%.0f/s)",
		       r, m, seconds,
		       seconds > 0
			       ? (double)json_int(done, "messages") / seconds
			       : 0.0);
		if (json_int(done, "unfinished") > 0)
			printf("; %lld of them were left half way by an "
			       "earlier run",
			       (long long)json_int(done, "unfinished"));
		putchar('\n');
		stays_print(done);
		gave_up_print(done);
		if (strcmp(kind, "postfix") == 0 &&
		    json_int(done, "messages") > 0 &&
		    (cli->queue == NULL || strcmp(cli->queue, "hold") == 0))
			puts("they are in that Postfix's hold queue: "
			     "`postsuper -H ALL` lets them go");
	}
	return left && !cli->dry_run ? EX_DATAERR : 0;
}

int export_dry_run(struct cli *cli, const char *kind, const char *where)
{
	json_t *done = NULL;
	int rc = connection_ask(cli, export_request(cli, kind, where), NULL,
				NULL, &done);

	if (rc == 0)
		rc = export_summary(cli, kind, done);
	json_decref(done);
	return rc;
}

int export_abandon(struct cli *cli)
{
	json_t *done = NULL;
	json_t *request = json_pack("{s:s,s:b,s:s}", "verb", "export",
				    "abandon", 1, "reason", cli->reason);
	int rc = connection_ask(cli, request, NULL, NULL, &done);
	char r[32];

	if (rc != 0)
		return rc;
	text_count((uint64_t)json_int(done, "recipients"), r);
	if (cli->json)
		print_json("sluice.export.1", done);
	else
		printf("%s recipients are taken back, and held. If the place "
		       "they were exported to\ncomes back, they may go out "
		       "twice: remove them there\n",
		       r);
	json_decref(done);
	return 0;
}
