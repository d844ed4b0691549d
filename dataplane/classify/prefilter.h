/* SPDX-License-Identifier: BSD-2-Clause
 *
 * prefilter.h - which patterns can match a text at all, in one pass over it.
 *
 * From each pattern a set of literals is derived one of which must occur
 * wherever the pattern matches; they are found by their rarest three bytes.
 * A pattern without such literals is always a candidate. Constant after
 * creation; any thread may run it.
 */
#ifndef SLUICE_CLASSIFY_PREFILTER_H
#define SLUICE_CLASSIFY_PREFILTER_H

#include <stddef.h>
#include <stdint.h>

#define PREFILTER_ITEMS_MAX    4096
#define PREFILTER_WORDS        (PREFILTER_ITEMS_MAX / 64)
#define PREFILTER_GRAM_BYTES   3
#define PREFILTER_LITERALS_MAX 96 /* of one pattern */
#define PREFILTER_LITERAL_MAX  64 /* bytes; longer ones are cut */

struct literal {
	uint8_t len;
	char text[PREFILTER_LITERAL_MAX];
};

struct literal_set {
	uint32_t count; /* 0 = the pattern demands no literal */
	struct literal item[PREFILTER_LITERALS_MAX];
};

struct prefilter;

struct prefilter *prefilter_create(void); /* NULL: no memory */
void prefilter_destroy(struct prefilter **p);
/* `pattern` NULL = no text condition: always a candidate. -ENOMEM. */
int prefilter_add(struct prefilter *p, uint32_t item, const char *pattern);
/* Sets the bit of every item that can match; `text` is lower case. */
void prefilter_run(const struct prefilter *p, const char *text, size_t len,
		   uint64_t out[PREFILTER_WORDS]);
/* How many items are always candidates. */
uint32_t prefilter_always_count(const struct prefilter *p);

/* literals.c: what `pattern` (PCRE2, caseless) demands, in lower case. */
void literals_of_pattern(const char *pattern, struct literal_set *out);

#endif
