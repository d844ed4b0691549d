/* SPDX-License-Identifier: BSD-2-Clause
 *
 * profile.c - where a backlog goes: domains and their weights.
 *
 * Called by the generator; created once, read afterwards.
 * Bound: the number of domains; a pick is a binary search.
 * Errors: -EINVAL, -ENOENT, -EIO with a sentence.
 */
#include "backlog/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/random.h"
#include "sluice/assert.h"
#include "sluice/domain.h"

#define TAIL_DOMAINS 300
#define TAIL_SHARE   0.30

struct profile_entry {
	char *domain;
	double sum; /* of the weights up to and with this one */
};

struct profile {
	struct profile_entry *entries;
	uint32_t count;
	uint32_t room;
};

static const struct {
	const char *domain;
	double share; /* of all recipients; together 0.70 */
} big_providers[] = {
	{"hotmail.test", 0.16}, {"outlook.test", 0.10},
	{"live.test", 0.05},    {"msn.test", 0.02},
	{"gmail.test", 0.21},   {"googlemail.test", 0.03},
	{"yahoo.test", 0.07},   {"aol.test", 0.02},
	{"icloud.test", 0.03},  {"me.test", 0.01},
};

static void profile_add(struct profile *p, const char *domain, double weight)
{
	double before = p->count ? p->entries[p->count - 1].sum : 0;

	if (p->count == p->room) {
		p->room = p->room ? p->room * 2 : 64;
		p->entries =
			bench_realloc(p->entries, p->room, sizeof(*p->entries));
	}
	p->entries[p->count].domain = strdup(domain);
	sluice_assert(p->entries[p->count].domain != NULL);
	p->entries[p->count++].sum = before + weight;
}

int profile_create(const char *name, struct profile **out, struct err *e)
{
	double harmonic = 0;
	struct profile *p;

	if (strcmp(name, "campus") != 0)
		return err_set(e, -EINVAL, "no profile '%s'; there is: campus",
			       name);
	p = bench_calloc(1, sizeof(*p));
	for (size_t i = 0; i < sizeof(big_providers) / sizeof(*big_providers);
	     i++)
		profile_add(p, big_providers[i].domain, big_providers[i].share);
	for (int i = 1; i <= TAIL_DOMAINS; i++)
		harmonic += 1.0 / i;
	for (int i = 1; i <= TAIL_DOMAINS; i++) {
		char domain[16];

		snprintf(domain, sizeof(domain), "d%03d.test", i);
		profile_add(p, domain, TAIL_SHARE / harmonic / i);
	}
	*out = p;
	return 0;
}

static int line_add(struct profile *p, char *line, const char *path,
		    uint32_t number, struct err *e)
{
	char domain[DOMAIN_BYTES];
	double weight = 1.0 / (p->count + 1);
	char *save, *word, *rest, *end;

	word = strtok_r(line, " \t\r\n", &save);
	if (!word || *word == '#')
		return 0;
	if (domain_normalise(word, strlen(word), domain) != 0)
		return err_set(e, -EINVAL, "%s:%u: '%s' is no domain", path,
			       number, word);
	rest = strtok_r(NULL, " \t\r\n", &save);
	if (rest && *rest != '#') {
		weight = strtod(rest, &end);
		if (*end || !(weight > 0) || weight > 1e12)
			return err_set(e, -EINVAL, "%s:%u: '%s' is no weight",
				       path, number, rest);
	}
	profile_add(p, domain, weight);
	return 0;
}

int profile_load(const char *path, struct profile **out, struct err *e)
{
	FILE *f = fopen(path, "re");
	struct profile *p;
	uint32_t number = 0;
	size_t room = 0;
	char *line = NULL;
	int err = 0;

	if (!f)
		return err_set(e, -errno, "%s: %s", path, err_name(errno));
	p = bench_calloc(1, sizeof(*p));
	while (!err && getline(&line, &room, f) >= 0)
		err = line_add(p, line, path, ++number, e);
	if (!err && ferror(f))
		err = err_set(e, -EIO, "%s: cannot read", path);
	if (!err && p->count == 0)
		err = err_set(e, -EINVAL, "%s: no domain in it", path);
	free(line);
	fclose(f);
	if (err)
		profile_destroy(&p);
	else
		*out = p;
	return err;
}

void profile_destroy(struct profile **p)
{
	if (!*p)
		return;
	for (uint32_t i = 0; i < (*p)->count; i++)
		free((*p)->entries[i].domain);
	free((*p)->entries);
	free(*p);
	*p = NULL;
}

uint32_t profile_count(const struct profile *p)
{
	return p->count;
}

const char *profile_domain(const struct profile *p, uint32_t number)
{
	sluice_assert(number < p->count);
	return p->entries[number].domain;
}

uint32_t profile_pick(const struct profile *p, struct random_state *r)
{
	double at = random_unit(r) * p->entries[p->count - 1].sum;
	uint32_t low = 0, high = p->count - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (p->entries[middle].sum <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
