/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import_desk.c - one file on its way into the spool.
 *
 * First pass: read, check, take the digest. A message that fits the stage is
 * then stored from there; a larger one is read a second time into the spool,
 * one such at a time, so that half-written messages cannot fill the spool's
 * memory and wait for each other.
 * Called by import.c and by the io loop, role worker.
 * Bound: IMPORT_DESK_BYTES. Errors: end the file's import with a sentence.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "intake/import_priv.h"
#include "sluice/assert.h"

#define PAGE_BYTES 4096u

_Static_assert(IMPORT_READ_BYTES >= POSTFIX_QUEUE_AT_MAX + PAGE_BYTES,
	       "one read serves any at()");

static void read_done(struct io_op *op, int res, uint32_t flags,
		      const void *data)
{
	struct import_desk *d = op->user;

	(void)flags;
	(void)data;
	d->reading = false;
	d->fresh = true;
	d->read_error = res < 0 ? res : 0;
	d->buffer_len = res < 0 ? 0 : (uint32_t)res;
	import_desk_run(d);
}

static int read_start(struct import_desk *d, uint64_t offset)
{
	uint64_t from = offset & ~(uint64_t)(PAGE_BYTES - 1);
	uint64_t left = d->slot->size_bytes - from;
	uint32_t len =
		left < IMPORT_READ_BYTES ? (uint32_t)left : IMPORT_READ_BYTES;
	int rc;

	d->buffer_at = from;
	d->buffer_len = 0;
	d->fresh = false;
	rc = io_read(d->im->io, &d->read, d->slot->fd, d->buffer, len, from);
	/* Nothing was queued: the next step tries again. */
	if (rc == -EBUSY || rc == -EAGAIN)
		return -EAGAIN;
	if (rc)
		return rc;
	d->reading = true;
	return -EAGAIN;
}

/* The parsers' random access: what the buffer has, else a read. */
static int desk_at(void *user, uint64_t offset, uint32_t len, const void **data,
		   uint32_t *got)
{
	struct import_desk *d = user;
	uint64_t end = d->buffer_at + d->buffer_len;
	uint64_t left = d->slot->size_bytes - offset;
	uint32_t want = left < len ? (uint32_t)left : len;
	bool here = offset >= d->buffer_at && offset + want <= end;

	if (!here && !d->fresh)
		return read_start(d, offset);
	d->fresh = false;
	if (d->read_error)
		return d->read_error;
	if (!here) {
		/* A file that shrank gives less than its size. */
		want = offset < end ? (uint32_t)(end - offset) : 0;
		if (offset < d->buffer_at)
			return read_start(d, offset);
	}
	*data = d->buffer + (offset - d->buffer_at);
	*got = want;
	return 0;
}

static int parsed_envelope(void *user, const struct envelope *env)
{
	(void)user;
	(void)env;
	return 0;
}

static int parsed_content(void *user, const void *data, uint32_t len)
{
	struct import_desk *d = user;

	intake_digest_content(d->hash, data, len);
	if (d->state == DESK_SCAN && !d->whole)
		return 0;
	if (len > IMPORT_STAGE_BYTES - d->staged) {
		/* A second pass never gets here: it empties the stage. */
		sluice_assert(d->state == DESK_SCAN);
		d->whole = false;
		d->staged = 0;
		return 0;
	}
	memcpy(d->stage + d->staged, data, len);
	d->staged += len;
	return 0;
}

static const struct postfix_queue_ops parsed_ops = {
	.envelope = parsed_envelope,
	.content = parsed_content,
};

static const struct envelope *desk_envelope(const struct import_desk *d)
{
	return d->slot->kind == IMPORT_EML ? &d->slot->env.env
					   : postfix_queue_envelope(d->postfix);
}

