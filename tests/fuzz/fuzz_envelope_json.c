/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_envelope_json.c - any JSON as the envelope of an imported message.
 *
 * What is refused says why. What is taken can be written to the spool, and its
 * addresses can be said to a receiver: one line, no control characters, a
 * domain.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "intake/envelope_json.h"
#include "sluice/assert.h"
#include "spool/record.h"

#define NOW_S 1700000000u

static void text_check(const struct text *t)
{
	for (uint32_t i = 0; i < t->len; i++)
		sluice_assert((unsigned char)t->data[i] >= 32 &&
			      t->data[i] != 127);
}

static void taken_check(const struct envelope *env)
{
	uint32_t bytes;

	sluice_assert(env->rcpt_count > 0 && env->arrival_s > 0);
	text_check(&env->sender);
	sluice_assert(!env->sender.len ||
		      memchr(env->sender.data, '@', env->sender.len));
	text_check(&env->account);
	text_check(&env->client);
	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		const struct text *a = &env->rcpts[i].address;

		text_check(a);
		sluice_assert(memchr(a->data, '@', a->len));
	}
	sluice_assert(envelope_size(env, &bytes) == 0 && bytes > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct envelope_build b;
	struct err e = {""};
	json_t *j = json_loadb((const char *)data, size,
			       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	int res;

	if (j == NULL)
		return 0;
	if (b.magic == 0)
		sluice_assert(envelope_build_init(&b, ENVELOPE_TEXT_MAX) == 0);
	res = envelope_from_json(j, NOW_S, &b, &e);
	if (res == 0)
		taken_check(&b.env);
	else
		sluice_assert(res != -EINVAL || e.text[0] != '\0');
	json_decref(j);
	return 0;
}

size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	static const char *const samples[] = {
		"{\"sender\":\"\",\"recipients\":[\"a@example.net\"]}",
		"{\"sender\":\"s@example.org\",\"recipients\":[\"\\\"a b\\\"@"
		"Example.NET\",\"c@[192.0.2.1]\",\"d@b\\u00fccher.example\"],"
		"\"arrival\":1690000000,\"account\":\"me\","
		"\"client\":\"2001:db8::1\"}",
		"{\"sender\":\"\\u00e4@example.org\",\"recipients\":["
		"\"\\u00f6@example.net\",\"x@xn--bcher-kva.example\"],"
		"\"client\":\"192.0.2.7\"}",
		"{\"recipients\":\"a@b.test\",\"sender\":3}",
		"{\"sender\":\"postmaster\",\"recipients\":[\"a@b.test\"]}",
		"{\"sender\":\"\",\"recipients\":[\"a@b.t\"],\"arrival\":0}",
		("{\"sender\":\"\",\"recipients\":[\"a@b.test\"],"
		 "\"account\":\"a\\tb\\u007f\",\"client\":\"::1\\n\"}"),
	};

	if (number >= sizeof(samples) / sizeof(samples[0]) ||
	    strlen(samples[number]) > max)
		return 0;
	memcpy(out, samples[number], strlen(samples[number]));
	return strlen(samples[number]);
}
