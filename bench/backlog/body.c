/* SPDX-License-Identifier: BSD-2-Clause
 *
 * body.c - bodies: runs of lines from a pool, and the odd ones in between.
 *
 * Called by message_make(). Bound: the size asked for, plus one long line.
 */
#include <string.h>

#include "backlog/message_priv.h"
#include "sluice/assert.h"

static const char *const words_ascii[] = {
	"the",     "deadline", "for",     "your",    "application",  "is",
	"please",  "find",     "minutes", "seminar", "library",      "of",
	"account", "course",   "attend",  "room",    "registration", "on",
	"and",     "we",       "will",    "meeting", "faculty",      "to",
	"exam",    "results",  "thesis",  "lecture", "semester",     "a",
	"invoice", "password", "quota",   "mailbox", "attached",     "in",
};
static const char *const words_utf8[] = {
	"Prüfung", "für",    "Überblick", "café",    "naïve",   "Größe",
	"señor",   "mañana", "Ελλάδα",    "привет",  "日本語",  "œuvre",
	"straße",  "Ärger",  "żółw",      "čeština", "“quote”", "–",
};
static const char *const dot_lines[] = {
	".\r\n",  "..\r\n",         ".signature\r\n", "...and so on\r\n",
	". \r\n", "..two.dots\r\n",
};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void line_make(struct buffer *b, struct random_state *r, bool utf8)
{
	size_t from = b->len, width = 40 + random_below(r, 36);

	while (b->len - from < width) {
		const char *word;

		if (utf8 && random_percent(r, 25))
			word = words_utf8[random_below(r, COUNT(words_utf8))];
		else
			word = words_ascii[random_below(r, COUNT(words_ascii))];
		if (b->len > from)
			buffer_add(b, " ", 1);
		buffer_add_text(b, word);
	}
	buffer_add_text(b, "\r\n");
}

void text_pool_init(struct text_pool *p, uint64_t seed, bool utf8)
{
	struct random_state r = random_stream(seed, UINT64_MAX - utf8);

	for (uint32_t i = 0; i < POOL_LINES; i++) {
		p->start[i] = (uint32_t)p->text.len;
		if (i % 12 == 11)
			buffer_add_text(&p->text, "\r\n");
		else
			line_make(&p->text, &r, utf8);
	}
	p->start[POOL_LINES] = (uint32_t)p->text.len;
}

void text_pool_fini(struct text_pool *p)
{
	buffer_fini(&p->text);
}

/* One line of `len` bytes: pool text with its line ends made spaces. */
static void long_line_add(const struct text_pool *p, struct buffer *b,
			  struct random_state *r, size_t len)
{
	uint32_t from = (uint32_t)random_below(r, p->text.len - len);

	buffer_add(b, "=", 1);
	buffer_reserve(b, len + 2);
	for (size_t i = 0; i < len; i++) {
		char c = p->text.data[from + i];

		b->data[b->len++] = c == '\r' || c == '\n' ? ' ' : c;
	}
	buffer_add(b, "\r\n", 2);
}

static void odd_lines_add(const struct text_pool *p, struct random_state *r,
			  struct message *m)
{
	static const uint16_t lengths[] = {997,  998,  1000, 2046,
					   2047, 2048, 4095, 9000};

	if (m->traits & MESSAGE_DOTS) {
		uint64_t n = 1 + random_below(r, 4);

		while (n--)
			buffer_add_text(
				&m->content,
				dot_lines[random_below(r, COUNT(dot_lines))]);
	}
	if (m->traits & MESSAGE_LONG_LINES)
		long_line_add(p, &m->content, r,
			      lengths[random_below(r, COUNT(lengths))]);
}

/* Whole pool lines, from a random one on, while they fit. */
static void lines_add(const struct text_pool *p, struct random_state *r,
		      struct buffer *b, uint64_t size_bytes)
{
	uint32_t line = (uint32_t)random_below(r, POOL_LINES);

	while (b->len < size_bytes) {
		uint64_t room = size_bytes - b->len;
		uint32_t end = line;

		while (end < POOL_LINES &&
		       p->start[end + 1] - p->start[line] <= room)
			end++;
		if (end == line)
			return;
		buffer_add(b, p->text.data + p->start[line],
			   p->start[end] - p->start[line]);
		line = end == POOL_LINES ? 0 : end;
	}
}

/* A last line of dashes, or one dash more, so that the size is exact. */
static void size_fill(struct buffer *b, uint64_t size_bytes)
{
	if (b->len + 1 == size_bytes) {
		b->len -= 2;
		buffer_add_text(b, "-\r\n");
	} else if (b->len + 2 <= size_bytes) {
		size_t fill = size_bytes - b->len - 2;

		buffer_reserve(b, fill);
		memset(b->data + b->len, '-', fill);
		b->len += fill;
		buffer_add_text(b, "\r\n");
	}
}

void body_make(const struct message_generator *g, struct random_state *r,
	       struct message *m, uint64_t size_bytes)
{
	const struct text_pool *p =
		m->traits & MESSAGE_8BIT ? &g->utf8 : &g->ascii;
	struct buffer *b = &m->content;

	buffer_add_text(b, "\r\n");
	odd_lines_add(p, r, m);
	lines_add(p, r, b, size_bytes);
	if (g->options.size_fixed)
		size_fill(b, size_bytes);
	if (m->traits & MESSAGE_DOTS && random_percent(r, 50))
		buffer_add_text(b, ".\r\n");
	sluice_assert(b->len >= 2);
}
