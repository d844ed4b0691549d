/* SPDX-License-Identifier: BSD-2-Clause
 *
 * result.c - what became of each recipient.
 *
 * Called by session.c and message.c. Role: worker. Every message ends here,
 * once. Refusals of single recipients are kept until then in the pool of
 * replies; when that is empty (a bound, not a rule), a refused recipient is
 * reported as LOST: tried again rather than judged by the wrong words.
 * Bound: RCPTS_MAX.
 */
#include <string.h>

#include "delivery/delivery_priv.h"

static bool same_reply(const struct smtp_reply *a, const struct smtp_reply *b)
{
	return a->code == b->code && a->text_len == b->text_len &&
	       memcmp(a->enhanced, b->enhanced, sizeof(a->enhanced)) == 0 &&
	       memcmp(a->text, b->text, a->text_len) == 0;
}

/* Receivers mostly refuse all with the same words: kept once. */
void result_rcpt_refused(struct connection *c, uint32_t slot, uint8_t phase,
			 const struct smtp_reply *r)
{
	struct delivery *d = c->d;
	struct slot *s = &c->slots[slot], *before = slot ? s - 1 : NULL;

	sluice_assert(slot < c->message.send_count && !s->kind);
	s->kind = DELIVERY_REFUSED;
	s->phase = phase;
	if (before && before->reply != REPLY_NONE &&
	    same_reply(&d->replies[before->reply], r)) {
		s->reply = before->reply;
		s->shared = true;
		return;
	}
	s->reply = pool_reply_store(d, r);
	if (s->reply != REPLY_NONE)
		return;
	s->kind = DELIVERY_LOST;
	s->why = WHY_ROOM;
}

static const char *slot_why(uint8_t why)
{
	switch ((enum rcpt_why)why) {
	case WHY_ADDRESS:
		return "5.1.3 the address cannot be written in SMTP";
	case WHY_UTF8:
		return "5.6.7 the address needs SMTPUTF8, which the receiver "
		       "does not offer";
	case WHY_RANGE:
		return "the record has no such recipient";
	case WHY_ROOM:
		return "refused, but too many different refusals at once";
	case WHY_NONE:
		break;
	}
	return NULL;
}

/* 0-terminated, in the scratch; returns where the next one may begin. */
static char *address_copy(const struct connection *c, uint32_t rcpt, char *at)
{
	const struct envelope *env = &c->message.record.env;
	uint32_t len = 0;

	if (env->rcpts && rcpt < env->rcpt_count) {
		len = env->rcpts[rcpt].address.len;
		if (len >= MAIL_ADDRESS_BYTES)
			len = MAIL_ADDRESS_BYTES - 1;
		memcpy(at, env->rcpts[rcpt].address.data, len);
	}
	at[len] = '\0';
	return at + len + 1;
}

/* Success was to be told, and the receiver could not be asked to. */
static bool was_relayed(const struct connection *c, uint32_t rcpt)
{
	const struct envelope *env = &c->message.record.env;

	return !c->offered.dsn && env->rcpts && rcpt < env->rcpt_count &&
	       env->rcpts[rcpt].notify & NOTIFY_SUCCESS;
}

static void result_fill(struct connection *c,
			const struct delivery_result *open)
{
	struct delivery *d = c->d;
	char *at = d->addresses;

	for (uint32_t i = 0; i < c->message.slot_count; i++) {
		const struct slot *s = &c->slots[i];
		struct delivery_result *to = &d->results[i];

		*to = *open;
		to->rcpt = s->rcpt;
		to->address = at;
		at = address_copy(c, s->rcpt, at);
		if (!s->kind) {
			to->relayed = to->kind == DELIVERY_ACCEPTED &&
				      was_relayed(c, s->rcpt);
			continue;
		}
		to->kind = s->kind;
		to->phase = s->phase;
		to->detail = slot_why(s->why);
		to->reply =
			s->reply == REPLY_NONE ? NULL : &d->replies[s->reply];
	}
}

static void replies_free(struct connection *c)
{
	for (uint32_t i = 0; i < c->message.slot_count; i++) {
		struct slot *s = &c->slots[i];

		if (s->reply != REPLY_NONE && !s->shared)
			pool_reply_free(c->d, s->reply);
		s->reply = REPLY_NONE;
	}
}

void result_finish(struct connection *c, uint8_t kind, uint8_t phase,
		   const struct smtp_reply *r, const char *detail)
{
	struct delivery *d = c->d;
	struct message *m = &c->message;
	struct delivery_result open = {.kind = kind,
				       .phase = phase,
				       .reply = r,
				       .remote = c->remote,
				       .detail = detail};

	sluice_assert(m->active && !d->finishing);
	result_fill(c, &open);
	m->active = false;
	m->ready = false;
	if (kind == DELIVERY_ACCEPTED) {
		d->stats.accepted++;
		c->path->stats.accepted++;
	}
	d->stats.in_flight--;
	c->path->stats.in_flight--;
	d->finishing = true;
	d->finisher = c;
	d->ops->done(d->user, c->path->provider, c->path->source, m->id,
		     m->batch, d->results, m->slot_count);
	d->finishing = false;
	replies_free(c);
	m->record.env.rcpts = NULL;
	message_release(c);
	if (d->stopping && !d->stats.in_flight)
		delivery_kick(d);
}
