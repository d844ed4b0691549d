/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rule_fields.c - the keys of one rule.
 *
 * Called by rules_load.c for each item under `rules:`. docs/classify-rules.md
 * describes the keys.
 * Errors: -EINVAL with file:line:column and, for names, the nearest one.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "classify/loader.h"

static int read_id(struct loader *ld, void *target, struct fy_node *value)
{
	struct rule *rule = target;
	int rc = loader_string(ld, value, &rule->id);

	if (rc == 0 && strcmp(rule->id, "codes") == 0)
		return loader_fail(ld, value,
				   "'codes' is the name of the fallback");
	return rc;
}

static int name_unknown(struct loader *ld, struct fy_node *value,
			const char *what, const char *word,
			const char *(*name_of)(uint8_t), int count)
{
	const char *names[32], *nearest;
	int i;

	for (i = 0; i < count && i < 32; i++)
		names[i] = name_of((uint8_t)i);
	nearest = loader_nearest(word, names, (size_t)i);
	if (*nearest == '\0')
		return loader_fail(ld, value, "unknown %s '%.40s'", what, word);
	return loader_fail(ld, value, "unknown %s '%.40s': did you mean '%s'?",
			   what, word, nearest);
}

static int read_class(struct loader *ld, void *target, struct fy_node *value)
{
	struct rule *rule = target;
	const char *word;
	int found, rc = loader_string(ld, value, &word);

	if (rc != 0)
		return rc;
	found = class_parse(word);
	if (found < 0)
		return name_unknown(ld, value, "class", word, class_name,
				    CLASS_COUNT_);
	if (found == CLASS_ACCEPTED)
		return loader_fail(ld, value, "a refusal cannot be 'accepted'");
	rule->reply_class = (uint8_t)found;
	return 0;
}

static int read_scope(struct loader *ld, void *target, struct fy_node *value)
{
	struct rule *rule = target;
	const char *word;
	int found, rc = loader_string(ld, value, &word);

	if (rc != 0)
		return rc;
	found = scope_parse(word);
	if (found < 0)
		return name_unknown(ld, value, "scope", word, scope_name,
				    SCOPE_PROVIDER + 1);
	rule->scope = (uint8_t)found;
	return 0;
}

static int read_phase_one(struct loader *ld, void *target,
			  struct fy_node *value)
{
	struct rule *rule = target;
	const char *word;
	int found, rc = loader_string(ld, value, &word);

	if (rc != 0)
		return rc;
	found = phase_parse(word);
	if (found < 0)
		return name_unknown(ld, value, "phase", word, phase_name,
				    PHASE_QUIT + 1);
	rule->phases |= (uint16_t)(1u << found);
	return 0;
}

static int read_phase(struct loader *ld, void *target, struct fy_node *value)
{
	return loader_each(ld, target, value, read_phase_one);
}

/* "421", "45x", "4xx". */
static bool code_range(const char *word, struct rule_range *out)
{
	uint32_t low = 0, high = 0;
	int i;

	if (strlen(word) != 3 || (word[0] != '4' && word[0] != '5'))
		return false;
	for (i = 0; i < 3; i++) {
		bool digit = isdigit((unsigned char)word[i]);

		if (!digit && (word[i] != 'x' || (i == 1 && word[2] != 'x')))
			return false;
		low = low * 10 + (digit ? (uint32_t)(word[i] - '0') : 0);
		high = high * 10 + (digit ? (uint32_t)(word[i] - '0') : 9);
	}
	out->low = (uint16_t)low;
	out->high = (uint16_t)high;
	return true;
}

static int read_code_one(struct loader *ld, void *target, struct fy_node *value)
{
	struct rule *rule = target;
	const char *word;
	int rc = loader_string(ld, value, &word);

	if (rc != 0)
		return rc;
	if (!code_range(word, &rule->codes[rule->code_count++]))
		return loader_fail(ld, value,
				   "'%.20s' is no code such as 421, 45x or 4xx",
				   word);
	return 0;
}

static int read_code(struct loader *ld, void *target, struct fy_node *value)
{
	struct rule *rule = target;
	uint32_t count = loader_count(value);

	if (count == 0 || count > CLASSIFY_CONDITIONS_MAX)
		return loader_fail(ld, value, "one to %d codes",
				   CLASSIFY_CONDITIONS_MAX);
	rule->code_count = 0;
	rule->codes = arena_alloc(ld->arena, count * sizeof(*rule->codes));
	if (rule->codes == NULL)
		return loader_no_memory(ld);
	return loader_each(ld, target, value, read_code_one);
}

/* "7", "606-649" or "*". Returns what follows, NULL = bad. */
static const char *enhanced_part(const char *at, struct rule_range *out)
{
	unsigned long low, high;
	char *end;

	if (*at == '*') {
		out->low = 0;
		out->high = UINT16_MAX;
		return at + 1;
	}
	if (!isdigit((unsigned char)*at))
		return NULL;
	low = high = strtoul(at, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1]))
		high = strtoul(end + 1, &end, 10);
	if (low > 999 || high > 999 || low > high)
		return NULL;
	out->low = (uint16_t)low;
	out->high = (uint16_t)high;
	return end;
}

static bool enhanced_range(const char *at, struct rule_enhanced *out)
{
	int i;

	for (i = 0; i < 3; i++) {
		at = enhanced_part(at, &out->part[i]);
		if (at == NULL || (i < 2 && *at++ != '.'))
			return false;
	}
	return *at == '\0';
}

