/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_unit.h - a config from a text, or the sentence that refuses it.
 */
#ifndef SLUICE_TESTS_UNIT_BASE_CONFIG_UNIT_H
#define SLUICE_TESTS_UNIT_BASE_CONFIG_UNIT_H

#include <errno.h>

#include "sluice/config.h"
#include "unit.h"

static inline struct config *parse(const char *text)
{
	struct config *c = NULL;
	struct err e = {""};
	if (config_parse(text, "t.yaml", &c, &e) != 0)
		fail_msg("refused: %s", e.text);
	return c;
}

/* The whole sentence, so that position, fact and advice are all checked. */
static inline void refused(const char *text, const char *sentence)
{
	struct config *c = (struct config *)(uintptr_t)1;
	struct err e = {""};
	assert_int_equal(config_parse(text, "t.yaml", &c, &e), -EINVAL);
	assert_string_equal(e.text, sentence);
	assert_ptr_equal(c, (struct config *)(uintptr_t)1);
}

#endif
