/* SPDX-License-Identifier: BSD-2-Clause
 *
 * listener.c - SMTP intake of sluiced.
 *
 * Role: worker, queue. Opens the `listen:` sockets; each message that has
 * become durable is queued before its 250 goes out. Live mail is not held.
 */
#include "sluiced/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "intake/smtp_server.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"

struct listener {
	struct engine *en;
	struct smtp_server *server; /* NULL without `listen:` */
	char host[256];
};

static void on_stored(void *user, const struct spool_stored *m)
{
	struct listener *l = user;
	int rc = queue_stored(l->en->queue, m);

	if (rc != 0)
		log_error("intake",
			  "a stored message cannot be queued: %s; a restart "
			  "finds it",
			  err_name(rc));
}

static int server_open(struct listener *l, struct err *e)
{
	static const struct smtp_server_ops ops = {on_stored};
	const struct config *c = l->en->config;
	struct smtp_server_options o = {.host = l->host};
	int rc;

	for (uint32_t i = 0; i < c->listen_count; i++)
		o.sessions_max += c->listens[i].sessions_max;
	rc = smtp_server_create(&l->server, l->en->io, l->en->spool, &o, &ops,
				l);
	if (rc != 0)
		return err_set(e, rc, "SMTP intake: %s", err_name(rc));
	for (uint32_t i = 0; rc == 0 && i < c->listen_count; i++)
		rc = smtp_server_listen(l->server, &c->listens[i], e);
	return rc;
}

int listener_create(struct engine *en, struct listener **out, struct err *e)
{
	struct listener *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	l->en = en;
	if (gethostname(l->host, sizeof(l->host) - 1) != 0)
		strcpy(l->host, "localhost");
	*out = l;
	if (en->config->listen_count == 0)
		return 0;
	rc = server_open(l, e);
	return rc; /* engine_destroy() frees what is there */
}

void listener_step(struct listener *l)
{
	if (l->server != NULL)
		smtp_server_step(l->server);
}

void listener_stop(struct listener *l)
{
	if (l->server != NULL)
		smtp_server_stop(l->server);
}

bool listener_idle(const struct listener *l)
{
	return l->server == NULL || smtp_server_idle(l->server);
}

void listener_destroy(struct listener **lp)
{
	struct listener *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	if (l->server != NULL)
		smtp_server_destroy(&l->server);
	free(l);
}
