/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_smtp.c - hands messages to another host over SMTP.
 *
 * sluiced journals an attempt before it says that a message may be sent, and
 * an outcome for every result: what a crash leaves in doubt is known by name.
 * The host is one the operator names, so no pace applies. One thread, one
 * poll(). Bound: the window, CONNECTIONS_MAX connections. A host that cannot be
 * reached, or takes nothing over FAILURES_MAX connections, ends the export:
 * what is left stays.
 */
#include "export_smtp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "sluice/clock.h"

#define RETRY_NS NS_PER_S
#define POLL_MS  200

static int session_odd(void)
{
	fputs("sluice: export: sluiced said what makes no sense\n", stderr);
	return EX_PROTOCOL;
}

/* It fails often, and nothing was taken meanwhile: no use to go on. */
static int give_up(struct smtp_export *x)
{
	x->giving_up = true;
	if (x->cli->terminal && !x->cli->json)
		fputs("\r\033[K", stderr);
	fprintf(stderr,
		"sluice: export: no message gets through (%s): what is left "
		"stays\n",
		x->why);
	while (x->ready != NULL)
		smtp_message_unsent(x, smtp_message_next(x));
	return connection_send(x->connection, json_pack("{s:b}", "stop", 1),
			       NULL, 0);
}

static void connection_failed(struct smtp_export *x, const char *why)
{
	snprintf(x->why, sizeof(x->why), "%s", why);
	x->failures++;
	/* The next address of the host, round and round. */
	x->address = x->address->ai_next != NULL ? x->address->ai_next
						 : x->addresses;
	x->wait_until_ns = clock_monotonic_ns() + x->failures * RETRY_NS;
}

static void connection_start(struct smtp_export *x, struct smtp_out *c)
{
	int rc;

	memset(c, 0, offsetof(struct smtp_out, in));
	c->result = smtp_on_result;
	c->done = smtp_on_done;
	c->user = x;
	rc = smtp_out_open(c, x->address, x->helo);
	if (rc != 0)
		connection_failed(x, err_name(rc));
}

/* Idle connections get work; one more is opened while there is some left. */
static void work_share(struct smtp_export *x)
{
	struct smtp_out *closed = NULL;
	bool coming = false;

	for (uint32_t i = 0; i < x->out_count; i++) {
		struct smtp_out *c = &x->out[i];

		while (c->state == SMTP_OUT_IDLE && x->ready != NULL)
			smtp_out_send(c, smtp_message_next(x));
		if (c->state == SMTP_OUT_CLOSED)
			closed = c;
		coming |=
			c->state > SMTP_OUT_CLOSED && c->state < SMTP_OUT_IDLE;
	}
	if (x->ready != NULL && closed != NULL && !coming &&
	    clock_monotonic_ns() >= x->wait_until_ns)
		connection_start(x, closed);
}

static int on_messages(struct smtp_export *x, json_t *list, const int *fds,
		       uint32_t fd_count)
{
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		struct export_message *m =
			export_message_parse(j, fds, fd_count);

		if (m == NULL || m->tag >= x->window ||
		    x->told[m->tag] != NULL) {
			export_message_free(&m);
			return session_odd();
		}
		m->fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
		x->told[m->tag] = m;
		x->open = export_message_complete(m) ? NULL : m;
	}
	return 0;
}

static int on_recipients(struct smtp_export *x, json_t *list)
{
	if (x->open == NULL || !export_message_rcpts(x->open, list))
		return session_odd();
	if (export_message_complete(x->open))
		x->open = NULL;
	return 0;
}

static int on_handed(struct smtp_export *x, json_t *tags)
{
	size_t i;
	json_t *j;

	json_array_foreach(tags, i, j)
	{
		json_int_t tag = json_integer_value(j);
		struct export_message *m =
			tag >= 0 && tag < (json_int_t)x->window ? x->told[tag]
								: NULL;

		if (m == NULL || m == x->open)
			return session_odd();
		if (x->giving_up)
			smtp_message_unsent(x, m);
		else
			smtp_message_ready(x, m);
	}
	return 0;
}

