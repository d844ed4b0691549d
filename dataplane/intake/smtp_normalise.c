/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_normalise.c - the repair of line ends.
 *
 * Called by smtp_content.c, role worker. The rules are those of the importers
 * (content_out.c): LF ends a line, a run of CRs counts as one, a CR without LF
 * ends a line too.
 * Bound: one pass. No errors.
 */
#include "intake/smtp_normalise.h"

void smtp_normalise_init(struct smtp_normaliser *n, bool stuffed)
{
	*n = (struct smtp_normaliser){.stuffed = stuffed};
}

static size_t line_end(char *out)
{
	out[0] = '\r';
	out[1] = '\n';
	return 2;
}

size_t smtp_normalise(struct smtp_normaliser *n, const char *in, size_t len,
		      char *out)
{
	size_t to = 0;

	for (size_t i = 0; i < len; i++) {
		if (in[i] == '\r') {
			n->cr = true;
			n->dot = false;
			continue;
		}
		if (in[i] == '\n') {
			n->dot = n->stuffed && !n->cr;
			n->cr = false;
			to += line_end(out + to);
			continue;
		}
		if (n->cr)
			to += line_end(out + to);
		n->cr = false;
		if (!n->dot || in[i] != '.')
			out[to++] = in[i];
		n->dot = false;
	}
	return to;
}

size_t smtp_normalise_end(struct smtp_normaliser *n, char *out)
{
	if (!n->cr)
		return 0;
	n->cr = false;
	return line_end(out);
}
