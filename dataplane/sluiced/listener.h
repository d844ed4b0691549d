/* SPDX-License-Identifier: BSD-2-Clause
 *
 * listener.h - SMTP intake of sluiced: the `listen:` sockets.
 *
 * Role: worker. What comes in is stored, and queued when it is durable.
 */
#ifndef SLUICED_LISTENER_H
#define SLUICED_LISTENER_H

#include <stdbool.h>

#include "sluice/err.h"

struct engine;
struct listener;

int listener_create(struct engine *en, struct listener **out, struct err *e);
/* After the ring and the spool are closed. */
void listener_destroy(struct listener **l);
/* Once per turn, before spool_step(). */
void listener_step(struct listener *l);
/* No new mail; what is under way is finished. */
void listener_stop(struct listener *l);
bool listener_idle(const struct listener *l);

#endif
