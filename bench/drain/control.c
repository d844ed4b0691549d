/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control.c - sluiced's command socket, one request at a time.
 *
 * Called by drain, on its thread. Bound: 64 KiB a packet, 60 s for an answer.
 * Errors: -errno, -EPROTO with what the daemon said.
 */
#include "drain/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "drain/process.h"
#include "sluice/clock.h"

#define PACKET_BYTES (1 << 20)
#define ANSWER_S     60

static int socket_connect(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = ANSWER_S};
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int request_send(int fd, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	ssize_t sent;

	if (!text)
		return -ENOMEM;
	sent = send(fd, text, strlen(text), MSG_NOSIGNAL);
	free(text);
	return sent < 0 ? -errno : 0;
}

/* 1: that was the done packet, now in *done. */
static int packet_take(const char *data, size_t len, json_t **done,
		       struct err *e)
{
	json_t *j = json_loadb(data, len, 0, NULL);
	const char *error;

	if (!json_is_object(j)) {
		json_decref(j);
		return err_set(e, -EPROTO, "sluiced: no JSON object");
	}
	error = json_string_value(json_object_get(j, "error"));
	if (error) {
		err_set(e, -EPROTO, "sluiced: %s", error);
		json_decref(j);
		return -EPROTO;
	}
	if (json_is_true(json_object_get(j, "done"))) {
		*done = j;
		return 1;
	}
	json_decref(j);
	return 0;
}

static int answer_read(int fd, json_t **done, struct err *e)
{
	char *packet = malloc(PACKET_BYTES);
	int got = packet ? 0 : -ENOMEM;

	while (got == 0) {
		ssize_t n = recv(fd, packet, PACKET_BYTES, 0);

		if (n <= 0)
			got = err_set(e, n ? -errno : -ECONNRESET,
				      "sluiced: no answer: %s",
				      err_name(n ? errno : ECONNRESET));
		else
			got = packet_take(packet, (size_t)n, done, e);
	}
	free(packet);
	return got < 0 ? got : 0;
}

int control_ask(const char *socket_path, json_t *request, json_t **done,
		struct err *e)
{
	int fd = socket_connect(socket_path), err;

	if (fd < 0) {
		json_decref(request);
		return err_set(e, fd, "%s: %s", socket_path, err_name(fd));
	}
	err = request_send(fd, request);
	json_decref(request);
	if (err)
		err_set(e, err, "%s: %s", socket_path, err_name(err));
	else
		err = answer_read(fd, done, e);
	close(fd);
	return err;
}

int control_wait_up(const char *socket_path, uint64_t wait_ns, struct err *e)
{
	uint64_t end_ns = clock_monotonic_ns() + wait_ns;

	for (;;) {
		json_t *done = NULL;
		int err = control_ask(socket_path,
				      json_pack("{s:s}", "verb", "status"),
				      &done, e);

		json_decref(done);
		if (err != -ENOENT && err != -ECONNREFUSED)
			return err;
		if (process_interrupted())
			return -EINTR;
		if (clock_monotonic_ns() > end_ns)
			return -ETIMEDOUT;
		process_sleep(10 * NS_PER_MS);
	}
}
