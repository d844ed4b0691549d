/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_rcpts.c - addresses of an envelope, and what was asked for each.
 *
 * Options (ORCPT, NOTIFY, the original address) stand before their recipient,
 * also before one that is done; they are kept until it comes.
 * PURE; called by postfix_fields.c and postfix_attrs.c.
 * Bound: ENVELOPE_RCPTS_MAX. Errors: -EBADMSG, -E2BIG, -ENOMEM.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "intake/postfix_priv.h"
#include "intake/xtext.h"
#include "sluice/domain.h"

#define NOTIFY_ALL (NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY)

/* `r` says something that cannot be right. */
int postfix_field_bad(struct postfix_queue *q, const struct postfix_record *r,
		      const char *what)
{
	char type[8];

	return err_set(q->e, -EBADMSG, "offset %" PRIu64 ": record %s %s",
		       r->at, postfix_type_text(r->type, type), what);
}

int postfix_field_build(struct postfix_queue *q, const struct postfix_record *r,
			int rc)
{
	if (rc == -E2BIG)
		return err_set(q->e, rc,
			       "offset %" PRIu64 ": more than %u recipients, "
			       "or more text than an envelope may have",
			       r->at, ENVELOPE_RCPTS_MAX);
	return rc ? err_set(q->e, rc, "offset %" PRIu64 ": %s", r->at,
			    err_name(rc))
		  : 0;
}

int postfix_field_address(struct postfix_queue *q,
			  const struct postfix_record *r,
			  enum postfix_address_kind kind, struct text *out)
{
	const char *why;
	int rc = postfix_address(&q->build, kind, r->data, r->len, out, &why);

	if (rc == -EINVAL)
		return err_set(q->e, -EBADMSG,
			       "offset %" PRIu64 ": the address \"%.*s\" %s",
			       r->at, r->len < 200 ? (int)r->len : 200, r->data,
			       why);
	return postfix_field_build(q, r, rc);
}

static void pending_note(struct postfix_queue *q,
			 const struct postfix_record *r)
{
	if (!q->pending.at)
		q->pending.at = r->at;
}

int postfix_field_original(struct postfix_queue *q,
			   const struct postfix_record *r)
{
	if (q->pending.original.data)
		return postfix_field_bad(
			q, r,
			"(original recipient) stands twice for "
			"one recipient");
	pending_note(q, r);
	return postfix_field_build(q, r,
				   envelope_build_text(&q->build, r->data,
						       r->len,
						       &q->pending.original));
}

int postfix_field_orcpt(struct postfix_queue *q, const struct postfix_record *r)
{
	int rc;

	if (q->pending.orcpt.data)
		return postfix_field_bad(q, r,
					 "(ORCPT) stands twice for one "
					 "recipient");
	pending_note(q, r);
	rc = xtext_orcpt(&q->build, r->data, r->len, &q->pending.orcpt);
	if (rc == -EINVAL)
		return postfix_field_bad(q, r,
					 "(ORCPT) is no \"type;address\"");
	return postfix_field_build(q, r, rc);
}

int postfix_field_notify(struct postfix_queue *q,
			 const struct postfix_record *r)
{
	uint64_t n;
	uint32_t used;

	if (!postfix_number(r->data, r->len, &n, &used) || used != r->len ||
	    !n || (n != NOTIFY_NEVER && (n & ~(uint64_t)NOTIFY_ALL)))
		return postfix_field_bad(
			q, r, "(NOTIFY) has flags that are not known");
	if (q->pending.notify)
		return postfix_field_bad(q, r,
					 "(NOTIFY) stands twice for one "
					 "recipient");
	pending_note(q, r);
	q->pending.notify = (uint8_t)n;
	return 0;
}

static bool text_equal(struct text a, const char *data, uint32_t len)
{
	return a.len == len && !memcmp(a.data, data, len);
}

/* Without ORCPT, an alias that Postfix expanded keeps the address the sender
 * wrote, so that bounces name it. One that cannot be written is left out. */
static int orcpt_from_original(struct postfix_queue *q,
			       const struct postfix_record *r, struct text *out)
{
	struct text original = q->pending.original, quoted;
	char typed[MAIL_ADDRESS_BYTES + 8];
	const char *why;
	int n;

	if (!original.len || text_equal(original, r->data, r->len) ||
	    postfix_address(&q->build, POSTFIX_SENDER, original.data,
			    original.len, &quoted, &why))
		return 0;
	n = snprintf(typed, sizeof(typed), "%s;%.*s",
		     content_has_8bit(quoted.data, quoted.len) ? "utf-8"
							       : "rfc822",
		     (int)quoted.len, quoted.data);
	n = xtext_orcpt(&q->build, typed, (size_t)n, out);
	return n == -EINVAL ? 0 : postfix_field_build(q, r, n);
}

int postfix_field_rcpt(struct postfix_queue *q, const struct postfix_record *r)
{
	struct envelope_rcpt rcpt = {
		.orcpt = q->pending.orcpt,
		.notify = q->pending.notify,
	};
	int rc;

	if (!(q->seen & SEEN_FROM))
		return postfix_field_bad(
			q, r, "(recipient) stands before the sender");
	if (!r->len)
		return postfix_field_bad(q, r, "(recipient) is empty");
	rc = postfix_field_address(q, r, POSTFIX_RECIPIENT, &rcpt.address);
	if (!rc && !rcpt.orcpt.len)
		rc = orcpt_from_original(q, r, &rcpt.orcpt);
	if (!rc)
		rc = postfix_field_build(q, r,
					 envelope_build_rcpt(&q->build, &rcpt));
	q->pending = (struct postfix_pending){0};
	return rc;
}

int postfix_field_done(struct postfix_queue *q, const struct postfix_record *r)
{
	(void)r;
	q->rcpts_done++;
	q->pending = (struct postfix_pending){0};
	return 0;
}

int postfix_field_redirect(struct postfix_queue *q,
			   const struct postfix_record *r)
{
	q->seen |= SEEN_REDIRECT;
	return postfix_field_address(q, r, POSTFIX_RECIPIENT, &q->redirect);
}
