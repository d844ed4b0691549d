/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sink_client.c - a sink in a child process, and a client for it.
 *
 * Called by the sink's tests. Anything unexpected fails the test.
 */
#include "sink_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench.h"

#define LINE_BYTES 70000

static void ports_read(struct sink_child *s, int fd, uint32_t listens)
{
	FILE *f = fdopen(fd, "r");
	char line[256];

	assert_non_null(f);
	while (s->port_count < listens && fgets(line, sizeof(line), f)) {
		const char *colon = strrchr(line, ':');

		if (!strstr(line, "listening on") || !colon)
			fail_msg("the sink says: %s", line);
		s->ports[s->port_count++] = (uint16_t)atoi(colon + 1);
	}
	assert_int_equal(s->port_count, listens);
	fclose(f);
}

void sink_child_start(struct sink_child *s, const char **argv, uint32_t listens)
{
	int argc = 0, pipes[2];

	while (argv[argc])
		argc++;
	assert_int_equal(pipe(pipes), 0);
	fflush(NULL);
	s->port_count = 0;
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		close(pipes[0]);
		dup2(pipes[1], 2);
		if (!freopen("/dev/null", "w", stdout))
			_exit(1);
		exit(bench_sink(argc, (char **)(uintptr_t)argv));
	}
	close(pipes[1]);
	ports_read(s, pipes[0], listens);
}

int sink_child_stop(struct sink_child *s)
{
	int status;

	kill(s->pid, SIGTERM);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

int client_connect(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(port),
				.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

void client_say(int fd, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* Byte by byte: a test may stop in the middle of what was sent. */
const char *client_line(int fd, int ms)
{
	static char line[LINE_BYTES];
	size_t len = 0;

	while (len < sizeof(line) - 1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, ms) != 1 || recv(fd, line + len, 1, 0) != 1)
			return NULL;
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = 0;
	if (len && line[len - 1] == '\r')
		line[len - 1] = 0;
	return line;
}

void client_expect(int fd, const char *code)
{
	const char *line;

	do {
		line = client_line(fd, 5000);
		if (!line)
			fail_msg("no reply, %s was expected", code);
	} while (line[3] == '-');
	if (strncmp(line, code, strlen(code)) != 0)
		fail_msg("'%.80s', %s was expected", line, code);
}

int client_hello(uint16_t port)
{
	int fd = client_connect(port);

	client_expect(fd, "220 ");
	client_say(fd, "EHLO test\r\n");
	client_expect(fd, "250 ");
	return fd;
}
