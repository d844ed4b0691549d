/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nearest.c - "did you mean": how far apart two words are.
 *
 * Called by whoever reads words of people. Any thread; pure.
 * Bound: WORD_MAX squared.
 */
#include "sluice/nearest.h"

#include <stddef.h>
#include <string.h>

#define WORD_MAX 40 /* longer ones get no suggestion */

static unsigned least3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Edits from `a` to `b`: insert, delete, replace, swap of neighbours. */
unsigned text_distance(const char *a, const char *b)
{
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);
	unsigned row[WORD_MAX + 1][WORD_MAX + 1];
	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= a_len; i++)
		row[i][0] = (unsigned)i;
	for (size_t j = 0; j <= b_len; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			unsigned other = a[i - 1] != b[j - 1];
			unsigned d =
				least3(row[i - 1][j] + 1, row[i][j - 1] + 1,
				       row[i - 1][j - 1] + other);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && row[i - 2][j - 2] + 1 < d)
				d = row[i - 2][j - 2] + 1;
			row[i][j] = d;
		}
	}
	return row[a_len][b_len];
}

bool text_nearer(const char *text, const char *name, unsigned *least)
{
	unsigned d = text_distance(text, name);

	/* more than a third of it wrong is another word */
	if (*least == 0)
		*least = (unsigned)strlen(text) / 3 + 2;
	if (d >= *least || d >= strlen(name))
		return false;
	*least = d;
	return true;
}

const char *text_nearest(const char *text, const char *const *names)
{
	const char *nearest = NULL;
	unsigned least = 0;

	for (; *names != NULL; names++)
		if (text_nearer(text, *names, &least))
			nearest = *names;
	return nearest;
}
