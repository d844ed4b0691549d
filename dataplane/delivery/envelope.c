/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope.c - can this receiver be told this envelope?
 *
 * Called by message.c when a record has been read. Role: worker.
 * Bound: RCPTS_MAX addresses. Errors: a sentence that begins with the enhanced
 * code that a bounce would carry (RFC 3463).
 */
#include <string.h>

#include "delivery/delivery_priv.h"
#include "smtp/address.h"

/* What could not be written into a command of ours. */
static bool address_sendable(const struct text *a)
{
	struct smtp_mail m = {.sender = *a};
	char buf[2 * MAIL_ADDRESS_BYTES + 64];
	struct smtp_writer w = {buf, sizeof(buf), 0};
	static const struct smtp_extensions none;

	return a->len < MAIL_ADDRESS_BYTES &&
	       smtp_write_mail(&w, &m, &none) == 0;
}

/* Most addresses are plain: told without writing them. */
static bool address_ok(const struct text *a)
{
	struct smtp_mailbox box;

	return smtp_mailbox_parse(a->data, a->len, &box, NULL) == 0 ||
	       address_sendable(a);
}

static uint8_t slot_check(const struct connection *c, const struct slot *s)
{
	const struct envelope *env = &c->message.record.env;
	const struct text *a;

	if (s->rcpt >= env->rcpt_count)
		return WHY_RANGE;
	a = &env->rcpts[s->rcpt].address;
	if (!a->len || !address_ok(a))
		return WHY_ADDRESS;
	if (!c->offered.smtputf8 && !smtp_is_ascii(a->data, a->len))
		return WHY_UTF8;
	return WHY_NONE;
}

/* Recipients that can be sent come first, in their order. */
static void slots_sort(struct connection *c)
{
	struct message *m = &c->message;

	m->send_count = m->slot_count;
	for (uint32_t i = 0; i < m->send_count;) {
		struct slot bad = c->slots[i];

		bad.why = slot_check(c, &bad);
		if (bad.why == WHY_NONE) {
			i++;
			continue;
		}
		bad.kind = DELIVERY_UNSENDABLE;
		bad.phase = PHASE_RCPT;
		m->send_count--;
		memmove(&c->slots[i], &c->slots[i + 1],
			(m->send_count - i) * sizeof(bad));
		c->slots[m->send_count] = bad;
	}
}

/* RFC 6532 header fields: only they make SMTPUTF8 needed where the envelope is
 * ASCII. A body with 8-bit text does not. Where the header's end is not in the
 * first piece nobody knows, and what was asked for is kept to. */
static bool header_is_ascii(const struct content *ct)
{
	const char *data = ct->buf[ct->first];
	uint32_t len = ct->len[ct->first];
	const char *end = memmem(data, len, "\r\n\r\n", 4);

	if (!end && ct->streamed)
		return false;
	return smtp_is_ascii(data, end ? (size_t)(end - data) : len);
}

/* Of the message as a whole; a recipient's own address is for itself. */
static bool message_needs_utf8(const struct connection *c)
{
	const struct message *m = &c->message;
	const struct envelope *env = &m->record.env;

	if (!smtp_is_ascii(env->sender.data, env->sender.len))
		return true;
	if (!env->smtputf8 && !(m->flags & SPOOL_SMTPUTF8))
		return false;
	return !header_is_ascii(&m->content);
}

/* A sentence why this receiver cannot get this message; NULL = it can. */
static const char *message_check(const struct connection *c)
{
	const struct message *m = &c->message;
	const struct envelope *env = &m->record.env;

	if (c->offered.size && c->offered.size_max_bytes &&
	    m->record.content_bytes > c->offered.size_max_bytes)
		return "5.3.4 the message is larger than the receiver's SIZE";
	if (!c->offered.smtputf8 && message_needs_utf8(c))
		return "5.6.7 the message needs SMTPUTF8, which the receiver "
		       "does not offer";
	if (env->sender.len && !address_ok(&env->sender))
		return "5.1.7 the sender address cannot be written in SMTP";
	return NULL;
}

/* SMTPUTF8 is said where it was asked for, and where an address needs it. */
static bool asks_utf8(const struct connection *c)
{
	const struct message *m = &c->message;
	const struct envelope *env = &m->record.env;

	if (env->smtputf8 || (m->flags & SPOOL_SMTPUTF8) ||
	    !smtp_is_ascii(env->sender.data, env->sender.len))
		return true;
	for (uint32_t i = 0; i < m->send_count; i++) {
		const struct text *a = &env->rcpts[c->slots[i].rcpt].address;

		if (!smtp_is_ascii(a->data, a->len))
			return true;
	}
	return false;
}

/* NULL: `send_count` recipients can be sent, the others have their result. */
const char *envelope_check(struct connection *c)
{
	struct message *m = &c->message;
	const char *why = message_check(c);

	if (why)
		return why;
	slots_sort(c);
	m->utf8 = asks_utf8(c);
	return NULL;
}
