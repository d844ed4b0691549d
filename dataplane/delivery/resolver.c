/* SPDX-License-Identifier: BSD-2-Clause
 *
 * resolver.c - libunbound behind the loop.
 *
 * Called by route.c. Thread: the loop's; libunbound's own thread never runs
 * code of ours. Bound: libunbound's own limits on tries and time.
 * Errors: -EINVAL with a sentence for a server that is no address; -ENOMEM.
 */
#include "delivery/resolver.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>

#include "delivery/list.h"
#include "sluice/addr.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

#define RESOLVER_MAGIC 0x52534c56u
#define DNS_PORT       53
#define DNS_CLASS_IN   1

struct resolver {
	uint32_t magic;
	struct io *io;
	struct ub_ctx *ctx;
	struct io_op poll;
	struct link questions;
	bool closing;
};

struct question {
	struct link link;
	resolver_fn *fn;
	void *user;
};

/* Blocked zones and "do not ask localhost" suit a resolver on the Internet,
 * not one that is told where to ask. */
static int resolver_settings(struct ub_ctx *ctx)
{
	static const char *const options[][2] = {
		{"do-not-query-localhost:", "no"},
		{"module-config:", "iterator"},
	};
	int res = ub_ctx_async(ctx, 1);

	for (size_t i = 0; !res && i < sizeof(options) / sizeof(*options); i++)
		res = ub_ctx_set_option(ctx, options[i][0], options[i][1]);
	return res;
}

/* "192.0.2.53:5353" is "192.0.2.53@5353" to libunbound. */
static int resolver_forward(struct ub_ctx *ctx, const char *server,
			    struct err *e)
{
	char host[ADDR_TEXT_BYTES], text[ADDR_TEXT_BYTES + 8];
	struct addr a;
	int res;

	if (addr_parse(server, DNS_PORT, &a))
		return err_set(e, -EINVAL,
			       "resolver.servers: \"%s\" is no address",
			       server);
	(void)snprintf(text, sizeof(text), "%s@%u",
		       addr_format(&a, false, host), addr_port(&a));
	res = ub_ctx_set_fwd(ctx, text);
	if (res)
		return err_set(e, -EINVAL, "resolver.servers: \"%s\": %s",
			       server, ub_strerror(res));
	return 0;
}

static int resolver_servers(struct ub_ctx *ctx, char *const *servers,
			    uint32_t count, struct err *e)
{
	int res = 0;

	if (!count) {
		/* Neither file has to exist. */
		(void)ub_ctx_resolvconf(ctx, NULL);
		(void)ub_ctx_hosts(ctx, NULL);
	}
	for (uint32_t i = 0; !res && i < count; i++)
		res = resolver_forward(ctx, servers[i], e);
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
	if (!(flags & IO_MORE) && !r->closing)
		(void)resolver_poll(r);
}

int resolver_open(struct resolver **out, struct io *io, char *const *servers,
		  uint32_t server_count, struct err *e)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int res;

	if (!r)
		return -ENOMEM;
	r->magic = RESOLVER_MAGIC;
	r->io = io;
	link_init(&r->questions);
	r->ctx = ub_ctx_create();
	if (!r->ctx) {
		res = err_set(e, -ENOMEM, "libunbound: no context");
		goto fail;
	}
	if (resolver_settings(r->ctx)) {
		res = err_set(e, -EINVAL, "libunbound refuses our settings");
		goto fail;
	}
	res = resolver_servers(r->ctx, servers, server_count, e);
	/* The first zone finalizes the context: no settings after it. */
	if (!res && ub_ctx_zone_add(r->ctx, "test.", "transparent"))
		res = err_set(e, -EINVAL, "libunbound refuses zone test.");
	if (!res)
		res = resolver_poll(r);
	if (res)
		goto fail;
	*out = r;
	return 0;
fail:
	if (r->ctx)
		ub_ctx_delete(r->ctx);
	free(r);
	return res;
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
	while (!link_empty(&r->questions)) {
		struct question *q =
			LINK_OWNER(r->questions.next, struct question, link);

		link_remove(&q->link);
		free(q);
	}
	r->magic = 0;
	free(r);
	*rp = NULL;
}

static uint8_t answer_status(int err, const struct ub_result *ub)
{
	if (err || !ub)
		return RESOLVER_FAILED;
	if (ub->havedata)
		return RESOLVER_OK;
	if (ub->nxdomain)
		return RESOLVER_NO_NAME;
	return ub->rcode ? RESOLVER_FAILED : RESOLVER_NO_DATA;
}

static const char *answer_why(int err, const struct ub_result *ub)
{
	if (err || !ub)
		return "the resolver gave no answer";
	switch (ub->rcode) {
	case 2:
		return "server failure";
	case 5:
		return "the name server refuses";
	default:
		return "the name server gave an error";
	}
}

static void question_answered(void *user, int err, struct ub_result *ub)
{
	struct question *q = user;
	struct resolver_answer a = {.status = answer_status(err, ub),
				    .why = answer_why(err, ub)};

	if (ub) {
		a.ttl_s = ub->ttl > 0 ? (uint32_t)ub->ttl : 0;
		a.data = ub->data;
		a.len = ub->len;
		while (a.status == RESOLVER_OK && ub->data[a.count])
			a.count++;
	}
	link_remove(&q->link);
	q->fn(q->user, &a);
	free(q);
	if (ub)
		ub_resolve_free(ub);
}

int resolver_ask(struct resolver *r, const char *name, enum resolver_type type,
		 resolver_fn *fn, void *user)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->fn = fn;
	q->user = user;
	link_append(&r->questions, &q->link);
	if (ub_resolve_async(r->ctx, name, (int)type, DNS_CLASS_IN, q,
			     question_answered, NULL)) {
		link_remove(&q->link);
		free(q);
		return -EAGAIN;
	}
	return 0;
}
