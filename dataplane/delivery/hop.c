/* SPDX-License-Identifier: BSD-2-Clause
 *
 * hop.c - next hops: sets of hosts with their addresses.
 *
 * Called by route.c. Role: worker. Allocates per new host set, which grows
 * with the number of distinct MX sets, not with messages or domains.
 * Errors: -ENOMEM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/delivery_priv.h"

static int hops_grow(struct delivery *d, uint32_t number)
{
	uint32_t size = d->hop_size ? d->hop_size * 2 : 64;
	struct hop **grown;

	if (number < d->hop_size)
		return 0;
	while (size <= number)
		size *= 2;
	grown = realloc(d->hops, size * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + d->hop_size, 0, (size - d->hop_size) * sizeof(*grown));
	d->hops = grown;
	d->hop_size = size;
	return 0;
}

struct hop *hop_get(struct delivery *d, const char *key, size_t len)
{
	uint32_t number = intern_add(d->hop_keys, key, len);
	struct hop *h;

	if (number == INTERN_NONE || hops_grow(d, number))
		return NULL;
	if (d->hops[number])
		return d->hops[number];
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->number = number;
	d->hops[number] = h;
	return h;
}

static void hop_hosts_free(struct hop *h)
{
	for (uint32_t i = 0; i < h->host_count; i++)
		free(h->hosts[i]);
	h->host_count = 0;
}

static bool hop_is_same(const struct hop *h,
			const struct hop_address *addresses, uint32_t count)
{
	if (h->address_count != count)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!addr_equal(&h->addresses[i].addr, &addresses[i].addr) ||
		    h->addresses[i].host != addresses[i].host)
			return false;
	return true;
}

bool hop_has(const struct hop *h, const struct addr *a)
{
	for (uint32_t i = 0; i < h->address_count; i++)
		if (addr_equal(&h->addresses[i].addr, a))
			return true;
	return false;
}

int hop_set(struct hop *h, char *const *hosts, uint32_t host_count,
	    const struct hop_address *addresses, uint32_t count,
	    uint64_t expires_ns)
{
	char *names[MX_HOSTS_MAX];

	sluice_assert(host_count <= MX_HOSTS_MAX);
	sluice_assert(count && count <= HOP_ADDRESSES_MAX);
	h->expires_ns = expires_ns;
	if (hop_is_same(h, addresses, count))
		return 0;
	for (uint32_t i = 0; i < host_count; i++) {
		names[i] = strdup(hosts[i]);
		if (!names[i]) {
			while (i--)
				free(names[i]);
			return -ENOMEM;
		}
	}
	hop_hosts_free(h);
	memcpy(h->hosts, names, host_count * sizeof(names[0]));
	h->host_count = host_count;
	memcpy(h->addresses, addresses, count * sizeof(*addresses));
	h->address_count = count;
	h->version++;
	return 0;
}

void hops_destroy(struct delivery *d)
{
	for (uint32_t i = 0; i < d->hop_size; i++) {
		if (!d->hops[i])
			continue;
		hop_hosts_free(d->hops[i]);
		free(d->hops[i]);
	}
	free(d->hops);
	intern_destroy(&d->hop_keys);
}
