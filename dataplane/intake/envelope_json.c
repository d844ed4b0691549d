/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope_json.c - checks what an operator's tool says of an envelope.
 *
 * Called by the command socket's import verb; any thread.
 * Bound: ENVELOPE_RCPTS_MAX recipients. Errors: -EINVAL with a sentence.
 */
#include "intake/envelope_json.h"

#include <errno.h>
#include <string.h>

#include "intake/envelope_json_priv.h"
#include "sluice/addr.h"
#include "sluice/domain.h"
#include "smtp/address.h"

#define ACCOUNT_BYTES_MAX 1024u

static const char *const keys[] = {"sender", "recipients", "arrival", "account",
				   "client", "envid",      "ret",     "body",
				   "origin", "smtputf8",   NULL};
static const char *const rcpt_keys[] = {"address", "orcpt", "notify", NULL};

static int keys_check(const json_t *object, const char *const *known,
		      struct err *e)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (!known[i])
			return err_set(e, -EINVAL,
				       "envelope: unknown key \"%.100s\"", key);
	}
	return 0;
}

static int mailbox_check(const json_t *v, const char *what, size_t number,
			 struct smtp_mailbox *m, struct err *e)
{
	const char *why = "is no address";
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);

	if (!json_is_string(v))
		return err_set(e, -EINVAL, "envelope: %s %zu is no string",
			       what, number);
	if (len >= MAIL_ADDRESS_BYTES)
		return err_set(e, -EINVAL, "envelope: %s %zu is too long", what,
			       number);
	if (memchr(s, 0, len))
		return err_set(e, -EINVAL, "envelope: %s %zu holds a NUL", what,
			       number);
	if (smtp_mailbox_parse(s, len, m, &why))
		return err_set(e, -EINVAL, "envelope: %s %zu \"%.200s\": %s",
			       what, number, s, why);
	if (!m->domain.len)
		return err_set(e, -EINVAL,
			       "envelope: %s %zu \"%.200s\": has no domain",
			       what, number, s);
	return 0;
}

static int sender_fill(const json_t *v, struct envelope_build *b, struct err *e)
{
	struct smtp_mailbox m = {0};
	int rc;

	if (!v)
		return err_set(e, -EINVAL, "envelope: \"sender\" is missing");
	if (json_is_string(v) && !json_string_length(v))
		return 0;
	rc = mailbox_check(v, "sender", 1, &m, e);
	if (rc)
		return rc;
	if (m.utf8)
		b->env.smtputf8 = 1;
	return envelope_build_text(b, m.whole.data, m.whole.len,
				   &b->env.sender);
}

static int rcpt_fill(const json_t *v, size_t number, struct envelope_build *b,
		     struct err *e)
{
	const json_t *address =
		json_is_object(v) ? json_object_get(v, "address") : v;
	struct envelope_rcpt r = {0};
	struct smtp_mailbox m = {0};
	int rc = json_is_object(v) ? keys_check(v, rcpt_keys, e) : 0;

	if (!rc)
		rc = mailbox_check(address, "recipient", number, &m, e);
	if (!rc && json_is_object(v))
		rc = envelope_rcpt_dsn(v, number, b, &r, e);
	if (rc)
		return rc;
	rc = envelope_build_address(b, &m.local, &m.domain, &r.address);
	if (rc == -EINVAL)
		return err_set(e, rc,
			       "envelope: recipient %zu \"%.200s\": its domain "
			       "is no domain name",
			       number, json_string_value(address));
	if (rc)
		return rc;
	if (!smtp_is_ascii(m.local.data, m.local.len))
		b->env.smtputf8 = 1;
	return envelope_build_rcpt(b, &r);
}

static int rcpts_fill(const json_t *v, struct envelope_build *b, struct err *e)
{
	size_t n = json_array_size(v);
	int rc = 0;

	if (!json_is_array(v) || !n)
		return err_set(e, -EINVAL,
			       "envelope: \"recipients\" must be a list of one "
			       "address or more");
	if (n > ENVELOPE_RCPTS_MAX)
		return err_set(e, -EINVAL,
			       "envelope: %zu recipients, at most %u", n,
			       ENVELOPE_RCPTS_MAX);
	for (size_t i = 0; i < n && !rc; i++)
		rc = rcpt_fill(json_array_get(v, i), i + 1, b, e);
	return rc;
}

static int arrival_fill(const json_t *v, uint32_t now_s,
			struct envelope_build *b, struct err *e)
{
	b->env.arrival_s = now_s;
	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) <= 0 ||
	    json_integer_value(v) > UINT32_MAX)
		return err_set(e, -EINVAL,
			       "envelope: \"arrival\" must be seconds since "
			       "1970");
	b->env.arrival_s = (uint32_t)json_integer_value(v);
	return 0;
}

static int account_fill(const json_t *v, struct envelope_build *b,
			struct err *e)
{
	size_t len = json_string_length(v);
	const char *s = json_string_value(v);

	if (!v)
		return 0;
	if (!json_is_string(v) || len > ACCOUNT_BYTES_MAX)
		return err_set(e, -EINVAL,
			       "envelope: \"account\" must be a string of at "
			       "most %u bytes",
			       ACCOUNT_BYTES_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 32 || s[i] == 127)
			return err_set(e, -EINVAL,
				       "envelope: \"account\" holds a control "
				       "character");
	return envelope_build_text(b, s, len, &b->env.account);
}

static int client_fill(const json_t *v, struct envelope_build *b, struct err *e)
{
	struct addr a;

	if (!v)
		return 0;
	if (!json_is_string(v) || addr_parse(json_string_value(v), 0, &a))
		return err_set(e, -EINVAL,
			       "envelope: \"client\" must be an IP address");
	return envelope_build_text(b, json_string_value(v),
				   json_string_length(v), &b->env.client);
}

int envelope_from_json(const json_t *object, uint32_t now_s,
		       struct envelope_build *b, struct err *e)
{
	int rc;

	envelope_build_reset(b);
	if (!json_is_object(object))
		return err_set(e, -EINVAL, "\"envelope\" must be an object");
	rc = keys_check(object, keys, e);
	if (!rc)
		rc = sender_fill(json_object_get(object, "sender"), b, e);
	if (!rc)
		rc = rcpts_fill(json_object_get(object, "recipients"), b, e);
	if (!rc)
		rc = arrival_fill(json_object_get(object, "arrival"), now_s, b,
				  e);
	if (!rc)
		rc = account_fill(json_object_get(object, "account"), b, e);
	if (!rc)
		rc = client_fill(json_object_get(object, "client"), b, e);
	if (!rc)
		rc = envelope_options(object, b, e);
	return rc;
}
