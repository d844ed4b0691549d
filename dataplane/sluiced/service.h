/* SPDX-License-Identifier: BSD-2-Clause
 *
 * service.h - what systemd is told: ready, reloading, stopping, alive.
 *
 * Called by main() and by a reload. One thread. Without NOTIFY_SOCKET all of
 * it does nothing.
 */
#ifndef SLUICED_SERVICE_H
#define SLUICED_SERVICE_H

#include <stdint.h>

#include "sluice/role.h"

struct engine;

void service_ready(void);
void service_reloading(void);
void service_stopping(void);
/* Once per turn of the loop: the watchdog at half its time, a line of status
 * every few seconds. */
void service_step(struct engine *en, uint64_t now_ns) RUNS_ON(role_queue);

#endif
