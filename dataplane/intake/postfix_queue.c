/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_queue.c - reads a Postfix queue file in two passes.
 *
 * First the envelope with everything that can be checked, then the content.
 * PURE; called by import (role worker) and by tests.
 * Bound: two walks over the file; ENVELOPE_TEXT_MAX of text.
 * In steps, so that the one who reads can wait for the disk or the spool.
 * Errors: see postfix_queue.h; the sentence starts with the queue id.
 */
#include "intake/postfix_queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "intake/postfix_priv.h"
#include "sluice/assert.h"
#include "spool/spool.h"

#define QUEUE_MAGIC    0x50667851u
#define QUEUE_NAME_MAX 64u
#define STEP_BYTES     65536u

struct postfix_queue *postfix_queue_create(void)
{
	struct postfix_queue *q = malloc(sizeof(*q));

	if (!q)
		return NULL;
	q->magic = QUEUE_MAGIC;
	if (envelope_build_init(&q->build, ENVELOPE_TEXT_MAX)) {
		free(q);
		return NULL;
	}
	return q;
}

void postfix_queue_destroy(struct postfix_queue **qp)
{
	struct postfix_queue *q = *qp;

	*qp = NULL;
	if (!q)
		return;
	MAGIC_CHECK(q, QUEUE_MAGIC);
	envelope_build_fini(&q->build);
	q->magic = 0;
	free(q);
}

/* Queue ids are short: letters and digits. */
static int name_check(const char *name, struct err *e)
{
	size_t n = strspn(name, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"abcdefghijklmnopqrstuvwxyz");

	if (n && n <= QUEUE_NAME_MAX && !name[n])
		return 0;
	return err_set(e, -EINVAL, "the file name is no Postfix queue id");
}

int postfix_queue_begin(struct postfix_queue *q,
			const struct postfix_queue_source *src,
			const char *name, bool normalise,
			const struct postfix_queue_ops *ops, void *user,
			struct err *e)
{
	int rc;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	sluice_assert(e && ops->envelope && ops->content);
	e->text[0] = '\0';
	rc = name_check(name, e);
	if (rc)
		return rc;
	envelope_build_reset(&q->build);
	content_out_init(&q->out, normalise, ops->content, user);
	postfix_walk_init(&q->walk, src, 0, e);
	q->ops = ops;
	q->user = user;
	q->name = name;
	q->e = e;
	q->phase = PHASE_FIRST;
	q->extracted = q->client_logged = false;
	q->seen = q->utf8_flags = q->rcpts_done = 0;
	q->content_at = q->extracted_at = q->end_at = 0;
	q->filter_at = q->verp_at = 0;
	q->redirect = (struct text){0};
	q->pending = (struct postfix_pending){0};
	return 0;
}

static int envelope_whole(struct postfix_queue *q)
{
	int rc = postfix_envelope_finish(q);

	if (rc)
		return rc;
	q->envelope_jumps = q->walk.jumps;
	postfix_walk_init(&q->walk, q->walk.src, q->content_at, q->e);
	q->phase = PHASE_CONTENT;
	return q->ops->envelope(q->user, &q->build.env);
}

/* Behind the end record lies what edits replaced or added, and only that. */
static int content_end(struct postfix_queue *q, const struct postfix_record *r)
{
	uint64_t size = q->walk.src->size_bytes;

	if (r->at != q->extracted_at)
		return err_set(q->e, -EBADMSG,
			       "offset %" PRIu64 ": content ends here, but the "
			       "size record says %" PRIu64,
			       r->at, q->extracted_at);
	if (q->end_at != size && !q->walk.jumps && !q->envelope_jumps)
		return err_set(q->e, -EBADMSG,
			       "offset %" PRIu64 ": %" PRIu64 " bytes after "
			       "the end record that nothing points to",
			       q->end_at, size - q->end_at);
	q->phase = PHASE_END;
	return content_out_finish(&q->out);
}

static int line_end(struct postfix_queue *q, uint8_t type)
{
	return type == POSTFIX_NORM ? content_out_line_end(&q->out) : 0;
}

