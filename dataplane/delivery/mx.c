/* SPDX-License-Identifier: BSD-2-Clause
 *
 * mx.c - MX records.
 *
 * Called by route.c. PURE. Bound: records x MX_HOSTS_MAX. No errors: a record
 * that makes no sense is left out.
 */
#include "delivery/mx.h"

#include <string.h>

/* One name in wire form to lower-case text; length, or -1. "" is the root. */
static int name_from_wire(const uint8_t *p, size_t len, char out[DOMAIN_BYTES])
{
	size_t at = 0, n = 0;

	while (at < len && p[at]) {
		size_t label = p[at++];

		if (label > 63 || at + label > len ||
		    n + label + 2 > DOMAIN_BYTES)
			return -1;
		if (n)
			out[n++] = '.';
		for (size_t i = 0; i < label; i++) {
			uint8_t c = p[at + i];

			if (c <= 0x20 || c >= 0x7f || c == '.')
				return -1;
			if (c >= 'A' && c <= 'Z')
				c = (uint8_t)(c + 32);
			out[n++] = (char)c;
		}
		at += label;
	}
	if (at >= len)
		return -1;
	out[n] = '\0';
	return (int)n;
}

/* "192.0.2.1" as a name: an address where a host belongs. No top level domain
 * is a number, so DNS could only lie about it. */
static bool name_is_number(const char *name)
{
	const char *last = strrchr(name, '.');

	last = last ? last + 1 : name;
	return *last && last[strspn(last, "0123456789")] == '\0';
}

static int mx_compare(const struct mx_host *a, const struct mx_host *b)
{
	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void mx_insert(struct mx_list *l, const struct mx_host *h)
{
	uint32_t at = l->count;

	while (at && mx_compare(h, &l->hosts[at - 1]) < 0)
		at--;
	if (at == MX_HOSTS_MAX || (at && mx_compare(h, &l->hosts[at - 1]) == 0))
		return;
	if (l->count < MX_HOSTS_MAX)
		l->count++;
	memmove(&l->hosts[at + 1], &l->hosts[at],
		(l->count - 1 - at) * sizeof(*h));
	l->hosts[at] = *h;
}

static void mx_rank(struct mx_list *l)
{
	for (uint32_t i = 1; i < l->count; i++)
		l->hosts[i].rank = (uint16_t)(l->hosts[i - 1].rank +
					      (l->hosts[i].preference !=
					       l->hosts[i - 1].preference));
}

void mx_list_parse(struct mx_list *out, char *const *data, const int *len,
		   uint32_t count)
{
	struct mx_host h;

	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *p = (const uint8_t *)data[i];
		int n = -1;

		if (len[i] >= 3)
			n = name_from_wire(p + 2, (size_t)len[i] - 2, h.name);
		if (n == 0) {
			out->null = true;
		} else if (n < 0 || name_is_number(h.name)) {
			out->bad++;
		} else {
			h.preference = (uint16_t)(p[0] << 8 | p[1]);
			h.rank = 0;
			mx_insert(out, &h);
		}
	}
	mx_rank(out);
	/* "." beside others is a mistake, not a refusal. */
	if (out->count || out->bad)
		out->null = false;
}
