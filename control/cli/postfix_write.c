/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_write.c - envelope and content as queue file records.
 *
 * Called by export_postfix.c. Bound: one buffer and one line's piece; content
 * streams. Errors: the sink's; -EINVAL for text that no record can hold.
 *
 * What we store as SMTP writes it, Postfix keeps decoded: addresses lie without
 * quotes, ENVID and ORCPT without xtext. What the reader of intake/ makes of a
 * file is the envelope and content that were put in (tests/unit/cli).
 */
#include "postfix_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "postfix_decode.h"

#define RECORD_BYTES_MAX 70000u /* the longest text an envelope holds */

static int flush(struct postfix_write *w)
{
	int rc = w->used > 0 ? w->sink(w->user, w->buf, w->used) : 0;

	w->used = 0;
	return rc;
}

static int put(struct postfix_write *w, const void *data, size_t len)
{
	const uint8_t *from = data;
	int rc = 0;

	w->at += len;
	while (len > 0 && rc == 0) {
		size_t n = sizeof(w->buf) - w->used;

		n = n < len ? n : len;
		memcpy(w->buf + w->used, from, n);
		w->used += (uint32_t)n;
		from += n;
		len -= n;
		if (w->used == sizeof(w->buf))
			rc = flush(w);
	}
	return rc;
}

/* Type; length in groups of seven bits, the least first; the payload. */
static int record(struct postfix_write *w, char type, const void *data,
		  size_t len)
{
	uint8_t head[6] = {(uint8_t)type};
	size_t n = 1, left = len;
	int rc;

	do {
		head[n] = (uint8_t)(left & 0x7f);
		left >>= 7;
		if (left > 0)
			head[n] |= 0x80;
		n++;
	} while (left > 0);
	rc = put(w, head, n);
	return rc == 0 ? put(w, data, len) : rc;
}

static int attribute(struct postfix_write *w, const char *name,
		     const char *value, size_t len)
{
	char text[RECORD_BYTES_MAX];
	size_t n = strlen(name);

	if (n + 1 + len > sizeof(text))
		return -EINVAL;
	memcpy(text, name, n);
	text[n] = '=';
	if (len > 0)
		memcpy(text + n + 1, value, len);
	return record(w, 'A', text, n + 1 + len);
}

/* Blanks at the ends of an attribute's value are dropped by those who read it;
 * there are record types of their own for these two. */
static int attribute_or(struct postfix_write *w, const char *name, char type,
			const char *value, size_t len)
{
	if (len > 0 && (value[0] == ' ' || value[len - 1] == ' '))
		return record(w, type, value, len);
	return attribute(w, name, value, len);
}

static int attribute_number(struct postfix_write *w, const char *name,
			    uint64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

	return attribute(w, name, text, (size_t)n);
}

static bool has_8bit(const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		if (p[i] & 0x80)
			return true;
	return false;
}

/* "type;address", decoded. */
static int orcpt(struct postfix_write *w, struct text t)
{
	char text[RECORD_BYTES_MAX];
	const char *semi = memchr(t.data, ';', t.len);
	size_t head = semi != NULL ? (size_t)(semi - t.data) + 1 : 0, n;

	if (head == 0 || t.len > sizeof(text))
		return -EINVAL;
	memcpy(text, t.data, head);
	if (head == 6 && strncasecmp(t.data, "utf-8;", 6) == 0)
		n = postfix_utf8_decode(t.data + head, t.len - head,
					text + head);
	else
		n = postfix_xtext_decode(t.data + head, t.len - head,
					 text + head);
	return attribute_or(w, "dsn_orig_rcpt", 'o', text, head + n);
}

static int rcpt(struct postfix_write *w, const struct envelope_rcpt *r)
{
	char address[2048];
	long n = postfix_unquote(r->address, address, sizeof(address));
	int rc = n > 0 ? 0 : -EINVAL;

	w->notify |= r->notify;
	w->rcpt_count++;
	w->utf8_address |= has_8bit(r->address.data, r->address.len);
	if (rc == 0 && r->notify != 0)
		rc = attribute_number(w, "notify_flags", r->notify);
	if (rc == 0 && r->orcpt.len > 0)
		rc = orcpt(w, r->orcpt);
	if (rc == 0)
		rc = record(w, 'O', address, (size_t)n);
	return rc == 0 ? record(w, 'R', address, (size_t)n) : rc;
}

static int size_record(struct postfix_write *w, uint64_t bytes,
		       uint8_t out[POSTFIX_SIZE_BYTES])
{
	/* SMTPUTF8 asked for, used in the header, in the sender, in a
	 * recipient. Needed for no reason to be seen: the header's. */
	uint32_t utf8 = !w->utf8                             ? 0
			: w->utf8_address && !w->utf8_header ? 1 | 4 | 8
							     : 1 | 2;
	char text[POSTFIX_SIZE_BYTES];
	int n = snprintf(
		text, sizeof(text), "%15llu %15llu %15u %15u %15llu %15u",
		(unsigned long long)bytes, (unsigned long long)w->content_at,
		w->rcpt_count, w->notify << 1, (unsigned long long)bytes, utf8);

	if (n != (int)POSTFIX_SIZE_BYTES - 2)
		return -EINVAL;
	out[0] = 'C';
	out[1] = (uint8_t)n;
	memcpy(out + 2, text, (size_t)n);
	return 0;
}

static int arrival(struct postfix_write *w, const struct envelope *env,
		   uint64_t now_s)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%u 0", env->arrival_s);
	int rc = record(w, 'T', text, (size_t)n);

	if (rc == 0)
		rc = attribute_number(w, "create_time", now_s);
	return rc == 0 ? attribute(w, "rewrite_context", "local", 5) : rc;
}

