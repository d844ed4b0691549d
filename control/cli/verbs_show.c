/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verbs_show.c - verbs that only look: status, providers, sources, list,
 * count, show, recovered, tail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli.h"

static json_t *request(const char *verb)
{
	return json_pack("{s:s}", "verb", verb);
}

static const char *colour(const struct cli *cli, const char *state)
{
	if (!cli->colour)
		return "";
	if (strcmp(state, "open") == 0 || strcmp(state, "done") == 0)
		return "\033[32m";
	if (strcmp(state, "stopped") == 0 || strcmp(state, "closed") == 0)
		return "\033[31m";
	return "\033[33m";
}

static void provider_header(void)
{
	printf("%-20s %9s %9s %8s %8s %10s %10s %10s  %s\n", "PROVIDER",
	       "WAITING", "DELIVERED", "DEFERRED", "HELD", "NOW", "ALLOWED",
	       "ETA", "STATE");
}

static void provider_row(struct cli *cli, const json_t *p)
{
	char now[32], allowed[32], eta[32] = "-";
	const char *state = json_str(p, "state");
	const json_t *e = json_object_get(p, "eta_s");
	const json_t *refusal = json_object_get(p, "refusal");

	text_rate(json_object_get(p, "rate_per_s"), now);
	text_rate(json_object_get(p, "allowed_per_s"), allowed);
	if (json_is_number(e))
		text_duration(json_number_value(e), eta);
	printf("%-20.20s %9lld %9lld %8lld %8lld %10s %10s %10s  %s%s%s",
	       json_str(p, "provider"),
	       (long long)(json_int(p, "waiting") + json_int(p, "in_flight")),
	       (long long)json_int(p, "delivered"),
	       (long long)json_int(p, "deferred"),
	       (long long)(json_int(p, "held") + json_int(p, "needs_decision")),
	       now, allowed, eta, colour(cli, state), state,
	       cli->colour ? "\033[0m" : "");
	if (strcmp(json_str(p, "by"), "mx") == 0)
		printf(", %lld domains by MX",
		       (long long)json_int(p, "domains"));
	if (json_object_get(p, "probe_in_s") != NULL) {
		text_duration(
			json_number_value(json_object_get(p, "probe_in_s")),
			eta);
		printf(", probe in %s", eta);
	}
	putchar('\n');
	if (json_is_object(refusal)) {
		text_time((uint64_t)json_int(refusal, "time"), now);
		printf("    %s %s via %s: ", now, json_str(refusal, "class"),
		       json_str(refusal, "source"));
		print_safe(json_str(refusal, "text"), 160);
		putchar('\n');
	}
}

static void totals_print(const json_t *s)
{
	const json_t *t = json_object_get(s, "totals");
	char a[32], b[32], c[32];
	json_int_t left = json_int(t, "waiting") + json_int(t, "deferred") +
			  json_int(t, "held") + json_int(t, "in_flight") +
			  json_int(t, "needs_decision") +
			  json_int(t, "exporting");
	json_int_t over = json_int(t, "delivered") + json_int(t, "failed") +
			  json_int(t, "expired") + json_int(t, "purged") +
			  json_int(t, "exported");

	text_count((uint64_t)left, a);
	text_count((uint64_t)json_int(t, "delivered"), b);
	printf("recipients: %s left, %s delivered, %lld failed, %lld expired; "
	       "%.1f %% done\n",
	       a, b, (long long)json_int(t, "failed"),
	       (long long)json_int(t, "expired"),
	       left + over ? 100.0 * (double)over / (double)(left + over)
			   : 100.0);
	text_rate(json_object_get(s, "rate_per_s"), a);
	text_duration(json_is_number(json_object_get(s, "eta_s"))
			      ? json_number_value(json_object_get(s, "eta_s"))
			      : -1,
		      b);
	text_time((uint64_t)json_int(t, "oldest"), c);
	printf("now %s, ETA %s, oldest of %s\n", a, b, c);
	if (json_int(t, "exporting") > 0)
		printf("%lld recipients are being exported, or were when that "
		       "was broken off: run the export again, or with "
		       "--finish\n",
		       (long long)json_int(t, "exporting"));
}

static void config_print(const json_t *s)
{
	const json_t *e = json_object_get(s, "config_error"), *key;
	char when[32], failed[32];
	size_t i;

	text_time((uint64_t)json_int(s, "config_loaded"), when);
	if (e != NULL) {
		text_time((uint64_t)json_int(e, "time"), failed);
		printf("CONFIG of %s still counts; the reload of %s failed: ",
		       when, failed);
		print_safe(json_str(e, "text"), 500);
		putchar('\n');
	}
	json_array_foreach(json_object_get(s, "config_restart"), i, key)
		printf("%s has changed in the config and waits for a restart\n",
		       json_string_value(key));
	if (e == NULL && json_int(s, "config_loaded") > json_int(s, "since"))
		printf("config of %s, loaded %s\n", json_str(s, "config"),
		       when);
}

