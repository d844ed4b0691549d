/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dialogue.c - the load client's half of an SMTP dialogue.
 *
 * Called for each piece received. Thread: the loop's.
 * Bound: the replies of two messages outstanding; a reply line over 255 bytes
 * is cut. Anything unexpected ends the connection; its messages count as lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/load_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

static void expect(struct load_session *s, enum load_expect what)
{
	sluice_assert(s->expect_count < LOAD_EXPECT_MAX);
	s->expect[s->expect_count++] = (uint8_t)what;
}

static bool in_steps(const struct load_session *s)
{
	return s->load->options->pipelining == LOAD_STEPS ||
	       !(s->offers & LOAD_OFFERS_PIPELINING);
}

static void group_add(struct load_session *s, const struct load_turn *turn)
{
	const struct load_template *t = turn->message;

	expect(s, EXPECT_MAIL);
	if (in_steps(s)) {
		buffer_add(&s->out, t->group.data, t->ends[0]);
		return;
	}
	buffer_add(&s->out, t->group.data, t->group.len);
	for (uint32_t i = 0; i < t->rcpt_count; i++)
		expect(s, EXPECT_RCPT);
	expect(s, EXPECT_DATA);
}

static void quit(struct load_session *s)
{
	s->quitting = true;
	buffer_add_text(&s->out, "QUIT\r\n");
	expect(s, EXPECT_QUIT);
}

/* A new one, or none. */
static void turn_begin(struct load_session *s)
{
	if (load_turn_take(s, s->now))
		group_add(s, s->now);
	else if (load_is_over(s->load) || !s->load->options->rate.count ||
		 s->done_here == s->load->options->per_connection)
		quit(s);
	else
		load_session_idle(s);
}

/* Goes on with the message whose group is under way, or a new one. */
static void next_start(struct load_session *s)
{
	struct load_turn *was = s->now;

	s->refused = false;
	s->rcpts_asked = s->rcpts_good = 0;
	was->busy = false;
	s->now = s->next;
	s->next = was;
	if (!s->now->busy)
		turn_begin(s);
}

void load_session_next(struct load_session *s)
{
	turn_begin(s);
	load_session_flush(s);
}

static void content_send(struct load_session *s)
{
	load_content_add(s->load, s->now, &s->out);
	expect(s, EXPECT_EOM);
	s->dot_ns = clock_monotonic_ns();
	if (s->load->options->pipelining != LOAD_NEXT || in_steps(s))
		return;
	if (load_turn_take(s, s->next))
		group_add(s, s->next);
}

static void accepted(struct load_session *s)
{
	struct load *l = s->load;
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t from_ns = l->options->rate.count ? s->now->due_ns : s->dot_ns;

	l->latency_us[l->result.accepted++] =
		(uint32_t)((now_ns - from_ns) / NS_PER_US);
	l->result.bytes += s->now->message->content_bytes;
	l->result.rcpts_refused += s->rcpts_asked - s->rcpts_good;
	l->last_ns = now_ns;
	next_start(s);
}

static void refusal_note(struct load_session *s, const char *line)
{
	struct load_result *r = &s->load->result;

	s->refused = true;
	if (!r->refusal[0])
		snprintf(r->refusal, sizeof(r->refusal), "%s", line);
}

/* DATA or the final dot was refused: this message is over. */
static void refused(struct load_session *s)
{
	s->load->result.refused++;
	s->load->last_ns = clock_monotonic_ns();
	if (s->next->busy) {
		next_start(s);
		return;
	}
	s->now->busy = false;
	buffer_add_text(&s->out, "RSET\r\n");
	expect(s, EXPECT_RSET);
}

/* Without pipelining: the next RCPT, or DATA after the last one. */
static void step(struct load_session *s, bool good)
{
	const struct load_template *t = s->now->message;
	uint32_t n = s->rcpts_asked;

	if (!good) {
		refused(s);
	} else if (n < t->rcpt_count) {
		buffer_add(&s->out, t->group.data + t->ends[n],
			   t->ends[n + 1] - t->ends[n]);
		expect(s, EXPECT_RCPT);
	} else {
		buffer_add_text(&s->out, "DATA\r\n");
		expect(s, EXPECT_DATA);
	}
}

