/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rules_load.c - a rule file into a rule set.
 *
 * Called once at start and on reload, one thread; what it returns is constant.
 * Bound: CLASSIFY_FILE_BYTES_MAX, CLASSIFY_RULES_MAX rules.
 * Errors: -ENOENT and other errnos of open(2), -EFBIG, -EINVAL with
 * file:line:column, -ENOMEM.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classify/loader.h"
#include "classify/rules_builtin.h"
#include "sluice/assert.h"

#define RULES_VERSION "1"

static int read_version(struct loader *ld, void *target, struct fy_node *value)
{
	const char *word;
	int rc = loader_string(ld, value, &word);

	(void)target;
	if (rc == 0 && strcmp(word, RULES_VERSION) != 0)
		return loader_fail(ld, value,
				   "rules of version %.20s; this program reads "
				   "version " RULES_VERSION,
				   word);
	return rc;
}

static int read_providers(struct loader *ld, void *target,
			  struct fy_node *value)
{
	struct classify *c = target;
	struct rule_provider *p;
	struct fy_node_pair *pair;
	void *iter = NULL;
	int rc = 0, count;

	if (!fy_node_is_mapping(value))
		return loader_fail(ld, value, "expected 'name: [MX pattern]'");
	count = fy_node_mapping_item_count(value);
	if (count > CLASSIFY_PROVIDERS_MAX)
		return loader_fail(ld, value, "more than %d providers",
				   CLASSIFY_PROVIDERS_MAX);
	c->providers = arena_alloc(ld->arena, ((size_t)count + 1) * sizeof(*p));
	if (c->providers == NULL)
		return loader_no_memory(ld);
	while (rc == 0 &&
	       (pair = fy_node_mapping_iterate(value, &iter)) != NULL) {
		p = &c->providers[c->provider_count++];
		rc = loader_string(ld, fy_node_pair_key(pair), &p->name);
		if (rc == 0)
			rc = loader_strings(ld, fy_node_pair_value(pair),
					    &p->mx, &p->mx_count);
	}
	return rc;
}

static int read_list_zone(struct loader *ld, void *target, struct fy_node *node)
{
	return loader_string(ld, node, &((struct rule_list *)target)->zone);
}

static int read_list_names(struct loader *ld, void *target,
			   struct fy_node *node)
{
	struct rule_list *list = target;

	return loader_strings(ld, node, &list->names, &list->name_count);
}

static int read_list_delist(struct loader *ld, void *target,
			    struct fy_node *node)
{
	return loader_string(ld, node, &((struct rule_list *)target)->delist);
}

static int read_list_wait(struct loader *ld, void *target, struct fy_node *node)
{
	const char *word;
	int rc = loader_string(ld, node, &word);

	if (rc != 0)
		return rc;
	return loader_duration(ld, node, word,
			       &((struct rule_list *)target)->wait_s);
}

static int read_list_from_last(struct loader *ld, void *target,
			       struct fy_node *node)
{
	return loader_bool(ld, node, &((struct rule_list *)target)->from_last);
}

static const struct loader_field list_fields[] = {
	{"zone", read_list_zone},           {"names", read_list_names},
	{"delist", read_list_delist},       {"wait", read_list_wait},
	{"from_last", read_list_from_last},
};

static int read_list_one(struct loader *ld, void *target, struct fy_node *node)
{
	struct classify *c = target;
	struct rule_list *list = &c->lists[c->list_count++];
	int rc = loader_mapping(ld, node, list_fields,
				sizeof(list_fields) / sizeof(list_fields[0]),
				list);

	if (rc == 0 && (list->zone == NULL || list->name_count == 0))
		return loader_fail(ld, node,
				   "a list needs its 'zone' and its 'names'");
	return rc;
}

static int read_lists(struct loader *ld, void *target, struct fy_node *value)
{
	struct classify *c = target;

	c->list_count = 0;
	c->lists = arena_alloc(ld->arena,
			       (loader_count(value) + 1) * sizeof(*c->lists));
	if (c->lists == NULL)
		return loader_no_memory(ld);
	return loader_each(ld, c, value, read_list_one);
}

static int read_rule_one(struct loader *ld, void *target, struct fy_node *node)
{
	struct classify *c = target;
	struct rule *rule = &c->rules[c->rule_count++];
	uint32_t i;
	int rc = loader_rule(ld, node, rule);

	for (i = 0; rc == 0 && i + 1 < c->rule_count; i++)
		if (strcmp(c->rules[i].id, rule->id) == 0)
			return loader_fail(ld, node, "a second rule '%.60s'",
					   rule->id);
	return rc;
}

static int read_rules(struct loader *ld, void *target, struct fy_node *value)
{
	struct classify *c = target;
	uint32_t count = loader_count(value);

	if (!fy_node_is_sequence(value) || count == 0)
		return loader_fail(ld, value, "expected a list of rules");
	if (count > CLASSIFY_RULES_MAX)
		return loader_fail(ld, value, "more than %d rules",
				   CLASSIFY_RULES_MAX);
	if (c->rules != NULL)
		return loader_fail(ld, value, "a second 'rules'");
	c->rules = arena_alloc(ld->arena, count * sizeof(*c->rules));
	if (c->rules == NULL)
		return loader_no_memory(ld);
	return loader_each(ld, c, value, read_rule_one);
}

