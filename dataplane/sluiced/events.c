/* SPDX-License-Identifier: BSD-2-Clause
 *
 * events.c - what happens, as JSON lines, for whoever is listening.
 *
 * Callers ask event_wanted() before they build an event, so that a drain
 * nobody watches costs nothing. Role: command.
 */
#include <stdlib.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"

bool event_wanted(const struct engine *en)
{
	return (en->command != NULL && command_tail_wanted(en->command)) ||
	       log_enabled(LOG_DEBUG_);
}

void event_emit(struct engine *en, json_t *event)
{
	char *line;

	if (event == NULL)
		return;
	json_object_set_new(event, "time",
			    json_real((double)clock_realtime_ns() / 1e9));
	line = json_dumps(event, JSON_COMPACT);
	if (line != NULL) {
		log_debug("event", "%s", line);
		if (en->command != NULL)
			command_tail(en->command, line, strlen(line));
		free(line);
	}
	json_decref(event);
}
