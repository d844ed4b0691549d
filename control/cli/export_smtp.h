/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_smtp.h - what the two files of `sluice export smtp` share.
 *
 * One thread.
 */
#ifndef SLUICE_CLI_EXPORT_SMTP_H
#define SLUICE_CLI_EXPORT_SMTP_H

#include "smtp_out.h"

#define CONNECTIONS_DEFAULT 4
#define CONNECTIONS_MAX     64
#define WINDOW_MAX          4096
#define FAILURES_MAX        5 /* connections in a row, without a message */

struct smtp_export {
	struct cli *cli;
	struct connection *connection; /* to sluiced */
	struct addrinfo *addresses, *address;
	char helo[256];
	struct smtp_out *out;
	uint32_t out_count;
	struct export_message **told; /* by tag */
	uint32_t window;
	struct export_message *open; /* its recipients are still coming */
	struct export_message *ready, **ready_end;
	json_t *results;
	uint32_t failures; /* connections since the last accepted message */
	uint64_t wait_until_ns;
	bool giving_up;
	char why[SMTP_OUT_REPLY_BYTES]; /* the last connection failed */
	uint64_t shown, over, expected, started_ns, shown_ns;
	json_t *done;
};

/* export_smtp_results.c */
/* May be sent. */
void smtp_message_ready(struct smtp_export *x, struct export_message *m);
struct export_message *smtp_message_next(struct smtp_export *x);
void smtp_message_drop(struct smtp_export *x, struct export_message *m);
void smtp_on_result(void *user, struct export_message *m, uint32_t rcpt,
		    enum smtp_out_result r, const char *reply);
void smtp_on_done(void *user, struct export_message *m);
/* All of it stays. */
void smtp_message_unsent(struct smtp_export *x, struct export_message *m);
/* What is gathered goes to sluiced; a sysexits code. */
int smtp_results_send(struct smtp_export *x);

#endif
