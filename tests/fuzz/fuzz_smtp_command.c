/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fuzz_smtp_command.c - any bytes as a client's commands and content.
 *
 * Lines go to the command parser; an accepted address must survive our own
 * writer unchanged, on one line. The whole input goes through unstuffing in
 * one piece and byte by byte, and stuffed again it must come back.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sluice/assert.h"
#include "sluice/domain.h"
#include "smtp/command.h"
#include "smtp/command_parse.h"
#include "smtp/stuffing.h"

static void within(const char *line, size_t len, const struct text *t)
{
	sluice_assert(!t->len ||
		      (t->data >= line && t->data + t->len <= line + len));
}

static void check_attribute(const char *line, size_t len, const struct text *t)
{
	char out[SMTP_ATTRIBUTE_BYTES];

	within(line, len, t);
	if (t->data)
		sluice_assert(smtp_attribute_decode(t, out) ==
			      (int)strlen(out));
}

static void check_command(const char *line, size_t len,
			  const struct smtp_command *k)
{
	static const struct smtp_extensions none;
	char out[2 * MAIL_ADDRESS_BYTES + 64];
	struct smtp_writer w = {out, sizeof(out), 0};
	struct envelope_rcpt r = {.address = k->path.whole};

	within(line, len, &k->argument);
	within(line, len, &k->path.whole);
	within(line, len, &k->path.local);
	within(line, len, &k->path.domain);
	within(line, len, &k->envid);
	within(line, len, &k->orcpt);
	for (int i = 0; i < SMTP_ATTRIBUTES; i++)
		check_attribute(line, len, &k->attributes[i]);
	if (k->verb != SMTP_RCPT)
		return;
	sluice_assert(smtp_write_rcpt(&w, &r, &none) == 0);
	sluice_assert(w.len == 9 + k->path.whole.len + 3);
	sluice_assert(memcmp(out + 9, k->path.whole.data, k->path.whole.len) ==
		      0);
	sluice_assert(memchr(out, '\n', w.len) == out + w.len - 1);
}

static void try_lines(const char *text, size_t size)
{
	while (size) {
		const char *lf = memchr(text, '\n', size);
		size_t len = lf ? (size_t)(lf - text) : size;
		struct smtp_complaint c = {0};
		struct smtp_command k;
		char buf[128];

		if (smtp_command_parse(text, len, &k, &c) == 0)
			check_command(text, len, &k);
		else
			sluice_assert(smtp_complaint_format(&c, buf,
							    sizeof(buf)) > 10);
		size -= lf ? len + 1 : len;
		text += lf ? len + 1 : len;
	}
}

static size_t unstuff(const char *in, size_t len, size_t step, char *out,
		      int *ended)
{
	struct smtp_unstuffer u;
	size_t at = 0, n = 0, used, span_len;
	const char *span;

	smtp_unstuffer_init(&u);
	*ended = 0;
	while (!*ended && at < len) {
		size_t part = len - at < step ? len - at : step;

		*ended = smtp_unstuff(&u, in + at, part, &used, &span,
				      &span_len);
		sluice_assert(used <= part);
		memcpy(out + n, span, span_len);
		n += span_len;
		at += used;
	}
	return n;
}

static void try_content(const char *text, size_t size)
{
	char *one = malloc(size + 8), *two = malloc(size + 8);
	char *wire = malloc(size * 2 + 16);
	int ended_one, ended_two;
	size_t n, used, len;
	struct smtp_stuffer s;

	sluice_assert(one && two && wire);
	n = unstuff(text, size, size, one, &ended_one);
	sluice_assert(unstuff(text, size, 1, two, &ended_two) == n);
	sluice_assert(ended_one == ended_two && memcmp(one, two, n) == 0);
	smtp_stuffer_init(&s);
	len = smtp_stuff(&s, one, n, &used, wire, n * 2 + 2);
	sluice_assert(used == n);
	memcpy(wire + len, "\r\n.\r\n", 5);
	sluice_assert(unstuff(wire, len + 5, 7, two, &ended_two) == n + 2);
	sluice_assert(ended_two == 1 && memcmp(one, two, n) == 0);
	free(one);
	free(two);
	free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_lines((const char *)data, size);
	try_content((const char *)data, size);
	return 0;
}

size_t fuzz_sample(uint32_t number, uint8_t *out, size_t max)
{
	static const char first[] =
		"EHLO mx.example.org\nMAIL FROM:<a@x.org> SIZE=1 BODY=8BITMIME "
		"RET=FULL ENVID=a+2Bb\nRCPT TO:<\"a \\\" b\"@x.org> "
		"NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@x.org\nDATA\nQUIT";
	static const char second[] =
		"MAIL FROM:<>\nRCPT TO:<@a.org,@b.org:a@[IPv6:::1]>\n"
		"BDAT 7 LAST\nXCLIENT NAME=a+2Bb ADDR=IPV6:::1\n"
		"XFORWARD IDENT=4AB LOGIN=x PROTO=ESMTP\n"
		"RCPT TO:<postmaster>\nMAIL FROM:<\xc3\xa4@x.org> SMTPUTF8";
	static const char third[] =
		"a\r\n..b\r\n.c\r\n...\r\n.\rd\r\n.\r\nrest";
	static const char *const samples[] = {first, second, third};

	if (number >= sizeof(samples) / sizeof(samples[0]) ||
	    strlen(samples[number]) > max)
		return 0;
	memcpy(out, samples[number], strlen(samples[number]));
	return strlen(samples[number]);
}
