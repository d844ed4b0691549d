/* SPDX-License-Identifier: BSD-2-Clause
 *
 * packet.c - TTLs of a DNS message.
 *
 * Called by question.c: libunbound tells the TTL of the last record only, but
 * a CNAME on the way to it may live shorter. PURE.
 * Bound: one pass over the message. Errors: -EBADMSG.
 */
#include "delivery/packet.h"

#include <errno.h>
#include <stdbool.h>

#define HEADER_BYTES  12u
#define RECORD_BYTES  10u /* type, class, TTL, length */
#define TYPE_SOA      6
#define MINIMUM_BYTES 4u /* last field of a SOA record */
#define TTL_NONE      UINT32_MAX

struct cursor {
	const uint8_t *p;
	size_t len, at;
};

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* Past a name, compressed or not. */
static bool skip_name(struct cursor *c)
{
	while (c->at < c->len) {
		uint8_t n = c->p[c->at];

		if (n >= 0xc0) {
			c->at += 2;
			return c->at <= c->len;
		}
		c->at += n + 1u;
		if (n == 0)
			return c->at <= c->len;
	}
	return false;
}

static bool skip_question(struct cursor *c)
{
	if (!skip_name(c))
		return false;
	c->at += 4;
	return c->at <= c->len;
}

struct record {
	uint32_t type, ttl_s, len;
	const uint8_t *data;
};

static bool next_record(struct cursor *c, struct record *r)
{
	const uint8_t *h;

	if (!skip_name(c) || c->len - c->at < RECORD_BYTES)
		return false;
	h = c->p + c->at;
	r->type = get16(h);
	r->ttl_s = get32(h + 4);
	r->len = get16(h + 8);
	r->data = h + RECORD_BYTES;
	c->at += RECORD_BYTES + r->len;
	/* RFC 2181 8: a TTL with the top bit set is zero */
	if (r->ttl_s > INT32_MAX)
		r->ttl_s = 0;
	return c->at <= c->len;
}

static uint32_t lower(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t soa_ttl(const struct record *r)
{
	if (r->type != TYPE_SOA || r->len < MINIMUM_BYTES)
		return TTL_NONE;
	return lower(r->ttl_s, get32(r->data + r->len - MINIMUM_BYTES));
}

int packet_ttl(const uint8_t *p, size_t len, int negative, uint32_t *ttl_s)
{
	struct cursor c = {p, len, HEADER_BYTES};
	uint32_t ttl = TTL_NONE, soa = TTL_NONE;
	struct record r;

	if (len < HEADER_BYTES)
		return -EBADMSG;
	for (uint32_t n = get16(p + 4); n; n--)
		if (!skip_question(&c))
			return -EBADMSG;
	for (uint32_t n = get16(p + 6); n; n--) {
		if (!next_record(&c, &r))
			return -EBADMSG;
		ttl = lower(ttl, r.ttl_s);
	}
	for (uint32_t n = negative ? get16(p + 8) : 0; n; n--) {
		if (!next_record(&c, &r))
			return -EBADMSG;
		soa = lower(soa, soa_ttl(&r));
	}
	if (negative)
		ttl = soa == TTL_NONE ? 0 : lower(ttl, soa);
	*ttl_s = ttl == TTL_NONE ? 0 : ttl;
	return 0;
}
