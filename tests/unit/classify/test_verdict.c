/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_verdict.c - what follows from a class: bounce or not, scope, wait.
 */
#include "unit.h"

#define UNHEARD "zyxwv 4711"

/* The worst bug there could be: mail bounced because our address is blocked. */
static void a_block_never_bounces(void **state)
{
	static const char *const texts[] = {
		"Client host [192.0.2.25] blocked using zen.spamhaus.org",
		"Your IP address has been blacklisted",
		"<mx[192.0.2.25]>: Client host rejected: Access denied",
		"Sender address rejected: Access denied",
		"Message rejected due to local policy",
		"SPF check failed",
		"This message has been classified as spam",
		"Too many messages from your IP, rate limit exceeded",
	};
	struct verdict v;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		/* 5.1.1 is an address code: the words beat it. */
		v = verdict_of(*state, PHASE_RCPT, 550, "5.1.1", texts[i]);
		if (v.permanent)
			fail_msg("bounces as %s: %s", class_name(v.reply_class),
				 texts[i]);
	}
}

static void recipient_facts_bounce_at_rcpt_only(void **state)
{
	struct verdict v;

	v = verdict_of(*state, PHASE_RCPT, 550, "5.1.1", "User unknown");
	assert_int_equal(v.reply_class, CLASS_NO_SUCH_USER);
	assert_int_equal(v.scope, SCOPE_RECIPIENT);
	assert_true(v.permanent);
	assert_false(v.needs_decision);
	/* Nobody was named yet: what is refused here is us. */
	v = verdict_of(*state, PHASE_MAIL, 550, "5.1.2", "Relaying denied");
	assert_false(v.permanent);
	assert_true(v.needs_decision);
	assert_int_equal(v.scope, SCOPE_PATH);
	/* 4xx is never final. */
	v = verdict_of(*state, PHASE_RCPT, 450, "4.1.1", "User unknown");
	assert_int_equal(v.reply_class, CLASS_NO_SUCH_USER);
	assert_false(v.permanent);
	assert_false(v.needs_decision);
}

static void size_is_known_at_mail(void **state)
{
	struct verdict v = verdict_of(*state, PHASE_MAIL, 552, "5.3.4",
				      "Message size exceeds fixed limit");

	assert_int_equal(v.reply_class, CLASS_MESSAGE_TOO_BIG);
	assert_int_equal(v.scope, SCOPE_MESSAGE);
	assert_true(v.permanent);
}

static void a_full_mailbox_is_tried_again(void **state)
{
	struct verdict v =
		verdict_of(*state, PHASE_RCPT, 552, "5.2.2", "Mailbox full");

	assert_int_equal(v.reply_class, CLASS_MAILBOX_FULL);
	assert_false(v.permanent);
	assert_false(v.needs_decision);
}

/* Unknown words: only the codes that name the address may bounce. */
static void unknown_5xx_bounces_only_for_address_codes(void **state)
{
	static const struct {
		const char *enhanced;
		bool permanent;
	} cases[] = {{"5.1.1", true},  {"5.1.2", true},  {"5.1.3", true},
		     {"5.1.10", true}, {"5.2.1", true},  {"5.1.0", false},
		     {"5.1.6", false}, {"5.2.0", false}, {"5.3.4", false},
		     {"5.4.4", false}, {"5.7.1", false}, {"5.0.0", false},
		     {NULL, false}};
	struct verdict v;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		v = verdict_of(*state, PHASE_RCPT, 550, cases[i].enhanced,
			       UNHEARD);
		assert_string_equal(v.rule, "codes");
		assert_int_equal(v.permanent, cases[i].permanent);
		assert_int_equal(v.needs_decision, !cases[i].permanent);
	}
}

static void unknown_4xx_is_a_retry_of_the_recipient(void **state)
{
	struct verdict v = verdict_of(*state, PHASE_RCPT, 450, NULL, UNHEARD);

	assert_int_equal(v.reply_class, CLASS_UNKNOWN);
	assert_int_equal(v.scope, SCOPE_RECIPIENT);
	assert_false(v.permanent);
	assert_false(v.needs_decision);
}

static void codes_speak_when_words_do_not(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		verdict_of(f, PHASE_RCPT, 550, "5.2.2", UNHEARD).reply_class,
		CLASS_MAILBOX_FULL);
	assert_int_equal(verdict_of(f, PHASE_RCPT, 550, NULL, "5.1.1 " UNHEARD)
				 .reply_class,
			 CLASS_NO_SUCH_USER);
	assert_int_equal(
		verdict_of(f, PHASE_CONNECT, 421, NULL, UNHEARD).reply_class,
		CLASS_TEMPORARY_REMOTE_ERROR);
	assert_int_equal(
		verdict_of(f, PHASE_CONNECT, 554, NULL, UNHEARD).reply_class,
		CLASS_BLOCK_IP_TEMPORARY);
	/* 5.2.1 at the greeting cannot speak of a mailbox. */
	assert_int_equal(
		verdict_of(f, PHASE_CONNECT, 550, "5.2.1", UNHEARD).reply_class,
		CLASS_BLOCK_IP_TEMPORARY);
	assert_int_equal(
		verdict_of(f, PHASE_EHLO, 502, NULL, UNHEARD).reply_class,
		CLASS_PROTOCOL_TLS);
	assert_int_equal(verdict_of(f, PHASE_RCPT, 250, NULL, "ok").reply_class,
			 CLASS_ACCEPTED);
}

