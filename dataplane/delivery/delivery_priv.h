/* SPDX-License-Identifier: BSD-2-Clause
 *
 * delivery_priv.h - the structures of the client engine.
 *
 * Private to delivery. Everything here belongs to role worker: one thread, the
 * one that turns the io loop; no locks. What is what:
 *
 *   domain      a destination domain; knows its hop once DNS has answered
 *   hop         next hop: a set of hosts with addresses. Domains with the same
 *               MX set share one, and so share connections. Never used past
 *               the TTL of what it was made of
 *   path        provider x source: caps and counters
 *   lane        path x hop: its idle connections, its demand
 *   connection  one TCP session with its dialogue, its buffers and at most one
 *               message
 *
 * Connections and their buffers come from one mapping made at create; a page
 * of it costs memory only once it has been used.
 */
#ifndef DELIVERY_PRIV_H
#define DELIVERY_PRIV_H

#include <xxhash.h>

#include "delivery/delivery.h"
#include "delivery/failure.h"
#include "delivery/hop.h"
#include "delivery/list.h"
#include "delivery/resolver.h"
#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/domain.h"
#include "sluice/intern.h"
#include "smtp/command.h"
#include "smtp/dialogue.h"
#include "smtp/stuffing.h"

#define DELIVERY_MAGIC   0x594c4c44u
#define CONNECTION_MAGIC 0x4e4e4f43u

#define RCPTS_MAX        1000u  /* of one transaction */
#define HEAD_BYTES       16384u /* header + envelope, kept with a connection */
#define HEAD_RCPTS       3277u  /* fit into HEAD_BYTES at 5 bytes each */
#define CHUNK_BYTES      65536u /* content read, and sent, at once */
#define COMMAND_BYTES    8192u  /* MAIL, RCPT..., DATA in one send */
#define COMMAND_TEXT_MAX 2048u  /* longest parameter we pass on */
#define HUGE_COUNT       4u     /* for envelopes beyond HEAD_BYTES */
#define HUGE_HEAD_BYTES  ((16u << 20) + 4096u)
#define CONNECTING_MAX   3u    /* at a time per path, if its pace is limited */
#define SHARE_MESSAGES   10u   /* then give way to a next hop that waits */
#define FAILURES_MAX     8192u /* addresses that did not work */
#define REPLY_NONE       UINT32_MAX
#define RETIRED_MAX      8u /* resolvers that still owe answers */

struct path {
	struct link all_link;
	uint32_t provider, source;
	const struct config_provider *config;
	const struct config_source *from;
	uint32_t open;       /* all that hold a TCP connection */
	uint32_t connecting; /* of them: not yet ready */
	bool wants_huge;     /* an envelope found no room */
	bool owes_ready;     /* ready() is called by the kick */
	uint32_t epoch;      /* counts changes of `from` */
	struct link idle;    /* connections, longest idle first */
	struct link waiting; /* lanes that could not open one */
	struct delivery_stats stats;
};

struct lane {
	struct link hash_link;
	struct delivery *d;
	struct path *path;
	struct hop *hop;
	uint32_t domain; /* that asked last; for connect_failed() */
	uint32_t open, connecting;
	uint32_t rotor;        /* spreads over equally good addresses */
	uint64_t granted_ns;   /* turn in which the hop may be used though
				* its TTL is over: it has just been told */
	bool wanted;           /* an offer got -EAGAIN */
	struct link idle;      /* connections, last used first */
	bool waits_for_pool;   /* not for its path */
	struct link wait_link; /* in path->waiting */
	struct io_timer retry; /* when back-off ends */
};

/* What is known of one recipient; kind 0 = nothing yet. */
struct slot {
	uint32_t rcpt;  /* index in the envelope */
	uint32_t reply; /* in delivery.replies; REPLY_NONE */
	uint8_t kind;   /* enum delivery_result_kind */
	uint8_t phase;
	uint8_t why; /* enum rcpt_why */
	bool shared; /* `reply` belongs to a slot before */
};
enum rcpt_why { WHY_NONE, WHY_ADDRESS, WHY_UTF8, WHY_RANGE, WHY_ROOM };

