/* SPDX-License-Identifier: BSD-2-Clause
 *
 * digest.h - the digest a message will have in the spool, before it is there.
 *
 * PURE. Of envelope (without the queue id it came under), arrival and content;
 * equals spool_stored.digest of the stored message, so that a message that was
 * taken before is known again.
 */
#ifndef SLUICE_INTAKE_DIGEST_H
#define SLUICE_INTAKE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "intake/envelope_build.h"

struct intake_digest; /* of the content, so far */

struct intake_digest *intake_digest_create(void); /* NULL: out of memory */
void intake_digest_destroy(struct intake_digest **d);
void intake_digest_begin(struct intake_digest *d);
void intake_digest_content(struct intake_digest *d, const void *data,
			   size_t len);
/* Scratch memory is taken from `b` and stays its own. -EINVAL, -EMSGSIZE as
 * spool_message_begin(); as envelope_build. */
int intake_digest_end(struct intake_digest *d, const struct envelope *env,
		      struct envelope_build *b, uint64_t *digest);

#endif