static int on_ready(struct smtp_export *x, const json_t *p)
{
	json_int_t window = json_int(p, "window");

	if (window <= 0 || window > WINDOW_MAX || x->told != NULL)
		return session_odd();
	x->told = calloc((size_t)window, sizeof(struct export_message *));
	x->window = (uint32_t)window;
	return x->told != NULL ? 0 : EX_OSERR;
}

static int packet_take(struct smtp_export *x, json_t *p, const int *fds,
		       uint32_t fd_count)
{
	json_t *j;

	if (json_object_get(p, "error") != NULL) {
		int rc = (int)json_int(p, "code");

		fprintf(stderr, "sluice: %s\n", json_str(p, "error"));
		return rc > 0 ? rc : EX_SOFTWARE;
	}
	if (json_is_true(json_object_get(p, "done"))) {
		x->done = json_incref(p);
		return 0;
	}
	if (json_object_get(p, "ready") != NULL)
		return on_ready(x, p);
	if (x->told == NULL)
		return session_odd();
	if ((j = json_object_get(p, "messages")) != NULL)
		return on_messages(x, j, fds, fd_count);
	if ((j = json_object_get(p, "recipients")) != NULL)
		return on_recipients(x, j);
	if ((j = json_object_get(p, "handed")) != NULL)
		return on_handed(x, j);
	if ((j = json_object_get(p, "exported")) != NULL)
		x->over = (uint64_t)json_integer_value(j);
	return 0;
}

static int packet_receive(struct smtp_export *x)
{
	int fds[CONNECTION_FDS], rc;
	uint32_t fd_count;
	json_t *p = connection_receive_fds(x->connection, fds, &fd_count);

	if (p == NULL) {
		fputs("sluice: export: sluiced went away; what was being sent "
		      "is listed by `sluice recovered`\n",
		      stderr);
		return EX_UNAVAILABLE;
	}
	rc = packet_take(x, p, fds, fd_count);
	for (uint32_t i = 0; i < fd_count; i++)
		close(fds[i]);
	json_decref(p);
	return rc;
}

static void connections_step(struct smtp_export *x, const struct pollfd *p)
{
	uint64_t now_ns = clock_monotonic_ns();

	for (uint32_t i = 0; i < x->out_count; i++) {
		struct smtp_out *c = &x->out[i];

		if (c->state == SMTP_OUT_CLOSED || p[i].fd < 0)
			continue;
		smtp_out_step(c, p[i].revents, now_ns);
		if (c->state == SMTP_OUT_CLOSED)
			connection_failed(x, c->why);
	}
}

/* One turn: share work, wait, hear both sides, tell results. */
static int export_turn(struct smtp_export *x, struct pollfd *p)
{
	int rc = 0;

	work_share(x);
	p[0] = (struct pollfd){connection_fd(x->connection), POLLIN, 0};
	for (uint32_t i = 0; i < x->out_count; i++) {
		struct smtp_out *c = &x->out[i];
		bool up = c->state != SMTP_OUT_CLOSED;

		p[i + 1] = (struct pollfd){up ? c->fd : -1,
					   up ? smtp_out_events(c) : 0, 0};
	}
	if (poll(p, x->out_count + 1, POLL_MS) < 0 && errno != EINTR)
		return EX_OSERR;
	if (p[0].revents != 0)
		rc = packet_receive(x);
	connections_step(x, p + 1);
	if (rc == 0 && x->failures >= FAILURES_MAX && !x->giving_up)
		rc = give_up(x);
	if (rc == 0)
		rc = smtp_results_send(x);
	export_progress(x->cli, x->started_ns, &x->shown_ns, x->over + x->shown,
			x->expected, false);
	return rc;
}

