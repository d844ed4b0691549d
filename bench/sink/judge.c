/* SPDX-License-Identifier: BSD-2-Clause
 *
 * judge.c - what a listener's policy says to a connection, a message, a
 * recipient. True: go on; false: it was answered (or the connection closed).
 *
 * Called by the dialogue. Thread: the loop's.
 * Bound: the greylist keeps one entry per client, sender and recipient.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "common/random.h"
#include "sink/sink_priv.h"
#include "sluice/clock.h"

struct sink_triple {
	uint64_t hash; /* 0 = free */
	uint64_t first_ns;
};

void sink_refusal_count(struct sink_connection *c)
{
	c->sink->counts.refused++;
	c->peer->counts.refused++;
	c->peer->listener->counts.refused++;
}

static bool is_blocked(struct sink_connection *c)
{
	const struct policy *p = c->policy;
	struct sink_peer *peer = c->peer;
	uint64_t now_ns = io_now_ns(c->sink->io);

	if (!peer->blocked_until_ns || now_ns >= peer->blocked_until_ns)
		return false;
	if (p->block_for_ns && p->block_from_last)
		peer->blocked_until_ns = now_ns + p->block_for_ns;
	return true;
}

static bool block_answer(struct sink_connection *c)
{
	char text[160];

	snprintf(text, sizeof(text),
		 "554 5.7.1 Your address %s is blocked because of its poor "
		 "reputation",
		 c->peer->name);
	sink_refusal_count(c);
	sink_reply_close(c, text);
	return false;
}

bool sink_judge_greeting(struct sink_connection *c)
{
	if (!sink_misbehave(c, ODD_GREETING))
		return false;
	if (c->policy->banner) {
		sink_refusal_count(c);
		sink_reply_close(c, c->policy->banner);
		return false;
	}
	return is_blocked(c) ? block_answer(c) : true;
}

static bool block_is_due(struct sink_connection *c)
{
	const struct policy *p = c->policy;
	struct sink_peer *peer = c->peer;

	if (!p->block_after)
		return false;
	if (is_blocked(c))
		return true;
	/* After a block the client may send that many again. */
	if (peer->since_block < p->block_after)
		return false;
	peer->since_block = 0;
	peer->blocked_until_ns =
		p->block_for_ns ? io_now_ns(c->sink->io) + p->block_for_ns
				: CLOCK_NEVER_NS;
	return true;
}

static bool rate_is_over(struct sink_connection *c)
{
	uint64_t now_ns = io_now_ns(c->sink->io);
	struct pace_bucket *b = &c->peer->rate;

	if (!c->policy->rate.count)
		return false;
	if (pace_bucket_due_ns(b) > now_ns)
		return true;
	pace_bucket_spend(b, now_ns, 1);
	return false;
}

bool sink_judge_mail(struct sink_connection *c)
{
	const struct policy *p = c->policy;

	if (!sink_misbehave(c, ODD_MAIL))
		return false;
	if (p->close_after_mail) {
		sink_refusal_count(c);
		sink_connection_close(c);
		return false;
	}
	if (block_is_due(c))
		return block_answer(c);
	if (p->every_421 && c->peer->listener->mails % p->every_421 == 0) {
		sink_refusal_count(c);
		sink_reply_close(c, "421 4.3.2 Service not available, closing");
		return false;
	}
	if (rate_is_over(c)) {
		sink_refusal_count(c);
		sink_reply_close(c, "421 4.7.0 Too many messages from your "
				    "address, rate limit exceeded, try again "
				    "later");
		return false;
	}
	return true;
}

static struct sink_triple *triple_find(struct sink_triple *t, uint64_t room,
				       uint64_t hash)
{
	uint64_t at = hash & (room - 1);

	while (t[at].hash && t[at].hash != hash)
		at = (at + 1) & (room - 1);
	return &t[at];
}

static void triples_grow(struct sink *s)
{
	uint64_t room = s->triple_room ? s->triple_room * 2 : 1024;
	struct sink_triple *t = bench_calloc(room, sizeof(*t));

	for (uint64_t i = 0; i < s->triple_room; i++)
		if (s->triples[i].hash)
			*triple_find(t, room, s->triples[i].hash) =
				s->triples[i];
	free(s->triples);
	s->triples = t;
	s->triple_room = room;
}

/* New, or still too young. */
static bool is_greylisted(struct sink_connection *c, uint64_t rcpt_hash)
{
	struct sink *s = c->sink;
	uint64_t now_ns = io_now_ns(s->io);
	uint64_t who =
		random_mix(c->sender_hash ^ (uint64_t)(uintptr_t)c->peer);
	uint64_t hash = random_mix(rcpt_hash ^ who) | 1;
	struct sink_triple *t;

	if (s->triple_count * 2 >= s->triple_room)
		triples_grow(s);
	t = triple_find(s->triples, s->triple_room, hash);
	if (!t->hash) {
		*t = (struct sink_triple){hash, now_ns};
		s->triple_count++;
	}
	return now_ns - t->first_ns < c->policy->greylist_ns;
}

bool sink_judge_rcpt(struct sink_connection *c, const char *rcpt, size_t len)
{
	uint32_t number = c->rcpt_asked++ % 5;
	const struct policy *p = c->policy;
	const char *text = NULL;

	if (!sink_misbehave(c, ODD_RCPT))
		return false;
	if (p->reject_rcpt)
		text = p->reject_rcpt;
	else if (p->tempfail_rcpt || (p->accept_3_of_5 && number == 3))
		text = "450 4.2.1 Mailbox temporarily unavailable";
	else if (p->accept_3_of_5 && number == 4)
		text = "550 5.1.1 No such user here";
	else if (p->greylist_ns &&
		 is_greylisted(c, ledger_rcpt_hash(rcpt, len)))
		text = "450 4.7.1 Greylisted, please try again later";
	if (!text)
		return true;
	sink_refusal_count(c);
	sink_reply(c, text);
	return false;
}
