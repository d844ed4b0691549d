/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_selection.c - any JSON as a selection of a command.
 *
 * What is refused says why. What is taken says the same when it is written as
 * JSON and read again, for that is how holds survive, and fits every buffer as
 * text.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sluice/assert.h"
#include "sluice/selection.h"

#define TEXT_BYTES 4096u

static void format_check(const struct selection *s, const char *whole)
{
	for (uint32_t len = 1; len < 64; len += 7) {
		char *cut = malloc(len);

		sluice_assert(cut != NULL);
		selection_format(s, cut, len);
		sluice_assert(strnlen(cut, len) < len);
		free(cut);
	}
	sluice_assert(strnlen(whole, TEXT_BYTES) < TEXT_BYTES);
	sluice_assert(whole[0] != '\0' || selection_is_empty(s));
}

static void taken_check(const struct selection *s)
{
	static char first[TEXT_BYTES], second[TEXT_BYTES];
	struct selection *again = NULL;
	json_t *j = selection_to_json(s), *k;

	sluice_assert(j != NULL);
	selection_format(s, first, sizeof(first));
	format_check(s, first);
	sluice_assert(selection_from_json(j, &again, NULL) == 0);
	selection_format(again, second, sizeof(second));
	sluice_assert(strcmp(first, second) == 0);
	k = selection_to_json(again);
	sluice_assert(k != NULL && json_equal(j, k));
	json_decref(j);
	json_decref(k);
	selection_destroy(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct selection *s = NULL;
	struct err e = {""};
	json_t *j = json_loadb((const char *)data, size,
			       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	int res;

	if (j == NULL)
		return 0;
	res = selection_from_json(j, &s, &e);
	if (res == 0)
		taken_check(s);
	else
		sluice_assert(res < 0 && s == NULL && e.text[0] != '\0');
	selection_destroy(&s);
	json_decref(j);
	return 0;
}

size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	static const char *const samples[] = {
		"{\"all\":true}",
		"{\"provider\":[\"gmail\",\"x "
		"y\"],\"domain\":\"*.Example.org\","
		"\"sender\":\"\",\"sender_domain\":[\"b\\u00fccher.example\"]}",
		"{\"recipient\":[\"\\\"a b\\\"@example.net\"],\"id\":[\"00ff\","
		"\"a\"],\"state\":[\"held\",\"needs-decision\"]}",
		"{\"older\":\"2h\",\"newer\":\"90s\",\"larger\":\"1.5MiB\","
		"\"source\":\"out1\",\"all\":false}",
	};

	if (number >= sizeof(samples) / sizeof(samples[0]) ||
	    strlen(samples[number]) > max)
		return 0;
	memcpy(out, samples[number], strlen(samples[number]));
	return strlen(samples[number]);
}
