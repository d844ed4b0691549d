/* SPDX-License-Identifier: BSD-2-Clause
 *
 * select_task.h - what the verbs on a selection share.
 *
 * Role: command. A walker goes through the selection, `each` looks at the
 * entries, `finish` answers. What changes recipients collects items; they are
 * journaled and applied slice by slice, those whose state has changed in the
 * meantime fall out, and the answer waits for the last commit. -EAGAIN of the
 * journal: the same again in the next turn.
 */
#ifndef SLUICED_SELECT_TASK_H
#define SLUICED_SELECT_TASK_H

#include "sluiced/client.h"
#include "sluiced/engine_priv.h"
#include "sluiced/walker.h"

struct select_task {
	struct task task;
	struct engine *en;
	struct walker *walker;
	void (*each)(struct select_task *t, const struct walker_entry *e);
	void (*slice_end)(struct select_task *t);
	/* First of all, until it returns true. May be NULL. */
	bool (*begin)(struct select_task *t);
	/* False: not yet. A commit wakes it, or it is called each turn. It
	 * answers, or leaves the answer in `answer`: it goes out when the
	 * audit line that tells of it is on disk. */
	bool (*finish)(struct select_task *t);
	json_t *answer;
	json_t *line; /* of the audit; NULL: nothing acts here */
	json_t *told; /* hold: warnings; release: the hold that goes with it */
	const char *verb;
	char *reason;
	uint64_t messages, recipients, last_id; /* what was counted */
	uint64_t limit;                         /* of recipients; 0 = none */
	uint64_t in_flight;                     /* passed over */
	uint64_t still_held;
	bool dry_run, walked, gone, truncated, lifted;
	bool counted; /* by `each`: not again when an item is done */
	json_t *list;
	uint32_t hold;
	struct selection *to_hold; /* until the queue has it */
	/* What is done to the items (`kind`, or apply()), and in which states
	 * they still may be. */
	enum spool_set_kind kind;
	/* Instead of a set: journals, applies and counts the first *done of the
	 * items, select_durable() comes for each t->commits++ it made. */
	int (*apply)(struct select_task *t, const struct spool_set_item *items,
		     uint32_t count, uint32_t *done);
	uint32_t states; /* bits as in a selection */
	struct spool_set_item *items;
	uint32_t item_count, item_room;
	uint32_t commits; /* of the journal, not answered yet */
	int res, audit_res;
	void *table; /* of what was counted (decide, shape) */
	void (*table_free)(void *table);
};

#define SELECT_STATE(s) (1u << ((s)&31))

/* A task without a selection; answers with an error and returns NULL without
 * memory. */
struct select_task *select_new(struct client *c, const char *verb);
/* An act: what the request says goes into the audit. */
void select_audit(struct select_task *t, json_t *request);
/* Takes the selection. `envelopes`: entries come with their addresses. */
struct select_task *select_start(struct client *c, const char *verb,
				 struct selection *s, bool envelopes);
/* The same for a verb that acts: `reason` and `dry_run` are read as well. */
struct select_task *select_start_act(struct client *c, const char *verb,
				     json_t *request);
/* Before the task is the client's. */
void select_free(struct select_task *t);
/* Counts the entry's recipient and message. */
void select_count(struct select_task *t, uint64_t id);
/* For the acting ones: counts (dry run), or collects the entry. */
void select_act(struct select_task *t, const struct walker_entry *e);
/* For an entry that is to be changed in any case. */
void select_collect(struct select_task *t, const struct walker_entry *e);
/* As slice_end: journals and applies what was collected. */
void select_flush(struct select_task *t);
/* Counts a commit that is under way; select_durable() is its `done`. */
void select_durable(void *user, int res);
/* As finish, for those that act: says in the log and in the answer what was
 * done, and what was passed over. */
bool select_act_finish(struct select_task *t);
/* verb_reroute.c: also for decide. `states` bounds what is moved. */
void reroute_start(struct client *c, json_t *request, const char *verb,
		   uint32_t states);
/* One packet's worth: messages, recipients, in_flight, and what the patterns
 * gave up on. */
json_t *select_totals(const struct select_task *t);

#endif
