/* SPDX-License-Identifier: BSD-2-Clause
 *
 * classify.c - from a reply to a verdict.
 *
 * Called by every worker for each non-2xx reply, by the command line and by
 * the simulator; any thread, each with its own scratch. Allocates nothing.
 * Bound: the rule set, on at most CLASSIFY_TEXT_BYTES of text.
 */
#include "sluice/classify.h"

#include <string.h>

#include "classify/classify_priv.h"
#include "sluice/assert.h"

static const char codes_rule[] = "codes";

/* What a class speaks of unless its rule says otherwise (docs/classify-rules
 * has the table). 0 = it depends on the phase. */
static const uint8_t class_scopes[CLASS_COUNT_] = {
	[CLASS_RATE_LIMITED] = SCOPE_PATH,
	[CLASS_BLOCK_IP_TEMPORARY] = SCOPE_PATH,
	[CLASS_BLOCK_IP_LIST] = SCOPE_SOURCE,
	[CLASS_BLOCK_DOMAIN_POLICY] = SCOPE_PROVIDER,
	[CLASS_AUTH_REQUIRED] = SCOPE_SENDER_DOMAIN,
	[CLASS_GREYLISTED] = SCOPE_RECIPIENT,
	[CLASS_CONTENT_REJECTED] = SCOPE_MESSAGE,
	[CLASS_MAILBOX_FULL] = SCOPE_RECIPIENT,
	[CLASS_NO_SUCH_USER] = SCOPE_RECIPIENT,
	[CLASS_HOST_UNKNOWN_OR_RELAY_DENIED] = SCOPE_RECIPIENT,
	[CLASS_MAILBOX_DISABLED] = SCOPE_RECIPIENT,
	[CLASS_MESSAGE_TOO_BIG] = SCOPE_MESSAGE,
	[CLASS_PROTOCOL_TLS] = SCOPE_PROVIDER,
};

/* Facts of the recipient or of the message: the only ones that may bounce. */
static bool class_is_fact(uint8_t reply_class)
{
	return reply_class == CLASS_NO_SUCH_USER ||
	       reply_class == CLASS_HOST_UNKNOWN_OR_RELAY_DENIED ||
	       reply_class == CLASS_MAILBOX_DISABLED ||
	       reply_class == CLASS_MESSAGE_TOO_BIG;
}

/* Before RCPT nobody was named, so nothing said can be about a recipient; the
 * size of the message is told with MAIL. */
static bool phase_has_fact(uint8_t phase, uint8_t reply_class)
{
	if (phase == PHASE_MAIL)
		return reply_class == CLASS_MESSAGE_TOO_BIG;
	return phase == PHASE_RCPT || phase == PHASE_DATA || phase == PHASE_EOM;
}

static uint8_t scope_default(const struct verdict *v, uint8_t phase,
			     bool is_5xx)
{
	bool addressed = phase == PHASE_RCPT || phase == PHASE_DATA ||
			 phase == PHASE_EOM;

	if (v->reply_class == CLASS_TEMPORARY_REMOTE_ERROR)
		return addressed ? SCOPE_RECIPIENT : SCOPE_PROVIDER;
	if (v->reply_class == CLASS_UNKNOWN && is_5xx && phase != PHASE_RCPT)
		return addressed ? SCOPE_MESSAGE : SCOPE_PATH;
	if (v->reply_class == CLASS_UNKNOWN)
		return SCOPE_RECIPIENT;
	if (class_is_fact(v->reply_class) &&
	    !phase_has_fact(phase, v->reply_class))
		return SCOPE_PATH;
	return class_scopes[v->reply_class];
}

/* Promise: never a bounce for a block. */
static void verdict_finality(struct verdict *v, uint8_t phase,
			     const uint16_t enhanced[3], bool by_codes)
{
	bool fact = class_is_fact(v->reply_class);

	v->permanent = fact && phase_has_fact(phase, v->reply_class) &&
		       (!by_codes || codes_name_address(enhanced));
	v->needs_decision =
		!v->permanent && (fact || v->reply_class == CLASS_UNKNOWN);
}

static uint32_t wait_of(const struct classify_scratch *s,
			const struct rule *rule)
{
	uint32_t told;

	if (!rule->wait_told)
		return rule->wait_s;
	if (s->wait_end > s->wait_from)
		told = wait_duration_s(s->text + s->wait_from,
				       s->wait_end - s->wait_from);
	else
		told = wait_told_s(s->text, s->text_len);
	return told > 0 ? told : rule->wait_s;
}

static void verdict_by_rule(const struct classify *c,
			    struct classify_scratch *s, const struct rule *rule,
			    struct verdict *v)
{
	v->reply_class = rule->reply_class;
	v->scope = rule->scope;
	v->from_last = rule->from_last;
	v->wait_s = wait_of(s, rule);
	v->rule = rule->id;
	lists_name(c, s, rule, v);
}

/* What the numbers are: the code in the struct, else one that the text begins
 * with; one that contradicts the reply code says nothing. */
static void enhanced_of(const struct reply *r, struct classify_scratch *s,
			uint16_t out[3])
{
	size_t used;

	memcpy(out, r->enhanced, sizeof(r->enhanced));
	if (out[0] == 0) {
		used = text_enhanced_parse(s->text, s->text_len, out);
		if (used > 0 && out[0] != r->code / 100)
			memset(out, 0, sizeof(r->enhanced));
	}
}

static void verdict_accepted(uint8_t phase, struct verdict *v)
{
	v->reply_class = CLASS_ACCEPTED;
	v->scope = phase == PHASE_RCPT ? SCOPE_RECIPIENT : SCOPE_MESSAGE;
	v->rule = codes_rule;
}

static void verdict_refused(const struct classify *c,
			    struct classify_scratch *s, const struct reply *r,
			    struct verdict *v)
{
	bool is_5xx = r->code >= 500;
	uint16_t enhanced[3];
	int32_t found;

	s->text_len = text_normalise(r->text, r->text_len, s->text);
	enhanced_of(r, s, enhanced);
	found = rules_match(c, s, r, r->phase, enhanced);
	if (found >= 0) {
		verdict_by_rule(c, s, &c->rules[found], v);
	} else {
		v->reply_class = codes_class(r->code, enhanced, r->phase,
					     s->text_len == 0);
		v->wait_s = is_5xx ? 0 : wait_told_s(s->text, s->text_len);
		v->rule = codes_rule;
	}
	if (v->scope == 0)
		v->scope = scope_default(v, r->phase, is_5xx);
	if (is_5xx)
		verdict_finality(v, r->phase, enhanced, found < 0);
}

void classify_reply(const struct classify *c, struct classify_scratch *s,
		    const struct reply *r, struct verdict *out)
{
	struct verdict v = {0};
	struct reply known = *r;

	MAGIC_CHECK(c, CLASSIFY_MAGIC);
	MAGIC_CHECK(s, CLASSIFY_SCRATCH_MAGIC);
	if (known.phase > PHASE_QUIT)
		known.phase = 0;
	if (known.provider == NULL)
		known.provider = "";
	if (known.remote == NULL)
		known.remote = "";
	if (known.code >= 200 && known.code < 400)
		verdict_accepted(known.phase, &v);
	else
		verdict_refused(c, s, &known, &v);
	*out = v;
}

size_t classify_rule_count(const struct classify *c)
{
	MAGIC_CHECK(c, CLASSIFY_MAGIC);
	return c->rule_count;
}

bool classify_jit(const struct classify *c)
{
	MAGIC_CHECK(c, CLASSIFY_MAGIC);
	return c->jit;
}