/* The same words, other receivers. */
static void the_remote_host_decides(void **state)
{
	struct fixture *f = *state;
	struct reply r = {.code = 451,
			  .phase = PHASE_RCPT,
			  .enhanced = {4, 7, 1},
			  .text = "Service unavailable - try again later",
			  .text_len = 37,
			  .provider = "",
			  .remote = "mx.example.com"};
	struct verdict v;

	classify_reply(f->c, f->s, &r, &v);
	assert_int_equal(v.reply_class, CLASS_GREYLISTED);
	r.remote = "MX01.mail.iCloud.com";
	classify_reply(f->c, f->s, &r, &v);
	assert_int_equal(v.reply_class, CLASS_RATE_LIMITED);
	r.remote = "relay.example.net";
	r.provider = "apple";
	classify_reply(f->c, f->s, &r, &v);
	assert_int_equal(v.reply_class, CLASS_RATE_LIMITED);
	assert_string_equal(v.rule, "apple-try-later");
}

static void lists_are_named_by_their_zone(void **state)
{
	struct fixture *f = *state;
	struct verdict v;

	v = verdict_of(f, PHASE_RCPT, 554, "5.7.1",
		       "Client host [192.0.2.25] blocked using "
		       "sbl-xbl.spamhaus.org; see the page");
	assert_string_equal(v.list, "zen.spamhaus.org");
	assert_non_null(v.delist);
	assert_int_equal(v.scope, SCOPE_SOURCE);
	v = verdict_of(f, PHASE_CONNECT, 554, NULL, "listed at bl.spamcop.net");
	assert_string_equal(v.list, "bl.spamcop.net");
	assert_true(v.from_last);
	assert_int_equal(v.wait_s, 86400);
	/* Never heard of, still named. */
	v = verdict_of(
		f, PHASE_CONNECT, 554, NULL,
		"Client host [192.0.2.25] blocked using bl.example.net.");
	assert_string_equal(v.list, "bl.example.net");
}

/* A receiver that asks a list through a public resolver is told that it may
 * not; no address is listed anywhere. */
static void an_open_resolver_is_no_listing(void **state)
{
	struct verdict v = verdict_of(
		*state, PHASE_RCPT, 554, "5.7.1",
		"Service unavailable; Client host [192.0.2.25] blocked using "
		"zen.spamhaus.org; Error: open resolver; "
		"https://www.spamhaus.org/returnc/pub/");

	assert_int_equal(v.reply_class, CLASS_TEMPORARY_REMOTE_ERROR);
	assert_null(v.list);
}

static void words_of_an_address_are_not_the_receivers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(verdict_of(f, PHASE_RCPT, 550, "5.1.1",
				    "<spam.rbl@spamcop.net>: User unknown")
				 .reply_class,
			 CLASS_NO_SUCH_USER);
	assert_int_equal(
		verdict_of(f, PHASE_RCPT, 550, NULL,
			   "quota-full.mailbox@spf.example: No such user")
			.reply_class,
		CLASS_NO_SUCH_USER);
}

/* Wrapped in the middle of a phrase, as multi-line replies are. */
static void lines_are_read_as_one_text(void **state)
{
	assert_int_equal(verdict_of(*state, PHASE_RCPT, 550, NULL,
				    "Recipient address rejected:\nUser\n"
				    "unknown in local recipient table")
				 .reply_class,
			 CLASS_NO_SUCH_USER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_never_bounces),
		cmocka_unit_test(recipient_facts_bounce_at_rcpt_only),
		cmocka_unit_test(size_is_known_at_mail),
		cmocka_unit_test(a_full_mailbox_is_tried_again),
		cmocka_unit_test(unknown_5xx_bounces_only_for_address_codes),
		cmocka_unit_test(unknown_4xx_is_a_retry_of_the_recipient),
		cmocka_unit_test(codes_speak_when_words_do_not),
		cmocka_unit_test(the_remote_host_decides),
		cmocka_unit_test(lists_are_named_by_their_zone),
		cmocka_unit_test(an_open_resolver_is_no_listing),
		cmocka_unit_test(words_of_an_address_are_not_the_receivers),
		cmocka_unit_test(lines_are_read_as_one_text),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
