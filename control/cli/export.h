/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export.h - what the kinds of `sluice export` share.
 *
 * The session (export.c) talks to sluiced; a kind writes. A message is staged
 * (complete, but where nobody looks), synced with its batch, and, once sluiced
 * has journaled that it is handed over, placed: renamed to where its new owner
 * looks. What a run left behind is finished by the next one.
 */
#ifndef SLUICE_CLI_EXPORT_H
#define SLUICE_CLI_EXPORT_H

#include "cli.h"
#include "sluice/envelope.h"

#define EXPORT_ID_BYTES    17
#define EXPORT_TOKEN_BYTES 17

/* A message that sluiced tells of. Its content lies in a descriptor. */
struct export_message {
	uint32_t tag;
	char id[EXPORT_ID_BYTES];
	int fd;
	uint64_t offset, bytes;
	uint64_t xxh3; /* of the content */
	struct envelope env;
	struct envelope_rcpt *rcpts;
	uint32_t *numbers; /* of the recipients, in sluiced's envelope */
	uint32_t rcpt_count, rcpt_room;
	char **texts; /* what decoded hex points into */
	uint32_t text_count;
	json_t *json; /* what all other text points into */
	/* by SMTP */
	struct export_message *next;
	bool *unsent; /* recipients that a broken connection left */
	uint32_t tries;
};

/* export_message.c. NULL: it makes no sense. Takes no references; `fd` stays
 * the caller's. */
struct export_message *export_message_parse(json_t *j, const int *fds,
					    uint32_t fd_count);
/* More recipients; false: it makes no sense. */
bool export_message_rcpts(struct export_message *m, json_t *list);
bool export_message_complete(const struct export_message *m);
void export_message_free(struct export_message **m);
/* Reads the content in pieces; -EBADMSG when its checksum is wrong. */
int export_message_content(const struct export_message *m,
			   int (*piece)(void *user, const void *data,
					size_t len),
			   void *user);

/* A kind. Each returns 0 or -errno with `e`. */
struct export_kind {
	const char *name;
	/* > 0: this message cannot be exported this way, `e` says why. */
	int (*stage)(void *user, const struct export_message *m, struct err *e);
	/* All that was staged since the last call is durable. */
	int (*sync)(void *user, struct err *e);
	/* They are handed over. `again`: one that is not staged any more was
	 * placed by an earlier run. Durable when it returns. */
	int (*place)(void *user, char (*ids)[EXPORT_ID_BYTES], uint32_t count,
		     bool again, struct err *e);
	/* What an earlier run staged and was not handed over goes. */
	int (*clean)(void *user, struct err *e);
	/* The token of this session, durable before anything is staged. */
	int (*token)(void *user, const char *token, struct err *e);
};

struct export_found {
	char token[EXPORT_TOKEN_BYTES]; /* of an earlier run; "" = none */
	uint64_t staged;                /* messages it left there */
	bool over; /* set by the session: nothing is left to be finished */
};

/* Runs a session; a sysexits code, all is said. */
int export_run(struct cli *cli, const struct export_kind *kind, void *user,
	       const char *where, struct export_found *found);
/* export_summary.c */
int export_dry_run(struct cli *cli, const char *kind, const char *where);
int export_abandon(struct cli *cli);
/* 0, or EX_DATAERR when something stayed that was selected. */
int export_summary(struct cli *cli, const char *kind, const json_t *done);
json_t *export_request(struct cli *cli, const char *kind, const char *where);
/* How many messages are selected, for the progress bar; 0 = not known. */
uint64_t export_expected(struct cli *cli);
void export_progress(struct cli *cli, uint64_t started_ns, uint64_t *shown_ns,
		     uint64_t over, uint64_t expected, bool last);
/* On stderr, beside a progress bar. */
void export_refuse(struct cli *cli, const char *id, const char *why);

int export_postfix(struct cli *cli, const char *dir);
int export_eml(struct cli *cli, const char *dir);
int export_smtp(struct cli *cli, const char *host_port);

#endif
