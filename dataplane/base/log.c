/* SPDX-License-Identifier: BSD-2-Clause
 *
 * log.c - one event, one line, one write(2).
 *
 * Any thread. Bound: LINE_BYTES on the stack, a longer line is cut; no
 * allocation, no lock. What peers wrote may be in a line, so control bytes are
 * made visible and JSON is always valid UTF-8.
 */
#include "sluice/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sluice/assert.h"
#include "sluice/clock.h"

#define LINE_BYTES    4096
#define MESSAGE_BYTES 2048

struct line {
	size_t len;
	bool cut; /* something did not fit: nothing more is added */
	char data[LINE_BYTES];
};

static const char *log_program = "sluice";
/* Relaxed: a reload may change them while others log; either value is fine. */
static int log_least = LOG_INFO_;
static int log_shape = LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(const char *program, enum log_level least, enum log_format f)
{
	sluice_assert(program != NULL);
	__atomic_store_n(&log_program, program, __ATOMIC_RELAXED);
	__atomic_store_n(&log_least, (int)least, __ATOMIC_RELAXED);
	__atomic_store_n(&log_shape, (int)f, __ATOMIC_RELAXED);
}

bool log_enabled(enum log_level l)
{
	return (int)l >= __atomic_load_n(&log_least, __ATOMIC_RELAXED);
}

/* All or nothing, and room is kept for what closes the line. */
static void line_add(struct line *l, const char *s, size_t len)
{
	if (l->cut || l->len + len + 4 > sizeof(l->data)) {
		l->cut = true;
		return;
	}
	memcpy(l->data + l->len, s, len);
	l->len += len;
}

static void line_text(struct line *l, const char *s)
{
	line_add(l, s, strlen(s));
}

/* Length of the UTF-8 sequence at `s`; 0 = not valid. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	bool overlong =
		(s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
	bool beyond =
		(s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
	return overlong || beyond ? 0 : n;
}

static void line_escaped_byte(struct line *l, unsigned char c, bool json)
{
	char text[8];
	if (json && (c == '"' || c == '\\'))
		(void)snprintf(text, sizeof(text), "\\%c", c);
	else if (json && c < 0x80)
		(void)snprintf(text, sizeof(text), "\\u%04x", c);
	else if (json)
		(void)snprintf(text, sizeof(text), "\\ufffd");
	else
		(void)snprintf(text, sizeof(text), "\\x%02x", c);
	line_text(l, text);
}

static void line_escaped(struct line *l, const char *text, bool json)
{
	const unsigned char *s = (const unsigned char *)text;
	while (*s != '\0') {
		size_t n = 1;
		bool plain = *s >= 0x20 && *s < 0x7f &&
			     !(json && (*s == '"' || *s == '\\'));
		if (*s >= 0x80) {
			n = utf8_len(s);
			/* C1 controls steer terminals too */
			plain = n > 0 && !(s[0] == 0xc2 && s[1] < 0xa0);
		}
		if (plain) {
			line_add(l, (const char *)s, n);
			s += n;
		} else {
			line_escaped_byte(l, *s, json);
			s++;
		}
	}
}

static void line_time(struct line *l)
{
	uint64_t now_ns = clock_realtime_ns();
	time_t now_s = (time_t)(now_ns / NS_PER_S);
	struct tm tm;
	char text[64];
	if (gmtime_r(&now_s, &tm) == NULL)
		return;
	size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + len, sizeof(text) - len, ".%03uZ",
		       (unsigned)(now_ns % NS_PER_S / NS_PER_MS));
	line_text(l, text);
}

static void line_json(struct line *l, enum log_level level, const char *type,
		      const char *message)
{
	line_text(l, "{\"time\":\"");
	line_time(l);
	line_text(l, "\",\"level\":\"");
	line_text(l, level_names[level]);
	line_text(l, "\",\"program\":\"");
	line_escaped(l, __atomic_load_n(&log_program, __ATOMIC_RELAXED), true);
	line_text(l, "\",\"type\":\"");
	line_escaped(l, type, true);
	line_text(l, "\",\"message\":\"");
	line_escaped(l, message, true);
	memcpy(l->data + l->len, "\"}\n", 3);
	l->len += 3;
}

static void line_plain(struct line *l, enum log_level level, const char *type,
		       const char *message)
{
	line_time(l);
	line_text(l, " ");
	line_escaped(l, __atomic_load_n(&log_program, __ATOMIC_RELAXED), false);
	line_text(l, " ");
	line_text(l, level_names[level]);
	line_text(l, " ");
	line_escaped(l, type, false);
	line_text(l, ": ");
	line_escaped(l, message, false);
	l->data[l->len++] = '\n';
}

void log_write(enum log_level l, const char *type, const char *fmt, ...)
{
	sluice_assert(l >= LOG_DEBUG_ && l <= LOG_ERROR_ && type != NULL);
	if (!log_enabled(l))
		return;
	char message[MESSAGE_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	struct line line;
	line.len = 0;
	line.cut = false;
	if (__atomic_load_n(&log_shape, __ATOMIC_RELAXED) == LOG_JSON)
		line_json(&line, l, type, message);
	else
		line_plain(&line, l, type, message);
	/* A log that cannot be written has nowhere to be reported. */
	ssize_t written = write(STDERR_FILENO, line.data, line.len);
	(void)written;
}
