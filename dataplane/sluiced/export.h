/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export.h - what the files of the export verb share.
 *
 * Role: command, queue, spool. A message goes through these stages, each
 * journaled before the next begins (docs/command-socket.md has the protocol):
 *   OUT      told to the client; ours. A stop of anything undoes it.
 *   HANDED   a durable copy is elsewhere, under a name that nobody reads yet;
 *            journaled as `exporting`: from now on never delivered by us.
 *   free     the copy is in its place; journaled as `exported`.
 * By SMTP there is no copy to wait for: an `attempt` is journaled before the
 * client may send, so that what a crash leaves in doubt is known by name.
 * Bound: `window` messages; allocates (commands are not the message path).
 */
#ifndef SLUICED_EXPORT_H
#define SLUICED_EXPORT_H

#include <jansson.h>

#include "queue/queue.h"
#include "sluiced/client.h"
#include "sluiced/engine_priv.h"
#include "sluiced/walker.h"

#define EXPORT_WINDOW      4096
#define EXPORT_WINDOW_SMTP 256
#define EXPORT_SLICE       128 /* what one slice of the walker may bring */
#define EXPORT_TOKEN_BYTES 17

enum export_stage { EXPORT_FREE, EXPORT_OUT, EXPORT_HANDED };

/* What the receiver said, by SMTP. */
enum export_result {
	EXPORT_NO_RESULT,
	EXPORT_ACCEPTED,
	EXPORT_REFUSED,
	EXPORT_UNSENT,
	EXPORT_DOUBT /* connection lost after the final dot */
};

struct export_rcpt {
	uint32_t rcpt;
	uint8_t result; /* enum export_result */
	struct queue_prior prior;
};

struct export_entry {
	struct export_task *task;
	uint64_t id;
	uint8_t stage;
	uint8_t to_journal;  /* enum rcpt_state; 0 = nothing */
	uint32_t journaled;  /* recipients of `to_journal` so far */
	uint32_t rcpt_count; /* recipients that are exported */
	uint32_t rcpts_left; /* by SMTP: without a result */
	struct export_rcpt *rcpts;
};

enum export_phase {
	EXPORT_NOTING,     /* the token has to be journaled */
	EXPORT_OPENING,    /* it is on its way to the disk */
	EXPORT_UNFINISHED, /* what an earlier run left */
	EXPORT_SELECTED,   /* the selection */
	EXPORT_ENDING
};

/* A packet of messages being gathered, with the segments they lie in. */
struct export_packet {
	json_t *messages;
	size_t bytes;
	uint32_t segments[CLIENT_SEND_FDS_MAX];
	int fds[CLIENT_SEND_FDS_MAX];
	uint32_t fd_count;
};

struct export_task {
	struct task task;
	struct engine *en;
	uint8_t phase;
	bool smtp, dry_run, finish, abandon;
	bool session; /* it is en->exporting */
	bool gone, flushed, failed, stop;
	char token[EXPORT_TOKEN_BYTES];
	char *kind, *where, *reason;
	struct selection *selection;
	struct walker *walker;
	struct export_entry *entries; /* by tag */
	uint32_t *free_tags, *work;   /* work: tags with something to journal */
	uint32_t window, free_count, work_count;
	uint32_t commits; /* callbacks that are still to come */
	int res;
	struct export_packet packet;
	json_t *line; /* of the audit, until it is written */
	json_t *handed;
	uint64_t messages, recipients; /* exported; or, dry, that would be */
	uint64_t announced;            /* messages told so far */
	uint64_t in_flight, copies, unreadable, refused, in_doubt, unfinished;
	uint64_t gave_up; /* texts that a pattern gave up on */
	uint64_t started_ns;
};

/* export_session.c: the task */
bool export_step(struct task *task);
void export_packet(struct task *task, json_t *packet, const int *fds,
		   uint32_t fd_count);
void export_destroy(struct task *task);
void export_entry_free(struct export_entry *e);
/* After the last callback of a task whose client is gone. */
void export_task_free(struct export_task *t);

/* export_walk.c: from the walker into the window and to the client */
extern const struct walker_ops export_walker_ops;
void export_packet_flush(struct export_task *t);

/* export_settle.c: what the client says, and the journal */
void export_answer(struct export_task *t, json_t *packet)
	RUNS_ON(role_queue, role_spool);
/* Journals what is to be; false: the spool has no room now. */
bool export_journal(struct export_task *t) RUNS_ON(role_queue, role_spool);
/* Journals `state` of the entry's recipients; IN_FLIGHT is an attempt. */
void export_work(struct export_entry *e, uint8_t state);
/* Ours again, as it was; frees the entry. */
void export_undo(struct export_entry *e) RUNS_ON(role_queue, role_spool);
/* The client is gone: every entry without a callback to come is settled. */
void export_forsake(struct export_task *t) RUNS_ON(role_queue, role_spool);

/* export_note.c: tokens of sessions, so that what lies in a directory is
 * known again. Notes "export/TOKEN". */
void export_token_new(char token[EXPORT_TOKEN_BYTES]);
bool export_token_known(const struct engine *en, const char *token);
/* The one that everything in state `exporting` belongs to; "" = none. */
const char *export_token_current(const struct engine *en);
/* Nothing of that session is left anywhere. */
void export_note_forget(struct engine *en, const char *token)
	RUNS_ON(role_spool);
/* Where that one went, "postfix /var/spool/postfix". */
const char *export_current_where(const struct engine *en);
int export_note_journal(struct engine *en, const char *token, const char *kind,
			const char *where, spool_done_fn *done, void *user)
	RUNS_ON(role_spool);

#endif
