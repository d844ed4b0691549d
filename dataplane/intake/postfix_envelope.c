/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_envelope.c - the order of a queue file, content left out.
 *
 * Size record; envelope; message record, right before the content; content,
 * skipped; extracted record where the size record puts it; envelope again; end
 * record. Then the rules that need the whole envelope.
 * PURE; called by postfix_queue.c. Bound: one walk over the file.
 * Errors: as postfix_queue_read().
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "intake/postfix_priv.h"
#include "sluice/assert.h"
#include "spool/spool.h"

#define UTF8_REQUESTED 1u

/* What `mail` and other programs leave in maildrop starts like this. */
static const char maildrop_first[] = "TAFSRVin";

/* A foreign file fails here in odd ways: few sentences for all of them. */
static int first_record(struct postfix_queue *q)
{
	struct postfix_record r = {0};
	char type[8];
	int rc = postfix_walk_next(&q->walk, &r);

	if (rc == -EAGAIN)
		return rc;
	if (!rc && r.at == 0 && r.type == POSTFIX_SIZE && r.data &&
	    r.len <= POSTFIX_ENVELOPE_RECORD_MAX) {
		q->phase = PHASE_BEFORE;
		return postfix_field_size(q, &r);
	}
	if (!rc && r.at == 0 && r.type && strchr(maildrop_first, r.type))
		return err_set(q->e, -EPROTO,
			       "offset 0: record %s without a size record "
			       "before it: a maildrop file, which Postfix has "
			       "not accepted yet; start Postfix so that "
			       "pickup takes it in, then import it",
			       postfix_type_text(r.type, type));
	if (rc && rc != -EBADMSG)
		return rc;
	return err_set(q->e, -EPROTO,
		       "offset 0: no size record: not a Postfix queue file");
}

/* The message record ends where content starts; the walk goes on behind it. */
static int content_skip(struct postfix_queue *q, const struct postfix_record *m)
{
	if (m->len || q->walk.at != q->content_at)
		return err_set(q->e, -EBADMSG,
			       "offset %" PRIu64 ": content starts here, but "
			       "the size record says %" PRIu64,
			       m->at, q->content_at);
	q->walk.at = q->extracted_at;
	q->phase = PHASE_SKIPPED;
	return 0;
}

static int extracted_record(struct postfix_queue *q)
{
	struct postfix_record r;
	int rc = postfix_walk_next(&q->walk, &r);

	if (rc)
		return rc;
	if (r.type != POSTFIX_EXTRACTED || r.len || r.at != q->extracted_at)
		return err_set(q->e, -EBADMSG,
			       "offset %" PRIu64 ": the record after the "
			       "content is missing: torn or corrupted",
			       q->extracted_at);
	q->extracted = true;
	q->phase = PHASE_AFTER;
	return 0;
}

static int end_record(struct postfix_queue *q, const struct postfix_record *r)
{
	if (r->len)
		return err_set(q->e, -EBADMSG,
			       "offset %" PRIu64 ": the end record is not "
			       "empty",
			       r->at);
	if (q->pending.at)
		return err_set(q->e, -EBADMSG,
			       "offset %" PRIu64 ": options for a recipient, "
			       "but no recipient follows",
			       q->pending.at);
	q->end_at = q->walk.at;
	q->phase = PHASE_WHOLE;
	return 0;
}

int postfix_envelope_step(struct postfix_queue *q)
{
	struct postfix_record r;
	int rc;

	if (q->phase == PHASE_FIRST)
		return first_record(q);
	if (q->phase == PHASE_SKIPPED)
		return extracted_record(q);
	rc = postfix_walk_next(&q->walk, &r);
	if (rc)
		return rc;
	if (r.type == POSTFIX_MESSAGE && q->phase == PHASE_BEFORE)
		return content_skip(q, &r);
	if (r.type == POSTFIX_END && q->phase == PHASE_AFTER)
		return end_record(q, &r);
	return postfix_field(q, &r);
}

/* REDIRECT sends the message to one address instead of all. */
static void redirect_apply(struct postfix_queue *q)
{
	if (!(q->seen & SEEN_REDIRECT) || !q->build.env.rcpt_count)
		return;
	q->build.rcpts[0] = (struct envelope_rcpt){.address = q->redirect};
	q->build.env.rcpt_count = 1;
}

static bool utf8_needed(const struct postfix_queue *q)
{
	const struct envelope *env = &q->build.env;

	/* Header or sender; Postfix fails such mail where SMTPUTF8 is not
	 * offered only if the sender had asked for SMTPUTF8. */
	if ((q->utf8_flags & UTF8_REQUESTED) &&
	    (q->utf8_flags & ~UTF8_REQUESTED))
		return true;
	if (content_has_8bit(env->sender.data, env->sender.len))
		return true;
	for (uint32_t i = 0; i < env->rcpt_count; i++)
		if (content_has_8bit(env->rcpts[i].address.data,
				     env->rcpts[i].address.len))
			return true;
	return false;
}

static int whole_check(struct postfix_queue *q)
{
	if (!(q->seen & SEEN_TIME))
		return err_set(q->e, -EBADMSG,
			       "no arrival time before offset %" PRIu64,
			       q->walk.at);
	if (!(q->seen & SEEN_FROM))
		return err_set(q->e, -EBADMSG,
			       "no sender before offset %" PRIu64, q->walk.at);
	if (!q->build.env.rcpt_count)
		return err_set(q->e, -ENODATA,
			       "nothing left to deliver: %u recipients, all "
			       "done",
			       q->rcpts_done);
	if (q->filter_at)
		return err_set(q->e, -EOPNOTSUPP,
			       "offset %" PRIu64 ": waits for a content "
			       "filter, which delivery from here would leave "
			       "out: let Postfix pass it through the filter",
			       q->filter_at);
	if (q->verp_at && q->build.env.sender.len)
		return err_set(q->e, -EOPNOTSUPP,
			       "offset %" PRIu64 ": asks for a sender of its "
			       "own for each recipient (VERP), which cannot be "
			       "carried over",
			       q->verp_at);
	return 0;
}

int postfix_envelope_finish(struct postfix_queue *q)
{
	int rc = whole_check(q);

	if (rc)
		return rc;
	sluice_assert(q->extracted && q->seen & SEEN_SIZE);
	redirect_apply(q);
	q->build.env.smtputf8 = utf8_needed(q);
	q->build.env.origin = (struct text){
		.data = q->name,
		.len = (uint32_t)strlen(q->name),
	};
	return 0;
}