/* Room for an envelope that does not fit beside a connection. */
struct huge {
	struct link link;
	char *head;                  /* HUGE_HEAD_BYTES */
	struct envelope_rcpt *rcpts; /* ENVELOPE_RCPTS_MAX */
};

/* Content on its way from the record to the wire: at most two buffers, one
 * being filled while the other is sent. */
struct content {
	uint64_t read_at;   /* next byte to read, from the record's header */
	uint64_t left_read; /* content not yet asked for */
	uint64_t left_hash; /* content that has not come in yet */
	char *buf[2];
	uint32_t size[2];
	uint32_t len[2];   /* filled; 0 = empty */
	uint32_t raw_at;   /* stuffing: taken from buf[0] so far */
	uint8_t first;     /* which is sent next */
	uint8_t next_fill; /* which is filled next */
	uint8_t filling;   /* which the read goes into */
	bool sending;      /* `first` (stuffing: 1) is on the wire */
	bool stuff;
	bool streamed; /* hashed piece by piece */
	bool chunked;  /* one BDAT, unstuffed, no final dot */
	bool begun;    /* the BDAT command has gone */
	char end[2];   /* last two bytes sent */
	struct smtp_stuffer stuffer;
};

struct message {
	bool active;    /* done() is owed */
	bool reading;   /* `read` is in flight */
	bool ready;     /* envelope decoded and found sendable */
	bool attempted; /* the owner knows; delivery_go() will come */
	bool hushed;    /* inside delivery_offer(): tell nothing yet */
	bool asked;     /* 354 has come */
	bool go, dot_sent;
	bool heard; /* a reply came since MAIL was written */
	bool mail_sent;
	int error; /* ours: go() or a read failed */
	uint64_t id;
	struct spool_place place;
	uint64_t content_bytes;
	uint32_t flags, batch;
	uint32_t slot_count; /* recipients offered */
	uint32_t send_count; /* of them: can be sent; these come first */
	uint32_t rcpt_next;  /* next slot to write RCPT for */
	bool utf8;           /* SMTPUTF8 is asked for */
	struct huge *huge;
	struct spool_record record;
	struct spool_read read;
	struct content content;
};

enum connection_state {
	CONNECTION_FREE = 0,
	CONNECTION_CONNECTING, /* TCP */
	CONNECTION_OPEN,
	CONNECTION_CLOSING /* waits for its operations to end */
};

/* What goes out next besides message commands. */
enum todo {
	TODO_NOTHING = 0,
	TODO_EHLO,
	TODO_HELO,
	TODO_LONE_DOT,
	TODO_RSET,
	TODO_QUIT
};

struct connection {
	uint32_t magic;
	uint32_t index;
	uint32_t generation; /* in tokens: old ones do not match */
	uint32_t epoch;      /* of its path when it was opened */
	struct delivery *d;
	struct path *path;
	struct lane *lane;
	int fd;
	uint8_t state; /* enum connection_state */
	uint8_t todo;  /* enum todo */
	bool served;   /* EHLO was accepted at least once */
	bool idle;
	bool settle; /* a message is over: idle, RSET or QUIT next */
	bool kept;   /* not before delivery_settle() */
	bool reset;
	bool handling; /* replies of a segment are being handled */
	bool send_busy;
	bool broken;  /* nothing can be sent any more */
	bool again;   /* closing only to try the next address */
	bool counted; /* in path->open, lane->open */
	bool counted_connecting;
	uint32_t messages; /* for which MAIL was written */
	uint64_t idle_since_ns;
	uint64_t leaving_ns; /* = idle_since_ns: makes way for others soon */
	uint64_t deadline_ns;
	uint32_t tried;       /* bits: addresses of this attempt */
	uint32_t hop_version; /* that `tried` belongs to */
	struct addr to;
	uint64_t began_ns; /* the connect to it */
	bool our_fault;    /* no socket: tells nothing of the host */
	struct link lane_link, path_link,
		all_link; /* idle; all_link also free */
	struct dialogue dialogue;
	struct smtp_extensions offered;
	struct io_op recv, send, connect;
	struct io_timer timer;
	struct iovec iov[2];
	char remote[DOMAIN_BYTES];
	char detail[256]; /* why it failed */
	struct smtp_reply_parser parser;
	struct message message;
	XXH3_state_t *hash; /* of streamed content */
	/* mapped */
	char *command;               /* COMMAND_BYTES */
	char *record;                /* HEAD_BYTES + CHUNK_BYTES */
	char *chunk;                 /* CHUNK_BYTES */
	struct slot *slots;          /* RCPTS_MAX */
	struct envelope_rcpt *rcpts; /* HEAD_RCPTS */
};

