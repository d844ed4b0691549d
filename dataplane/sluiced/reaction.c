/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reaction.c - the table of reactions to reply classes.
 *
 * Called for each refused recipient. PURE; any thread.
 */
#include "sluiced/reaction.h"

#include "sluice/assert.h"

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
 * (promise 2). */
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

static bool class_is_block(uint8_t c)
{
	return c == CLASS_BLOCK_IP_TEMPORARY || c == CLASS_BLOCK_IP_LIST ||
	       c == CLASS_BLOCK_DOMAIN_POLICY || c == CLASS_AUTH_REQUIRED;
}

struct reaction reaction_of(const struct verdict *v, uint8_t phase,
			    uint16_t code)
{
	struct reaction r;

	sluice_assert(v->reply_class < CLASS_COUNT_);
	if (v->reply_class == CLASS_UNKNOWN)
		return unknown_reaction(v, phase, code);
	r = by_class[v->reply_class];
	if (v->reply_class == CLASS_RATE_LIMITED &&
	    v->scope == SCOPE_RECIPIENT) {
		r.rcpt = REACT_DEFER;
		r.reflex = REFLEX_NONE;
	} else if (class_is_block(v->reply_class)) {
		enum reaction_reflex s = reflex_of_scope(v->scope);

		if (s != REFLEX_NONE)
			r.reflex = s;
		else if (v->scope == SCOPE_RECIPIENT ||
			 v->scope == SCOPE_MESSAGE) {
			/* The recipient's own list: nothing else stops. */
			r.rcpt = REACT_DECIDE;
			r.reflex = REFLEX_NONE;
		}
	} else if (r.rcpt == REACT_FAIL && !v->permanent && code < 500) {
		r.rcpt = REACT_DEFER;
	} else if (r.rcpt == REACT_FAIL && !v->permanent) {
		/* Before RCPT nobody has been named: it speaks of the path. */
		r.rcpt = phase < PHASE_RCPT ? REACT_PUT_BACK : REACT_DECIDE;
		if (phase < PHASE_RCPT)
			r.reflex = REFLEX_STOP_PATH;
	}
	return r;
}

uint32_t reaction_backoff_s(uint32_t attempts, uint32_t first_s, uint32_t max_s)
{
	uint64_t wait_s = first_s;

	for (uint32_t i = 1; i < attempts && wait_s < max_s; i++)
		wait_s *= 2;
	return wait_s > max_s ? max_s : (uint32_t)wait_s;
}
