/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope_json.h - an envelope as the command socket gets it.
 *
 * {"sender": "...", "recipients": ["..."], "arrival": 1700000000,
 *  "account": "...", "client": "..."}: sender and recipients are needed, an
 * empty sender is the null sender; without "arrival" the caller's time counts.
 * Called by the command socket, on any thread; allocates only in `b`.
 */
#ifndef SLUICE_INTAKE_ENVELOPE_JSON_H
#define SLUICE_INTAKE_ENVELOPE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "intake/envelope_build.h"
#include "sluice/err.h"

/* Fills b->env (after a reset). -EINVAL with a sentence that names the key and
 * what is wrong with it; -E2BIG, -ENOMEM. */
int envelope_from_json(const json_t *object, uint32_t now_s,
		       struct envelope_build *b, struct err *e);

#endif
