/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_value.c - single values: words, numbers, sizes, times, paces.
 *
 * Called through the tables of keys while a config is read. Outputs are
 * written only on success. Errors: -EINVAL with the place and an example of
 * what is right; -ENOMEM.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config_priv.h"
#include "sluice/nearest.h"

static int scalar(struct config_reader *r, const struct config_node *n,
		  const char *what)
{
	int res = config_want(r, n, NODE_SCALAR);
	if (res != 0)
		return res;
	if (n->text[0] == '\0')
		return config_fail(r, n,
				   "'%s' has no value; write %s or remove "
				   "the key",
				   n->key != NULL ? n->key : "item", what);
	return 0;
}

int config_read_text(struct config_reader *r, const struct config_node *n,
		     void *to)
{
	int res = scalar(r, n, "a text");
	if (res != 0 || to == NULL)
		return res;
	char *copy = config_strdup(r->arena, n->text);
	if (copy == NULL)
		return config_out_of_memory(r);
	*(char **)to = copy;
	return 0;
}

int config_read_path(struct config_reader *r, const struct config_node *n,
		     void *to)
{
	int res = scalar(r, n, "a path");
	if (res != 0)
		return res;
	if (n->text[0] != '/')
		return config_fail(r, n,
				   "'%s' is no absolute path; begin it "
				   "with '/'",
				   n->text);
	return config_read_text(r, n, to);
}

int config_read_size(struct config_reader *r, const struct config_node *n,
		     void *to)
{
	uint64_t bytes;
	int res = scalar(r, n, "a size");
	if (res != 0)
		return res;
	if (config_size_parse(n->text, &bytes) != 0)
		return config_fail(r, n,
				   "'%s' is no size; write a number with "
				   "KiB, MiB or GiB, like 50MiB",
				   n->text);
	if (to != NULL)
		*(uint64_t *)to = bytes;
	return 0;
}

int config_read_duration(struct config_reader *r, const struct config_node *n,
			 void *to)
{
	uint64_t ns;
	int res = scalar(r, n, "a time");
	if (res != 0)
		return res;
	if (config_duration_parse(n->text, &ns) != 0)
		return config_fail(r, n,
				   "'%s' is no time; write a number with "
				   "ms, s, m, h, d or w, like 10s",
				   n->text);
	if (ns == 0)
		return config_fail(r, n,
				   "'%s' is no time to wait; write more "
				   "than 0",
				   n->text);
	if (to != NULL)
		*(uint64_t *)to = ns;
	return 0;
}

int config_read_pace(struct config_reader *r, const struct config_node *n,
		     void *to)
{
	struct pace p;
	int res = scalar(r, n, "a pace");
	if (res != 0)
		return res;
	if (pace_parse(n->text, &p) != 0)
		return config_fail(r, n,
				   "'%s' is no pace; write messages per s, "
				   "m, h or d, like 20/s, or 'unlimited'",
				   n->text);
	if (to != NULL)
		*(struct pace *)to = p;
	return 0;
}

/* Decimal digits only. */
static int digits(const char *text, uint64_t *out)
{
	uint64_t v = 0;
	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return -EINVAL;
	}
	*out = v;
	return 0;
}

int config_read_count(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	uint64_t v;
	int res = scalar(r, n, "a number");
	if (res != 0)
		return res;
	if (digits(n->text, &v) != 0)
		return config_fail(r, n, "'%s' is no number; write digits only",
				   n->text);
	if (to != NULL)
		*(uint64_t *)to = v;
	return 0;
}

int config_read_number(struct config_reader *r, const struct config_node *n,
		       uint32_t least, uint32_t most, uint32_t *to)
{
	uint64_t v = 0;
	int res = config_read_count(r, n, &v);
	if (res != 0)
		return res;
	if (v < least || v > most)
		return config_fail(r, n,
				   "%" PRIu64 " is out of range; write %u "
				   "to %u",
				   v, least, most);
	if (to != NULL)
		*to = (uint32_t)v;
	return 0;
}

int config_read_text_list(struct config_reader *r, const struct config_node *n,
			  char ***list, uint32_t *count)
{
	if (config_node_empty(n)) {
		*list = NULL;
		*count = 0;
		return 0;
	}
	int res = config_want(r, n, NODE_LIST);
	if (res != 0)
		return res;
	char **items = config_alloc(r->arena, n->count * sizeof(*items));
	if (items == NULL)
		return config_out_of_memory(r);
	uint32_t i = 0;
	for (const struct config_node *it = n->first; it; it = it->next) {
		res = config_read_text(r, it, &items[i++]);
		if (res != 0)
			return res;
	}
	*list = items;
	*count = i;
	return 0;
}

static void words_join(const char *const *words, char *buf, size_t bytes)
{
	size_t len = 0;
	buf[0] = '\0';
	for (; *words != NULL && len < bytes; words++) {
		int n = snprintf(buf + len, bytes - len, "%s%s",
				 len > 0 ? ", " : "", *words);
		len += n > 0 ? (size_t)n : 0;
	}
}

int config_read_word(struct config_reader *r, const struct config_node *n,
		     const char *const *words, uint32_t *index)
{
	char known[160];
	int res = scalar(r, n, "a word");
	if (res != 0)
		return res;
	for (uint32_t i = 0; words[i] != NULL; i++) {
		if (strcmp(n->text, words[i]) == 0) {
			*index = i;
			return 0;
		}
	}
	const char *near = text_nearest(n->text, words);
	if (near != NULL)
		return config_fail(r, n,
				   "'%s' is not known here; did you mean "
				   "'%s'?",
				   n->text, near);
	words_join(words, known, sizeof(known));
	return config_fail(r, n, "'%s' is not known here; write one of %s",
			   n->text, known);
}

int config_check_name(struct config_reader *r, const struct config_node *n,
		      const char *what)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(n->key);
	if (len == 0 || len > 63 || strspn(n->key, ok) != len)
		return config_fail_key(r, n,
				       "'%s' is no name for a %s; use 1 to "
				       "63 letters, digits, '.', '_', '-'",
				       n->key, what);
	return 0;
}