static const struct loader_field file_fields[] = {
	{"version", read_version},
	{"providers", read_providers},
	{"lists", read_lists},
	{"rules", read_rules},
};

static int document_fail(struct loader *ld, struct fy_diag *diag)
{
	struct fy_diag_error *error;
	void *iter = NULL;

	error = fy_diag_errors_iterate(diag, &iter);
	if (error == NULL || error->msg == NULL)
		return err_set(ld->e, -EINVAL, "%s: not a YAML file", ld->name);
	return err_set(ld->e, -EINVAL, "%s:%d:%d: %s", ld->name,
		       error->line + 1, error->column + 1, error->msg);
}

/* What libfyaml says goes into the err, not to stderr. */
static void diag_discard(struct fy_diag *diag, void *user, const char *text,
			 size_t len)
{
	(void)diag;
	(void)user;
	(void)text;
	(void)len;
}

static int rules_parse(struct loader *ld, const char *text, size_t len)
{
	struct fy_diag_cfg diag_cfg;
	struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET};
	struct fy_document *document;
	int rc;

	fy_diag_cfg_default(&diag_cfg);
	diag_cfg.fp = NULL;
	diag_cfg.output_fn = diag_discard;
	cfg.diag = fy_diag_create(&diag_cfg);
	if (cfg.diag == NULL)
		return loader_no_memory(ld);
	fy_diag_set_collect_errors(cfg.diag, true);
	document = fy_document_build_from_string(&cfg, text, len);
	if (document == NULL) {
		rc = document_fail(ld, cfg.diag);
	} else if (fy_document_root(document) == NULL) {
		rc = err_set(ld->e, -EINVAL, "%s:1:1: no rules", ld->name);
	} else {
		rc = loader_mapping(
			ld, fy_document_root(document), file_fields,
			sizeof(file_fields) / sizeof(file_fields[0]), ld->c);
		if (rc == 0 && ld->c->rule_count == 0)
			rc = err_set(ld->e, -EINVAL, "%s:1:1: no 'rules'",
				     ld->name);
	}
	fy_document_destroy(document);
	fy_diag_destroy(cfg.diag);
	return rc;
}

static int file_read(const char *path, char **out, size_t *out_len,
		     struct err *e)
{
	FILE *f = fopen(path, "re");
	char *text;
	size_t len;
	int rc = -errno;

	if (f == NULL)
		return err_set(e, rc, "%s: %s", path, err_name(rc));
	text = malloc(CLASSIFY_FILE_BYTES_MAX + 1);
	if (text == NULL) {
		fclose(f);
		return err_set(e, -ENOMEM, "%s: no memory", path);
	}
	len = fread(text, 1, CLASSIFY_FILE_BYTES_MAX + 1, f);
	rc = ferror(f) != 0 ? -EIO : 0;
	fclose(f);
	if (rc == 0 && len > CLASSIFY_FILE_BYTES_MAX)
		rc = -EFBIG;
	if (rc != 0) {
		free(text);
		return err_set(e, rc, "%s: %s", path, err_name(rc));
	}
	*out = text;
	*out_len = len;
	return 0;
}

static int rules_build(struct loader *ld, const char *text, size_t len,
		       bool jit, struct classify **out)
{
	struct classify *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return loader_no_memory(ld);
	c->magic = CLASSIFY_MAGIC;
	c->arena = arena_create();
	ld->c = c;
	ld->arena = c->arena;
	rc = c->arena == NULL ? loader_no_memory(ld)
			      : rules_parse(ld, text, len);
	if (rc == 0) {
		rc = rules_compile(c, &jit);
		if (rc != 0)
			err_set(ld->e, rc, "%s: cannot compile the rules: %s",
				ld->name, err_name(rc));
	}
	if (rc != 0) {
		classify_destroy(&c);
		return rc;
	}
	c->jit = jit;
	*out = c;
	return 0;
}

int rules_load(const char *path, bool jit, struct classify **out, struct err *e)
{
	struct loader ld = {.name = path, .e = e};
	char *text = NULL;
	size_t len = 0;
	int rc;

	if (path == NULL) {
		ld.name = "built-in rules";
		return rules_build(&ld, (const char *)rules_builtin,
				   rules_builtin_bytes, jit, out);
	}
	rc = file_read(path, &text, &len, e);
	if (rc != 0)
		return rc;
	rc = rules_build(&ld, text, len, jit, out);
	free(text);
	return rc;
}

int classify_load(const char *path, struct classify **out, struct err *e)
{
	return rules_load(path, true, out, e);
}

void classify_destroy(struct classify **c)
{
	uint32_t i;

	if (*c == NULL)
		return;
	MAGIC_CHECK(*c, CLASSIFY_MAGIC);
	for (i = 0; i < (*c)->rule_count; i++)
		pcre2_code_free((*c)->rules[i].text_not);
	for (i = 0; i < (*c)->pattern_count; i++)
		pcre2_code_free((*c)->patterns[i].code);
	free((*c)->patterns);
	prefilter_destroy(&(*c)->prefilter);
	arena_destroy(&(*c)->arena);
	(*c)->magic = 0;
	free(*c);
	*c = NULL;
}
