/* SPDX-License-Identifier: BSD-2-Clause
 *
 * delivery.h - messages go out over SMTP; replies come back.
 *
 * Role: worker. Owns connections, the resolver and reads of content. The
 * owner offers messages with delivery_offer(); it is accepted only when a
 * connection of that path can write MAIL at once. Every accepted message ends
 * in exactly one done(), with a result per recipient, whatever the receiver,
 * the network or the disk does.
 */
#ifndef SLUICE_DELIVERY_H
#define SLUICE_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "io/io.h"
#include "sluice/classify.h"
#include "sluice/config.h"
#include "sluice/err.h"
#include "smtp/reply.h"
#include "spool/spool.h"

struct delivery;

enum delivery_result_kind {
	DELIVERY_ACCEPTED = 1, /* 250 to the final dot */
	DELIVERY_REFUSED,      /* a 4xx/5xx reply, in `phase` */
	DELIVERY_NOT_TRIED, /* connection was gone before MAIL: nothing said */
	DELIVERY_LOST,      /* connection lost or timed out before the dot */
	DELIVERY_IN_DOUBT,  /* lost after the final dot, before the reply */
	DELIVERY_UNSENDABLE /* our side: SMTPUTF8 needed and not offered,
			     * larger than SIZE, damaged record */
};

/* One per recipient, or shared by several. Pointers only during the call. */
struct delivery_result {
	uint32_t rcpt; /* index in the envelope */
	uint8_t kind;  /* enum delivery_result_kind */
	uint8_t phase; /* enum reply_phase */
	/* ACCEPTED by a receiver without DSN although NOTIFY=SUCCESS was asked
	 * for: nobody there will tell the sender (RFC 3461 5.2.2, "relayed") */
	bool relayed;
	const struct smtp_reply *reply; /* NULL without one */
	const char *remote;             /* host name, or address */
	const char *detail;  /* a sentence for LOST, UNSENDABLE, NOT_TRIED */
	const char *address; /* the recipient, 0-terminated */
};

#define DELIVERY_RCPTS_MAX 1000u /* of one offer */

struct delivery_message {
	uint64_t id;
	struct spool_place place;
	uint64_t content_bytes;
	uint32_t flags; /* enum spool_message_flag */
	uint32_t batch; /* handed back */
	uint32_t rcpt_count;
	const uint32_t *rcpts; /* indices; copied by delivery_offer() */
};

struct delivery_ops {
	/* A connection of this path to this route can take a message. */
	void (*ready)(void *user, uint32_t provider, uint32_t source);
	/* Told when MAIL is written, for all recipients of the transaction.
	 * Before the final dot may be written the attempt must be durable:
	 * call delivery_go(token) when it is. That may come after done(). */
	void (*attempt)(void *user, uint64_t id, const uint32_t *rcpts,
			uint32_t count, uint32_t source, uint64_t token);
	/* All recipients of one offered message. */
	void (*done)(void *user, uint32_t provider, uint32_t source,
		     uint64_t id, uint32_t batch,
		     const struct delivery_result *results, uint32_t count);
	/* A connection could not be made or was refused before any message
	 * (greeting, EHLO): one call per attempt. `reply` may be NULL. */
	void (*connect_failed)(void *user, uint32_t provider, uint32_t source,
			       uint32_t domain, uint8_t phase,
			       const struct smtp_reply *reply,
			       const char *remote, const char *detail);
	/* The domain has no host that takes mail (NXDOMAIN, null MX):
	 * permanent. Else temporary: SERVFAIL, timeout. */
	void (*unroutable)(void *user, uint32_t domain, bool permanent,
			   const char *detail);
	/* The route of a provider that the config does not know; NULL (also
	 * for the function): none but what the config says. */
	const char *(*route)(void *user, uint32_t provider);
	/* DNS has told a domain's best MX hosts, all of one preference (the
	 * domain itself where it has no MX), good for `ttl_ns`. Not called for
	 * address literals, nor where a route replaces the look-up. The
	 * domain may be given another provider in it. May be NULL. */
	void (*routed)(void *user, uint32_t domain, const char *const *hosts,
		       uint32_t count, uint64_t ttl_ns);
};