/* Names the connection and its message to the owner. */
static inline uint64_t connection_token(const struct connection *c)
{
	return (uint64_t)c->generation << 32 | c->index;
}

struct delivery {
	uint32_t magic;
	const struct config *config;
	struct spool *spool;
	struct io *io;
	const struct delivery_ops *ops;
	void *user;
	struct resolver *resolver;
	struct resolver *retired[RETIRED_MAX];
	uint32_t retired_count;
	struct failures *failures;
	uint64_t random;         /* state; where to begin among equals */
	bool has_ipv4, has_ipv6; /* some source */
	bool stopping;
	bool owes_ready; /* some path does */
	bool finishing;  /* done() runs: others wait in `finished` */
	struct connection *finisher; /* whose message that is */
	void (*stopped)(void *user);
	void *stopped_user;

	struct domain **domains; /* by number, NULL = unnamed */
	uint32_t domain_size;
	struct path **paths; /* by provider x source_stride + source */
	uint32_t source_stride;
	uint32_t *config_of; /* provider -> index in config.providers */
	uint32_t config_count;
	uint32_t path_size;
	struct link path_list;
	struct intern *hop_keys;
	struct hop **hops; /* by number of their key */
	uint32_t hop_size;
	struct link *lanes; /* hash table of lane.hash_link */
	uint32_t lane_mask;
	struct link lanes_free;
	uint32_t lanes_waiting; /* in some path's line */
	uint32_t pool_waiting;  /* of them: for a free connection */

	struct connection *connections;
	uint32_t connection_count;
	uint32_t connections_used;
	struct link free; /* connections, by all_link */
	struct link idle; /* all idle ones, longest idle first */
	void *map;
	size_t map_bytes;
	void *read_map; /* record and chunk of every connection */
	size_t read_bytes;
	size_t pinned_bytes; /* of them, from the start: registered */

	struct huge huge[HUGE_COUNT];
	struct link huge_free;
	void *huge_map;
	size_t huge_bytes;

	struct smtp_reply *replies; /* refusals of single recipients */
	uint32_t *reply_next;       /* free list */
	uint32_t reply_free, reply_count;

	struct link tell;   /* domains whose unroutable() is owed */
	struct link ask[2]; /* in line for a query; [1] = failed before */
	struct link query_list;
	uint32_t queries;     /* under way */
	uint32_t suspects;    /* of them: for domains that failed before */
	struct io_timer kick; /* runs what must not run inside a call */
	struct delivery_stats stats;
	/* scratch for one done() or attempt() */
	struct delivery_result *results; /* RCPTS_MAX */
	char *addresses;                 /* RCPTS_MAX x MAIL_ADDRESS_BYTES */
	uint32_t *rcpts;                 /* RCPTS_MAX */
};

/* pool.c */
int pool_create(struct delivery *d, uint32_t connections_max);
void pool_destroy(struct delivery *d);
struct connection *pool_take(struct delivery *d);
void pool_give(struct connection *c);
uint32_t pool_reply_store(struct delivery *d, const struct smtp_reply *r);
void pool_reply_free(struct delivery *d, uint32_t reply);

/* path.c */
struct path *path_get(struct delivery *d, uint32_t provider, uint32_t source);
struct path *path_find(const struct delivery *d, uint32_t provider,
		       uint32_t source);
