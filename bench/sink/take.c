/* SPDX-License-Identifier: BSD-2-Clause
 *
 * take.c - a message whose final dot has come: counted, compared, answered.
 *
 * Called by the dialogue. Thread: the loop's. Bound: its recipients.
 */
#include "common/buffer.h"
#include "sink/sink_priv.h"
#include "sluice/clock.h"

static void count(struct sink_counts *n, const struct sink_connection *c,
		  uint64_t now_ns)
{
	n->messages++;
	n->recipients += c->rcpt_count;
	n->bytes += c->content.bytes;
	if (!n->first_ns)
		n->first_ns = now_ns;
	n->last_ns = now_ns;
}

static void domains_count(struct sink *s, const struct sink_connection *c)
{
	for (uint32_t i = 0; i < c->rcpt_count; i++) {
		uint32_t number = c->rcpts[i].domain;

		while (number >= s->domain_room) {
			uint32_t from = s->domain_room;

			s->domain_room = from ? from * 2 : 1024;
			s->domain_rcpts =
				bench_realloc(s->domain_rcpts, s->domain_room,
					      sizeof(*s->domain_rcpts));
			for (; from < s->domain_room; from++)
				s->domain_rcpts[from] = 0;
		}
		s->domain_rcpts[number]++;
	}
}

static void arrival_keep(struct sink *s, const struct sink_connection *c,
			 uint64_t now_ns, bool known, uint64_t seed,
			 uint64_t index)
{
	if (s->arrival_count == s->arrival_room) {
		s->arrival_room = s->arrival_room ? s->arrival_room * 2 : 65536;
		s->arrivals = bench_realloc(s->arrivals, s->arrival_room,
					    sizeof(*s->arrivals));
	}
	s->arrivals[s->arrival_count++] = (struct sink_arrival){
		c->mail_ns,         now_ns,        seed, index, c->peer->id,
		c->rcpts[0].domain, c->rcpt_count, known};
}

void sink_take(struct sink_connection *c)
{
	struct sink *s = c->sink;
	uint64_t now_ns =
		s->keep_arrivals ? clock_monotonic_ns() : io_now_ns(s->io);
	uint64_t seed = 0, index = 0;
	bool known = content_id(&c->content, &seed, &index);

	count(&s->counts, c, now_ns);
	count(&c->peer->counts, c, now_ns);
	count(&c->peer->listener->counts, c, now_ns);
	c->peer->since_block++;
	domains_count(s, c);
	if (s->ledger) {
		struct digest d = content_digest(&c->content);
		uint32_t message =
			known ? ledger_message(s->ledger, seed, index)
			      : UINT32_MAX;

		for (uint32_t i = 0; i < c->rcpt_count; i++)
			ledger_arrived(s->ledger, message, c->rcpts[i].hash,
				       &d);
	}
	if (s->keep_arrivals)
		arrival_keep(s, c, now_ns, known, seed, index);
	if (!sink_took_in_silence(c))
		sink_reply(c, "250 2.0.0 Ok: queued");
}
