/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rule_examples.c - the examples that every rule carries.
 *
 * Called by the loader, one thread. An example is a reply as one line, "PHASE
 * CODE [ENHANCED] TEXT"; classify_self_test() runs it.
 * Errors: -EINVAL with file:line:column.
 */
#include <ctype.h>
#include <string.h>

#include "classify/loader.h"

static bool word_take(const char **at, char *out, size_t out_bytes)
{
	size_t len = strcspn(*at, " ");

	if (len == 0 || len >= out_bytes)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at += len;
	while (**at == ' ')
		(*at)++;
	return true;
}

/* NULL: fine; else what is wrong. */
static const char *rule_example_parse(const char *text, struct reply *out)
{
	struct reply r = {.provider = "", .remote = ""};
	char word[16];
	int phase;

	if (!word_take(&text, word, sizeof(word)))
		return "an example begins with its phase";
	phase = phase_parse(word);
	if (phase < 0)
		return "an example begins with its phase, such as 'rcpt'";
	r.phase = (uint8_t)phase;
	if (!word_take(&text, word, sizeof(word)) || strlen(word) != 3 ||
	    word[0] < '4' || word[0] > '5' ||
	    !isdigit((unsigned char)word[1]) ||
	    !isdigit((unsigned char)word[2]))
		return "the phase is followed by a code from 400 to 599";
	r.code = (uint16_t)((word[0] - '0') * 100 + (word[1] - '0') * 10 +
			    (word[2] - '0'));
	text += text_enhanced_parse(text, strlen(text), r.enhanced);
	while (*text == ' ')
		text++;
	r.text = text;
	r.text_len = (uint32_t)strlen(text);
	*out = r;
	return NULL;
}

static int read_example_reply(struct loader *ld, void *target,
			      struct fy_node *value)
{
	struct rule_example *example = target;
	const char *wrong;
	int rc = loader_string(ld, value, &example->text);

	if (rc != 0)
		return rc;
	wrong = rule_example_parse(example->text, &example->reply);
	return wrong == NULL ? 0 : loader_fail(ld, value, "%s", wrong);
}

static int read_example_wait(struct loader *ld, void *target,
			     struct fy_node *value)
{
	struct rule_example *example = target;
	const char *word;
	uint32_t seconds;
	int rc = loader_string(ld, value, &word);

	if (rc == 0)
		rc = loader_duration(ld, value, word, &seconds);
	if (rc == 0)
		example->wait_s = seconds;
	return rc;
}

static int read_example_list(struct loader *ld, void *target,
			     struct fy_node *value)
{
	return loader_string(ld, value, &((struct rule_example *)target)->list);
}

static const struct loader_field example_fields[] = {
	{"reply", read_example_reply},
	{"wait", read_example_wait},
	{"list", read_example_list},
};

static int read_example_one(struct loader *ld, void *target,
			    struct fy_node *value)
{
	struct rule *rule = target;
	struct rule_example *example = &rule->examples[rule->example_count++];
	int rc;

	example->wait_s = -1;
	if (!fy_node_is_mapping(value))
		return read_example_reply(ld, example, value);
	rc = loader_mapping(ld, value, example_fields, 3, example);
	if (rc == 0 && example->text == NULL)
		return loader_fail(ld, value, "an example needs its 'reply'");
	return rc;
}

int loader_examples(struct loader *ld, void *target, struct fy_node *value)
{
	struct rule *rule = target;

	rule->example_count = 0;
	rule->examples = arena_alloc(
		ld->arena, (loader_count(value) + 1) * sizeof(*rule->examples));
	if (rule->examples == NULL)
		return loader_no_memory(ld);
	return loader_each(ld, target, value, read_example_one);
}
