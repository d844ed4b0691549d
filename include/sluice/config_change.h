/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_change.h - one config after another, and what of it is not used.
 *
 * For a reload while mail is under way: the new config takes over the numbers
 * of the sources, because batches, greylisted mail and the journal name them
 * by number. Any thread; the configs are constant but for config_adopt().
 */
#ifndef SLUICE_CONFIG_CHANGE_H
#define SLUICE_CONFIG_CHANGE_H

#include "sluice/config.h"

#define CONFIG_SOURCES_MAX 1024u /* with those that were removed */
#define CONFIG_CHANGE_TEXT 160u  /* of a value; longer ones end in "..." */

/* "providers.microsoft.pace.max", "5/s", "2/s". NULL: not given there. */
struct config_change {
	const char *key;
	const char *before;
	const char *after;
	bool restart; /* counts only after a restart */
};

/* Each key, or item of a list, whose text differs. */
void config_diff(const struct config *before, const struct config *after,
		 void (*each)(void *user, const struct config_change *c),
		 void *user);

/* Each key that cannot change while the program runs, and would. */
void config_restart_keys(const struct config *before,
			 const struct config *after,
			 void (*each)(void *user, const char *key), void *user);

/* Each key that is accepted and that no program of this build uses, as a
 * sentence with file:line:column. */
void config_unused(const struct config *c,
		   void (*each)(void *user, const char *sentence), void *user);

/* Makes `c` the successor of `before`: a source keeps its number if its
 * address is the same (a new name), else if its name is; one that is gone
 * keeps its place, marked; new ones come behind. What cannot change while the
 * program runs stays as it is in `before`. -E2BIG: too many sources over time;
 * `c` is as it was then. */
int config_adopt(struct config *c, const struct config *before, struct err *e);

#endif
