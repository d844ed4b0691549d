/* SPDX-License-Identifier: BSD-2-Clause
 *
 * failure.c - a bounded table of addresses that did not work.
 *
 * Called by connect.c. PURE. Two kinds of entry: address and source, and the
 * address for all. Bound: SET_ENTRIES per look-up, memory fixed at create.
 * No errors: an entry that finds no room displaces another.
 */
#include "delivery/failure.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sluice/assert.h"
#include "sluice/clock.h"

#define FAILURES_MAGIC 0x4c494146u
#define SET_ENTRIES    8u
#define FIRST_NS       NS_PER_S
#define MAX_NS         (300 * NS_PER_S)
#define LOOK_NS        NS_PER_S /* while somebody else tries */
#define DOUBLINGS_MAX  16u

struct failure {
	struct addr to;
	struct addr from; /* family 0: for all sources */
	uint64_t until_ns;
	uint64_t failed_ns; /* the last time */
	uint64_t trying_until_ns;
	uint32_t failures;  /* in a row; 0 = the entry is free */
	bool several;       /* of "all": a second sender failed too */
	struct addr sender; /* of "all": the first one */
};

struct failures {
	uint32_t magic;
	uint32_t set_mask;
	struct failure *entries;
};

static const struct addr everybody; /* family 0 */

struct failures *failures_create(uint32_t count)
{
	struct failures *f = calloc(1, sizeof(*f));
	uint32_t sets = 1;

	if (!f)
		return NULL;
	while (sets * SET_ENTRIES < count)
		sets *= 2;
	f->entries = calloc((size_t)sets * SET_ENTRIES, sizeof(*f->entries));
	if (!f->entries) {
		free(f);
		return NULL;
	}
	f->set_mask = sets - 1;
	f->magic = FAILURES_MAGIC;
	return f;
}

void failures_destroy(struct failures **fp)
{
	struct failures *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	MAGIC_CHECK(f, FAILURES_MAGIC);
	f->magic = 0;
	free(f->entries);
	free(f);
}

static struct failure *set_of(const struct failures *f, const struct addr *to)
{
	uint64_t h;

	MAGIC_CHECK(f, FAILURES_MAGIC);
	if (to->sa.sa_family == AF_INET6)
		h = XXH3_64bits_withSeed(&to->in6.sin6_addr, 16, addr_port(to));
	else
		h = XXH3_64bits_withSeed(&to->in.sin_addr, 4, addr_port(to));
	return &f->entries[(h & f->set_mask) * SET_ENTRIES];
}

static bool same_from(const struct addr *a, const struct addr *b)
{
	if (!a->sa.sa_family || !b->sa.sa_family)
		return a->sa.sa_family == b->sa.sa_family;
	return addr_equal_host(a, b);
}

static struct failure *find(const struct failures *f, const struct addr *to,
			    const struct addr *from)
{
	struct failure *set = set_of(f, to);

	for (uint32_t i = 0; i < SET_ENTRIES; i++)
		if (set[i].failures && addr_equal(&set[i].to, to) &&
		    same_from(&set[i].from, from))
			return &set[i];
	return NULL;
}

/* A new one; what would be tried soonest makes room. */
static struct failure *make(struct failures *f, const struct addr *to,
			    const struct addr *from)
{
	struct failure *set = set_of(f, to), *best = set;

	for (uint32_t i = 0; i < SET_ENTRIES && best->failures; i++)
		if (!set[i].failures || set[i].until_ns < best->until_ns)
			best = &set[i];
	*best = (struct failure){.to = *to, .from = *from};
	return best;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t entry_until_ns(const struct failure *e, uint64_t now_ns)
{
	uint64_t until_ns = e->until_ns;

	if (e->trying_until_ns > now_ns)
		until_ns = later(until_ns, now_ns + LOOK_NS);
	return until_ns > now_ns ? until_ns : 0;
}

uint64_t failure_until_ns(const struct failures *f, const struct addr *to,
			  const struct addr *from, uint64_t now_ns)
{
	const struct failure *own = find(f, to, from);
	const struct failure *all = find(f, to, &everybody);
	uint64_t until_ns = own ? entry_until_ns(own, now_ns) : 0;

	if (all && all->several)
		until_ns = later(until_ns, entry_until_ns(all, now_ns));
	return until_ns;
}

void failure_trying(struct failures *f, const struct addr *to,
		    const struct addr *from, uint64_t until_ns)
{
	struct failure *own = find(f, to, from), *all = find(f, to, &everybody);

	if (own)
		own->trying_until_ns = until_ns;
	if (all)
		all->trying_until_ns = until_ns;
}

static void note(struct failure *e, uint64_t began_ns, uint64_t now_ns)
{
	uint32_t doublings =
		e->failures < DOUBLINGS_MAX ? e->failures : DOUBLINGS_MAX;
	uint64_t wait_ns = FIRST_NS << doublings;

	e->trying_until_ns = 0;
	if (e->failures && began_ns < e->failed_ns)
		return; /* it began before we knew */
	e->failures++;
	e->failed_ns = now_ns;
	e->until_ns = now_ns + (wait_ns < MAX_NS ? wait_ns : MAX_NS);
}

void failure_note(struct failures *f, const struct addr *to,
		  const struct addr *from, bool of_source, uint64_t began_ns,
		  uint64_t now_ns)
{
	struct failure *e = find(f, to, from);

	note(e ? e : make(f, to, from), began_ns, now_ns);
	if (of_source)
		return;
	e = find(f, to, &everybody);
	if (!e) {
		e = make(f, to, &everybody);
		e->sender = *from;
	}
	if (!addr_same_sender(&e->sender, from))
		e->several = true;
	note(e, began_ns, now_ns);
}

void failure_clear(struct failures *f, const struct addr *to,
		   const struct addr *from)
{
	struct failure *own = find(f, to, from), *all = find(f, to, &everybody);

	if (own)
		memset(own, 0, sizeof(*own));
	if (all)
		memset(all, 0, sizeof(*all));
}
