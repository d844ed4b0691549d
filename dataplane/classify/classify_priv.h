/* SPDX-License-Identifier: BSD-2-Clause
 *
 * classify_priv.h - the loaded rule set and what the files of this folder
 * share. Nobody outside dataplane/classify and its tests includes it.
 *
 * Everything here is constant after rules_load(); only a scratch changes, and
 * a scratch belongs to one thread.
 */
#ifndef SLUICE_CLASSIFY_PRIV_H
#define SLUICE_CLASSIFY_PRIV_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "classify/prefilter.h"
#include "sluice/classify.h"

#define CLASSIFY_MAGIC          0x434c5353u
#define CLASSIFY_SCRATCH_MAGIC  0x434c5343u
#define CLASSIFY_TEXT_BYTES     2048 /* of a reply that are looked at */
#define CLASSIFY_TAIL_BYTES     512  /* of them from the end of a longer one */
#define CLASSIFY_LIST_BYTES     128
#define CLASSIFY_RULES_MAX      1024
#define CLASSIFY_PROVIDERS_MAX  128
#define CLASSIFY_FILE_BYTES_MAX (4u << 20)
#define CLASSIFY_CONDITIONS_MAX 24 /* codes or enhanced codes of one rule */
#define CLASSIFY_WAIT_S_MAX     604800u /* 7 days */
/* Steps that one pattern may take on one text, and how many patterns may run
 * into that before the reply falls to the codes: the bound on time. */
#define CLASSIFY_MATCH_LIMIT     20000
#define CLASSIFY_LIMIT_HITS_MAX  3
#define CLASSIFY_MEMORY_SLOTS    3
#define CLASSIFY_MEMORY_BYTES    65536
#define CLASSIFY_JIT_STACK_BYTES 131072

struct rule_range {
	uint16_t low, high; /* both included */
};

struct rule_enhanced {
	struct rule_range part[3];
};

struct rule_example {
	const char *text;   /* "PHASE CODE [ENHANCED] TEXT" */
	int64_t wait_s;     /* expected; -1 = not checked */
	const char *list;   /* expected; NULL = not checked */
	struct reply reply; /* of `text`; points into it */
};

struct rule {
	const char *id;
	uint8_t reply_class;
	uint8_t scope; /* 0 = the default of the class */
	bool from_last;
	bool wait_told;  /* look for a wait in the text */
	uint32_t wait_s; /* when none is told */
	uint16_t phases; /* bit per enum reply_phase; 0 = all */
	struct rule_range *codes;
	uint32_t code_count; /* 0 = all */
	struct rule_enhanced *enhanced;
	uint32_t enhanced_count; /* 0 = all */
	int32_t provider;        /* index, -1 = none */
	const char *provider_mx; /* an MX pattern instead of a name */
	const char *remote;      /* MX pattern, NULL = any */
	const char *text;        /* the pattern as written; NULL = any */
	pcre2_code *text_not;    /* NULL = none; a match rules the rule out */
	const char *list;
	const char *delist;
	struct rule_example *examples;
	uint32_t example_count;
};

/* One alternative of a rule's pattern. "a|b" is kept as two, so that of long
 * rules only those alternatives run whose words occur in the text. */
struct rule_pattern {
	uint32_t rule;
	pcre2_code *code;    /* NULL: the rule has no text condition */
	uint32_t wait_group; /* 0 = none */
	uint32_t list_group;
};

/* A receiver that rules name: its configured name or its MX hosts. */
struct rule_provider {
	const char *name;
	const char **mx;
	uint32_t mx_count;
};

/* A public DNSBL: how texts call it, which zone says when it is clear. */
struct rule_list {
	const char *zone;
	const char **names;
	uint32_t name_count;
	const char *delist;
	uint32_t wait_s;
	bool from_last;
};

struct arena; /* every string and array of a rule set; see arena.h */

struct classify {
	uint32_t magic;
	bool jit;
	struct rule *rules; /* those of a provider first, else as in the file */
	uint32_t rule_count;
	struct rule_pattern *patterns; /* in the order of their rules */
	uint32_t pattern_count, pattern_size;
	struct rule_provider *providers;
	uint32_t provider_count;
	struct rule_list *lists;
	uint32_t list_count;
	struct prefilter *prefilter;
	/* Which patterns are possible at all, by phase and first digit. */
	uint64_t possible[PHASE_QUIT + 1][2][PREFILTER_WORDS];
	struct arena *arena;
};

struct classify_scratch {
	uint32_t magic;
	uint32_t limit_hits; /* patterns that were given up, this reply */
	uint32_t text_len;
	pcre2_general_context *memory;
	pcre2_match_context *context;
	pcre2_match_data *match;
	pcre2_jit_stack *stack;
	uint64_t candidates[PREFILTER_WORDS];
	/* What the groups `wait` and `list` caught; end 0 = nothing. */
	uint32_t wait_from, wait_end;
	uint32_t list_from, list_end;
	int8_t provider[CLASSIFY_PROVIDERS_MAX]; /* -1 = not asked yet */
	char text[CLASSIFY_TEXT_BYTES + 8];
	char list[CLASSIFY_LIST_BYTES];
	/* PCRE2 gets its memory from here, never from the heap. */
	bool slot_used[CLASSIFY_MEMORY_SLOTS];
	_Alignas(16) char slot[CLASSIFY_MEMORY_SLOTS][CLASSIFY_MEMORY_BYTES];
};

/* rules_load.c: `jit` false = interpret the patterns (for tests). */
int rules_load(const char *path, bool jit, struct classify **out,
	       struct err *e);

/* rules_compile.c: orders the rules, compiles and indexes their patterns.
 * `jit` is cleared where there is no executable memory. -ENOMEM, -EINVAL. */
int rules_compile(struct classify *c, bool *jit);

/* text.c: lower case, white space and control bytes as one blank, addresses
 * as "x@x" so that no word of an address is taken for the receiver's. Returns
 * the length, at most CLASSIFY_TEXT_BYTES; 0-terminates. */
uint32_t text_normalise(const char *in, uint32_t in_len,
			char out[CLASSIFY_TEXT_BYTES + 8]);
/* Reads an enhanced code, "4.7.28"; returns the bytes taken, 0 = none. */
size_t text_enhanced_parse(const char *in, size_t len, uint16_t out[3]);

/* match.c: the index of the first rule that fits, -1 = none. Leaves what its
 * groups caught in the scratch. */
int32_t rules_match(const struct classify *c, struct classify_scratch *s,
		    const struct reply *r, uint8_t phase,
		    const uint16_t enhanced[3]);

/* wait.c: a told wait ("try again in 00:05:00"); 0 = none. */
uint32_t wait_told_s(const char *text, size_t len);
/* Any duration at the beginning of `text`; 0 = none. */
uint32_t wait_duration_s(const char *text, size_t len);

/* codes.c: what RFC 3463 and RFC 5321 make of the numbers alone. */
uint8_t codes_class(uint16_t code, const uint16_t enhanced[3], uint8_t phase,
		    bool text_empty);
/* Whether the enhanced code says that the address itself is bad. */
bool codes_name_address(const uint16_t enhanced[3]);

/* lists.c: fills in list, delisting note, wait. */
void lists_name(const struct classify *c, struct classify_scratch *s,
		const struct rule *rule, struct verdict *v);

#endif