static int parse_begin(struct import_desk *d)
{
	struct import_slot *s = d->slot;

	intake_digest_begin(d->hash);
	d->staged = d->stage_written = 0;
	d->last = false;
	if (s->kind == IMPORT_POSTFIX)
		return postfix_queue_begin(d->postfix, &d->src, s->name,
					   s->normalise, &parsed_ops, d,
					   &s->error);
	eml_begin(&d->eml, &d->src, &s->env.env, s->normalise, &parsed_ops, d,
		  &s->error);
	return 0;
}

static int parse_step(struct import_desk *d)
{
	if (d->slot->kind == IMPORT_POSTFIX)
		return postfix_queue_step(d->postfix, &d->info);
	return eml_step(&d->eml, &d->info);
}

static int digest_take(struct import_desk *d, uint64_t *digest)
{
	envelope_build_reset(&d->scratch);
	return intake_digest_end(d->hash, desk_envelope(d), &d->scratch,
				 digest);
}

static uint32_t message_flags(const struct import_desk *d)
{
	return d->info.flags | SPOOL_TAKEN | (d->slot->copy ? SPOOL_COPY : 0);
}

static void desk_free(struct import_desk *d)
{
	if (d->message)
		spool_message_abort(&d->message);
	if (d->im->streaming == d)
		d->im->streaming = NULL;
	d->slot = NULL;
	d->state = DESK_FREE;
}

static void desk_refuse(struct import_desk *d, int code)
{
	struct import_slot *s = d->slot;

	desk_free(d);
	import_slot_refuse(s, code);
}

static void stored(void *user, int res, const struct spool_stored *m)
{
	struct import_slot *s = user;

	if (res)
		import_slot_refuse(s, res);
	else
		import_slot_done(s, IMPORT_TAKEN, m->id, m);
}

/* The steps below return 0 = state changed, go on; -EAGAIN = wait; another
 * error ends the import. */

static int step_scan(struct import_desk *d)
{
	int rc = parse_step(d);

	if (rc == 1)
		return 0;
	if (!rc)
		rc = digest_take(d, &d->digest);
	if (!rc)
		d->state = DESK_ASK;
	return rc;
}

static int step_ask(struct import_desk *d)
{
	struct import *im = d->im;
	struct import_slot *s = d->slot;
	uint64_t id;

	/* 0 marks "none" in the table of what is being stored. */
	if (!d->digest)
		d->digest = 1;
	if (im->ops.known(im->user, d->digest, &id)) {
		desk_free(d);
		import_slot_done(s, IMPORT_KNOWN, id, NULL);
		return -EAGAIN;
	}
	if (import_twin(im, d->digest) != IMPORT_NONE) {
		d->state = DESK_TWIN;
		return -EAGAIN;
	}
	im->storing[s - im->slots] = d->digest;
	d->state = d->whole ? DESK_PUT : DESK_OPEN;
	return 0;
}

/* All or nothing: on -EAGAIN it gives back what it got. */
static int step_put(struct import_desk *d)
{
	struct import_slot *s = d->slot;
	int rc = spool_message_begin(d->im->sp, desk_envelope(d),
				     message_flags(d), &d->message);

	if (rc)
		return rc;
	if (d->staged)
		rc = spool_message_write(d->message, d->stage, d->staged);
	if (!rc) {
		s->state = SLOT_COMMIT;
		rc = spool_message_finish(&d->message, 0, stored, s);
	}
	if (rc) {
		s->state = SLOT_DESK;
		spool_message_abort(&d->message);
		return rc;
	}
	d->message = NULL;
	desk_free(d);
	return -EAGAIN;
}

static int step_open(struct import_desk *d)
{
	struct import *im = d->im;
	int rc;

	if (im->streaming && im->streaming != d)
		return -EAGAIN;
	rc = spool_message_begin(im->sp, desk_envelope(d), message_flags(d),
				 &d->message);
	if (rc)
		return rc;
	im->streaming = d;
	d->state = DESK_COPY;
	return parse_begin(d);
}

