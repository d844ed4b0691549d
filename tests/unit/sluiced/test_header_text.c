/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_header_text.c - header fields as a person reads them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sluiced/header_text.h"

static const char header[] = "Received: from a\r\n\tby b;\r\n  today\r\n"
			     "SUBJECT : one\r\n"
			     "Subjects: other\r\n"
			     "no field at all\r\n"
			     "Subject:\r\n"
			     "subject: two\n"
			     "\r\n"
			     "Subject: body\r\n";

static void field_is(size_t *at, const char *name, const char *want)
{
	char out[64];
	size_t len = 99;

	assert_true(header_next(header, sizeof(header) - 1, at, name,
				strlen(name), out, sizeof(out), &len));
	assert_int_equal(len, strlen(want));
	assert_memory_equal(out, want, len);
}

/* Catches: a name that is the beginning of another, a fold that cuts the text,
 * a body that is taken for header. */
static void fields_are_found_unfolded_and_only_in_the_header(void **state)
{
	size_t at = 0, len;
	char out[64];

	(void)state;
	field_is(&at, "received", "from a\tby b;  today");
	at = 0;
	field_is(&at, "Subject", "one");
	field_is(&at, "Subject", "");
	field_is(&at, "Subject", "two");
	assert_false(header_next(header, sizeof(header) - 1, &at, "Subject", 7,
				 out, sizeof(out), &len));
}

/* Every cut of the header, and of the room: ASan looks on. */
static void any_length_is_safe(void **state)
{
	char out[8], copy[sizeof(header)];
	size_t at, len;

	(void)state;
	for (size_t n = 0; n < sizeof(header); n++) {
		memcpy(copy, header, n);
		at = 0;
		while (header_next(copy, n, &at, "Subject", 7, out, n % 9,
				   &len))
			assert_true(len <= n % 9);
	}
}

static void decodes(const char *in, const char *want)
{
	char out[128];
	size_t len = header_decode(in, strlen(in), out, sizeof(out));

	assert_int_equal(len, strlen(want));
	assert_memory_equal(out, want, len);
}

static void encoded_words_are_decoded(void **state)
{
	(void)state;
	decodes("plain =? text", "plain =? text");
	decodes("=?utf-8?Q?Gr=C3=BC=C3=9Fe_an?= all", "Gr\xc3\xbc\xc3\x9f"
						      "e an all");
	decodes("=?ISO-8859-1?q?Gr=FC=DFe?=", "Gr\xc3\xbc\xc3\x9f"
					      "e");
	decodes("=?UTF-8?B?V2lu?= =?UTF-8?B?bmVy?=", "Winner");
	decodes("=?utf-8*en?B?aGk=?=", "hi");
	decodes("=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c");
}

/* What cannot be decoded stays as it is: a pattern can still find it. */
static void others_stay_as_they_are(void **state)
{
	static const char *const texts[] = {
		"=?koi8-r?B?0NLJ18XU?=", "=?utf-8?X?abc?=", "=?utf-8?Q?abc",
		"=?utf-8?Q?abc?",        "=?utf-8",         "=?"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		decodes(texts[i], texts[i]);
	decodes("=?utf-8?Q?=4?=", "=4");
	decodes("=?utf-8?Q?=zz?=", "=zz");
}

static void decoding_stops_where_the_room_ends(void **state)
{
	const char *in = "=?iso-8859-1?Q?=FC=FC=FC=FC?= tail";
	char out[64];

	(void)state;
	for (size_t room = 0; room < 20; room++)
		assert_true(header_decode(in, strlen(in), out, room) <= room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			fields_are_found_unfolded_and_only_in_the_header),
		cmocka_unit_test(any_length_is_safe),
		cmocka_unit_test(encoded_words_are_decoded),
		cmocka_unit_test(others_stay_as_they_are),
		cmocka_unit_test(decoding_stops_where_the_room_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
