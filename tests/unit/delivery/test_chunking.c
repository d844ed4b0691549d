/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_chunking.c - content by BDAT, and what its answers mean.
 */
#include "oddity.h"

#include <stdlib.h>
#include <string.h>

#define CHUNKS     "250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"
#define ONE_BY_ONE "250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"

static const char *const rcpt[] = {"a@example.net"};

/* As it lies on disk: dots are not doubled, no line end is added. */
static void content_goes_as_it_lies_on_disk(void **state)
{
	static const size_t sizes[] = {0,     1,     5,     4096,
				       65536, 81920, 90000, 1000003};
	struct fake_options fo = {.offers = CHUNKS};
	struct fake_receiver *f = fake_receiver_start(&fo);
	struct room r;

	room_open(&r, fake_receiver_port(f));
	room_patience(&r, 5 * NS_PER_S);
	r.config.delivery.chunking = true;
	room_start(&r);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = sizes[i], got;
		char *c = malloc(len + 3);
		const char *at;

		for (size_t k = 0; k < len; k += 3)
			memcpy(c + k, ".\r\n", 3);
		r.go = i % 2 ? GO_NOW : GO_LATER;
		(void)room_store(&r, rcpt, 1, c, len, SPOOL_NEEDS_STUFFING);
		r.results[0] = '\0';
		room_run(&r, &r.done, (uint32_t)i + 1);
		assert_string_equal(r.results, "0:accepted/eom/250");
		at = fake_receiver_content(f, &got);
		assert_int_equal(got, len);
		assert_memory_equal(at, c, len);
		free(c);
	}
	assert_int_equal(fake_receiver_count(f, AT_DATA), 0);
	assert_int_equal(fake_receiver_connections(f), 1);
	room_close(&r);
	fake_receiver_stop(&f);
}

/* A reply too many shifts all that follow by one. 354 shows that; with BDAT the
 * answer to RCPT would be taken for "accepted", and the message be lost. */
#define SHIFTED                                                                \
	{                                                                      \
		AT_RCPT, 1, DO_SAY, "250 2.1.5 ok\r\n250 2.1.5 ok\r\n"         \
	}

static const struct oddity oddities[] = {
	{"all well",
	 2,
	 CHUNKS,
	 {{0}},
	 "0:accepted/eom/250 1:accepted/eom/250",
	 NULL,
	 1},
	{"all well, one by one",
	 2,
	 ONE_BY_ONE,
	 {{0}},
	 "0:accepted/eom/250 1:accepted/eom/250",
	 NULL,
	 1},
	{"MAIL refused",
	 1,
	 CHUNKS,
	 {{AT_MAIL, 1, DO_SAY, "450 4.1.8 no\r\n"},
	  {AT_RCPT, 1, DO_SAY, "503 5.5.1 no\r\n"}},
	 "0:refused/mail/450",
	 NULL,
	 1},
	{"nobody accepted: no content, RSET",
	 2,
	 CHUNKS,
	 {{AT_RCPT, 1, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_RCPT, 2, DO_SAY, "450 4.2.1 no\r\n"}},
	 "0:refused/rcpt/550 1:refused/rcpt/450",
	 NULL,
	 1},
	{"the last one refused",
	 2,
	 CHUNKS,
	 {{AT_RCPT, 2, DO_SAY, "550 5.1.1 no\r\n"}},
	 "0:accepted/eom/250 1:refused/rcpt/550",
	 NULL,
	 1},
	{"the last one refused with 421",
	 2,
	 CHUNKS,
	 {{AT_RCPT, 2, DO_SAY, "421 4.7.0 no\r\n"}},
	 "0:refused/rcpt/421 1:refused/rcpt/421",
	 NULL,
	 2},
	{"content refused: RSET, reused",
	 2,
	 CHUNKS,
	 {{AT_RCPT, 1, DO_SAY, "550 5.1.1 no\r\n"},
	  {AT_EOM, 1, DO_SAY, "552 5.3.4 no\r\n"}},
	 "0:refused/rcpt/550 1:refused/eom/552",
	 NULL,
	 1},
	{"content answered 421",
	 1,
	 CHUNKS,
	 {{AT_EOM, 1, DO_SAY, "421 4.3.0 no\r\n"}},
	 "0:refused/eom/421",
	 NULL,
	 2},
	{"content answered 354",
	 1,
	 CHUNKS,
	 {{AT_EOM, 1, DO_SAY, "354 go\r\n"}},
	 "0:in_doubt/eom/-",
	 NULL,
	 2},
	{"content, then closed",
	 1,
	 CHUNKS,
	 {{AT_EOM, 1, DO_CLOSE, NULL}},
	 "0:in_doubt/eom/-",
	 NULL,
	 2},
	{"content, then silence",
	 1,
	 CHUNKS,
	 {{AT_EOM, 1, DO_STALL, NULL}},
	 "0:in_doubt/eom/-",
	 NULL,
	 2},
	{"one reply too many before content",
	 1,
	 CHUNKS,
	 {SHIFTED},
	 "0:lost/eom/-",
	 NULL,
	 2},
	{"the answer to RCPT comes for content",
	 1,
	 CHUNKS,
	 {{AT_EOM, 1, DO_SAY, "250 2.1.5 recipient ok\r\n"}},
	 "0:in_doubt/eom/-",
	 NULL,
	 2},
};

static void use_chunks(struct room *r)
{
	r->config.delivery.chunking = true;
}

static void each_answer_has_its_results(void **state)
{
	oddities_run_with(oddities, sizeof(oddities) / sizeof(oddities[0]),
			  use_chunks);
}

static void run_one(const char *offers, bool wanted)
{
	struct fake_options fo = {.offers = offers};
	struct fake_receiver *f = fake_receiver_start(&fo);
	struct room r;

	room_open(&r, fake_receiver_port(f));
	r.config.delivery.chunking = wanted;
	room_start(&r);
	(void)room_store(&r, rcpt, 1, "x\r\n", 3, 0);
	room_run(&r, &r.done, 1);
	assert_string_equal(r.results, "0:accepted/eom/250");
	assert_int_equal(fake_receiver_count(f, AT_DATA), 1);
	room_close(&r);
	fake_receiver_stop(&f);
}

/* Without enhanced codes nothing would show that replies are out of step. */
static void data_where_chunks_are_not_safe_or_not_wanted(void **state)
{
	run_one(CHUNKS, false);
	run_one("250-PIPELINING\r\n250-CHUNKING\r\n", true);
	run_one("250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_goes_as_it_lies_on_disk),
		cmocka_unit_test(each_answer_has_its_results),
		cmocka_unit_test(data_where_chunks_are_not_safe_or_not_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
