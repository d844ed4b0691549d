/* SPDX-License-Identifier: BSD-2-Clause
 *
 * digest.c - asks the spool's own encoder, so that the two cannot differ.
 *
 * Called by import (role worker). Bound: one encoded envelope of scratch.
 * Errors: see digest.h.
 */
#include "intake/digest.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sluice/assert.h"
#include "spool/record.h"

struct intake_digest {
	XXH3_state_t *content;
};

struct intake_digest *intake_digest_create(void)
{
	struct intake_digest *d = malloc(sizeof(*d));

	if (!d)
		return NULL;
	d->content = XXH3_createState();
	if (!d->content) {
		free(d);
		return NULL;
	}
	return d;
}

void intake_digest_destroy(struct intake_digest **dp)
{
	struct intake_digest *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	XXH3_freeState(d->content);
	free(d);
}

void intake_digest_begin(struct intake_digest *d)
{
	XXH3_64bits_reset(d->content);
}

void intake_digest_content(struct intake_digest *d, const void *data,
			   size_t len)
{
	XXH3_64bits_update(d->content, data, len);
}

struct piece_sink {
	char *to;
	size_t used;
};

static void piece_put(void *user, const void *data, size_t len)
{
	struct piece_sink *s = user;

	memcpy(s->to + s->used, data, len);
	s->used += len;
}

int intake_digest_end(struct intake_digest *d, const struct envelope *env,
		      struct envelope_build *b, uint64_t *digest)
{
	struct piece_sink s = {0};
	uint32_t bytes;
	int rc = envelope_size(env, &bytes);

	if (!rc)
		rc = envelope_build_reserve(b, bytes, &s.to);
	if (rc)
		return rc;
	/* Reserved, not committed: the next text may overwrite it. */
	envelope_encode(env, piece_put, &s);
	sluice_assert(s.used == bytes);
	*digest = envelope_digest((const uint8_t *)s.to, bytes,
				  XXH3_64bits_digest(d->content));
	return 0;
}
