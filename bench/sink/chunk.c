/* SPDX-License-Identifier: BSD-2-Clause
 *
 * chunk.c - BDAT (RFC 3030): content in chunks of a told size.
 *
 * Called by the dialogue. Thread: the loop's. Bound: a chunk is digested as it
 * comes, never kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink/sink_priv.h"

/* "SIZE" or "SIZE LAST" */
static int arguments_parse(const char *args, size_t len, uint64_t *bytes,
			   bool *last)
{
	char text[40], *end;

	if (len == 0 || len >= sizeof(text) || args[0] < '0' || args[0] > '9')
		return -EINVAL;
	memcpy(text, args, len);
	text[len] = 0;
	errno = 0;
	*bytes = strtoull(text, &end, 10);
	*last = strcasecmp(end, " LAST") == 0;
	return errno || (*end && !*last) ? -EINVAL : 0;
}

void sink_bdat(struct sink_connection *c, const char *args, size_t len)
{
	if (!c->policy->chunking) {
		sink_reply(c, "502 5.5.1 BDAT was not offered");
		return;
	}
	if (arguments_parse(args, len, &c->chunk_left, &c->chunk_last) != 0) {
		c->sink->errors.syntax++;
		/* Nobody knows where the next command begins. */
		sink_reply_close(c, "501 5.5.4 BDAT SIZE [LAST]");
		return;
	}
	c->chunk_refused = c->rcpt_count == 0;
	if (c->state != SINK_BDAT && !c->chunk_refused)
		content_start(&c->content, c->sink->below_trace);
	c->state = SINK_CHUNK;
	if (c->chunk_left == 0)
		sink_chunk_end(c);
}

void sink_chunk_end(struct sink_connection *c)
{
	if (!sink_misbehave(c, c->chunk_last ? ODD_DOT : ODD_BDAT)) {
		if (c->state == SINK_CHUNK)
			sink_transaction_end(c);
		return;
	}
	if (c->chunk_refused) {
		sink_reply(c, "554 5.5.1 No valid recipients");
		sink_transaction_end(c);
		return;
	}
	if (!c->chunk_last) {
		sink_reply(c, "250 2.0.0 Chunk taken");
		c->state = SINK_BDAT;
		return;
	}
	sink_take(c);
	if (c->state == SINK_CHUNK)
		sink_transaction_end(c);
}

size_t sink_chunk_receive(struct sink_connection *c, const char *data,
			  size_t len)
{
	size_t part = len < c->chunk_left ? len : (size_t)c->chunk_left;

	if (!c->chunk_refused)
		content_feed_raw(&c->content, data, part);
	c->chunk_left -= part;
	if (c->chunk_left == 0)
		sink_chunk_end(c);
	return part;
}
