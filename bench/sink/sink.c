/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sink.c - `sluice-bench sink`: an SMTP receiver that keeps the books.
 *
 * Called by main(); one thread, one io_uring. Ends on SIGTERM, SIGINT, or
 * when --expect is reached and nothing came for --idle.
 * Errors: EX_USAGE, EX_OSERR; EX_DATAERR when the ledger and what arrived
 * differ.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "bench.h"
#include "common/options.h"
#include "sink/sink_priv.h"
#include "sluice/clock.h"

#define RECV_BUFFERS      1024
#define RECV_BUFFER_BYTES 16384
#define STEP_WAIT_NS      (50 * NS_PER_MS)

struct sink_options {
	struct option_list listens, policies, ledgers;
	uint64_t spin_ns;
	bool json;
};

static volatile sig_atomic_t stop_asked;

static const char summary[] =
	"Receives mail by SMTP, compares it with a ledger, reports.\n"
	"Exit status 65 when something is lost, altered, duplicated or "
	"unknown.";

static void on_signal(int number)
{
	stop_asked = 1;
}

static int sink_options_read(struct sink *s, struct sink_options *o, int argc,
			     char **argv)
{
	const struct option_spec specs[] = {
		{"listen", "ADDR:PORT[,...]", "where; may be repeated",
		 OPTION_LIST, &o->listens, 0, 0},
		{"ledger-in", "FILE", "what must arrive; may be repeated",
		 OPTION_LIST, &o->ledgers, 0, 0},
		{"report", "FILE", "write what happened there, as JSON",
		 OPTION_TEXT, &s->report_path, 0, 0},
		{"report-every", "TIME", "also while running, that often",
		 OPTION_DURATION, &s->report_every_ns, NS_PER_MS, 0},
		{"arrivals", "FILE", "one CSV line per message, at the end",
		 OPTION_TEXT, &s->arrivals_path, 0, 0},
		{"policy", "ADDR:PORT=NAME[:ARGS]",
		 "how a listener behaves; '*' = all of them", OPTION_LIST,
		 &o->policies, 0, 0},
		{"expect", "N", "end after that many recipients and --idle",
		 OPTION_NUMBER, &s->expect, 1, 0},
		{"idle", "TIME", "how long nothing may come before; 1s",
		 OPTION_DURATION, &s->idle_ns, 0, 0},
		{"below-trace", NULL,
		 "compare what stands from the bench header on", OPTION_FLAG,
		 &s->below_trace, 0, 0},
		{"spin", "TIME", "look that long for work before sleeping",
		 OPTION_DURATION, &o->spin_ns, 0, NS_PER_S},
		{"json", NULL, "print the report to stdout, too", OPTION_FLAG,
		 &o->json, 0, 0},
		{0}};
	char text[1024];

	snprintf(text, sizeof(text), "%s\nPolicies: %s", summary,
		 policy_names());
	return options_parse("sink", text, specs, argc, argv);
}

static int listens_open(struct sink *s, const struct option_list *l,
			struct err *e)
{
	for (uint32_t i = 0; i < l->count; i++) {
		char *copy = strdup(l->items[i]), *save, *one;
		int err = copy ? 0 : -ENOMEM;

		for (one = strtok_r(copy, ",", &save); one && !err;
		     one = strtok_r(NULL, ",", &save))
			err = sink_listen(s, one, e);
		free(copy);
		if (err)
			return err;
	}
	return 0;
}

static int policy_add(struct sink *s, const char *text, struct err *e)
{
	const char *equals = strchr(text, '=');
	char where[ADDR_TEXT_BYTES];
	bool found = false;

	if (!equals || (size_t)(equals - text) >= sizeof(where))
		return err_set(e, -EINVAL,
			       "--policy '%s' is not ADDR:PORT=NAME[:ARGS]",
			       text);
	snprintf(where, sizeof(where), "%.*s", (int)(equals - text), text);
	for (uint32_t i = 0; i < s->listener_count; i++) {
		struct sink_listener *l = &s->listeners[i];
		struct addr a;
		int err;

		if (strcmp(where, "*") != 0 &&
		    (addr_parse(where, 2525, &a) != 0 ||
		     !addr_equal(&a, &l->address)))
			continue;
		found = true;
		err = policy_parse(equals + 1, &l->policy, e);
		if (err)
			return err;
	}
	return found ? 0
		     : err_set(e, -EINVAL, "--policy: no --listen %s", where);
}

static int ledgers_load(struct sink *s, const struct option_list *l,
			struct err *e)
{
	int err = 0;

