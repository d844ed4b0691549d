/* SPDX-License-Identifier: BSD-2-Clause
 *
 * resolver.c - libunbound behind the loop.
 *
 * Called by delivery.c. Thread: the loop's; libunbound's own thread never runs
 * code of ours. Bound: what question.c has under way.
 * Errors: -EINVAL with a sentence for a server that is no address; -ENOMEM.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "delivery/resolver_priv.h"
#include "sluice/addr.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

#define DNS_PORT    53
#define RANGE_MAX   1000u /* sockets of libunbound's */
#define RANGE_MIN   32u
#define RANGE_SHARE 4 /* of the descriptors that connections leave */

/* libunbound keeps a question waiting, also a good one, when all its sockets
 * are in use by name servers that do not answer: as many as we ask at a time,
 * and some for what it asks by itself. */
static uint32_t sockets_max(uint32_t connections)
{
	struct rlimit rl;
	rlim_t left;

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur < connections)
		return RANGE_MIN;
	left = (rl.rlim_cur - connections) / RANGE_SHARE;
	if (left < RANGE_MIN)
		return RANGE_MIN;
	return left < RANGE_MAX ? (uint32_t)left : RANGE_MAX;
}

static int option_number(struct ub_ctx *ctx, const char *name, uint32_t v)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", v);
	return ub_ctx_set_option(ctx, name, text);
}

/* Blocked zones and "do not ask localhost" suit a resolver on the Internet,
 * not one that is told where to ask. A name server that was silent is asked
 * again after a minute: an outage of our own resolver must not outlast it by
 * the usual quarter of an hour. Long answers come over TCP. */
static int resolver_settings(struct ub_ctx *ctx, uint32_t sockets)
{
	static const char *const options[][2] = {
		{"do-not-query-localhost:", "no"},
		{"module-config:", "iterator"},
		{"infra-host-ttl:", "60"},
		{"outgoing-num-tcp:", "32"},
	};
	int res = ub_ctx_async(ctx, 1);

	for (size_t i = 0; !res && i < sizeof(options) / sizeof(*options); i++)
		res = ub_ctx_set_option(ctx, options[i][0], options[i][1]);
	if (!res)
		res = option_number(ctx, "outgoing-range:", sockets);
	if (!res)
		res = option_number(ctx,
				    "num-queries-per-thread:", 2 * RANGE_MAX);
	return res;
}

/* "192.0.2.53:5353" is "192.0.2.53@5353" to libunbound. */
static int server_text(const char *server, char *text, size_t size,
		       struct err *e)
{
	char host[ADDR_TEXT_BYTES];
	struct addr a;

	if (addr_parse(server, DNS_PORT, &a))
		return err_set(e, -EINVAL,
			       "resolver.servers: \"%s\" is no address",
			       server);
	(void)snprintf(text, size, "%s@%u", addr_format(&a, false, host),
		       addr_port(&a));
	return 0;
}

static int resolver_forward(struct ub_ctx *ctx, const char *server,
			    struct err *e)
{
	char text[ADDR_TEXT_BYTES + 8];
	int res = server_text(server, text, sizeof(text), e);

	if (res)
		return res;
	res = ub_ctx_set_fwd(ctx, text);
	if (res)
		return err_set(e, -EINVAL, "resolver.servers: \"%s\": %s",
			       server, ub_strerror(res));
	return 0;
}

static int resolver_servers(struct ub_ctx *ctx, const struct config *c,
			    struct err *e)
{
	int res = 0;

	if (!c->resolver.server_count) {
		/* Neither file has to exist. */
		(void)ub_ctx_resolvconf(ctx, NULL);
		(void)ub_ctx_hosts(ctx, NULL);
	}
	for (uint32_t i = 0; !res && i < c->resolver.server_count; i++)
		res = resolver_forward(ctx, c->resolver.servers[i], e);
	return res;
}

/* A private zone has its own name servers. */
static int zone_servers(struct ub_ctx *ctx, const struct config_zone *z,
			struct err *e)
{
	char text[ADDR_TEXT_BYTES + 8];
	int res = 0;

