/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reaction.c - the table of reactions to reply classes.
 *
 * Called for each refused recipient. PURE; any thread.
 */
#include "sluiced/reaction.h"

#include <ctype.h>

#include "sluice/assert.h"

#define CONTENT_WINDOW 500u /* answers; then the count halves */
#define CONTENT_MIN    5u
#define CONTENT_SHARE  10u /* one of so many */

/* What a class does by itself; the scope of the verdict refines it. */
static const struct reaction by_class[CLASS_COUNT_] = {
	[CLASS_ACCEPTED] = {REACT_DEFER, REFLEX_NONE},
	[CLASS_RATE_LIMITED] = {REACT_PUT_BACK, REFLEX_EASE},
	[CLASS_BLOCK_IP_TEMPORARY] = {REACT_PUT_BACK, REFLEX_STOP_PATH},
	[CLASS_BLOCK_IP_LIST] = {REACT_PUT_BACK, REFLEX_STOP_SOURCE},
	[CLASS_BLOCK_DOMAIN_POLICY] = {REACT_PUT_BACK, REFLEX_STOP_PROVIDER},
	[CLASS_AUTH_REQUIRED] = {REACT_PUT_BACK, REFLEX_HOLD_SENDER},
	[CLASS_GREYLISTED] = {REACT_GREYLIST, REFLEX_NONE},
	[CLASS_CONTENT_REJECTED] = {REACT_HOLD, REFLEX_NONE},
	[CLASS_MAILBOX_FULL] = {REACT_DEFER, REFLEX_NONE},
	[CLASS_TEMPORARY_REMOTE_ERROR] = {REACT_DEFER, REFLEX_NONE},
	[CLASS_NO_SUCH_USER] = {REACT_FAIL, REFLEX_NONE},
	[CLASS_HOST_UNKNOWN_OR_RELAY_DENIED] = {REACT_FAIL, REFLEX_NONE},
	[CLASS_MAILBOX_DISABLED] = {REACT_FAIL, REFLEX_NONE},
	[CLASS_MESSAGE_TOO_BIG] = {REACT_FAIL, REFLEX_NONE},
	[CLASS_PROTOCOL_TLS] = {REACT_DEFER, REFLEX_NONE},
	[CLASS_UNKNOWN] = {REACT_DEFER, REFLEX_NONE},
};

/* A path, source, provider or sender-domain fact says nothing of the message
 * (promise 2): what is of that scope stops at once. */
static enum reaction_reflex reflex_of_scope(uint8_t scope)
{
	switch (scope) {
	case SCOPE_PATH:
		return REFLEX_STOP_PATH;
	case SCOPE_SOURCE:
		return REFLEX_STOP_SOURCE;
	case SCOPE_PROVIDER:
		return REFLEX_STOP_PROVIDER;
	case SCOPE_SENDER_DOMAIN:
		return REFLEX_HOLD_SENDER;
	default:
		return REFLEX_NONE;
	}
}

static bool scope_is_narrow(uint8_t scope)
{
	return scope == SCOPE_RECIPIENT || scope == SCOPE_MESSAGE;
}

static struct reaction unknown_reaction(const struct verdict *v, uint8_t phase,
					uint16_t code)
{
	struct reaction r = {REACT_DEFER, REFLEX_NONE};

	if (code >= 500) {
		r.rcpt = v->permanent ? REACT_FAIL : REACT_DECIDE;
		if (phase != PHASE_RCPT)
			r.reflex = REFLEX_STOP_PATH;
		/* Before RCPT nobody has been named: nothing to decide of. */
		if (phase < PHASE_RCPT)
			r.rcpt = REACT_PUT_BACK;
	}
	return r;
}

/* How wide it slows down is in the scope; of one recipient or message it is
 * no fact of the path. */
static struct reaction rate_reaction(const struct verdict *v)
{
	if (scope_is_narrow(v->scope))
		return (struct reaction){REACT_DEFER, REFLEX_NONE};
	return by_class[CLASS_RATE_LIMITED];
}

