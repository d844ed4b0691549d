/* SPDX-License-Identifier: BSD-2-Clause
 *
 * receiver.c - the backlog before a run, and the sink at its other end.
 *
 * Called by the contenders, on drain's thread. Both are this program again,
 * as children. Errors: -errno with the last line a child wrote.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "drain/drain_priv.h"
#include "sluice/clock.h"

#define UP_NS (10 * NS_PER_S)

static int ledger_count(struct drain *d, struct err *e)
{
	struct drain_path path = drain_path(d, "ledger");
	FILE *f = fopen(path.text, "re");
	char line[1024];

	if (!f)
		return err_set(e, -errno, "%s: %s", path.text, err_name(errno));
	d->recipients = 0;
	while (fgets(line, sizeof(line), f))
		d->recipients += line[0] != '#';
	fclose(f);
	return 0;
}

int drain_backlog(struct drain *d, const char *format, const char *name,
		  const char *owner, struct err *e)
{
	struct drain_path out = drain_path(d, name),
			  ledger = drain_path(d, "ledger"),
			  log = drain_path(d, "backlog.log");
	const char *argv[PROCESS_ARGS_MAX];
	char messages[24], seed[24], size[64];
	int n = 0, err;

	snprintf(messages, sizeof(messages), "%llu",
		 (unsigned long long)d->messages);
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)d->seed);
	snprintf(size, sizeof(size), "%s%s", d->size,
		 d->campus ? "" : ":fixed");
	argv[n++] = d->self;
	argv[n++] = "backlog";
	argv[n++] = "--messages";
	argv[n++] = messages;
	argv[n++] = "--seed";
	argv[n++] = seed;
	argv[n++] = "--size";
	argv[n++] = size;
	argv[n++] = "--format";
	argv[n++] = format;
	argv[n++] = "--output";
	argv[n++] = out.text;
	argv[n++] = "--ledger";
	argv[n++] = ledger.text;
	if (!d->campus)
		argv[n++] = "--plain";
	if (owner) {
		argv[n++] = "--owner";
		argv[n++] = owner;
	}
	argv[n] = NULL;
	err = process_run(argv, log.text, d->timeout_ns, 0, e);
	return err ? err : ledger_count(d, e);
}

/* A port that is free now; the sink takes it a moment later. */
static int port_find(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		err = -errno;
	close(fd);
	*port = ntohs(a.sin_port);
	return err;
}

static int sink_wait_up(struct drain *d, struct err *e)
{
	uint64_t end_ns = clock_monotonic_ns() + UP_NS;
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(d->port),
				.sin_addr = {htonl(INADDR_LOOPBACK)}};

	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int bad = connect(fd, (struct sockaddr *)&a, sizeof(a));
		int status;

		close(fd);
		if (!bad)
			return 0;
		if (process_is_over(&d->sink, &status) ||
		    clock_monotonic_ns() > end_ns)
			return process_blame(&d->sink, -ECONNREFUSED, e);
		process_sleep(10 * NS_PER_MS);
	}
}

int drain_sink_start(struct drain *d, bool ledger, struct err *e)
{
	struct drain_path report = drain_path(d, "report.json"),
			  books = drain_path(d, "ledger"),
			  log = drain_path(d, "sink.log");
	char where[32], expect[24], spin[32];
	const char *argv[PROCESS_ARGS_MAX] = {
		d->self,    "sink",      "--listen", where,
		"--report", report.text, "--expect", expect,
		"--idle",   "300ms",     "--spin",   spin};
	int n = 12, err = port_find(&d->port);

	if (err)
		return err_set(e, err, "no free port: %s", err_name(err));
	snprintf(where, sizeof(where), "127.0.0.1:%u", d->port);
	snprintf(expect, sizeof(expect), "%llu",
		 (unsigned long long)d->recipients);
	snprintf(spin, sizeof(spin), "%lluus",
		 (unsigned long long)(d->spin_ns / NS_PER_US));
	if (d->spin_ns == 0)
		n -= 2;
	if (ledger) {
		argv[n++] = "--ledger-in";
		argv[n++] = books.text;
	}
	argv[n] = NULL;
	err = process_start(&d->sink, argv, log.text, e);
	return err ? err : sink_wait_up(d, e);
}

static uint64_t number(const json_t *j, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(j, key));
}

static int report_read(struct drain *d, uint64_t start_ns,
		       struct drain_sample *out, struct err *e)
{
	struct drain_path path = drain_path(d, "report.json");
	json_t *j = json_load_file(path.text, 0, NULL);
	uint64_t first_ns, last_ns;

	if (!j)
		return process_blame(&d->sink, -EIO, e);
	first_ns = number(j, "first_ns");
	last_ns = number(j, "last_ns");
	out->rate = json_number_value(json_object_get(j, "rate"));
	out->seconds = (double)(last_ns - first_ns) / NS_PER_S;
	out->first_s = first_ns > start_ns
			       ? (double)(first_ns - start_ns) / NS_PER_S
			       : 0;
	out->delivered = json_object_get(j, "delivered")
				 ? number(j, "delivered")
				 : number(j, "recipients");
	out->lost = number(j, "lost");
	out->duplicated = number(j, "duplicated");
	out->altered = number(j, "altered");
	out->protocol_errors =
		number(json_object_get(j, "protocol_errors"), "total");
	json_decref(j);
	return 0;
}

int drain_sink_wait(struct drain *d, uint64_t start_ns,
		    struct drain_sample *out, struct err *e)
{
	int status = 0, err = process_wait(&d->sink, d->timeout_ns, &status);

	if (err == -ETIMEDOUT) {
		struct drain_sample part = {0};

		process_stop(&d->sink, &status);
		err = report_read(d, start_ns, &part, e);
		return err ? err
			   : err_set(e, -ETIMEDOUT,
				     "only %llu of %llu recipients arrived",
				     (unsigned long long)part.delivered,
				     (unsigned long long)d->recipients);
	}
	if (err)
		return err_set(e, err, "interrupted");
	/* What arrived wrong is in the report: a result, no failure. */
	if (!WIFEXITED(status) ||
	    (WEXITSTATUS(status) != EX_OK && WEXITSTATUS(status) != EX_DATAERR))
		return process_blame(&d->sink, -ECHILD, e);
	return report_read(d, start_ns, out, e);
}
