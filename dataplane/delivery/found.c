/* SPDX-License-Identifier: BSD-2-Clause
 *
 * found.c - which addresses of a host list are kept.
 *
 * Called by query.c. PURE. Bound: FOUND_MAX. A host with a thousand addresses
 * leaves room for the others, and one family for the other.
 */
#include "delivery/found.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t same_host(const struct found *f, const struct hop_address *a,
			  uint32_t end)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < end; i++)
		n += f->list[i].host == a->host &&
		     f->list[i].addr.sa.sa_family == a->addr.sa.sa_family;
	return n;
}

int found_add(struct found *f, const struct hop_address *a)
{
	if (f->count == FOUND_MAX ||
	    same_host(f, a, f->count) >= FOUND_PER_HOST)
		return -ENOSPC;
	f->list[f->count++] = *a;
	return 0;
}

void found_truncate(struct found *f, uint16_t rank)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < f->count; i++)
		if (f->list[i].rank < rank)
			f->list[kept++] = f->list[i];
	f->count = kept;
}

static int compare_bytes(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return a->sa.sa_family < b->sa.sa_family ? -1 : 1;
	if (a->sa.sa_family == AF_INET6)
		return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16);
	return memcmp(&a->in.sin_addr, &b->in.sin_addr, 4);
}

static int compare(const void *pa, const void *pb)
{
	const struct hop_address *a = pa, *b = pb;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->host != b->host)
		return a->host < b->host ? -1 : 1;
	return compare_bytes(&a->addr, &b->addr);
}

/* Sorted, an address is the nth of its host and family. */
static uint32_t nth_max(const struct found *f)
{
	uint32_t nth = 0;
	uint32_t kept[FOUND_PER_HOST] = {0}, sum = 0;

	for (uint32_t i = 0; i < f->count; i++)
		kept[same_host(f, &f->list[i], i)]++;
	while (nth < FOUND_PER_HOST && sum + kept[nth] <= HOP_ADDRESSES_MAX)
		sum += kept[nth++];
	return nth;
}

void found_choose(struct found *f)
{
	uint8_t nth[FOUND_MAX];
	uint32_t whole, room, kept = 0;

	qsort(f->list, f->count, sizeof(f->list[0]), compare);
	if (f->count <= HOP_ADDRESSES_MAX)
		return;
	whole = nth_max(f); /* rounds that fit completely */
	room = HOP_ADDRESSES_MAX;
	for (uint32_t i = 0; i < f->count; i++) {
		nth[i] = (uint8_t)same_host(f, &f->list[i], i);
		room -= nth[i] < whole;
	}
	for (uint32_t i = 0; i < f->count; i++) {
		bool last = nth[i] == whole && room;

		room -= last;
		if (nth[i] < whole || last)
			f->list[kept++] = f->list[i];
	}
	f->count = kept;
}
