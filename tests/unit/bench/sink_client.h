/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sink_client.h - a sink in a child process, and a client that says what the
 * test wants, also what no SMTP client should. Blocking; test's thread.
 */
#ifndef TEST_SINK_CLIENT_H
#define TEST_SINK_CLIENT_H

#include <stdint.h>
#include <sys/types.h>

#define SINK_PORTS_MAX 32

struct sink_child {
	pid_t pid;
	uint16_t ports[SINK_PORTS_MAX]; /* in the order of --listen */
	uint32_t port_count;
};

/* Runs bench_sink() with argv (NULL-terminated, "sink" first); waits until all
 * `listens` ports are open. */
void sink_child_start(struct sink_child *s, const char **argv,
		      uint32_t listens);
/* SIGTERM; returns the exit status. */
int sink_child_stop(struct sink_child *s);

int client_connect(uint16_t port);
void client_say(int fd, const char *text);
/* One reply line without CRLF, at most `ms`; NULL = closed or time over.
 * Valid until the next call. */
const char *client_line(int fd, int ms);
/* Reads lines until one without '-' after the code; it has to start with
 * `code`. */
void client_expect(int fd, const char *code);
/* Greeting and EHLO. */
int client_hello(uint16_t port);

#endif
