/* SPDX-License-Identifier: BSD-2-Clause
 *
 * recovery.h - opens the spool and rebuilds the queue from it.
 *
 * Called once by engine_create(), before anything is delivered.
 * Bound: one pass over the journal, plus segment tails.
 */
#ifndef SLUICED_RECOVERY_H
#define SLUICED_RECOVERY_H

#include "sluice/err.h"

struct engine;

/* `*status` is the sysexits code for an error. */
int recovery_run(struct engine *en, int *status, struct err *e);

#endif
