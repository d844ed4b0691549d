/* SPDX-License-Identifier: BSD-2-Clause
 *
 * err.h - errors that say what, where, and what to do.
 *
 * Functions return 0 or -errno. Where a bare errno would not tell an operator
 * what to do, the function also takes a `struct err *` (may be NULL) and
 * fills in one sentence. Any thread.
 */
#ifndef SLUICE_ERR_H
#define SLUICE_ERR_H

#include <stddef.h>

#define ERR_TEXT_BYTES 512

struct err {
	char text[ERR_TEXT_BYTES]; /* one line, no newline; "" = none */
};

/* Formats into `e` (if not NULL) and returns `code` (a negative errno). */
int err_set(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts "prefix: " before what `e` says. */
void err_prefix(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Environment errors at start only: prints "PROGRAM: text", exits with
 * `status` (sysexits). */
_Noreturn void err_fatal(int status, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* strerror() that is thread-safe and takes errno or -errno. */
const char *err_name(int code);

#endif