static int client(struct postfix_write *w, const struct envelope *env)
{
	static const char *const unnamed[] = {"log_client_name", "client_name",
					      "reverse_client_name"};
	int rc = 0;

	if (env->client.len == 0)
		return 0;
	for (size_t i = 0; i < 3 && rc == 0; i++)
		rc = attribute(w, unnamed[i], "unknown", 7);
	if (rc == 0)
		rc = attribute(w, "log_client_address", env->client.data,
			       env->client.len);
	return rc == 0 ? attribute(w, "client_address", env->client.data,
				   env->client.len)
		       : rc;
}

static int sender(struct postfix_write *w, const struct envelope *env)
{
	char text[RECORD_BYTES_MAX];
	long n = postfix_unquote(env->sender, text, sizeof(text));
	int rc = n >= 0 ? 0 : -EINVAL;

	w->utf8_address |= has_8bit(env->sender.data, env->sender.len);
	if (rc == 0)
		rc = record(w, 'S', text, (size_t)n);
	if (rc == 0 && env->body != BODY_UNKNOWN)
		rc = attribute(w, "encoding",
			       env->body == BODY_8BITMIME ? "8bit" : "7bit", 4);
	return rc;
}

static int options(struct postfix_write *w, const struct envelope *env)
{
	char text[RECORD_BYTES_MAX];
	int rc = 0;

	if (env->account.len > 0)
		rc = attribute(w, "sasl_username", env->account.data,
			       env->account.len);
	if (rc == 0 && env->envid.len > sizeof(text))
		rc = -EINVAL;
	if (rc == 0 && env->envid.len > 0)
		rc = attribute_or(w, "envelope_id", 'i', text,
				  postfix_xtext_decode(env->envid.data,
						       env->envid.len, text));
	if (rc == 0 && env->ret != RET_UNKNOWN)
		rc = attribute_number(w, "ret_flags",
				      env->ret == RET_FULL ? 1 : 2);
	return rc;
}

int postfix_write_begin(struct postfix_write *w, const struct envelope *env,
			uint64_t now_s,
			int (*sink)(void *user, const void *data, size_t len),
			void *user)
{
	uint8_t none[POSTFIX_SIZE_BYTES];
	int rc;

	*w = (struct postfix_write){
		.sink = sink,
		.user = user,
		.utf8 = env->smtputf8,
		.in_header = true,
	};
	/* All zero means: never finished. */
	rc = size_record(w, 0, none);
	if (rc == 0)
		rc = put(w, none, sizeof(none));
	if (rc == 0)
		rc = arrival(w, env, now_s);
	if (rc == 0)
		rc = options(w, env);
	if (rc == 0)
		rc = sender(w, env);
	if (rc == 0)
		rc = client(w, env);
	for (uint32_t i = 0; i < env->rcpt_count && rc == 0; i++)
		rc = rcpt(w, &env->rcpts[i]);
	if (rc == 0)
		rc = record(w, 'M', NULL, 0);
	w->content_at = w->at;
	return rc;
}

static int line_put(struct postfix_write *w, const uint8_t *data, size_t len)
{
	int rc = 0;

	w->line_begun |= len > 0;
	while (len > 0 && rc == 0) {
		size_t n = POSTFIX_LINE_BYTES - w->line_len;

		if (n == 0) {
			rc = record(w, 'L', w->line, w->line_len);
			w->line_len = 0;
			continue;
		}
		n = n < len ? n : len;
		memcpy(w->line + w->line_len, data, n);
		if (w->in_header && w->utf8)
			w->utf8_header |= has_8bit(data, n);
		w->line_len += (uint32_t)n;
		data += n;
		len -= n;
	}
	return rc;
}

static int line_end(struct postfix_write *w)
{
	int rc = record(w, 'N', w->line, w->line_len);

	if (!w->line_begun)
		w->in_header = false;
	w->line_len = 0;
	w->line_begun = false;
	return rc;
}

int postfix_write_content(struct postfix_write *w, const void *data, size_t len)
{
	const uint8_t *p = data, *end = p + len, *cr;
	int rc = 0;

	while (p < end && rc == 0) {
		if (w->cr_held) {
			w->cr_held = false;
			if (*p == '\n') {
				p++;
				rc = line_end(w);
			} else {
				rc = line_put(w, (const uint8_t *)"\r", 1);
			}
			continue;
		}
		cr = memchr(p, '\r', (size_t)(end - p));
		rc = line_put(w, p, (size_t)((cr != NULL ? cr : end) - p));
		w->cr_held = cr != NULL;
		p = cr != NULL ? cr + 1 : end;
	}
	return rc;
}

int postfix_write_end(struct postfix_write *w, uint8_t size[POSTFIX_SIZE_BYTES])
{
	uint64_t bytes;
	int rc = 0;

	if (w->cr_held)
		rc = line_put(w, (const uint8_t *)"\r", 1);
	if (rc == 0 && w->line_begun)
		rc = line_end(w);
	/* No content at all would say that the file was never finished: a
	 * padding record, which every reader passes over. */
	if (rc == 0 && w->at == w->content_at)
		rc = record(w, 'w', "0", 1);
	bytes = w->at - w->content_at;
	if (rc == 0)
		rc = record(w, 'X', NULL, 0);
	if (rc == 0)
		rc = record(w, 'E', NULL, 0);
	if (rc == 0)
		rc = flush(w);
	return rc == 0 ? size_record(w, bytes, size) : rc;
}
