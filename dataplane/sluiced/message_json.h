/* SPDX-License-Identifier: BSD-2-Clause
 *
 * message_json.h - a stored message as `show` and `trace` tell of it.
 *
 * Role: command.
 */
#ifndef SLUICED_MESSAGE_JSON_H
#define SLUICED_MESSAGE_JSON_H

#include <jansson.h>

#include "sluiced/head_read.h"

/* Envelope, place and header of what was read. */
json_t *message_json(uint64_t id, const struct spool_place *place,
		     const struct head_read *head);

#endif
