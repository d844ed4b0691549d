/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fake_crowd.h - a receiver for thousands of connections at a time.
 *
 * One thread, epoll. Takes everything, but answers no final dot before as many
 * have come as were asked for: so many connections were open together.
 */
#ifndef FAKE_CROWD_H
#define FAKE_CROWD_H

#include <stdint.h>

struct fake_crowd;

struct fake_crowd *fake_crowd_start(uint32_t dots_wanted);
void fake_crowd_stop(struct fake_crowd **c);
uint16_t fake_crowd_port(const struct fake_crowd *c);
/* Connections that were open at a time, at most; after stop of the traffic. */
/* Of the content that came last, dots undone; keeps none of it. */
uint64_t fake_crowd_content(const struct fake_crowd *c, uint64_t *bytes);
uint32_t fake_crowd_most(const struct fake_crowd *c);

#endif
