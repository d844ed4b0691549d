/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_instance.h - a private Postfix, for tests that need the real thing.
 *
 * Own configuration, queue and port in a scratch directory; delivers to
 * nobody: "ok.test" is thrown away, all else is deferred. Needs root and an
 * installed Postfix. Also a small milter that edits as the Subject says.
 */
#ifndef POSTFIX_INSTANCE_H
#define POSTFIX_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct postfix_instance {
	char dir[64];
	char etc[96];
	char queue[96];
	uint16_t port;        /* smtpd */
	uint16_t milter_port; /* smtpd that asks the milter */
	int milter_fd;
	uint16_t milter_listen;
};

/* False: none is installed, or not root. Fails the test on other errors. */
bool postfix_instance_start(struct postfix_instance *p);
void postfix_instance_stop(struct postfix_instance *p);
/* Runs a command line with %s = the config directory; its exit status. */
int postfix_run(const struct postfix_instance *p, const char *command);
/* What it prints; free it. */
char *postfix_output(const struct postfix_instance *p, const char *command,
		     size_t *len);
/* One SMTP session: `commands` up to DATA, then the message; both with CRLF,
 * the message with its final dot. */
void postfix_submit(uint16_t port, const char *commands, const char *message,
		    size_t len);
/* Waits until nothing is in maildrop, incoming or active. */
void postfix_settle(const struct postfix_instance *p);

#endif
