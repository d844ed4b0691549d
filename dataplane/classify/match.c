/* SPDX-License-Identifier: BSD-2-Clause
 *
 * match.c - finds the first rule that fits a reply.
 *
 * Called by classify_reply(), any thread with its own scratch. Rules that
 * phase, code and the literals in the text rule out are never looked at.
 * Bound: each pattern CLASSIFY_MATCH_LIMIT steps; after
 * CLASSIFY_LIMIT_HITS_MAX patterns that were given up, no further pattern.
 */
#include <string.h>
#include <strings.h>

#include "classify/classify_priv.h"
#include "sluice/assert.h"
#include "sluice/domain.h"

static bool range_has(const struct rule_range *range, uint16_t value)
{
	return value >= range->low && value <= range->high;
}

static bool code_fits(const struct rule *rule, uint16_t code)
{
	uint32_t i;

	for (i = 0; i < rule->code_count; i++)
		if (range_has(&rule->codes[i], code))
			return true;
	return rule->code_count == 0;
}

static bool enhanced_fits(const struct rule *rule, const uint16_t enhanced[3])
{
	const struct rule_enhanced *e = rule->enhanced;
	uint32_t i;

	if (rule->enhanced_count == 0)
		return true;
	if (enhanced[0] == 0) /* none was sent */
		return false;
	for (i = 0; i < rule->enhanced_count; i++)
		if (range_has(&e[i].part[0], enhanced[0]) &&
		    range_has(&e[i].part[1], enhanced[1]) &&
		    range_has(&e[i].part[2], enhanced[2]))
			return true;
	return false;
}

static bool provider_is(const struct rule_provider *p, const struct reply *r)
{
	uint32_t i;

	if (strcasecmp(p->name, r->provider) == 0)
		return true;
	for (i = 0; r->remote[0] != '\0' && i < p->mx_count; i++)
		if (domain_match(p->mx[i], r->remote))
			return true;
	return false;
}

static bool receiver_fits(const struct classify *c, struct classify_scratch *s,
			  const struct rule *rule, const struct reply *r)
{
	if (rule->provider >= 0) {
		int8_t *known = &s->provider[rule->provider];

		if (*known < 0)
			*known = provider_is(&c->providers[rule->provider], r);
		if (*known == 0)
			return false;
	}
	if (rule->provider_mx != NULL &&
	    !domain_match(rule->provider_mx, r->remote))
		return false;
	return rule->remote == NULL || domain_match(rule->remote, r->remote);
}

static bool pattern_matches(const struct classify *c,
			    struct classify_scratch *s, const pcre2_code *code)
{
	int rc;

	if (s->limit_hits >= CLASSIFY_LIMIT_HITS_MAX)
		return false;
	if (c->jit)
		rc = pcre2_jit_match(code, (PCRE2_SPTR)s->text, s->text_len, 0,
				     0, s->match, s->context);
	else
		rc = pcre2_match(code, (PCRE2_SPTR)s->text, s->text_len, 0, 0,
				 s->match, s->context);
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		s->limit_hits++;
	return rc >= 0;
}

static void group_keep(const struct classify_scratch *s, size_t group,
		       uint32_t *from, uint32_t *end)
{
	const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(s->match);

	*from = *end = 0;
	if (group == 0 || ovector[2 * group] == PCRE2_UNSET ||
	    ovector[2 * group + 1] > s->text_len ||
	    ovector[2 * group] > ovector[2 * group + 1])
		return;
	*from = (uint32_t)ovector[2 * group];
	*end = (uint32_t)ovector[2 * group + 1];
}

static bool text_fits(const struct classify *c, struct classify_scratch *s,
		      const struct rule_pattern *p)
{
	s->wait_end = s->list_end = 0;
	if (p->code == NULL)
		return true;
	if (!pattern_matches(c, s, p->code))
		return false;
	group_keep(s, p->wait_group, &s->wait_from, &s->wait_end);
	group_keep(s, p->list_group, &s->list_from, &s->list_end);
	return true;
}

/* After the words fit: what rules the rule out costs only then. */
static bool rule_is_ruled_out(const struct classify *c,
			      struct classify_scratch *s,
			      const struct rule *rule)
{
	return rule->text_not != NULL && pattern_matches(c, s, rule->text_not);
}

int32_t rules_match(const struct classify *c, struct classify_scratch *s,
		    const struct reply *r, uint8_t phase,
		    const uint16_t enhanced[3])
{
	const uint64_t *possible;
	const struct rule_pattern *p;
	const struct rule *rule;
	uint32_t word,
		passed = UINT32_MAX; /* a rule that cannot fit any more */
	uint64_t bits;

	sluice_assert(phase <= PHASE_QUIT);
	possible = c->possible[phase][r->code >= 500];
	s->limit_hits = 0;
	memset(s->provider, -1, sizeof(s->provider));
	prefilter_run(c->prefilter, s->text, s->text_len, s->candidates);
	for (word = 0; word * 64 < c->pattern_count; word++) {
		for (bits = s->candidates[word] & possible[word]; bits != 0;
		     bits &= bits - 1) {
			p = &c->patterns[word * 64 +
					 (uint32_t)__builtin_ctzll(bits)];
			rule = &c->rules[p->rule];
			if (p->rule == passed || !code_fits(rule, r->code) ||
			    !enhanced_fits(rule, enhanced) ||
			    !receiver_fits(c, s, rule, r) ||
			    !text_fits(c, s, p))
				continue;
			if (!rule_is_ruled_out(c, s, rule))
				return (int32_t)p->rule;
			passed = p->rule;
		}
	}
	return -1;
}