static void notes_print(const json_t *s)
{
	size_t i;
	json_t *h;

	config_print(s);
	if (json_object_get(s, "broken") != NULL)
		printf("STORAGE FAILED: %s; nothing more is sent\n",
		       json_str(s, "broken"));
	if (json_is_true(json_object_get(json_object_get(s, "spool"),
					 "out_of_space")))
		puts("SPOOL IS FULL: intake answers 452, the drain goes on");
	if (json_int(s, "doubts") > 0)
		printf("%lld recipients may have been delivered twice: "
		       "`sluice recovered`\n",
		       (long long)json_int(s, "doubts"));
	json_array_foreach(json_object_get(s, "holds"), i, h)
	{
		printf("hold %lld: %s: ", (long long)json_int(h, "hold"),
		       json_str(h, "text"));
		print_safe(json_str(h, "reason"), 200);
		putchar('\n');
	}
	if (json_int(s, "hold_count") > (json_int_t)i)
		printf("... %lld holds in all\n",
		       (long long)json_int(s, "hold_count"));
}

int verb_status(struct cli *cli)
{
	json_t *s = NULL, *p;
	size_t i;
	int rc = connection_ask(cli, request("status"), NULL, NULL, &s);

	if (rc != 0)
		return rc;
	if (cli->json) {
		print_json("sluice.status.1", s);
	} else {
		totals_print(s);
		notes_print(s);
		if (json_array_size(json_object_get(s, "providers")) > 0)
			provider_header();
		json_array_foreach(json_object_get(s, "providers"), i, p)
			provider_row(cli, p);
		if (json_int(s, "provider_count") > (json_int_t)i)
			printf("... the largest of %lld: `sluice providers` "
			       "shows all\n",
			       (long long)json_int(s, "provider_count"));
	}
	json_decref(s);
	return 0;
}

static void each_provider(struct cli *cli, json_t *p, void *user)
{
	bool *first = user;

	if (cli->json) {
		print_json("sluice.provider.1", p);
		return;
	}
	if (*first)
		provider_header();
	*first = false;
	provider_row(cli, p);
}

int verb_providers(struct cli *cli)
{
	bool first = true;

	return connection_ask(cli, request("providers"), each_provider, &first,
			      NULL);
}

static void each_source(struct cli *cli, json_t *p, void *user)
{
	bool *first = user;

	if (cli->json) {
		print_json("sluice.path.1", p);
		return;
	}
	if (*first)
		printf("%-12s %-20s %-8s %10s %9s %9s %6s %5s\n", "SOURCE",
		       "PROVIDER", "STATE", "PACE", "RELEASED", "ACCEPTED",
		       "FLIGHT", "CONN");
	*first = false;
	printf("%-12.12s %-20.20s %-8s %10s %9lld %9lld %6lld %5lld",
	       json_str(p, "source"), json_str(p, "provider"),
	       json_str(p, "state"), json_str(p, "pace"),
	       (long long)json_int(p, "released"),
	       (long long)json_int(p, "accepted"),
	       (long long)json_int(p, "in_flight"),
	       (long long)json_int(p, "connections"));
	if (strcmp(json_str(p, "state"), "open") != 0)
		printf("  %s", json_str(p, "reason"));
	putchar('\n');
}

int verb_sources(struct cli *cli)
{
	bool first = true;

	return connection_ask(cli, request("sources"), each_source, &first,
			      NULL);
}

static void list_row(const json_t *m)
{
	char when[32], size[32];

	text_time((uint64_t)json_int(m, "arrival"), when);
	text_bytes((uint64_t)json_int(m, "size"), size);
	printf("%s  %-19s %9s  %-14s <", json_str(m, "id"), when, size,
	       json_str(m, "state"));
	print_safe(json_str(m, "sender"), 200);
	fputs("> -> <", stdout);
	print_safe(json_str(m, "recipient"), 200);
	puts(">");
}

static void each_listed(struct cli *cli, json_t *p, void *user)
{
	size_t i;
	json_t *m;

	(void)user;
	json_array_foreach(json_object_get(p, "messages"), i, m)
	{
		if (cli->json)
			print_json("sluice.entry.1", m);
		else
			list_row(m);
	}
}

static json_t *selection_request(struct cli *cli, const char *verb)
{
	return json_pack("{s:s,s:O}", "verb", verb, "selection",
			 cli->selection);
}

