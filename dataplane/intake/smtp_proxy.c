/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_proxy.c - what a trusted MTA in front says of its client.
 *
 * Called by smtp_commands.c and smtp_envelope.c; role worker. XCLIENT makes
 * the session one of that client: it decides who may relay, and begins again
 * with the greeting. XFORWARD only tells of the next message. Both as Postfix
 * has them; LOGIN with XFORWARD is ours, since nothing else tells the account.
 * Whether a host is trusted depends on who is connected, never on what it says.
 * Bound: SMTP_ATTRIBUTE_BYTES each. Errors: replies.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "intake/smtp_priv.h"
#include "intake/xtext.h"
#include "sluice/assert.h"

void smtp_attributes_clear(struct smtp_attributes *a)
{
	for (int i = 0; i < SMTP_ATTRIBUTES; i++)
		a->text[i][0] = '\0';
}

static bool listed(const struct addr_prefix *list, uint32_t count,
		   const struct addr *a)
{
	for (uint32_t i = 0; i < count; i++)
		if (addr_prefix_has(&list[i], a))
			return true;
	return false;
}

void smtp_rights_set(struct smtp_session *s)
{
	const struct config_listen *l = s->listener->config;

	s->trusted = listed(l->trust, l->trust_count, &s->peer);
	s->may_relay = (s->client.sa.sa_family != AF_UNSPEC &&
			listed(l->allow, l->allow_count, &s->client)) ||
		       s->xclient.text[SMTP_ATTRIBUTE_LOGIN][0] != '\0';
}

const char *smtp_client_text(const struct smtp_session *s,
			     char buf[ADDR_TEXT_BYTES])
{
	if (s->client.sa.sa_family == AF_UNSPEC)
		return "unknown";
	return addr_format(&s->client, false, buf);
}

/* "192.0.2.1" or "IPV6:2001:db8::1", made one spelling. */
static bool address_ok(char text[SMTP_ATTRIBUTE_BYTES], struct addr *out)
{
	bool v6 = strncasecmp(text, "IPV6:", 5) == 0;
	struct addr_prefix p;

	if (strchr(text, '/') || addr_prefix_parse(text + (v6 ? 5 : 0), &p))
		return false;
	*out = p.base;
	addr_format(&p.base, false, text);
	return true;
}

static bool port_ok(const char *text)
{
	return strspn(text, "0123456789") == strlen(text) &&
	       strlen(text) <= 5 && strtoul(text, NULL, 10) <= UINT16_MAX;
}

static bool value_ok(int number, char text[SMTP_ATTRIBUTE_BYTES])
{
	struct addr a;

	switch (number) {
	case SMTP_ATTRIBUTE_ADDR:
	case SMTP_ATTRIBUTE_DESTADDR:
		return !*text || address_ok(text, &a);
	case SMTP_ATTRIBUTE_PORT:
	case SMTP_ATTRIBUTE_DESTPORT:
		return port_ok(text);
	case SMTP_ATTRIBUTE_PROTO:
		return !*text || !strcasecmp(text, "SMTP") ||
		       !strcasecmp(text, "ESMTP");
	case SMTP_ATTRIBUTE_SOURCE:
		return !*text || !strcasecmp(text, "LOCAL") ||
		       !strcasecmp(text, "REMOTE");
	default:
		return true;
	}
}

/* All of them, or none of them and a complaint. */
static bool attributes_take(struct smtp_session *s,
			    const struct smtp_command *c,
			    struct smtp_attributes *to)
{
	struct smtp_attributes a = *to;

	for (int i = 0; i < SMTP_ATTRIBUTES; i++) {
		int len;

		if (!c->attributes[i].data)
			continue;
		len = smtp_attribute_decode(&c->attributes[i], a.text[i]);
		sluice_assert(len >= 0); /* the parser has checked it */
		if (!value_ok(i, a.text[i])) {
			smtp_complain_as(s, 501, 5, 4, "bad attribute value");
			return false;
		}
	}
	*to = a;
	return true;
}

static bool trusted(struct smtp_session *s)
{
	if (s->trusted)
		return true;
	smtp_complain_as(s, 550, 7, 0, "this host is not in 'trust'");
	return false;
}

void smtp_xclient(struct smtp_session *s, const struct smtp_command *c)
{
	const struct text *told = &c->attributes[SMTP_ATTRIBUTE_ADDR];
	char *addr = s->xclient.text[SMTP_ATTRIBUTE_ADDR];

	if (!trusted(s) || !attributes_take(s, c, &s->xclient))
		return;
	if (*addr)
		(void)address_ok(addr, &s->client);
	else if (told->data) /* unknown: it is in no list */
		s->client = (struct addr){.sa.sa_family = AF_UNSPEC};
	smtp_rights_set(s);
	smtp_message_reset(s);
	s->state = SMTP_STATE_START;
	s->esmtp = false;
	s->helo[0] = '\0';
	smtp_reply(s, "220 %s ESMTP Sluice", s->server->host);
}

void smtp_xforward(struct smtp_session *s, const struct smtp_command *c)
{
	if (trusted(s) && attributes_take(s, c, &s->xforward))
		smtp_reply(s, "250 2.0.0 ok");
}

static const char *told(const struct smtp_session *s, int number)
{
	const char *text = s->xforward.text[number];

	return *text ? text : s->xclient.text[number];
}

/* What has no field of its own: "NAME=value ...", values as xtext. */
static int forwarded_keep(struct smtp_session *s)
{
	static const struct {
		int number;
		const char *name;
	} kept[] = {
		{SMTP_ATTRIBUTE_NAME, "NAME="},
		{SMTP_ATTRIBUTE_PORT, "PORT="},
		{SMTP_ATTRIBUTE_PROTO, "PROTO="},
		{SMTP_ATTRIBUTE_HELO, "HELO="},
		{SMTP_ATTRIBUTE_SOURCE, "SOURCE="},
	};
	char text[5 * (3 * SMTP_ATTRIBUTE_BYTES + 8)];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		const char *value = told(s, kept[i].number);

		if (!*value)
			continue;
		if (n)
			text[n++] = ' ';
		n += (size_t)(stpcpy(text + n, kept[i].name) - (text + n));
		n += xtext_write(text + n, value, strlen(value));
	}
	return envelope_build_text(&s->build, text, n, &s->build.env.forwarded);
}

static int told_keep(struct smtp_session *s, int number, const char *otherwise,
		     struct text *out)
{
	const char *text = told(s, number);

	if (!*text)
		text = otherwise;
	return envelope_build_text(&s->build, text, strlen(text), out);
}

int smtp_client_keep(struct smtp_session *s)
{
	struct envelope *env = &s->build.env;
	char buf[ADDR_TEXT_BYTES];
	int rc = told_keep(s, SMTP_ATTRIBUTE_ADDR, smtp_client_text(s, buf),
			   &env->client);

	if (!rc)
		rc = told_keep(s, SMTP_ATTRIBUTE_LOGIN, "", &env->account);
	if (!rc)
		rc = told_keep(s, SMTP_ATTRIBUTE_IDENT, "", &env->origin);
	return rc ? rc : forwarded_keep(s);
}
