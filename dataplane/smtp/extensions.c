/* SPDX-License-Identifier: BSD-2-Clause
 *
 * extensions.c - what a receiver's answer to EHLO offers.
 *
 * Called by delivery, once per connection. PURE, any thread.
 * Bound: the text of one reply. Unknown keywords and malformed parameters are
 * passed over: an odd EHLO answer is no reason not to deliver.
 */
#include <string.h>
#include <strings.h>

#include "smtp/reply.h"

struct keyword {
	const char *name;
	size_t offset; /* of the flag in struct smtp_extensions */
};

static const struct keyword keywords[] = {
	{"PIPELINING", offsetof(struct smtp_extensions, pipelining)},
	{"SIZE", offsetof(struct smtp_extensions, size)},
	{"8BITMIME", offsetof(struct smtp_extensions, eightbitmime)},
	{"SMTPUTF8", offsetof(struct smtp_extensions, smtputf8)},
	{"DSN", offsetof(struct smtp_extensions, dsn)},
	{"CHUNKING", offsetof(struct smtp_extensions, chunking)},
	{"STARTTLS", offsetof(struct smtp_extensions, starttls)},
	{"ENHANCEDSTATUSCODES",
	 offsetof(struct smtp_extensions, enhancedstatuscodes)},
};

/* Decimal; 0 (no limit told) for anything else and for what overflows. */
static uint64_t size_value(const char *s, size_t len)
{
	uint64_t v = 0;

	while (len && (*s == ' ' || *s == '=')) {
		s++;
		len--;
	}
	for (size_t i = 0; i < len && s[i] != ' '; i++) {
		if (s[i] < '0' || s[i] > '9' || v > (UINT64_MAX - 9) / 10)
			return 0;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	return v;
}

static void extension_line(const char *line, size_t len,
			   struct smtp_extensions *out)
{
	size_t word = 0;

	while (word < len && line[word] != ' ' && line[word] != '=' &&
	       line[word] != '\t')
		word++;
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		const struct keyword *k = &keywords[i];

		if (strlen(k->name) != word ||
		    strncasecmp(k->name, line, word) != 0)
			continue;
		*(bool *)((char *)out + k->offset) = true;
		if (k->offset == offsetof(struct smtp_extensions, size))
			out->size_max_bytes =
				size_value(line + word, len - word);
		return;
	}
}

void smtp_extensions_parse(const char *text, size_t len,
			   struct smtp_extensions *out)
{
	const char *end = text + len, *lf = memchr(text, '\n', len);

	memset(out, 0, sizeof(*out));
	/* The first line is the host's name and a greeting. */
	while (lf) {
		const char *line = lf + 1;

		lf = memchr(line, '\n', (size_t)(end - line));
		extension_line(line, (size_t)((lf ? lf : end) - line), out);
	}
}
