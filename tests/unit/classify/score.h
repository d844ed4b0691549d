/* SPDX-License-Identifier: BSD-2-Clause
 *
 * score.h - reads replies with their expected class and counts the hits.
 *
 * Shared by the test of replies.tsv and by the command that scores any other
 * file of that form. Columns: [source,] phase, code, enhanced, text, class.
 */
#ifndef SLUICE_TEST_CLASSIFY_SCORE_H
#define SLUICE_TEST_CLASSIFY_SCORE_H

#include "sluice/classify.h"

struct score {
	uint32_t total;
	uint32_t class_right;
	uint32_t decision_right; /* block / rate limit / other */
	uint32_t by_codes;       /* no rule knew them */
	uint32_t wrongly_final;  /* would bounce though no recipient fact */
};

/* 0, or -errno. Prints every miss to stderr when `verbose`. */
int score_file(const char *path, int verbose, struct score *out);

#endif
