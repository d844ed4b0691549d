/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_dialogue.c - what replies mean, in each state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sluice/classify.h"
#include "smtp/dialogue.h"

static struct dialogue_step reply(struct dialogue *d, uint16_t code)
{
	struct dialogue_step s;

	dialogue_reply(d, code, &s);
	return s;
}

static void make_idle(struct dialogue *d)
{
	dialogue_init(d);
	assert_int_equal(reply(d, 220).action, DIALOGUE_SEND_EHLO);
	dialogue_sent(d, DIALOGUE_EHLO, 1);
	assert_int_equal(reply(d, 250).action, DIALOGUE_READY);
}

/* All commands of a message are out. */
static void make_pipelined(struct dialogue *d, uint32_t rcpts)
{
	make_idle(d);
	dialogue_begin(d, rcpts);
	dialogue_sent(d, DIALOGUE_MAIL, 1);
	dialogue_sent(d, DIALOGUE_RCPT, rcpts);
	dialogue_sent(d, DIALOGUE_DATA, 1);
}

static void ehlo_refused_falls_back_to_helo(void **state)
{
	struct dialogue d;
	struct dialogue_step s;

	dialogue_init(&d);
	(void)reply(&d, 220);
	dialogue_sent(&d, DIALOGUE_EHLO, 1);
	assert_int_equal(reply(&d, 502).action, DIALOGUE_SEND_HELO);
	dialogue_sent(&d, DIALOGUE_HELO, 1);
	s = reply(&d, 550);
	assert_int_equal(s.action, DIALOGUE_NOT_SERVED);
	assert_int_equal(s.phase, PHASE_EHLO);
}

static void message_goes_its_way(void **state)
{
	struct dialogue d;
	struct dialogue_step s;

	make_pipelined(&d, 2);
	assert_int_equal(reply(&d, 250).action, DIALOGUE_GO_ON);
	s = reply(&d, 550);
	assert_int_equal(s.action, DIALOGUE_RCPT_REFUSED);
	assert_int_equal(s.rcpt, 0);
	s = reply(&d, 251);
	assert_int_equal(s.action, DIALOGUE_RCPT_OK);
	assert_int_equal(s.rcpt, 1);
	assert_int_equal(reply(&d, 354).action, DIALOGUE_SEND_CONTENT);
	dialogue_sent(&d, DIALOGUE_EOM, 1);
	s = reply(&d, 250);
	assert_int_equal(s.action, DIALOGUE_ACCEPTED);
	assert_true(s.message_over);
	assert_false(s.reset);
	assert_int_equal(d.state, DIALOGUE_IDLE);
}

/* RFC 2920 3.1: 354 although every recipient was refused. */
static void nobody_left_gets_a_lone_dot(void **state)
{
	struct dialogue d;
	struct dialogue_step s;

	make_pipelined(&d, 2);
	(void)reply(&d, 250);
	(void)reply(&d, 550);
	s = reply(&d, 450);
	assert_int_equal(s.action, DIALOGUE_RCPT_REFUSED);
	assert_false(s.message_over);
	assert_int_equal(reply(&d, 354).action, DIALOGUE_SEND_LONE_DOT);
	dialogue_sent(&d, DIALOGUE_LONE_DOT, 1);
	s = reply(&d, 250);
	assert_int_equal(s.action, DIALOGUE_WAIT); /* accepted nothing */
	assert_true(s.message_over);
	assert_false(s.reset);
}

/* What was pipelined behind a refused MAIL is still answered. */
static void refused_mail_drains_the_rest(void **state)
{
	struct dialogue d;
	struct dialogue_step s;

	make_pipelined(&d, 2);
	s = reply(&d, 451);
	assert_int_equal(s.action, DIALOGUE_REFUSED);
	assert_false(s.message_over);
	assert_int_equal(reply(&d, 503).action, DIALOGUE_WAIT);
	assert_int_equal(reply(&d, 250).action, DIALOGUE_WAIT);
	s = reply(&d, 503);
	assert_true(s.message_over);
	assert_false(s.reset);
}