const struct config_provider *path_config(const struct delivery *d,
					  uint32_t provider);
uint32_t path_connections_max(const struct path *p);
struct lane *lane_get(struct delivery *d, struct path *p, struct hop *h);
/* An idle connection to one of the hop's present hosts; NULL: none. */
struct connection *lane_idle(struct lane *l);
/* Notes that the lane wants a connection and opens one if it may. */
void lane_want(struct lane *l);
void lane_unwait(struct lane *l);
void lane_forget_if_unused(struct lane *l);
void lanes_destroy(struct delivery *d);
/* The hosts have changed: idle connections to others are closed. */
void lanes_leave_old_hosts(struct delivery *d, const struct hop *h);
/* A connection was closed, or has become ready: others may open. */
void path_serve(struct delivery *d, struct path *p);
void delivery_serve(struct delivery *d);
bool connection_is_wanted(const struct connection *c);
/* An idle one closes, unless the owner uses it within a moment. */
void connection_make_way(struct connection *c);

/* connect.c */
bool lane_has_family(const struct lane *l);
uint64_t lane_retry_ns(const struct lane *l, uint64_t now_ns);
/* -EAGAIN: every address is in back-off or none is left. -ESTALE: DNS has to
 * be asked first. */
int connect_start(struct lane *l);
void connect_again(struct connection *c);
void connect_failed(struct connection *c, uint8_t phase,
		    const struct smtp_reply *reply);
/* EHLO was accepted: the address is good. */
void connect_succeeded(struct connection *c);

/* connection.c */
void connection_init(struct connection *c); /* once, at create */
void connection_begin(struct connection *c);
/* `res`: 0 = the receiver closed, -ETIMEDOUT, or an error of the socket. */
void connection_lost(struct connection *c, int res);
void connection_close(struct connection *c);
void connection_quit(struct connection *c);
void connection_idle(struct connection *c);
void connection_unidle(struct connection *c);
void connection_deadline(struct connection *c, uint64_t after_ns);
void connection_pump(struct connection *c);
void connection_send(struct connection *c, const char *data, uint32_t len);
void connection_sendv(struct connection *c, uint32_t count); /* c->iov */
bool connection_is_early(const struct connection *c);

/* session.c */
const char *session_doing(const struct connection *c);
uint64_t session_wait_ns(const struct connection *c);
void session_reply(struct connection *c);
void session_garbage(struct connection *c);
void session_pump(struct connection *c);
void session_settle(struct connection *c);

/* record.c */
int message_begin(struct connection *c, const struct delivery_message *m);
void message_release(struct connection *c);
void message_unreadable(struct connection *c, int res);

/* message.c */
void message_commands(struct connection *c);
/* Tells the owner of the attempt, if MAIL is out and it has not been told. */
void message_attempt(struct connection *c);
void message_ask(struct connection *c);
/* The connection is gone, `why` in c->detail: ends the message accordingly. */
void message_lost(struct connection *c, uint8_t phase, bool closed);

/* envelope.c */
const char *envelope_check(struct connection *c);

/* result.c */
void result_rcpt_refused(struct connection *c, uint32_t slot, uint8_t phase,
			 const struct smtp_reply *r);
/* Ends the message: what has no result yet gets this one. */
void result_finish(struct connection *c, uint8_t kind, uint8_t phase,
		   const struct smtp_reply *r, const char *detail);

/* content.c */
/* -EBADMSG: the content is not what was stored. */
int content_begin(struct connection *c, uint32_t have);
void content_read(struct connection *c);
void content_arrived(struct connection *c, int res);
void content_pump(struct connection *c);
void content_sent(struct connection *c);

/* delivery.c */
/* Calls ready(), stopped() and unroutable() soon, from the loop. */
void delivery_kick(struct delivery *d);
void path_owe_ready(struct path *p, struct delivery *d);
void delivery_families_note(struct delivery *d);
int delivery_resolver_open(const struct delivery *d, const struct config *c,
			   struct resolver **out, struct err *e);

#endif
