/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rule_pattern.c - text patterns of rules.
 *
 * Called by the loader only, one thread.
 * Errors: a pattern that does not compile is refused with its place and the
 * place within the pattern; a pattern that matches every text as well.
 */
#include "classify/loader.h"

static int pattern_bad(struct loader *ld, struct fy_node *value, int code,
		       size_t offset)
{
	PCRE2_UCHAR text[160];

	if (pcre2_get_error_message(code, text, sizeof(text)) < 0)
		text[0] = '\0';
	return loader_fail(ld, value, "bad pattern at its character %zu: %s",
			   offset + 1, (const char *)text);
}

/* A pattern that matches nothing at all would catch every reply. */
static bool pattern_matches_empty(const pcre2_code *code)
{
	uint32_t empty = 0;

	return pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &empty) == 0 &&
	       empty != 0;
}

/* Compiles without machine code; the caller owns the result. */
static int pattern_check(struct loader *ld, struct fy_node *value,
			 const char *source, pcre2_code **out)
{
	pcre2_code *code;
	PCRE2_SIZE offset;
	int error;

	code = pcre2_compile((PCRE2_SPTR)source, PCRE2_ZERO_TERMINATED,
			     PCRE2_CASELESS, &error, &offset, NULL);
	if (code == NULL)
		return pattern_bad(ld, value, error, offset);
	if (pattern_matches_empty(code)) {
		pcre2_code_free(code);
		return loader_fail(ld, value,
				   "the pattern matches an empty text, so it "
				   "would match every reply");
	}
	*out = code;
	return 0;
}

int loader_pattern(struct loader *ld, struct fy_node *value, pcre2_code **out)
{
	const char *source;
	int rc = loader_string(ld, value, &source);

	if (rc != 0)
		return rc;
	if (*out != NULL)
		return loader_fail(ld, value, "a second pattern");
	return pattern_check(ld, value, source, out);
}

int loader_pattern_source(struct loader *ld, struct fy_node *value,
			  const char **out)
{
	pcre2_code *code = NULL;
	const char *source;
	int rc = loader_string(ld, value, &source);

	if (rc == 0)
		rc = pattern_check(ld, value, source, &code);
	if (rc != 0)
		return rc;
	pcre2_code_free(code);
	*out = source;
	return 0;
}