int verb_list(struct cli *cli)
{
	json_t *req = selection_request(cli, "list"), *done = NULL;
	int rc;

	if (cli->limit > 0)
		json_object_set_new(req, "limit",
				    json_integer((json_int_t)cli->limit));
	rc = connection_ask(cli, req, each_listed, NULL, &done);
	unreadable_warn(done);
	if (rc == 0 && !cli->json)
		fprintf(stderr, "%lld recipients%s\n",
			(long long)json_int(done, "count"),
			json_is_true(json_object_get(done, "truncated"))
				? "; there are more: raise --limit"
				: "");
	json_decref(done);
	return rc;
}

int verb_count(struct cli *cli)
{
	json_t *done = NULL;
	int rc = connection_ask(cli, selection_request(cli, "count"), NULL,
				NULL, &done);

	unreadable_warn(done);
	if (rc == 0 && cli->json)
		print_json("sluice.count.1", done);
	else if (rc == 0)
		printf("%lld messages, %lld recipients\n",
		       (long long)json_int(done, "messages"),
		       (long long)json_int(done, "recipients"));
	if (rc == 0 && !cli->json)
		gave_up_print(done);
	json_decref(done);
	return rc;
}

static void recipient_row(const json_t *r)
{
	printf("  %-14s <", json_str(r, "state"));
	print_safe(json_str(r, "recipient"), 300);
	printf(">  by %s  attempts %lld %s\n", json_str(r, "provider"),
	       (long long)json_int(r, "attempts"), json_str(r, "last_class"));
}

static void message_print(const json_t *done)
{
	const json_t *m = json_object_get(done, "message");
	char when[32], size[32];
	size_t i;
	json_t *r;

	text_time((uint64_t)json_int(m, "arrival"), when);
	text_bytes((uint64_t)json_int(m, "size"), size);
	printf("message %s, %s, arrived %s\nsender <", json_str(m, "id"), size,
	       when);
	print_safe(json_str(m, "sender"), 300);
	printf(">  origin %s  client %s  account %s\n", json_str(m, "origin"),
	       json_str(m, "client"), json_str(m, "account"));
	json_array_foreach(json_object_get(done, "recipients"), i, r)
		recipient_row(r);
	if (json_int(done, "recipient_count") > (json_int_t)i)
		printf("  ... %lld in all\n",
		       (long long)json_int(done, "recipient_count"));
	putchar('\n');
	for (const char *h = json_str(m, "header"); *h != '\0';) {
		size_t n = strcspn(h, "\r\n");

		print_safe(h, n);
		putchar('\n');
		h += n;
		h += *h == '\r';
		h += *h == '\n';
	}
}

int verb_show(struct cli *cli)
{
	json_t *done = NULL;
	int rc;

	if (cli->arg_count != 1) {
		fputs("sluice: show needs one message id\n", stderr);
		return EX_USAGE;
	}
	rc = connection_ask(
		cli, json_pack("{s:s,s:s}", "verb", "show", "id", cli->args[0]),
		NULL, NULL, &done);
	if (rc == 0 && cli->json)
		print_json("sluice.message.1", done);
	else if (rc == 0)
		message_print(done);
	json_decref(done);
	return rc;
}

static void each_doubt(struct cli *cli, json_t *p, void *user)
{
	char when[32];
	size_t i;
	json_t *d;

	(void)user;
	json_array_foreach(json_object_get(p, "doubts"), i, d)
	{
		if (cli->json) {
			print_json("sluice.doubt.1", d);
			continue;
		}
		text_time((uint64_t)json_int(d, "time"), when);
		printf("%s  recipient %lld  %s  via %s  %s\n",
		       json_str(d, "id"), (long long)json_int(d, "rcpt"), when,
		       json_str(d, "source"), json_str(d, "cause"));
	}
}

int verb_recovered(struct cli *cli)
{
	json_t *done = NULL;
	int rc = connection_ask(cli, request("recovered"), each_doubt, NULL,
				&done);

	if (rc == 0 && !cli->json)
		fprintf(stderr,
			"%lld recipients may have been delivered "
			"twice\n",
			(long long)json_int(done, "count"));
	json_decref(done);
	return rc;
}

static void each_event(struct cli *cli, json_t *p, void *user)
{
	const char *key;
	json_t *v;
	char *text;

	(void)user;
	if (cli->json) {
		print_json("sluice.event.1", p);
		fflush(stdout);
		return;
	}
	printf("%s", json_str(p, "type"));
	json_object_foreach(p, key, v)
	{
		if (strcmp(key, "type") == 0 || strcmp(key, "time") == 0)
			continue;
		text = json_is_string(v)
			       ? NULL
			       : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		printf(" %s=", key);
		print_safe(text ? text : json_string_value(v), 300);
		free(text);
	}
	putchar('\n');
	fflush(stdout);
}

int verb_tail(struct cli *cli)
{
	return connection_ask(cli, request("tail"), each_event, NULL, NULL);
}