static int export_turns(struct smtp_export *x, json_t *request)
{
	struct pollfd p[CONNECTIONS_MAX + 1];
	int rc = connection_open(x->cli, &x->connection);

	if (rc != 0) {
		json_decref(request);
		return rc;
	}
	rc = connection_send(x->connection, request, NULL, 0);
	while (rc == 0 && x->done == NULL)
		rc = export_turn(x, p);
	/* Nothing is under way after `done`: a QUIT is not waited for. */
	for (uint32_t i = 0; i < x->out_count; i++) {
		struct smtp_out *c = &x->out[i];

		if (c->state == SMTP_OUT_IDLE)
			(void)send(c->fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
		smtp_out_close(c, "the export ended");
	}
	connection_close(&x->connection);
	export_progress(x->cli, x->started_ns, &x->shown_ns, x->over + x->shown,
			x->expected, true);
	return rc;
}

/* host, host:port, [v6]:port */
static int host_resolve(const char *where, struct addrinfo **out)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const char *colon = strrchr(where, ':'), *port = "25";
	char host[256];
	size_t len = strlen(where);
	int rc;

	if (colon != NULL && strchr(where, ':') == colon) {
		port = colon + 1;
		len = (size_t)(colon - where);
	} else if (where[0] == '[' && strchr(where, ']') != NULL) {
		const char *end = strchr(where, ']');

		if (end[1] == ':')
			port = end + 2;
		where++;
		len = (size_t)(end - where);
	}
	if (len == 0 || len >= sizeof(host) || *port == '\0') {
		fputs("sluice: export smtp: HOST:PORT, or [IPv6]:PORT\n",
		      stderr);
		return EX_USAGE;
	}
	memcpy(host, where, len);
	host[len] = '\0';
	rc = getaddrinfo(host, port, &hints, out);
	if (rc == 0)
		return 0;
	fprintf(stderr, "sluice: export smtp: %s port %s: %s\n", host, port,
		gai_strerror(rc));
	return EX_NOHOST;
}

static int export_prepare(struct smtp_export *x)
{
	uint64_t n = x->cli->connections;

	if (n == 0)
		n = CONNECTIONS_DEFAULT;
	if (n > CONNECTIONS_MAX) {
		fprintf(stderr, "sluice: --connections: at most %d\n",
			CONNECTIONS_MAX);
		return EX_USAGE;
	}
	if (gethostname(x->helo, sizeof(x->helo) - 1) != 0 ||
	    x->helo[0] == '\0')
		snprintf(x->helo, sizeof(x->helo), "localhost");
	x->out_count = (uint32_t)n;
	x->out = calloc(x->out_count, sizeof(*x->out));
	x->results = json_array();
	x->address = x->addresses;
	return x->out != NULL && x->results != NULL ? 0 : EX_OSERR;
}

static void export_free(struct smtp_export *x)
{
	for (uint32_t i = 0; x->told != NULL && i < x->window; i++)
		if (x->told[i] != NULL)
			smtp_message_drop(x, x->told[i]);
	json_decref(x->results);
	json_decref(x->done);
	free(x->told);
	free(x->out);
	freeaddrinfo(x->addresses);
}

int export_smtp(struct cli *cli, const char *host_port)
{
	struct smtp_export x = {.cli = cli, .started_ns = clock_monotonic_ns()};
	int rc = host_resolve(host_port, &x.addresses);

	if (rc != 0)
		return rc;
	if (cli->dry_run) {
		freeaddrinfo(x.addresses);
		return export_dry_run(cli, "smtp", host_port);
	}
	rc = export_prepare(&x);
	x.expected = export_expected(cli);
	if (rc == 0)
		rc = export_turns(&x, export_request(cli, "smtp", host_port));
	if (rc == 0)
		rc = export_summary(cli, "smtp", x.done);
	if (x.giving_up && (rc == 0 || rc == EX_DATAERR))
		rc = EX_TEMPFAIL;
	export_free(&x);
	return rc;
}
