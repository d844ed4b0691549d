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

struct config;
struct engine;
struct listener;
struct sockets;

/* `sockets` are taken from where they have the right address. */
int listener_create(struct engine *en, struct sockets *sockets,
		    struct listener **out, struct err *e);
/* Another config: what can fail first, then apply or drop it. `sockets` may be
 * NULL. */
int listener_config_prepare(struct listener *l, const struct config *c,
			    struct sockets *sockets, struct err *e);
int listener_config_apply(struct listener *l, const struct config *c,
			  struct err *e);
void listener_config_drop(struct listener *l);
/* After the ring and the spool are closed. */
void listener_destroy(struct listener **l);
/* Once per turn, before spool_step(). */
void listener_step(struct listener *l);
/* No new mail; what is under way is finished. */
void listener_stop(struct listener *l);
bool listener_idle(const struct listener *l);

#endif
