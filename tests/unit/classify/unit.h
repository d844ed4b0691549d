/* SPDX-License-Identifier: BSD-2-Clause
 *
 * unit.h - what the tests of this folder share: one rule set, one verdict.
 */
#ifndef SLUICE_TEST_CLASSIFY_UNIT_H
#define SLUICE_TEST_CLASSIFY_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sluice/classify.h"

struct fixture {
	struct classify *c;
	struct classify_scratch *s;
};

static inline int fixture_open(void **state)
{
	static struct fixture f;
	struct err e = {.text = ""};

	if (classify_load(NULL, &f.c, &e) != 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	f.s = classify_scratch_create(f.c);
	*state = &f;
	return f.s == NULL ? -1 : 0;
}

static inline int fixture_close(void **state)
{
	struct fixture *f = *state;

	classify_scratch_destroy(&f->s);
	classify_destroy(&f->c);
	return 0;
}

/* "5.7.1" into three numbers; NULL or "" = none. */
static inline void enhanced_set(struct reply *r, const char *text)
{
	unsigned part[3];
	int i;

	if (text == NULL ||
	    sscanf(text, "%u.%u.%u", &part[0], &part[1], &part[2]) != 3)
		return;
	for (i = 0; i < 3; i++)
		r->enhanced[i] = (uint16_t)part[i];
}

static inline struct verdict verdict_of(struct fixture *f, uint8_t phase,
					uint16_t code, const char *enhanced,
					const char *text)
{
	struct reply r = {.code = code,
			  .phase = phase,
			  .text = text,
			  .text_len = (uint32_t)strlen(text),
			  .provider = "",
			  .remote = ""};
	struct verdict v;

	enhanced_set(&r, enhanced);
	classify_reply(f->c, f->s, &r, &v);
	return v;
}

#endif
