/* SPDX-License-Identifier: BSD-2-Clause
 *
 * listener.c - SMTP intake of sluiced.
 *
 * Role: worker, queue. Opens the `listen:` sockets; each message that has
 * become durable is queued before its 250 goes out. Live mail is not held.
 * Each listener has its own copy of its settings: a reload changes the copy,
 * so that sessions see it at their next command, and never a freed one. Copies
 * stay until the end: one per address that was ever listened on.
 */
#include "sluiced/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "intake/smtp_server.h"
#include "sluice/log.h"
#include "sluiced/engine_priv.h"
#include "sluiced/sockets.h"

struct slot {
	struct slot *next;
	struct config_listen config; /* its lists are ours */
	struct addr_prefix *allow_next, *trust_next;
	int fd; /* until the server has it; -1 */
	bool open, wanted;
};

struct listener {
	struct engine *en;
	struct smtp_server *server; /* NULL as long as nothing listens */
	struct slot *slots;
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

static uint32_t sessions_of(const struct config *c)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < c->listen_count; i++)
		sum += c->listens[i].sessions_max;
	return sum;
}

static int server_open(struct listener *l, const struct config *c,
		       struct err *e)
{
	static const struct smtp_server_ops ops = {on_stored};
	struct smtp_server_options o = {.host = l->host,
					.sessions_max = sessions_of(c)};
	int rc = 0;

	if (c->listen_count == 0)
		return 0;
	if (l->server == NULL)
		rc = smtp_server_create(&l->server, l->en->io, l->en->spool, &o,
					&ops, l);
	else
		rc = smtp_server_room(l->server, o.sessions_max);
	return rc == 0 ? 0 : err_set(e, rc, "SMTP intake: %s", err_name(rc));
}

/* A copy of a list of networks; never NULL but without memory. */
static struct addr_prefix *prefixes_copy(const struct addr_prefix *list,
					 uint32_t count)
{
	struct addr_prefix *copy = calloc(count + 1u, sizeof(*copy));

	if (copy != NULL && count > 0)
		memcpy(copy, list, count * sizeof(*copy));
	return copy;
}

static struct slot *slot_of(struct listener *l, const struct addr *a)
{
	struct slot *s = l->slots;

	while (s != NULL && !addr_equal(&s->config.address, a))
		s = s->next;
	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->config.address = *a;
	s->fd = -1;
	s->next = l->slots;
	l->slots = s;
	return s;
}

static int slot_prepare(struct listener *l, const struct config_listen *c,
			struct sockets *sockets, struct err *e)
{
	struct slot *s = slot_of(l, &c->address);

	if (s == NULL)
		return err_set(e, -ENOMEM, "listen: out of memory");
	if (s->wanted)
		return 0; /* port 0 twice */
	s->wanted = true;
	s->allow_next = prefixes_copy(c->allow, c->allow_count);
	s->trust_next = prefixes_copy(c->trust, c->trust_count);
	if (s->allow_next == NULL || s->trust_next == NULL)
		return err_set(e, -ENOMEM, "listen: out of memory");
	if (s->open)
		return 0;
	if (sockets != NULL)
		s->fd = sockets_take(sockets, &c->address);
	if (s->fd < 0)
		s->fd = smtp_server_socket(&c->address, e);
	return s->fd < 0 ? s->fd : 0;
}

void listener_config_drop(struct listener *l)
{
	for (struct slot *s = l->slots; s != NULL; s = s->next) {
		free(s->allow_next);
		free(s->trust_next);
		s->allow_next = s->trust_next = NULL;
		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
		s->wanted = false;
	}
}

int listener_config_prepare(struct listener *l, const struct config *c,
			    struct sockets *sockets, struct err *e)
{
	int rc = server_open(l, c, e);

	for (uint32_t i = 0; rc >= 0 && i < c->listen_count; i++)
		rc = slot_prepare(l, &c->listens[i], sockets, e);
	if (rc < 0)
		listener_config_drop(l);
	return rc < 0 ? rc : 0;
}

static const struct config_listen *config_of(const struct config *c,
					     const struct slot *s)
{
	for (uint32_t i = 0; i < c->listen_count; i++)
		if (addr_equal(&c->listens[i].address, &s->config.address))
			return &c->listens[i];
	return NULL;
}

static int slot_apply(struct listener *l, struct slot *s,
		      const struct config_listen *c, struct err *e)
{
	int rc = 0;

	free(s->config.allow);
	free(s->config.trust);
	s->config = *c;
	s->config.allow = s->allow_next;
	s->config.trust = s->trust_next;
	s->allow_next = s->trust_next = NULL;
	s->wanted = false;
	if (s->open) {
		smtp_server_changed(l->server, &s->config);
		return 0;
	}
	rc = smtp_server_listen_on(l->server, &s->config, s->fd, e);
	s->fd = -1;
	s->open = rc == 0;
	return rc;
}

int listener_config_apply(struct listener *l, const struct config *c,
			  struct err *e)
{
	int rc = 0, rc_one;

	if (l->server != NULL && c->listen_count > 0)
		smtp_server_sessions_set(l->server, sessions_of(c));
	for (struct slot *s = l->slots; s != NULL; s = s->next) {
		if (s->open && !s->wanted) {
			smtp_server_unlisten(l->server, &s->config);
			s->open = false;
		}
	}
	for (struct slot *s = l->slots; s != NULL; s = s->next) {
		if (!s->wanted)
			continue;
		rc_one = slot_apply(l, s, config_of(c, s), e);
		if (rc == 0)
			rc = rc_one;
	}
	return rc;
}

int listener_create(struct engine *en, struct sockets *sockets,
		    struct listener **out, struct err *e)
{
	struct listener *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	l->en = en;
	if (gethostname(l->host, sizeof(l->host) - 1) != 0)
		strcpy(l->host, "localhost");
	*out = l; /* engine_destroy() frees what is there */
	rc = listener_config_prepare(l, en->config, sockets, e);
	return rc == 0 ? listener_config_apply(l, en->config, e) : rc;
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
	listener_config_drop(l);
	while (l->slots != NULL) {
		struct slot *s = l->slots;

		l->slots = s->next;
		free(s->config.allow);
		free(s->config.trust);
		free(s);
	}
	free(l);
}
