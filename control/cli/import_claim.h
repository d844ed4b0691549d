/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import_claim.h - takes a queue file away from Postfix, and lets go of it.
 *
 * A claim is one rename into sluice-taken/ inside the queue directory: after
 * it Postfix cannot send the message any more. Interrupted anywhere, a second
 * run finds the file there and finishes it.
 */
#ifndef SLUICE_CLI_IMPORT_CLAIM_H
#define SLUICE_CLI_IMPORT_CLAIM_H

#include <stdint.h>

#include "sluice/err.h"

struct claims;

struct claim {
	char *taken;  /* name in sluice-taken/ */
	char *origin; /* path in the queue directory, "deferred/A/A1B2C3" */
};

/* `dir`: the queue directory. -errno with `e`. */
int claims_open(const char *dir, struct claims **out, struct err *e);
void claims_close(struct claims **c);
/* The queue directory itself. */
int claims_dir_fd(const struct claims *c);
/* Opens, locks and renames `origin`; *fd is the open file. -EBUSY: somebody
 * has it locked; -EAGAIN: not finished by Postfix yet. */
int claim_take(struct claims *c, const char *origin, struct claim **out,
	       int *fd, struct err *e);
/* Makes the renames since the last call durable. */
int claims_sync(struct claims *c, struct err *e);
/* The message is durable elsewhere: file and defer/bounce/trace logs go. */
void claim_remove(struct claims *c, struct claim *claim);
/* It was refused: back to where it came from. */
void claim_return(struct claims *c, struct claim *claim);

#endif
