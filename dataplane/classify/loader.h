/* SPDX-License-Identifier: BSD-2-Clause
 *
 * loader.h - what the files that read a rule file share.
 *
 * One thread, only while loading. Every function that can fail returns 0 or
 * -errno and has then put "file:line:column: what" into the loader's err.
 */
#ifndef SLUICE_CLASSIFY_LOADER_H
#define SLUICE_CLASSIFY_LOADER_H

#include <libfyaml.h>

#include "classify/arena.h"
#include "classify/classify_priv.h"

struct loader {
	const char *name; /* of the file, for errors */
	struct classify *c;
	struct arena *arena;
	struct err *e;
};

/* A key that a mapping may have, and what reads its value into `target`. */
struct loader_field {
	const char *name;
	int (*read)(struct loader *ld, void *target, struct fy_node *value);
};

/* loader_yaml.c */
int loader_fail(struct loader *ld, struct fy_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int loader_no_memory(struct loader *ld);
/* Says which of `names` was probably meant; "" if none is near. */
const char *loader_nearest(const char *word, const char *const *names,
			   size_t count);
int loader_mapping(struct loader *ld, struct fy_node *map,
		   const struct loader_field *fields, size_t count,
		   void *target);
/* A copy in the arena; an empty scalar is an error. */
int loader_string(struct loader *ld, struct fy_node *value, const char **out);
/* A scalar or a sequence of scalars; calls `read` for each. */
int loader_each(struct loader *ld, void *target, struct fy_node *value,
		int (*read)(struct loader *ld, void *target,
			    struct fy_node *item));
uint32_t loader_count(struct fy_node *value); /* of such a list */
int loader_bool(struct loader *ld, struct fy_node *value, bool *out);
int loader_strings(struct loader *ld, struct fy_node *value, const char ***out,
		   uint32_t *count);
/* "90s", "5m", "4h", "1d"; a bare number is an error. */
int loader_duration(struct loader *ld, struct fy_node *value, const char *text,
		    uint32_t *seconds);

/* rule_fields.c, rule_pattern.c */
int loader_rule(struct loader *ld, struct fy_node *map, struct rule *rule);
int loader_pattern(struct loader *ld, struct fy_node *value, pcre2_code **out);
/* Checks the pattern and keeps only its source. */
int loader_pattern_source(struct loader *ld, struct fy_node *value,
			  const char **out);
/* rule_examples.c: of `target`, a struct rule. */
int loader_examples(struct loader *ld, void *target, struct fy_node *value);

#endif
