/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_trace.c - Received: lines: ours, and how many there are.
 *
 * Called by smtp_content.c, role worker. RFC 5321 section 4.4, protocol names
 * of RFC 3848 and RFC 6531.
 * Bound: SMTP_RECEIVED_BYTES; one look at each byte of the header. No errors.
 */
#include "intake/smtp_trace.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "intake/smtp_priv.h"
#include "sluice/assert.h"

static const char *protocol(const struct smtp_session *s)
{
	bool login = s->xclient.text[SMTP_ATTRIBUTE_LOGIN][0] != '\0';
	const char *told = s->xclient.text[SMTP_ATTRIBUTE_PROTO];

	if (s->build.env.smtputf8)
		return login ? "UTF8SMTPA" : "UTF8SMTP";
	if (!s->esmtp || strcmp(told, "SMTP") == 0)
		return "SMTP";
	return login ? "ESMTPA" : "ESMTP";
}

/* A name somebody told us, harmless in a header. */
static const char *clean(const char *name, char out[DOMAIN_BYTES])
{
	size_t n = 0;

	for (; n < DOMAIN_BYTES - 1 && name[n]; n++) {
		unsigned char c = (unsigned char)name[n];
		bool ok = c < 0x80 && (isalnum(c) || strchr(".-_:[]/+", c));

		out[n] = ok ? name[n] : '?';
	}
	out[n] = '\0';
	return n ? out : "unknown";
}

/* "from HELO (NAME [ADDRESS])" */
static int from_format(const struct smtp_session *s, char *out, size_t size)
{
	const char *name = s->xclient.text[SMTP_ATTRIBUTE_NAME];
	bool v6 = s->client.sa.sa_family == AF_INET6;
	char a[DOMAIN_BYTES], b[DOMAIN_BYTES], client[ADDR_TEXT_BYTES];

	return snprintf(out, size, "Received: from %s (%s%s[%s%s])\r\n",
			clean(s->helo, a), *name ? clean(name, b) : "",
			*name ? " " : "", v6 ? "IPv6:" : "",
			smtp_client_text(s, client));
}

/* "for <address>" would tell one recipient of the others. */
static int for_format(const struct smtp_session *s, char *out, size_t size)
{
	const struct envelope *env = &s->build.env;

	if (env->rcpt_count != 1) {
		*out = '\0';
		return 0;
	}
	return snprintf(out, size, "\r\n\tfor <%.*s>",
			(int)env->rcpts[0].address.len,
			env->rcpts[0].address.data);
}

size_t smtp_received_line(const struct smtp_session *s,
			  char out[SMTP_RECEIVED_BYTES])
{
	time_t now = (time_t)s->build.env.arrival_s;
	char date[64], rcpt[MAIL_ADDRESS_BYTES + 16];
	struct tm tm;
	int n, rest;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	(void)for_format(s, rcpt, sizeof(rcpt));
	n = from_format(s, out, SMTP_RECEIVED_BYTES);
	sluice_assert(n > 0 && n < (int)SMTP_RECEIVED_BYTES);
	rest = snprintf(out + n, SMTP_RECEIVED_BYTES - (size_t)n,
			"\tby %s with %s id %016" PRIx64 "%s;\r\n\t%s\r\n",
			s->server->host, protocol(s), s->trace, rcpt, date);
	n += rest;
	sluice_assert(rest > 0 && n < (int)SMTP_RECEIVED_BYTES);
	return (size_t)n;
}

void smtp_hops_init(struct smtp_hops *h)
{
	*h = (struct smtp_hops){0};
}

/* One byte of the header. */
static void hops_byte(struct smtp_hops *h, char c)
{
	static const char field[] = "received:";

	if (c == '\n') {
		h->over = !h->text;
		h->other = h->text = false;
		h->matched = 0;
		return;
	}
	if (c != '\r')
		h->text = true;
	if (h->other)
		return;
	if (tolower((unsigned char)c) != field[h->matched]) {
		h->other = true;
		return;
	}
	if (field[++h->matched] == '\0') {
		h->received++;
		h->other = true;
	}
}

void smtp_hops_update(struct smtp_hops *h, const char *data, size_t len)
{
	for (size_t i = 0; i < len && !h->over; i++)
		hops_byte(h, data[i]);
}
