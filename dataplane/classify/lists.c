/* SPDX-License-Identifier: BSD-2-Clause
 *
 * lists.c - which DNSBL a refusal names.
 *
 * Called by classify_reply() for a rule that matched, any thread. The list
 * that the pattern captured, or that the text of a block_ip_list names, is
 * turned into the zone that tells when it is clear.
 * Bound: names of known lists × the text; only on refusals of that class.
 */
#include <string.h>

#include "classify/classify_priv.h"
#include "sluice/domain.h"

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '.' || c == '_';
}

/* Whether `name` stands in the text as a word or as the end of a host name:
 * "spamhaus" in "zen.spamhaus.org", not in "myspamhausfan". */
static bool text_names(const char *text, size_t len, const char *name)
{
	size_t name_len = strlen(name);
	const char *at = text, *end = text + len;

	while ((at = memmem(at, (size_t)(end - at), name, name_len)) != NULL) {
		bool left = at == text || !name_char(at[-1]) || at[-1] == '.';
		bool right = at + name_len == end || !name_char(at[name_len]) ||
			     at[name_len] == '.';

		if (left && right)
			return true;
		at++;
	}
	return false;
}

static const struct rule_list *list_find(const struct classify *c,
					 const char *text, size_t len)
{
	uint32_t i, k;

	for (i = 0; i < c->list_count; i++)
		for (k = 0; k < c->lists[i].name_count; k++)
			if (text_names(text, len, c->lists[i].names[k]))
				return &c->lists[i];
	return NULL;
}

/* The captured group, if it looks like a host name. */
static size_t list_captured(struct classify_scratch *s)
{
	uint32_t from = s->list_from, to = s->list_end, i;

	while (to > from && s->text[to - 1] == '.')
		to--;
	if (to <= from || to - from >= sizeof(s->list))
		return 0;
	for (i = from; i < to; i++)
		if (!name_char(s->text[i]))
			return 0;
	memcpy(s->list, s->text + from, to - from);
	s->list[to - from] = '\0';
	return to - from;
}

void lists_name(const struct classify *c, struct classify_scratch *s,
		const struct rule *rule, struct verdict *v)
{
	const struct rule_list *known;
	size_t captured = list_captured(s);

	v->list = rule->list;
	v->delist = rule->delist;
	if (rule->list != NULL)
		known = list_find(c, rule->list, strlen(rule->list));
	else if (captured > 0)
		known = list_find(c, s->list, captured);
	else if (v->reply_class == CLASS_BLOCK_IP_LIST)
		known = list_find(c, s->text, s->text_len);
	else
		return;
	if (known == NULL) {
		if (v->list == NULL && captured > 0)
			v->list = s->list;
		return;
	}
	v->list = known->zone;
	if (v->delist == NULL)
		v->delist = known->delist;
	if (v->wait_s == 0)
		v->wait_s = known->wait_s;
	v->from_last = v->from_last || known->from_last;
}
