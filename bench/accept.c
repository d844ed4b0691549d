/* SPDX-License-Identifier: BSD-2-Clause
 *
 * accept.c - `sluice-bench accept`, `ceiling` and `load`: the load client's
 * commands.
 *
 * Called by main(), on its thread. accept measures a receiver with messages
 * that differ; ceiling only streams one canned dialogue, as fast as the
 * protocol allows; load sends mixed mail at a rate.
 * Errors: EX_USAGE; EX_UNAVAILABLE when the target does not answer;
 * EX_TEMPFAIL when not every message was accepted.
 */
#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

#include "bench.h"
#include "common/options.h"
#include "ledger/ledger.h"
#include "load/load.h"
#include "sluice/clock.h"

struct accept_command {
	const char *name;
	const char *schema;
	const char *target, *pipelining, *ledger_path, *rate;
	uint64_t sessions, per_connection, now_s;
	struct load_options load;
	bool json;
};

static int accept_options(struct accept_command *a, const char *summary,
			  int argc, char **argv)
{
	struct load_options *l = &a->load;
	const struct option_spec specs[] = {
		{"target", "ADDR:PORT", "the MTA", OPTION_TEXT, &a->target, 0,
		 0},
		{"sessions", "N", "connections at once; 10", OPTION_NUMBER,
		 &a->sessions, 1, 50000},
		{"messages", "N", "how many; 10000", OPTION_NUMBER,
		 &l->messages, 1, UINT32_MAX},
		{"size", "SIZE", "of each, headers included; 4KiB", OPTION_SIZE,
		 &l->size_bytes, 1, 1ULL << 30},
		{"pipelining", "MODE",
		 "none, group (MAIL RCPT DATA; default), next (with content)",
		 OPTION_TEXT, &a->pipelining, 0, 0},
		{"per-connection", "N", "messages, then QUIT; 0 = no limit",
		 OPTION_NUMBER, &a->per_connection, 0, UINT32_MAX},
		{"seed", "S", "of the messages; 1", OPTION_NUMBER, &l->seed, 0,
		 0},
		{"first-index", "I", "number of the first message; 0",
		 OPTION_NUMBER, &l->first_index, 0, UINT32_MAX},
		{"now", "EPOCH", "date of the messages, seconds since 1970",
		 OPTION_NUMBER, &a->now_s, 86400, UINT32_MAX},
		{"ledger", "FILE", "write what must arrive behind the MTA",
		 OPTION_TEXT, &a->ledger_path, 0, 0},
		{"below-trace", NULL,
		 "that ledger is of what stands from the bench header on",
		 OPTION_FLAG, &l->below_trace, 0, 0},
		{"mixed", NULL, "mail of all kinds, as backlog makes it",
		 OPTION_FLAG, &l->mixed, 0, 0},
		{"domains-file", "FILE", "recipient domains, as of backlog",
		 OPTION_TEXT, &l->domains_path, 0, 0},
		{"rate", "N/s", "messages begun; as fast as it goes",
		 OPTION_TEXT, &a->rate, 0, 0},
		{"timeout", "TIME", "give up after that long without a reply",
		 OPTION_DURATION, &l->timeout_ns, NS_PER_MS, 0},
		{"spin", "TIME", "look that long for work before sleeping",
		 OPTION_DURATION, &l->spin_ns, 0, NS_PER_S},
		{"json", NULL, "print the result as JSON", OPTION_FLAG,
		 &a->json, 0, 0},
		{0}};

	return options_parse(a->name, summary, specs, argc, argv);
}

static int accept_check(struct accept_command *a)
{
	if (!a->target)
		return options_error(EX_USAGE, a->name, "--target is needed");
	if (addr_parse(a->target, 25, &a->load.target) != 0)
		return options_error(EX_USAGE, a->name,
				     "--target: '%s' is no ADDR:PORT",
				     a->target);
	if (load_pipelining_parse(a->pipelining, &a->load.pipelining) != 0)
		return options_error(EX_USAGE, a->name,
				     "--pipelining '%s': there are none, "
				     "group, next",
				     a->pipelining);
	if (a->rate && (pace_parse(a->rate, &a->load.rate) != 0 ||
			!a->load.rate.count || !a->load.rate.period_ns))
		return options_error(EX_USAGE, a->name,
				     "--rate '%s' is no rate like 20/s or "
				     "500/m",
				     a->rate);
	a->load.sessions = (uint32_t)a->sessions;
	if (a->load.sessions > a->load.messages)
		a->load.sessions = (uint32_t)a->load.messages;
	a->load.now_s = (uint32_t)a->now_s;
	a->load.per_connection = (uint32_t)a->per_connection;
	return OPTIONS_GO_ON;
}

