/* SPDX-License-Identifier: BSD-2-Clause
 *
 * engine_priv.h - what the files of sluiced share.
 *
 * All fields belong to the one thread that runs engine_step(); the roles tell
 * which duty a field is for, so that a later split onto threads is visible.
 */
#ifndef SLUICED_ENGINE_PRIV_H
#define SLUICED_ENGINE_PRIV_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "delivery/delivery.h"
#include "io/io.h"
#include "queue/queue.h"
#include "sluice/classify.h"
#include "sluice/config.h"
#include "sluice/release.h"
#include "sluice/role.h"
#include "sluiced/engine.h"
#include "sluiced/reaction.h"
#include "sluiced/site.h"
#include "spool/spool.h"

#define ENGINE_MAGIC  0x736c7563u
#define RATE_SECONDS  10
#define REFUSAL_BYTES 512

/* How a provider came to be. */
enum provider_kind {
	PROVIDER_CONFIGURED = 0,
	PROVIDER_SITE,      /* the MX site of some domains */
	PROVIDER_DOMAIN,    /* one domain, or an old name from the journal */
	PROVIDER_ROUTE,     /* made by an operator's reroute */
	PROVIDER_UNRESOLVED /* domains that DNS has not told of yet */
};
#define UNRESOLVED "(unresolved)"

/* One receiving operator, configured or made for a domain. Its number is the
 * index in engine.providers and the same in queue, release and delivery. */
struct provider {
	char *name;
	uint32_t config;    /* index into config.providers */
	char *route;        /* of an operator's reroute; NULL = the config's */
	uint8_t kind;       /* enum provider_kind */
	uint32_t domains;   /* that belong to it now */
	bool held;          /* by a standing hold on the provider */
	uint64_t delivered; /* recipients since start */
	uint64_t refused;
	uint64_t by_class[CLASS_COUNT_];
	uint64_t seconds[RATE_SECONDS]; /* delivered, at each of the last s */
	char refusal[REFUSAL_BYTES];    /* the last one, verbatim */
	uint32_t refusal_s;             /* when; 0 = none */
	uint8_t refusal_class;
	uint32_t refusal_source;
	uint64_t lists; /* that it has refused us by */
	struct reaction_content content;
	struct block *blocks; /* by source, then as a whole; NULL = never */
};

#define TEXT_FACTS      64
#define TEXT_FACT_LIMIT 3

/* Same unknown text for several recipients of a batch: a path fact. */
struct text_fact {
	uint64_t hash;
	uint32_t batch;
	uint32_t count;
	uint32_t provider;
	uint32_t source;
	struct text_fact_rcpt {
		uint64_t id;
		uint32_t rcpt;
		uint8_t attempts; /* before it was refused */
	} rcpts[TEXT_FACT_LIMIT - 1];
};

#define LISTS_MAX  64 /* bits of provider.lists */
#define LIST_BYTES 64

/* A domain as sluiced sees it, by the queue's number. */
struct domain_state {
	struct site_watch watch;
	bool follows; /* its provider follows its MX hosts */
	bool anew;    /* by the next answer, not after two TTLs */
};

struct known_sources; /* sources.c */
struct late_outcome;  /* outcomes.c */
struct reach;         /* a domain that cannot be reached; reach.c */
struct sites;         /* sites.c */
struct settle_wait;
struct stop;  /* a noted path; stops.c */
struct block; /* since when a path is blocked; blocks.c */
struct block_note;
struct ask;
struct reroute_note; /* reroutes.c */
struct export_note;  /* a session of the export verb; export_note.c */
struct attempt_wait; /* an attempt on its way to the disk; results.c */
struct command;      /* the command socket; command.c */
struct listener;     /* SMTP intake */
struct publish;      /* the board; publish.c */
struct replies;      /* replies.h */
struct audit;        /* audit.h */
struct import;
struct import_result;

struct engine {
	uint32_t magic;
	const struct config *config;
	struct config *own;          /* the same, once there was a reload */
	uint32_t config_loaded_s;    /* when the present one was read */
	uint32_t config_error_s;     /* when one was refused last; 0 = never */
	struct err config_error;     /* why; "" once one was taken */
	json_t *config_changes;      /* of the last reload, sentences */
	json_t *config_restart;      /* keys that wait for a restart */
	struct known_sources *known; /* numbers that the journal knows */
	bool sources_settled;        /* the config has them */
	struct io *io;
	struct storage storage;
	struct spool *spool;
	struct queue *queue;
	struct release *release;
	struct delivery *delivery;
	struct classify *rules;
	struct classify_scratch *scratch;
	struct command *command;
	struct publish *publish;
	struct replies *replies; /* refusals, lately */
	struct audit *audit;     /* who did what; audit.h */
	struct listener *listener;
	struct import *import;
	bool importing; /* one session at a time */
	bool exporting; /* likewise, and never both */
	struct export_note *export_notes;

