/* SPDX-License-Identifier: BSD-2-Clause
 *
 * profile.h - where a backlog goes: domains and their weights.
 *
 * The campus profile: four big providers hold 70 % of the recipients, the
 * rest is a Zipf tail (1/rank) over 300 domains. Constant after create.
 */
#ifndef SLUICE_BENCH_PROFILE_H
#define SLUICE_BENCH_PROFILE_H

#include <stdint.h>

#include "sluice/err.h"

struct random_state;
struct profile;

/* "campus" is the only one built in; -EINVAL with the sentence in `e`. */
int profile_create(const char *name, struct profile **out, struct err *e);
/* One "domain [weight]" a line, '#' comments; without weights 1/line number.
 * -ENOENT, -EINVAL with file and line in `e`. */
int profile_load(const char *path, struct profile **out, struct err *e);
void profile_destroy(struct profile **p);
uint32_t profile_count(const struct profile *p);
const char *profile_domain(const struct profile *p, uint32_t number);
uint32_t profile_pick(const struct profile *p, struct random_state *r);

#endif
