/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_trace.c - trace: the way of one message, step by step.
 *
 * Steps come first, the message last: they are kept and printed under it.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"

static void each_events(struct cli *cli, json_t *p, void *user)
{
	size_t i;
	json_t *e;

	json_array_foreach(json_object_get(p, "events"), i, e)
	{
		if (cli->json)
			print_json("sluice.trace_event.1", e);
		else
			json_array_append(user, e);
	}
}

static void header_print(const char *id, const json_t *done)
{
	const json_t *m = json_object_get(done, "message");
	char when[32], size[32];

	if (m == NULL) {
		printf("message %s: its record is gone, this is left of it\n",
		       id);
		return;
	}
	text_time((uint64_t)json_int(m, "arrival"), when);
	text_bytes((uint64_t)json_int(m, "size"), size);
	printf("message %s, %s, arrived %s%s\nsender <", json_str(m, "id"),
	       size, when,
	       json_is_true(json_object_get(done, "here")) ? "" : ", gone");
	print_safe(json_str(m, "sender"), 300);
	printf(">  origin %s  client %s  account %s\n", json_str(m, "origin"),
	       json_str(m, "client"), json_str(m, "account"));
}

/* "<a@b>", or its number when the record is gone. */
static void recipient_print(const json_t *done, json_int_t rcpt)
{
	const json_t *r = json_array_get(json_object_get(done, "recipients"),
					 (size_t)rcpt);

	if (r == NULL) {
		printf(" recipient %lld", (long long)rcpt);
		return;
	}
	fputs(" <", stdout);
	print_safe(json_str(r, "recipient"), 300);
	putchar('>');
}

static void event_print(const json_t *done, const json_t *e)
{
	char when[32], due[32];

	text_time((uint64_t)json_int(e, "time"), when);
	printf("%-19s  %s", when,
	       *json_str(e, "state") ? json_str(e, "state")
				     : json_str(e, "event"));
	if (json_object_get(e, "rcpt") != NULL)
		recipient_print(done, json_int(e, "rcpt"));
	if (json_int(e, "rcpts") > 1)
		printf(" and %lld more", (long long)json_int(e, "rcpts") - 1);
	if (*json_str(e, "source") != '\0')
		printf(" via %s", json_str(e, "source"));
	if (json_int(e, "reroute") > 0)
		printf(" (reroute %lld)", (long long)json_int(e, "reroute"));
	if (json_is_true(json_object_get(e, "in_doubt")))
		fputs(", may have been delivered", stdout);
	if (json_int(e, "due") > 0) {
		text_time((uint64_t)json_int(e, "due"), due);
		printf(" until %s", due);
	}
	if (*json_str(e, "reply") != '\0') {
		fputs(": ", stdout);
		print_safe(json_str(e, "reply"), 512);
	}
	putchar('\n');
}

int verb_trace(struct cli *cli)
{
	json_t *done = NULL, *events = json_array(), *e;
	size_t i;
	int rc = EX_USAGE;

	if (cli->arg_count != 1)
		fputs("sluice: trace needs one message id\n", stderr);
	else
		rc = connection_ask(cli,
				    json_pack("{s:s,s:s}", "verb", "trace",
					      "id", cli->args[0]),
				    each_events, events, &done);
	if (rc == 0 && cli->json) {
		print_json("sluice.trace.1", done);
	} else if (rc == 0) {
		header_print(cli->args[0], done);
		json_array_foreach(events, i, e) event_print(done, e);
		if (json_int(done, "events") > (json_int_t)i)
			printf("... and %lld more\n",
			       (long long)json_int(done, "events") -
				       (long long)i);
	}
	json_decref(events);
	json_decref(done);
	return rc;
}
