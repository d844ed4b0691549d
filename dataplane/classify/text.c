/* SPDX-License-Identifier: BSD-2-Clause
 *
 * text.c - brings a reply's text into the form that patterns are written for.
 *
 * Called by classify_reply(), any thread, on bytes that a stranger sent.
 * Bound: CLASSIFY_TEXT_BYTES; of a longer text its beginning and its end, as
 * some receivers put their code last.
 */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "classify/classify_priv.h"
#include "sluice/assert.h"

struct text_writer {
	char *out;
	uint32_t len;
};

static bool address_char(char c)
{
	/* Stops at what encloses an address in replies and URLs. */
	return (unsigned char)c > ' ' &&
	       strchr("<>()[]\"',:;/?&|`{}", c) == NULL;
}

/* Words that receivers tell us to write to; their addresses stay. */
static bool local_part_is_role(const char *local, uint32_t len)
{
	static const char *const roles[] = {"postmaster", "abuse", "delist",
					    "unblock", "support"};
	size_t i;

	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (len == strlen(roles[i]) &&
		    memcmp(local, roles[i], len) == 0)
			return true;
	return false;
}

/* At an '@': replaces the local part written so far; returns how many bytes
 * of the input the '@' and the domain take, 0 = no address. */
static uint32_t address_hide(struct text_writer *w, const char *in,
			     uint32_t in_len)
{
	uint32_t start = w->len, taken = 1;

	while (start > 0 && address_char(w->out[start - 1]))
		start--;
	while (taken < in_len &&
	       (isalnum((unsigned char)in[taken]) || in[taken] == '.' ||
		in[taken] == '-' || (unsigned char)in[taken] >= 0x80))
		taken++;
	/* The sentence's full stop is not the address's. */
	while (taken > 1 && in[taken - 1] == '.')
		taken--;
	if (start == w->len || taken == 1 ||
	    local_part_is_role(w->out + start, w->len - start))
		return 0;
	/* Never longer than what it replaces: "a@b" is the shortest. */
	memcpy(w->out + start, "x@x", 3);
	w->len = start + 3;
	return taken;
}

/* Lower case of the two-byte letters that refusals are written in: Latin with
 * accents and Cyrillic. Returns whether the two bytes were such a letter. */
static bool letter_lower(const unsigned char in[2], char out[2])
{
	if (in[0] == 0xc3 && in[1] >= 0x80 && in[1] <= 0x9e && in[1] != 0x97) {
		out[0] = (char)0xc3;
		out[1] = (char)(in[1] + 0x20);
	} else if (in[0] == 0xd0 && in[1] >= 0x90 && in[1] <= 0x9f) {
		out[0] = (char)0xd0;
		out[1] = (char)(in[1] + 0x20);
	} else if (in[0] == 0xd0 && in[1] >= 0xa0 && in[1] <= 0xaf) {
		out[0] = (char)0xd1;
		out[1] = (char)(in[1] - 0x20);
	} else {
		return false;
	}
	return true;
}

static void text_write(struct text_writer *w, const char *in, uint32_t in_len)
{
	uint32_t i = 0, taken;

	while (i < in_len) {
		unsigned char c = (unsigned char)in[i];

		if (c <= ' ' || c == 0x7f) {
			if (w->len > 0 && w->out[w->len - 1] != ' ')
				w->out[w->len++] = ' ';
			i++;
			continue;
		}
		if (in_len - i > 1 &&
		    letter_lower((const unsigned char *)in + i,
				 w->out + w->len)) {
			w->len += 2;
			i += 2;
			continue;
		}
		taken = c == '@' ? address_hide(w, in + i, in_len - i) : 0;
		if (taken == 0) {
			w->out[w->len++] = (char)(c < 0x80 ? tolower(c) : c);
			taken = 1;
		}
		i += taken;
	}
}

uint32_t text_normalise(const char *in, uint32_t in_len,
			char out[CLASSIFY_TEXT_BYTES + 8])
{
	struct text_writer w = {.out = out};
	const uint32_t head = CLASSIFY_TEXT_BYTES - CLASSIFY_TAIL_BYTES;

	if (in_len <= CLASSIFY_TEXT_BYTES) {
		text_write(&w, in, in_len);
	} else {
		text_write(&w, in, head);
		out[w.len++] = ' ';
		text_write(&w, in + in_len - CLASSIFY_TAIL_BYTES,
			   CLASSIFY_TAIL_BYTES);
	}
	while (w.len > 0 && out[w.len - 1] == ' ')
		w.len--;
	sluice_assert(w.len <= CLASSIFY_TEXT_BYTES + 1);
	out[w.len] = '\0';
	return w.len;
}

static size_t number_parse(const char *in, size_t len, uint16_t *out)
{
	uint32_t value = 0;
	size_t i = 0;

	while (i < len && i < 3 && isdigit((unsigned char)in[i]))
		value = value * 10 + (uint32_t)(in[i++] - '0');
	if (i > 0)
		*out = (uint16_t)value;
	return i;
}

size_t text_enhanced_parse(const char *in, size_t len, uint16_t out[3])
{
	uint16_t part[3];
	size_t at = 0, used;
	int i;

	for (i = 0; i < 3; i++) {
		used = number_parse(in + at, len - at, &part[i]);
		if (used == 0)
			return 0;
		at += used;
		if (i < 2 && (at == len || in[at++] != '.'))
			return 0;
	}
	if (part[0] != 2 && part[0] != 4 && part[0] != 5)
		return 0;
	if (at < len && (isalnum((unsigned char)in[at]) || in[at] == '.'))
		return 0;
	memcpy(out, part, sizeof(part));
	return at;
}
