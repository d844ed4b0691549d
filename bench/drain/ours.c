/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ours.c - drain's contenders of our own: sluiced, and the canned client.
 *
 * Called by drain once per round, on its thread.
 * Errors: -errno with sluiced's last words.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "drain/control.h"
#include "drain/drain_priv.h"
#include "load/load.h"
#include "sluice/clock.h"
#include "sluice/config.h"

#define UP_NS (60 * NS_PER_S)
/* Often enough to time the end, seldom enough to cost sluiced nothing. */
#define POLL_NS (20 * NS_PER_MS)

static const char config_text[] =
	"spool: {dir: %s/spool}\n"
	"run: {dir: %s/run}\n"
	"log: {level: warn}\n"
	"delivery: {connections: %llu}\n"
	"sources:\n"
	"  bench: {address: 127.0.0.1, helo: drain.bench.test}\n"
	"providers:\n"
	"  default:\n"
	"    route: \"127.0.0.1:%u\"\n"
	"    pace: {start: unlimited, max: unlimited, per_source: unlimited}\n"
	"    batch: {max: 100000}\n"
	"    connections: {max: %llu, messages: 0}\n"
	"  bench:\n"
	"    domains: [%s]\n";

/* All domains of the backlog are one provider: what is measured is the way
 * through the program, over `connections` connections. */
static int domains_list(struct drain *d, char *out, size_t bytes)
{
	static const char big[] =
		"hotmail.test, live.test, msn.test, outlook.test, gmail.test, "
		"googlemail.test, yahoo.test, aol.test, icloud.test, me.test";
	size_t len = sizeof(big) - 1;

	memcpy(out, big, sizeof(big));
	for (int i = 1; i <= 300; i++) {
		int n = snprintf(out + len, bytes - len, ", d%03d.test", i);

		if (n < 0 || (size_t)n >= bytes - len)
			return -ENOSPC;
		len += (size_t)n;
	}
	return 0;
}

static int config_write(struct drain *d, struct err *e)
{
	struct drain_path path = drain_path(d, "sluice.yaml");
	unsigned long long connections = d->connections;
	char domains[8192];
	int err = domains_list(d, domains, sizeof(domains));

	if (!err)
		err = drain_text_write(path.text, config_text, d->dir, d->dir,
				       connections, d->port, connections,
				       domains);
	return err ? err_set(e, err, "%s: %s", path.text, err_name(err)) : 0;
}

static int sluiced_start(struct drain *d, struct process *p, struct err *e)
{
	struct drain_path config = drain_path(d, "sluice.yaml"),
			  log = drain_path(d, "sluiced.log"),
			  socket = drain_path(d, "run/sluiced.sock");
	const char *argv[] = {d->sluiced, "-c", config.text, NULL};
	int status, err = process_start(p, argv, log.text, e);

	if (!err)
		err = control_wait_up(socket.text, UP_NS, e);
	if (err && process_is_over(p, &status))
		return process_blame(p, err, e);
	return err;
}

static int backlog_import(struct drain *d, struct drain_sample *out,
			  struct err *e)
{
	struct drain_path config = drain_path(d, "sluice.yaml"),
			  queue = drain_path(d, "queue"),
			  log = drain_path(d, "import.log");
	const char *argv[] = {d->sluice, "import",    "postfix", queue.text,
			      "-c",      config.text, NULL};
	uint64_t start_ns = clock_monotonic_ns();
	int err = process_run(argv, log.text, d->timeout_ns, 0, e);

	if (!err)
		out->import_rate = (double)d->messages * NS_PER_S /
				   (double)(clock_monotonic_ns() - start_ns);
	return err;
}

