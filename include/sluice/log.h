/* SPDX-License-Identifier: BSD-2-Clause
 *
 * log.h - one line per event on stderr, as JSON or as text.
 *
 * Any thread; a line is one write(2). Never on the message path except for
 * non-2xx replies and state changes. Text form is for a terminal, JSON
 * (`{"time":..., "level":..., "type":..., ...}`) for journald and files.
 */
#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };
enum log_format { LOG_TEXT, LOG_JSON };

void log_init(const char *program, enum log_level least, enum log_format f);
bool log_enabled(enum log_level l);
/* `type` is a short event name ("block", "import"), `fmt` the sentence. */
void log_write(enum log_level l, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_debug(type, ...) log_write(LOG_DEBUG_, type, __VA_ARGS__)
#define log_info(type, ...)  log_write(LOG_INFO_, type, __VA_ARGS__)
#define log_warn(type, ...)  log_write(LOG_WARN_, type, __VA_ARGS__)
#define log_error(type, ...) log_write(LOG_ERROR_, type, __VA_ARGS__)

#endif
