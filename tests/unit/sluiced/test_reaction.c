/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_reaction.c - what replies lead to. Catches a block that bounces mail
 * (promise 2), a reflex that is missing or too wide, and a wrong back-off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sluiced/reaction.h"

static struct verdict verdict(uint8_t reply_class, uint8_t scope)
{
	return (struct verdict){.reply_class = reply_class, .scope = scope};
}

/* Whatever the code and the phase: a fact about us fails no recipient. */
static void block_never_fails_a_recipient(void **state)
{
	static const uint8_t classes[] = {
		CLASS_RATE_LIMITED,  CLASS_BLOCK_IP_TEMPORARY,
		CLASS_BLOCK_IP_LIST, CLASS_BLOCK_DOMAIN_POLICY,
		CLASS_AUTH_REQUIRED, CLASS_GREYLISTED};

	(void)state;
	for (size_t i = 0; i < sizeof(classes); i++)
		for (uint8_t scope = SCOPE_RECIPIENT; scope <= SCOPE_PROVIDER;
		     scope++)
			for (uint8_t ph = PHASE_CONNECT; ph <= PHASE_EOM; ph++)
				for (uint16_t code = 421; code <= 571; code++) {
					struct verdict v =
						verdict(classes[i], scope);

					/* even if a rule said so */
					v.permanent = true;
					assert_int_not_equal(
						reaction_of(&v, ph, code).rcpt,
						REACT_FAIL);
				}
}

static void scope_decides_how_wide_a_block_stops(void **state)
{
	static const struct {
		uint8_t scope;
		enum reaction_reflex reflex;
	} cases[] = {{SCOPE_PATH, REFLEX_STOP_PATH},
		     {SCOPE_SOURCE, REFLEX_STOP_SOURCE},
		     {SCOPE_PROVIDER, REFLEX_STOP_PROVIDER},
		     {SCOPE_SENDER_DOMAIN, REFLEX_HOLD_SENDER},
		     {SCOPE_RECIPIENT, REFLEX_NONE}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verdict v = verdict(CLASS_BLOCK_IP_LIST, cases[i].scope);

		assert_int_equal(reaction_of(&v, PHASE_RCPT, 550).reflex,
				 cases[i].reflex);
	}
}

static void rate_limit_eases_and_puts_back(void **state)
{
	struct verdict v = verdict(CLASS_RATE_LIMITED, SCOPE_PATH);
	struct reaction r = reaction_of(&v, PHASE_MAIL, 421);

	(void)state;
	assert_int_equal(r.rcpt, REACT_PUT_BACK);
	assert_int_equal(r.reflex, REFLEX_EASE);
}

/* Only this recipient gets too much mail: the path is as good as before. */
static void rate_limit_of_a_recipient_leaves_the_path(void **state)
{
	struct verdict v = verdict(CLASS_RATE_LIMITED, SCOPE_RECIPIENT);
	struct reaction r = reaction_of(&v, PHASE_RCPT, 450);

	(void)state;
	assert_int_equal(r.rcpt, REACT_DEFER);
	assert_int_equal(r.reflex, REFLEX_NONE);
}

static void unknown_permanent_needs_a_decision(void **state)
{
	struct verdict v = verdict(CLASS_UNKNOWN, SCOPE_RECIPIENT);

	(void)state;
	v.needs_decision = true;
	assert_int_equal(reaction_of(&v, PHASE_RCPT, 550).rcpt, REACT_DECIDE);
	assert_int_equal(reaction_of(&v, PHASE_RCPT, 550).reflex, REFLEX_NONE);
	assert_int_equal(reaction_of(&v, PHASE_EOM, 554).rcpt, REACT_DECIDE);
	assert_int_equal(reaction_of(&v, PHASE_EOM, 554).reflex,
			 REFLEX_STOP_PATH);
	/* A greeting names no recipient. */
	assert_int_equal(reaction_of(&v, PHASE_CONNECT, 554).rcpt,
			 REACT_PUT_BACK);
	assert_int_equal(reaction_of(&v, PHASE_RCPT, 450).rcpt, REACT_DEFER);
	v.permanent = true; /* an enhanced code that names the address */
	assert_int_equal(reaction_of(&v, PHASE_RCPT, 550).rcpt, REACT_FAIL);
}

static void recipient_facts_fail_only_when_permanent(void **state)
{
	struct verdict v = verdict(CLASS_NO_SUCH_USER, SCOPE_RECIPIENT);

	(void)state;
	assert_int_equal(reaction_of(&v, PHASE_RCPT, 450).rcpt, REACT_DEFER);
	v.permanent = true;
	assert_int_equal(reaction_of(&v, PHASE_RCPT, 550).rcpt, REACT_FAIL);
}

/* "No such user" as the answer to MAIL cannot mean the recipient. */
static void recipient_facts_before_rcpt_stop_the_path(void **state)
{
	struct verdict v = verdict(CLASS_NO_SUCH_USER, SCOPE_PATH);
	struct reaction r = reaction_of(&v, PHASE_MAIL, 550);

	(void)state;
	assert_int_equal(r.rcpt, REACT_PUT_BACK);
	assert_int_equal(r.reflex, REFLEX_STOP_PATH);
}

static void content_is_held_for_the_operator(void **state)
{
	struct verdict v = verdict(CLASS_CONTENT_REJECTED, SCOPE_MESSAGE);

	(void)state;
	assert_int_equal(reaction_of(&v, PHASE_EOM, 550).rcpt, REACT_HOLD);
}

static void backoff_doubles_up_to_its_limit(void **state)
{
	(void)state;
	assert_int_equal(reaction_backoff_s(1, 300, 14400), 300);
	assert_int_equal(reaction_backoff_s(2, 300, 14400), 600);
	assert_int_equal(reaction_backoff_s(6, 300, 14400), 9600);
	assert_int_equal(reaction_backoff_s(7, 300, 14400), 14400);
	assert_int_equal(reaction_backoff_s(250, 300, 14400), 14400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_never_fails_a_recipient),
		cmocka_unit_test(scope_decides_how_wide_a_block_stops),
		cmocka_unit_test(rate_limit_eases_and_puts_back),
		cmocka_unit_test(rate_limit_of_a_recipient_leaves_the_path),
		cmocka_unit_test(unknown_permanent_needs_a_decision),
		cmocka_unit_test(recipient_facts_fail_only_when_permanent),
		cmocka_unit_test(recipient_facts_before_rcpt_stop_the_path),
		cmocka_unit_test(content_is_held_for_the_operator),
		cmocka_unit_test(backoff_doubles_up_to_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
