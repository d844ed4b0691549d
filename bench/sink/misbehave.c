/* SPDX-License-Identifier: BSD-2-Clause
 *
 * misbehave.c - plays the oddities of a listener's policy, and writes every
 * reply: as it is, or changed by one of them.
 *
 * Called by the dialogue. Thread: the loop's. Bound: what the policy asks for,
 * and 8 MiB of replies that the client does not read.
 */
#include <ctype.h>
#include <string.h>

#include "common/random.h"
#include "sink/sink_priv.h"
#include "sluice/clock.h"

#define LONG_LINE_BYTES 65536
#define GARBAGE_BYTES   512

static void line_add(struct sink_connection *c, const char *text, size_t len)
{
	buffer_add(&c->out, text, len);
	buffer_add(&c->out, "\r\n", 2);
}

/* "250-a|250 b" is two lines. */
static void lines_add(struct sink_connection *c, const char *text)
{
	for (;;) {
		size_t len = strcspn(text, "|");

		line_add(c, text, len);
		if (!text[len])
			return;
		text += len + 1;
	}
}

/* "250 2.1.0 Ok" becomes "250 2.1.0 Ok xxxx...", of `bytes` bytes. */
static void long_line_add(struct sink_connection *c, const char *text,
			  uint64_t bytes)
{
	size_t len = strlen(text);
	size_t fill = bytes > len + 3 ? (size_t)bytes - len - 3 : 0;

	buffer_add(&c->out, text, len);
	buffer_add(&c->out, " ", 1);
	buffer_reserve(&c->out, fill);
	memset(c->out.data + c->out.len, 'x', fill);
	c->out.len += fill;
	buffer_add(&c->out, "\r\n", 2);
}

static void lower_add(struct sink_connection *c, const char *text)
{
	for (; *text; text++) {
		char low = (char)tolower((unsigned char)*text);

		buffer_add(&c->out, &low, 1);
	}
	buffer_add(&c->out, "\r\n", 2);
}

/* `text` as the last of `count` lines. */
static void many_add(struct sink_connection *c, const char *text,
		     uint64_t count)
{
	while (--count) {
		buffer_add(&c->out, text, 3);
		buffer_add(&c->out, "-and so on\r\n", 12);
	}
	line_add(c, text, strlen(text));
}

static void close_after(struct sink_connection *c)
{
	c->closing = true;
	c->state = SINK_DEAF;
}

static void twisted_add(struct sink_connection *c, const struct oddity *o,
			const char *text)
{
	size_t len = strlen(text);

	switch ((enum oddity_action)o->action) {
	case ODD_REPLY:
		lines_add(c, o->text);
		break;
	case ODD_BEFORE:
		lines_add(c, o->text);
		line_add(c, text, len);
		break;
	case ODD_THEN:
	case ODD_THEN_CLOSE:
		line_add(c, text, len);
		lines_add(c, o->text);
		c->close_next = o->action == ODD_THEN_CLOSE;
		break;
	case ODD_TWICE:
		line_add(c, text, len);
		line_add(c, text, len);
		break;
	case ODD_TRICKLE:
		line_add(c, text, len);
		c->trickle_ns = o->number * NS_PER_MS;
		break;
	case ODD_BARE:
		line_add(c, text, 3);
		break;
	case ODD_LF:
		buffer_add(&c->out, text, len);
		buffer_add(&c->out, "\n", 1);
		break;
	case ODD_LOWER:
		lower_add(c, text);
		break;
	case ODD_LINES:
		many_add(c, text, o->number);
		break;
	case ODD_LONG:
		long_line_add(c, text, o->number);
		break;
	default: /* ODD_SKIP: not a word */
		break;
	}
}

void sink_reply(struct sink_connection *c, const char *text)
{
	const struct oddity *o = c->twist;

	if (c->closing)
		return;
	c->twist = NULL;
	if (o)
		twisted_add(c, o, text);
	else if (c->policy->long_replies)
		long_line_add(c, text, LONG_LINE_BYTES);
	else
		line_add(c, text, strlen(text));
}

void sink_reply_close(struct sink_connection *c, const char *text)
{
	sink_reply(c, text);
	close_after(c);
}

static void garbage_add(struct sink_connection *c)
{
	struct random_state r = random_stream(c->sink->counts.connections, 1);

	for (int i = 0; i < GARBAGE_BYTES; i++) {
		char byte = (char)random_next(&r);

		buffer_add(&c->out, &byte, 1);
	}
	buffer_add(&c->out, "\r\n", 2);
}

static void flood_add(struct sink_connection *c, uint64_t lines)
{
	while (lines-- && c->out.len < SINK_OUT_BYTES_MAX)
		buffer_add(&c->out, "250-flood\r\n", 11);
}

/* The first digit of the reply with which a phase goes on. */
static char digit_of(enum oddity_phase phase)
{
	return phase == ODD_DATA ? '3' : '2';
}

/* Instead of the reply. False: the phase goes on after all. */
static bool replaced(struct sink_connection *c, const struct oddity *o)
{
	switch ((enum oddity_action)o->action) {
	case ODD_REPLY:
		if (o->phase != ODD_CONTENT && *o->text == digit_of(o->phase))
			return false;
		lines_add(c, o->text);
		return true;
	case ODD_REPLY_CLOSE:
		lines_add(c, o->text);
		close_after(c);
		return true;
	case ODD_CUT:
		buffer_add_text(&c->out, o->text);
		close_after(c);
		return true;
	case ODD_CLOSE:
		close_after(c);
		return true;
	case ODD_RESET:
		sink_connection_reset(c);
		return true;
	case ODD_STALL:
		c->state = SINK_DEAF;
		return true;
	case ODD_GARBAGE:
		garbage_add(c);
		c->state = SINK_DEAF;
		return true;
	case ODD_FLOOD:
		flood_add(c, o->number);
		c->state = SINK_DEAF;
		return true;
	default:
		return false;
	}
}

/* The one of this phase whose turn it is; NULL = none. */
static const struct oddity *oddity_due(struct sink_connection *c,
				       enum oddity_phase phase)
{
	struct sink_listener *l = c->peer->listener;

	for (uint32_t i = 0; i < l->policy.oddity_count; i++) {
		const struct oddity *o = &l->policy.oddities[i];

		if (o->phase != phase ||
		    (o->times && l->oddities_done[i] == o->times))
			continue;
		l->oddities_done[i]++;
		return o;
	}
	return NULL;
}

bool sink_misbehave(struct sink_connection *c, enum oddity_phase phase)
{
	const struct oddity *o = oddity_due(c, phase);

	if (!o)
		return true;
	if (replaced(c, o)) {
		sink_refusal_count(c);
		return false;
	}
	c->twist = o;
	return true;
}

bool sink_took_in_silence(struct sink_connection *c)
{
	const struct oddity *o = c->twist;

	if (!o || o->action < ODD_TOOK_CLOSE)
		return false;
	c->twist = NULL;
	c->state = SINK_DEAF;
	if (o->action == ODD_TOOK_CLOSE)
		close_after(c);
	else if (o->action == ODD_TOOK_RESET)
		sink_connection_reset(c);
	return true;
}
