/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_fields.c - what each record of an envelope means for us.
 *
 * One row per record type: where it may stand, and what is done with it. A
 * type that is in no row, or stands where its row does not allow it, is
 * refused.
 * PURE; called by postfix_envelope.c.
 * Bound: one record. Errors: -EBADMSG, -EPROTO; as envelope_build.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "intake/postfix_priv.h"

#define UTF8_ALL       15u
#define QMGR_FLAGS_ALL 31u /* mixed recipients, NOTIFY bits << 1 */

/* "size content-offset recipients qmgr-flags content-length utf8-flags"; the
 * last three came with later releases. */
int postfix_field_size(struct postfix_queue *q, const struct postfix_record *r)
{
	uint64_t n[6] = {0};
	uint32_t count = 0, used, at = 0;

	while (count < 6 && at < r->len &&
	       postfix_number(r->data + at, r->len - at, &n[count], &used)) {
		at += used;
		count++;
	}
	if (at != r->len || count < 3)
		return postfix_field_bad(q, r,
					 "is no size record of Postfix 2 or 3");
	if (!n[0] || !n[1])
		return postfix_field_bad(
			q, r, "says that Postfix never finished this file");
	if (n[3] & ~(uint64_t)QMGR_FLAGS_ALL)
		return postfix_field_bad(q, r,
					 "has queue manager flags that are "
					 "not known");
	if (n[5] & ~(uint64_t)UTF8_ALL)
		return postfix_field_bad(
			q, r,
			"asks for more than SMTPUTF8 (REQUIRETLS?): "
			"not known");
	if (n[1] >= q->walk.src->size_bytes ||
	    n[0] >= q->walk.src->size_bytes - n[1])
		return postfix_field_bad(q, r,
					 "places content past the end of the "
					 "file: it is torn");
	q->content_at = n[1];
	q->extracted_at = n[1] + n[0];
	q->utf8_flags = (uint32_t)n[5];
	q->seen |= SEEN_SIZE;
	return 0;
}

static int field_size_again(struct postfix_queue *q,
			    const struct postfix_record *r)
{
	return postfix_field_bad(q, r, "(size) stands twice");
}

/* "seconds microseconds"; old ones have seconds only. */
static int field_time(struct postfix_queue *q, const struct postfix_record *r)
{
	uint64_t s;
	uint32_t used;

	if (!postfix_number(r->data, r->len, &s, &used) || s > UINT32_MAX || !s)
		return postfix_field_bad(q, r, "(arrival time) is no time");
	/* The first one counts, as in Postfix. */
	if (!(q->seen & SEEN_TIME))
		q->build.env.arrival_s = (uint32_t)s;
	q->seen |= SEEN_TIME;
	return 0;
}

static int field_from(struct postfix_queue *q, const struct postfix_record *r)
{
	if (q->seen & SEEN_FROM)
		return postfix_field_bad(q, r, "(sender) stands twice");
	q->seen |= SEEN_FROM;
	if (!r->len)
		return 0;
	return postfix_field_address(q, r, POSTFIX_SENDER,
				     &q->build.env.sender);
}

static int field_filter(struct postfix_queue *q, const struct postfix_record *r)
{
	q->filter_at = r->at;
	return 0;
}

static int field_verp(struct postfix_queue *q, const struct postfix_record *r)
{
	q->verp_at = r->at;
	return 0;
}

static int field_pass(struct postfix_queue *q, const struct postfix_record *r)
{
	(void)q;
	(void)r;
	return 0;
}

#define BEFORE 1u /* the content */
#define AFTER  2u

static const struct {
	uint8_t type;
	uint8_t where;
	int (*field)(struct postfix_queue *q, const struct postfix_record *r);
} fields[] = {
	{POSTFIX_RCPT, BEFORE | AFTER, postfix_field_rcpt},
	{POSTFIX_ATTR, BEFORE | AFTER, postfix_field_attr},
	{POSTFIX_ORIG_RCPT, BEFORE | AFTER, postfix_field_original},
	{POSTFIX_DONE, BEFORE | AFTER, postfix_field_done},
	{POSTFIX_CANCELLED, BEFORE | AFTER, postfix_field_done},
	{POSTFIX_DSN_ORCPT, BEFORE | AFTER, postfix_field_orcpt},
	{POSTFIX_DSN_NOTIFY, BEFORE | AFTER, postfix_field_notify},
	{POSTFIX_SIZE, BEFORE, field_size_again},
	{POSTFIX_TIME, BEFORE, field_time},
	{POSTFIX_CTIME, BEFORE, field_pass}, /* counts a lifetime of its own */
	{POSTFIX_FROM, BEFORE, field_from},
	{POSTFIX_WARN, BEFORE, field_pass},
	{POSTFIX_DSN_RET, BEFORE, postfix_field_ret},
	{POSTFIX_DSN_ENVID, BEFORE, postfix_field_envid},
	{POSTFIX_VERP, BEFORE, field_verp},
	{POSTFIX_FULL_NAME, BEFORE | AFTER, field_pass},
	{POSTFIX_INSPECT, BEFORE | AFTER, field_pass}, /* Postfix ignores it */
	{POSTFIX_FILTER, BEFORE | AFTER, field_filter},
	{POSTFIX_REDIRECT, BEFORE | AFTER, postfix_field_redirect},
	{POSTFIX_KILLED, BEFORE | AFTER, field_pass}, /* was overwritten */
	{POSTFIX_PRIORITY, AFTER, field_pass},
	{POSTFIX_RETURN_RECEIPT, AFTER, field_pass},
	{POSTFIX_ERRORS_TO, AFTER, field_pass},
};

static int field_unknown(struct postfix_queue *q,
			 const struct postfix_record *r)
{
	char type[8];
	const char *t = postfix_type_text(r->type, type);

	if (r->type && strchr("fdm", r->type))
		return err_set(q->e, -EPROTO,
			       "offset %" PRIu64 ": record %s belongs to talk "
			       "between Postfix daemons, not into a queue file",
			       r->at, t);
	return err_set(q->e, -EPROTO,
		       "offset %" PRIu64 ": record type %s is not known %s the "
		       "content",
		       r->at, t, q->extracted ? "after" : "before");
}

int postfix_field(struct postfix_queue *q, const struct postfix_record *r)
{
	uint8_t where = q->extracted ? AFTER : BEFORE;

	if (r->len > POSTFIX_ENVELOPE_RECORD_MAX)
		return postfix_field_bad(q, r,
					 "is longer than envelope records are");
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (fields[i].type == r->type && (fields[i].where & where))
			return fields[i].field(q, r);
	return field_unknown(q, r);
}
