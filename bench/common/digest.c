/* SPDX-License-Identifier: BSD-2-Clause
 *
 * digest.c - XXH3-128 of message content, and its text form.
 *
 * Called by the generator, the ledger and the tests, on their own threads.
 * Bound: the content. Errors: -EINVAL for text that is no digest.
 */
#include "common/digest.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "sluice/assert.h"

struct digest digest_content(const void *data, size_t len)
{
	XXH128_canonical_t canonical;
	const char *p = data;
	struct digest out;

	_Static_assert(sizeof(canonical) == sizeof(out), "XXH3-128");
	if (len >= 2 && p[len - 2] == '\r' && p[len - 1] == '\n') {
		XXH128_canonicalFromHash(&canonical, XXH3_128bits(p, len));
	} else {
		XXH3_state_t *s = XXH3_createState();

		sluice_assert(s != NULL);
		XXH3_128bits_reset(s);
		XXH3_128bits_update(s, p, len);
		XXH3_128bits_update(s, "\r\n", 2);
		XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(s));
		XXH3_freeState(s);
	}
	memcpy(&out, &canonical, sizeof(out));
	return out;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

const char *digest_format(const struct digest *d, char buf[DIGEST_TEXT_BYTES])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		buf[2 * i] = hex[d->bytes[i] >> 4];
		buf[2 * i + 1] = hex[d->bytes[i] & 15];
	}
	buf[DIGEST_TEXT_BYTES - 1] = 0;
	return buf;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int digest_parse(const char *text, size_t len, struct digest *out)
{
	struct digest d;

	if (len != DIGEST_TEXT_BYTES - 1)
		return -EINVAL;
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		int hi = hex_value(text[2 * i]);
		int lo = hex_value(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -EINVAL;
		d.bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	*out = d;
	return 0;
}
