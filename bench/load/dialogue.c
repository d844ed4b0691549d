/* SPDX-License-Identifier: BSD-2-Clause
 *
 * dialogue.c - the load client's half of an SMTP dialogue.
 *
 * Called for each piece received. Thread: the loop's.
 * Bound: eight replies outstanding; a reply line over 255 bytes is cut.
 * Anything unexpected ends the connection; its messages count as lost.
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

static bool message_take(struct load_session *s, uint64_t *index)
{
	const struct load_options *o = s->load->options;

	if (s->load->taken == o->messages ||
	    (o->per_connection && s->done_here == o->per_connection))
		return false;
	s->done_here++;
	*index = o->first_index + s->load->taken++;
	if (!s->load->first_ns)
		s->load->first_ns = clock_monotonic_ns();
	return true;
}

static bool in_steps(const struct load_session *s)
{
	return s->load->options->pipelining == LOAD_STEPS || !s->pipelining;
}

static void group_add(struct load_session *s, uint64_t index)
{
	const struct load_template *t = load_template_of(s->load, index);

	expect(s, EXPECT_MAIL);
	if (in_steps(s)) {
		buffer_add(&s->out, t->group.data, t->mail_len);
		return;
	}
	buffer_add(&s->out, t->group.data, t->group.len);
	expect(s, EXPECT_RCPT);
	expect(s, EXPECT_DATA);
}

static void quit(struct load_session *s)
{
	s->quitting = true;
	buffer_add_text(&s->out, "QUIT\r\n");
	expect(s, EXPECT_QUIT);
}

/* Goes on with the message whose group is under way, or a new one. */
static void next_start(struct load_session *s)
{
	s->refused = false;
	s->busy = s->next_busy;
	s->index = s->next_index;
	s->next_busy = false;
	if (s->busy)
		return;
	s->busy = message_take(s, &s->index);
	if (s->busy)
		group_add(s, s->index);
	else
		quit(s);
}

static void content_send(struct load_session *s)
{
	load_content_add(s->load, s->index, &s->out);
	expect(s, EXPECT_EOM);
	s->dot_ns = clock_monotonic_ns();
	if (s->load->options->pipelining != LOAD_NEXT || !s->pipelining)
		return;
	s->next_busy = message_take(s, &s->next_index);
	if (s->next_busy)
		group_add(s, s->next_index);
}

static void accepted(struct load_session *s)
{
	struct load *l = s->load;
	uint64_t now_ns = clock_monotonic_ns();

	l->latency_us[l->result.accepted++] =
		(uint32_t)((now_ns - s->dot_ns) / NS_PER_US);
	l->result.bytes += load_template_of(l, s->index)->content_bytes;
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
	if (s->next_busy) {
		next_start(s);
		return;
	}
	s->busy = false;
	buffer_add_text(&s->out, "RSET\r\n");
	expect(s, EXPECT_RSET);
}

static void step(struct load_session *s, enum load_expect was, bool good)
{
	const struct load_template *t = load_template_of(s->load, s->index);

	if (!in_steps(s))
		return;
	if (!good) {
		refused(s);
	} else if (was == EXPECT_MAIL) {
		buffer_add(&s->out, t->group.data + t->mail_len, t->rcpt_len);
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
	step(s, EXPECT_MAIL, good);
}

static void on_rcpt(struct load_session *s, bool good)
{
	step(s, EXPECT_RCPT, good);
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
	if (s->expect[0] == EXPECT_EHLO &&
	    strncmp(s->line + 4, "PIPELINING", 10) == 0)
		s->pipelining = true;
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
	s->load->result.lost += s->busy + s->next_busy;
	if (s->busy || s->next_busy)
		s->load->last_ns = clock_monotonic_ns();
	s->busy = s->next_busy = false;
}
