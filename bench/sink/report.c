/* SPDX-License-Identifier: BSD-2-Clause
 *
 * report.c - what the sink saw: JSON report, CSV of arrivals, verdict.
 *
 * Called at the end, and while running for --report-every. Thread: the
 * loop's; an interim report stops it for a moment (it walks the ledger).
 * Files appear whole: written aside, then renamed. Errors: -errno.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sink/sink_priv.h"
#include "sluice/clock.h"

#define EXAMPLES_MAX 20
#define LL(v)        ((json_int_t)(v))

static double rate_of(const struct sink_counts *n)
{
	uint64_t ns = n->last_ns - n->first_ns;

	return n->messages > 1 && ns
		       ? (double)(n->messages - 1) * NS_PER_S / (double)ns
		       : 0;
}

static json_t *counts_json(const struct sink_counts *n)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f}", "connections",
			 LL(n->connections), "messages", LL(n->messages),
			 "recipients", LL(n->recipients), "bytes", LL(n->bytes),
			 "refused", LL(n->refused), "first_ns", LL(n->first_ns),
			 "last_ns", LL(n->last_ns), "rate", rate_of(n));
}

static json_t *errors_json(const struct sink_protocol_errors *p)
{
	uint64_t total = p->bare_lf + p->bare_cr + p->missing_stuffing +
			 p->out_of_order + p->not_waited + p->syntax +
			 p->line_too_long + p->cut_in_content;

	return json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "total", LL(total),
		"bare_lf", LL(p->bare_lf), "bare_cr", LL(p->bare_cr),
		"missing_stuffing", LL(p->missing_stuffing), "out_of_order",
		LL(p->out_of_order), "not_waited", LL(p->not_waited), "syntax",
		LL(p->syntax), "line_too_long", LL(p->line_too_long),
		"cut_in_content", LL(p->cut_in_content));
}

static void counts_sum(struct sink_counts *to, const struct sink_counts *n)
{
	to->connections += n->connections;
	to->messages += n->messages;
	to->recipients += n->recipients;
	to->bytes += n->bytes;
	to->refused += n->refused;
	if (n->first_ns && (!to->first_ns || n->first_ns < to->first_ns))
		to->first_ns = n->first_ns;
	if (n->last_ns > to->last_ns)
		to->last_ns = n->last_ns;
}

static json_t *clients_json(const struct sink *s)
{
	json_t *j = json_object();

	for (uint32_t host = 0; host < s->host_count; host++) {
		struct sink_counts sum = {0};
		const char *name = "";

		for (uint32_t i = 0; i < s->peer_count; i++) {
			if (s->peers[i]->number != host)
				continue;
			counts_sum(&sum, &s->peers[i]->counts);
			name = s->peers[i]->name;
		}
		json_object_set_new(j, name, counts_json(&sum));
	}
	return j;
}

static json_t *listeners_json(const struct sink *s)
{
	json_t *j = json_object();

	for (uint32_t i = 0; i < s->listener_count; i++)
		json_object_set_new(j, s->listeners[i].name,
				    counts_json(&s->listeners[i].counts));
	return j;
}

static json_t *domains_json(const struct sink *s)
{
	json_t *j = json_object();

	for (uint32_t i = 0; i < s->domain_room; i++)
		if (s->domain_rcpts[i])
			json_object_set_new(
				j, intern_text(s->domains, i),
				json_integer(LL(s->domain_rcpts[i])));
	return j;
}

static void example_add(void *user, const char *text)
{
	json_array_append_new(user, json_stringn_nocheck(text, strlen(text)));
}

static json_t *whole_json(const struct ledger *l)
{
	struct ledger_counts n;

	ledger_message_counts(l, &n);
	return json_pack("{s:I,s:I,s:I,s:I,s:I}", "expected", LL(n.expected),
			 "delivered", LL(n.delivered), "lost", LL(n.lost),
			 "duplicated", LL(n.duplicated), "altered",
			 LL(n.altered));
}

static void ledger_add(const struct sink *s, json_t *j)
{
	static const struct {
		const char *key;
		enum ledger_mark kind;
	} kinds[] = {{"lost", LEDGER_LOST},
		     {"duplicated", LEDGER_DUPLICATED},
		     {"altered", LEDGER_ALTERED}};
	json_t *examples = json_object();
	struct ledger_counts n;

	ledger_counts(s->ledger, &n);
	json_object_set_new(j, "expected", json_integer(LL(n.expected)));
	json_object_set_new(j, "delivered", json_integer(LL(n.delivered)));
	json_object_set_new(j, "lost", json_integer(LL(n.lost)));
	json_object_set_new(j, "duplicated", json_integer(LL(n.duplicated)));
	json_object_set_new(j, "altered", json_integer(LL(n.altered)));
	json_object_set_new(j, "unknown", json_integer(LL(n.unknown)));
	json_object_set_new(j, "whole_messages", whole_json(s->ledger));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		json_t *list = json_array();

		ledger_examples(s->ledger, kinds[i].kind, EXAMPLES_MAX,
				example_add, list);
		json_object_set_new(examples, kinds[i].key, list);
	}
	json_object_set_new(j, "examples", examples);
}

static json_t *report_json(const struct sink *s, bool final)
{
	json_t *j = counts_json(&s->counts);

	json_object_set_new(j, "schema", json_string("sluice-bench.sink.1"));
	json_object_set_new(j, "final", json_boolean(final));
	json_object_set_new(j, "now_ns",
			    json_integer(LL(clock_monotonic_ns())));
	if (s->ledger)
		ledger_add(s, j);
	json_object_set_new(j, "protocol_errors", errors_json(&s->errors));
	json_object_set_new(j, "by_listener", listeners_json(s));
	json_object_set_new(j, "by_client", clients_json(s));
	json_object_set_new(j, "by_domain", domains_json(s));
	return j;
}

void sink_report_print(const struct sink *s, FILE *f)
{
	json_t *j = report_json(s, true);

	json_dumpf(j, f, JSON_INDENT(1));
	fputc('\n', f);
	json_decref(j);
}

int sink_report_write(struct sink *s, bool final, struct err *e)
{
	char aside[PATH_MAX];
	json_t *j;
	int bad;

	if (!s->report_path)
		return 0;
	snprintf(aside, sizeof(aside), "%s.new", s->report_path);
	j = report_json(s, final);
	errno = 0;
	bad = json_dump_file(j, aside, JSON_INDENT(1)) != 0 ||
	      rename(aside, s->report_path) != 0;
	json_decref(j);
	if (bad)
		return err_set(e, errno ? -errno : -EIO, "cannot write %s: %s",
			       s->report_path, err_name(errno ? errno : EIO));
	return 0;
}
