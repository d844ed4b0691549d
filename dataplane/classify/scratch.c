/* SPDX-License-Identifier: BSD-2-Clause
 *
 * scratch.c - what one thread needs to run the rules.
 *
 * Created before the message path starts; then PCRE2 works in this memory
 * only: its machine code on the stack created here, its interpreter (where
 * executable memory is forbidden) in the slots.
 * Errors: NULL when there is no memory.
 */
#include <stdlib.h>

#include "classify/classify_priv.h"
#include "sluice/assert.h"

static void *slot_take(PCRE2_SIZE size_bytes, void *user)
{
	struct classify_scratch *s = user;
	int i;

	if (size_bytes > CLASSIFY_MEMORY_BYTES)
		return NULL;
	for (i = 0; i < CLASSIFY_MEMORY_SLOTS; i++) {
		if (!s->slot_used[i]) {
			s->slot_used[i] = true;
			return s->slot[i];
		}
	}
	return NULL;
}

static void slot_give(void *memory, void *user)
{
	struct classify_scratch *s = user;
	int i;

	for (i = 0; i < CLASSIFY_MEMORY_SLOTS; i++)
		if (memory == s->slot[i])
			s->slot_used[i] = false;
}

static void pairs_of(const pcre2_code *code, uint32_t *most)
{
	uint32_t groups = 0;

	if (code != NULL &&
	    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups) == 0 &&
	    groups + 1 > *most)
		*most = groups + 1;
}

/* The whole match and the most groups that a pattern of the rules has. */
static uint32_t match_pairs(const struct classify *c)
{
	uint32_t i, most = 1;

	for (i = 0; i < c->pattern_count; i++)
		pairs_of(c->patterns[i].code, &most);
	for (i = 0; i < c->rule_count; i++)
		pairs_of(c->rules[i].text_not, &most);
	return most;
}

static bool scratch_fill(const struct classify *c, struct classify_scratch *s)
{
	s->memory = pcre2_general_context_create(slot_take, slot_give, s);
	s->context = pcre2_match_context_create(NULL);
	if (s->memory == NULL || s->context == NULL)
		return false;
	s->match = pcre2_match_data_create(match_pairs(c), s->memory);
	if (s->match == NULL)
		return false;
	pcre2_set_match_limit(s->context, CLASSIFY_MATCH_LIMIT);
	pcre2_set_heap_limit(s->context, CLASSIFY_MEMORY_BYTES / 1024 - 1);
	if (!c->jit)
		return true;
	s->stack = pcre2_jit_stack_create(CLASSIFY_JIT_STACK_BYTES,
					  CLASSIFY_JIT_STACK_BYTES, NULL);
	if (s->stack == NULL)
		return false;
	pcre2_jit_stack_assign(s->context, NULL, s->stack);
	return true;
}

struct classify_scratch *classify_scratch_create(const struct classify *c)
{
	struct classify_scratch *s;

	MAGIC_CHECK(c, CLASSIFY_MAGIC);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->magic = CLASSIFY_SCRATCH_MAGIC;
	if (!scratch_fill(c, s))
		classify_scratch_destroy(&s);
	return s;
}

void classify_scratch_destroy(struct classify_scratch **s)
{
	if (*s == NULL)
		return;
	MAGIC_CHECK(*s, CLASSIFY_SCRATCH_MAGIC);
	pcre2_match_data_free((*s)->match);
	pcre2_match_context_free((*s)->context);
	pcre2_general_context_free((*s)->memory);
	pcre2_jit_stack_free((*s)->stack);
	(*s)->magic = 0;
	free(*s);
	*s = NULL;
}
