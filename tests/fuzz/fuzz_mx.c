/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_mx.c - any bytes as the MX records of a domain.
 *
 * A byte of length before each record. What comes out is the same in whatever
 * order the records came, sorted, without doubles, and names that can be
 * looked up.
 */
#include <stdlib.h>
#include <string.h>

#include "delivery/mx.h"
#include "fuzz.h"
#include "sluice/assert.h"

#define RECORDS_MAX 64u

struct records {
	char *data[RECORDS_MAX];
	int len[RECORDS_MAX];
	uint32_t count;
};

/* Each one a copy of its own, so that a sanitizer sees one byte too far. */
static void records_cut(struct records *r, const uint8_t *data, size_t size)
{
	r->count = 0;
	for (size_t at = 0; at < size && r->count < RECORDS_MAX;) {
		size_t len = data[at++];

		if (len > size - at)
			len = size - at;
		r->data[r->count] = malloc(len ? len : 1);
		sluice_assert(r->data[r->count] != NULL);
		memcpy(r->data[r->count], data + at, len);
		r->len[r->count++] = (int)len;
		at += len;
	}
}

static void records_turn(struct records *r)
{
	for (uint32_t i = 0, k = r->count; k > 0 && i < --k; i++) {
		char *data = r->data[i];
		int len = r->len[i];

		r->data[i] = r->data[k];
		r->len[i] = r->len[k];
		r->data[k] = data;
		r->len[k] = len;
	}
}

static void host_check(const struct mx_host *h)
{
	size_t len = strnlen(h->name, sizeof(h->name));

	sluice_assert(len > 0 && len < DOMAIN_BYTES);
	for (size_t i = 0; i < len; i++)
		sluice_assert(h->name[i] > 0x20 && h->name[i] < 0x7f &&
			      !(h->name[i] >= 'A' && h->name[i] <= 'Z'));
	sluice_assert(h->name[0] != '.' && h->name[len - 1] != '.');
	sluice_assert(strstr(h->name, "..") == NULL);
}

static int host_compare(const struct mx_host *a, const struct mx_host *b)
{
	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return strcmp(a->name, b->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mx_list forth, back;
	struct records r;

	records_cut(&r, data, size);
	mx_list_parse(&forth, r.data, r.len, r.count);
	records_turn(&r);
	mx_list_parse(&back, r.data, r.len, r.count);
	sluice_assert(forth.count <= MX_HOSTS_MAX && forth.count <= r.count);
	sluice_assert(forth.count == back.count && forth.null == back.null);
	sluice_assert(!(forth.null && forth.count));
	for (uint32_t i = 0; i < forth.count; i++) {
		host_check(&forth.hosts[i]);
		sluice_assert(host_compare(&forth.hosts[i], &back.hosts[i]) ==
			      0);
		sluice_assert(i == 0 || host_compare(&forth.hosts[i - 1],
						     &forth.hosts[i]) < 0);
	}
	for (uint32_t i = 0; i < r.count; i++)
		free(r.data[i]);
	return 0;
}

/* Strings with NULs in them: their size goes along. */
#define SAMPLE(s)                                                              \
	{                                                                      \
		s, sizeof(s) - 1                                               \
	}

size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	static const struct {
		const char *data;
		size_t size;
	} samples[] = {
		SAMPLE("\x12\x00\x0a\x02mx\x07"
		       "example\x03org\x00"
		       "\x0c\x00\x05\x02MX\x05other\x00"),
		SAMPLE("\x03\x00\x00\x00"),
		SAMPLE("\x03\x00\x00\x00"
		       "\x06\x00\x01\x02mx\x00"
		       "\x04\x00\x01\xc0\x0c"),
		SAMPLE("\x06\x00\x09\x02m9\x00\x06\x00\x08\x02m8\x00"
		       "\x06\x00\x07\x02m7\x00\x06\x00\x06\x02m6\x00"
		       "\x06\x00\x05\x02m5\x00\x06\x00\x04\x02m4\x00"
		       "\x06\x00\x03\x02m3\x00\x06\x00\x02\x02m2\x00"
		       "\x06\x00\x01\x02m1\x00\x06\x00\x01\x02m1\x00"),
	};

	if (number >= sizeof(samples) / sizeof(samples[0]) ||
	    samples[number].size > max)
		return 0;
	memcpy(out, samples[number].data, samples[number].size);
	return samples[number].size;
}
