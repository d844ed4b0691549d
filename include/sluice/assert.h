/* SPDX-License-Identifier: BSD-2-Clause
 *
 * assert.h - assertions that stay on in every build.
 *
 * sluice_assert() is for bugs of ours: it prints place and expression and
 * aborts. Nothing that a peer, a disk or an operator sends may reach it.
 */
#ifndef SLUICE_ASSERT_H
#define SLUICE_ASSERT_H

_Noreturn void sluice_bug(const char *file, int line, const char *func,
			  const char *expr);

#if defined(__cppcheck__)
/* it does not follow the other form to the end of the program */
#define sluice_assert(e)                                                       \
	do {                                                                   \
		if (!(e))                                                      \
			abort();                                               \
	} while (0)
#else
#define sluice_assert(e)                                                       \
	(__builtin_expect(!(e), 0)                                             \
		 ? sluice_bug(__FILE__, __LINE__, __func__, #e)                \
		 : (void)0)
#endif

/* A magic in each long-lived struct: catches use after free and mix-ups. */
#define MAGIC_CHECK(p, m) sluice_assert((p) != NULL && (p)->magic == (m))

#endif