	struct provider *providers OWNED_BY(role_queue);
	uint32_t provider_count OWNED_BY(role_queue);
	uint32_t provider_room OWNED_BY(role_queue);
	struct intern *provider_names OWNED_BY(role_queue);
	/* configured domains: intern number -> provider */
	struct intern *fixed_domains;
	uint32_t *fixed_provider;

	uint32_t hold_next OWNED_BY(role_queue);
	struct text_fact facts[TEXT_FACTS] OWNED_BY(role_queue);
	uint32_t fact_next OWNED_BY(role_queue);
	char lists[LISTS_MAX][LIST_BYTES] OWNED_BY(role_queue);
	uint32_t list_count OWNED_BY(role_queue);
	struct reach *reach OWNED_BY(role_queue);
	uint32_t *reach_of OWNED_BY(role_queue); /* by domain: index + 1 */
	uint32_t reach_count OWNED_BY(role_queue);
	uint32_t reach_room OWNED_BY(role_queue);
	uint32_t reach_of_room OWNED_BY(role_queue);
	struct domain_state *domains OWNED_BY(role_queue);
	uint32_t domain_room OWNED_BY(role_queue);
	struct sites *sites;
	bool by_mx;          /* domains that no provider names follow MX */
	uint32_t unresolved; /* provider of those without an answer yet */

	struct attempt_wait *attempt_pool OWNED_BY(role_spool);
	struct attempt_wait *attempt_free OWNED_BY(role_spool);
	/* outcomes that the spool had no room for, oldest first */
	struct late_outcome *outcomes_late OWNED_BY(role_spool);
	struct late_outcome **outcomes_end OWNED_BY(role_spool);
	uint32_t outcomes_waiting;
	/* spool.outcome_sync: message */
	struct settle_wait *settle_free OWNED_BY(role_spool);
	struct settle_wait *settle_late OWNED_BY(role_spool);

	struct io_timer second; /* once a second: engine_second() */
	uint32_t started_s;
	uint64_t delivered OWNED_BY(role_queue);
	uint64_t seconds[RATE_SECONDS] OWNED_BY(role_queue);
	uint32_t second_at OWNED_BY(role_queue);
	struct stop *stops;             /* noted ones, until stops_restore() */
	struct block_note *block_notes; /* until blocks_restore() */
	struct ask *ask OWNED_BY(role_queue);
	struct reroute_note *reroute_notes; /* until reroutes_restore() */
	uint32_t reroute_next OWNED_BY(role_queue);
	bool delivery_up; /* recovery is over: domains go to delivery */
	bool stopping;
	bool delivery_stopped;
	int broken; /* -errno: storage failed for good */
};

/* providers.c */
int providers_create(struct engine *en, struct err *e);
void providers_destroy(struct engine *en);
/* The provider that has this name in a config from now on. */
int provider_make(struct engine *en, const char *name, uint32_t *number)
	RUNS_ON(role_queue);
/* Which provider each configured domain belongs to, by number. */
struct fixed_domains {
	struct intern *names;
	uint32_t *provider;
};
int fixed_domains_make(const struct engine *en, const struct config *c,
		       struct fixed_domains *out) RUNS_ON(role_queue);
/* Gives all providers the settings of the present config. */
int providers_register(struct engine *en) RUNS_ON(role_queue);
bool config_pool_has(const struct config *c, uint32_t pool, uint32_t source);
/* The provider that the config names for the domain; QUEUE_NONE: none. */
uint32_t provider_of_domain(const struct engine *en, const char *domain)
	RUNS_ON(role_queue);
/* The provider of that name, made with the settings of `default` if need be. */
uint32_t provider_named(struct engine *en, const char *name,
			enum provider_kind kind) RUNS_ON(role_queue);
const char *provider_kind_name(uint8_t kind);
uint32_t provider_find(const struct engine *en, const char *name)
	RUNS_ON(role_queue);
const struct config_provider *provider_config(const struct engine *en,
					      uint32_t provider)
	RUNS_ON(role_queue);
void provider_second(struct engine *en) RUNS_ON(role_queue);
double provider_rate(const struct engine *en, uint32_t provider)
	RUNS_ON(role_queue);
double engine_rate(const struct engine *en) RUNS_ON(role_queue);

/* sources.c: a journaled note; the config gets the numbers of all notes; what
 * has changed is noted (false: no room now); the end */
