/* SPDX-License-Identifier: BSD-2-Clause
 *
 * client.h - one connection to the command socket, as its verbs see it.
 *
 * Role: command. A verb answers at once, or leaves a task that runs in slices
 * between turns of the loop, so that a selection of a million messages never
 * stalls the mail. Protocol: docs/command-socket.md.
 */
#ifndef SLUICED_CLIENT_H
#define SLUICED_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sluice/err.h"
#include "sluice/role.h"
#include "sluice/selection.h"

#define CLIENT_FDS_MAX      64
#define CLIENT_PACKET_BYTES 65536
#define CLIENT_SEND_FDS_MAX 8

struct client;
struct engine;

/* Something that a verb left running. */
struct task {
	/* True while there is more to do at once; false = waits, or over. */
	bool (*step)(struct task *t);
	/* A further packet from the client (import); `fds` are the task's to
	 * close. NULL: none are accepted while it runs. */
	void (*packet)(struct task *t, json_t *packet, const int *fds,
		       uint32_t fd_count);
	/* Client gone, or task_end(): frees itself and what it holds. Never
	 * while the task sends or steps. */
	void (*destroy)(struct task *t);
	struct client *client;
};

struct engine *client_engine(struct client *c);
const char *client_actor(const struct client *c);
/* Who connected; false: the kernel did not say. */
bool client_peer(const struct client *c, uid_t *uid, pid_t *pid);
/* Sends one packet; takes the reference. */
void client_send(struct client *c, json_t *packet);
/* The same with descriptors beside it; they are the client's to close. */
void client_send_fds(struct client *c, json_t *packet, const int *fds,
		     uint32_t fd_count);
/* Packets waiting to be sent: a task pauses above some. */
uint32_t client_backlog(const struct client *c);
/* Ends the request: {"done": true, ...} (takes `fields`, may be NULL). */
void client_done(struct client *c, json_t *fields);
void client_error(struct client *c, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The task runs until task_end(). */
void client_task(struct client *c, struct task *t);
/* Destroys the client's task. */
void client_task_end(struct client *c);
/* From now on it gets every event. */
void client_tail(struct client *c);
/* More to do at once: command_step() will call step(). */
void client_wake(struct client *c);

/* A verb: checks its keys, answers, or starts a task. */
struct verb {
	const char *name;
	void (*start)(struct client *c, json_t *request);
	const char *keys; /* further keys it takes, " selection limit " */
};
const struct verb *verb_find(const char *name);

/* The selection of a request; answers with an error and returns NULL when it
 * is missing, empty or wrong. */
struct selection *request_selection(struct client *c, json_t *request);
/* The same, but nothing at all is everything. */
struct selection *request_selection_or_all(struct client *c, json_t *request);
/* Bytes of a peer, which may be no UTF-8: then read as Latin-1. Never NULL. */
json_t *json_bytes(const char *data, size_t len);
json_t *json_text(const char *s);
/* Adds to a list that has to fit into one packet beside others; takes `item`.
 * False: the list is full, `bytes` counts. */
bool json_list_add(json_t *list, json_t *item, size_t *bytes);
/* "reply" of an entry of the queue, if it is still known. */
void reply_add(const struct engine *en, json_t *j, uint32_t tag);
/* `reason` of a request; answers with an error when it is missing. */
const char *request_reason(struct client *c, json_t *request);

/* verbs_status.c: a row of `providers`; NULL = never used. */
json_t *provider_json(const struct engine *en, uint32_t n) RUNS_ON(role_queue);
/* holds.c: the standing holds, as many as fit beside others in a packet. */
json_t *holds_json(const struct engine *en);
/* Names in a selection that nothing here has, each as a sentence. */
json_t *names_unknown(const struct engine *en, const struct selection *s)
	RUNS_ON(role_queue);

/* verbs_*.c */
void verb_status(struct client *c, json_t *request);
void verb_providers(struct client *c, json_t *request);
void verb_sources(struct client *c, json_t *request);
void verb_list(struct client *c, json_t *request);
void verb_count(struct client *c, json_t *request);
void verb_show(struct client *c, json_t *request);
void verb_hold(struct client *c, json_t *request);
void verb_release(struct client *c, json_t *request);
void verb_purge(struct client *c, json_t *request);
void verb_requeue(struct client *c, json_t *request);
void verb_decide(struct client *c, json_t *request);
void verb_replies(struct client *c, json_t *request);
void verb_shape(struct client *c, json_t *request);
void verb_audit(struct client *c, json_t *request);
void verb_reroute(struct client *c, json_t *request);
void verb_trace(struct client *c, json_t *request);
void verb_recovered(struct client *c, json_t *request);
void verb_reload(struct client *c, json_t *request);
void verb_tail(struct client *c, json_t *request);
void verb_import(struct client *c, json_t *request);
void verb_export(struct client *c, json_t *request);

#endif