	if (l->count)
		s->ledger = ledger_create();
	for (uint32_t i = 0; i < l->count && !err; i++)
		err = ledger_load(s->ledger, l->items[i], e);
	return err;
}

static void report_due(struct io_timer *t, uint64_t now_ns)
{
	struct sink *s = t->user;
	struct err e;

	if (sink_report_write(s, false, &e) != 0)
		fprintf(stderr, "%s sink: %s\n", BENCH_PROGRAM, e.text);
	io_timer_set(s->io, t, now_ns + s->report_every_ns);
}

static void descriptors_raise(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int sink_open(struct sink *s, const struct sink_options *o,
		     struct err *e)
{
	const struct io_options io = {.entries = 4096,
				      .recv_buffers = RECV_BUFFERS,
				      .recv_buffer_bytes = RECV_BUFFER_BYTES,
				      .spin_ns = o->spin_ns};
	int err;

	descriptors_raise();
	s->domains = intern_create();
	s->keep_arrivals = s->arrivals_path != NULL;
	err = s->domains ? 0 : -ENOMEM;
	if (!err)
		err = listens_open(s, &o->listens, e);
	for (uint32_t i = 0; i < o->policies.count && !err; i++)
		err = policy_add(s, o->policies.items[i], e);
	if (!err)
		err = ledgers_load(s, &o->ledgers, e);
	if (!err)
		err = io_open(&s->io, &io, e);
	if (!err)
		err = sink_accept_start(s, e);
	if (err)
		return err;
	s->start_ns = clock_monotonic_ns();
	io_timer_init(&s->report_timer, report_due, s);
	if (s->report_every_ns)
		io_timer_set(s->io, &s->report_timer,
			     s->start_ns + s->report_every_ns);
	return 0;
}

static void signals_set(void)
{
	struct sigaction a = {.sa_handler = on_signal};

	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGINT, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static bool sink_is_done(const struct sink *s)
{
	if (stop_asked)
		return true;
	return s->expect && s->counts.recipients >= s->expect &&
	       clock_monotonic_ns() - s->counts.last_ns >= s->idle_ns;
}

static void sink_close(struct sink *s)
{
	while (s->connections) {
		struct sink_connection *c = s->connections;

		s->connections = c->next;
		content_fini(&c->content);
		buffer_fini(&c->out);
		buffer_fini(&c->flying);
		free(c->rcpts);
		close(c->fd);
		free(c);
	}
	sink_listen_close(s);
	intern_destroy(&s->domains);
	ledger_destroy(&s->ledger);
	free(s->domain_rcpts);
	free(s->arrivals);
	free(s->triples);
}

static int sink_finish(struct sink *s, bool json, struct err *e)
{
	int err = sink_report_write(s, true, e);

	if (!err)
		err = sink_arrivals_write(s, e);
	if (json)
		sink_report_print(s, stdout);
	else
		sink_verdict_print(s, stdout);
	return err;
}

static int sink_run(struct sink *s, const struct sink_options *o, struct err *e)
{
	int err = 0;

	signals_set();
	for (uint32_t i = 0; i < s->listener_count; i++)
		fprintf(stderr, "%s sink: listening on %s\n", BENCH_PROGRAM,
			s->listeners[i].name);
	while (!err && !sink_is_done(s)) {
		err = io_step(s->io, STEP_WAIT_NS);
		if (err == -EINTR)
			err = 0;
	}
	if (err)
		return err_set(e, err, "io_uring: %s", err_name(err));
	return sink_finish(s, o->json, e);
}

int bench_sink(int argc, char **argv)
{
	struct sink *s = bench_calloc(1, sizeof(*s));
	struct sink_options o = {0};
	struct err e = {{0}};
	int status, err;

	s->idle_ns = NS_PER_S;
	status = sink_options_read(s, &o, argc, argv);
	if (status == OPTIONS_GO_ON && o.listens.count == 0)
		status = options_error(EX_USAGE, "sink", "--listen is needed");
	if (status != OPTIONS_GO_ON) {
		free(s);
		return status;
	}
	err = sink_open(s, &o, &e);
	if (!err)
		err = sink_run(s, &o, &e);
	status = sink_verdict_is_clean(s) ? EX_OK : EX_DATAERR;
	if (err)
		status = options_error(err == -EINVAL ? EX_USAGE : EX_OSERR,
				       "sink", "%s", e.text);
	io_close(&s->io);
	sink_close(s);
	free(s);
	return status;
}
