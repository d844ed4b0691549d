/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_classify.c - any bytes as a reply, and any bytes as a rule's pattern.
 *
 * The first seven bytes are code, phase, enhanced code and what the rest is.
 * As a reply there must be a verdict of a known class, final only for facts of
 * a recipient or a message. As a pattern, the literals it is said to demand
 * must be in every text that it matches; otherwise a rule would be skipped in
 * silence.
 */
#include <stdlib.h>
#include <string.h>

#include "classify/classify_priv.h"
#include "fuzz.h"
#include "sluice/assert.h"

#define HEAD_BYTES    7
#define PATTERN_BYTES 200

static struct classify *rules;
static struct classify_scratch *scratch;

static void rules_open(void)
{
	int rc;

	if (rules != NULL)
		return;
	rc = classify_load(NULL, &rules, NULL);
	sluice_assert(rc == 0);
	scratch = classify_scratch_create(rules);
	sluice_assert(scratch != NULL);
}

static void reply_try(const uint8_t *head, const char *text, size_t len)
{
	struct reply r = {.code = (uint16_t)(head[0] << 2 | (head[1] & 3)),
			  .phase = head[2],
			  .enhanced = {head[3], head[4], head[5]},
			  .text = text,
			  .text_len = (uint32_t)len,
			  .provider = head[6] & 2 ? "gmail" : "",
			  .remote = head[6] & 4 ? "mx.example.com" : NULL};
	struct verdict v;

	classify_reply(rules, scratch, &r, &v);
	sluice_assert(class_name(v.reply_class) != NULL);
	sluice_assert(scope_name(v.scope) != NULL);
	sluice_assert(v.rule != NULL);
	sluice_assert(!v.permanent ||
		      (r.code >= 500 && v.scope <= SCOPE_MESSAGE));
	sluice_assert(!(v.permanent && v.needs_decision));
	sluice_assert(v.wait_s <= CLASSIFY_WAIT_S_MAX);
	sluice_assert(scratch->text_len <= CLASSIFY_TEXT_BYTES + 1);
}

/* Whether one of the demanded literals is in the text. */
static bool demanded(const struct literal_set *set, const char *text,
		     size_t len)
{
	uint32_t i;

	for (i = 0; i < set->count; i++)
		if (memmem(text, len, set->item[i].text, set->item[i].len) !=
		    NULL)
			return true;
	return set->count == 0;
}

static void pattern_try(const char *input, size_t len)
{
	static struct literal_set set;
	char pattern[PATTERN_BYTES + 1], text[CLASSIFY_TEXT_BYTES + 8];
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_code *code;
	PCRE2_SIZE offset;
	uint32_t text_len;
	int error;
	size_t cut = strnlen(input, len < PATTERN_BYTES ? len : PATTERN_BYTES);

	memcpy(pattern, input, cut);
	pattern[cut] = '\0';
	literals_of_pattern(pattern, &set);
	code = pcre2_compile((PCRE2_SPTR)pattern, cut, PCRE2_CASELESS, &error,
			     &offset, NULL);
	if (code == NULL)
		return;
	text_len = text_normalise(input + cut, (uint32_t)(len - cut), text);
	match = pcre2_match_data_create_from_pattern(code, NULL);
	context = pcre2_match_context_create(NULL);
	sluice_assert(match != NULL && context != NULL);
	pcre2_set_match_limit(context, CLASSIFY_MATCH_LIMIT);
	pcre2_set_depth_limit(context, 1000);
	if (pcre2_match(code, (PCRE2_SPTR)text, text_len, 0, 0, match,
			context) >= 0)
		sluice_assert(demanded(&set, text, text_len));
	pcre2_match_context_free(context);
	pcre2_match_data_free(match);
	pcre2_code_free(code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_BYTES)
		return 0;
	rules_open();
	if (data[6] & 1)
		pattern_try((const char *)data + HEAD_BYTES, size - HEAD_BYTES);
	else
		reply_try(data, (const char *)data + HEAD_BYTES,
			  size - HEAD_BYTES);
	return 0;
}

struct sample {
	char head[HEAD_BYTES];
	const char *text;
	const char *match; /* behind a NUL, when `text` is a pattern */
};

static const struct sample samples[] = {
	{{(char)137, 2, PHASE_RCPT, 5, 1, 1, 0},
	 "<a@b.example> User unknown",
	 NULL},
	{{112, 3, PHASE_RCPT, 4, 7, 1, 0},
	 "Greylisted, come back in 00:05:00",
	 NULL},
	{{(char)138, 2, PHASE_EOM, 5, 7, 1, 4},
	 "Client host [192.0.2.25] blocked using zen.spamhaus.org",
	 NULL},
	{{105, 1, PHASE_CONNECT, 0, 0, 0, 2},
	 "Too many connections\nwait 300 seconds",
	 NULL},
	{{0, 0, 0, 0, 0, 0, 1},
	 "user (?:is )?unknown|no such (?<list>[a-z.]+)",
	 "user is unknown"},
	{{0, 0, 0, 0, 0, 0, 1},
	 "(?=.*host)ab+c{0,2}d?(?!x)[^]a-z]*\\bfoo",
	 "host abbccd  foo"},
};

size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	const struct sample *s = &samples[number];
	size_t len, more;

	if (number >= sizeof(samples) / sizeof(samples[0]))
		return 0;
	len = strlen(s->text);
	more = s->match != NULL ? strlen(s->match) + 1 : 0;
	sluice_assert(HEAD_BYTES + len + more <= max);
	memcpy(out, s->head, HEAD_BYTES);
	memcpy(out + HEAD_BYTES, s->text, len);
	if (more > 0) {
		out[HEAD_BYTES + len] = '\0';
		memcpy(out + HEAD_BYTES + len + 1, s->match, more - 1);
	}
	return HEAD_BYTES + len + more;
}
