/* SPDX-License-Identifier: BSD-2-Clause
 *
 * describe.c - from a record to what its owner is told of it.
 *
 * Called when a commit is done and by recovery's scan of segments: both read
 * the bytes as they lie, so that there is one truth. Role: spool.
 * Bound: header and envelope. Allocates only for names never seen before.
 * Errors: -EBADMSG, -ENOMEM.
 */
#include <stdlib.h>

#include "spool/spool_priv.h"

int describe_create(struct describe *d)
{
	d->rcpts = calloc(ENVELOPE_RCPTS_MAX, sizeof(*d->rcpts));
	d->index = calloc(ENVELOPE_RCPTS_MAX, sizeof(*d->index));
	d->names = calloc(ENVELOPE_RCPTS_MAX, sizeof(*d->names));
	return d->rcpts && d->index && d->names ? 0 : -ENOMEM;
}

void describe_destroy(struct describe *d)
{
	free(d->rcpts);
	free(d->index);
	free(d->names);
	memset(d, 0, sizeof(*d));
}

/* Interned domain of an address; "" if it has none. */
static int domain_name(struct spool *sp, const struct text *address,
		       uint32_t *name, uint32_t *local_bytes)
{
	const char *at = NULL;
	size_t len = 0;

	if (address->len > 0)
		at = memrchr(address->data, '@', address->len);
	*local_bytes = address->len;
	if (at) {
		*local_bytes = (uint32_t)(at - address->data);
		len = address->len - *local_bytes - 1;
	}
	if (len > SPOOL_NAME_BYTES_MAX || (at && memchr(at + 1, 0, len)))
		return -EBADMSG;
	*name = intern_add(sp->names, at ? at + 1 : "", len);
	return *name == INTERN_NONE ? -ENOMEM : 0;
}

int describe_envelope(struct spool *sp, const struct envelope *env)
{
	struct describe *d = &sp->describe;
	uint32_t i, local;
	int res;

	sluice_assert(env->rcpt_count <= ENVELOPE_RCPTS_MAX);
	res = domain_name(sp, &env->sender, &d->sender_name, &local);
	for (i = 0; !res && i < env->rcpt_count; i++) {
		const struct text *a = &env->rcpts[i].address;

		res = domain_name(sp, a, &d->names[i], &local);
		if (res)
			break;
		d->index[i].domain = intern_text(sp->names, d->names[i]);
		d->index[i].local_hash = spool_hash(a->data, local);
	}
	return res ? res : journal_names_fit(sp);
}

int describe_record(struct spool *sp, const uint8_t *head, size_t have,
		    const struct spool_place *place, struct spool_stored *out)
{
	struct describe *d = &sp->describe;
	struct spool_record r;
	int res;

	res = spool_record_decode(head, have, &r, d->rcpts, ENVELOPE_RCPTS_MAX);
	if (!res)
		res = describe_envelope(sp, &r.env);
	if (res)
		return res;
	*out = (struct spool_stored){
		.id = r.id,
		.place = *place,
		.content_bytes = r.content_bytes,
		.arrival_s = r.env.arrival_s,
		.flags = r.flags,
		.sender_hash = spool_hash(r.env.sender.data, r.env.sender.len),
		.sender_domain = intern_text(sp->names, d->sender_name),
		.digest = envelope_digest(
			head + RECORD_HEADER_BYTES,
			(uint32_t)(r.content_offset - RECORD_HEADER_BYTES),
			r.content_xxh3),
		.rcpt_count = r.env.rcpt_count,
		.rcpts = d->index,
	};
	return 0;
}
