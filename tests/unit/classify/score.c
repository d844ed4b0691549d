/* SPDX-License-Identifier: BSD-2-Clause
 *
 * score.c - counts how many replies of a file get their class.
 */
#include "score.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classify/classify_priv.h"

#define SCORE_LINE_BYTES 4096
#define SCORE_COLUMNS    6

enum decision { DECISION_OTHER, DECISION_BLOCK, DECISION_RATE };

static enum decision decision_of(int reply_class)
{
	switch (reply_class) {
	case CLASS_RATE_LIMITED:
		return DECISION_RATE;
	case CLASS_BLOCK_IP_TEMPORARY:
	case CLASS_BLOCK_IP_LIST:
	case CLASS_BLOCK_DOMAIN_POLICY:
		return DECISION_BLOCK;
	default:
		return DECISION_OTHER;
	}
}

static int columns_split(char *line, char *column[SCORE_COLUMNS])
{
	int count = 0;
	char *next = line;

	while (next != NULL && count < SCORE_COLUMNS)
		column[count++] = strsep(&next, "\t");
	return count;
}

static bool is_fact(int reply_class)
{
	return reply_class == CLASS_NO_SUCH_USER ||
	       reply_class == CLASS_HOST_UNKNOWN_OR_RELAY_DENIED ||
	       reply_class == CLASS_MAILBOX_DISABLED ||
	       reply_class == CLASS_MESSAGE_TOO_BIG;
}

/* Columns from the end, as the first, the source, may be missing. */
static int line_read(char *line, struct reply *r, int *expected)
{
	char *column[SCORE_COLUMNS], **c;
	int count, phase;

	line[strcspn(line, "\n")] = '\0';
	count = columns_split(line, column);
	if (count < SCORE_COLUMNS - 1)
		return -EINVAL;
	c = column + count - 5;
	phase = phase_parse(c[0]);
	*expected = class_parse(c[4]);
	if (phase < 0 || *expected < 0)
		return -EINVAL;
	memset(r, 0, sizeof(*r));
	r->phase = (uint8_t)phase;
	r->code = (uint16_t)strtoul(c[1], NULL, 10);
	text_enhanced_parse(c[2], strlen(c[2]), r->enhanced);
	r->text = c[3];
	r->text_len = (uint32_t)strlen(c[3]);
	r->provider = "";
	r->remote = "";
	return 0;
}

static void reply_score(const struct classify *c, struct classify_scratch *s,
			const struct reply *r, int expected, int verbose,
			struct score *out)
{
	struct verdict v;

	classify_reply(c, s, r, &v);
	out->total++;
	out->by_codes += strcmp(v.rule, "codes") == 0;
	out->decision_right +=
		decision_of(v.reply_class) == decision_of(expected);
	if (v.permanent && !is_fact(expected)) {
		out->wrongly_final++;
		fprintf(stderr, "would bounce: %.*s\n", (int)r->text_len,
			r->text);
	}
	if (v.reply_class == expected) {
		out->class_right++;
	} else if (verbose) {
		fprintf(stderr, "%s%s, not %s (rule %s): %u %.*s\n",
			decision_of(v.reply_class) == decision_of(expected)
				? ""
				: "! ",
			class_name(v.reply_class),
			class_name((uint8_t)expected), v.rule, r->code,
			(int)r->text_len, r->text);
	}
}

int score_file(const char *path, int verbose, struct score *out)
{
	struct err e = {.text = ""};
	struct classify *c = NULL;
	struct classify_scratch *s;
	char line[SCORE_LINE_BYTES];
	FILE *f = fopen(path, "re");
	struct reply r;
	int expected, rc;

	memset(out, 0, sizeof(*out));
	if (f == NULL)
		return -errno;
	rc = classify_load(NULL, &c, &e);
	if (rc != 0) {
		fprintf(stderr, "%s\n", e.text);
		fclose(f);
		return rc;
	}
	s = classify_scratch_create(c);
	while (rc == 0 && fgets(line, sizeof(line), f) != NULL) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		rc = line_read(line, &r, &expected);
		if (rc == 0)
			reply_score(c, s, &r, expected, verbose, out);
		else
			fprintf(stderr, "%s: bad line: %s\n", path, line);
	}
	classify_scratch_destroy(&s);
	classify_destroy(&c);
	fclose(f);
	return rc;
}