/* Only what went out is waited for. */
static void refused_mail_without_pipelining_is_over(void **state)
{
	struct dialogue d;
	struct dialogue_step s;

	make_idle(&d);
	dialogue_begin(&d, 5);
	dialogue_sent(&d, DIALOGUE_MAIL, 1);
	s = reply(&d, 550);
	assert_int_equal(s.action, DIALOGUE_REFUSED);
	assert_true(s.message_over);
}

static void half_a_transaction_is_reset(void **state)
{
	struct dialogue d;
	struct dialogue_step s;

	make_pipelined(&d, 1);
	(void)reply(&d, 250);
	(void)reply(&d, 550);
	s = reply(&d, 503);
	assert_true(s.message_over && s.reset);
	dialogue_sent(&d, DIALOGUE_RSET, 1);
	assert_int_equal(reply(&d, 250).action, DIALOGUE_READY);
	make_pipelined(&d, 1);
	(void)reply(&d, 250);
	(void)reply(&d, 250);
	s = reply(&d, 451);
	assert_int_equal(s.action, DIALOGUE_REFUSED);
	assert_int_equal(s.phase, PHASE_DATA);
	assert_true(s.message_over && s.reset);
}

/* 421 is that command's reply AND the end of the session. */
static void code_421_ends_the_session_everywhere(void **state)
{
	struct dialogue d;
	struct dialogue_step s;
	static const uint8_t actions[] = {DIALOGUE_REFUSED,
					  DIALOGUE_RCPT_REFUSED,
					  DIALOGUE_REFUSED, DIALOGUE_REFUSED};
	static const uint8_t phases[] = {PHASE_MAIL, PHASE_RCPT, PHASE_DATA,
					 PHASE_EOM};

	for (int at = 0; at < 4; at++) {
		make_pipelined(&d, 1);
		for (int i = 0; i < at; i++)
			(void)reply(&d, i == 2 ? 354 : 250);
		if (at == 3)
			dialogue_sent(&d, DIALOGUE_EOM, 1);
		s = reply(&d, 421);
		assert_int_equal(s.action, actions[at]);
		assert_int_equal(s.phase, phases[at]);
		assert_true(s.hang_up);
		assert_int_equal(d.state, DIALOGUE_CLOSED);
	}
	make_idle(&d);
	s = reply(&d, 421);
	assert_int_equal(s.action, DIALOGUE_HANG_UP);
}

/* Replies nobody asked for must never be taken for the next answer. */
static void unasked_replies_are_garbage(void **state)
{
	struct dialogue d;

	dialogue_init(&d);
	(void)reply(&d, 220);
	assert_int_equal(reply(&d, 250).action, DIALOGUE_GARBAGE);
	make_pipelined(&d, 1);
	(void)reply(&d, 250);
	(void)reply(&d, 250);
	(void)reply(&d, 354);
	assert_int_equal(reply(&d, 354).action, DIALOGUE_GARBAGE);
	make_pipelined(&d, 1);
	(void)reply(&d, 250);
	(void)reply(&d, 250);
	(void)reply(&d, 354);
	assert_int_equal(reply(&d, 250).action, DIALOGUE_GARBAGE);
	make_idle(&d);
	assert_int_equal(reply(&d, 250).action, DIALOGUE_HANG_UP);
}

/* A receiver may give up in the middle of content. */
static void refusal_in_mid_content_counts(void **state)
{
	struct dialogue d;
	struct dialogue_step s;

	make_pipelined(&d, 1);
	(void)reply(&d, 250);
	(void)reply(&d, 250);
	(void)reply(&d, 354);
	s = reply(&d, 552);
	assert_int_equal(s.action, DIALOGUE_REFUSED);
	assert_int_equal(s.phase, PHASE_EOM);
	assert_true(s.hang_up);
}

/* One 250 too many shifts all answers: DATA is not answered with 250. */
static void shifted_replies_are_noticed(void **state)
{
	struct dialogue d;

	make_pipelined(&d, 1);
	(void)reply(&d, 250);
	(void)reply(&d, 250);
	assert_int_equal(reply(&d, 250).action, DIALOGUE_GARBAGE);
}

