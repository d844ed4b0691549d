/* SPDX-License-Identifier: BSD-2-Clause
 *
 * score_main.c - scores the built-in rules on files of labelled replies:
 * classify_score FILE... prints the misses and one line per file.
 */
#include <stdio.h>
#include <string.h>

#include "score.h"

int main(int argc, char **argv)
{
	struct score score;
	int i, rc, status = 0;

	for (i = 1; i < argc; i++) {
		rc = score_file(argv[i], 1, &score);
		if (rc != 0) {
			fprintf(stderr, "%s: %s\n", argv[i], err_name(rc));
			status = 66;
			continue;
		}
		printf("%s: %u replies, class %.1f %%, decision %.1f %%, "
		       "%u by codes alone, %u wrongly final\n",
		       argv[i], score.total,
		       100.0 * score.class_right / score.total,
		       100.0 * score.decision_right / score.total,
		       score.by_codes, score.wrongly_final);
	}
	return argc > 1 ? status : 64;
}
