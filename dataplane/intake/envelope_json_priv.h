/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope_json_priv.h - the two halves of reading an envelope from JSON.
 */
#ifndef SLUICE_INTAKE_ENVELOPE_JSON_PRIV_H
#define SLUICE_INTAKE_ENVELOPE_JSON_PRIV_H

#include <jansson.h>

#include "intake/envelope_build.h"
#include "sluice/err.h"

/* ORCPT and NOTIFY of a recipient that is an object. */
int envelope_rcpt_dsn(const json_t *v, size_t number, struct envelope_build *b,
		      struct envelope_rcpt *r, struct err *e);
/* ENVID, RET, BODY, origin, SMTPUTF8. */
int envelope_options(const json_t *object, struct envelope_build *b,
		     struct err *e);

#endif
