/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verb_reload.c - `reload`: another config, and what it changed.
 *
 * Role: command. A task, because the engine changes over between two turns of
 * the loop, never inside a callback.
 */
#include <stdlib.h>
#include <sysexits.h>

#include "sluiced/client.h"
#include "sluiced/engine_priv.h"

static bool reload_step(struct task *t)
{
	struct client *c = t->client;
	struct engine *en = client_engine(c);
	struct err e = {""};

	role_assert(&role_queue);
	role_assert(&role_spool);
	role_assert(&role_worker);
	role_assert(&role_command);
	if (engine_reload(en, c, &e) == 0)
		client_done(c, json_pack("{s:O,s:O}", "changes",
					 en->config_changes, "restart",
					 en->config_restart));
	else
		client_error(c, en->stopping ? EX_TEMPFAIL : EX_CONFIG,
			     "%s; the old config stays", e.text);
	client_task_end(c);
	return false;
}

static void reload_destroy(struct task *t)
{
	free(t);
}

void verb_reload(struct client *c, json_t *request)
{
	struct task *t = calloc(1, sizeof(*t));

	(void)request;
	if (t == NULL) {
		client_error(c, EX_OSERR, "out of memory");
		return;
	}
	t->step = reload_step;
	t->destroy = reload_destroy;
	client_task(c, t);
}