static int all_release(struct drain *d, struct err *e)
{
	struct drain_path socket = drain_path(d, "run/sluiced.sock");
	json_t *done = NULL;
	uint64_t recipients;
	int err = control_ask(socket.text,
			      json_pack("{s:s,s:{s:b},s:s,s:s}", "verb",
					"release", "selection", "all", 1,
					"reason", "drain benchmark", "actor",
					"sluice-bench"),
			      &done, e);

	if (err)
		return err;
	recipients = (uint64_t)json_integer_value(
		json_object_get(done, "recipients"));
	json_decref(done);
	if (recipients != d->recipients)
		return err_set(e, -EPROTO,
			       "sluiced released %llu recipients, not %llu",
			       (unsigned long long)recipients,
			       (unsigned long long)d->recipients);
	return 0;
}

/* Until sluiced says that nothing is left. */
static int outcomes_wait(struct drain *d, uint64_t *settled_ns, struct err *e)
{
	struct drain_path socket = drain_path(d, "run/sluiced.sock");
	uint64_t end_ns = clock_monotonic_ns() + d->timeout_ns;
	json_int_t delivered = 0;

	while (clock_monotonic_ns() < end_ns) {
		json_t *done = NULL;
		int err = control_ask(socket.text,
				      json_pack("{s:s}", "verb", "status"),
				      &done, e);

		if (err)
			return err;
		delivered = json_integer_value(json_object_get(
			json_object_get(done, "totals"), "delivered"));
		json_decref(done);
		*settled_ns = clock_monotonic_ns();
		if ((uint64_t)delivered >= d->recipients)
			return 0;
		if (process_interrupted())
			return err_set(e, -EINTR, "interrupted");
		process_sleep(POLL_NS);
	}
	return err_set(e, -ETIMEDOUT,
		       "sluiced counts %lld of %llu recipients delivered",
		       (long long)delivered, (unsigned long long)d->recipients);
}

static int sluice_drain(struct drain *d, struct process *p, bool import,
			struct drain_sample *out, struct err *e)
{
	uint64_t start_ns, settled_ns = 0;
	int err = sluiced_start(d, p, e);

	if (!err && import)
		err = backlog_import(d, out, e);
	start_ns = clock_monotonic_ns();
	if (!err)
		err = all_release(d, e);
	if (!err)
		err = outcomes_wait(d, &settled_ns, e);
	if (!err)
		err = drain_sink_wait(d, start_ns, out, e);
	if (!err)
		out->settled_s = (double)(settled_ns - start_ns) / NS_PER_S -
				 out->first_s;
	return err;
}

int drain_sluice(struct drain *d, struct drain_sample *out, struct err *e)
{
	bool import = strcmp(d->from, "postfix") == 0;
	struct process p = {0};
	int err =
		drain_backlog(d, d->from, import ? "queue" : "spool", NULL, e);

	if (!err)
		err = drain_sink_start(d, true, e);
	if (!err)
		err = config_write(d, e);
	if (!err)
		err = sluice_drain(d, &p, import, out, e);
	process_stop(&p, NULL);
	process_stop(&d->sink, NULL);
	return err;
}

int drain_ceiling(struct drain *d, struct drain_sample *out, struct err *e)
{
	struct load_options o = {.messages = d->messages,
				 .seed = 1,
				 .sessions = (uint32_t)d->connections,
				 .pipelining = LOAD_GROUP,
				 .canned = true,
				 .spin_ns = d->spin_ns,
				 .stop = process_interrupted,
				 .timeout_ns = d->timeout_ns};
	uint64_t start_ns;
	struct load_result r;
	char where[32];
	int err;

	if (config_size_parse(d->size, &o.size_bytes) != 0)
		return err_set(e, -EINVAL, "--size '%s'", d->size);
	d->recipients = d->messages;
	err = drain_sink_start(d, false, e);
	snprintf(where, sizeof(where), "127.0.0.1:%u", d->port);
	if (!err)
		err = addr_parse(where, 0, &o.target);
	start_ns = clock_monotonic_ns();
	if (!err)
		err = load_run(&o, &r, e);
	if (!err)
		err = drain_sink_wait(d, start_ns, out, e);
	process_stop(&d->sink, NULL);
	return err;
}