static void on_greeting(struct load_session *s, bool good)
{
	if (!good) {
		load_session_end(s);
		return;
	}
	buffer_add_text(&s->out, "EHLO load.bench.test\r\n");
	expect(s, EXPECT_EHLO);
}

static void on_ehlo(struct load_session *s, bool good)
{
	if (good)
		next_start(s);
	else
		load_session_end(s);
}

static void on_mail(struct load_session *s, bool good)
{
	if (in_steps(s))
		step(s, good);
}

static void on_rcpt(struct load_session *s, bool good)
{
	s->rcpts_asked++;
	s->rcpts_good += good;
	if (in_steps(s))
		step(s, s->rcpts_good ||
				s->rcpts_asked < s->now->message->rcpt_count);
}

static void on_data(struct load_session *s, bool good)
{
	if (good)
		content_send(s);
	else
		refused(s);
}

static void on_eom(struct load_session *s, bool good)
{
	if (good)
		accepted(s);
	else
		refused(s);
}

static void on_rset(struct load_session *s, bool good)
{
	next_start(s);
}

static void on_quit(struct load_session *s, bool good)
{
	load_session_end(s);
}

/* What a reply to each command leads to. */
static void (*const steps[])(struct load_session *s, bool good) = {
	[EXPECT_GREETING] = on_greeting, [EXPECT_EHLO] = on_ehlo,
	[EXPECT_MAIL] = on_mail,         [EXPECT_RCPT] = on_rcpt,
	[EXPECT_DATA] = on_data,         [EXPECT_EOM] = on_eom,
	[EXPECT_RSET] = on_rset,         [EXPECT_QUIT] = on_quit,
};

/* The last line of a reply. */
static void reply_take(struct load_session *s, const char *line)
{
	enum load_expect was = s->expect[0];
	bool good = line[0] == (was == EXPECT_DATA ? '3' : '2');

	s->expect_count--;
	memmove(s->expect, s->expect + 1, s->expect_count);
	if (!good)
		refusal_note(s, line);
	steps[was](s, good);
}

static void offer_note(struct load_session *s, const char *line)
{
	static const struct {
		const char *name;
		uint32_t offer;
	} offers[] = {{"PIPELINING", LOAD_OFFERS_PIPELINING},
		      {"8BITMIME", LOAD_OFFERS_8BITMIME},
		      {"SIZE", LOAD_OFFERS_SIZE}};

	for (size_t i = 0; i < sizeof(offers) / sizeof(*offers); i++)
		if (strncmp(line + 4, offers[i].name, strlen(offers[i].name)) ==
		    0)
			s->offers |= offers[i].offer;
}

static void line_take(struct load_session *s)
{
	bool last = s->line_len < 4 || s->line[3] != '-';

	s->line[s->line_len] = 0;
	if (s->line_len && s->line[s->line_len - 1] == '\r')
		s->line[s->line_len - 1] = 0;
	s->line_len = 0;
	if (s->expect_count == 0) {
		load_session_end(s);
		return;
	}
	if (s->expect[0] == EXPECT_EHLO)
		offer_note(s, s->line);
	if (last)
		reply_take(s, s->line);
}

void load_receive(struct load_session *s, const char *data, size_t len)
{
	while (len) {
		const char *lf = memchr(data, '\n', len);
		size_t part = lf ? (size_t)(lf - data) : len;
		size_t room = LOAD_LINE_BYTES - 1 - s->line_len;
		size_t keep = part < room ? part : room;

		memcpy(s->line + s->line_len, data, keep);
		s->line_len += (uint32_t)keep;
		if (lf)
			line_take(s);
		data += lf ? part + 1 : part;
		len -= lf ? part + 1 : part;
	}
}

void load_lost(struct load_session *s)
{
	s->load->result.lost += s->now->busy + s->next->busy;
	if (s->now->busy || s->next->busy)
		s->load->last_ns = clock_monotonic_ns();
	s->now->busy = s->next->busy = false;
	if (s->idle)
		s->load->idle_count--;
	s->idle = false;
}