int source_from_note(struct engine *en, const char *key, struct text value);
void sources_settle(struct engine *en, struct config *c);
bool sources_note(struct engine *en) RUNS_ON(role_spool);
void sources_known_destroy(struct engine *en);

/* domains.c: new domains, those without a route */
uint32_t domain_new(void *user, uint32_t domain, const char *name);
void domain_waiting(void *user, uint32_t domain, bool live, uint32_t waiting);
void engine_unroutable(void *user, uint32_t domain, bool permanent,
		       const char *detail);
/* After a change of the config: domains move, get other paces, are asked for
 * anew. `before` is the old one. */
void domains_review(struct engine *en, const struct config *before)
	RUNS_ON(role_queue);
void domains_to_delivery(struct engine *en) RUNS_ON(role_queue);
/* NULL: there was no memory for it. */
struct domain_state *domain_state(struct engine *en, uint32_t domain)
	RUNS_ON(role_queue);
struct pace domain_pace(const struct config *c, const char *name);
void domain_states_destroy(struct engine *en);

/* sites.c: which provider, by MX hosts; notes come back at start */
int sites_create(struct engine *en, struct err *e);
/* The config has changed. True: what MX hosts lead to has. */
bool sites_review(struct engine *en, const struct config *before)
	RUNS_ON(role_queue);
void domain_assign(struct engine *en, uint32_t domain, uint32_t provider)
	RUNS_ON(role_queue);
void sites_destroy(struct engine *en);
void engine_routed(void *user, uint32_t domain, const char *const *hosts,
		   uint32_t count, uint64_t ttl_ns);
int site_from_note(struct engine *en, const char *key, struct text value);
void sites_restore(struct engine *en) RUNS_ON(role_queue);

/* reach.c: domains that cannot be reached. `at_once`: no patience. */
void reach_failed(struct engine *en, uint32_t domain, bool at_once,
		  const char *detail) RUNS_ON(role_queue);
void reach_no_connection(struct engine *en, uint32_t domain, const char *detail)
	RUNS_ON(role_queue);
void reach_no_family(struct engine *en, uint32_t provider, uint32_t domain)
	RUNS_ON(role_queue);
/* The config has changed. */
void reach_again(struct engine *en) RUNS_ON(role_queue);
/* A host of the domain has said something. */
void reach_answered(struct engine *en, uint32_t domain) RUNS_ON(role_queue);
void reach_second(struct engine *en, uint32_t now_s)
	RUNS_ON(role_queue, role_spool);
void reach_destroy(struct engine *en);

/* attempts.c */
int results_create(struct engine *en);
void results_destroy(struct engine *en);
void result_attempt(void *user, uint64_t id, const uint32_t *rcpts,
		    uint32_t count, uint32_t source, uint64_t token);

/* results.c, refusals.c */
void result_done(void *user, uint32_t provider, uint32_t source, uint64_t id,
		 uint32_t batch, const struct delivery_result *results,
		 uint32_t count);
void result_connect_failed(void *user, uint32_t provider, uint32_t source,
			   uint32_t domain, uint8_t phase,
			   const struct smtp_reply *reply, const char *remote,
			   const char *detail);

/* outcomes.c: journals `o`, now or when there is room again */
void outcome_journal(struct engine *en, const struct spool_outcome *o)
	RUNS_ON(role_spool);
/* Its reply is remembered, and why the recipient is where it is now: after it
 * was applied. `source` RELEASE_NONE: not known. */
void outcome_heard(struct engine *en, const struct spool_outcome *o,
		   uint32_t source) RUNS_ON(role_queue);
/* Ends a message as result_done() does; with `spool.outcome_sync: message` its
 * connection waits until that is durable. */
void outcomes_done(void *user, uint32_t provider, uint32_t source, uint64_t id,
		   uint32_t batch, const struct delivery_result *results,
		   uint32_t count);
/* engine.c: the storage failed for good. Says so once, and stops sending. */
void engine_broken(struct engine *en, int rc, const char *what);
/* Tries what waits; true when nothing is left. */
bool outcomes_step(struct engine *en) RUNS_ON(role_spool);
void outcomes_destroy(struct engine *en) RUNS_ON(role_spool);

/* reflex.c: what was refused, and where. */
struct reflex_on {
	uint32_t provider;
	uint32_t source;
	uint32_t batch;
	uint32_t domain; /* QUEUE_NONE: not known */
	uint64_t id;     /* 0: the connection as such */
	uint32_t rcpt;
	uint8_t attempts; /* charged before */
	const char *text;
	uint32_t text_len;
};
/* False: nothing could be stopped, the recipient has to be held. */
bool reflex_apply(struct engine *en, const struct reflex_on *on,
		  const struct verdict *v, uint8_t reflex)
	RUNS_ON(role_queue, role_spool);
