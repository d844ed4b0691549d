/* SPDX-License-Identifier: BSD-2-Clause
 *
 * service.c - sd_notify: READY, RELOADING, STOPPING, STATUS, WATCHDOG.
 *
 * The watchdog is fed by the loop itself, once per turn at most: a loop that
 * hangs is restarted by systemd, and recovers the spool. Role: queue.
 */
#include "sluiced/service.h"

#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "queue/queue.h"
#include "sluice/clock.h"
#include "sluiced/engine_priv.h"

#define STATUS_NS (5 * NS_PER_S)

void service_ready(void)
{
	(void)sd_notify(0, "READY=1");
}

/* The time is what Type=notify-reload (systemd 253) asks for. */
void service_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
			 (unsigned long long)(clock_monotonic_ns() / 1000));
}

void service_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

static void watchdog_feed(uint64_t now_ns)
{
	static uint64_t every_ns = CLOCK_NEVER_NS, next_ns;
	uint64_t usec = 0;

	if (every_ns == CLOCK_NEVER_NS)
		every_ns =
			sd_watchdog_enabled(0, &usec) > 0 ? usec * 1000 / 2 : 0;
	if (every_ns == 0 || now_ns < next_ns)
		return;
	next_ns = now_ns + every_ns;
	(void)sd_notify(0, "WATCHDOG=1");
}

void service_step(struct engine *en, uint64_t now_ns)
{
	static uint64_t next_ns;
	struct queue_counts q;

	watchdog_feed(now_ns);
	if (now_ns < next_ns)
		return;
	next_ns = now_ns + STATUS_NS;
	queue_counts(en->queue, &q);
	(void)sd_notifyf(0,
			 "STATUS=%llu recipients left (%llu held), %llu "
			 "delivered, %.1f/s",
			 (unsigned long long)q.recipients,
			 (unsigned long long)q.held,
			 (unsigned long long)q.delivered, engine_rate(en));
}
