/* SPDX-License-Identifier: BSD-2-Clause
 *
 * control.h - sluiced's command socket, one request at a time.
 *
 * Protocol: docs/command-socket.md. One thread; blocks until the answer.
 */
#ifndef SLUICE_BENCH_CONTROL_H
#define SLUICE_BENCH_CONTROL_H

#include <jansson.h>
#include <stdint.h>

#include "sluice/err.h"

/* Connects, asks, and gives the done packet (the caller's reference; data
 * packets before it are skipped). Takes `request`. -ENOENT, -ECONNREFUSED: not
 * up yet; -EPROTO with the daemon's own sentence in `e`. */
int control_ask(const char *socket_path, json_t *request, json_t **done,
		struct err *e);
/* Asks for its status until it answers; -ETIMEDOUT. */
int control_wait_up(const char *socket_path, uint64_t wait_ns, struct err *e);

#endif
