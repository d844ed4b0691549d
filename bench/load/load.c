/* SPDX-License-Identifier: BSD-2-Clause
 *
 * load.c - runs the load client to its end.
 *
 * Called by accept and ceiling, on their thread.
 * Bound: sessions, 256 templates, 4 bytes a message for latencies.
 * Errors: -errno when connecting fails or nothing moves for the timeout.
 */
#include "load/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load/load_priv.h"
#include "sluice/clock.h"

#define STEP_WAIT_NS (100 * NS_PER_MS)

int load_pipelining_parse(const char *text, enum load_pipelining *out)
{
	static const char *const names[] = {"none", "group", "next"};

	for (int i = 0; i < 3; i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum load_pipelining)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int latency_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void result_finish(struct load *l)
{
	struct load_result *r = &l->result;

	r->ns = l->last_ns > l->first_ns ? l->last_ns - l->first_ns : 0;
	if (r->ns)
		r->rate = (double)r->accepted * NS_PER_S / (double)r->ns;
	if (r->accepted == 0)
		return;
	qsort(l->latency_us, r->accepted, sizeof(*l->latency_us),
	      latency_compare);
	r->p50_us = l->latency_us[r->accepted / 2];
	r->p99_us = l->latency_us[r->accepted * 99 / 100];
	r->max_us = l->latency_us[r->accepted - 1];
}

static int load_loop(struct load *l, struct err *e)
{
	const struct load_options *o = l->options;
	char where[ADDR_TEXT_BYTES];

	l->progress_ns = clock_monotonic_ns();
	for (uint32_t i = 0; i < o->sessions && !l->error; i++) {
		l->sessions[i].load = l;
		l->error = load_session_start(&l->sessions[i]);
	}
	while (!l->error && l->sessions_open) {
		int err = io_step(l->io, STEP_WAIT_NS);

		if (err && err != -EINTR)
			l->error = err;
		if (o->stop && o->stop())
			l->error = -EINTR;
		if (clock_monotonic_ns() > l->progress_ns + o->timeout_ns)
			l->error = -ETIMEDOUT;
	}
	if (l->error)
		return err_set(e, l->error, "%s: %s",
			       addr_format(&o->target, true, where),
			       err_name(l->error));
	return 0;
}

static void load_close(struct load *l)
{
	io_close(&l->io);
	for (uint32_t i = 0; i < l->options->sessions; i++) {
		struct load_session *s = &l->sessions[i];

		if (s->open)
			close(s->fd);
		buffer_fini(&s->out);
		buffer_fini(&s->flying);
		load_template_fini(&s->turns[0].own);
		load_template_fini(&s->turns[1].own);
	}
	free(l->sessions);
	load_templates_destroy(l);
	free(l->latency_us);
}

int load_run(const struct load_options *o, struct load_result *out,
	     struct err *e)
{
	const struct io_options io = {.entries = 4096,
				      .recv_buffers = 1024,
				      .recv_buffer_bytes = 4096,
				      .spin_ns = o->spin_ns};
	struct load l = {.options = o};
	int err;

	l.sessions = bench_calloc(o->sessions, sizeof(*l.sessions));
	l.latency_us = bench_calloc(o->messages, sizeof(*l.latency_us));
	err = load_templates_make(&l, e);
	if (!err)
		err = io_open(&l.io, &io, e);
	if (!err) {
		load_schedule_init(&l);
		err = load_loop(&l, e);
	}
	if (!err) {
		result_finish(&l);
		*out = l.result;
	}
	load_close(&l);
	return err;
}
