/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sink_fixture.h - one sink with one listener, in a directory of its own, for
 * the sink's tests. Anything unexpected fails the test.
 */
#ifndef TEST_SINK_FIXTURE_H
#define TEST_SINK_FIXTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CONTENT "X-Sluice-Bench: 9-0000000001\r\n\r\n.hi\r\n"
#define ON_WIRE "X-Sluice-Bench: 9-0000000001\r\n\r\n..hi\r\n.\r\n"
#define GROUP   "MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\nDATA\r\n"

/* Path of a file in the directory; valid until the next call. */
const char *in_dir(const char *name);
/* `policy` NULL = plain; `ledger`: compare with what ledger_write() wrote. */
void sink_start(const char *policy, bool ledger);
uint16_t sink_port(void);
/* Stops the sink, checks its exit status and reads its report. */
json_t *sink_stop(int status);
void sink_stop_clean(void);
/* report[a] or report[a][b] */
json_int_t number(json_t *j, const char *a, const char *b);
/* One message with this content, to r@b.test. */
void ledger_write(const char *content);
/* That message, as CONTENT, over a connection that has said EHLO. */
void send_one(int fd);
int64_t now_ms(void);
int sink_group_setup(void **state);
int sink_group_teardown(void **state);

#endif