static int stage_write(struct import_desk *d)
{
	uint32_t left = d->staged - d->stage_written;
	int rc;

	if (left) {
		rc = spool_message_write(d->message,
					 d->stage + d->stage_written, left);
		if (rc)
			return rc;
	}
	d->staged = d->stage_written = 0;
	return 0;
}

static int step_copy(struct import_desk *d)
{
	uint64_t again;
	int rc = stage_write(d);

	if (rc)
		return rc;
	if (d->last) {
		d->state = DESK_FINISH;
		return 0;
	}
	rc = parse_step(d);
	if (rc == 1)
		return 0;
	if (!rc)
		rc = digest_take(d, &again);
	if (rc)
		return rc;
	if (again != d->digest && d->digest != 1)
		return err_set(&d->slot->error, -EBADMSG,
			       "%s: changed while it was read", d->slot->name);
	d->last = true;
	return 0;
}

static int step_finish(struct import_desk *d)
{
	struct import_slot *s = d->slot;
	int rc;

	s->state = SLOT_COMMIT;
	rc = spool_message_finish(&d->message, 0, stored, s);
	if (rc) {
		s->state = SLOT_DESK;
		return rc;
	}
	d->message = NULL;
	desk_free(d);
	return -EAGAIN;
}

static int step_wait(struct import_desk *d)
{
	(void)d;
	return -EAGAIN;
}

static int (*const desk_steps[])(struct import_desk *d) = {
	[DESK_FREE] = step_wait, [DESK_SCAN] = step_scan,
	[DESK_ASK] = step_ask,   [DESK_TWIN] = step_wait,
	[DESK_PUT] = step_put,   [DESK_OPEN] = step_open,
	[DESK_COPY] = step_copy, [DESK_FINISH] = step_finish,
};

void import_desk_run(struct import_desk *d)
{
	int rc = 0;

	while (!rc && !d->reading)
		rc = desk_steps[d->state](d);
	if (rc == -EAGAIN && d->state >= DESK_PUT)
		d->im->stats.again++;
	if (rc && rc != -EAGAIN)
		desk_refuse(d, rc);
}

void import_desk_start(struct import_desk *d, struct import_slot *s)
{
	int rc;

	sluice_assert(d->state == DESK_FREE && s->state == SLOT_READY);
	s->state = SLOT_DESK;
	d->slot = s;
	d->state = DESK_SCAN;
	d->whole = true;
	d->fresh = false;
	d->read_error = 0;
	d->buffer_at = 0;
	d->buffer_len = 0;
	d->src = (struct postfix_queue_source){
		.at = desk_at,
		.user = d,
		.size_bytes = s->size_bytes,
	};
	rc = parse_begin(d);
	if (rc)
		desk_refuse(d, rc);
	else
		import_desk_run(d);
}

void import_desk_twin_done(struct import_desk *d, uint64_t digest, uint64_t id)
{
	struct import_slot *s = d->slot;

	if (d->state != DESK_TWIN || d->digest != digest)
		return;
	if (!id) {
		d->state = DESK_ASK; /* the next step asks again */
		return;
	}
	desk_free(d);
	import_slot_done(s, IMPORT_KNOWN, id, NULL);
}

int import_desk_init(struct import_desk *d, struct import *im)
{
	d->im = im;
	d->read.done = read_done;
	d->read.user = d;
	d->buffer = malloc(IMPORT_READ_BYTES);
	d->stage = malloc(IMPORT_STAGE_BYTES);
	d->postfix = postfix_queue_create();
	d->hash = intake_digest_create();
	if (!d->buffer || !d->stage || !d->postfix || !d->hash)
		return -ENOMEM;
	return envelope_build_init(&d->scratch, ENVELOPE_TEXT_MAX);
}

void import_desk_fini(struct import_desk *d)
{
	free(d->buffer);
	free(d->stage);
	postfix_queue_destroy(&d->postfix);
	intake_digest_destroy(&d->hash);
	envelope_build_fini(&d->scratch);
}
