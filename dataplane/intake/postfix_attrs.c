/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_attrs.c - named attributes: Postfix's way to extend the format.
 *
 * Names that do not change whom mail goes to or how are passed over, as
 * Postfix itself does.
 * PURE; called by postfix_fields.c. Bound: one record.
 * Errors: -EBADMSG, -EOPNOTSUPP; as envelope_build.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "intake/postfix_priv.h"
#include "intake/xtext.h"

#define PROBE_FLAGS (1u << 8 | 1u << 9) /* of Postfix, of a user */

static bool text_is(const struct postfix_record *r, const char *word)
{
	return r->len == strlen(word) && !memcmp(r->data, word, r->len);
}

int postfix_field_envid(struct postfix_queue *q, const struct postfix_record *r)
{
	/* A later one overrides, as in Postfix: milters may change it. */
	return postfix_field_build(
		q, r,
		xtext_encode(&q->build, r->data, r->len, &q->build.env.envid));
}

int postfix_field_ret(struct postfix_queue *q, const struct postfix_record *r)
{
	if (r->len != 1 || (r->data[0] != '1' && r->data[0] != '2'))
		return postfix_field_bad(q, r,
					 "(RET) is neither full nor headers");
	q->build.env.ret = r->data[0] == '1' ? RET_FULL : RET_HDRS;
	return 0;
}

static int field_encoding(struct postfix_queue *q,
			  const struct postfix_record *r)
{
	if (text_is(r, "8bit"))
		q->build.env.body = BODY_8BITMIME;
	else if (text_is(r, "7bit"))
		q->build.env.body = BODY_7BIT;
	else
		return postfix_field_bad(q, r,
					 "(encoding) is neither 7bit nor 8bit");
	return 0;
}

static bool text_known(const struct postfix_record *r)
{
	return r->len && !text_is(r, "unknown") && r->data[0] != '[';
}

static int field_log_client(struct postfix_queue *q,
			    const struct postfix_record *r)
{
	q->client_logged = true;
	if (!text_known(r)) {
		q->build.env.client = (struct text){0};
		return 0;
	}
	return postfix_field_build(q, r,
				   envelope_build_text(&q->build, r->data,
						       r->len,
						       &q->build.env.client));
}

static int field_client(struct postfix_queue *q, const struct postfix_record *r)
{
	if (q->client_logged || !text_known(r))
		return 0;
	return postfix_field_build(q, r,
				   envelope_build_text(&q->build, r->data,
						       r->len,
						       &q->build.env.client));
}

static int field_account(struct postfix_queue *q,
			 const struct postfix_record *r)
{
	if (q->build.env.account.len)
		return 0;
	return postfix_field_build(q, r,
				   envelope_build_text(&q->build, r->data,
						       r->len,
						       &q->build.env.account));
}

static int field_trace(struct postfix_queue *q, const struct postfix_record *r)
{
	uint64_t flags;
	uint32_t used;

	if (!postfix_number(r->data, r->len, &flags, &used) || used != r->len)
		return postfix_field_bad(q, r, "(trace_flags) is no number");
	if (flags & PROBE_FLAGS)
		return err_set(q->e, -EOPNOTSUPP,
			       "offset %" PRIu64 ": this is an address probe "
			       "(sendmail -bv), not mail: Postfix never "
			       "delivers it",
			       r->at);
	return 0;
}

static const struct {
	const char *name;
	int (*field)(struct postfix_queue *q, const struct postfix_record *r);
} attributes[] = {
	{"encoding", field_encoding},
	{"log_client_address", field_log_client},
	{"client_address", field_client},
	{"sasl_username", field_account},
	{"trace_flags", field_trace},
	{"dsn_orig_rcpt", postfix_field_orcpt},
	{"notify_flags", postfix_field_notify},
	{"envelope_id", postfix_field_envid},
	{"ret_flags", postfix_field_ret},
};

/* "name=value", blanks around both dropped. */
int postfix_field_attr(struct postfix_queue *q, const struct postfix_record *r)
{
	const char *eq = memchr(r->data, '=', r->len);
	struct postfix_record value = *r;
	uint32_t name;

	if (!eq || eq == r->data)
		return postfix_field_bad(q, r, "is no \"name=value\"");
	name = (uint32_t)(eq - r->data);
	value.data = eq + 1;
	value.len = r->len - name - 1;
	while (name && r->data[name - 1] == ' ')
		name--;
	while (value.len && value.data[0] == ' ') {
		value.data++;
		value.len--;
	}
	while (value.len && value.data[value.len - 1] == ' ')
		value.len--;
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (strlen(attributes[i].name) == name &&
		    !memcmp(attributes[i].name, r->data, name))
			return attributes[i].field(q, &value);
	return 0;
}