static int content_line(struct postfix_queue *q, const struct postfix_record *r)
{
	int rc;

	if (!r->data) {
		q->line = *r;
		q->line_done = 0;
		q->phase = PHASE_LINE;
		return 0;
	}
	rc = content_out_text(&q->out, r->data, r->len);
	return rc ? rc : line_end(q, r->type);
}

static int content_record(struct postfix_queue *q)
{
	struct postfix_record r;
	char type[8];
	int rc = postfix_walk_next(&q->walk, &r);

	if (rc)
		return rc;
	switch (r.type) {
	case POSTFIX_NORM:
	case POSTFIX_CONT:
		return content_line(q, &r);
	case POSTFIX_PADDING:
		return 0;
	case POSTFIX_EXTRACTED:
		return content_end(q, &r);
	default:
		return err_set(q->e, -EPROTO,
			       "offset %" PRIu64 ": record type %s is not "
			       "known inside the content",
			       r.at, postfix_type_text(r.type, type));
	}
}

/* A line longer than the window comes in pieces. */
static int line_piece(struct postfix_queue *q)
{
	uint32_t n = q->line.len - q->line_done;
	const char *data;
	int rc;

	if (n > POSTFIX_QUEUE_AT_MAX)
		n = POSTFIX_QUEUE_AT_MAX;
	rc = postfix_walk_bytes(&q->walk, q->line.data_at + q->line_done, n,
				&data);
	if (!rc)
		rc = content_out_text(&q->out, data, n);
	if (rc)
		return rc;
	q->line_done += n;
	if (q->line_done < q->line.len)
		return 0;
	q->phase = PHASE_CONTENT;
	return line_end(q, q->line.type);
}

static int phase_step(struct postfix_queue *q)
{
	switch (q->phase) {
	case PHASE_WHOLE:
		return envelope_whole(q);
	case PHASE_CONTENT:
		return content_record(q);
	case PHASE_LINE:
		return line_piece(q);
	default:
		return postfix_envelope_step(q);
	}
}

static void info_fill(const struct postfix_queue *q,
		      struct postfix_queue_info *info)
{
	const struct envelope *env = &q->build.env;
	bool eight = env->body == BODY_8BITMIME;

	*info = (struct postfix_queue_info){
		.flags = q->out.flags | (eight ? SPOOL_BODY_8BITMIME : 0) |
			 (env->smtputf8 ? SPOOL_SMTPUTF8 : 0),
		.content_bytes = q->out.bytes,
		.rcpts_done = q->rcpts_done,
		.arrival_s = env->arrival_s,
	};
}

int postfix_queue_step(struct postfix_queue *q, struct postfix_queue_info *info)
{
	uint64_t enough;
	int rc = 0;

	MAGIC_CHECK(q, QUEUE_MAGIC);
	enough = q->out.bytes + STEP_BYTES;
	while (!rc && q->phase != PHASE_END && q->out.bytes < enough)
		rc = phase_step(q);
	if (rc == -EAGAIN)
		return rc;
	if (rc) {
		if (q->e->text[0])
			err_prefix(q->e, "%s", q->name);
		return rc;
	}
	if (q->phase != PHASE_END)
		return 1;
	info_fill(q, info);
	return 0;
}

const struct envelope *postfix_queue_envelope(const struct postfix_queue *q)
{
	MAGIC_CHECK(q, QUEUE_MAGIC);
	return &q->build.env;
}

int postfix_queue_read(const struct postfix_queue_source *src, const char *name,
		       const struct postfix_queue_ops *ops, void *user,
		       struct postfix_queue_info *info, struct err *e)
{
	struct postfix_queue *q = postfix_queue_create();
	struct err none;
	int rc;

	if (!q)
		return err_set(e, -ENOMEM, "out of memory");
	rc = postfix_queue_begin(q, src, name, false, ops, user, e ? e : &none);
	if (!rc)
		do
			rc = postfix_queue_step(q, info);
		while (rc == 1);
	postfix_queue_destroy(&q);
	return rc;
}