/* Any codes in any state leave the table in a known state. */
static void every_state_takes_every_code(void **state)
{
	static const uint16_t codes[] = {200, 220, 250, 299, 300, 354, 399,
					 400, 421, 450, 500, 550, 599};

	for (uint8_t st = 0; st < DIALOGUE_STATES; st++) {
		for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
			for (uint32_t awaited = 0; awaited < 2; awaited++) {
				struct dialogue d = {.state = st,
						     .awaited = awaited,
						     .rcpt_count = 1,
						     .rcpt_sent = 1};
				struct dialogue_step s = reply(&d, codes[i]);

				assert_in_range(s.action, DIALOGUE_WAIT,
						DIALOGUE_GARBAGE);
				assert_in_range(s.phase, PHASE_CONNECT,
						PHASE_QUIT);
				assert_true(d.state < DIALOGUE_STATES);
			}
		}
	}
}

static void make_chunked(struct dialogue *d)
{
	make_idle(d);
	dialogue_begin(d, 2);
	dialogue_chunked(d);
	dialogue_sent(d, DIALOGUE_MAIL, 1);
	dialogue_sent(d, DIALOGUE_RCPT, 2);
	(void)reply(d, 250);
}

/* Content follows the last RCPT's answer, if anybody was accepted. */
static void chunks_follow_the_last_recipient(void **state)
{
	struct dialogue d;
	struct dialogue_step s;

	make_chunked(&d);
	s = reply(&d, 250);
	assert_false(s.content);
	s = reply(&d, 550);
	assert_int_equal(s.action, DIALOGUE_RCPT_REFUSED);
	assert_true(s.content);
	assert_int_equal(d.state, DIALOGUE_CONTENT);
	dialogue_sent(&d, DIALOGUE_EOM, 1);
	s = reply(&d, 552);
	assert_int_equal(s.action, DIALOGUE_REFUSED);
	assert_true(s.message_over);
	assert_true(s.reset); /* RFC 3030: the receiver's state is unknown */
	make_chunked(&d);
	(void)reply(&d, 550);
	s = reply(&d, 450);
	assert_false(s.content);
	assert_true(s.message_over);
	assert_true(s.reset);
	make_chunked(&d);
	(void)reply(&d, 250);
	s = reply(&d, 421);
	assert_true(s.hang_up);
	assert_false(s.content);
}

/* A lone dot to it would be an empty message to those it took. */
static void refused_mail_with_taken_recipients_ends_the_session(void **state)
{
	struct dialogue d;
	struct dialogue_step out;

	(void)state;
	dialogue_init(&d);
	dialogue_reply(&d, 220, &out);
	dialogue_sent(&d, DIALOGUE_EHLO, 1);
	dialogue_reply(&d, 250, &out);
	dialogue_begin(&d, 1);
	dialogue_sent(&d, DIALOGUE_MAIL, 1);
	dialogue_sent(&d, DIALOGUE_RCPT, 1);
	dialogue_sent(&d, DIALOGUE_DATA, 1);
	dialogue_reply(&d, 550, &out);
	assert_int_equal(out.action, DIALOGUE_REFUSED);
	dialogue_reply(&d, 250, &out);
	assert_int_equal(out.action, DIALOGUE_WAIT);
	dialogue_reply(&d, 354, &out);
	assert_int_equal(out.action, DIALOGUE_GARBAGE);
	assert_true(out.hang_up);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			refused_mail_with_taken_recipients_ends_the_session),
		cmocka_unit_test(ehlo_refused_falls_back_to_helo),
		cmocka_unit_test(message_goes_its_way),
		cmocka_unit_test(nobody_left_gets_a_lone_dot),
		cmocka_unit_test(refused_mail_drains_the_rest),
		cmocka_unit_test(refused_mail_without_pipelining_is_over),
		cmocka_unit_test(half_a_transaction_is_reset),
		cmocka_unit_test(code_421_ends_the_session_everywhere),
		cmocka_unit_test(unasked_replies_are_garbage),
		cmocka_unit_test(refusal_in_mid_content_counts),
		cmocka_unit_test(shifted_replies_are_noticed),
		cmocka_unit_test(chunks_follow_the_last_recipient),
		cmocka_unit_test(every_state_takes_every_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
