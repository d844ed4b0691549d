/* SPDX-License-Identifier: BSD-2-Clause
 *
 * self_test.c - runs the examples that the rules carry.
 *
 * Called by tests, by `sluice check` and after a rule file was changed; any
 * thread. An example of a provider's rule is given that provider's name; one
 * of an MX pattern a host that fits it.
 * Bound: the examples.
 */
#include <stdio.h>
#include <string.h>

#include "classify/classify_priv.h"
#include "sluice/assert.h"
#include "sluice/domain.h"

#define SELF_TEST_GOT_BYTES 200

static void host_of_pattern(const char *pattern, char out[DOMAIN_BYTES])
{
	if (pattern == NULL)
		out[0] = '\0';
	else if (pattern[0] == '*')
		snprintf(out, DOMAIN_BYTES, "mx1%s", pattern + 1);
	else
		snprintf(out, DOMAIN_BYTES, "%s", pattern);
}

/* Empty: as expected. */
static void verdict_compare(const struct rule *rule,
			    const struct rule_example *example,
			    const struct verdict *v,
			    char got[SELF_TEST_GOT_BYTES])
{
	got[0] = '\0';
	if (strcmp(v->rule, rule->id) != 0)
		snprintf(got, SELF_TEST_GOT_BYTES, "rule %s, class %s", v->rule,
			 class_name(v->reply_class));
	else if (example->wait_s >= 0 && v->wait_s != example->wait_s)
		snprintf(got, SELF_TEST_GOT_BYTES, "wait %u s", v->wait_s);
	else if (example->list != NULL &&
		 (v->list == NULL || strcmp(v->list, example->list) != 0))
		snprintf(got, SELF_TEST_GOT_BYTES, "list %s",
			 v->list != NULL ? v->list : "none");
}

static bool example_run(const struct classify *c, struct classify_scratch *s,
			const struct rule *rule,
			const struct rule_example *example,
			char got[SELF_TEST_GOT_BYTES])
{
	char host[DOMAIN_BYTES];
	struct reply r = example->reply;
	struct verdict v;

	host_of_pattern(rule->remote != NULL ? rule->remote : rule->provider_mx,
			host);
	r.remote = host;
	if (rule->provider >= 0)
		r.provider = c->providers[rule->provider].name;
	classify_reply(c, s, &r, &v);
	verdict_compare(rule, example, &v, got);
	return got[0] == '\0';
}

int classify_self_test(const struct classify *c,
		       void (*failed)(void *user, const char *rule,
				      const char *example, const char *got),
		       void *user)
{
	struct classify_scratch *s;
	char got[SELF_TEST_GOT_BYTES];
	uint32_t i, k;
	int count = 0;

	MAGIC_CHECK(c, CLASSIFY_MAGIC);
	s = classify_scratch_create(c);
	if (s == NULL) {
		failed(user, "", "", "no memory");
		return 1;
	}
	for (i = 0; i < c->rule_count; i++) {
		const struct rule *rule = &c->rules[i];

		for (k = 0; k < rule->example_count; k++) {
			if (example_run(c, s, rule, &rule->examples[k], got))
				continue;
			failed(user, rule->id, rule->examples[k].text, got);
			count++;
		}
	}
	classify_scratch_destroy(&s);
	return count;
}