static int read_enhanced_one(struct loader *ld, void *target,
			     struct fy_node *value)
{
	struct rule *rule = target;
	const char *word;
	int rc = loader_string(ld, value, &word);

	if (rc != 0)
		return rc;
	if (!enhanced_range(word, &rule->enhanced[rule->enhanced_count++]))
		return loader_fail(ld, value,
				   "'%.20s' is no enhanced code such as "
				   "4.7.28, 5.7.* or 5.7.606-649",
				   word);
	return 0;
}

static int read_enhanced(struct loader *ld, void *target, struct fy_node *value)
{
	struct rule *rule = target;
	uint32_t count = loader_count(value);

	if (count == 0 || count > CLASSIFY_CONDITIONS_MAX)
		return loader_fail(ld, value, "one to %d enhanced codes",
				   CLASSIFY_CONDITIONS_MAX);
	rule->enhanced_count = 0;
	rule->enhanced =
		arena_alloc(ld->arena, count * sizeof(*rule->enhanced));
	if (rule->enhanced == NULL)
		return loader_no_memory(ld);
	return loader_each(ld, target, value, read_enhanced_one);
}

static int read_provider(struct loader *ld, void *target, struct fy_node *value)
{
	struct rule *rule = target;
	const char *word, *nearest, *names[CLASSIFY_PROVIDERS_MAX];
	uint32_t i;
	int rc = loader_string(ld, value, &word);

	if (rc != 0)
		return rc;
	for (i = 0; i < ld->c->provider_count; i++) {
		names[i] = ld->c->providers[i].name;
		if (strcasecmp(names[i], word) == 0) {
			rule->provider = (int32_t)i;
			return 0;
		}
	}
	if (strpbrk(word, ".*") != NULL) {
		rule->provider_mx = word;
		return 0;
	}
	nearest = loader_nearest(word, names, i);
	if (*nearest == '\0')
		return loader_fail(
			ld, value,
			"provider '%.40s' is not among `providers:`, "
			"and no MX pattern such as '*.example.com'",
			word);
	return loader_fail(ld, value,
			   "unknown provider '%.40s': did you mean '%s'?", word,
			   nearest);
}

static int read_remote(struct loader *ld, void *target, struct fy_node *value)
{
	return loader_string(ld, value, &((struct rule *)target)->remote);
}

static int read_text(struct loader *ld, void *target, struct fy_node *value)
{
	return loader_pattern_source(ld, value, &((struct rule *)target)->text);
}

static int read_text_not(struct loader *ld, void *target, struct fy_node *value)
{
	return loader_pattern(ld, value, &((struct rule *)target)->text_not);
}

/* "4h", "told", "told or 5m". */
static int read_wait(struct loader *ld, void *target, struct fy_node *value)
{
	struct rule *rule = target;
	const char *word;
	int rc = loader_string(ld, value, &word);

	if (rc != 0)
		return rc;
	if (strncmp(word, "told", 4) == 0) {
		rule->wait_told = true;
		if (word[4] == '\0')
			return 0;
		if (strncmp(word + 4, " or ", 4) != 0)
			return loader_fail(ld, value,
					   "expected 'told' or 'told or 5m'");
		word += 8;
	}
	return loader_duration(ld, value, word, &rule->wait_s);
}

static int read_from_last(struct loader *ld, void *target,
			  struct fy_node *value)
{
	return loader_bool(ld, value, &((struct rule *)target)->from_last);
}

static int read_list(struct loader *ld, void *target, struct fy_node *value)
{
	return loader_string(ld, value, &((struct rule *)target)->list);
}

static int read_delist(struct loader *ld, void *target, struct fy_node *value)
{
	return loader_string(ld, value, &((struct rule *)target)->delist);
}

/* Where the wording is documented: for people, so only its form is checked. */
static int read_source(struct loader *ld, void *target, struct fy_node *value)
{
	const char *word;

	(void)target;
	return loader_string(ld, value, &word);
}

static const struct loader_field rule_fields[] = {
	{"id", read_id},         {"provider", read_provider},
	{"remote", read_remote}, {"phase", read_phase},
	{"code", read_code},     {"enhanced", read_enhanced},
	{"text", read_text},     {"text_not", read_text_not},
	{"class", read_class},   {"scope", read_scope},
	{"wait", read_wait},     {"from_last", read_from_last},
	{"list", read_list},     {"delist", read_delist},
	{"source", read_source}, {"example", loader_examples},
};

int loader_rule(struct loader *ld, struct fy_node *map, struct rule *rule)
{
	int rc;

	rule->provider = -1;
	rc = loader_mapping(ld, map, rule_fields,
			    sizeof(rule_fields) / sizeof(rule_fields[0]), rule);
	if (rc != 0)
		return rc;
	if (rule->id == NULL)
		return loader_fail(ld, map, "a rule needs an 'id'");
	if (rule->reply_class == 0)
		return loader_fail(ld, map, "rule '%.60s' needs a 'class'",
				   rule->id);
	if (rule->text == NULL && rule->enhanced_count == 0 &&
	    rule->code_count == 0)
		return loader_fail(ld, map,
				   "rule '%.60s' needs 'text', 'code' or "
				   "'enhanced', else it matches every reply",
				   rule->id);
	if (rule->example_count == 0)
		return loader_fail(ld, map,
				   "rule '%.60s' needs an 'example' that it "
				   "matches",
				   rule->id);
	return 0;
}
