/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_priv.h - the parts of the config reader among themselves.
 *
 * A YAML file becomes a tree of nodes that know their place; tables of keys
 * say what may stand where and who reads it. One thread, at start or reload.
 */
#ifndef SLUICE_CONFIG_PRIV_H
#define SLUICE_CONFIG_PRIV_H

#include <stddef.h>

#include "sluice/config.h"

/* ---- memory: everything of one config lives and dies together */
struct config_arena {
	struct config_chunk *chunks;
};
/* Zeroed; NULL = out of memory. */
void *config_alloc(struct config_arena *a, size_t bytes);
char *config_strdup(struct config_arena *a, const char *text);
void config_arena_fini(struct config_arena *a);

#define CONFIG_MAGIC   0xc0f1a5e7u
#define CONFIG_RUN_DIR "/run/sluice"
#define CONFIG_SOCKET  "sluiced.sock" /* in run.dir */

/* The whole file, to be freed. -errno with a sentence. */
int config_file_read(const char *path, char **text, struct err *e);

struct config_owner {
	struct config config; /* first: config_destroy() gets this one */
	struct config_arena arena;
	uint32_t magic;
};

/* ---- the file as a tree */
enum config_node_type { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct config_node {
	enum config_node_type type;
	uint32_t line, column; /* from 1 */
	const char *text;      /* scalar */
	bool plain;            /* scalar without quotes */
	const char *key;       /* in a map: the key before it */
	uint32_t key_line, key_column;
	struct config_node *next; /* the next item of the same parent */
	struct config_node *first, *last;
	uint32_t count;
};

/* `root` is NULL for a file without content. */
int config_tree_parse(struct config_arena *a, const char *text,
		      const char *name, const struct config_node **root,
		      struct err *e);

/* ---- reading */
struct config_reader {
	const char *name; /* of the file, for messages */
	struct config_arena *arena;
	struct config *config;
	struct err *e;
};

/* Says "name:line:column: sentence" about a value or its key; -EINVAL. */
int config_fail(struct config_reader *r, const struct config_node *n,
		const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int config_fail_key(struct config_reader *r, const struct config_node *n,
		    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int config_out_of_memory(struct config_reader *r);

/* One key of a map: read by `read` into `to` + offset, or (keys != NULL) a map
 * of its own at that place. An entry without name ends a table. */
struct config_key {
	const char *name;
	int (*read)(struct config_reader *r, const struct config_node *n,
		    void *to);
	size_t offset;
	const struct config_key *keys;
};
/* Unknown keys first, then the values in the order of the table. `what` names
 * the map in messages: "listen", "provider 'gmail'". */
int config_read_map(struct config_reader *r, const struct config_node *n,
		    const struct config_key *keys, void *to, const char *what);
/* Nothing given: an empty file, "providers:" without anything. */
bool config_node_empty(const struct config_node *n);
int config_want(struct config_reader *r, const struct config_node *n,
		enum config_node_type type);
const struct config_node *config_node_find(const struct config_node *map,
					   const char *key);

/* ---- values; `to` is what the comment says. NULL = check only. */
int config_read_text(struct config_reader *r, const struct config_node *n,
		     void *to); /* char * */
int config_read_path(struct config_reader *r, const struct config_node *n,
		     void *to); /* char *, absolute */
int config_read_size(struct config_reader *r, const struct config_node *n,
		     void *to); /* uint64_t */
int config_read_duration(struct config_reader *r, const struct config_node *n,
			 void *to); /* uint64_t, not 0 */
int config_read_pace(struct config_reader *r, const struct config_node *n,
		     void *to); /* struct pace */
int config_read_count(struct config_reader *r, const struct config_node *n,
		      void *to); /* uint64_t */
int config_read_number(struct config_reader *r, const struct config_node *n,
		       uint32_t least, uint32_t most, uint32_t *to);
int config_read_text_list(struct config_reader *r, const struct config_node *n,
			  char ***list, uint32_t *count);
/* Index of the word in `words` (NULL-terminated). */
int config_read_word(struct config_reader *r, const struct config_node *n,
		     const char *const *words, uint32_t *index);
/* A name for sources, pools, providers: letters, digits, . _ - */
int config_check_name(struct config_reader *r, const struct config_node *n,
		      const char *what);

/* A key that cannot change while the program runs, and has another value. */
bool config_fixed_differs(const struct config *before,
			  const struct config *after, const char *key);

/* ---- sections; `to` is the struct config */
int config_read_listens(struct config_reader *r, const struct config_node *n,
			void *to);
int config_read_sources(struct config_reader *r, const struct config_node *n,
			void *to);
int config_read_pools(struct config_reader *r, const struct config_node *n,
		      void *to);
int config_read_providers(struct config_reader *r, const struct config_node *n,
			  void *to);
int config_read_domains(struct config_reader *r, const struct config_node *n,
			void *to);
int config_read_resolver(struct config_reader *r, const struct config_node *n,
			 void *to);
/* config_delivery.c */
extern const struct config_key config_keys_delivery[];
void config_delivery_defaults(struct config *c);
/* Once the file is read: timeouts that were not named. */
void config_delivery_complete(struct config *c);
/* Of other programs: checked, nothing is kept. */
int config_read_warm_up(struct config_reader *r, const struct config_node *n,
			void *to);
int config_read_reputation(struct config_reader *r, const struct config_node *n,
			   void *to);
int config_read_control(struct config_reader *r, const struct config_node *n,
			void *to);
int config_read_shaper(struct config_reader *r, const struct config_node *n,
		       void *to);

#endif