/* A problem of the receiver's: each message is tried again; when nothing else
 * is heard of the receiver it is left alone for a while. Its lifetime goes
 * on, as behind a host that does not answer. */
static struct reaction trouble_reaction(const struct verdict *v)
{
	struct reaction r = by_class[v->reply_class];

	if (v->scope == SCOPE_PROVIDER)
		r.reflex = REFLEX_LEAVE_ALONE;
	else if (v->scope == SCOPE_PATH || v->scope == SCOPE_SOURCE)
		r = (struct reaction){REACT_PUT_BACK,
				      reflex_of_scope(v->scope)};
	return r;
}

static bool class_is_block(uint8_t c)
{
	return c == CLASS_BLOCK_IP_TEMPORARY || c == CLASS_BLOCK_IP_LIST ||
	       c == CLASS_BLOCK_DOMAIN_POLICY || c == CLASS_AUTH_REQUIRED;
}

/* Facts of a recipient: only a permanent one ends it. */
static struct reaction fact_reaction(const struct verdict *v, uint8_t phase,
				     uint16_t code)
{
	if (v->permanent)
		return by_class[v->reply_class];
	if (code < 500)
		return (struct reaction){REACT_DEFER, REFLEX_NONE};
	/* Before RCPT nobody has been named: it speaks of the path. */
	if (phase < PHASE_RCPT)
		return (struct reaction){REACT_PUT_BACK, REFLEX_STOP_PATH};
	return (struct reaction){REACT_DECIDE, REFLEX_NONE};
}

struct reaction reaction_of(const struct verdict *v, uint8_t phase,
			    uint16_t code)
{
	enum reaction_reflex wide = reflex_of_scope(v->scope);

	sluice_assert(v->reply_class < CLASS_COUNT_);
	switch (v->reply_class) {
	case CLASS_UNKNOWN:
		return unknown_reaction(v, phase, code);
	case CLASS_RATE_LIMITED:
		return rate_reaction(v);
	case CLASS_TEMPORARY_REMOTE_ERROR:
	case CLASS_PROTOCOL_TLS:
		return trouble_reaction(v);
	default:
		break;
	}
	if (wide != REFLEX_NONE)
		return (struct reaction){REACT_PUT_BACK, wide};
	if (class_is_block(v->reply_class) && scope_is_narrow(v->scope))
		/* The recipient's own list: nothing else stops. */
		return (struct reaction){REACT_DECIDE, REFLEX_NONE};
	if (by_class[v->reply_class].rcpt == REACT_FAIL)
		return fact_reaction(v, phase, code);
	return by_class[v->reply_class];
}

uint32_t reaction_backoff_s(uint32_t attempts, uint32_t first_s, uint32_t max_s)
{
	uint64_t wait_s = first_s;

	for (uint32_t i = 1; i < attempts && wait_s < max_s; i++)
		wait_s *= 2;
	return wait_s > max_s ? max_s : (uint32_t)wait_s;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* FNV-1a over the words that have neither digit nor '@'. */
uint64_t reaction_text_hash(const char *text, uint32_t len)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (uint32_t i = 0; i < len;) {
		uint32_t from = i;
		bool varies = false;

		for (; i < len && !is_space(text[i]); i++)
			varies |= text[i] == '@' ||
				  (text[i] >= '0' && text[i] <= '9');
		for (; from < i && !varies; from++)
			h = (h ^ (unsigned char)tolower(
					 (unsigned char)text[from])) *
			    0x100000001b3ULL;
		for (; i < len && is_space(text[i]); i++)
			continue;
		h *= varies ? 1 : 0x100000001b3ULL; /* a word ends */
	}
	return h;
}

bool reaction_content_alarm(struct reaction_content *c, uint32_t answered,
			    uint32_t refused)
{
	if (c->answered >= CONTENT_WINDOW) {
		c->answered /= 2;
		c->refused /= 2;
	}
	c->answered += answered;
	c->refused += refused;
	return refused > 0 && c->refused >= CONTENT_MIN &&
	       (uint64_t)c->refused * CONTENT_SHARE >= c->answered;
}
