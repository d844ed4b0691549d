/* SPDX-License-Identifier: BSD-2-Clause
 *
 * io_system.h - what io_open() asks of the host, replaceable in tests.
 *
 * Each function answers like the call it stands for: 0 or more, or -errno.
 * Role: any, at start only.
 */
#ifndef SLUICE_IO_SYSTEM_H
#define SLUICE_IO_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#include "io/io.h"

struct io_uring;
struct io_uring_params;
struct io_uring_buf_reg;

struct io_system {
	/* "6.1.0-18-amd64" */
	int (*release)(char *buf, size_t len);
	/* kernel.io_uring_disabled: 0, 1, 2; -ENOENT before Linux 6.6 */
	int (*disabled)(void);
	/* soft RLIMIT_MEMLOCK */
	int (*memlock)(uint64_t *bytes);
	int (*setup)(uint32_t entries, struct io_uring *ring,
		     struct io_uring_params *p);
	int (*register_ring)(struct io_uring *ring);
	int (*register_buf_ring)(struct io_uring *ring,
				 struct io_uring_buf_reg *reg);
	/* a table of so many empty slots */
	int (*register_files)(struct io_uring *ring, uint32_t slots);
};

extern const struct io_system io_system_real;

/* io_open() on another host. */
int io_open_on(struct io **out, const struct io_options *o,
	       const struct io_system *sys, struct err *e);

bool io_system_at_least(const struct io_system *sys, unsigned long major,
			unsigned long minor);
/* -ENOSYS with a sentence when the kernel is older than 6.1. */
int io_system_check(const struct io_system *sys, struct err *e);
/* Says why `what` ("io_uring_setup") failed with `code`; returns `code`. */
int io_system_explain(const struct io_system *sys, int code, const char *what,
		      struct err *e);

#endif
