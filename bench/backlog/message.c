/* SPDX-License-Identifier: BSD-2-Clause
 *
 * message.c - the generator: message number I of seed S, always the same.
 *
 * Called by backlog (all formats) and by the load client.
 * Bound: the size asked for; copies lines from pools made at creation.
 */
#include "backlog/message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backlog/message_priv.h"
#include "sluice/assert.h"

/* Of the natural logarithm of the size: half of the messages lie between 0.6
 * and 1.2 times the mean, few are much bigger, as in mail queues. */
#define SIZE_SIGMA 0.5

struct message_generator *
message_generator_create(const struct message_options *o,
			 const struct profile *p)
{
	struct message_generator *g = bench_calloc(1, sizeof(*g));

	g->options = *o;
	g->profile = p;
	text_pool_init(&g->ascii, o->seed, false);
	text_pool_init(&g->utf8, o->seed, true);
	return g;
}

void message_generator_destroy(struct message_generator **g)
{
	if (!*g)
		return;
	text_pool_fini(&(*g)->ascii);
	text_pool_fini(&(*g)->utf8);
	free(*g);
	*g = NULL;
}

/* Log-normal with mean size_bytes, by Box and Muller. */
static uint64_t size_pick(const struct message_options *o,
			  struct random_state *r)
{
	double u = 1 - random_unit(r), v = random_unit(r);
	double normal = sqrt(-2 * log(u)) * cos(2 * 3.14159265358979 * v);
	double size = exp(SIZE_SIGMA * normal - SIZE_SIGMA * SIZE_SIGMA / 2);

	if (o->size_fixed)
		return o->size_bytes;
	if (size > 8)
		size = 8;
	return (uint64_t)(size * (double)o->size_bytes);
}

static uint32_t traits_pick(struct random_state *r)
{
	uint32_t traits = 0;

	if (random_percent(r, 15))
		traits |= MESSAGE_8BIT;
	if (random_percent(r, 10))
		traits |= MESSAGE_DOTS;
	if (random_percent(r, 3))
		traits |= MESSAGE_LONG_LINES;
	if (random_percent(r, 3))
		traits |= MESSAGE_NO_NEWLINE;
	if (random_percent(r, 1))
		traits |= MESSAGE_HEADERS_ONLY;
	if (random_percent(r, 10))
		traits |= MESSAGE_LOCAL;
	/* What came by SMTP always ends with a newline. */
	if (traits & MESSAGE_NO_NEWLINE)
		traits |= MESSAGE_LOCAL;
	if ((traits & MESSAGE_LOCAL) && random_percent(r, 20))
		traits |= MESSAGE_RCPTS_LAST;
	return traits;
}

/* An empty last line cannot lack its end: there would be no line. */
static void last_line_open(struct message *m)
{
	struct buffer *b = &m->content;

	if (b->len > 4 && memcmp(b->data + b->len - 4, "\r\n\r\n", 4) != 0)
		b->len -= 2;
	else
		m->traits &= ~(uint32_t)MESSAGE_NO_NEWLINE;
}

void message_make(const struct message_generator *g, uint64_t index,
		  struct message *m)
{
	struct random_state r = random_stream(g->options.seed, index);
	uint64_t size;

	m->index = index;
	m->content.len = 0;
	size = size_pick(&g->options, &r);
	m->traits = traits_pick(&r);
	if (g->options.plain)
		m->traits = 0;
	if (g->options.with_body)
		m->traits &= ~(uint32_t)MESSAGE_HEADERS_ONLY;
	envelope_make(g, &r, m);
	headers_make(g, &r, m);
	if (!(m->traits & MESSAGE_HEADERS_ONLY))
		body_make(g, &r, m, size);
	if (m->traits & MESSAGE_NO_NEWLINE)
		last_line_open(m);
	sluice_assert(m->rcpt_count > 0 && m->content.len > 0);
}

void message_fini(struct message *m)
{
	buffer_fini(&m->content);
}

const char *message_id(uint64_t seed, uint64_t index, char buf[48])
{
	snprintf(buf, 48, "%llu-%010llu", (unsigned long long)seed,
		 (unsigned long long)index);
	return buf;
}
