/* SPDX-License-Identifier: BSD-2-Clause
 *
 * cli.h - what the files of the `sluice` command share.
 *
 * One thread, one request at a time. stdout is data, stderr is progress and
 * errors; with --json stdout is JSON lines with a `schema` field. Exit status:
 * sysexits.
 */
#ifndef SLUICE_CLI_H
#define SLUICE_CLI_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sluice/err.h"

struct cli {
	const char *config_path;
	const char *socket_path; /* NULL: from the config */
	bool json, yes, dry_run, all_given;
	const char *reason;
	const char *envelope_file;
	const char *queue; /* import postfix --queue */
	bool normalise;
	const char *action;       /* decide: keep, requeue, ... */
	bool senders;             /* shape: by the sender's domain */
	const char *route, *pool; /* reroute */
	bool back;
	bool finish;          /* export --finish */
	uint64_t connections; /* export smtp --connections */
	uint64_t limit;
	uint64_t hold_number;
	json_t *selection; /* built from the options */
	bool terminal;     /* stderr is one */
	bool colour;       /* stdout is one, and NO_COLOR is not set */
	char **args;       /* after the verb and the options */
	int arg_count;
};

#define CLI_SELECTS_BESIDE 2 /* words as well as a selection */

/* A verb returns a sysexits code. */
struct cli_verb {
	const char *name;
	int (*run)(struct cli *cli);
	int selects;       /* takes selection options; CLI_SELECTS_BESIDE */
	const char *usage; /* one line, after "sluice NAME" */
	const char *help;  /* what it does, one line */
};
extern const struct cli_verb cli_verbs[];

/* options.c: 0, or a sysexits code after saying what is wrong. */
int cli_options_parse(struct cli *cli, const struct cli_verb *v, int argc,
		      char **argv);
void cli_usage(const struct cli_verb *v, bool to_stdout);
/* Ends with an option without a name. */
const struct option *cli_options(void);

/* completion.c: on stdout */
void completion_print(void);

/* connect.c */
struct connection;
int connection_open(struct cli *cli, struct connection **out);
void connection_close(struct connection **c);
/* 0 or a sysexits code (said on stderr). Takes the reference. */
int connection_send(struct connection *c, json_t *request, const int *fds,
		    uint32_t fd_count);
/* Next packet; NULL at the end of the connection. `wait` false: NULL also
 * when there is none yet (then *none is true). */
json_t *connection_receive(struct connection *c, bool wait, bool *none);
/* Waits for the next packet, with the descriptors beside it (at most
 * CONNECTION_FDS; the caller closes them). */
#define CONNECTION_FDS 64
json_t *connection_receive_fds(struct connection *c, int *fds,
			       uint32_t *fd_count);
int connection_fd(const struct connection *c); /* for poll() */
/* Sends a request, hands each data packet to `each`, returns the done packet
 * in `*done` (may be NULL). 0, or the sysexits code of the error, said. */
int connection_ask(struct cli *cli, json_t *request,
		   void (*each)(struct cli *cli, json_t *packet, void *user),
		   void *user, json_t **done);

/* text.c */
void text_count(uint64_t n, char buf[32]);         /* 12,345 */
void text_duration(double seconds, char buf[32]);  /* "3 h 12 min" */
void text_bytes(uint64_t bytes, char buf[32]);     /* "4.0 KiB" */
void text_time(uint64_t realtime_s, char buf[32]); /* local time */
void text_rate(const json_t *per_s, char buf[32]); /* "12.3/s", "-" */
json_int_t json_int(const json_t *j, const char *key);
const char *json_str(const json_t *j, const char *key); /* "" if not there */
/* Prints one JSON line with `schema`. Takes nothing. */
void print_json(const char *schema, json_t *j);
/* For a terminal: control characters become '?'. */
void print_safe(const char *s, size_t max);
void print_safe_to(FILE *f, const char *s, size_t max);
/* Says how many messages a selection could not be asked about. */
void unreadable_warn(const json_t *done);

/* verbs_act.c: what the verbs that act share. 0, or a sysexits code, said. */
int act_reason_missing(const struct cli *cli);
/* verb, selection or hold, reason, dry_run. */
json_t *act_request(struct cli *cli, const char *verb);
/* Says what patterns gave up on, if any. */
void gave_up_print(const json_t *done);
/* verbs_change.c. Asks for the count to be typed, unless --yes or --dry-run;
 * `request` is asked dry for it, and cli->limit is what was confirmed. */
int act_confirm(struct cli *cli, const char *verb, json_t *(*request)(void *),
		void *user, bool *nothing);
/* verbs_decide.c: route, pool, source or back of a reroute go into the request.
 * Here --source is where to, and no term of the selection. 0, or said. */
int reroute_target(struct cli *cli, json_t *request);
/* "purged 3 recipients of 2 messages", and what was left alone. */
void act_totals_print(const struct cli *cli, const char *would, const char *did,
		      const json_t *done);

int verb_purge(struct cli *cli);
int verb_requeue(struct cli *cli);
int verb_decide(struct cli *cli);
int verb_reroute(struct cli *cli);
int verb_replies(struct cli *cli);
int verb_shape(struct cli *cli);
int verb_audit(struct cli *cli);
int verb_trace(struct cli *cli);
int verb_status(struct cli *cli);
int verb_providers(struct cli *cli);
int verb_sources(struct cli *cli);
int verb_list(struct cli *cli);
int verb_count(struct cli *cli);
int verb_show(struct cli *cli);
int verb_hold(struct cli *cli);
int verb_release(struct cli *cli);
int verb_recovered(struct cli *cli);
int verb_tail(struct cli *cli);
int verb_check(struct cli *cli);
int verb_reload(struct cli *cli);
int verb_import(struct cli *cli);
int import_postfix(struct cli *cli, const char *dir);
int import_eml(struct cli *cli);
int verb_export(struct cli *cli);

#endif
