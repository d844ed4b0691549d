/* SPDX-License-Identifier: BSD-2-Clause
 *
 * output.h - where generated messages go.
 *
 * One output per run, one owner thread. Each `open` makes the directory it
 * needs; -errno with the sentence in `e`.
 */
#ifndef SLUICE_BENCH_OUTPUT_H
#define SLUICE_BENCH_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "backlog/message.h"
#include "sluice/err.h"

struct output_options {
	const char *dir;
	const char *queue; /* Postfix: "deferred" or "hold" */
	const char *ids;   /* Postfix: "short", "long" or "mixed" */
	const char *owner; /* Postfix: user the files belong to; NULL = us */
	uint64_t seed;
	bool released; /* spool: may go at once; otherwise held */
};

struct output {
	int (*put)(void *state, const struct message *m, struct err *e);
	/* Makes everything durable; called once, also after an error. */
	int (*finish)(void *state, struct err *e);
	void *state;
};

int output_postfix_open(const struct output_options *o, struct output *out,
			struct err *e);
int output_eml_open(const struct output_options *o, struct output *out,
		    struct err *e);
int output_spool_open(const struct output_options *o, struct output *out,
		      struct err *e);

/* mkdir -p with mode 0755, the last with `mode`. */
int output_mkdirs(const char *path, uint32_t mode, struct err *e);
/* A new file with all of `data`; the mode is set whatever the umask is, and
 * the time of last change to `when_s` if it is not 0. */
int output_file(int dirfd, const char *name, uint32_t mode, uint32_t when_s,
		const struct buffer *data);

#endif