	for (uint32_t i = 0; !res && i < z->server_count; i++) {
		res = server_text(z->servers[i], text, sizeof(text), e);
		if (!res && ub_ctx_set_stub(ctx, z->name, text, 0))
			res = err_set(e, -EINVAL,
				      "resolver.zones: libunbound refuses %s",
				      z->name);
	}
	return res;
}

/* libunbound knows these as empty unless it is told to ask. The first one
 * finalizes the context: no settings after it. */
static int zones_open(struct ub_ctx *ctx, const struct config *c, struct err *e)
{
	static const char *const blocked[] = {"test.", "home.arpa."};
	int res = 0;

	for (uint32_t i = 0; !res && i < c->resolver.zone_count; i++)
		res = zone_servers(ctx, &c->resolver.zones[i], e);
	for (size_t i = 0; !res && i < sizeof(blocked) / sizeof(*blocked); i++)
		if (ub_ctx_zone_add(ctx, blocked[i], "transparent"))
			res = err_set(e, -EINVAL, "libunbound refuses zone %s",
				      blocked[i]);
	for (uint32_t i = 0; !res && i < c->resolver.zone_count; i++)
		if (ub_ctx_zone_add(ctx, c->resolver.zones[i].name,
				    "transparent"))
			res = err_set(e, -EINVAL,
				      "resolver.zones: libunbound refuses %s",
				      c->resolver.zones[i].name);
	return res;
}

static void resolver_readable(struct io_op *op, int res, uint32_t flags,
			      const void *data);

static int resolver_poll(struct resolver *r)
{
	r->poll.done = resolver_readable;
	r->poll.user = r;
	return io_poll_multi(r->io, &r->poll, ub_fd(r->ctx), POLLIN);
}

static void resolver_readable(struct io_op *op, int res, uint32_t flags,
			      const void *data)
{
	struct resolver *r = op->user;

	if (r->closing)
		return;
	if (res > 0)
		(void)ub_process(r->ctx);
	questions_pump(r);
	if (!(flags & IO_MORE) && !r->closing)
		(void)resolver_poll(r);
}

static int resolver_start(struct resolver *r, const struct config *c,
			  struct err *e)
{
	uint32_t sockets = sockets_max(c->delivery.connections_total);
	int res;

	r->ctx = ub_ctx_create();
	if (!r->ctx)
		return err_set(e, -ENOMEM, "libunbound: no context");
	if (resolver_settings(r->ctx, sockets))
		return err_set(e, -EINVAL, "libunbound refuses our settings");
	r->flight_max = sockets - sockets / 10;
	r->timeout_ns = c->resolver.timeout_ns;
	res = resolver_servers(r->ctx, c, e);
	if (!res)
		res = zones_open(r->ctx, c, e);
	return res ? res : resolver_poll(r);
}

int resolver_open(struct resolver **out, struct io *io, const struct config *c,
		  struct err *e)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int res;

	if (!r)
		return -ENOMEM;
	r->magic = RESOLVER_MAGIC;
	r->io = io;
	questions_init(r);
	res = resolver_start(r, c, e);
	if (res) {
		if (r->ctx)
			ub_ctx_delete(r->ctx);
		free(r);
		return res;
	}
	*out = r;
	return 0;
}

void resolver_close(struct resolver **rp)
{
	struct resolver *r = *rp;

	if (!r)
		return;
	MAGIC_CHECK(r, RESOLVER_MAGIC);
	r->closing = true;
	(void)io_cancel(r->io, &r->poll);
	while (r->poll.pending)
		(void)io_step(r->io, 10 * NS_PER_MS);
	ub_ctx_delete(r->ctx);
	questions_fini(r);
	r->magic = 0;
	free(r);
	*rp = NULL;
}

bool resolver_idle(const struct resolver *r)
{
	return link_empty(&r->waiting[0]) && link_empty(&r->waiting[1]) &&
	       link_empty(&r->off) && link_empty(&r->young) &&
	       link_empty(&r->slow);
}