static void result_print(const struct accept_command *a,
			 const struct load_result *r)
{
	json_t *j;

	if (!a->json) {
		printf("%llu of %llu messages in %.2f s: %.0f/s; reply to the "
		       "final dot after %u us (median), %u us (99 %%)\n",
		       (unsigned long long)r->accepted,
		       (unsigned long long)a->load.messages,
		       (double)r->ns / NS_PER_S, r->rate, r->p50_us, r->p99_us);
		if (r->refusal[0])
			printf("first refusal: %s\n", r->refusal);
		return;
	}
	j = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f}", "schema",
		      a->schema, "target", a->target, "sessions",
		      (json_int_t)a->load.sessions, "messages",
		      (json_int_t)a->load.messages, "accepted",
		      (json_int_t)r->accepted, "refused",
		      (json_int_t)r->refused, "lost", (json_int_t)r->lost,
		      "connections", (json_int_t)r->connections, "bytes",
		      (json_int_t)r->bytes, "seconds", (double)r->ns / NS_PER_S,
		      "rate", r->rate);
	json_object_set_new(
		j, "latency_us",
		json_pack("{s:I,s:I,s:I}", "p50", (json_int_t)r->p50_us, "p99",
			  (json_int_t)r->p99_us, "max", (json_int_t)r->max_us));
	json_object_set_new(j, "rcpts_refused",
			    json_integer((json_int_t)r->rcpts_refused));
	json_object_set_new(j, "asked_rate",
			    a->rate ? json_string(a->rate) : json_null());
	json_object_set_new(j, "pipelining", json_string(a->pipelining));
	json_object_set_new(j, "first_refusal",
			    r->refusal[0] ? json_string(r->refusal)
					  : json_null());
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(j);
}

static int command_run(struct accept_command *a, const char *summary, int argc,
		       char **argv)
{
	struct err e = {{0}}, late = {{0}};
	struct load_result r;
	int status = accept_options(a, summary, argc, argv), err = 0;

	if (status == OPTIONS_GO_ON)
		status = accept_check(a);
	if (status != OPTIONS_GO_ON)
		return status;
	if (a->ledger_path &&
	    ledger_writer_open(&a->load.ledger, a->ledger_path, &e) != 0)
		return options_error(EX_CANTCREAT, a->name, "%s", e.text);
	err = load_run(&a->load, &r, &e);
	if (ledger_writer_close(&a->load.ledger, &late) != 0)
		return options_error(EX_IOERR, a->name, "%s", late.text);
	if (err)
		return options_error(EX_UNAVAILABLE, a->name, "%s", e.text);
	result_print(a, &r);
	return r.accepted == a->load.messages ? EX_OK : EX_TEMPFAIL;
}

int bench_accept(int argc, char **argv)
{
	struct accept_command a = {.name = "accept",
				   .schema = "sluice-bench.accept.1",
				   .pipelining = "group",
				   .sessions = 10,
				   .load = {.messages = 10000,
					    .size_bytes = 4096,
					    .seed = 1,
					    .timeout_ns = 60 * NS_PER_S}};

	return command_run(&a,
			   "Sends messages to an MTA as fast as it takes them.",
			   argc, argv);
}

int bench_ceiling(int argc, char **argv)
{
	struct accept_command a = {.name = "ceiling",
				   .schema = "sluice-bench.accept.1",
				   .pipelining = "group",
				   .sessions = 10,
				   .load = {.messages = 100000,
					    .size_bytes = 4096,
					    .seed = 1,
					    .canned = true,
					    .timeout_ns = 60 * NS_PER_S}};

	return command_run(&a,
			   "Streams one canned dialogue: what the protocol and "
			   "the receiver allow.",
			   argc, argv);
}

int bench_load(int argc, char **argv)
{
	struct accept_command a = {.name = "load",
				   .schema = "sluice-bench.load.1",
				   .pipelining = "group",
				   .sessions = 10,
				   .load = {.messages = 10000,
					    .size_bytes = 4096,
					    .seed = 1,
					    .mixed = true,
					    .timeout_ns = 60 * NS_PER_S}};

	return command_run(&a,
			   "Sends mixed mail to an MTA, at a rate if asked "
			   "to: a day's mail.",
			   argc, argv);
}
