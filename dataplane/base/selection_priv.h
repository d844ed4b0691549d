/* SPDX-License-Identifier: BSD-2-Clause
 *
 * selection_priv.h - the list terms of a selection, for reader and writer.
 */
#ifndef SLUICE_SELECTION_PRIV_H
#define SLUICE_SELECTION_PRIV_H

#include <stddef.h>

#include "sluice/selection.h"

struct selection_term {
	const char *name;                /* in JSON and in text */
	size_t offset;                   /* of the list */
	char *(*keep)(const char *text); /* NULL: wrong, or errno ENOMEM */
	const char *wants;
};

/* Ends with an entry without name. */
extern const struct selection_term selection_terms[];

struct selection_list *selection_term_list(const struct selection *s,
					   const struct selection_term *t);

#endif
