/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_postfix_queue.c - any bytes as a Postfix queue file.
 *
 * Each input is tried as it is, and with a size record in front that fits: its
 * offsets must match what follows, which mutation rarely keeps. Whatever is
 * taken must be a message that can be sent: addresses without control
 * characters, content that ends with CRLF, flags that tell the truth.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "intake/postfix_queue.h"
#include "sluice/assert.h"
#include "smtp/stuffing.h"
#include "spool/spool.h"

#define SIZE_PAYLOAD 95u

struct reading {
	const uint8_t *data;
	size_t size;
	uint32_t envelopes;
	struct smtp_scan scan;
};

static int source_at(void *user, uint64_t offset, uint32_t len,
		     const void **data, uint32_t *got)
{
	struct reading *r = user;

	sluice_assert(offset < r->size && len <= POSTFIX_QUEUE_AT_MAX);
	*data = r->data + offset;
	*got = r->size - offset < len ? (uint32_t)(r->size - offset) : len;
	return 0;
}

static void text_check(struct text t)
{
	for (uint32_t i = 0; i < t.len; i++)
		sluice_assert((unsigned char)t.data[i] >= 32 &&
			      t.data[i] != 127);
}

static int envelope_check(void *user, const struct envelope *env)
{
	struct reading *r = user;

	r->envelopes++;
	text_check(env->sender);
	text_check(env->envid);
	sluice_assert(env->rcpt_count > 0 && env->arrival_s > 0);
	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		const struct envelope_rcpt *p = &env->rcpts[i];

		text_check(p->address);
		text_check(p->orcpt);
		sluice_assert(memchr(p->address.data, '@', p->address.len));
	}
	return 0;
}

static int content_take(void *user, const void *data, uint32_t len)
{
	struct reading *r = user;

	sluice_assert(r->envelopes == 1 && len > 0);
	smtp_scan_update(&r->scan, data, len);
	return 0;
}

static void flags_check(struct reading *r, bool normalise,
			const struct postfix_queue_info *info)
{
	bool whole = smtp_scan_end(&r->scan);
	bool bare = info->flags & SPOOL_BARE_CR_LF;

	sluice_assert(r->envelopes == 1 && whole);
	sluice_assert(info->content_bytes == r->scan.bytes);
	sluice_assert(!(normalise && bare));
	sluice_assert(bare == r->scan.bare_cr_lf);
	sluice_assert(!!(info->flags & SPOOL_HAS_8BIT) == r->scan.has_8bit);
	sluice_assert(!!(info->flags & SPOOL_NEEDS_STUFFING) ==
		      r->scan.needs_stuffing);
}

static void read_one(struct postfix_queue *q, const uint8_t *data, size_t size,
		     bool normalise)
{
	static const struct postfix_queue_ops ops = {envelope_check,
						     content_take};
	struct reading r = {.data = data, .size = size};
	struct postfix_queue_source src = {source_at, &r, size};
	struct postfix_queue_info info;
	struct err e;
	int rc;

	smtp_scan_init(&r.scan);
	rc = postfix_queue_begin(q, &src, "3F00A1", normalise, &ops, &r, &e);
	sluice_assert(rc == 0);
	do
		rc = postfix_queue_step(q, &info);
	while (rc == 1);
	if (rc == 0)
		flags_check(&r, normalise, &info);
	else
		sluice_assert(rc < 0 && e.text[0] != '\0');
}

/* Finds the message and the extracted record, and writes offsets that fit. */
static void size_mend(uint8_t *data, size_t size)
{
	uint8_t *m = memmem(data, size, "M\0", 2);
	uint8_t *x = m ? memmem(m, size - (size_t)(m - data), "X\0", 2) : NULL;
	char text[128];

	if (!x || m < data + 2 + SIZE_PAYLOAD)
		return;
	snprintf(text, sizeof(text), "%15td %15td %15u %15u %15u %15u",
		 x - m - 2, m + 2 - data, 1, 0, 0, 0);
	data[0] = 'C';
	data[1] = SIZE_PAYLOAD;
	memcpy(data + 2, text, SIZE_PAYLOAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct postfix_queue *q = postfix_queue_create();
	uint8_t *copy = malloc(size ? size : 1);

	sluice_assert(q && copy);
	read_one(q, data, size, false);
	if (size) {
		memcpy(copy, data, size);
		size_mend(copy, size);
		read_one(q, copy, size, false);
		read_one(q, copy, size, true);
	}
	free(copy);
	postfix_queue_destroy(&q);
	return 0;
}

static size_t put(uint8_t *out, size_t at, char type, const char *text)
{
	size_t len = strlen(text);

	sluice_assert(len < 128);
	out[at] = (uint8_t)type;
	out[at + 1] = (uint8_t)len;
	memcpy(out + at + 2, text, len);
	return at + 2 + len;
}

/* A plain message, and one with edits behind its end. */
size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	static const struct {
		char type;
		const char *text;
	} records[] = {
		{'T', "1700000000 5"},
		{'A', "envelope_id=x+y"},
		{'S', "a@src.test"},
		{'A', "dsn_orig_rcpt=rfc822;b@dst.test"},
		{'n', "2"},
		{'O', "b@dst.test"},
		{'R', "b@dst.test"},
		{'D', "c@dst.test"},
		{'M', ""},
		{'N', "Subject: x"},
		{'w', "0"},
		{'p', "              0"},
		{'N', ""},
		{'L', ".long "},
		{'N', "line\r"},
		{'X', ""},
		{'A', "encoding=8bit"},
		{'R', "\"odd one\"@[192.0.2.1]"},
		{'E', ""},
	};
	size_t n = 2 + SIZE_PAYLOAD, pointer = 0, back = 0;
	char text[32];

	if (number > 1)
		return 0;
	sluice_assert(max >= 4096);
	memset(out, ' ', n);
	for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
		if (records[i].type == 'p')
			pointer = n;
		n = put(out, n, records[i].type, records[i].text);
		if (records[i].type == 'p')
			back = n;
	}
	size_mend(out, n);
	if (number == 0)
		return n;
	snprintf(text, sizeof(text), "%15zu", n);
	put(out, pointer, 'p', text);
	n = put(out, n, 'N', "X-Added: y");
	snprintf(text, sizeof(text), "%15zu", back);
	return put(out, n, 'p', text);
}
