/* SPDX-License-Identifier: BSD-2-Clause
 *
 * site.c - organisational domains of MX hosts.
 *
 * Called by sites.c. Role: queue. PURE after create.
 * Bound: hosts x hosts, of which there are at most 16. No errors: a name that
 * is itself a public suffix stands for itself.
 */
#include "sluiced/site.h"

#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/clock.h"

#define SITE_MAGIC 0x45544953u
#define TTLS       2
#define DUE_MIN_NS (5 * NS_PER_S) /* with TTLs near zero */

struct site_rules {
	uint32_t magic;
	psl_ctx_t *psl;
};

struct site_rules *site_rules_create(void)
{
	struct site_rules *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->magic = SITE_MAGIC;
	r->psl = psl_latest(NULL);
	if (r->psl == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void site_rules_destroy(struct site_rules **rp)
{
	struct site_rules *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	MAGIC_CHECK(r, SITE_MAGIC);
	psl_free(r->psl);
	r->magic = 0;
	free(r);
}

static const char *organisation(const struct site_rules *r, const char *host)
{
	const char *name = psl_registrable_domain(r->psl, host);

	return name != NULL ? name : host;
}

void site_of_hosts(const struct site_rules *r, const char *const *hosts,
		   uint32_t count, char out[DOMAIN_BYTES])
{
	const char *best;
	uint32_t best_votes = 0;

	MAGIC_CHECK(r, SITE_MAGIC);
	sluice_assert(count > 0);
	best = organisation(r, hosts[0]);
	for (uint32_t i = 0; i < count; i++) {
		const char *name = organisation(r, hosts[i]);
		uint32_t votes = 0;

		for (uint32_t k = 0; k < count; k++)
			votes += strcmp(organisation(r, hosts[k]), name) == 0;
		if (votes > best_votes ||
		    (votes == best_votes && strcmp(name, best) < 0)) {
			best = name;
			best_votes = votes;
		}
	}
	snprintf(out, DOMAIN_BYTES, "%s", best);
}

bool site_watch_step(struct site_watch *w, uint32_t present, uint32_t told,
		     uint64_t ttl_ns, uint64_t now_ns)
{
	uint64_t wait_ns = TTLS * ttl_ns;

	if (told == present) {
		w->seen = 0;
		return false;
	}
	if (w->seen > 0 && w->told == told) {
		w->seen++;
		return now_ns >= w->due_ns;
	}
	w->told = told;
	w->seen = 1;
	w->due_ns = now_ns + (wait_ns > DUE_MIN_NS ? wait_ns : DUE_MIN_NS);
	return false;
}
