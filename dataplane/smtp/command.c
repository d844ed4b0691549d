/* SPDX-License-Identifier: BSD-2-Clause
 *
 * command.c - the command writer.
 *
 * Called by delivery for every message. PURE, any thread. Bound: the length of
 * what is written. Errors: -ENOSPC, -EINVAL; the writer is then unchanged.
 */
#include "smtp/command.h"

#include <errno.h>
#include <string.h>

#include "smtp/address.h"

/* Appends; past the end only `len` grows, which put_end() notices. */
static void put(struct smtp_writer *w, const char *s, uint32_t n)
{
	if (w->len <= w->size && n <= w->size - w->len)
		memcpy(w->data + w->len, s, n);
	else
		w->len = w->size;
	w->len += n;
}

static void put_text(struct smtp_writer *w, const char *s)
{
	put(w, s, (uint32_t)strlen(s));
}

static void put_number(struct smtp_writer *w, uint64_t v)
{
	char digits[20];
	uint32_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put(w, digits + at, (uint32_t)sizeof(digits) - at);
}

/* Ends the command that began at `start`, or takes it back. */
static int put_end(struct smtp_writer *w, uint32_t start)
{
	put(w, "\r\n", 2);
	if (w->len <= w->size)
		return 0;
	w->len = start;
	return -ENOSPC;
}

int smtp_write_verb(struct smtp_writer *w, const char *verb)
{
	uint32_t start = w->len;

	put_text(w, verb);
	return put_end(w, start);
}

int smtp_write_bdat_last(struct smtp_writer *w, uint64_t bytes)
{
	uint32_t start = w->len;

	put_text(w, "BDAT ");
	put_number(w, bytes);
	put_text(w, " LAST");
	return put_end(w, start);
}

int smtp_write_hello(struct smtp_writer *w, const char *verb, const char *name)
{
	uint32_t start = w->len;

	if (!smtp_domain_ok(name, strlen(name)))
		return -EINVAL;
	put_text(w, verb);
	put(w, " ", 1);
	put_text(w, name);
	return put_end(w, start);
}

static void put_quoted(struct smtp_writer *w, const char *s, uint32_t n)
{
	put(w, "\"", 1);
	for (uint32_t i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\')
			put(w, "\\", 1);
		put(w, s + i, 1);
	}
	put(w, "\"", 1);
}

/* The local part ends at the LAST '@': one inside belongs to it and makes
 * quotes necessary. A literal cannot hold one. */
static uint32_t address_local_len(const struct text *a)
{
	const char *at = a->len ? memrchr(a->data, '@', a->len) : NULL;

	return at ? (uint32_t)(at - a->data) : a->len;
}

/* <local@domain>, or <local> where there is no domain (postmaster). */
static int put_path(struct smtp_writer *w, const struct text *a)
{
	uint32_t local = address_local_len(a);
	enum smtp_local_kind kind = smtp_local_kind(a->data, local);

	if (kind == SMTP_LOCAL_BAD)
		return -EINVAL;
	if (local < a->len &&
	    !smtp_domain_ok(a->data + local + 1, a->len - local - 1))
		return -EINVAL;
	put(w, "<", 1);
	if (kind == SMTP_LOCAL_UNQUOTED)
		put_quoted(w, a->data, local);
	else
		put(w, a->data, local);
	put(w, a->data + local, a->len - local);
	put(w, ">", 1);
	return 0;
}

/* xtext as it was handed to us: printable, no space. Anything else would be a
 * way out of the parameter, so the parameter is left away. */
static bool xtext_ok(const struct text *t)
{
	for (uint32_t i = 0; i < t->len; i++)
		if (t->data[i] <= 0x20 || t->data[i] >= 0x7f)
			return false;
	return t->len != 0;
}

static void put_mail_dsn(struct smtp_writer *w, const struct smtp_mail *m)
{
	if (m->ret == RET_FULL)
		put_text(w, " RET=FULL");
	if (m->ret == RET_HDRS)
		put_text(w, " RET=HDRS");
	if (xtext_ok(&m->envid)) {
		put_text(w, " ENVID=");
		put(w, m->envid.data, m->envid.len);
	}
}

int smtp_write_mail(struct smtp_writer *w, const struct smtp_mail *m,
		    const struct smtp_extensions *offered)
{
	uint32_t start = w->len;

	put_text(w, "MAIL FROM:");
	if (!m->sender.len) {
		put(w, "<>", 2);
	} else if (put_path(w, &m->sender)) {
		w->len = start;
		return -EINVAL;
	}
	if (offered->size && m->size_bytes) {
		put_text(w, " SIZE=");
		put_number(w, m->size_bytes);
	}
	if (offered->eightbitmime && m->eightbit)
		put_text(w, " BODY=8BITMIME");
	if (offered->smtputf8 && m->smtputf8)
		put_text(w, " SMTPUTF8");
	if (offered->dsn)
		put_mail_dsn(w, m);
	return put_end(w, start);
}

static void put_notify(struct smtp_writer *w, uint8_t notify)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} kinds[] = {{NOTIFY_SUCCESS, "SUCCESS"},
		     {NOTIFY_FAILURE, "FAILURE"},
		     {NOTIFY_DELAY, "DELAY"}};
	const char *before = " NOTIFY=";

	if (notify & NOTIFY_NEVER) {
		put_text(w, " NOTIFY=NEVER");
		return;
	}
	for (uint32_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!(notify & kinds[i].bit))
			continue;
		put_text(w, before);
		put_text(w, kinds[i].name);
		before = ",";
	}
}

int smtp_write_rcpt(struct smtp_writer *w, const struct envelope_rcpt *r,
		    const struct smtp_extensions *offered)
{
	uint32_t start = w->len;

	put_text(w, "RCPT TO:");
	if (put_path(w, &r->address)) {
		w->len = start;
		return -EINVAL;
	}
	if (offered->dsn) {
		put_notify(w, r->notify);
		if (xtext_ok(&r->orcpt)) {
			put_text(w, " ORCPT=");
			put(w, r->orcpt.data, r->orcpt.len);
		}
	}
	return put_end(w, start);
}
