/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_log.c - log lines are single, whole and valid, whatever is in them.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "sluice/log.h"
#include "unit.h"

static char line[16384];

/* Runs one log call with stderr going to a file; the text is in `line`. */
#define CAPTURE(call)                                                          \
	do {                                                                   \
		FILE *f = tmpfile();                                           \
		int saved = dup(STDERR_FILENO);                                \
		assert_true(f != NULL && saved >= 0);                          \
		assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);              \
		call;                                                          \
		assert_true(dup2(saved, STDERR_FILENO) >= 0);                  \
		(void)close(saved);                                            \
		rewind(f);                                                     \
		line[fread(line, 1, sizeof(line) - 1, f)] = '\0';              \
		(void)fclose(f);                                               \
	} while (0)

static void assert_one_line(void)
{
	size_t len = strlen(line);
	assert_true(len > 1 && line[len - 1] == '\n');
	assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

static json_t *captured_json(void)
{
	assert_one_line();
	json_error_t je;
	json_t *j = json_loads(line, 0, &je);
	if (j == NULL)
		fail_msg("no JSON: %s in %s", je.text, line);
	return j;
}

static void json_lines_have_the_promised_keys(void **state)
{
	log_init("sluiced", LOG_INFO_, LOG_JSON);
	CAPTURE(log_warn("block", "gmail/%s stopped: \"%s\"", "out1",
			 "no\\way"));
	json_t *j = captured_json();
	assert_string_equal(json_string_value(json_object_get(j, "level")),
			    "warn");
	assert_string_equal(json_string_value(json_object_get(j, "type")),
			    "block");
	assert_string_equal(json_string_value(json_object_get(j, "program")),
			    "sluiced");
	assert_string_equal(json_string_value(json_object_get(j, "message")),
			    "gmail/out1 stopped: \"no\\way\"");
	assert_int_equal(strlen(json_string_value(json_object_get(j, "time"))),
			 24);
	json_decref(j);
}

/* Catches: a receiver's reply that forges lines, breaks the JSON, or steers
 * the operator's terminal. */
static void what_peers_wrote_cannot_break_a_line(void **state)
{
	static const char evil[] =
		"a\r\n{\"level\":\"x\"}\x1b[2J\x7f\x9b"
		"31m\xc2\x9b\xff\xc3\xed\xa0\x80\xf5 \xc3\xbc";
	log_init("sluiced", LOG_INFO_, LOG_JSON);
	CAPTURE(log_info("reply", "%s", evil));
	json_decref(captured_json());
	log_init("sluiced", LOG_INFO_, LOG_TEXT);
	CAPTURE(log_info("reply", "%s", evil));
	assert_one_line();
	for (const char *s = line; s[1] != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		assert_true(c >= 0x20 && c != 0x7f && c != 0x9b);
	}
	assert_non_null(strstr(line, "a\\x0d\\x0a{"));
	assert_non_null(strstr(line, "\xc3\xbc"));
}

/* Catches: cutting in the middle of an escape, or losing the closing brace. */
static void long_lines_are_cut_and_stay_valid(void **state)
{
	static char big[9000];
	static const char fill[] = "\x01\"x\xc3\xbc\\";
	for (size_t i = 0; i < sizeof(big) - 1; i++)
		big[i] = fill[i % (sizeof(fill) - 1)];
	for (size_t len = sizeof(big) - 1; len > 600; len -= 7) {
		log_init("sluiced", LOG_INFO_, LOG_JSON);
		CAPTURE(log_error("x", "%.*s", (int)len, big));
		json_decref(captured_json());
		assert_true(strlen(line) <= 4096);
	}
}

static void levels_below_the_least_are_silent(void **state)
{
	log_init("sluiced", LOG_WARN_, LOG_TEXT);
	CAPTURE(log_info("x", "not shown"));
	assert_string_equal(line, "");
	assert_false(log_enabled(LOG_INFO_));
	assert_true(log_enabled(LOG_ERROR_));
	CAPTURE(log_error("x", "shown"));
	assert_non_null(strstr(line, " sluiced error x: shown\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_lines_have_the_promised_keys),
		cmocka_unit_test(what_peers_wrote_cannot_break_a_line),
		cmocka_unit_test(long_lines_are_cut_and_stay_valid),
		cmocka_unit_test(levels_below_the_least_are_silent),
	};
	return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
