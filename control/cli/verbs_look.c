/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_look.c - verbs that look at many messages at once: replies, shape,
 * audit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"

static void reply_row(const json_t *r)
{
	char when[32], n[32];

	text_time((uint64_t)json_int(r, "last"), when);
	text_count((uint64_t)json_int(r, "count"), n);
	printf("%s  %8s  %-20s %-20s", when, n, json_str(r, "provider"),
	       json_str(r, "class"));
	if (*json_str(r, "source") != '\0')
		printf(" via %s", json_str(r, "source"));
	fputs("\n    ", stdout);
	print_safe(json_str(r, "text"), 512);
	if (*json_str(r, "id") != '\0')
		printf(" (%s)", json_str(r, "id"));
	putchar('\n');
}

static void each_reply(struct cli *cli, json_t *p, void *user)
{
	size_t i;
	json_t *r;

	(void)user;
	json_array_foreach(json_object_get(p, "replies"), i, r)
	{
		if (cli->json)
			print_json("sluice.reply.1", r);
		else
			reply_row(r);
	}
}

/* The one option of the selection that `replies` takes. */
int verb_replies(struct cli *cli)
{
	json_t *req = json_pack("{s:s,s:I}", "verb", "replies", "limit",
				(json_int_t)cli->limit);
	json_t *provider = json_object_get(cli->selection, "provider");

	if (json_object_size(cli->selection) > (provider != NULL) ||
	    json_array_size(provider) > 1) {
		fputs("sluice: replies takes --provider NAME and nothing else "
		      "of a selection\n",
		      stderr);
		json_decref(req);
		return EX_USAGE;
	}
	if (provider != NULL)
		json_object_set(req, "provider", json_array_get(provider, 0));
	return connection_ask(cli, req, each_reply, NULL, NULL);
}

static void shape_row(const json_t *row)
{
	size_t i;
	json_t *n;

	printf("%30.30s %8lld", json_str(row, "domain"),
	       (long long)json_int(row, "recipients"));
	json_array_foreach(json_object_get(row, "ages"), i, n)
		printf(" %6lld", (long long)json_integer_value(n));
	putchar('\n');
}

/* The table comes in the last packet: rows are kept until then. */
static void each_rows(struct cli *cli, json_t *p, void *user)
{
	(void)cli;
	json_array_extend(user, json_object_get(p, "rows"));
}

static void shape_print(const json_t *done, const json_t *rows)
{
	size_t i, columns = 0;
	json_t *j;

	printf("%30s %8s", "", "T");
	json_array_foreach(json_object_get(done, "columns"), i, j)
	{
		printf(" %6lld", (long long)json_integer_value(j) / 60);
		columns++;
	}
	if (columns > 0)
		printf(" %5lld+",
		       (long long)json_integer_value(json_array_get(
			       json_object_get(done, "columns"), columns - 1)) /
			       60);
	putchar('\n');
	shape_row(json_object_get(done, "total"));
	json_array_foreach(rows, i, j) shape_row(j);
	if (json_int(done, "domains") > (json_int_t)json_array_size(rows))
		printf("... the largest of %lld domains: --limit N shows "
		       "more\n",
		       (long long)json_int(done, "domains"));
}

int verb_shape(struct cli *cli)
{
	json_t *req =
		json_pack("{s:s,s:I,s:b}", "verb", "shape", "limit",
			  (json_int_t)cli->limit, "senders", cli->senders);
	json_t *done = NULL, *rows = json_array(), *row;
	size_t i;
	int rc;

	if (json_object_size(cli->selection) > 0)
		json_object_set(req, "selection", cli->selection);
	rc = connection_ask(cli, req, each_rows, rows, &done);
	if (rc == 0 && !cli->json)
		shape_print(done, rows);
	if (rc == 0 && cli->json) {
		print_json("sluice.shape.1", json_object_get(done, "total"));
		json_array_foreach(rows, i, row)
			print_json("sluice.shape.1", row);
	}
	json_decref(rows);
	json_decref(done);
	return rc;
}

static void audit_row(const json_t *l)
{
	char when[32], uid[32];
	json_t *s = json_object_get(l, "selection");
	char *selection = json_is_string(s) ? strdup(json_string_value(s))
					    : json_dumps(s, JSON_COMPACT);

	text_time((uint64_t)json_int(l, "time"), when);
	snprintf(uid, sizeof(uid), "uid %lld", (long long)json_int(l, "uid"));
	printf("%s  %-8s %-8s", when,
	       *json_str(l, "user") ? json_str(l, "user") : uid,
	       json_str(l, "verb"));
	if (json_object_get(l, "recipients") != NULL)
		printf(" %lld recipients",
		       (long long)json_int(l, "recipients"));
	if (json_object_get(l, "taken") != NULL)
		printf(" %lld taken", (long long)json_int(l, "taken"));
	if (selection != NULL) {
		putchar(' ');
		print_safe(selection, 300);
	}
	if (*json_str(l, "action") != '\0')
		printf(" %s", json_str(l, "action"));
	fputs(": ", stdout);
	print_safe(json_str(l, "reason"), 300);
	if (strcmp(json_str(l, "result"), "done") != 0)
		printf(" [%s]", json_str(l, "result"));
	putchar('\n');
	free(selection);
}

static void audit_print(struct cli *cli, json_t *l)
{
	if (cli->json)
		print_json("sluice.audit.1", l);
	else
		audit_row(l);
}

/* With --limit only the last ones: they are kept until the end. */
static void each_line(struct cli *cli, json_t *p, void *user)
{
	json_t *kept = user, *l;
	size_t i;

	json_array_foreach(json_object_get(p, "lines"), i, l)
	{
		if (cli->limit == 0) {
			audit_print(cli, l);
			continue;
		}
		json_array_append(kept, l);
		if (json_array_size(kept) > cli->limit)
			json_array_remove(kept, 0);
	}
}

int verb_audit(struct cli *cli)
{
	json_t *kept = json_array(), *l;
	size_t i;
	int rc = connection_ask(cli, json_pack("{s:s}", "verb", "audit"),
				each_line, kept, NULL);

	json_array_foreach(kept, i, l) audit_print(cli, l);
	json_decref(kept);
	return rc;
}