struct delivery_options {
	const struct config *config; /* stays alive */
	struct spool *spool;
	struct io *io;
	uint32_t connections_max; /* in all */
};

int delivery_create(struct delivery **out, const struct delivery_options *o,
		    const struct delivery_ops *ops, void *user, struct err *e);
/* QUITs and closes; messages in flight end as LOST or IN_DOUBT. Turns the loop
 * until its own operations have ended: never from inside a callback, and before
 * the spool is closed. */
void delivery_destroy(struct delivery **d);
/* No new messages; `stopped` when the last one is done. */
void delivery_stop(struct delivery *d, void (*stopped)(void *user), void *user);

/* Another config from now on; the sources of the present one keep their numbers
 * in it (config_adopt()). `config_of`: number of a provider -> its index in
 * config.providers, for the first `count`; others have that of the default. At
 * create it is the same number. On error nothing has changed. The old config is
 * not needed any more after 0. */
int delivery_config_set(struct delivery *d, const struct config *c,
			const uint32_t *config_of, uint32_t count,
			struct err *e);
/* Once per turn: closes what a change of the config has left behind. Like the
 * function above never from inside a callback. */
void delivery_tidy(struct delivery *d);

/* Names a domain; its number is the queue's. */
int delivery_domain_set(struct delivery *d, uint32_t domain, const char *name,
			uint32_t provider);

/* Asks DNS for a domain before there is mail to send: routed() or unroutable()
 * tells. Nothing happens while what is known holds, but that an unroutable
 * domain is told again. */
void delivery_domain_ask(struct delivery *d, uint32_t domain);
/* What is known of it does not hold any more: whoever needs it next asks. */
void delivery_domain_forget(struct delivery *d, uint32_t domain);

/* True if delivery_offer() would take a message now. If not, the demand is
 * noted as by -EAGAIN below. */
bool delivery_ready(struct delivery *d, uint32_t provider, uint32_t source,
		    uint32_t domain);
/* The domain's next hop is known and has no address of this source's family:
 * delivery_ready() will not come true before the route changes. */
bool delivery_family_missing(struct delivery *d, uint32_t provider,
			     uint32_t source, uint32_t domain);
/* 0 = taken, MAIL goes out at once; -EAGAIN = no ready connection: one is
 * being opened as far as the path's limits allow and ready() will tell (or
 * connect_failed(), unroutable()). -EAFNOSUPPORT = the next hop has no address
 * of this source's family: another source has to be taken. -ESHUTDOWN after
 * delivery_stop(). -EINVAL: no such source or domain, no recipients or more
 * than DELIVERY_RCPTS_MAX. No callback runs inside this call. */
int delivery_offer(struct delivery *d, uint32_t provider, uint32_t source,
		   uint32_t domain, const struct delivery_message *m);
/* The attempt behind `token` is durable (res 0) or could not be made so. */
void delivery_go(struct delivery *d, uint64_t token, int res);
/* Only inside done(): the connection of this message takes no other one until
 * delivery_settle() is called with what this returns (the outcomes have become
 * durable). Without that call it ends by its deadline. */
uint64_t delivery_keep(struct delivery *d);
void delivery_settle(struct delivery *d, uint64_t token);
/* Closes idle connections of a path (blocked, held). */
void delivery_drop_idle(struct delivery *d, uint32_t provider, uint32_t source);

struct delivery_stats {
	uint64_t connections_tried; /* to one address each */
	uint64_t connections_opened, connections_failed, messages, accepted;
	uint64_t bytes_sent;
	uint32_t connections_open, connections_connecting, in_flight;
};
void delivery_stats(const struct delivery *d, struct delivery_stats *out);
int delivery_path_stats(const struct delivery *d, uint32_t provider,
			uint32_t source, struct delivery_stats *out);

#endif