/* True: the same text came for several recipients of the batch. The path is
 * stopped, and the recipient goes back to its place. */
bool reflex_unknown_text(struct engine *en, const struct reflex_on *on)
	RUNS_ON(role_queue, role_spool);
/* `refusals` of the `rcpts` were refused for their content. */
void reflex_content(struct engine *en, uint32_t provider, uint32_t rcpts,
		    uint32_t refusals) RUNS_ON(role_queue, role_spool);

/* holds.c. -EAGAIN: the journal has no room now. `done` (may be NULL) when it
 * is durable; it will be called if *number was set, also after an error. */
int hold_place(struct engine *en, struct selection *s, const char *reason,
	       const char *actor, uint32_t *number, spool_done_fn *done,
	       void *user) RUNS_ON(role_queue, role_spool);
/* `done` will be called if 0. */
int hold_lift(struct engine *en, uint32_t number, spool_done_fn *done,
	      void *user) RUNS_ON(role_queue, role_spool);
/* Recovery: a journaled "hold/N" note. */
int hold_from_note(struct engine *en, const char *key, struct text value);
int time_from_note(struct engine *en, struct text value);
void holds_apply_flags(struct engine *en) RUNS_ON(role_queue);

/* verb_import.c: callbacks of the importer */
bool import_known(void *user, uint64_t digest, uint64_t *id);
void import_done(void *user, const struct import_result *r);

/* stops.c: a path has changed; notes come back at start */
void stop_note(struct engine *en, uint32_t provider, uint32_t source)
	RUNS_ON(role_queue, role_spool);
int stop_from_note(struct engine *en, const char *key, struct text value);
void stops_restore(struct engine *en) RUNS_ON(role_queue);

/* blocks.c: since when paths are blocked; what is so for too long */
void blocks_changed(struct engine *en, uint32_t provider)
	RUNS_ON(role_queue, role_spool);
void blocks_second(struct engine *en, uint32_t now_s)
	RUNS_ON(role_queue, role_spool);
int block_from_note(struct engine *en, const char *key, struct text value);
/* Before and after deliveries are up. */
void blocks_restore(struct engine *en) RUNS_ON(role_queue);
/* The config has changed: it had `before` sources. */
void blocks_review(struct engine *en, uint32_t before)
	RUNS_ON(role_queue, role_spool);
void blocks_restored(struct engine *en) RUNS_ON(role_queue, role_spool);
void blocks_destroy(struct engine *en);
/* reroutes.c: the way an operator wants, see docs/command-socket.md */
struct reroute {
	const char *route; /* "host:port"; NULL = as the config says */
	const char *pool;  /* one of its sources; NULL */
	const char *source;
};
/* Moves one recipient. -ENXIO: its provider sends from no such source;
 * else as queue_reroute(). */
int reroute_apply(struct engine *en, const struct reroute *r, uint64_t id,
		  uint32_t rcpt) RUNS_ON(role_queue);
/* Journals `count` recipients of reroute `number`, part `part` of it; the
 * first part says what it is. `done` will be called if 0. -EAGAIN. */
int reroute_note(struct engine *en, uint32_t number, uint32_t part,
		 const char *text, const struct spool_set_item *items,
		 uint32_t count, spool_done_fn *done, void *user)
	RUNS_ON(role_spool);
int reroute_from_note(struct engine *en, const char *key, struct text value);
void reroutes_restore(struct engine *en) RUNS_ON(role_queue, role_spool);
/* delivery_ops.route */
const char *reroute_of_provider(void *user, uint32_t provider);
/* providers.c: the provider that `route` leads to, made if need be. */
uint32_t provider_of_route(struct engine *en, const char *route)
	RUNS_ON(role_queue);

/* export_note.c */
/* What is being handed back must not be found known by an import. */
bool export_open(const struct engine *en);
int export_from_note(struct engine *en, const char *key, struct text value);
void export_notes_destroy(struct engine *en);

/* events.c: takes over the reference; cheap when nobody listens */
bool event_wanted(const struct engine *en);
void event_emit(struct engine *en, json_t *event);

/* command.c */
struct sockets;
int command_create(struct engine *en, struct sockets *sockets,
		   struct command **out, struct err *e);
void command_destroy(struct command **c);
/* Runs slices of long commands; true while there is more to do at once. */
bool command_step(struct command *c)
	RUNS_ON(role_queue, role_spool, role_command);
bool command_tail_wanted(const struct command *c);
void command_tail(struct command *c, const char *line, size_t len);

#endif
