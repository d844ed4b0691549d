/* SPDX-License-Identifier: BSD-2-Clause
 *
 * engine.h - the mail plane put together: what main() starts and steps.
 *
 * On a small machine one thread plays the roles queue, spool, worker and
 * command, so that no ring lies between them; libunbound has its own.
 */
#ifndef SLUICED_ENGINE_H
#define SLUICED_ENGINE_H

#include <stdbool.h>

#include "sluice/config.h"
#include "sluice/err.h"
#include "sluice/role.h"

struct client;
struct engine;
struct sockets;

/* Opens ring, spool (recovers), queue, delivery, board and sockets. On error
 * `e` says what, where and what to do, and `*status` is a sysexits code. */
/* `c` stays alive, and its sources get the numbers that the spool knows;
 * sockets are taken from `sockets`. */
int engine_create(struct engine **out, struct config *c,
		  struct sockets *sockets, int *status, struct err *e);
void engine_destroy(struct engine **en);

/* One turn: wait for events, release what is due, commit what was gathered,
 * publish. Returns 0, or -errno when the loop itself is broken. */
int engine_step(struct engine *en)
	RUNS_ON(role_queue, role_spool, role_worker, role_command);

/* Reads the config file again and changes over to it, or says why not and goes
 * on as before. Between two turns. `c` asked for it; NULL: SIGHUP. */
int engine_reload(struct engine *en, struct client *c, struct err *e)
	RUNS_ON(role_queue, role_spool, role_worker, role_command);

/* No new messages go out; engine_stopped() once those in flight are done and
 * all outcomes are durable. */
void engine_stop(struct engine *en);
bool engine_stopped(const struct engine *en);

#endif
